//! Reading: a pinned content, wherever its bytes are.

use super::Store;
use super::extents::{locate, visit};
use super::moves::Staying;
use super::pins::{Pin, Taking};
use super::sum::Sums;
use crate::chunklog::{Run, SegmentId, SoloId};
use crate::crypto::Crc64;
use crate::index::{Body, ContentRecord, Extent, Family, Read, Source, content_key};
use crate::model::{Checksum, ContentId, Error, Kind, Object, Result};
use crate::sys::disk::DiskFile;
use crate::sys::sync::RwLock;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Extents of one kind that are passed by on the way to one of the other. Neighbouring holes are one in every node, so that
/// there are this many only where nodes are shared to make a content that takes years to look through. Behind as many extents
/// with data a hole need not be found.
pub(super) const HOLES_MAX: u32 = 1 << 22;

/// The bytes of one version, readable for as long as this is held, whatever happens to its name.
pub struct Content {
    store: Arc<Store>,
    id: ContentId,
    pin: Option<Pin>,
    size: u64,
    stored: u64,
    crc64: Checksum,
    placed: RwLock<Placed>,
    inline: Option<Vec<u8>>,
}

/// Where the bytes are that are not inline.
#[derive(Clone)]
struct Placed {
    body: Arc<Body>,
    /// How often something had moved before it was read.
    moves: u64,
}

/// Looks something up and works on its bytes, again while `was_replaced` says of the error that they were replaced in
/// between: a file that is written all the time has other bytes at each moment.
///
/// # Errors
/// The last attempt's.
pub fn again<T, E>(
    mut attempt: impl FnMut() -> std::result::Result<T, E>,
    was_replaced: impl Fn(&E) -> bool,
) -> std::result::Result<T, E> {
    const TIMES: usize = 50;
    for _ in 1..TIMES {
        match attempt() {
            Err(error) if was_replaced(&error) => crate::sys::sync::thread::yield_now(),
            result => return result,
        }
    }
    attempt()
}

/// The record of a content whose bytes are all in it.
pub(super) fn inline(bytes: Vec<u8>) -> ContentRecord {
    let size = bytes.len() as u64;
    let crc64 = Checksum(Some(Crc64::of(&bytes)));
    ContentRecord { size, stored: size, crc64, body: Body::Inline(bytes) }
}

impl Store {
    /// Opens an object's bytes for a reader. They stay readable after an overwrite or delete, and when a restored copy goes.
    ///
    /// # Errors
    /// [`Kind::Archived`] when they must be restored before;
    /// [`Kind::NoSuchVersion`] when the object was replaced since it was looked up: look it up again.
    pub fn open_content(self: &Arc<Self>, object: &Object) -> Result<Content> {
        self.readable(object)?;
        self.content(object.content)
    }

    /// The same for who had the bytes open before: archived or not.
    ///
    /// # Errors
    /// As [`Store::open_content`], but for archives.
    pub fn open_unasked(self: &Arc<Self>, object: &Object) -> Result<Content> {
        self.content(object.content)
    }

    pub(super) fn content(self: &Arc<Self>, id: ContentId) -> Result<Content> {
        let moves = self.moves.count();
        if id == ContentId::EMPTY {
            return Ok(Content::new(self, id, None, inline(Vec::new()), moves));
        }
        let gone = || {
            Error::new(Kind::NoSuchVersion, "cannot open the object")
                .why("it was replaced or deleted at this moment")
                .mend("look it up again")
        };
        let pin = self.pins.pin(id).ok_or_else(gone)?;
        let record: Option<ContentRecord> = self.index.record(Family::Content, &content_key(id))?;
        Ok(Content::new(self, id, Some(pin), record.ok_or_else(gone)?, moves))
    }

    /// A content that is about to be committed, pinned beforehand so that nothing can free it in between.
    pub(super) fn pinned_content(self: &Arc<Self>, id: ContentId, record: ContentRecord) -> Content {
        let moves = self.moves.count();
        Content::new(self, id, self.pins.pin(id), record, moves)
    }

