//! `export`: current objects, or those of an instant, as plain files in a new directory.

use super::tree::{Tree, no_directory};
use crate::control::place::{self, Place, name};
use crate::control::{ActRow, Host, Reply, Row, Target};
use crate::model::{Bucket, DirId, Error, FileKind, Kind, Object, Posix, Result, Timestamp, parse_rfc3339};
use crate::store::{Entry, Store, again};
use std::collections::HashSet;
use std::fs::{File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes copied in one step.
const STEP: usize = 1 << 20;

struct Export<'a> {
    store: &'a Arc<Store>,
    host: &'a dyn Host,
    tree: Tree<'a>,
    reply: &'a mut dyn Reply,
    /// Whether this process may give files away.
    owners: bool,
    files: u64,
    bytes: u64,
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
    let mut export = Export { store, host, tree, reply, owners, files: 0, bytes: 0 };
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
    let (files, bytes) = (export.files, export.bytes);
    reply.row(Row::Act(ActRow {
        act: "exported".to_owned(),
        on: to.display().to_string(),
        count: Some(files),
        bytes: Some(bytes),
        ..ActRow::default()
    }))
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
                let (entries, next) = self.tree.step(dir, after.as_deref())?;
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
                            again(export, |error| error.kind() == Kind::NoSuchVersion)?;
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
            let opened = File::open(&path);
            if let Ok(file) = opened {
                self.attributes(&file, &path, &posix);
            }
        }
        Ok(())
    }

    fn file(&mut self, object: &Object, key: &str, path: &Path) -> Result<()> {
        let failed = |error| Error::io(format!("cannot export {key} to {}", path.display()), error);
        match object.posix.kind {
            FileKind::File => {
                let file = File::options().write(true).create_new(true).open(path).map_err(failed)?;
                self.content(object, key, &file).inspect_err(|_| {
                    // A file with a hole where the damage is would look like the object.
                    let _ = std::fs::remove_file(path);
                })?;
                self.attributes(&file, path, &object.posix);
                self.bytes += object.size;
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

    /// Data only: holes stay holes.
    fn content(&mut self, object: &Object, key: &str, file: &File) -> Result<()> {
        let failed = |error| Error::io(format!("cannot write the copy of {key}"), error);
        let content = self.store.open_content(object)?;
        file.set_len(content.size()).map_err(failed)?;
        let mut buf = vec![0; STEP.min(usize::try_from(content.size()).unwrap_or(STEP))];
        let mut at = 0;
        while let Some(start) = content.seek_data(at)? {
            let end = content.seek_hole(start)?;
            at = start;
            while at < end {
                let want = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
                let got = content.read_at(at, &mut buf[..want])?;
                if got == 0 {
                    return Err(Error::corrupt(format!("cannot export {key}"), format!("its content ends at {at}")));
                }
                file.write_all_at(&buf[..got], at).map_err(failed)?;
                at += got as u64;
                self.reply.alive()?;
            }
        }
        Ok(())
    }

    /// Owner, mode and times, as far as this process may set them.
    fn attributes(&self, file: &File, path: &Path, posix: &Posix) {
        if self.owners {
            let _ = std::os::unix::fs::chown(path, Some(posix.uid), Some(posix.gid));
        }
        // Set-id bits belong to their owner: without that they would give the exporter's rights away.
        let mode = if self.owners { posix.mode } else { posix.mode & 0o1777 };
        let _ = file.set_permissions(Permissions::from_mode(u32::from(mode)));
        let times = FileTimes::new().set_accessed(system(posix.atime)).set_modified(system(posix.mtime));
        let _ = file.set_times(times);
    }
}

fn system(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let start = if time.secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    start.unwrap_or(UNIX_EPOCH) + Duration::from_nanos(u64::from(time.nanos))
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
