//! `export`: current objects, or those of an instant, as plain files in a new directory.

use super::tree::{Tree, no_directory};
use crate::control::place::{self, Place, name};
use crate::control::{ActRow, Host, Reply, Row, Target};
use crate::model::{Bucket, DirId, Error, FileKind, Kind, Object, Posix, Result, Timestamp, parse_rfc3339};
use crate::store::{Entry, Store, Stretch, again};
use std::collections::HashSet;
use std::fs::{File, FileTimes, Permissions};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Export<'a> {
    store: &'a Arc<Store>,
    host: &'a dyn Host,
    tree: Tree<'a>,
    reply: &'a mut dyn Reply,
    /// Whether this process may give files away.
    owners: bool,
    files: u64,
    bytes: u64,
    /// Files of which something could not be read.
    damaged: u64,
    /// Files that lie in an archive.
    archived: u64,
}

pub(super) fn export(
    store: &Arc<Store>,
    host: &dyn Host,
    target: &Target,
    (to, at): (&Path, Option<&str>),
    reply: &mut dyn Reply,
) -> Result<()> {
    let place = place::place(store, host, target)?;
    let tree = Tree::new(store, at.map(parse_rfc3339).transpose()?);
    new_directory(to)?;
    let owners = crate::sys::process::effective_uid() == 0;
    let mut export = Export { store, host, tree, reply, owners, files: 0, bytes: 0, damaged: 0, archived: 0 };
    let of = match &place {
        Place::Store => None,
        Place::Bucket(bucket) | Place::Key(bucket, ..) => Some(bucket.clone()),
    };
    match place {
        Place::Store => {
            for bucket in store.buckets()? {
                let dir = to.join(bucket.name.as_str());
                make(&dir)?;
                export.directory((bucket.root, true), &format!("{}/", bucket.name), &dir)?;
            }
        }
        Place::Bucket(bucket) => export.directory((bucket.root, true), &format!("{}/", bucket.name), to)?,
        Place::Key(bucket, key, _) => export.key(&bucket, &key, to)?,
    }
    let (files, bytes, damaged, archived) = (export.files, export.bytes, export.damaged, export.archived);
    let damaged = damaged + passed_by(store, of.as_ref().map(|bucket| bucket.name.as_str()), export.reply)?;
    reply.row(Row::Act(ActRow {
        act: "exported".to_owned(),
        on: to.display().to_string(),
        count: Some(files),
        bytes: Some(bytes),
        ..ActRow::default()
    }))?;
    if damaged == 0 && archived > 0 {
        return Err(Error::new(Kind::Archived, format!("{archived} of what was to be exported lies in an archive"))
            .why("an export reads bytes; the lines above name what must be restored before")
            .mend("`keyfold thaw -r --wait`, then export again into another directory"));
    }
    if damaged == 0 {
        return Ok(());
    }
    Err(Error::new(Kind::Corrupt, format!("{damaged} of what was to be exported is damaged"))
        .why("some stored bytes or records could not be read; the lines above name them")
        .mend("take these files from a backup or from an older version; the others are whole"))
}

