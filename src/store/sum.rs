//! The checksum of a content's bytes as they are read, for as much work as there are different bytes.
//!
//! Parts of an extent tree may be shared, within a content and between contents: each is read once. A few records can
//! spell out more bytes than all disks hold, and holes of any length; neither takes time.

use super::content::Content;
use super::extents::{DEPTH_MAX, Nodes, too_deep};
use crate::chunklog::SoloId;
use crate::crypto::{Crc64, crc64_combine, crc64_zeros};
use crate::index::{Body, Extent, Node, Source};
use crate::model::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// Bytes read at once.
const STEP: usize = 1 << 20;

/// What has been read.
#[derive(Default)]
pub(super) struct Sums<'a> {
    /// Tree nodes whose bytes have been read, with their length and crc64nvme.
    nodes: HashMap<u64, (u64, u64)>,
    /// The bad frames of whole files, where these are looked at anew: a read does not look again at those that it has
    /// found good before.
    solos: Option<HashMap<u64, Vec<Range<u64>>>>,
    /// Asked between two reads.
    goes_on: Option<&'a dyn Fn() -> Result<()>>,
}

impl<'a> Sums<'a> {
    /// For a check of all that is stored, which ends with what `goes_on` answers.
    pub(super) fn anew(goes_on: &'a dyn Fn() -> Result<()>) -> Self {
        Self { solos: Some(HashMap::new()), goes_on: Some(goes_on), ..Self::default() }
    }

    fn goes_on(&self) -> Result<()> {
        self.goes_on.map_or(Ok(()), |goes_on| goes_on())
    }

    /// Stretches of a whole file that do not verify; none when it cannot be read at all, which reading tells.
    pub(super) fn bad_frames(&mut self, content: &Content, id: u64) -> &[Range<u64>] {
        let Some(solos) = &mut self.solos else { return &[] };
        let goes_on = self.goes_on;
        solos.entry(id).or_insert_with(|| {
            let goes_on = || goes_on.is_none_or(|goes_on| goes_on().is_ok());
            let bad = content.store().log.verify_solo_while(SoloId(id), &goes_on).unwrap_or_default();
            bad.iter().map(|frame| frame.at..frame.at.saturating_add(u64::from(frame.len))).collect()
        })
    }
}

impl Content {
    /// The crc64nvme of the bytes as they are read.
    ///
    /// # Errors
    /// As [`Content::read_at`].
    pub(super) fn sum(&self, sums: &mut Sums<'_>) -> Result<u64> {
        let (len, sum) = match self.inline() {
            Some(bytes) => (bytes.len() as u64, Crc64::of(bytes)),
            // What was read stays read: another attempt goes on where the last one stopped.
            None => self.settled(|| match &*self.body() {
                Body::Inline(bytes) => Ok((bytes.len() as u64, Crc64::of(bytes))),
                Body::Extents(extents) => self.sum_of_extents(extents, sums),
                Body::Tree(root) => self.sum_of_node(*root, sums, DEPTH_MAX),
            })?,
        };
        if len == self.size() {
            return Ok(sum);
        }
        Err(Error::corrupt("cannot read the content", format!("it has {len} bytes, not {}", self.size())))
    }

    fn sum_of_node(&self, id: u64, sums: &mut Sums<'_>, depth: usize) -> Result<(u64, u64)> {
        if let Some(known) = sums.nodes.get(&id) {
            return Ok(*known);
        }
        if depth == 0 {
            return Err(too_deep());
        }
        let sum = match &*self.store().load(id)? {
            Node::Leaf(extents) => self.sum_of_extents(extents, sums)?,
            Node::Inner(children) => {
                let (mut len, mut sum) = (0, 0);
                for (said, child) in children {
                    let below = self.sum_of_node(*child, sums, depth - 1)?;
                    if below.0 != *said {
                        let why = format!("tree node {child} has {} bytes, its parent says {said}", below.0);
                        return Err(Error::corrupt("cannot read the content", why));
                    }
                    (len, sum) = (len + said, crc64_combine(sum, below.1, *said));
                }
                (len, sum)
            }
        };
        sums.nodes.insert(id, sum);
        Ok(sum)
    }

    fn sum_of_extents(&self, extents: &[Extent], sums: &mut Sums<'_>) -> Result<(u64, u64)> {
        let (mut len, mut sum) = (0, 0);
        let mut buf = Vec::new();
        for extent in extents {
            if extent.source == Source::Hole {
                sum = crc64_combine(sum, crc64_zeros(extent.len), extent.len);
            } else {
                if let Source::Solo { id, at } = extent.source
                    && sums.bad_frames(self, id).iter().any(|bad| bad.start < at + extent.len && at < bad.end)
                {
                    return Err(Error::corrupt("cannot read the content", "a frame of its file is bad"));
                }
                let mut crc = Crc64::resume(sum);
                let mut at = 0;
                while at < extent.len {
                    sums.goes_on()?;
                    let now = usize::try_from(extent.len - at).unwrap_or(STEP).min(STEP);
                    buf.resize(now, 0);
                    let part = super::extents::part(*extent, at, at + now as u64);
                    self.store().read_source(part.source, &mut buf)?;
                    crc.update(&buf);
                    at += now as u64;
                }
                sum = crc.value();
            }
            len += extent.len;
        }
        Ok((len, sum))
    }
}
