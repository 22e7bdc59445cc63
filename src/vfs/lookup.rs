//! Looking up names and attributes: `lookup`, `getattr`, `readlink`, `forget`, `statfs`.

use super::control::ControlNode;
use super::errno::{Errno, Fault, Outcome};
use super::node::{Node, NodeRef, View, What};
use super::session::without_setid;
use super::tree::Found;
use super::{Attr, Vfs};
use crate::model::{DirId, Error, FileKind, Kind, Object, Result};
use crate::store::{Entry, FileEntry, Space};
use crate::sys::sync::atomic::Ordering;

/// How often a look-up follows a name that is replaced all the time.
const ATTEMPTS: u32 = 8;
/// How often a file's name is looked for while others change names: each look is short, and some are undisturbed.
const LOOKS_MAX: u32 = 10_000;

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// How long the kernel may keep what it was told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Keep {
    /// It must ask each time.
    Never,
    /// For a second: buckets come and go through other doors without a word.
    Briefly,
    /// Until it is told that something changed.
    Always,
}

/// A name that was found or made; its node counts one look-up more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// The node's number, which the kernel must use; `attr.ino` is the same.
    pub node: u64,
    /// Its attributes.
    pub attr: Attr,
    /// How long the kernel may keep the name.
    pub name_keep: Keep,
    /// How long the kernel may keep the attributes; not at all while a change is unpublished.
    pub attr_keep: Keep,
}

/// What had happened to the store when something was read of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Moment {
    /// Commits.
    pub commits: u64,
    /// Commits of others that this view had begun to hear of.
    pub heard: u64,
}

impl Vfs {
    /// The moment that it is.
    pub(super) fn moment(&self) -> Moment {
        Moment { heard: self.heard.load(Ordering::Acquire), commits: self.store.commits() }
    }

    /// Looks a name up. `Ok(None)`: nothing is there, and the kernel may remember that where [`Vfs::remembers_absence`] says so.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENAMETOOLONG`, `EILSEQ`, or what the store says.
    pub fn lookup(&self, parent: u64, name: &[u8]) -> std::result::Result<Option<Lookup>, Errno> {
        let node = self.node(parent)?;
        self.told("lookup", || self.path_in(&node, name), self.look(&node, name))
    }

    /// Whether the kernel may remember that a name is not in a directory: what changes that is told to it.
    #[must_use]
    pub fn remembers_absence(&self, parent: u64) -> bool {
        self.nodes
            .get(parent)
            .is_some_and(|node| matches!(*node.what, What::Dir { .. }) && self.keep(&node) == Keep::Always)
    }

    fn look(&self, parent: &Node, name: &[u8]) -> Outcome<Option<Lookup>> {
        match &*parent.what {
            What::Dir { dir, root, view } => {
                let mut attempts = 0;
                let what = loop {
                    let since = self.moment();
                    match self.find(*view, *dir, *root, name)? {
                        None => return Ok(None),
                        Some(Found::Entry(component, entry)) => {
                            let (lookup, leads) = self.arrive_at(*view, *dir, &component, &entry, Some(since))?;
                            attempts += 1;
                            if leads || attempts == ATTEMPTS {
                                return Ok(Some(lookup));
                            }
                            self.nodes.forget(lookup.node, 1);
                        }
                        Some(Found::MarkerBody) => break What::MarkerBody { dir: *dir, view: *view },
                        Some(Found::Versions) => break What::History([*dir].into()),
                        Some(Found::Control) => break self.control_of(*dir)?,
                    }
                };
                self.virtual_lookup(what).map(Some)
            }
            What::Buckets(view) => self.look_bucket(*view, name),
            What::History(dirs) => self.look_history(dirs, name),
            What::Versions { dirs, part } => self.look_version(dirs, part, name),
            What::Control(control) => self.look_in_control(control, name),
            What::File | What::PastFile { .. } | What::MarkerBody { .. } | What::Version { .. } => {
                Err(Errno::ENOTDIR.into())
            }
        }
    }

