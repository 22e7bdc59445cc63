//! What tells zones apart: the file `ZONE` in each, and the list of zones in the store's own directory.
//!
//! Both are a few lines of text, written whole under another name and renamed. The layout is in `FORMAT.md`.

use super::super::durable::is_exhausted;
use super::{HOME, Zone};
use crate::crypto::hex;
use crate::model::{Error, Kind, Result};
use crate::sys::disk::{Access, Disk, replace_whole};
use crc32fast::hash;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The file that makes a directory a zone.
const SIGN: &str = "ZONE";
const SIGN_NEW: &str = "ZONE.new";
/// Locked by the process that uses the zone.
pub(super) const LOCK: &str = "LOCK";
/// The zones that a store knows, in its own directory.
const LIST: &str = "zones";
const VERSION: &str = "1";
/// Either file has a line for each zone at most, and names are short.
const BYTES_MAX: usize = 64 << 10;
/// What file systems put into their top by themselves, and what the making of a zone leaves that did not come to its end.
const LEFT: [&str; 3] = ["lost+found", SIGN_NEW, LOCK];

/// What a directory is that should be a zone.
pub(super) enum Found {
    /// This zone.
    Ours(Sign),
    /// Nothing is in it, as in a place where a disk is not mounted.
    Empty,
    /// It is not there.
    Missing,
    /// Something else, and what.
    Other(&'static str),
    /// It cannot be read.
    Unread(io::Error),
}

/// What a zone says of itself beside the store and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sign {
    /// The how manieth directory it is that is taken for this zone, from 1.
    pub(super) disk: u32,
    /// The last opening of the store that wrote to it.
    pub(super) opened: u32,
}

impl Found {
    /// Whether it says nothing of the zone, since this process has used up what the system gives it.
    pub(super) fn is_moot(&self) -> bool {
        matches!(self, Self::Unread(error) if is_exhausted(error))
    }

    /// Why it is not the zone.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Ours(_) => String::new(),
            Self::Empty => "its directory is empty: is its disk mounted?".to_owned(),
            Self::Missing => "its directory is not there".to_owned(),
            Self::Other(what) => (*what).to_owned(),
            Self::Unread(error) => error.to_string(),
        }
    }
}

/// What the root of `disk` is.
pub(super) fn find(disk: &dyn Disk, store: &[u8; 16], name: &str) -> Found {
    match read(disk, SIGN) {
        Ok(text) if text.starts_with(&head(store, name)) => match parse_sign(&text, store, name) {
            Some(sign) => Found::Ours(sign),
            None => Found::Other("its ZONE file is damaged"),
        },
        Ok(text) if text.starts_with(&format!("keyfold zone {VERSION}\n")) => {
            Found::Other("its ZONE file is that of another zone or store")
        }
        Ok(_) => Found::Other("its ZONE file is damaged, or of a later release"),
        Err(error) if error.kind() == ErrorKind::NotFound => match disk.list(Path::new("")) {
            Ok(entries) if entries.iter().all(|entry| LEFT.contains(&entry.name.as_str())) => Found::Empty,
            Ok(_) => Found::Other("its directory has no ZONE file, and other files"),
            Err(error) if error.kind() == ErrorKind::NotFound => Found::Missing,
            Err(error) => Found::Unread(error),
        },
        Err(error) => Found::Unread(error),
    }
}

/// Makes the root of `disk` this zone.
pub(super) fn make(disk: &dyn Disk, store: &[u8; 16], name: &str, sign: Sign) -> io::Result<()> {
    replace_whole(disk, Path::new(SIGN), sign_text(store, name, sign).as_bytes())
}

fn head(store: &[u8; 16], name: &str) -> String {
    format!("keyfold zone {VERSION}\nstore {}\nname {name}\n", hex(store))
}

fn sign_text(store: &[u8; 16], name: &str, Sign { disk, opened }: Sign) -> String {
    format!("{}disk {disk}\nopened {opened:08x}\n", head(store, name))
}

