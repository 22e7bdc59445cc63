//! Bytes on disk: encoders, and decoders that answer arbitrary bytes with a value or a [`Flaw`], never a panic.
//! The layout is drawn in `FORMAT.md`.

pub mod footer;
pub mod header;
pub mod journal;
pub mod note;
pub mod run;
pub mod sum;

use super::id::{SegmentId, SoloId};
use crate::model::{Error, Kind};
use crc32fast::Hasher;
use std::borrow::Cow;
use std::fmt;

/// Version of the layout that this release writes.
pub const VERSION: u32 = 1;
/// Plain bytes of a frame, the unit of checking: 64 KiB. The last frame of a run or file may be shorter.
pub const FRAME_BYTES: u32 = 1 << FRAME_LOG2;
/// Logarithm of [`FRAME_BYTES`].
pub const FRAME_LOG2: u32 = 16;

/// Why bytes are not what they should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// There are fewer bytes than the structure has.
    Short,
    /// Something else begins here.
    Magic,
    /// The bytes changed, or belong elsewhere.
    Checksum,
    /// Whole, but of another store, file or place.
    Foreign,
    /// Whole, but written by a release that knows more than this one.
    Newer(&'static str),
    /// A field has a value that no writer writes.
    Shape(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it ends too early"),
            Self::Magic => f.write_str("it does not begin with the right magic number"),
            Self::Checksum => f.write_str("the checksum does not match"),
            Self::Foreign => f.write_str("it belongs to another store, file or place"),
            Self::Newer(what) => write!(f, "its {what} is unknown to this release"),
            Self::Shape(what) => write!(f, "its {what} is impossible"),
        }
    }
}

impl Flaw {
    /// The error that names `what` failed.
    pub(super) fn on(self, what: impl Into<Cow<'static, str>>) -> Error {
        match self {
            Self::Newer(_) => Error::new(Kind::StoreFormat, what)
                .why(self.to_string())
                .mend("open the store with the release that wrote it, or a later one"),
            _ => Error::corrupt(what, self.to_string()),
        }
    }
}

/// Checksums bound to a place: the same bytes elsewhere have another one.
///
/// A frame's crc starts from the crc of `store id | file id | domain | offset | part`. Two places of one file differ
/// in at most 64 successive bits of that, so their seeds differ unless chance (1 in 2^32) has it; places which differ
/// only in the offset, only in the part or only in the file's counter never share a seed.
#[derive(Clone)]
pub struct Binder(Hasher);

/// Parts of a run or a file which are not frames.
const PART_HEAD: u32 = u32::MAX;
const PART_DIRECTORY: u32 = u32::MAX - 1;
const PART_TRAILER: u32 = u32::MAX - 2;

impl Binder {
    /// For places in a segment.
    #[must_use]
    pub fn segment(store: &[u8; 16], id: SegmentId) -> Self {
        Self::new(store, id.0, b"segm")
    }

    /// For places in a one-object file.
    #[must_use]
    pub fn solo(store: &[u8; 16], id: SoloId) -> Self {
        Self::new(store, id.0, b"solo")
    }

    /// For places in the journal.
    #[must_use]
    pub fn journal(store: &[u8; 16]) -> Self {
        Self::new(store, 0, b"jour")
    }

    fn new(store: &[u8; 16], id: u64, domain: &[u8; 4]) -> Self {
        let mut base = Hasher::new();
        base.update(store);
        base.update(&id.to_le_bytes());
        base.update(domain);
        Self(base)
    }

    /// A hasher for the bytes of one part (a frame's number) of what begins at `offset`.
    #[must_use]
    pub fn hasher(&self, offset: u32, part: u32) -> Hasher {
        let mut seed = self.0.clone();
        seed.update(&(u64::from(offset) << 32 | u64::from(part)).to_le_bytes());
        Hasher::new_with_initial(seed.finalize())
    }

    /// The checksum of one part.
    #[must_use]
    pub fn crc(&self, offset: u32, part: u32, bytes: &[u8]) -> u32 {
        let mut hasher = self.hasher(offset, part);
        hasher.update(bytes);
        hasher.finalize()
    }

    /// The checksum of a structure but for the four bytes at `hole`, where it is kept itself.
    fn crc_around(&self, offset: u32, part: u32, bytes: &[u8], hole: usize) -> u32 {
        around(self.hasher(offset, part), bytes, hole)
    }
}

fn around(mut hasher: Hasher, bytes: &[u8], hole: usize) -> u32 {
    hasher.update(bytes.get(..hole).unwrap_or_default());
    hasher.update(bytes.get(hole + 4..).unwrap_or_default());
    hasher.finalize()
}

fn patch(bytes: &mut [u8], at: usize, crc: u32) {
    bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Reads fields one behind the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(Flaw::Short)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        self.bytes(N)?.try_into().map_err(|_| Flaw::Short)
    }

    fn u8(&mut self) -> Result<u8, Flaw> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Flaw> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Flaw> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Flaw> {
        self.array().map(u64::from_le_bytes)
    }

    fn magic(&mut self, magic: &[u8]) -> Result<(), Flaw> {
        if self.bytes(magic.len())? == magic { Ok(()) } else { Err(Flaw::Magic) }
    }
}

/// `a / b`, rounded up to a multiple of `unit`, a power of two.
const fn align(value: u64, unit: u64) -> u64 {
    (value + unit - 1) & !(unit - 1)
}
