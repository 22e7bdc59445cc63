//! Names of files and runs: which segment, where in it, who wrote it, and how long it may live.

use std::fmt;
use std::path::PathBuf;

macro_rules! file_id {
    ($(#[$doc:meta])* $name:ident in $dir:literal as $ext:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The `counter`-th file of the opening `epoch`.
            #[must_use]
            pub const fn new(epoch: u32, counter: u32) -> Self {
                Self((epoch as u64) << 32 | counter as u64)
            }

            /// The opening of the store that made the file.
            #[must_use]
            pub const fn epoch(self) -> u32 {
                (self.0 >> 32) as u32
            }

            /// Its number within that opening.
            #[must_use]
            pub const fn counter(self) -> u32 {
                self.0 as u32
            }

            /// Where the file lies below the log's directory.
            #[must_use]
            pub fn path(self) -> PathBuf {
                shard_path($dir, $ext, self.epoch(), self.counter())
            }

            /// Reads a file's name back; `None` when it is none of this kind.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                let stem = name.strip_suffix(concat!(".", $ext))?;
                let (epoch, counter) = (hex(stem.get(..8)?)?, hex(stem.get(9..)?)?);
                (stem.as_bytes()[8] == b'-').then_some(Self::new(epoch, counter))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}-{:08x}", self.epoch(), self.counter())
            }
        }
    };
}

file_id!(
    /// A segment file: high 32 bits the epoch (one for each opening of the store), low 32 bits a counter. Never
    /// reused.
    SegmentId in "seg" as "seg"
);
file_id!(
    /// A file that holds one object; numbered like segments and together with them.
    SoloId in "solo" as "obj"
);

impl SoloId {
    /// Where the file's checksums lie below the log's directory.
    #[must_use]
    pub fn sum_path(self) -> PathBuf {
        shard_path("solo", "sum", self.epoch(), self.counter())
    }
}

fn shard_path(dir: &str, ext: &str, epoch: u32, counter: u32) -> PathBuf {
    format!("{dir}/{:02x}/{epoch:08x}-{counter:08x}.{ext}", counter & 0xff).into()
}

fn hex(digits: &str) -> Option<u32> {
    let strict = digits.len() == 8 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if strict { u32::from_str_radix(digits, 16).ok() } else { None }
}

/// A file of the log, with what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LogFile {
    /// A segment.
    Segment(SegmentId),
    /// A one-object file, with its checksums.
    Solo(SoloId),
}

impl From<LogFile> for FileKey {
    fn from(file: LogFile) -> Self {
        match file {
            LogFile::Segment(id) => Self::Segment(id),
            LogFile::Solo(id) => Self::Solo(id),
        }
    }
}

/// A file of the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum FileKey {
    /// Many runs.
    Segment(SegmentId),
    /// The bytes of one object.
    Solo(SoloId),
    /// The checksums of one object.
    Sum(SoloId),
}

impl FileKey {
    pub(super) fn path(self) -> PathBuf {
        match self {
            Self::Segment(id) => id.path(),
            Self::Solo(id) => id.path(),
            Self::Sum(id) => id.sum_path(),
        }
    }

    /// The files that make a copy.
    pub(super) fn parts(self) -> Vec<Self> {
        match self {
            Self::Segment(_) => vec![self],
            Self::Solo(id) | Self::Sum(id) => vec![Self::Solo(id), Self::Sum(id)],
        }
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(id) => write!(f, "segment {id}"),
            Self::Solo(id) => write!(f, "solo file {id}"),
            Self::Sum(id) => write!(f, "checksums of solo file {id}"),
        }
    }
}

/// Where bytes lie: `len` plain bytes, written as one run at `offset` of a segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Run {
    /// The file.
    pub segment: SegmentId,
    /// Byte of the file at which the run's header begins; a multiple of 8.
    pub offset: u32,
    /// Plain bytes, 1 to [`RUN_BYTES_MAX`](super::RUN_BYTES_MAX).
    pub len: u32,
}

/// Where runs that were appended one behind the other lie: in which segments, from which byte, and how many bytes at least.
pub fn stretches(runs: &[Run]) -> impl Iterator<Item = (SegmentId, u64, u64)> {
    let stretch = |same: &[Run]| {
        let (first, last) = (same.first()?, same.last()?);
        Some((first.segment, u64::from(first.offset), u64::from(last.offset - first.offset) + u64::from(last.len)))
    };
    runs.chunk_by(|one, other| one.segment == other.segment).filter_map(stretch)
}

