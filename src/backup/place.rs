//! A backup directory: whose it is, who writes to it, and which generations it holds.

use crate::model::{Error, Kind, Result, Timestamp};
use crate::store::Identity;
use crate::sys::disk::plain_file;
use crate::sys::lock::LockFile;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MARKER: &str = "BACKUPS";
const LOCK: &str = "LOCK";
/// Ends names of files while they are written.
pub(super) const NEW: &str = ".new";
/// What may lie in a directory that becomes a backup directory.
const HARMLESS: &[&str] = &[LOCK, "BACKUPS.new", "lost+found"];
const PARTIAL: &str = ".partial-";
const DELETING: &str = ".deleting-";
const VERSION: u32 = 1;
/// `BACKUPS` is a few lines; `BACKUP` names damaged files.
const MARKER_BYTES_MAX: u64 = 64 << 10;
const RECORD_BYTES_MAX: u64 = 64 << 20;
/// In a generation: what is known of it.
pub(super) const RECORD: &str = "BACKUP";

#[derive(Serialize, Deserialize)]
struct Marker {
    keyfold_backups: u32,
    store: String,
}

/// What is known of a generation: its `BACKUP` file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// When its snapshot was made, RFC 3339.
    pub created: String,
    /// Its last commit.
    pub commit: u64,
    /// Files of it.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Of these files, those that no earlier generation had.
    pub new_files: u64,
    /// Bytes of those.
    pub new_bytes: u64,
    /// Whether it may share files with the store.
    pub linked: bool,
    /// Paths of files in which damage was met.
    pub damaged: Vec<String>,
}

impl Record {
    /// Reads a `BACKUP` file. It is for people: without it the generation is as good.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_else(|_| Self::unreadable())
    }

    fn unreadable() -> Self {
        Self { damaged: vec![RECORD.to_owned()], ..Self::default() }
    }
}

/// A complete generation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Its directory, a store that is only read.
    pub dir: PathBuf,
    /// What is known of it.
    pub record: Record,
    /// Instant and number in its name: generations in the order in which they were made.
    order: (String, u32),
}

/// A backup directory that this process may write to.
pub(super) struct Place {
    pub(super) dir: PathBuf,
    _lock: LockFile,
}

impl Place {
    /// Takes `dir`, which is absent, empty or holds backups of this store.
    pub(super) fn take(dir: &Path, store: &Identity) -> Result<Self> {
        let failed = |error| refused(dir, error);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        check(dir, store)?;
        let lock = LockFile::take(&dir.join(LOCK)).map_err(|error| match error.kind() {
            Kind::StoreBusy => Error::new(Kind::Conflict, cannot(dir))
                .why("another backup is being written there")
                .mend("try again when that has ended"),
            _ => Error::new(error.kind(), cannot(dir))
                .why(error.reason().to_owned())
                .mend("choose a directory that can be written to"),
        })?;
        if !check(dir, store)? {
            let marker = Marker { keyfold_backups: VERSION, store: store.uuid_text().to_owned() };
            let text = serde_json::to_string_pretty(&marker).unwrap_or_default() + "\n";
            write(&dir.join(MARKER), text.as_bytes()).map_err(failed)?;
            sync_dir(dir).map_err(failed)?;
        }
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// A new directory to make a generation in, for which there is a name.
    pub(super) fn begin(&self, created: Timestamp) -> Result<PathBuf> {
        self.name(created)?;
        let taken = hidden(&self.dir, PARTIAL)?;
        let mut names = (1u64..).map(|number| self.dir.join(format!("{PARTIAL}{number}")));
        let dir = names.find(|dir| !taken.contains(dir)).unwrap_or_else(|| self.dir.join(PARTIAL));
        make_dir(&dir).map_err(|error| refused(&dir, error))?;
        Ok(dir)
    }

    /// Gives what was made its name.
    pub(super) fn complete(&self, partial: &Path, created: Timestamp) -> Result<PathBuf> {
        let dir = self.name(created)?;
        let named = std::fs::rename(partial, &dir).and_then(|()| sync_dir(&self.dir));
        named.map_err(|error| refused(&dir, error))?;
        Ok(dir)
    }

    /// The next generation's directory.
    fn name(&self, created: Timestamp) -> Result<PathBuf> {
        let others = generations(&self.dir)?;
        let name = next_name(&others, created).ok_or_else(|| {
            let last = others.last().map(|last| last.dir.display().to_string()).unwrap_or_default();
            Error::new(Kind::Conflict, cannot(&self.dir))
                .why(format!("no name comes behind that of {last}"))
                .mend("rename that generation, or choose another directory")
        })?;
        Ok(self.dir.join(name))
    }

    /// Removes what backups left that did not come to their end.
    pub(super) fn tidy(&self) -> Result<()> {
        for path in [hidden(&self.dir, PARTIAL)?, hidden(&self.dir, DELETING)?].concat() {
            std::fs::remove_dir_all(&path).map_err(|error| refused(&path, error))?;
        }
        Ok(())
    }

    /// Removes a generation. It loses its name first, so that no half of one is ever seen.
    pub(super) fn delete(&self, generation: &Generation) -> Result<()> {
        let name = generation.dir.file_name().unwrap_or_default().to_string_lossy();
        let hidden = self.dir.join(format!("{DELETING}{name}"));
        let removed = std::fs::rename(&generation.dir, &hidden)
            .and_then(|()| sync_dir(&self.dir))
            .and_then(|()| std::fs::remove_dir_all(&hidden));
        removed.map_err(|error| refused(&generation.dir, error))
    }
}

/// Whether `dir` holds backups of this store; it may also be absent or empty.
///
/// # Errors
/// When there is anything else.
pub(super) fn check(dir: &Path, store: &Identity) -> Result<bool> {
    let failed = |error| refused(dir, error);
    match marker(dir)? {
        Some(marker) if marker.store == store.uuid_text() => Ok(true),
        Some(marker) => Err(Error::new(Kind::Conflict, cannot(dir))
            .why(format!("it holds backups of another store, {}", marker.store))
            .mend("choose another directory: each store has its own")),
        None => {
            let entries = match std::fs::read_dir(dir) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                entries => entries.map_err(failed)?,
            };
            for entry in entries {
                let name = entry.map_err(failed)?.file_name();
                if !HARMLESS.iter().any(|harmless| name == *harmless) {
                    return Err(Error::new(Kind::NotEmpty, cannot(dir))
                        .why(format!("it holds something else: {}", name.display()))
                        .mend("choose an empty directory, or a new one"));
                }
            }
            Ok(false)
        }
    }
}