fn parse_sign(text: &str, store: &[u8; 16], name: &str) -> Option<Sign> {
    let mut lines = text.strip_prefix(&head(store, name))?.lines();
    let disk = lines.next()?.strip_prefix("disk ")?.parse().ok()?;
    let opened = u32::from_str_radix(lines.next()?.strip_prefix("opened ")?, 16).ok()?;
    Some(Sign { disk, opened }).filter(|sign| sign_text(store, name, *sign) == text)
}

/// A zone as the store's list has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    /// How many directories were taken for it, of which the last counts; before the first, an empty one is no lost zone.
    pub(super) disks: u32,
    /// Files from this number on may not be whole in it.
    pub(super) doubted: Option<u64>,
    /// See [`Signed`].
    pub(super) signed: Signed,
}

/// The openings one of which this store's zone names as the last that wrote to it: that which it named before, and the one whose
/// attempt to write itself there may not have come to its end. One that names another was written to by another store of this id.
pub(super) type Signed = [u32; 2];

/// The zones that the store knows; none when it never had any.
///
/// # Errors
/// [`Kind::Corrupt`] when the list is damaged, or what the disk says.
pub(super) fn listed(home: &dyn Disk, store: &[u8; 16]) -> Result<Vec<Listed>> {
    let text = match read(home, LIST) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("cannot read the list of zones", error)),
    };
    parse(&text, store).ok_or_else(|| {
        Error::new(Kind::Corrupt, "cannot read the list of zones")
            .why("the file `zones` in the store is damaged, or of another store")
            .mend("move it out of the store: the zones of its keyfold.toml, which must all be there, then say themselves what they are")
    })
}

/// What zones say of themselves in place of a list that is gone: nobody knows since when they may not be whole.
///
/// # Errors
/// [`Kind::StoreUnavailable`] when one of them is not there.
pub(super) fn listed_by_themselves(zones: &[Zone], store: &[u8; 16]) -> Result<Vec<Listed>> {
    let zone = |zone: &Zone| match find(&*zone.disk, store, &zone.name) {
        Found::Ours(sign) => {
            Ok(Listed { name: zone.name.clone(), disks: sign.disk, doubted: Some(0), signed: [sign.opened; 2] })
        }
        found => Err(Error::new(Kind::StoreUnavailable, format!("cannot open the store without zone {}", zone.name))
            .why(format!("the store has lost its list of zones, and {}", found.why()))
            .mend("mount its disk, or take it out of the store's keyfold.toml")),
    };
    let home = Listed { name: HOME.to_owned(), disks: 0, doubted: Some(0), signed: [0; 2] };
    std::iter::once(Ok(home)).chain(zones.iter().map(zone)).collect()
}

/// Whether the store ever had zones, in which files may lie.
#[must_use]
pub fn has_zone_list(home: &dyn Disk) -> bool {
    !matches!(home.file_len(Path::new(LIST)), Ok(None))
}

fn parse(text: &str, store: &[u8; 16]) -> Option<Vec<Listed>> {
    let (body, crc) = text.trim_end_matches('\n').rsplit_once("\ncrc ")?;
    let mut lines = body.lines();
    let head = [format!("keyfold zones {VERSION}"), format!("store {}", hex(store))];
    if u32::from_str_radix(crc, 16) != Ok(hash(body.as_bytes())) || !head.iter().all(|line| lines.next() == Some(line))
    {
        return None;
    }
    let zone = |line: &str| {
        let mut words = line.split(' ');
        let (name, disks, doubted) = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?);
        let doubted = if doubted == "-" { None } else { Some(u64::from_str_radix(doubted, 16).ok()?) };
        let mut opened = || u32::from_str_radix(words.next()?, 16).ok();
        let signed = [opened()?, opened()?];
        Some(Listed { name, disks, doubted, signed })
    };
    lines.map(zone).collect()
}

/// Writes the list and syncs it.
pub(super) fn write_list(home: &dyn Disk, store: &[u8; 16], zones: &[Listed]) -> io::Result<()> {
    let mut text = format!("keyfold zones {VERSION}\nstore {}", hex(store));
    for Listed { name, disks, doubted, signed: [before, last] } in zones {
        let doubted = doubted.map_or_else(|| "-".to_owned(), |from| format!("{from:016x}"));
        let _ = write!(text, "\n{name} {disks} {doubted} {before:08x} {last:08x}");
    }
    let crc = hash(text.as_bytes());
    let _ = writeln!(text, "\ncrc {crc:08x}");
    replace_whole(home, Path::new(LIST), text.as_bytes())
}

