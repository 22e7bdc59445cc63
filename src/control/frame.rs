//! Frames on the socket: four bytes of length, little endian, then that many bytes of JSON.

use crate::model::{Error, Kind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{Read, Write};

/// Longest frame in either direction: room for the largest bucket document several times over.
pub const FRAME_BYTES_MAX: usize = 4 << 20;

/// Writes one frame.
///
/// # Errors
/// [`Kind::Io`] when the other end is gone, [`Kind::EntityTooLarge`] over [`FRAME_BYTES_MAX`].
pub fn write_frame(to: &mut impl Write, value: &impl Serialize) -> Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)
        .map_err(|error| Error::new(Kind::InvalidArgument, "cannot write a frame").why(error.to_string()))?;
    let length = frame.len() - 4;
    if length > FRAME_BYTES_MAX {
        return Err(Error::new(Kind::EntityTooLarge, "cannot send that over the store's socket")
            .why(format!("it takes {length} bytes, a frame has at most {FRAME_BYTES_MAX}")));
    }
    frame[..4].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    to.write_all(&frame).and_then(|()| to.flush()).map_err(|error| Error::io("cannot write to the socket", error))
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
/// [`Kind::InvalidArgument`] for bytes that are no frame of this kind, [`Kind::Io`] when the stream breaks.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>> {
    let mut length = [0; 4];
    if !fill(from, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(malformed(format!("it claims {length} bytes, a frame has at most {FRAME_BYTES_MAX}")));
    }
    // Grown as bytes arrive: a claim alone takes no memory.
    let mut frame = Vec::new();
    let taken = from.take(length as u64).read_to_end(&mut frame).map_err(broken)?;
    if taken < length {
        return Err(malformed(format!("it ends after {taken} of {length} bytes")));
    }
    serde_json::from_slice(&frame).map(Some).map_err(|error| malformed(error.to_string()))
}

/// Fills the buffer; false when the stream ended before its first byte.
fn fill(from: &mut impl Read, buf: &mut [u8]) -> Result<bool> {
    let mut filled = 0;
    while filled < buf.len() {
        match from.read(&mut buf[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(malformed("it ends within its length".to_owned())),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
    Ok(true)
}

fn malformed(why: String) -> Error {
    Error::new(Kind::InvalidArgument, "cannot read a frame from the socket").why(why)
}

fn broken(error: std::io::Error) -> Error {
    Error::io("cannot read from the socket", error)
}

#[cfg(test)]
mod tests {
    use super::{FRAME_BYTES_MAX, read_frame, write_frame};
    use crate::control::{Envelope, Request};
    use crate::model::Kind;

    #[test]
    fn frames_read_back_as_written_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        let sent = Envelope::new(Request::Buckets);
        write_frame(&mut bytes, &sent).unwrap();
        assert_eq!(read_frame::<Envelope>(&mut bytes.as_slice()).unwrap(), Some(sent));
        assert_eq!(read_frame::<Envelope>(&mut [].as_slice()).unwrap(), None);
        for cut in 1..bytes.len() {
            assert!(read_frame::<Envelope>(&mut &bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn bytes_that_are_no_frame_are_an_error() {
        let over = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
        for bad in [&[0xff; 64][..], &over, b"\x02\0\0\0{}", b"\x04\0\0\0null", b"\0\0\0\0", b"\x01\0\0\0\xff"] {
            assert_eq!(read_frame::<Envelope>(&mut &*bad).unwrap_err().kind(), Kind::InvalidArgument, "{bad:?}");
        }
    }
}
