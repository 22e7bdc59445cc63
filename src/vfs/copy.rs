//! `copy_file_range`: bytes are shared, not moved, so `cp` of any size is a change of the index.

use super::Vfs;
use super::errno::{Errno, Fault, Outcome};
use super::handle::{Handle, Open};
use super::lookup::Caller;
use super::session::Opened;
use crate::store::{Content, Draft};
use std::sync::Arc;

/// Bytes copied at once within one file.
const STEP: usize = 1 << 20;

/// Where bytes are copied from.
enum Source<'a> {
    /// Shared.
    Content(Arc<Content>),
    /// Moved byte by byte: an unlinked file's bytes, which no content will ever name.
    Draft(&'a Draft),
}

impl Vfs {
    /// Copies up to `len` bytes from one open file to another; the number copied, fewer only at the source's end.
    ///
    /// # Errors
    /// `EBADF` when the source is not readable or the target not writable, or what the store says.
    pub fn copy_file_range(
        &self,
        caller: Caller,
        from: (u64, u64),
        to: (u64, u64),
        len: u64,
    ) -> std::result::Result<u64, Errno> {
        let source = self.handles.get(from.0)?;
        let target = self.handles.get(to.0)?;
        let _mine = self.mine(&target.node);
        self.told("copy", || self.path(&target.node), self.copy(caller, (&source, from.1), (&target, to.1), len))
    }

    fn copy(&self, caller: Caller, from: (&Handle, u64), to: (&Handle, u64), len: u64) -> Outcome<u64> {
        let Open::Live { write: true, .. } = to.0.open else { return Err(Errno::EBADF.into()) };
        let node = &to.0.node;
        let copied = match &from.0.open {
            Open::Fixed(content) => {
                let mut slot = node.opened.lock();
                let opened = Self::writing(to.0, slot.as_deref_mut())?;
                self.copy_into(caller, node, opened, to.1, Source::Content(Arc::clone(content)), from.1, len)?
            }
            Open::Live { read: true, .. } if from.0.node.id == node.id => {
                let mut slot = node.opened.lock();
                let opened = Self::writing(to.0, slot.as_deref_mut())?;
                self.copy_within(node, opened, from.1, to.1, len)?
            }
            Open::Live { read: true, .. } => {
                // Two sessions: in the order of their numbers.
                let (first, second) =
                    if from.0.node.id < node.id { (&from.0.node, node) } else { (node, &from.0.node) };
                let mut first_slot = first.opened.lock();
                let mut second_slot = second.opened.lock();
                let (source, target) = if from.0.node.id < node.id {
                    (first_slot.as_deref_mut(), second_slot.as_deref_mut())
                } else {
                    (second_slot.as_deref_mut(), first_slot.as_deref_mut())
                };
                let source = source.ok_or(Fault::Bare(Errno::EBADF))?;
                let target = Self::writing(to.0, target)?;
                // What a session has not published yet has no content to share: publish it.
                self.publish(&from.0.node, source)?;
                self.catch_up(&from.0.node, source);
                let source = match (&source.draft, &source.content) {
                    (Some(draft), _) if source.is_dirty() => Source::Draft(draft),
                    (Some(_), _) => {
                        Source::Content(Arc::new(self.store.open_content(&self.file(&from.0.node)?.object)?))
                    }
                    (None, Some(content)) => Source::Content(Arc::clone(content)),
                    (None, None) => return Ok(0),
                };
                self.copy_into(caller, node, target, to.1, source, from.1, len)?
            }
            Open::Live { .. } => return Err(Errno::EBADF.into()),
            Open::Control(_) | Open::Dir(_) => return Err(Errno::EOPNOTSUPP.into()),
        };
        Ok(copied)
    }

    #[expect(clippy::too_many_arguments, reason = "two places, a length and who asks")]
    fn copy_into(
        &self,
        caller: Caller,
        node: &super::Node,
        opened: &mut Opened,
        at: u64,
        source: Source<'_>,
        from: u64,
        len: u64,
    ) -> Outcome<u64> {
        let size = match &source {
            Source::Content(content) => content.size(),
            Source::Draft(draft) => draft.size(),
        };
        let len = len.min(size.saturating_sub(from));
        if len == 0 {
            return Ok(0);
        }
        let draft = self.draft(node, opened)?;
        let copied = match source {
            Source::Content(content) => draft.copy_from(at, &content, from, len)?,
            Source::Draft(other) => {
                let mut buf = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
                let mut done = 0;
                while done < len {
                    let step = usize::try_from(len - done).unwrap_or(STEP).min(STEP);
                    let read = other.read_at(from + done, &mut buf[..step])?;
                    draft.write_at(at + done, &buf[..read])?;
                    done += read as u64;
                }
                done
            }
        };
        opened.changed(self.store.now());
        if caller.uid != 0 {
            self.drop_setid(node, opened)?;
        }
        Ok(copied)
    }

    /// Within one file the kernel has refused ranges that overlap, so steps in order are right.
    fn copy_within(&self, node: &super::Node, opened: &mut Opened, from: u64, to: u64, len: u64) -> Outcome<u64> {
        let draft = self.draft(node, opened)?;
        let len = len.min(draft.size().saturating_sub(from));
        let mut buf = vec![0; STEP.min(usize::try_from(len).unwrap_or(STEP))];
        let mut done = 0;
        while done < len {
            let step = usize::try_from(len - done).unwrap_or(STEP).min(STEP);
            let read = draft.read_at(from + done, &mut buf[..step])?;
            if read == 0 {
                break;
            }
            draft.write_at(to + done, &buf[..read])?;
            done += read as u64;
        }
        if done > 0 {
            opened.changed(self.store.now());
        }
        Ok(done)
    }
}