fn read(disk: &dyn Disk, name: &str) -> io::Result<String> {
    // Past the system's cache, which would show a disk that is gone.
    let file = disk.open(Path::new(name), Access::Direct)?;
    let mut bytes = vec![0; BYTES_MAX];
    let len = file.read_at(0, &mut bytes)?;
    bytes.truncate(len);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Found, Listed, Sign, find, listed, make, write_list};
    use crate::model::Kind;
    use crate::sys::disk::{Disk, MemDisk};
    use std::path::Path;

    const STORE: [u8; 16] = *b"0123456789abcdef";

    #[test]
    fn a_zone_is_told_from_an_empty_directory_and_from_anybody_elses() {
        let disk = MemDisk::new();
        assert!(matches!(find(&disk, &STORE, "fast"), Found::Empty));
        let sign = Sign { disk: 2, opened: 7 };
        make(&disk, &STORE, "fast", sign).unwrap();
        assert!(matches!(find(&disk, &STORE, "fast"), Found::Ours(found) if found == sign));
        assert!(matches!(find(&disk, &STORE, "slow"), Found::Other(_)));
        assert!(matches!(find(&disk, &[7; 16], "fast"), Found::Other(_)));
        let whole = disk.contents(Path::new("ZONE")).unwrap();
        for at in 0..whole.len() {
            disk.tamper(Path::new("ZONE"), |bytes| {
                bytes.clone_from(&whole);
                bytes[at] ^= 0x40;
            })
            .unwrap();
            assert!(matches!(find(&disk, &STORE, "fast"), Found::Other(_)), "{at}");
        }
        disk.remove(Path::new("ZONE")).unwrap();
        disk.create_new(Path::new("letter.txt")).unwrap();
        assert!(matches!(find(&disk, &STORE, "fast"), Found::Other(_)));
    }

    #[test]
    fn both_files_are_as_the_format_says() {
        let disk = MemDisk::new();
        make(&disk, &STORE, "fast", Sign { disk: 1, opened: 7 }).unwrap();
        let zone = |name: &str, doubted| Listed { name: name.into(), disks: 1, doubted, signed: [6, 7] };
        write_list(&disk, &STORE, &[zone("fast", None), zone("slow", Some(7 << 32 | 1))]).unwrap();
        for name in ["ZONE", "zones"] {
            let text = String::from_utf8(disk.contents(Path::new(name)).unwrap()).unwrap();
            assert!(include_str!("../FORMAT.md").contains(&format!("```text\n{text}```")), "{text}");
        }
    }

    #[test]
    fn the_list_reads_back_or_says_that_it_is_damaged() {
        let disk = MemDisk::new();
        assert_eq!(listed(&disk, &STORE).unwrap(), []);
        let zones = [
            Listed { name: "fast".into(), disks: 1, doubted: None, signed: [1 << 31, 7] },
            Listed { name: "s-1".into(), disks: 0, doubted: Some(7 << 32 | 1), signed: [0; 2] },
        ];
        for zones in [&zones[..], &[]] {
            write_list(&disk, &STORE, zones).unwrap();
            assert_eq!(listed(&disk, &STORE).unwrap(), zones);
        }
        assert_eq!(listed(&disk, &[7; 16]).unwrap_err().kind(), Kind::Corrupt);
        write_list(&disk, &STORE, &zones).unwrap();
        let whole = disk.contents(Path::new("zones")).unwrap();
        for at in 0..whole.len() - 1 {
            disk.tamper(Path::new("zones"), |bytes| {
                bytes.clone_from(&whole);
                bytes[at] ^= 1;
            })
            .unwrap();
            assert_eq!(listed(&disk, &STORE).unwrap_err().kind(), Kind::Corrupt, "{at}");
        }
    }
}