    /// Reads `[skip, skip + buf.len())` of a source.
    pub(super) fn read_source(&self, source: Source, buf: &mut [u8]) -> Result<()> {
        match source {
            Source::Hole => buf.fill(0),
            Source::Lost => {
                return Err(lost());
            }
            Source::Run { segment, offset, len, skip } => {
                self.log.read(Run { segment: SegmentId(segment), offset, len }, skip, buf)?;
            }
            Source::Solo { id, at } => self.log.read_solo(SoloId(id), at, buf)?,
        }
        Ok(())
    }

    /// The crc64nvme of an object's bytes (SUM-8), computed when an edit left it unknown.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub fn checksum(self: &Arc<Self>, object: &Object) -> Result<u64> {
        if let Some(value) = object.crc64.0 {
            return Ok(value);
        }
        let content = self.content(object.content)?;
        if let Checksum(Some(value)) = content.crc64 {
            return Ok(value);
        }
        let value = content.sum(&mut Sums::default())?;
        if self.writable().is_ok() {
            let key = content_key(content.id);
            self.transact(|tx| {
                if let Some(mut record) = tx.record::<ContentRecord>(Family::Content, &key)? {
                    record.crc64 = Checksum(Some(value));
                    tx.put(Family::Content, &key, &record);
                }
                Ok(())
            })?;
        }
        Ok(value)
    }
}

impl Content {
    fn new(store: &Arc<Store>, id: ContentId, pin: Option<Pin>, record: ContentRecord, moves: u64) -> Self {
        let ContentRecord { size, stored, crc64, body } = record;
        let (inline, body) = match body {
            Body::Inline(bytes) => (Some(bytes), Body::Extents(Vec::new())),
            body => (None, body),
        };
        let placed = RwLock::new(Placed { body: Arc::new(body), moves });
        Self { store: Arc::clone(store), id, pin, size, stored, crc64, placed, inline }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes it takes, holes left out.
    pub(super) const fn stored(&self) -> u64 {
        self.stored
    }

    /// Checksum of all bytes, when it was known.
    pub(super) const fn crc64(&self) -> Option<u64> {
        self.crc64.0
    }

    /// Which content it is.
    #[must_use]
    pub const fn id(&self) -> ContentId {
        self.id
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps others from reading it, unless somebody does.
    pub(super) fn claim(&self) -> Option<Taking> {
        self.pin.as_ref()?.take()
    }

    /// Where its bytes are, as of the last look; they may have moved.
    pub(super) fn body(&self) -> Arc<Body> {
        Arc::clone(&self.placed.read().body)
    }

    /// Where its bytes are now and stay while nothing may move.
    pub(super) fn body_now(&self, _staying: &Staying<'_>) -> Result<Arc<Body>> {
        self.look_again()?;
        Ok(self.body())
    }

    /// Looks where the bytes are if something has moved since the last look.
    fn look_again(&self) -> Result<()> {
        let moves = self.store.moves.count();
        if self.placed.read().moves == moves || self.inline.is_some() {
            return Ok(());
        }
        let record: Option<ContentRecord> = self.store.index.record(Family::Content, &content_key(self.id))?;
        let mut placed = self.placed.write();
        if placed.moves < moves {
            placed.moves = moves;
            if let Some(record) = record {
                placed.body = Arc::new(record.body);
            }
        }
        Ok(())
    }

    /// Reads what may be moved meanwhile, and its files deleted: again, when what was read is not where it was.
    pub(super) fn settled<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        loop {
            let moves = self.placed.read().moves;
            let result = attempt();
            if result.is_err() {
                self.look_again()?;
                if self.placed.read().moves != moves {
                    continue;
                }
            }
            return result;
        }
    }

    /// The bytes, when they lie in the index.
    #[must_use]
    pub fn inline(&self) -> Option<&[u8]> {
        self.inline.as_deref()
    }

    /// Reads from `at` until `buf` is full or the content ends; returns the bytes read.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] when stored bytes fail their checksum.
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<usize> {
        let len = buf.len().min(usize::try_from(self.size().saturating_sub(at)).unwrap_or(usize::MAX));
        let buf = &mut buf[..len];
        if let Some(bytes) = self.inline() {
            let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            let n = len.min(bytes.len() - from);
            buf[..n].copy_from_slice(&bytes[from..from + n]);
            buf[n..].fill(0);
            return if n == len { Ok(len) } else { Err(too_short()) };
        }
        self.settled(|| {
            let mut filled = 0;
            for (_, extent) in self.extents(at, len as u64)? {
                let n = usize::try_from(extent.len).unwrap_or(usize::MAX).min(len - filled);
                self.store.read_source(extent.source, &mut buf[filled..filled + n])?;
                filled += n;
            }
            if filled == len { Ok(len) } else { Err(too_short()) }
        })
    }

    /// The extents of `[at, at + len)` and where each begins.
    pub(super) fn extents(&self, at: u64, len: u64) -> Result<Vec<(u64, Extent)>> {
        let mut out = Vec::new();
        locate(&self.body(), &*self.store, at, len, &mut out)?;
        Ok(out)
    }

    /// Shows `look` the extents from `at` on until it has seen enough: there may be gaps between them, and as many as
    /// nodes that are shared spell out.
    pub(super) fn each_extent(&self, at: u64, look: &mut dyn FnMut(u64, Extent) -> ControlFlow<()>) -> Result<()> {
        visit(&self.body(), &*self.store, (at, self.size()), look)
    }

    /// The first byte at or after `at` that is no hole.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn seek_data(&self, at: u64) -> Result<Option<u64>> {
        if self.inline().is_some() {
            return Ok((at < self.size()).then_some(at));
        }
        self.first(at, |extent| extent.source != Source::Hole)
    }

