//! What is copied, where it may be shared from instead, and copying it.

use super::place::{NEW, make_dir, refused};
use crate::chunklog::{SegmentId, SoloId, same_bytes, same_segment};
use crate::model::{Error, Result};
use crate::store::META_DIR;
use crate::sys::disk::{Access, Disk, DiskFile, OsDisk};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes copied in one step, and looked for one by one where such a step cannot be read.
const STEP: usize = 1 << 20;
const PIECE: usize = 64 << 10;

/// What is in a file, and so how it is verified and told from others of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Segment(SegmentId),
    /// Bytes, and then checksums.
    Solo(SoloId),
    /// Of the index. Tables never change.
    Index {
        table: bool,
    },
    /// Settings, and the key file.
    Small,
}

/// Files that belong together.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) what: What,
    /// Where each is, its path below the copy, and its bytes.
    pub(super) files: Vec<(PathBuf, PathBuf, u64)>,
}

impl Unit {
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, _, bytes)| bytes).sum()
    }

    /// Its name in messages and records.
    pub(super) fn name(&self) -> String {
        self.files.first().map(|(_, path, _)| path.display().to_string()).unwrap_or_default()
    }

    /// Files of the log in the store or backup at `root`; `None` when one is missing.
    pub(super) fn of_log(root: &Path, what: What) -> Result<Option<Self>> {
        let paths = match what {
            What::Segment(id) => vec![id.path()],
            What::Solo(id) => vec![id.path(), id.sum_path()],
            What::Index { .. } | What::Small => vec![],
        };
        let mut files = Vec::new();
        for path in paths {
            let Some(bytes) = OsDisk::new(root).file_len(&path).map_err(|error| unread(&path, error))? else {
                return Ok(None);
            };
            files.push((root.join(&path), path, bytes));
        }
        Ok(Some(Self { what, files }))
    }

    /// The files of an index that lies in `dir` and belongs in `meta/`.
    pub(super) fn of_index(dir: &Path) -> Result<Vec<Self>> {
        let listed = OsDisk::new(dir).list(Path::new("")).map_err(|error| unread(dir, error))?;
        let files = listed.into_iter().filter(|entry| !entry.is_dir && !["LOCK", "LOG"].contains(&entry.name.as_str()));
        let unit = |name: &str, bytes| Self {
            what: What::Index { table: name.ends_with(".sst") },
            files: vec![(dir.join(name), Path::new(META_DIR).join(name), bytes)],
        };
        Ok(files.map(|entry| unit(&entry.name, entry.len)).collect())
    }
}

/// A generation from which files may be shared.
pub(super) struct Donor {
    pub(super) dir: PathBuf,
    /// Files that are copied anew.
    pub(super) damaged: BTreeSet<String>,
    /// Whether its files were verified to the last.
    pub(super) complete: bool,
}

impl Donor {
    /// Whether it has the same files.
    pub(super) fn has(&self, unit: &Unit) -> bool {
        !self.damaged.contains(&unit.name()) && self.compare(unit).unwrap_or(false)
    }

    fn compare(&self, unit: &Unit) -> std::io::Result<bool> {
        let there = OsDisk::new(&self.dir);
        for (_, path, bytes) in &unit.files {
            if there.file_len(path)? != Some(*bytes) {
                return Ok(false);
            }
        }
        let Some((from, path, _)) = unit.files.last() else { return Ok(false) };
        let (one, other) = (open(from)?, there.open(path, Access::Read)?);
        match unit.what {
            What::Segment(_) => same_segment(&*one, &*other),
            // The checksums stand for the bytes.
            What::Solo(_) | What::Index { .. } | What::Small => same_bytes(&*one, &*other),
        }
    }

    /// Links its files into `to`. False where the file system has no links, or no more for this file.
    pub(super) fn share(&self, unit: &Unit, to: &Path) -> Result<bool> {
        link(unit, to, |_, path| self.dir.join(path))
    }
}

/// Links the store's own files into `to`; false where that cannot be.
pub(super) fn link_own(unit: &Unit, to: &Path) -> Result<bool> {
    link(unit, to, |own, _| own.to_owned())
}

fn link(unit: &Unit, to: &Path, from: impl Fn(&Path, &Path) -> PathBuf) -> Result<bool> {
    for (own, path, _) in &unit.files {
        let place = to.join(path);
        make_parent(&place)?;
        match std::fs::hard_link(from(own, path), &place) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return Err(refused(&place, error)),
            Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// How a copy came out.
pub(super) enum Copied {
    /// All of it, but for stretches that could not be read; they are zeros. Each with why.
    Done(Vec<String>),
    /// It is not there.
    Missing,
}

/// Copies the files of a unit into `to`, synced; a file has its name when it is whole. `tick` hears of bytes copied.
pub(super) fn copy(unit: &Unit, to: &Path, tick: &mut dyn FnMut(u64) -> Result<()>) -> Result<Copied> {
    let mut unread = Vec::new();
    for (from, path, _) in &unit.files {
        let source = match open(from) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Copied::Missing),
            Err(error) => {
                unread.push(error.to_string());
                continue;
            }
        };
        let place = to.join(path);
        make_parent(&place)?;
        let new = PathBuf::from(format!("{}{NEW}", place.display()));
        let failed = |error| refused(&place, error);
        let _ = std::fs::remove_file(&new);
        let target = File::options().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        unread.extend(copy_bytes(&*source, &target, tick, &failed)?);
        target.sync_all().and_then(|()| std::fs::rename(&new, &place)).map_err(failed)?;
    }
    Ok(Copied::Done(unread))
}

fn copy_bytes(
    source: &dyn DiskFile,
    target: &File,
    tick: &mut dyn FnMut(u64) -> Result<()>,
    failed: &dyn Fn(std::io::Error) -> Error,
) -> Result<Vec<String>> {
    let mut buf = vec![0; STEP];
    let mut unread = Vec::new();
    let size = match source.size() {
        Ok(size) => size,
        Err(error) => return Ok(vec![error.to_string()]),
    };
    let mut at = 0;
    while at < size {
        let want = usize::try_from(size - at).unwrap_or(STEP).min(STEP);
        let bytes = &mut buf[..want];
        if source.read_at(at, bytes).is_err() {
            for (n, piece) in bytes.chunks_mut(PIECE).enumerate() {
                let at = at + (n * PIECE) as u64;
                if let Err(error) = source.read_at(at, piece) {
                    piece.fill(0);
                    unread.push(format!("byte {at} and on: {error}"));
                }
            }
        }
        // Room that was taken ahead stays a hole.
        if bytes.iter().any(|byte| *byte != 0) {
            target.write_all_at(bytes, at).map_err(failed)?;
        }
        at += want as u64;
        tick(want as u64)?;
    }
    target.set_len(size).map_err(failed)?;
    Ok(unread)
}

/// Removes what was put into `to` of a unit, to put it there in another way.
pub(super) fn take_back(unit: &Unit, to: &Path) {
    for (_, path, _) in &unit.files {
        let _ = std::fs::remove_file(to.join(path));
    }
}

fn open(path: &Path) -> std::io::Result<Arc<dyn DiskFile>> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    OsDisk::new(dir).open(Path::new(path.file_name().unwrap_or_default()), Access::Read)
}

fn make_parent(place: &Path) -> Result<()> {
    let parent = place.parent().unwrap_or(place);
    make_dir(parent).map_err(|error| refused(parent, error))
}

fn unread(path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("cannot read {}", path.display()), error)
}
