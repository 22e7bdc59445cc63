//! What is kept of a content's bytes for S3 to tell: the checksum that the client chose, and the parts it was made of (SUM-14,
//! SUM-15, READ-9). It goes with the content, so that copies and renames have it and edits do not.

use super::Store;
use crate::crypto::Summer;
use crate::index::{ContentRecord, Family, Read, content_key};
use crate::model::{
    Checksum, ChecksumAlgorithm, ChecksumType, ContentId, Error, Kind, Object, ObjectSum, ObjectSums, Result, Sum,
};
use std::ops::Range;

/// Bytes read at once.
const STEP: usize = 1 << 20;

/// Where a part lies in its object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartRange {
    /// Where it begins.
    pub at: u64,
    /// Length in bytes.
    pub len: u64,
    /// Parts that the object was made of; 0 when it came in one piece.
    pub count: u32,
    /// The checksum of the part's bytes.
    pub sum: Option<ObjectSum>,
    /// How the object's own checksum was made.
    pub kind: Option<ChecksumType>,
}

impl Store {
    /// What is known of a version's bytes, without reading them. Its checksum is the one that the client chose, else the crc64nvme
    /// (SUM-8), which [`Store::checksum`] finds out where an edit left it unknown.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn sums(&self, object: &Object) -> Result<ObjectSums> {
        let key = content_key(object.content);
        let mut sums: ObjectSums = match object.content {
            ContentId::EMPTY => ObjectSums::default(),
            _ => self.index.record(Family::Sums, &key)?.unwrap_or_default(),
        };
        if sums.sum.is_none() {
            let crc64 = match object.crc64 {
                Checksum(None) => {
                    self.index.record(Family::Content, &key)?.and_then(|record: ContentRecord| record.crc64.0)
                }
                Checksum(known) => known,
            };
            sums.sum = crc64.map(|value| ObjectSum::whole(Sum::Crc64Nvme(value.to_be_bytes())));
        }
        Ok(sums)
    }

    /// The part of that number (READ-9). What came in one piece is its own part 1.
    ///
    /// # Errors
    /// [`Kind::InvalidPartNumber`] when there is none of that number.
    pub fn part_of(&self, object: &Object, number: u32) -> Result<PartRange> {
        self.part(object, |part, _| part == number)?.ok_or_else(|| {
            Error::new(Kind::InvalidPartNumber, format!("cannot read the part {number}"))
                .why("the object has no part of that number")
        })
    }

    /// The part that has exactly the bytes of `range`, if one has (SUM-14).
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn part_at(&self, object: &Object, range: &Range<u64>) -> Result<Option<PartRange>> {
        self.part(object, |_, bytes| bytes == range)
    }

    /// The first part that is wanted, by its number and bytes.
    fn part(&self, object: &Object, is_wanted: impl Fn(u32, &Range<u64>) -> bool) -> Result<Option<PartRange>> {
        let ObjectSums { sum, parts, .. } = self.sums(object)?;
        let kind = sum.as_ref().map(ObjectSum::kind);
        if parts.is_empty() {
            let whole = PartRange { at: 0, len: object.size, count: 0, sum, kind };
            return Ok(is_wanted(1, &(0..object.size)).then_some(whole));
        }
        let (mut at, count) = (0, u32::try_from(parts.len()).unwrap_or(u32::MAX));
        for part in &parts {
            if is_wanted(part.number, &(at..at + part.size)) {
                let sum = part.sum.map(ObjectSum::whole);
                return Ok(Some(PartRange { at, len: part.size, count, sum, kind }));
            }
            at += part.size;
        }
        Ok(None)
    }
}

/// The checksum of a stretch of what `read_at` reads.
pub(super) fn sum_of(
    algorithm: ChecksumAlgorithm,
    range: Range<u64>,
    read_at: &mut dyn FnMut(u64, &mut [u8]) -> Result<usize>,
) -> Result<Sum> {
    let mut summer = Summer::new(algorithm);
    read_through(range, read_at, &mut |bytes| summer.update(bytes))?;
    Ok(summer.finish())
}

/// Shows `see` a stretch of what `read_at` reads, piece by piece.
pub(super) fn read_through(
    range: Range<u64>,
    read_at: &mut dyn FnMut(u64, &mut [u8]) -> Result<usize>,
    see: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let (mut at, mut buf) = (range.start, Vec::new());
    while at < range.end {
        buf.resize(usize::try_from(range.end - at).unwrap_or(STEP).min(STEP), 0);
        read_at(at, &mut buf)?;
        see(&buf);
        at += buf.len() as u64;
    }
    Ok(())
}