    /// The first byte at or after `at` that is a hole; the end counts as one.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn seek_hole(&self, at: u64) -> Result<u64> {
        if self.inline().is_some() {
            return Ok(self.size());
        }
        Ok(self.first(at, |extent| extent.source == Source::Hole)?.unwrap_or(self.size()))
    }

    /// Where the first extent at or after `at` begins that is `wanted`.
    fn first(&self, at: u64, wanted: impl Fn(&Extent) -> bool) -> Result<Option<u64>> {
        let (mut found, mut passed) = (None, 0);
        self.each_extent(at, &mut |start, extent| {
            found = wanted(&extent).then_some(start);
            passed += 1;
            if found.is_some() || passed > HOLES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if passed > HOLES_MAX && found.is_none() && wanted(&Extent { len: 1, source: Source::Solo { id: 0, at: 0 } }) {
            let why = "more holes lie one behind the other than in any";
            return Err(Error::corrupt("cannot find the content's data", why));
        }
        Ok(found)
    }

    /// The file that holds exactly these bytes from offset 0, for the kernel to read by itself.
    #[must_use]
    pub fn solo_file(&self) -> Option<Arc<dyn DiskFile>> {
        // Most contents are told by their first byte not to be of one file.
        let first = if self.inline().is_some() { None } else { self.extents(0, 1).ok()?.into_iter().next() };
        let Source::Solo { at: 0, .. } = first?.1.source else { return None };
        let mut end = 0;
        let mut solo = None;
        let mut look = |start, extent: Extent| match extent.source {
            Source::Solo { id, at } if at == start && start == end && solo.is_none_or(|known| known == id) => {
                solo = Some(id);
                end = start + extent.len;
                ControlFlow::Continue(())
            }
            _ => {
                solo = None;
                end = u64::MAX;
                ControlFlow::Break(())
            }
        };
        self.each_extent(0, &mut look).ok()?;
        let (file, len) = self.store.log.solo_file(SoloId(solo?)).ok()?;
        (len == end && end == self.size()).then_some(file)
    }

    /// The extents of `[at, at + len)`, which stay where they are while nothing may move.
    pub(super) fn extents_now(&self, at: u64, len: u64, staying: &Staying<'_>) -> Result<Vec<(u64, Extent)>> {
        let mut out = Vec::new();
        locate(&*self.body_now(staying)?, &*self.store, at, len, &mut out)?;
        Ok(out)
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}

/// The error for bytes that the index names and does not know.
#[must_use]
pub fn lost() -> Error {
    Error::corrupt("cannot read the object", "what the index knew of these bytes is lost")
        .mend("restore an older version, or put the object back from a backup")
}

fn too_short() -> Error {
    Error::corrupt("cannot read the object", "its content has fewer bytes than its length says")
}

/// Whether an extent reads as zeros without being stored.
pub(super) fn is_hole(extent: &Extent) -> bool {
    extent.source == Source::Hole
}
