//! `chmod`, `chown`, `utimens`, `truncate`: changes that make no version, except of the size.

use super::errno::{Errno, Fault, Outcome};
use super::handle::Open;
use super::lookup::{Caller, Keep};
use super::node::{Node, NodeRef, View, What};
use super::session::{Opened, without_setid};
use super::{Attr, Vfs};
use crate::model::{FileKind, Ino, Timestamp};
use crate::store::{Entry, PosixChange};

/// What to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Permission bits with set-id and sticky.
    pub mode: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length in bytes.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<Timestamp>,
    /// Last change of content.
    pub mtime: Option<Timestamp>,
}

impl Vfs {
    /// The store's clock, for `utimens` with "now".
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Changes attributes; `fh` when the caller has the file open. Returns them as they are then.
    ///
    /// # Errors
    /// `EROFS` for history and the past, `EPERM` for buckets, or what the store says.
    pub fn setattr(
        &self,
        caller: Caller,
        id: u64,
        fh: Option<u64>,
        change: SetAttr,
    ) -> std::result::Result<(Attr, Keep), Errno> {
        let node = self.node(id)?;
        let outcome = || -> Outcome<(Attr, Keep)> {
            if let Some(error) = Self::unchangeable(&node) {
                return Err(error.into());
            }
            if let What::Control(_) = *node.what {
                return Ok((self.set_control_attr(&node, fh, change)?, Keep::Never));
            }
            self.writable()?;
            if let Some(size) = change.size {
                self.set_size(caller, &node, fh, size)?;
            }
            self.set_posix(caller, &node, change)?;
            self.attributes(&node)
        };
        let _mine = self.mine(&node);
        self.told("setattr", || self.path(&node), outcome())
    }

    fn set_size(&self, caller: Caller, node: &NodeRef, fh: Option<u64>, size: u64) -> Outcome<()> {
        if !matches!(*node.what, What::File) {
            return Err(Errno::EISDIR.into());
        }
        let handle = fh.map(|fh| self.handles.get(fh)).transpose()?;
        if handle.as_ref().is_some_and(|handle| !matches!(handle.open, Open::Live { write: true, .. })) {
            return Err(Errno::EINVAL.into());
        }
        let mut slot = node.opened.lock();
        match (&handle, slot.as_deref_mut()) {
            (Some(handle), opened) => drop(Self::writing(handle, opened)?),
            (None, Some(opened)) => self.settle_session(node, opened)?,
            (None, None) => {}
        }
        let file = if handle.is_some() { self.file(node)? } else { self.named_file(node)? };
        if file.object.posix.kind != FileKind::File {
            return Err(Errno::EINVAL.into());
        }
        if handle.is_none() && size > 0 && slot.as_deref().is_none_or(|opened| opened.draft.is_none()) {
            // What is left must be read; bytes that others have open are no way around that.
            self.store.readable(&file.object)?;
        }
        let joins = slot.as_deref().is_some_and(|opened| opened.writing > 0 || opened.draft.is_some());
        let opened = slot.get_or_insert_default();
        let mode = file.object.posix.mode;
        opened.setid = without_setid(mode) != mode;
        let outcome = self.cut(caller, node, opened, size).and_then(|()| {
            // Without a writer this is a session of its own.
            if joins { Ok(()) } else { self.end_session(node, opened) }
        });
        if opened.handles == 0 && node.places.lock().last().is_none() {
            *slot = None;
        }
        outcome
    }

    fn cut(&self, caller: Caller, node: &Node, opened: &mut Opened, size: u64) -> Outcome<()> {
        let now = self.store.now();
        let before = match &opened.draft {
            Some(draft) => draft.size(),
            None => {
                let object = self.file(node)?.object;
                if size == 0 && object.size > 0 && self.store.readable(&object).is_err() {
                    // Nothing of the old bytes is needed.
                    let mut draft = self.store.draft(None)?;
                    draft.rewrites(object.class);
                    self.say_where(node, object.ino, &mut draft)?;
                    opened.draft = Some(draft);
                    opened.touched = true;
                }
                object.size
            }
        };
        if before == size && opened.mtime.is_none() {
            // POSIX marks the times for update even when the size stays; that makes no version.
            return self.change_posix(node, &PosixChange { mtime: Some(now), ..PosixChange::default() });
        }
        self.draft(node, opened)?.truncate(size)?;
        opened.changed(now);
        if caller.uid != 0 {
            self.drop_setid(node, opened)?;
        }
        Ok(())
    }

    fn set_posix(&self, caller: Caller, node: &Node, change: SetAttr) -> Outcome<()> {
        let chown = change.uid.is_some() || change.gid.is_some();
        let nothing = change == SetAttr::default();
        let mut posix = PosixChange {
            mode: change.mode,
            uid: change.uid,
            gid: change.gid,
            atime: change.atime,
            mtime: change.mtime,
            ctime: None,
        };
        if let What::File = *node.what
            && (chown || nothing)
        {
            // The kernel leaves clearing set-id bits at chown to us, also when it changes nothing.
            let before = self.file(node)?.object.posix;
            let keeps_group = before.mode & 0o010 == 0 && (caller.uid == 0 || caller.gid == before.gid);
            let cleared = before.mode & !(0o4000 | if keeps_group { 0 } else { 0o2000 });
            if change.mode.is_none() && cleared != before.mode && before.kind != FileKind::Symlink {
                posix.mode = Some(cleared);
            }
        }
        if posix == PosixChange::default() {
            return Ok(());
        }
        self.change_posix(node, &posix)?;
        if let What::File = *node.what
            && let Some(opened) = node.opened.lock().as_deref_mut()
        {
            // Times set after a write and before close must win: cp -p, rsync and tar do so.
            if let (Some(mtime), true) = (change.mtime, opened.mtime.is_some()) {
                opened.mtime = Some(mtime);
            }
            opened.ctime = opened.ctime.map(|_| self.store.now());
            if let Some(mode) = posix.mode {
                opened.setid = without_setid(mode) != mode;
            }
        }
        Ok(())
    }

    /// Stores changed attributes under whichever of a node's names leads to it.
    pub(super) fn change_posix(&self, node: &Node, change: &PosixChange) -> Outcome<()> {
        match &*node.what {
            What::Dir { dir, view: View::Live, .. } => {
                let directory = self.store.directory(*dir)?;
                self.store.set_posix((directory.parent, &directory.name), (*dir).into(), change)?;
                Ok(())
            }
            What::File => {
                let (mut places, ino) = (node.places.lock(), Ino(node.id));
                if let Some((_, entry)) = self.under_a_name(&places, ino, |at| self.store.set_posix(at, ino, change))? {
                    if let Entry::File(file) = entry {
                        places.now_seen(file.object);
                    }
                    return Ok(());
                }
                // Open and without a name: what it was is all there is.
                let Some(file) = places.nameless() else { return Err(Errno::ESTALE.into()) };
                let posix = &mut file.object.posix;
                posix.mode = change.mode.unwrap_or(posix.mode);
                posix.uid = change.uid.unwrap_or(posix.uid);
                posix.gid = change.gid.unwrap_or(posix.gid);
                posix.atime = change.atime.unwrap_or(posix.atime);
                posix.mtime = change.mtime.unwrap_or(posix.mtime);
                posix.ctime = self.store.now();
                Ok(())
            }
            What::Buckets(_) => Err(Fault::Bare(Errno::EPERM)),
            _ => Err(Errno::EROFS.into()),
        }
    }
}