impl Export<'_> {
    /// A prefix's directory, or one object.
    fn key(&mut self, bucket: &Bucket, key: &str, to: &Path) -> Result<()> {
        let plain = key.trim_end_matches('/');
        if let Some(dir) = self.tree.directory(bucket, &format!("{plain}/"))? {
            return self.directory((dir, false), &name(bucket, &format!("{plain}/")), to);
        }
        let (above, component) = plain.rsplit_once('/').unwrap_or(("", plain));
        let above = if above.is_empty() { String::new() } else { format!("{above}/") };
        let parent = self.tree.directory(bucket, &above)?.ok_or_else(|| no_directory(bucket, key))?;
        match self.tree.lookup(parent, component)? {
            Some(Entry::File(file)) => self.file(
                &file.object,
                &name(bucket, plain),
                &to.join(self.host.file_name(component, false, above.is_empty())),
            ),
            _ => Err(no_directory(bucket, key)),
        }
    }

    fn directory(&mut self, (dir, at_root): (DirId, bool), key: &str, to: &Path) -> Result<()> {
        // Directories get their mode and times when all that lies in them is written.
        let mut finish: Vec<(PathBuf, Posix)> = Vec::new();
        let mut open = vec![(dir, at_root, key.to_owned(), to.to_owned())];
        while let Some((dir, at_root, key, to)) = open.pop() {
            let mut after: Option<String> = None;
            loop {
                self.reply.alive()?;
                let (entries, next) = match self.tree.step(dir, after.as_deref()) {
                    Ok(found) => found,
                    Err(error) if is_damage(&error) => {
                        self.tell(&key, &format!("what lies here from {after:?} on cannot be listed"), &error)?;
                        break;
                    }
                    Err(error) => return Err(error),
                };
                let parts: HashSet<String> =
                    entries.iter().filter_map(|(name, _)| name.strip_suffix('/').map(str::to_owned)).collect();
                for (component, entry) in entries {
                    let below = format!("{key}{component}");
                    match entry {
                        Entry::File(file) => {
                            let shadowed = parts.contains(&component)
                                || self.tree.lookup(dir, &format!("{component}/"))?.is_some();
                            let path = to.join(self.host.file_name(&component, shadowed, at_root));
                            let mut object = Some(file.object);
                            let export = || {
                                // After the first attempt as it is by then.
                                let object = match object.take() {
                                    Some(object) => object,
                                    None => match self.tree.lookup(dir, &component)? {
                                        Some(Entry::File(file)) => file.object,
                                        _ => return Ok(()),
                                    },
                                };
                                self.file(&object, &below, &path)
                            };
                            match again(export, |error| error.kind() == Kind::NoSuchVersion) {
                                Err(error) if is_damage(&error) || error.kind() == Kind::NoSuchVersion => {
                                    self.tell(&below, "nothing of it can be read", &error)?;
                                }
                                done => done?,
                            }
                        }
                        Entry::Dir(found) => {
                            let path = to.join(self.host.file_name(&component, false, at_root));
                            make(&path)?;
                            if let Some(marker) = found.marker.as_ref().filter(|marker| marker.size > 0) {
                                self.file(marker, &below, &path.join(".@self"))?;
                            }
                            finish.push((path.clone(), found.posix));
                            open.push((found.id, false, below, path));
                        }
                    }
                }
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        for (path, posix) in finish.into_iter().rev() {
            if let Ok(file) = crate::sys::path::open_dir(&path) {
                self.attributes(&file, &posix);
            }
        }
        Ok(())
    }

    fn file(&mut self, object: &Object, key: &str, path: &Path) -> Result<()> {
        let failed = |error| Error::io(format!("cannot export {key} to {}", path.display()), error);
        match object.posix.kind {
            FileKind::File => {
                if let Err(error) = self.store.readable(object) {
                    self.archived += 1;
                    return self.reply.note(&format!("left out {key}: {}", error.reason()));
                }
                let file = File::options().write(true).create_new(true).open(path).map_err(failed)?;
                let lost = self.content(object, key, &file).inspect_err(|_| {
                    let _ = std::fs::remove_file(path);
                })?;
                self.attributes(&file, &object.posix);
                self.bytes += object.size;
                if !lost.is_empty() {
                    // Under its own name a file with holes where the damage is would look like the object.
                    let shown = damaged_name(path)?;
                    std::fs::rename(path, &shown).map_err(failed)?;
                    return self.holes(key, &shown, &lost);
                }
            }
            FileKind::Symlink => {
                let target = Path::new(std::ffi::OsStr::from_bytes(&object.posix.target));
                std::os::unix::fs::symlink(target, path).map_err(failed)?;
                if self.owners {
                    let _ = std::os::unix::fs::lchown(path, Some(object.posix.uid), Some(object.posix.gid));
                }
            }
            FileKind::Directory => {}
            FileKind::Fifo | FileKind::Socket | FileKind::CharDevice | FileKind::BlockDevice => {
                return self.reply.note(&format!("left out {key}: it is no file with content"));
            }
        }
        self.files += 1;
        Ok(())
    }

    /// Data only: holes stay holes, and what cannot be read becomes one. Its ranges are returned.
    fn content(&mut self, object: &Object, key: &str, file: &File) -> Result<Vec<Range<u64>>> {
        let failed = |error| Error::io(format!("cannot write the copy of {key}"), error);
        let content = self.store.open_content(object)?;
        file.set_len(content.size()).map_err(failed)?;
        let mut lost: Vec<Range<u64>> = Vec::new();
        let reply = &mut *self.reply;
        content.salvage(&mut |at, stretch| {
            match stretch {
                Stretch::Bytes(bytes) => file.write_all_at(bytes, at).map_err(failed)?,
                Stretch::Hole(_) => {}
                Stretch::Lost(len, _) => match lost.last_mut() {
                    Some(last) if last.end == at => last.end += len,
                    _ => lost.push(at..at + len),
                },
            }
            reply.alive()
        })?;
        Ok(lost)
    }

    /// Tells which bytes of an exported file are zeros since they could not be read.
    fn holes(&mut self, key: &str, path: &Path, lost: &[Range<u64>]) -> Result<()> {
        self.files += 1;
        self.damaged += 1;
        let ranges: Vec<String> = lost.iter().map(|range| format!("{} to {}", range.start, range.end - 1)).collect();
        let text = format!("damaged: {key} as {}: zeros in bytes {}", path.display(), ranges.join(", "));
        self.reply.note(&text)
    }

    fn tell(&mut self, key: &str, what: &str, error: &Error) -> Result<()> {
        self.damaged += 1;
        self.reply.note(&format!("damaged: {key}: {what}: {}", error.reason()))
    }

    /// Owner, mode and times, as far as this process may set them.
    fn attributes(&self, file: &File, posix: &Posix) {
        if self.owners {
            let _ = std::os::unix::fs::fchown(file, Some(posix.uid), Some(posix.gid));
        }
        // Set-id bits belong to their owner: without that they would give the exporter's rights away.
        let mode = if self.owners { posix.mode } else { posix.mode & 0o1777 };
        let _ = file.set_permissions(Permissions::from_mode(u32::from(mode)));
        let times = FileTimes::new().set_accessed(system(posix.atime)).set_modified(system(posix.mtime));
        let _ = file.set_times(times);
    }
}

/// Tells of names that were passed by since their records are damaged, of one bucket when it is given; how many.
fn passed_by(store: &Store, of: Option<&str>, reply: &mut dyn Reply) -> Result<u64> {
    let mut count = 0;
    for complaint in store.passed_by() {
        let bucket = complaint.bucket.as_deref().unwrap_or_default();
        if of.is_none_or(|of| of == bucket) {
            count += 1;
            reply.note(&format!("damaged: {bucket}/{}: left out: {}", complaint.path, complaint.why))?;
        }
    }
    Ok(count)
}

/// Whether an error is of what it was met on, so that the rest can be exported.
fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), Kind::Corrupt | Kind::NoSuchKey)
}

