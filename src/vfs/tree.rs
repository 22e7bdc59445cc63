//! Names to components and back, and what lies under a component, in the present or the past.

use super::node::{Node, ROOT, View, What, virtual_number};
use super::spelling::{Reserved, Spelled, long_hash, read, show};
use super::{Root, Vfs};
use crate::model::{DirId, Error, FileKind, Kind, ObjectKey, Result};
use crate::store::{Directory, Entry};
use std::borrow::Cow;

/// Entries fetched at once when a whole directory is searched.
const PAGE: usize = 512;
/// How often a name that is not there is looked for while names change.
const ATTEMPTS: u32 = 8;

/// What a name in a directory leads to.
#[expect(clippy::large_enum_variant, reason = "it lives for one call")]
pub(super) enum Found {
    /// An object or a directory and its component.
    Entry(String, Entry),
    /// The body of the directory's marker.
    MarkerBody,
    /// The hidden directory of versions.
    Versions,
    /// The hidden directory of control files.
    Control,
}

impl Vfs {
    /// The reserved names of a directory.
    pub(super) fn reserved(&self, root: bool) -> &Reserved {
        if root { &self.settings.reserved } else { &self.below_root }
    }

    /// What lies under a component.
    pub(super) fn entry(&self, view: View, dir: DirId, component: &str) -> Result<Option<Entry>> {
        match view {
            View::Live => self.store.lookup(dir, component),
            View::Past(at) => self.store.as_of(at).lookup(dir, component),
        }
    }

    /// A page of a directory's entries in the order of their components.
    pub(super) fn page(
        &self,
        view: View,
        dir: DirId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Entry)>> {
        match view {
            View::Live => self.store.entries(dir, after, limit),
            View::Past(at) => self.store.as_of(at).entries(dir, after, limit),
        }
    }

    /// Resolves a name; `None` when nothing is there, also for names that spell nothing.
    pub(super) fn find(&self, view: View, dir: DirId, root: bool, name: &[u8]) -> Result<Option<Found>> {
        let mut attempts = 0;
        loop {
            let commits = self.store.commits();
            let found = self.find_once(view, dir, root, name)?;
            attempts += 1;
            // A file and a directory that changed places were looked for where the other one was.
            if found.is_some() || view != View::Live || commits == self.store.commits() || attempts == ATTEMPTS {
                return Ok(found);
            }
        }
    }

    fn find_once(&self, view: View, dir: DirId, root: bool, name: &[u8]) -> Result<Option<Found>> {
        let reserved = self.reserved(root);
        let spelled = match read(name, reserved) {
            Ok(spelled) => spelled,
            // What spells nothing is not there; only making it is an error (KEY-14).
            Err(error) if matches!(error.kind(), Kind::InvalidArgument | Kind::InvalidName) => return Ok(None),
            Err(error) => return Err(error),
        };
        let entry = |component: String| -> Result<Option<Found>> {
            Ok(self.entry(view, dir, &component)?.map(|entry| Found::Entry(component, entry)))
        };
        match spelled {
            Spelled::Part(part) => match entry(format!("{part}/"))? {
                // KEY-8: the directory wins the name.
                Some(found) => Ok(Some(found)),
                None if part.is_empty() => Ok(None),
                None => entry(part.into_owned()),
            },
            Spelled::Object(part) => match self.entry(view, dir, &format!("{part}/"))? {
                Some(_) => entry(part.into_owned()),
                None => Ok(None),
            },
            Spelled::Long { hash, object } => self.find_long(view, dir, reserved, name, hash, object),
            Spelled::SelfBody => {
                let body = self.directory(view, dir)?.marker.is_some_and(|marker| marker.size > 0);
                Ok(body.then_some(Found::MarkerBody))
            }
            Spelled::Versions => Ok(match view {
                View::Live => Some(Found::Versions),
                View::Past(_) => None,
            }),
            Spelled::Control => Ok(match view {
                View::Live => Some(Found::Control),
                View::Past(_) => None,
            }),
        }
    }