fn marker(dir: &Path) -> Result<Option<Marker>> {
    let path = dir.join(MARKER);
    let bytes = match read(&path, MARKER_BYTES_MAX) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return Err(Error::corrupt(format!("cannot read {}", path.display()), error.to_string()));
        }
        bytes => bytes.map_err(|error| refused(&path, error))?,
    };
    parse_marker(&bytes, dir).map(Some)
}

fn parse_marker(bytes: &[u8], dir: &Path) -> Result<Marker> {
    let marker: Marker = serde_json::from_slice(bytes)
        .map_err(|error| Error::corrupt(format!("cannot read {}", dir.join(MARKER).display()), error.to_string()))?;
    if marker.keyfold_backups > VERSION {
        return Err(Error::new(Kind::StoreFormat, cannot(dir))
            .why(format!("its format is {}, this release knows {VERSION}", marker.keyfold_backups))
            .mend("use the keyfold release that wrote it, or a newer one"));
    }
    Ok(marker)
}

/// The complete generations in a backup directory, oldest first.
///
/// # Errors
/// [`Kind::NotSet`] when it is no backup directory, or what the disk says.
pub fn generations(dir: &Path) -> Result<Vec<Generation>> {
    if marker(dir)?.is_none() {
        return Err(Error::new(Kind::NotSet, format!("cannot find backups in {}", dir.display()))
            .why("it is no backup directory")
            .mend("name the directory that `keyfold backup` was given"));
    }
    let failed = |error| Error::io(format!("cannot read {}", dir.display()), error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(order) = path.file_name().and_then(|name| order_of(name.to_str()?))
            && let Some(record) = record(&path)?
        {
            found.push(Generation { dir: path, record, order });
        }
    }
    found.sort_by(|one, other| one.order.cmp(&other.order));
    Ok(found)
}

/// What is known of a generation; `None` when there is none.
pub(super) fn record(dir: &Path) -> Result<Option<Record>> {
    let path = dir.join(RECORD);
    match read(&path, RECORD_BYTES_MAX) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Error::io(format!("cannot read {}", path.display()), error)),
        Ok(bytes) => Ok(Some(Record::parse(&bytes))),
    }
}