/// A name that says that the file is not what it was, and that is free.
fn damaged_name(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default();
    for n in 1..1000 {
        let mut shown = name.as_bytes()[..name.len().min(240)].to_vec();
        shown.extend_from_slice(if n == 1 { ".damaged".to_owned() } else { format!(".damaged-{n}") }.as_bytes());
        let shown = path.with_file_name(std::ffi::OsStr::from_bytes(&shown));
        if !shown.exists() {
            return Ok(shown);
        }
    }
    Err(Error::new(Kind::AlreadyExists, format!("cannot name the damaged copy of {}", path.display())))
}

fn system(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let start = if time.secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    let whole = start.and_then(|start| start.checked_add(Duration::from_nanos(u64::from(time.nanos))));
    whole.unwrap_or(UNIX_EPOCH)
}

/// Takes an absent or empty directory only, so that nothing is ever overwritten.
fn new_directory(to: &Path) -> Result<()> {
    let what = || format!("cannot export to {}", to.display());
    std::fs::create_dir_all(to).map_err(|error| Error::io(what(), error))?;
    let mut entries = std::fs::read_dir(to).map_err(|error| Error::io(what(), error))?;
    if entries.next().is_some() {
        return Err(Error::new(Kind::AlreadyExists, what())
            .why("the directory is not empty")
            .mend("name a new directory: an export overwrites nothing"));
    }
    Ok(())
}

fn make(dir: &Path) -> Result<()> {
    std::fs::create_dir(dir).map_err(|error| Error::io(format!("cannot make the directory {}", dir.display()), error))
}
