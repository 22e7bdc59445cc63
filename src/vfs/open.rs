//! `open`, `create`, `flush`, `fsync`, `release`.

use super::errno::{Errno, Fault, Outcome};
use super::handle::{Handle, Open};
use super::lookup::{Caller, Lookup, Moment};
use super::node::{Ended, Node, NodeRef, View, What};
use super::session::{Opened, without_setid};
use super::{Durability, Vfs};
use crate::model::{DirId, FileKind, Ino, Kind, Object, Posix};
use crate::store::{Entry, FileEntry, Used, again};
use crate::sys::disk::DiskFile;
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenHow {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Writes go to the end.
    pub append: bool,
    /// The file is cut to nothing.
    pub truncate: bool,
    /// Each write is durable when it returns.
    pub sync: bool,
    /// It must not exist; for [`Vfs::create`].
    pub exclusive: bool,
    /// The kernel runs it.
    pub exec: bool,
}

/// An open file, and how the kernel may treat it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opening {
    /// The handle's number.
    pub fh: u64,
    /// The kernel's pages of the file are still right.
    pub keep_cache: bool,
    /// The kernel's pages should be passed by: the handle only writes, or the content has no size beforehand.
    pub direct: bool,
    /// Closing it need not be told.
    pub no_flush: bool,
    /// Whatever handle of the node reads, and whenever, reads the same bytes.
    pub lasting: bool,
}

impl Vfs {
    /// Opens a file.
    ///
    /// # Errors
    /// `EROFS` for history and the past opened for writing, `EISDIR`, or what the store says.
    pub fn open(&self, caller: Caller, id: u64, how: OpenHow) -> std::result::Result<Opening, Errno> {
        let node = self.node(id)?;
        let _mine = self.mine(&node);
        self.told("open", || self.path(&node), self.open_node(caller, &node, how))
    }

    fn open_node(&self, caller: Caller, node: &NodeRef, how: OpenHow) -> Outcome<Opening> {
        let changes = how.write || how.truncate;
        if changes {
            if let Some(error) = Self::unchangeable(node) {
                return Err(error.into());
            }
            self.writable()?;
        }
        match &*node.what {
            What::File => self.open_live(caller, node, how),
            What::PastFile { .. } | What::MarkerBody { .. } | What::Version { .. } => self.open_fixed(node),
            What::Control(_) => self.open_control(node, how),
            What::Buckets(_) | What::Dir { .. } | What::History(_) | What::Versions { .. } => Err(Errno::EISDIR.into()),
        }
    }

    fn open_fixed(&self, node: &NodeRef) -> Outcome<Opening> {
        let find = || -> Outcome<_> {
            let object = self.find_fixed(node)?;
            let content = Arc::new(self.store.open_content(&object)?);
            Ok((object, content))
        };
        let (object, content) = again(find, Fault::is_replaced).map_err(Fault::or_lost)?;
        self.was_read(node, &object);
        let keep_cache = node.now_cached(object.content.0);
        let lasting = node.what.bytes().is_some();
        if lasting {
            let file = FileEntry { object, draft: false, nlink: 1 };
            node.places.lock().set_last(Some(Ended { file, place: None, content: None }));
        }
        let fh = self.handles.add(NodeRef::clone(node), Open::Fixed(content));
        Ok(Opening { fh, keep_cache, direct: false, no_flush: true, lasting })
    }

    /// The file of the store that holds exactly a handle's bytes from offset 0, when those never change, for the
    /// kernel to read by itself. What is read there passes no checksum.
    #[must_use]
    pub fn plain_file(&self, fh: u64) -> Option<Arc<dyn DiskFile>> {
        let handle = self.handles.get(fh).ok()?;
        handle.node.what.bytes()?;
        let Open::Fixed(content) = &handle.open else { return None };
        content.solo_file()
    }

    fn open_live(&self, caller: Caller, node: &NodeRef, how: OpenHow) -> Outcome<Opening> {
        let mut slot = node.opened.lock();
        let stale = node.was_changed_elsewhere();
        let opening = self.open_session(caller, node, &mut slot, how);
        if stale && opening.is_err() {
            // Who has it open is still to hear of it.
            node.changed_elsewhere();
        }
        opening
    }

