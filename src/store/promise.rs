//! What a client promised of the bytes it sends: compared when the last one has come, before anything of them can be seen (SUM-6,
//! SUM-12, SUM-13, SIZE-6).

use crate::crypto::{Md5, Summer};
use crate::model::{ChecksumAlgorithm, Error, Kind, ObjectSum, ObjectSums, Result, Sum};
use std::io::Read;
use std::sync::{Arc, OnceLock};

/// Largest body of one PUT and largest part, in bytes (SIZE-2, MPU-2).
pub const BODY_BYTES_MAX: u64 = 5 << 30;

/// What a body was promised to be. A promise of nothing holds.
#[derive(Clone, Debug, Default)]
pub struct Promise {
    /// Its length in bytes.
    pub length: Option<u64>,
    /// Its MD5 (Content-MD5).
    pub md5: Option<[u8; 16]>,
    /// Its checksums. The first is kept with the object.
    pub sums: Vec<Sum>,
    /// The checksum that comes behind it (x-amz-trailer, SUM-13).
    pub trailer: Option<(ChecksumAlgorithm, Trailer)>,
    /// The checksum to keep where none is promised.
    pub keep: Option<ChecksumAlgorithm>,
}

/// Where whoever reads a body off the wire puts the checksum that came behind it. Clones are one place.
#[derive(Clone, Debug, Default)]
pub struct Trailer(Arc<OnceLock<Sum>>);

impl Trailer {
    /// One that waits for its checksum.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The checksum has come. To be told before the body says that it has ended; what comes later, or a second time, counts for
    /// nothing.
    pub fn tell(&self, sum: Sum) {
        // Only the first is taken.
        let _ = self.0.set(sum);
    }
}

impl Promise {
    /// The algorithm of the checksum that is kept; CRC64NVME needs no keeping, as every content has it (SUM-8).
    fn kept(&self) -> Option<ChecksumAlgorithm> {
        let promised = self.sums.first().map(Sum::algorithm).or(self.trailer.as_ref().map(|(algorithm, _)| *algorithm));
        promised.or(self.keep)
    }
}

/// A body that is looked at while it is read.
pub(super) struct Promised<'a> {
    body: &'a mut dyn Read,
    promise: &'a Promise,
    length: u64,
    md5: Md5,
    summers: Vec<(ChecksumAlgorithm, Summer)>,
}

/// What a body was that kept its promise.
pub(super) struct Sent {
    pub md5: [u8; 16],
    /// The checksum to keep.
    pub sum: Option<Sum>,
}

impl Sent {
    /// What is kept of it as an object of its own.
    pub(super) fn sums(&self) -> ObjectSums {
        let sum = self.sum.filter(|sum| sum.algorithm() != ChecksumAlgorithm::Crc64Nvme).map(ObjectSum::whole);
        ObjectSums { sum, ..ObjectSums::default() }
    }
}

impl<'a> Promised<'a> {
    pub(super) fn new(body: &'a mut dyn Read, promise: &'a Promise) -> Result<Self> {
        check_length(promise.length.unwrap_or(0))?;
        let mut algorithms: Vec<_> = promise.sums.iter().map(Sum::algorithm).chain(promise.kept()).collect();
        algorithms.extend(promise.trailer.as_ref().map(|(algorithm, _)| *algorithm));
        algorithms.sort_unstable();
        algorithms.dedup();
        let summers = algorithms.into_iter().map(|algorithm| (algorithm, Summer::new(algorithm))).collect();
        Ok(Self { body, promise, length: 0, md5: Md5::default(), summers })
    }

    /// Compares what came with what was promised.
    pub(super) fn kept(self) -> Result<Sent> {
        let Self { promise, length, .. } = self;
        check_length(length)?;
        if let Some(promised) = promise.length.filter(|promised| *promised != length) {
            let more = if length > promised { "more came" } else { "the body ended before" };
            return Err(incomplete(format!("{promised} bytes were promised (SIZE-6), {length} came: {more}")));
        }
        let sums: Vec<Sum> = self.summers.into_iter().map(|(_, summer)| summer.finish()).collect();
        let of = |algorithm| sums.iter().copied().find(|sum| sum.algorithm() == algorithm);
        let mut promised = promise.sums.clone();
        if let Some((algorithm, trailer)) = &promise.trailer {
            let told = trailer.0.get().filter(|sum| sum.algorithm() == *algorithm);
            promised.push(*told.ok_or_else(|| {
                incomplete(format!(
                    "the {} checksum that was announced did not come behind it (SUM-13)",
                    algorithm.name()
                ))
            })?);
        }
        for sum in promised {
            if let Some(seen) = of(sum.algorithm()).filter(|seen| *seen != sum) {
                return Err(bad_digest(format!("their {} is {seen}, {sum} was promised", sum.algorithm().name())));
            }
        }
        let md5 = self.md5.finish();
        if promise.md5.is_some_and(|promised| promised != md5) {
            return Err(bad_digest("their MD5 is not the one that was promised (SUM-6)".into()));
        }
        Ok(Sent { md5, sum: promise.kept().and_then(of) })
    }
}

impl Read for Promised<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        // What is too long already is not read to its end.
        if self.length > self.promise.length.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX) {
            return Ok(0);
        }
        let read = self.body.read(buf)?;
        let bytes = &buf[..read];
        self.length += read as u64;
        self.md5.update(bytes);
        self.summers.iter_mut().for_each(|(_, summer)| summer.update(bytes));
        Ok(read)
    }
}

/// Whether one body may have that many bytes (SIZE-2).
pub(super) fn check_length(length: u64) -> Result<()> {
    if length <= BODY_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(Kind::EntityTooLarge, "cannot take a body that long")
        .why(format!("one PUT and one part have at most {BODY_BYTES_MAX} bytes (SIZE-2)"))
        .mend("upload it in parts"))
}

fn incomplete(why: String) -> Error {
    Error::new(Kind::IncompleteBody, "cannot store the body").why(why).mend("send it again")
}

pub(super) fn bad_digest(why: String) -> Error {
    Error::new(Kind::BadDigest, "the bytes that came are not those that were promised").why(why).mend("send them again")
}
