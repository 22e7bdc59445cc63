//! The key file: made once, on first use, and read by whoever opens a secret.

use crate::crypto::{Sealer, hex};
use crate::model::{Error, Result};
use crate::store::ACCESS_KEY_FILE;
use crate::sys::disk::{Access, Disk, replace_whole};
use crate::sys::entropy::Entropy;
use parking_lot::Mutex;
use std::io::{self, ErrorKind};
use std::path::Path;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
/// Hexadecimal digits and the end of the line.
const FILE_BYTES: usize = 2 * KEY_BYTES + 1;

/// Held by who makes a file: one process owns a store, and its threads may come at once.
static MAKING: Mutex<()> = Mutex::new(());

/// What the file's key seals with; nothing while there is no file.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub(super) fn read(disk: &dyn Disk) -> Result<Option<Sealer>> {
    let read = || -> io::Result<Zeroizing<Vec<u8>>> {
        let file = disk.open(Path::new(ACCESS_KEY_FILE), Access::Read)?;
        // One byte more shows what is too long.
        let mut text = Zeroizing::new(vec![0; FILE_BYTES + 1]);
        let len = file.read_at(0, &mut text)?;
        text.truncate(len);
        Ok(text)
    };
    match read() {
        Ok(text) => parse(&text).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("cannot read {ACCESS_KEY_FILE}"), error)),
    }
}

/// The same; without a file one is made, durable when this returns.
///
/// # Errors
/// When it can be neither read nor made.
pub(super) fn read_or_make(disk: &dyn Disk, entropy: &dyn Entropy) -> Result<Sealer> {
    let _making = MAKING.lock();
    if let Some(sealer) = read(disk)? {
        return Ok(sealer);
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    entropy.fill(key.as_mut_slice())?;
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex(key.as_slice()))));
    replace_whole(disk, Path::new(ACCESS_KEY_FILE), text.as_bytes())
        .map_err(|error| Error::io(format!("cannot make {ACCESS_KEY_FILE}"), error))?;
    Ok(Sealer::new(&key))
}

fn parse(text: &[u8]) -> Result<Sealer> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let digits = text.strip_suffix(b"\n").filter(|digits| digits.len() == 2 * KEY_BYTES);
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let read = digits.is_some_and(|digits| {
        key.iter_mut().zip(digits.chunks(2)).all(|(byte, pair)| match (digit(pair[0]), digit(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
    });
    if read { Ok(Sealer::new(&key)) } else { Err(damaged("it is not 64 hexadecimal digits and a line end")) }
}

/// That secrets cannot be opened, and what can be done.
pub(super) fn damaged(why: &'static str) -> Error {
    Error::corrupt(format!("cannot use {ACCESS_KEY_FILE}"), why).mend(
        "put the file back from a backup of this store; or move it away, delete the access keys and make new ones",
    )
}

#[cfg(test)]
mod tests {
    use super::{ACCESS_KEY_FILE, read, read_or_make};
    use crate::model::Kind;
    use crate::sys::disk::{Disk, MemDisk};
    use crate::sys::entropy::SystemEntropy;
    use std::path::Path;

    fn put(disk: &dyn Disk, name: &str, text: &str) {
        let _ = disk.remove(Path::new(name));
        disk.create_new(Path::new(name)).unwrap().write_at(0, text.as_bytes()).unwrap();
    }

    #[test]
    fn it_is_made_once_and_seals_the_same_when_it_is_read() {
        let disk = MemDisk::new();
        assert!(read(&disk).unwrap().is_none());
        // What a crash left stands in nobody's way.
        put(&disk, "access.key.new", "half");
        let sealed = read_or_make(&disk, &SystemEntropy).unwrap().seal(&[0; 12], b"", b"secret").unwrap();
        for sealer in [read_or_make(&disk, &SystemEntropy).unwrap(), read(&disk).unwrap().unwrap()] {
            assert_eq!(sealer.open(&[0; 12], b"", &sealed).unwrap().as_slice(), b"secret");
        }
    }

    #[test]
    fn a_damaged_one_is_told_of_and_never_replaced() {
        let good = format!("{}\n", "0a".repeat(32));
        let disk = MemDisk::new();
        put(&disk, ACCESS_KEY_FILE, &good);
        assert!(read(&disk).is_ok());
        for bad in ["", "\n", &good[1..], &format!("{good}\n"), &good.replace('a', "g"), &"0a".repeat(32)] {
            put(&disk, ACCESS_KEY_FILE, bad);
            assert_eq!(read(&disk).err().unwrap().kind(), Kind::Corrupt, "{bad:?}");
            assert!(read_or_make(&disk, &SystemEntropy).is_err(), "{bad:?}");
        }
    }
}