/// What backups left in a directory that did not come to their end.
pub(super) fn partials(dir: &Path) -> Result<Vec<PathBuf>> {
    hidden(dir, PARTIAL)
}

fn hidden(dir: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io(format!("cannot read {}", dir.display()), error);
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Instant and number of a generation's name.
fn order_of(name: &str) -> Option<(String, u32)> {
    let (time, number) = match name.split_once('-') {
        Some((time, number)) => (time, number.parse().ok().filter(|number| *number > 1)?),
        None => (name, 1),
    };
    let shape = |(at, byte): (usize, u8)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    (time.len() == 16 && time.bytes().enumerate().all(shape)).then(|| (time.to_owned(), number))
}

/// A name behind those of all others, also when the clock went back; none when somebody gave one the last of all names.
fn next_name(others: &[Generation], created: Timestamp) -> Option<String> {
    let sortable = created.sortable();
    let time = format!("{}Z", sortable.split('.').next().unwrap_or_default());
    match others.iter().map(|generation| &generation.order).max() {
        Some((last, number)) if *last >= time => Some(format!("{last}-{}", number.checked_add(1)?)),
        _ => Some(time),
    }
}

pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

pub(super) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes a file whole and synced; its directory is for the caller to sync.
pub(super) fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension(NEW.trim_start_matches('.'));
    let mut file = plain_file(File::options().write(true).create(true).truncate(true).mode(0o600), &new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// The first `most` bytes of a file in a directory that may be a stranger's: no link is followed and no pipe waited for.
pub(super) fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    plain_file(File::options().read(true), path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the bytes of a `BACKUPS` file, and the name of a generation, as a backup does: the store's id, and the name of the
/// generation behind it. For fuzzing and tests only.
#[doc(hidden)]
#[must_use]
pub fn check_place(bytes: &[u8]) -> (Option<String>, Option<String>) {
    let store = parse_marker(bytes, Path::new("")).ok().map(|marker| marker.store);
    let behind = std::str::from_utf8(bytes).ok().and_then(order_of).and_then(|order| {
        let generation = Generation { dir: PathBuf::new(), record: Record::default(), order };
        next_name(&[generation], Timestamp::new(0, 0))
    });
    (store, behind)
}

fn cannot(dir: &Path) -> String {
    format!("cannot write backups to {}", dir.display())
}

/// What a disk that is to take a backup says.
pub(super) fn refused(path: &Path, error: std::io::Error) -> Error {
    let what = format!("cannot write the backup to {}", path.display());
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return full(what, "its disk is full".to_owned());
    }
    let mend = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "choose a directory that can be written to",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "name a directory",
        _ => "look after that disk, then run the backup again: it goes on from where it stopped",
    };
    Error::io(what, error).mend(mend)
}

/// The refusal of a disk that lacks room.
pub(super) fn full(what: String, why: String) -> Error {
    Error::new(Kind::Full, what).why(why).mend(
        "make room there, for example by removing old generations with `rm -r`, and run the backup again: it goes on \
         from where it stopped",
    )
}

#[cfg(test)]
mod tests {
    use super::{Generation, Record, next_name, order_of};
    use crate::model::Timestamp;

    #[test]
    fn names_go_on_also_when_the_clock_does_not() {
        let mut all: Vec<Generation> = Vec::new();
        let mut names = Vec::new();
        for secs in [1_795_226_755, 1_795_226_755, 1_795_226_000, 1_795_226_756] {
            let name = next_name(&all, Timestamp::new(secs, 999_999_999)).unwrap();
            let order = order_of(&name).unwrap();
            assert!(all.iter().all(|generation| generation.order < order), "{name}");
            all.push(Generation { dir: name.clone().into(), record: Record::default(), order });
            names.push(name);
        }
        assert_eq!(names, ["20261121T020555Z", "20261121T020555Z-2", "20261121T020555Z-3", "20261121T020556Z"]);
        for other in
            ["", "20261121T020555Z-1", "20261121T020555Z-x", "20261121T020555", "notes", "2026112\u{e9}020555Z"]
        {
            assert_eq!(order_of(other), None, "{other}");
        }
    }

    #[test]
    fn behind_the_last_of_all_names_there_is_none() {
        let name = format!("99991231T235959Z-{}", u32::MAX);
        let last = Generation { dir: name.clone().into(), record: Record::default(), order: order_of(&name).unwrap() };
        assert_eq!(next_name(&[last], Timestamp::new(1_795_226_755, 0)), None);
    }
}
