//! The record of a block device's writes, in the format of dm-log-writes that QEMU's blklogwrites keeps.
//!
//! Little-endian. Sector 0 begins with magic, version, number of entries (each `u64`) and bytes of a log sector (`u32`).
//! An entry is a log sector that begins with place and length in log sectors, flags and length of a mark's text (each
//! `u64`), and the bytes written behind it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;

/// One request to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// First byte on the device and number of bytes.
    pub at: u64,
    pub len: u64,
    /// What was written before is durable.
    pub flush: bool,
    /// What this writes is durable by itself.
    pub fua: bool,
    /// The bytes are zeros from now on; none are in the log.
    pub discard: bool,
    /// Where in the log its bytes begin.
    data: u64,
}

/// A log that is complete up to the number of entries it told of.
#[derive(Debug)]
pub struct Log {
    file: File,
    pub entries: Vec<Entry>,
}

fn number(bytes: &[u8], at: usize) -> Result<u64, String> {
    let bytes = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_le_bytes).ok_or_else(|| "the log ends too early".to_owned())
}

/// Entries in the log so far, and bytes of a log sector.
fn count(file: &File) -> Result<(u64, u64), String> {
    let mut sector = [0; 28];
    file.read_exact_at(&mut sector, 0).map_err(|error| format!("the log has no first sector: {error}"))?;
    if number(&sector, 0)? != MAGIC || number(&sector, 8)? != VERSION {
        return Err("this is no log of writes".to_owned());
    }
    let bytes = u64::from(u32::from_le_bytes([sector[24], sector[25], sector[26], sector[27]]));
    if !(512..=65_536).contains(&bytes) || !bytes.is_power_of_two() {
        return Err(format!("a log sector cannot have {bytes} bytes"));
    }
    Ok((number(&sector, 16)?, bytes))
}

/// How many requests the device has had.
pub fn position(path: &Path) -> usize {
    let file = File::open(path).unwrap();
    usize::try_from(count(&file).unwrap().0).unwrap()
}

impl Log {
    /// Reads where everything is; a log that contradicts itself or its file is an error.
    pub fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("cannot open the log: {error}"))?;
        let end = file.metadata().map_err(|error| format!("cannot read the log: {error}"))?.len();
        let (count, sector) = count(&file)?;
        if count > end / sector {
            return Err(format!("{count} entries do not fit into {end} bytes"));
        }
        let mut entries = Vec::new();
        let mut at = sector;
        for n in 0..count {
            let bad = |what: &str| format!("entry {n} of {count}: {what}");
            let mut head = [0; 32];
            file.read_exact_at(&mut head, at).map_err(|_| bad("the log ends too early"))?;
            let (place, sectors, flags) = (number(&head, 0)?, number(&head, 8)?, number(&head, 16)?);
            if flags & !(FLUSH | FUA | DISCARD | MARK) != 0 {
                return Err(bad(&format!("unknown flags {flags:#x}")));
            }
            let bytes = |sectors: u64| sectors.checked_mul(sector).ok_or_else(|| bad("it is too long"));
            let (place, len) = (bytes(place)?, bytes(sectors)?);
            place.checked_add(len).ok_or_else(|| bad("it is too long"))?;
            let data = at + sector;
            let behind = match flags {
                flags if flags & DISCARD != 0 => 0,
                flags if flags & MARK != 0 => number(&head, 24)?.checked_next_multiple_of(sector).unwrap_or(u64::MAX),
                _ => len,
            };
            at = data.checked_add(behind).filter(|at| *at <= end).ok_or_else(|| bad("the log ends too early"))?;
            if flags & MARK == 0 {
                let is = |flag| flags & flag != 0;
                entries.push(Entry { at: place, len, flush: is(FLUSH), fua: is(FUA), discard: is(DISCARD), data });
            } else {
                entries.push(Entry { at: 0, len: 0, flush: false, fua: false, discard: false, data });
            }
        }
        Ok(Self { file, entries })
    }

    /// What an entry wrote.
    pub fn bytes(&self, entry: &Entry) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; usize::try_from(entry.len).map_err(|_| "an entry is too long".to_owned())?];
        if !entry.discard {
            self.file.read_exact_at(&mut bytes, entry.data).map_err(|error| format!("cannot read the log: {error}"))?;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of entries: place, sectors, flags and bytes.
    fn log(entries: &[(u64, u64, u64, &[u8])]) -> Vec<u8> {
        let mut log = [MAGIC, VERSION, entries.len() as u64].map(u64::to_le_bytes).concat();
        log.extend(512_u32.to_le_bytes());
        log.resize(512, 0);
        for (at, sectors, flags, bytes) in entries {
            let end = log.len() + 512;
            log.extend([*at, *sectors, *flags, 0].map(u64::to_le_bytes).concat());
            log.resize(end, 0);
            log.extend_from_slice(bytes);
        }
        log
    }

    fn read(bytes: &[u8]) -> Result<Log, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Log::read(file.path())
    }

    #[test]
    fn a_log_is_read_as_it_was_written() {
        let bytes = log(&[(3, 2, 0, &[7; 1024]), (0, 0, FLUSH, &[]), (8, 4, DISCARD, &[]), (1, 1, FUA, &[9; 512])]);
        let log = read(&bytes).unwrap();
        let what: Vec<_> = log.entries.iter().map(|e| (e.at, e.len, e.flush, e.fua, e.discard)).collect();
        let write = (1536, 1024, false, false, false);
        let flush = (0, 0, true, false, false);
        assert_eq!(what, [write, flush, (4096, 2048, false, false, true), (512, 512, false, true, false)]);
        assert_eq!(log.bytes(&log.entries[0]).unwrap(), [7; 1024]);
        assert_eq!(log.bytes(&log.entries[2]).unwrap(), [0; 2048]);
        assert_eq!(log.bytes(&log.entries[3]).unwrap(), [9; 512]);
    }

    #[test]
    fn a_bad_log_is_an_error() {
        let good = log(&[(3, 2, 0, &[7; 1024]), (0, 0, FLUSH, &[])]);
        for len in (0..good.len()).step_by(15) {
            assert!(read(&good[..len]).is_err(), "cut to {len} bytes");
        }
        for (at, value) in [(0, 1), (8, 2), (24, 3), (23, 0xff), (512 + 7, 0xff), (512 + 15, 0xff), (512 + 16, 0x10)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert!(read(&bad).is_err(), "byte {at} is {value}");
        }
        let mut mark = log(&[(0, 0, MARK, &[])]);
        mark[512 + 24..512 + 32].fill(0xff);
        assert!(read(&mark).is_err());
    }

    /// Whatever a byte is changed to, reading ends.
    #[test]
    fn no_byte_of_a_log_makes_its_reader_panic() {
        let good = log(&[(3, 2, 0, &[7; 1024]), (0, 0, FLUSH, &[]), (1, 1, DISCARD, &[])]);
        for at in (0..32).chain(512..544).chain(2048..2080) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                if let Ok(log) = read(&bad) {
                    let short = log.entries.iter().filter(|entry| entry.len < 1 << 20);
                    short.for_each(|entry| drop(log.bytes(entry)));
                }
            }
        }
    }
}