    /// What a component of the present leads to, if that is still what it led to.
    fn still_leads(&self, dir: DirId, component: &str, entry: &Entry) -> Result<Option<Entry>> {
        Ok(self.store.lookup(dir, component)?.filter(|now| match (now, entry) {
            (Entry::File(now), Entry::File(then)) => now.object.ino == then.object.ino,
            (Entry::Dir(now), Entry::Dir(then)) => now.id == then.id,
            _ => false,
        }))
    }

    fn look_bucket(&self, view: View, name: &[u8]) -> Outcome<Option<Lookup>> {
        let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
        if view == View::Live && self.settings.reserved.control_dir() == Some(name) {
            return self.virtual_lookup(What::Control(ControlNode::RootDir)).map(Some);
        }
        let bucket = match self.store.bucket(name) {
            Ok(bucket) => bucket,
            Err(error) if error.kind() == Kind::NoSuchBucket || error.kind() == Kind::InvalidBucketName => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if matches!(view, View::Past(at) if bucket.created > at) {
            return Ok(None);
        }
        Ok(Some(self.dir_lookup(view, bucket.root, true)?))
    }

    /// Holds the node of a directory.
    pub(super) fn dir_lookup(&self, view: View, dir: DirId, root: bool) -> Result<Lookup> {
        let what = What::Dir { dir, root, view };
        let node = self.nodes.hold(self.dir_number(dir, root, view), what);
        // Read once it is held: from then on the kernel is told of what changes.
        let directory = match self.directory(view, dir) {
            Ok(directory) => directory,
            Err(error) => {
                self.nodes.forget(node.id, 1);
                return Err(error);
            }
        };
        let mut attr = Attr::of_dir(node.id, &directory);
        if view != View::Live {
            attr = attr.read_only();
        }
        let attr_keep = self.keep(&node);
        // Only the directory of buckets and views of the past lead here.
        let name_keep = if self.settings.as_of.is_some() { attr_keep } else { attr_keep.min(Keep::Briefly) };
        Ok(Lookup { node: node.id, attr: self.masked(attr), name_keep, attr_keep })
    }

    /// Holds the node of an entry of a directory.
    pub(super) fn arrive(&self, view: View, dir: DirId, component: &str, entry: &Entry) -> Result<Lookup> {
        self.arrive_at(view, dir, component, entry, None).map(|(lookup, _)| lookup)
    }

    /// As [`Vfs::arrive`]; and whether the name still leads there. A file that lost it since `entry` was read is not
    /// brought back, and what it was can be opened if it has no other name. `since` is a moment before `entry` was read:
    /// when others have changed anything from then until the node was held, the kernel would not be told of it.
    pub(super) fn arrive_at(
        &self,
        view: View,
        dir: DirId,
        component: &str,
        entry: &Entry,
        since: Option<Moment>,
    ) -> Result<(Lookup, bool)> {
        let what = self.what(view, dir, component, entry);
        let node = self.nodes.hold(self.entry_number(view, dir, component, entry), what);
        let mut leads = true;
        let mut seen = None;
        if view == View::Live {
            let mut places = node.places.lock();
            // Who takes a name away does it with the places locked.
            let now = self.moment();
            let undisturbed = since.is_some_and(|since| {
                since.heard == now.heard && (since.commits == now.commits || places.has(dir, component))
            });
            if !undisturbed {
                seen = match self.still_leads(dir, component, entry) {
                    Ok(seen) => seen,
                    Err(error) => {
                        drop(places);
                        self.nodes.forget(node.id, 1);
                        return Err(error);
                    }
                };
                leads = seen.is_some() || matches!(entry, Entry::Dir(_));
            }
            if leads {
                places.add(dir, component);
            } else if places.is_nameless()
                && places.last().is_none()
                && let Entry::File(file) = entry
                && file.nlink <= 1
            {
                places.set_last(Some(self.ended((dir, component), file.clone())));
            }
        }
        let (attr, settled) = self.attr_of_entry(&node, view, seen.as_ref().unwrap_or(entry));
        let name_keep = self.keep(&node);
        let attr_keep = if settled { name_keep } else { Keep::Never };
        Ok((Lookup { node: node.id, attr, name_keep, attr_keep }, leads))
    }

    /// The attributes an entry has as that node.
    fn attr_of_entry(&self, node: &Node, view: View, entry: &Entry) -> (Attr, bool) {
        let (attr, settled) = match entry {
            Entry::Dir(directory) => (Attr::of_dir(node.id, directory), true),
            Entry::File(file) if view == View::Live => self.live_attr(node, file),
            Entry::File(file) => (Attr::of_object(node.id, &file.object), true),
        };
        (self.masked(if view == View::Live { attr } else { attr.read_only() }), settled)
    }

    /// Attributes of a present file: the stored ones, and what an open session has done to them.
    fn live_attr(&self, node: &Node, file: &FileEntry) -> (Attr, bool) {
        let mut attr = Attr { nlink: file.nlink, ..Attr::of_object(node.id, &file.object) };
        // A write clears set-id bits, and the kernel would not ask again for the mode alone.
        let mode = file.object.posix.mode;
        let mut settled = !file.draft && without_setid(mode) == mode;
        // A file without a name may keep a session that no handle is left of.
        if (node.open.load(Ordering::Relaxed) > 0 || file.nlink == 0)
            && let Some(shown) = self.stalled.shown(node)
        {
            shown.overlay(&mut attr);
            settled &= !shown.dirty;
        }
        (attr, settled)
    }

    /// How long the kernel may keep what it knows of a node.
    fn keep(&self, node: &Node) -> Keep {
        match &*node.what {
            _ if !node.what.is_lasting() || !(Self::is_live(node) || self.settings.as_of.is_some()) => Keep::Never,
            What::Buckets(View::Live) => Keep::Briefly,
            _ => Keep::Always,
        }
    }

    /// Holds the node of something only the mount knows.
    pub(super) fn virtual_lookup(&self, what: What) -> Outcome<Lookup> {
        let number = super::node::virtual_number(&what);
        let node = self.nodes.hold(number, what);
        match self.attributes(&node) {
            Ok((attr, _)) => Ok(Lookup { node: node.id, attr, name_keep: Keep::Never, attr_keep: Keep::Never }),
            Err(fault) => {
                self.nodes.forget(node.id, 1);
                Err(fault)
            }
        }
    }

    /// Attributes of a node, and how long the kernel may keep them.
    ///
    /// # Errors
    /// `ENOENT` or `ESTALE` when it is gone, or what the store says.
    pub fn getattr(&self, id: u64) -> std::result::Result<(Attr, Keep), Errno> {
        let node = self.node(id)?;
        self.told("stat", || self.path(&node), self.attributes(&node))
    }

    /// Attributes of a node, and how long the kernel may keep them.
    pub(super) fn attributes(&self, node: &Node) -> Outcome<(Attr, Keep)> {
        let mut keep = self.keep(node);
        let attr = match &*node.what {
            What::Buckets(_) => {
                let buckets = u32::try_from(self.store.buckets()?.len()).unwrap_or(u32::MAX - 2);
                let attr = self.virtual_dir(node.id, self.started);
                Attr { mode: 0o755, nlink: buckets + 2, ..attr }
            }
            What::Dir { dir, view, .. } => {
                let attr = match self.directory(*view, *dir) {
                    Ok(directory) => Attr::of_dir(node.id, &directory),
                    Err(error) if error.kind() == Kind::NoSuchKey => node.places.lock().removed().ok_or(error)?,
                    Err(error) => return Err(error.into()),
                };
                if *view == View::Live { attr } else { attr.read_only() }
            }
            What::File => {
                let file = self.file(node)?;
                let (attr, known) = self.live_attr(node, &file);
                if !known {
                    keep = Keep::Never;
                }
                attr
            }
            What::PastFile { .. } | What::MarkerBody { .. } | What::Version { .. } => {
                Attr::of_object(node.id, &self.fixed_object(node)?).read_only()
            }
            What::History(_) | What::Versions { .. } => self.history_attr(node)?,
            What::Control(_) => self.control_attr(node)?,
        };
        Ok((self.masked(attr), keep))
    }

    /// The entry of a present file: by the first of its names that still leads to it, or what it was at the end; for
    /// whoever has it open, also when another door took it away.
    pub(super) fn file(&self, node: &Node) -> Outcome<FileEntry> {
        let places = node.places.lock();
        match (self.file_at(node, &places), places.seen()) {
            (Err(Fault::Bare(Errno::ESTALE)), Some(seen)) => Ok(FileEntry { nlink: 0, ..seen.clone() }),
            (found, _) => found,
        }
    }

    /// As [`Vfs::file`] for whoever came by the name: `ESTALE` when another door took it away, so that the kernel looks
    /// it up again.
    pub(super) fn named_file(&self, node: &Node) -> Outcome<FileEntry> {
        self.file_at(node, &node.places.lock())
    }

    fn file_at(&self, node: &Node, places: &super::node::Places) -> Outcome<FileEntry> {
        let Some(ino) = node.ino() else { return Err(Errno::EINVAL.into()) };
        for _ in 0..LOOKS_MAX {
            let commits = self.store.commits();
            for name in self.names(places, ino) {
                let (dir, component) = name?;
                if let Some(Entry::File(file)) = self.store.lookup(dir, &component)?
                    && file.object.ino == ino
                {
                    return Ok(file);
                }
            }
            // As in `under_a_name`.
            if commits == self.store.commits() {
                break;
            }
        }
        match places.last() {
            Some(last) => Ok(last.file.clone()),
            None => Err(Errno::ESTALE.into()),
        }
    }

    /// Names that may lead to a file: those the kernel asked for, and when they do not, those the store knows of.
    pub(super) fn names<'a>(
        &'a self,
        places: &'a super::node::Places,
        ino: crate::model::Ino,
    ) -> impl Iterator<Item = Result<(DirId, String)>> + 'a {
        let others = std::iter::once_with(move || self.store.links(ino)).flat_map(|found| match found {
            Ok(names) => names.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        let new = |name: &Result<(DirId, String)>| name.as_ref().map_or(true, |(dir, at)| !places.has(*dir, at));
        places.owned_names().map(Ok).chain(others.filter(new))
    }

    /// Does something under the first name that leads to a file; `None` when none does, because other doors took them away.
    pub(super) fn under_a_name<T>(
        &self,
        places: &super::node::Places,
        ino: crate::model::Ino,
        mut act: impl FnMut((DirId, &str)) -> Result<T>,
    ) -> Result<Option<((DirId, String), T)>> {
        for look in 0..LOOKS_MAX {
            let commits = self.store.commits();
            for name in self.names(places, ino) {
                let at = name?;
                if look > 0 && !self.leads_to(&at, ino)? {
                    continue;
                }
                match act((at.0, &at.1)) {
                    Ok(done) => return Ok(Some((at, done))),
                    Err(error) if error.kind() == Kind::NoSuchKey => {}
                    Err(error) => return Err(error),
                }
            }
            // Renamed in between, it may have had a name all the time that was not among these.
            if commits == self.store.commits() {
                return Ok(None);
            }
        }
        Err(Error::new(Kind::Conflict, "cannot find the file's name").why("names around it change all the time"))
    }

    fn leads_to(&self, at: &(DirId, String), ino: crate::model::Ino) -> Result<bool> {
        Ok(matches!(self.store.lookup(at.0, &at.1)?, Some(Entry::File(file)) if file.object.ino == ino))
    }

    /// The version a read-only file node shows; while it is open, also when it was purged.
    pub(super) fn fixed_object(&self, node: &Node) -> Outcome<Object> {
        let found = self.find_fixed(node);
        if found.is_err()
            && let Some(last) = node.places.lock().last()
        {
            return Ok(last.file.object.clone());
        }
        found
    }

    /// The version a read-only file node shows, if it is there; `ESTALE` when other bytes are, so that the kernel
    /// looks the name up again.
    pub(super) fn find_fixed(&self, node: &Node) -> Outcome<Object> {
        let object = self.find_version(node)?;
        if node.what.bytes().is_some_and(|bytes| bytes != object.content) {
            return Err(Errno::ESTALE.into());
        }
        Ok(object)
    }

    fn find_version(&self, node: &Node) -> Outcome<Object> {
        match &*node.what {
            What::PastFile { dir, component, at, .. } => match self.entry(View::Past(*at), *dir, component)? {
                Some(Entry::File(file)) => Ok(file.object),
                _ => Err(Errno::ENOENT.into()),
            },
            What::MarkerBody { dir, view } => {
                self.directory(*view, *dir)?.marker.ok_or_else(|| Errno::ENOENT.into()).map(|mut marker| {
                    // The marker's bits are a directory's; its body is a file.
                    marker.posix.kind = FileKind::File;
                    marker.posix.mode &= 0o444;
                    marker
                })
            }
            What::Version { dirs, component, version, seq, .. } => {
                let found = self.store.version(dirs, component, *version, Some(*seq))?;
                let mut object = found.ok_or(Fault::Bare(Errno::ENOENT))?;
                if object.marker || object.posix.kind == FileKind::Directory {
                    object.posix.kind = FileKind::File;
                    object.posix.mode &= 0o666;
                }
                Ok(object)
            }
            _ => Err(Errno::EINVAL.into()),
        }
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// `EINVAL` for anything else.
    pub fn readlink(&self, id: u64) -> std::result::Result<Vec<u8>, Errno> {
        let node = self.node(id)?;
        let target = || -> Outcome<Vec<u8>> {
            let posix = match &*node.what {
                What::File => self.file(&node)?.object.posix,
                What::PastFile { .. } | What::Version { .. } => self.fixed_object(&node)?.posix,
                _ => return Err(Errno::EINVAL.into()),
            };
            if posix.kind == FileKind::Symlink { Ok(posix.target) } else { Err(Errno::EINVAL.into()) }
        };
        self.told("readlink", || self.path(&node), target())
    }

    /// The kernel dropped `count` of its references to a node.
    pub fn forget(&self, id: u64, count: u64) {
        if id != super::ROOT {
            self.nodes.forget(id, count);
        }
    }

    /// Room for what is made at a node: in a bucket with a quota, what that leaves.
    ///
    /// # Errors
    /// What the disk says.
    pub fn statfs(&self, id: u64) -> std::result::Result<Space, Errno> {
        let place = self.node(id).map_or((None, String::new()), |node| self.path(&node));
        let space = match &place.0 {
            Some(bucket) => self.store.space_of(bucket),
            None => self.store.space(),
        };
        self.told("statfs", || place, space.map_err(Fault::Store))
    }

    /// Whether opening or changing a node is refused because of what it is, with the reason.
    pub(super) fn unchangeable(node: &NodeRef) -> Option<Error> {
        match &*node.what {
            What::History(_) | What::Versions { .. } | What::Version { .. } => {
                Some(super::tree::history_is_read_only())
            }
            What::PastFile { .. } | What::Buckets(View::Past(_)) | What::Dir { view: View::Past(_), .. } => {
                Some(super::tree::past_is_read_only())
            }
            What::MarkerBody { .. } => Some(
                Error::new(Kind::ReadOnly, "cannot write the body of a directory's marker")
                    .mend("PUT the key that ends in '/' through S3"),
            ),
            What::Buckets(View::Live) | What::Dir { view: View::Live, .. } | What::File | What::Control(_) => None,
        }
    }
}
