//! Write sessions: from the first writer's open to the last writer's release, one version (FSX-1 to FSX-3).
//!
//! A node with handles has an [`Opened`]. Its draft, made by the first change, is what everybody on the mount reads;
//! publishing makes the draft's bytes the name's current version, replacing what the same session published before.

use super::errno::{Errno, Fault, Outcome};
use super::handle::{Handle, Open};
use super::node::{Node, What};
use super::{Attr, Vfs, attr, xattr};
use crate::model::{Ino, Object, Result, Timestamp};
use crate::store::{Content, Draft, PosixChange, Session, Writing};
use crate::sys::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// What a node with handles keeps in memory.
#[derive(Default)]
pub(super) struct Opened {
    pub(super) handles: u32,
    /// Handles through which the kernel runs the file.
    pub(super) running: u32,
    pub(super) writers: u32,
    /// Tells the store of them.
    pub(super) told_writers: Option<Writing>,
    /// Writers that were not closed since they were opened or last wrote.
    pub(super) writing: u32,
    /// The bytes, once the session changed something.
    pub(super) draft: Option<Draft>,
    session: Option<Session>,
    /// To be published although the draft changed nothing: a new file, or one cut by `O_TRUNC`.
    pub(super) touched: bool,
    /// The time of the last change not yet published, unless `utimens` set another since.
    pub(super) mtime: Option<Timestamp>,
    pub(super) ctime: Option<Timestamp>,
    /// When the first change not yet published was made.
    since: Option<Timestamp>,
    /// What is read while there is no draft; pinned, so that it outlives the name.
    pub(super) content: Option<Arc<Content>>,
    /// Whether the file has a set-id bit that writing must clear.
    pub(super) setid: bool,
    /// Attributes set (or removed) on what the session has not published yet.
    pub(super) edits: xattr::Pending,
}

impl Opened {
    /// Notes a change of the bytes.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.mtime = Some(now);
        self.ctime = Some(now);
        self.since.get_or_insert(now);
    }

    /// Whether the name's current version is this session's own.
    pub(super) fn has_published(&self) -> bool {
        self.published().is_some()
    }

    /// The session, once it has published something.
    pub(super) fn published(&self) -> Option<&Session> {
        self.session.as_ref().filter(|session| self.writers > 0 && session.has_published())
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.is_changed() || !self.edits.is_empty()
    }

    /// Whether its bytes are to be published.
    fn is_changed(&self) -> bool {
        self.touched || self.draft.as_ref().is_some_and(Draft::is_dirty)
    }

    /// What the session does to the stored attributes.
    pub(super) fn shown(&self) -> Shown {
        Shown {
            size: self.draft.as_ref().map(|draft| (draft.size(), attr::blocks(draft.stored()))),
            mtime: self.mtime,
            ctime: self.ctime,
            dirty: self.is_dirty(),
        }
    }
}

/// What a session does to the stored attributes.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// Bytes, and units that `stat` counts what is stored in.
    size: Option<(u64, u64)>,
    mtime: Option<Timestamp>,
    ctime: Option<Timestamp>,
    /// Whether some of it is not published.
    pub(super) dirty: bool,
}

impl Shown {
    pub(super) fn overlay(&self, attr: &mut Attr) {
        if let Some((size, blocks)) = self.size {
            attr.size = size;
            attr.blocks = blocks;
        }
        if let Some(mtime) = self.mtime {
            attr.mtime = mtime;
        }
        if let Some(ctime) = self.ctime {
            attr.ctime = attr.ctime.max(ctime);
        }
    }
}