/// Who wrote a run. Kept for salvage only: names may be stale after renames, and copies share runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Owner<'a> {
    /// Inode number of the first writer.
    pub ino: u64,
    /// Content the bytes were written for: of two of one file the later has the larger number. 0 when nobody said.
    pub seq: u64,
    /// Where in the object the run's first byte lies.
    pub logical: u64,
    /// The state of the object then.
    pub written: Written,
    /// Bucket and key; of more than 1 KiB the end is kept.
    pub key_tail: &'a [u8],
}

/// The state of a content when a part of it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Written {
    /// Bytes of the object.
    pub length: u64,
    /// The content that shows where nothing was written; 0 for zeros.
    pub base: u64,
    /// When: seconds since 1970.
    pub time: u32,
    /// Counts the writes of one content: what was written later lies above. 24 bits are kept.
    pub order: u32,
    /// Whether the content was complete with it.
    pub last: bool,
    /// Whether these are no bytes of an object, but a [note](super::format::note).
    pub note: bool,
}

/// An [`Owner`] as it was found in the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Owned {
    /// See [`Owner::ino`].
    pub ino: u64,
    /// See [`Owner::seq`].
    pub seq: u64,
    /// See [`Owner::logical`].
    pub logical: u64,
    /// See [`Owner::written`].
    pub written: Written,
    /// See [`Owner::key_tail`].
    pub key_tail: Vec<u8>,
}

impl Owned {
    /// The same, to be written once more.
    #[must_use]
    pub fn as_owner(&self) -> Owner<'_> {
        Owner { ino: self.ino, seq: self.seq, logical: self.logical, written: self.written, key_tail: &self.key_tail }
    }
}

/// What is expected of the data's life. Runs that die together share files, so that whole files can go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Class {
    /// Nothing is known.
    #[default]
    Hot,
    /// Parts of uploads not yet complete.
    Upload,
    /// Survivors of so many compactions.
    Aged(u8),
    /// Archived.
    Cold,
    /// Expires by a lifecycle rule on this day since 1970 (24 bits are kept).
    Expires(u32),
    /// Under retention until this month since 1970 (24 bits are kept).
    Held(u32),
    /// [Notes](super::format::note) alone: no data is among them, so they stay when that goes.
    Notes,
}

const CLASS_VALUE: u32 = 0x00ff_ffff;

impl Class {
    /// The number stored in files: kind in the high byte, value below.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Hot => 0,
            Self::Upload => 1 << 24,
            Self::Aged(times) => 2 << 24 | times as u32,
            Self::Cold => 3 << 24,
            Self::Expires(day) => 4 << 24 | day & CLASS_VALUE,
            Self::Held(month) => 5 << 24 | month & CLASS_VALUE,
            Self::Notes => 6 << 24,
        }
    }

    /// The class of a stored number.
    #[must_use]
    pub const fn from_code(code: u32) -> Option<Self> {
        let value = code & CLASS_VALUE;
        match (code >> 24, value) {
            (0, 0) => Some(Self::Hot),
            (1, 0) => Some(Self::Upload),
            (2, 0..=255) => Some(Self::Aged(value as u8)),
            (3, 0) => Some(Self::Cold),
            (4, _) => Some(Self::Expires(value)),
            (5, _) => Some(Self::Held(value)),
            (6, 0) => Some(Self::Notes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, FileKey, SegmentId, SoloId};
    use std::path::Path;

    #[test]
    fn file_names_read_back() {
        let id = SegmentId::new(0x1f, 0xabcd);
        assert_eq!(id.path(), Path::new("seg/cd/0000001f-0000abcd.seg"));
        assert_eq!(SegmentId::parse("0000001f-0000abcd.seg"), Some(id));
        assert_eq!(SoloId::parse("0000001f-0000abcd.obj"), Some(SoloId(id.0)));
        assert_eq!(FileKey::Sum(SoloId(id.0)).path(), Path::new("solo/cd/0000001f-0000abcd.sum"));
        for bad in [
            "",
            ".seg",
            "0000001f-0000abcd",
            "0000001F-0000abcd.seg",
            "0000001f_0000abcd.seg",
            "+000001f-0000abcd.seg",
            "0000001f-0000abcde.seg",
            "ééééé.seg",
        ] {
            assert_eq!(SegmentId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn classes_read_back() {
        let dated = [Class::Expires(20_800), Class::Held(700)];
        for class in [Class::Hot, Class::Upload, Class::Aged(3), Class::Cold, Class::Notes].into_iter().chain(dated) {
            assert_eq!(Class::from_code(class.code()), Some(class));
        }
        assert_eq!(Class::from_code(u32::MAX), None);
    }
}
