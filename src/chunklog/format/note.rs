//! The payload of a note: what an index built from the log alone has to know and bytes of objects do not tell.

use super::{Fields, Flaw};

/// Bytes before what a note tells.
pub const NOTE_HEAD_BYTES: usize = 8;
/// Bytes of a stretch.
pub const STRETCH_BYTES: usize = 32;

/// A stretch of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stretch {
    /// Where it begins.
    pub at: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The content it shows; 0 for zeros.
    pub content: u64,
    /// Where in that the stretch begins.
    pub from: u64,
}

/// What a note tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// These stretches of its content lie elsewhere, over all that was written.
    Stretches(Vec<Stretch>),
    /// The content below has its key too.
    Name,
    /// What had this bucket and key has its key from now on; with a `/` at its end, everything that begins so.
    Moved(Vec<u8>),
    /// These contents have no name any more.
    Gone(Vec<u64>),
    /// The content below got its key with this number, and not with its own: others came between.
    Placed,
}

const STRETCHES: u32 = 1;
const NAME: u32 = 2;
const MOVED: u32 = 3;
const GONE: u32 = 4;
const PLACED: u32 = 5;

impl Note {
    /// The payload.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Stretches(_) => STRETCHES,
            Self::Name => NAME,
            Self::Moved(_) => MOVED,
            Self::Gone(_) => GONE,
            Self::Placed => PLACED,
        };
        let mut out = kind.to_le_bytes().to_vec();
        out.resize(NOTE_HEAD_BYTES, 0);
        match self {
            Self::Name | Self::Placed => {}
            Self::Moved(from) => out.extend_from_slice(from),
            Self::Gone(contents) => contents.iter().for_each(|content| out.extend_from_slice(&content.to_le_bytes())),
            Self::Stretches(stretches) => {
                for stretch in stretches {
                    for number in [stretch.at, stretch.len, stretch.content, stretch.from] {
                        out.extend_from_slice(&number.to_le_bytes());
                    }
                }
            }
        }
        out
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// The flaw, when it is no note of this release.
    pub fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut fields = Fields(bytes);
        let kind = fields.u32()?;
        fields.u32()?;
        match kind {
            STRETCHES => {
                let mut out = Vec::with_capacity(bytes.len() / STRETCH_BYTES);
                while !fields.0.is_empty() {
                    let (at, len, content, from) = (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
                    if at.checked_add(len).is_none() || from.checked_add(len).is_none() {
                        return Err(Flaw::Shape("stretch"));
                    }
                    out.push(Stretch { at, len, content, from });
                }
                Ok(Self::Stretches(out))
            }
            NAME => Ok(Self::Name),
            PLACED => Ok(Self::Placed),
            MOVED => Ok(Self::Moved(fields.0.to_vec())),
            GONE => {
                let mut out = Vec::with_capacity(bytes.len() / 8);
                while !fields.0.is_empty() {
                    out.push(fields.u64()?);
                }
                Ok(Self::Gone(out))
            }
            _ => Err(Flaw::Newer("kind of note")),
        }
    }
}
