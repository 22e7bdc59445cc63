//! `.versions`: what was, as directories and read-only files (INTERFACE section 4).
//!
//! `DIR/.versions/NAME/` holds an entry `TIME~VERSIONID` for each version of `DIR/NAME`, newest first, and
//! `TIME~VERSIONID~deleted` for each delete marker. Where NAME is or was a directory, its own `.versions` stands
//! beside them, also when the directory is gone.

use super::errno::{Errno, Fault, Outcome};
use super::lookup::Lookup;
use super::node::{Node, NodeRef, View, What};
use super::spelling::{Spelled, long_hash, read};
use super::tree::Found;
use super::{Attr, Vfs};
use crate::model::{DirId, FileKind, Kind, Object, VersionId};
use crate::store::{Entry, PosixChange, Session};
use std::sync::Arc;

const DELETED: &str = "deleted";
/// Names fetched at once when a long one is searched.
const PAGE: usize = 512;

/// The name of a version among its name's history.
fn entry_name(object: &Object) -> String {
    let mark = if object.marker { format!("~{DELETED}") } else { String::new() };
    format!("{}~{}{mark}", object.modified.sortable(), object.version)
}

impl Vfs {
    /// Looks a name up in `DIR/.versions`.
    pub(super) fn look_history(&self, dirs: &Arc<[DirId]>, name: &[u8]) -> Outcome<Option<Lookup>> {
        let part = match read(name, &self.below_root) {
            Ok(Spelled::Part(part)) => part.into_owned(),
            Ok(Spelled::Long { hash, object: false }) => match self.long_in_history(dirs, hash)? {
                Some(part) => part,
                None => return Ok(None),
            },
            Ok(_) => return Ok(None),
            Err(error) if matches!(error.kind(), Kind::InvalidArgument | Kind::InvalidName) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_file = !part.is_empty() && self.store.has_versions(dirs, &part)?;
        if !is_file && self.store.history_dirs(dirs, &format!("{part}/"))?.is_empty() {
            return Ok(None);
        }
        self.virtual_lookup(What::Versions { dirs: Arc::clone(dirs), part: part.into() }).map(Some)
    }

    fn long_in_history(&self, dirs: &[DirId], hash: [u8; 16]) -> Outcome<Option<String>> {
        let mut after: Option<String> = None;
        loop {
            let page = self.store.names_with_history(dirs, after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { return Ok(None) };
            after = Some(last.component.clone());
            for found in &page {
                let part = found.component.strip_suffix('/').unwrap_or(&found.component);
                if long_hash(part) == Some(hash) {
                    return Ok(Some(part.to_owned()));
                }
            }
        }
    }

    /// Looks a name up in `DIR/.versions/NAME`.
    pub(super) fn look_version(&self, dirs: &Arc<[DirId]>, part: &str, name: &[u8]) -> Outcome<Option<Lookup>> {
        if name == self.below_root.versions_dir().as_bytes() {
            let below = self.store.history_dirs(dirs, &format!("{part}/"))?;
            if below.is_empty() {
                return Ok(None);
            }
            return self.virtual_lookup(What::History(below.into())).map(Some);
        }
        let Some(object) = self.version_named(dirs, part, name)? else { return Ok(None) };
        let what = version(dirs, part, &object);
        self.virtual_lookup(what).map(Some)
    }

    fn version_named(&self, dirs: &[DirId], part: &str, name: &[u8]) -> Outcome<Option<Object>> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        let mut words = name.split('~');
        let (time, id) = (words.next(), words.next().and_then(VersionId::parse));
        let Some((_, id)) = time.zip(id) else { return Ok(None) };
        let found = self.store.version(dirs, part, id, None)?;
        Ok(found.filter(|object| entry_name(object) == name))
    }

    /// Everything in `DIR/.versions/NAME`.
    pub(super) fn version_items(&self, dirs: &Arc<[DirId]>, part: &str) -> Outcome<Vec<(String, FileKind, What)>> {
        let mut items = Vec::new();
        if !part.is_empty() {
            for object in self.store.versions(dirs, part)? {
                let kind = if object.marker { FileKind::File } else { object.posix.kind };
                items.push((entry_name(&object), kind, version(dirs, part, &object)));
            }
        }
        let below = self.store.history_dirs(dirs, &format!("{part}/"))?;
        if !below.is_empty() {
            let name = self.below_root.versions_dir().to_owned();
            items.push((name, FileKind::Directory, What::History(below.into())));
        }
        Ok(items)
    }

    /// Attributes of `.versions` and of a name in it.
    pub(super) fn history_attr(&self, node: &Node) -> Outcome<Attr> {
        let (What::History(dirs) | What::Versions { dirs, .. }) = &*node.what else {
            return Err(Errno::EINVAL.into());
        };
        let Some(dir) = dirs.first() else { return Err(Errno::ENOENT.into()) };
        // As the directory whose history it is: who may enter that may look here, and change as much.
        let directory = self.store.directory(*dir)?;
        let mut attr = Attr::of_dir(node.id, &directory);
        attr.nlink = 2;
        Ok(attr)
    }

    /// `rm` in history: deletes a version for good; of the topmost delete marker, brings the object back (DEL-5).
    pub(super) fn purge(&self, dirs: &[DirId], part: &str, name: &[u8]) -> Outcome<()> {
        if name == self.below_root.versions_dir().as_bytes() {
            return Err(Errno::EISDIR.into());
        }
        let object = self.version_named(dirs, part, name)?.ok_or(Fault::Bare(Errno::ENOENT))?;
        self.store.delete_version(dirs, part, object.version, object.seq)?;
        Ok(())
    }

    /// `mv` of a version over a name: its bytes become that name's current version, and it stays in history.
    pub(super) fn restore(&self, dirs: &Arc<[DirId]>, part: &str, name: &[u8], to: (&NodeRef, &[u8])) -> Outcome<()> {
        let object = self.version_named(dirs, part, name)?.ok_or(Fault::Bare(Errno::ENOENT))?;
        if object.marker {
            return Err(crate::model::Error::new(Kind::IsMarker, "cannot restore a delete marker")
                .why("it holds no bytes")
                .mend("remove the marker to bring the object back")
                .into());
        }
        let (dir, root) = Self::live_dir(to.0)?;
        let component = match self.find(View::Live, dir, root, to.1)? {
            Some(Found::Entry(_, Entry::Dir(_))) => return Err(Errno::EISDIR.into()),
            Some(Found::Entry(component, Entry::File(_))) => component,
            Some(Found::Versions | Found::Control | Found::MarkerBody) => return Err(Errno::EPERM.into()),
            None => self.new_component(dir, root, to.1, false)?,
        };
        if component == part && dirs.contains(&dir) {
            self.store.restore_in(dirs, part, object.version, dir)?;
        } else {
            let from = dirs.first().map(|dir| self.store.directory(*dir)).transpose()?;
            if from.is_some_and(|from| from.bucket != self.store.directory(dir).map_or(from.bucket, |to| to.bucket)) {
                return Err(Errno::EXDEV.into());
            }
            self.restore_elsewhere(dir, &component, &object)?;
        }
        Ok(())
    }

    /// Gives another name the version's bytes, shared.
    fn restore_elsewhere(&self, dir: DirId, component: &str, object: &Object) -> Outcome<()> {
        let ino = match self.store.lookup(dir, component)? {
            Some(Entry::File(file)) => file.object.ino,
            _ => self.store.create_draft(dir, component, &object.posix)?.object.ino,
        };
        let mut draft = self.store.draft(Some(object))?;
        let mut session = Session::new();
        let posix = &object.posix;
        let change = PosixChange { mode: Some(posix.mode), mtime: Some(posix.mtime), ..PosixChange::default() };
        self.store.publish((dir, component), ino, &mut draft, &mut session, &change)?;
        self.store.seal(session)?;
        Ok(())
    }
}

fn version(dirs: &Arc<[DirId]>, part: &str, object: &Object) -> What {
    What::Version {
        dirs: Arc::clone(dirs),
        component: part.into(),
        version: object.version,
        seq: object.seq,
        content: object.content,
    }
}