impl Vfs {
    /// The session that a writer's handle is about to change.
    pub(super) fn writing<'a>(handle: &Handle, opened: Option<&'a mut Opened>) -> Outcome<&'a mut Opened> {
        let opened = opened.ok_or(Fault::Bare(Errno::EBADF))?;
        if let Open::Live { writer: true, closed, .. } = &handle.open
            && closed.swap(false, Ordering::Relaxed)
        {
            opened.writing += 1;
        }
        Ok(opened)
    }

    /// A writer's handle is closed, as far as its program is concerned; the kernel may still hold it.
    pub(super) fn not_writing(handle: &Handle, opened: &mut Opened) {
        if let Open::Live { writer: true, closed, .. } = &handle.open
            && !closed.swap(true, Ordering::Relaxed)
        {
            opened.writing -= 1;
        }
    }

    /// Ends a session that every writer has closed. The kernel says so in its own time, which may be after the next
    /// change: two programs that write a file one after the other would make one version.
    pub(super) fn settle_session(&self, node: &Node, opened: &mut Opened) -> Outcome<()> {
        if opened.writing == 0 && opened.has_published() && !opened.is_dirty() {
            self.end_session(node, opened)?;
        }
        Ok(())
    }

    /// The draft of a node's session, begun over the current bytes when there is none yet.
    pub(super) fn draft<'a>(&self, node: &Node, opened: &'a mut Opened) -> Outcome<&'a mut Draft> {
        if opened.draft.is_none() {
            let object = self.file(node)?.object;
            let content = self.refresh(node, opened, &object)?;
            let mut draft = self.store.draft_over(object.ino, content);
            draft.rewrites(object.class);
            self.say_where(node, object.ino, &mut draft)?;
            opened.draft = Some(draft);
        } else if self.store.has_quotas()
            && let (Some(ino), Some(draft)) = (node.ino(), &mut opened.draft)
        {
            // Renamed since, it counts in place of what has its new name.
            self.say_where(node, ino, draft)?;
        }
        // Just made when it was not there.
        opened.draft.as_mut().ok_or(Fault::Bare(Errno::EIO))
    }

    /// Tells a draft its file's name; whether there is one.
    pub(super) fn say_where(&self, node: &Node, ino: Ino, draft: &mut Draft) -> Result<bool> {
        let said = self.under_a_name(&node.places.lock(), ino, |at| {
            draft.is_at(ino, at);
            Ok(())
        })?;
        Ok(said.is_some())
    }

    /// What readers without a draft read: the content the name has now, or had last.
    pub(super) fn refresh(&self, node: &Node, opened: &mut Opened, object: &Object) -> Result<Arc<Content>> {
        let is_it = |kept: &Arc<Content>| kept.id() == object.content;
        if let Some(content) = opened.content.clone().filter(is_it) {
            return Ok(content);
        }
        let kept = node.places.lock().last().and_then(|last| last.content.clone()).filter(is_it);
        let content = match kept {
            Some(content) => content,
            None => Arc::new(self.store.open_content(object)?),
        };
        opened.content = Some(Arc::clone(&content));
        Ok(content)
    }

    /// Has readers without a draft read what another door put under the name.
    pub(super) fn catch_up(&self, node: &Node, opened: &mut Opened) {
        if opened.draft.is_some() || !node.was_changed_elsewhere() {
            return;
        }
        let found = self.file(node).and_then(|file| Ok(self.refresh(node, opened, &file.object)?));
        match found {
            Ok(content) => drop(node.now_cached(content.id().0)),
            // Replaced once more at this moment; what is open can be read until the next time.
            Err(_) => node.changed_elsewhere(),
        }
    }

    /// Makes the session's bytes and attributes the name's current version, if it changed any. On failure the session stays
    /// dirty; attributes that do not fit (another door may have set some meanwhile) keep no bytes back.
    pub(super) fn publish(&self, node: &Node, opened: &mut Opened) -> Outcome<()> {
        let Some(ino) = node.ino() else { return Ok(()) };
        if !opened.is_dirty() {
            return Ok(());
        }
        self.draft(node, opened)?;
        // Attributes can be asked for meanwhile, also when the disk hangs: so not with the names locked.
        let _under_way = self.stalled.begin(node.id, opened);
        let Some(draft) = &mut opened.draft else { return Ok(()) };
        // Before any of it is put where it stays, which says whose it is: of a file without a name nothing is.
        if !self.say_where(node, ino, draft)? {
            opened.touched = false;
            draft.mark_dirty();
            return Ok(());
        }
        self.store.settle(draft)?;
        let session = opened.session.get_or_insert_with(Session::new);
        // Publishing is no change: ctime stays where the last write put it, and where it was for a file just made.
        let ctime = Some(opened.ctime.unwrap_or_default());
        let change = PosixChange { mtime: opened.mtime, ctime, ..PosixChange::default() };
        let mut ready = self.store.ready(draft)?;
        let mut places = node.places.lock();
        let mut fit = Ok(());
        let published = self.under_a_name(&places, ino, |at| {
            self.store.publish_ready(at, ino, draft, &mut ready, session, &change, |object| {
                let mut edited = object.clone();
                fit = opened.edits.put_over(&mut edited);
                if fit.is_ok() {
                    *object = edited;
                }
            })
        })?;
        drop(ready);
        let Some((_, object)) = published else {
            // No name leads here: what an unlinked file holds goes with its last handle (FSX-7).
            opened.touched = false;
            draft.mark_dirty();
            return Ok(());
        };
        node.now_cached(object.content.0);
        opened.touched = false;
        opened.mtime = None;
        opened.ctime = None;
        opened.since = None;
        places.now_seen(object);
        fit?;
        opened.edits.clear();
        Ok(())
    }

    /// Ends the session after the last writer: publishes what is left, then seals.
    pub(super) fn end_session(&self, node: &Node, opened: &mut Opened) -> Outcome<()> {
        let published = self.publish(node, opened);
        if !opened.is_changed() {
            // Attributes that did not fit: who set them was told.
            opened.edits.clear();
        }
        if let Some(session) = opened.session.take() {
            self.store.seal(session)?;
        }
        // Readers go on with the published bytes; without a name, with the draft.
        let is_published = opened.draft.as_ref().is_some_and(|draft| !draft.is_dirty());
        if published.is_ok() && opened.handles > 0 && is_published {
            let file = self.file(node)?;
            // Who has it open goes on with what it has, also where its class makes it an archive from now on (SC-5).
            let content = self.store.open_unasked(&file.object)?;
            opened.content = Some(Arc::new(content));
            opened.draft = None;
        }
        published
    }

    /// Publishes files that were held open and changed for longer than `publish_interval`, and has the kernel drop names
    /// when it knows too many; the node calls this now and then.
    pub fn tick(&self, now: Timestamp) {
        self.trim();
        let Some(interval) = self.settings.publish_interval else { return };
        self.publish_where(|opened| opened.since.is_some_and(|since| older_than(since, now, interval)));
    }

    /// Publishes everything that is open and changed; for the end of the mount (FSX-15).
    pub fn publish_all(&self) {
        self.publish_where(|_| true);
    }

    fn publish_where(&self, wanted: impl Fn(&Opened) -> bool) {
        for node in self.nodes.all() {
            if node.open.load(Ordering::Relaxed) == 0 || !matches!(*node.what, What::File) {
                continue;
            }
            let _mine = self.mine(&node);
            let mut opened = node.opened.lock();
            if let Some(opened) = opened.as_deref_mut()
                && opened.is_dirty()
                && wanted(opened)
            {
                let outcome = self.publish(&node, opened);
                // The complaint is in the error ring; the writer hears of it at its own fsync or close.
                let _ = self.told("publish", || self.path(&node), outcome);
            }
        }
    }

    /// Clears the set-id bits that a write or a change of size by somebody without privilege must clear.
    pub(super) fn drop_setid(&self, node: &Node, opened: &mut Opened) -> Outcome<()> {
        if !opened.setid {
            return Ok(());
        }
        let mode = self.file(node)?.object.posix.mode;
        let kept = without_setid(mode);
        if kept != mode {
            self.change_posix(node, &PosixChange { mode: Some(kept), ..PosixChange::default() })?;
        }
        opened.setid = false;
        Ok(())
    }
}

/// The mode after a write: without set-user-id, and without set-group-id where the group may execute.
pub(super) const fn without_setid(mode: u16) -> u16 {
    let group = if mode & 0o010 != 0 { 0o2000 } else { 0 };
    mode & !(0o4000 | group)
}

fn older_than(since: Timestamp, now: Timestamp, interval: Duration) -> bool {
    now.millis().saturating_sub(since.millis()) >= i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}