    fn open_session(
        &self,
        caller: Caller,
        node: &NodeRef,
        slot: &mut Option<Box<Opened>>,
        how: OpenHow,
    ) -> Outcome<Opening> {
        let file = self.named_file(node)?;
        if file.object.posix.kind != FileKind::File {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if slot.as_ref().is_some_and(|opened| opened.handles == 0 && file.nlink > 0) {
            // It has a name again.
            *slot = None;
        }
        if how.truncate && slot.as_ref().is_some_and(|opened| opened.running > 0) {
            // The kernel refuses it as well, but after the file was cut.
            return Err(Errno::ETXTBSY.into());
        }
        if (how.write || how.truncate)
            && let Some(opened) = slot.as_deref_mut()
        {
            self.settle_session(node, opened)?;
        }
        let fresh = slot.is_none();
        let opened = slot.get_or_insert_default();
        let mode = file.object.posix.mode;
        opened.setid = without_setid(mode) != mode;
        let ready = self.ready(caller, node, opened, how, &file.object);
        let keep_cache = match ready {
            Ok(keep_cache) => keep_cache,
            Err(fault) => {
                if fresh {
                    *slot = None;
                }
                let content = file.object.content;
                return Err(match fault {
                    // No content has the number of another.
                    fault if self.named_file(node).is_ok_and(|again| again.object.content == content) => {
                        fault.or_lost()
                    }
                    // Replaced at this moment: the kernel looks the name up again, and finds what took its place.
                    fault if fault.is_replaced() => Errno::ESTALE.into(),
                    fault => fault,
                });
            }
        };
        node.places.lock().set_seen(Some(file));
        Ok(self.opening(node, opened, how, keep_cache))
    }

    /// Prepares a node's session for one more handle; whether the kernel's pages are still right.
    fn ready(
        &self,
        caller: Caller,
        node: &Node,
        opened: &mut Opened,
        how: OpenHow,
        object: &crate::model::Object,
    ) -> Outcome<bool> {
        if how.truncate {
            // FSX-3: even when the file was empty before, this makes a version.
            match &mut opened.draft {
                Some(draft) => draft.truncate(0)?,
                None => {
                    let mut draft = self.store.draft(None)?;
                    draft.rewrites(object.class);
                    self.say_where(node, object.ino, &mut draft)?;
                    opened.draft = Some(draft);
                }
            }
            opened.touched = true;
            opened.changed(self.store.now());
            if caller.uid != 0 {
                self.drop_setid(node, opened)?;
            }
            node.not_cached();
            return Ok(false);
        }
        if opened.draft.is_some() && opened.writers > 0 {
            return Ok(true);
        }
        // Asked at each open, also of bytes that others have open; and pages that the kernel has count as read (IT-12).
        self.store.readable(object)?;
        if opened.draft.is_some() {
            return Ok(true);
        }
        self.refresh(node, opened, object)?;
        if how.read || how.exec {
            self.was_read(node, object);
        } else {
            self.store.used(|| self.used_place(node), object);
        }
        Ok(node.now_cached(object.content.0))
    }

    /// Somebody opened a file to read it: that counts as if it was read whole, since the kernel may have its pages.
    fn was_read(&self, node: &Node, object: &Object) {
        self.store.used(|| self.used_place(node), object);
        self.store.observed(|| self.used_place(node), object, object.size);
    }

    /// Where a node's bytes were used, as far as it has a name.
    fn used_place(&self, node: &Node) -> Used {
        let at = |dirs: Vec<DirId>, component: &str| Used::At(dirs, component.to_owned());
        match &*node.what {
            What::Version { dirs, component, .. } => at(dirs.to_vec(), component),
            What::PastFile { dir, component, .. } => at(vec![*dir], component),
            _ => {
                let places = node.places.lock();
                let named = self.names(&places, Ino(node.id)).find_map(Result::ok);
                named.map_or_else(|| at(Vec::new(), ""), |(dir, component)| at(vec![dir], &component))
            }
        }
    }

    fn opening(&self, node: &NodeRef, opened: &mut Opened, how: OpenHow, keep_cache: bool) -> Opening {
        opened.handles += 1;
        let OpenHow { read, write, append, sync, exec, .. } = how;
        let writer = write || how.truncate;
        opened.running += u32::from(exec);
        opened.writers += u32::from(writer);
        if let (true, None, Some(ino)) = (writer, &opened.told_writers, node.ino()) {
            opened.told_writers = Some(self.store.writing(ino));
        }
        opened.writing += u32::from(writer);
        let fh = self.handles.add(
            NodeRef::clone(node),
            Open::Live { read, write, append, sync, exec, writer, closed: AtomicBool::new(false) },
        );
        Opening { fh, keep_cache, direct: write && !read, no_flush: !write && !opened.touched, lasting: false }
    }

    /// Makes a file and opens it.
    ///
    /// # Errors
    /// `EEXIST` with `exclusive`, `EROFS`, or what the store says.
    pub fn create(
        &self,
        caller: Caller,
        parent: u64,
        name: &[u8],
        mode: u16,
        how: OpenHow,
    ) -> std::result::Result<(Lookup, Opening), Errno> {
        let node = self.node(parent)?;
        let _mine = self.mine(&node);
        self.told("create", || self.path_in(&node, name), self.create_in(caller, &node, name, mode, how))
    }

    fn create_in(
        &self,
        caller: Caller,
        parent: &NodeRef,
        name: &[u8],
        mode: u16,
        how: OpenHow,
    ) -> Outcome<(Lookup, Opening)> {
        if let What::Control(_) = *parent.what {
            return self.create_control(parent, name, how);
        }
        self.writable()?;
        let (dir, root) = Self::live_dir(parent)?;
        let component = self.new_component(dir, root, name, false)?;
        let posix = self.new_posix(caller, dir, FileKind::File, mode)?;
        let since = self.moment();
        let file = match self.store.create_draft(dir, &component, &posix) {
            Ok(file) => file,
            Err(error) if error.kind() == Kind::AlreadyExists && !how.exclusive => {
                // Another door was quicker than the kernel's look-up.
                let Some(entry) = self.store.lookup(dir, &component)? else { return Err(error.into()) };
                let lookup = self.arrive(View::Live, dir, &component, &entry)?;
                return self.open_arrived(caller, lookup, how);
            }
            Err(error) => return Err(error.into()),
        };
        // That was one commit; if it was the only one, the name still leads here.
        let entry = Entry::File(file);
        let since = Moment { commits: since.commits + 1, ..since };
        let (lookup, _) = self.arrive_at(View::Live, dir, &component, &entry, Some(since))?;
        let node = self.node(lookup.node)?;
        let mut slot = node.opened.lock();
        let opened = slot.get_or_insert_default();
        match self.store.draft(None) {
            Ok(mut draft) => {
                let Entry::File(file) = &entry else { return Err(Errno::EIO.into()) };
                draft.is_at(file.object.ino, (dir, &component));
                draft.has_class(file.object.class);
                opened.draft = Some(draft);
            }
            Err(error) => {
                *slot = None;
                self.nodes.forget(lookup.node, 1);
                return Err(error.into());
            }
        }
        opened.touched = true;
        let Entry::File(file) = entry else { return Err(Errno::EIO.into()) };
        node.places.lock().set_seen(Some(file));
        let opening = self.opening(&node, opened, how, false);
        Ok((lookup, opening))
    }

    fn open_arrived(&self, caller: Caller, lookup: Lookup, how: OpenHow) -> Outcome<(Lookup, Opening)> {
        let node = self.node(lookup.node)?;
        match self.open_node(caller, &node, how) {
            Ok(opening) => Ok((lookup, opening)),
            Err(fault) => {
                self.nodes.forget(lookup.node, 1);
                Err(fault)
            }
        }
    }

    /// Attributes of something `caller` makes in `dir`; a set-group-id directory hands its group down.
    pub(super) fn new_posix(
        &self,
        caller: Caller,
        dir: crate::model::DirId,
        kind: FileKind,
        mode: u16,
    ) -> Outcome<Posix> {
        let above = self.store.directory(dir)?.posix;
        let inherits = above.mode & 0o2000 != 0;
        let gid = if inherits { above.gid } else { caller.gid };
        let down = if inherits && kind == FileKind::Directory { 0o2000 } else { 0 };
        Ok(Posix::new(kind, mode & 0o7777 | down, caller.uid, gid, self.store.now()))
    }

    /// A descriptor was closed: publishes what the session changed, so that `close` can tell of a failure (FSX-12).
    ///
    /// # Errors
    /// Why it could not be published.
    pub fn flush(&self, fh: u64) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let _mine = self.mine(&handle.node);
        self.told("close", || self.path(&handle.node), self.flush_handle(&handle))
    }