    /// KEY-12: long parts are found by searching the directory.
    fn find_long(
        &self,
        view: View,
        dir: DirId,
        reserved: &Reserved,
        name: &[u8],
        hash: [u8; 16],
        object: bool,
    ) -> Result<Option<Found>> {
        let mut after: Option<String> = None;
        loop {
            let page = self.page(view, dir, after.as_deref(), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            after = Some(last.clone());
            for (component, entry) in page {
                let part = component.strip_suffix('/').unwrap_or(&component);
                if long_hash(part) != Some(hash) || (object && part.len() != component.len()) {
                    continue;
                }
                if self.shown(view, dir, &component, reserved)?.as_bytes() == name {
                    return Ok(Some(Found::Entry(component, entry)));
                }
            }
        }
    }

    /// The name of a component that exists, which depends on what stands beside it (KEY-8).
    pub(super) fn shown<'a>(
        &self,
        view: View,
        dir: DirId,
        component: &'a str,
        reserved: &Reserved,
    ) -> Result<Cow<'a, str>> {
        let shadowed = !component.ends_with('/') && self.entry(view, dir, &format!("{component}/"))?.is_some();
        Ok(show(component, shadowed, reserved))
    }

    /// The component under which a new thing called `name` is made in `dir`: a directory's ends in `/`.
    pub(super) fn new_component(&self, dir: DirId, root: bool, name: &[u8], is_dir: bool) -> Result<String> {
        let fits = |component: String| {
            let (_, prefix) = self.store.path_of(dir)?;
            // KEY-1: whoever makes a key asks whether it is one.
            ObjectKey::parse(&(prefix + &component)).map(|_| component)
        };
        match read(name, self.reserved(root))? {
            Spelled::Part(part) if is_dir => fits(format!("{part}/")),
            Spelled::Part(part) if !part.is_empty() => fits(part.into_owned()),
            Spelled::Versions | Spelled::Control | Spelled::SelfBody => {
                Err(Error::new(Kind::NotPermitted, format!("cannot make {:?}", String::from_utf8_lossy(name)))
                    .why("the name is reserved (GEN-6)")
                    .mend("choose another name, or mount with versions_dir= or control_dir="))
            }
            Spelled::Part(_) | Spelled::Object(_) | Spelled::Long { .. } => {
                Err(super::spelling::not_made_by_name(&String::from_utf8_lossy(name)))
            }
        }
    }

    /// A directory's record in a view.
    pub(super) fn directory(&self, view: View, dir: DirId) -> Result<Directory> {
        let mut directory = self.store.directory(dir)?;
        if view != View::Live {
            // The past has no counters of its own; a count of two or more subdirectories would only be a guess.
            directory.stat.subdirs = 0;
            directory.alive = true;
        }
        Ok(directory)
    }

    /// What an entry is to the kernel, and its number there.
    pub(super) fn what(&self, view: View, dir: DirId, component: &str, entry: &Entry) -> What {
        match (entry, view) {
            (Entry::Dir(found), _) => What::Dir { dir: found.id, root: found.parent == found.id, view },
            (Entry::File(_), View::Live) => What::File,
            (Entry::File(file), View::Past(at)) => {
                What::PastFile { dir, component: component.into(), at, content: file.object.content }
            }
        }
    }

    /// The number of a directory.
    pub(super) fn dir_number(&self, dir: DirId, root: bool, view: View) -> u64 {
        if view == self.view() {
            if self.root == Root::Dir(dir) { ROOT } else { dir.0 }
        } else {
            virtual_number(&What::Dir { dir, root, view })
        }
    }

    /// The number of an entry of a directory.
    pub(super) fn entry_number(&self, view: View, dir: DirId, component: &str, entry: &Entry) -> u64 {
        match entry {
            Entry::Dir(found) => self.dir_number(found.id, found.parent == found.id, view),
            Entry::File(file) if view == self.view() => file.object.ino.0,
            Entry::File(_) => virtual_number(&self.what(view, dir, component, entry)),
        }
    }

    /// The view the mount itself shows.
    pub(super) fn view(&self) -> View {
        self.settings.as_of.map_or(View::Live, View::Past)
    }

    /// The number of the directory above a directory.
    pub(super) fn parent_number(&self, dir: DirId, view: View) -> Result<u64> {
        if self.root == Root::Dir(dir) && view == self.view() {
            return Ok(ROOT);
        }
        let directory = self.store.directory(dir)?;
        if directory.parent == dir {
            return Ok(ROOT);
        }
        let above = self.store.directory(directory.parent)?;
        Ok(self.dir_number(above.id, above.parent == above.id, view))
    }

    /// The live directory a node is, when it is one.
    pub(super) fn live_dir(node: &Node) -> Result<(DirId, bool)> {
        match &*node.what {
            What::Dir { dir, root, view: View::Live } => Ok((*dir, *root)),
            What::Dir { .. } | What::Buckets(View::Past(_)) => Err(past_is_read_only()),
            What::Buckets(View::Live) => Err(Error::new(Kind::NotPermitted, "cannot put that beside buckets")
                .why("the mount's root holds buckets only")
                .mend("go into a bucket, or make one with mkdir")),
            What::History(_) | What::Versions { .. } => Err(history_is_read_only()),
            What::Control(_) => Err(Error::new(Kind::NotPermitted, "cannot make that in the control directory")),
            What::File | What::PastFile { .. } | What::MarkerBody { .. } | What::Version { .. } => {
                Err(Error::new(Kind::NotDirectory, "not a directory"))
            }
        }
    }
}

/// The error for changing history (FSX-9).
pub(super) fn history_is_read_only() -> Error {
    Error::new(Kind::ReadOnly, "cannot write into the history")
        .why("versions never change (FSX-9)")
        .mend("copy the version out, or move it over the name to restore it")
}

/// The error for changing the past.
pub(super) fn past_is_read_only() -> Error {
    Error::new(Kind::ReadOnly, "cannot change the past")
        .why("this is a view of an earlier instant")
        .mend("copy what is needed into the present")
}

/// Whether an entry is a directory and what kind of node it is.
pub(super) fn kind_of(entry: &Entry) -> FileKind {
    match entry {
        Entry::Dir(_) => FileKind::Directory,
        Entry::File(file) => file.object.posix.kind,
    }
}