    fn flush_handle(&self, handle: &Handle) -> Outcome<()> {
        match &handle.open {
            Open::Live { .. } => {
                let mut slot = handle.node.opened.lock();
                let Some(opened) = slot.as_deref_mut() else { return Ok(()) };
                let dirty = opened.is_dirty();
                Self::not_writing(handle, opened);
                self.publish(&handle.node, opened)?;
                drop(slot);
                if dirty && self.settings.durability == Durability::Close {
                    self.store.sync()?;
                }
                Ok(())
            }
            Open::Control(file) => Self::flush_control(&mut file.lock()),
            Open::Fixed(_) | Open::Dir(_) => Ok(()),
        }
    }

    /// Whether a flush of the handle may wait for the disk.
    #[must_use]
    pub fn flush_may_block(&self, fh: u64) -> bool {
        const MUCH: u64 = 1 << 20;
        let Ok(handle) = self.handles.get(fh) else { return false };
        let Open::Live { writer: true, .. } = handle.open else { return false };
        if self.settings.durability == Durability::Close {
            return true;
        }
        let opened = handle.node.opened.lock();
        opened.as_deref().is_some_and(|opened| opened.draft.as_ref().is_some_and(|draft| draft.stored() > MUCH))
    }

    /// Makes a file's bytes, and its name, durable.
    ///
    /// # Errors
    /// Why they are not.
    pub fn fsync(&self, fh: u64) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let outcome = || -> Outcome<()> {
            match &handle.open {
                Open::Live { .. } => {
                    let mut slot = handle.node.opened.lock();
                    if let Some(opened) = slot.as_deref_mut() {
                        self.publish(&handle.node, opened)?;
                    }
                    drop(slot);
                    Ok(self.store.sync()?)
                }
                Open::Control(file) => {
                    Self::flush_control(&mut file.lock())?;
                    Ok(self.store.sync()?)
                }
                Open::Fixed(_) | Open::Dir(_) => Ok(self.store.sync()?),
            }
        };
        let _mine = self.mine(&handle.node);
        self.told("fsync", || self.path(&handle.node), outcome())
    }

    /// A handle is gone. The last writer's ends the session.
    pub fn release(&self, fh: u64) {
        let Some(handle) = self.handles.remove(fh) else { return };
        let _mine = self.mine(&handle.node);
        let outcome = match &handle.open {
            Open::Live { writer, exec, .. } => self.release_live(&handle, *writer, *exec),
            Open::Control(file) => Self::flush_control(&mut file.lock()),
            Open::Fixed(_) => {
                if handle.node.open.load(Ordering::Relaxed) == 1 {
                    handle.node.places.lock().set_last(None);
                }
                Ok(())
            }
            Open::Dir(_) => Ok(()),
        };
        // Nobody hears an error of release; flush told it before, and the error ring keeps it.
        let _ = self.told("release", || self.path(&handle.node), outcome);
        self.nodes.closed(&handle.node);
    }

    fn release_live(&self, handle: &Handle, writer: bool, exec: bool) -> Outcome<()> {
        let node = &handle.node;
        let mut slot = node.opened.lock();
        let Some(opened) = slot.as_deref_mut() else { return Ok(()) };
        Self::not_writing(handle, opened);
        opened.handles = opened.handles.saturating_sub(1);
        opened.running = opened.running.saturating_sub(u32::from(exec));
        opened.writers = opened.writers.saturating_sub(u32::from(writer));
        let ends = opened.writers == 0 && (writer || opened.handles == 0);
        let outcome = if ends { self.end_session(node, opened) } else { Ok(()) };
        if opened.writers == 0 {
            opened.told_writers = None;
        }
        // A file without a name keeps what its handles wrote for who found it by its name and opens it now.
        if opened.handles == 0 {
            let mut places = node.places.lock();
            places.set_seen(None);
            if places.last().is_none() {
                *slot = None;
            }
        }
        outcome
    }
}
