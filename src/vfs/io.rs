//! `read`, `write`, `fallocate`, `lseek`.

use super::Vfs;
use super::errno::{Errno, Fault, Outcome};
use super::handle::{Handle, Open};
use super::lookup::Caller;
use super::session::Opened;
use crate::model::{Error, Kind};
use crate::store::Content;
use crate::sys::abi;

/// What `lseek` looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whence {
    /// The next byte that is stored.
    Data,
    /// The next byte that is a hole; the end counts as one.
    Hole,
}

const KEEP_SIZE: i32 = 0x01;
const PUNCH_HOLE: i32 = 0x02;
const ZERO_RANGE: i32 = 0x10;

impl Vfs {
    /// Reads at `at` until `buf` is full or the file ends; the number of bytes read.
    ///
    /// # Errors
    /// `EIO` for bytes that fail their checksum, never wrong bytes.
    pub fn read(&self, fh: u64, at: u64, buf: &mut [u8]) -> std::result::Result<usize, Errno> {
        let handle = self.handles.get(fh)?;
        self.told("read", || self.path(&handle.node), self.read_handle(&handle, at, buf))
    }

    fn read_handle(&self, handle: &Handle, at: u64, buf: &mut [u8]) -> Outcome<usize> {
        Ok(match &handle.open {
            Open::Live { read: true, .. } => {
                let mut slot = handle.node.opened.lock();
                let opened = slot.as_deref_mut().ok_or(Fault::Bare(Errno::EBADF))?;
                self.catch_up(&handle.node, opened);
                if opened.draft.is_some() {
                    let _under_way = self.stalled.begin(handle.node.id, opened);
                    opened.draft.as_ref().map_or(Ok(0), |draft| draft.read_at(at, buf))?
                } else {
                    let content = opened.content.clone();
                    drop(slot);
                    match content {
                        Some(content) => content.read_at(at, buf)?,
                        None => 0,
                    }
                }
            }
            Open::Fixed(content) => content.read_at(at, buf)?,
            Open::Control(file) => {
                let bytes = self.read_control(&mut file.lock(), at, buf.len())?;
                buf[..bytes.len()].copy_from_slice(&bytes);
                bytes.len()
            }
            Open::Live { .. } | Open::Dir(_) => return Err(Errno::EBADF.into()),
        })
    }

    /// Whether a read of the handle is answered from memory.
    #[must_use]
    pub fn read_is_quick(&self, fh: u64) -> bool {
        let Ok(handle) = self.handles.get(fh) else { return true };
        let inline = |content: &Content| content.inline().is_some();
        match &handle.open {
            Open::Fixed(content) => inline(content),
            Open::Live { .. } => handle.node.opened.try_lock().is_some_and(|slot| {
                slot.as_deref().is_some_and(|opened| {
                    opened.draft.is_none() && opened.content.as_ref().is_some_and(|content| inline(content))
                })
            }),
            Open::Control(_) | Open::Dir(_) => false,
        }
    }

    /// Writes `data` at `at`, or at the end for a handle that appends. `kill_setid`: the writer has no privilege to
    /// keep set-id bits.
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`, or what the store says.
    pub fn write(&self, fh: u64, at: u64, data: &[u8], kill_setid: bool) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let _mine = self.mine(&handle.node);
        self.told("write", || self.path(&handle.node), self.write_handle(&handle, at, data, kill_setid))
    }

    fn write_handle(&self, handle: &Handle, at: u64, data: &[u8], kill_setid: bool) -> Outcome<()> {
        let (append, sync) = match &handle.open {
            Open::Live { write: true, append, sync, .. } => (*append, *sync),
            Open::Control(file) => return Self::write_control(&mut file.lock(), at, data),
            _ => return Err(Errno::EBADF.into()),
        };
        let mut slot = handle.node.opened.lock();
        let opened = Self::writing(handle, slot.as_deref_mut())?;
        let waits = self.draft(&handle.node, opened)?.write_may_block(data.len());
        let under_way = waits.then(|| self.stalled.begin(handle.node.id, opened));
        let draft = self.draft(&handle.node, opened)?;
        let at = if append { draft.size() } else { at };
        draft.write_at(at, data)?;
        opened.changed(self.store.now());
        drop(under_way);
        if kill_setid {
            self.drop_setid(&handle.node, opened)?;
        }
        if sync {
            self.publish(&handle.node, opened)?;
            drop(slot);
            self.store.sync()?;
        }
        Ok(())
    }

    /// Whether a write of the handle waits for the disk.
    #[must_use]
    pub fn write_may_block(&self, fh: u64) -> bool {
        self.handles.get(fh).is_ok_and(|handle| matches!(handle.open, Open::Live { sync: true, .. }))
    }

    /// Makes or takes away room: mode as in `fallocate(2)`: none, keep size, punch hole, zero range.
    ///
    /// # Errors
    /// `EOPNOTSUPP` for other modes, `ENOSPC` when the room is not there.
    pub fn fallocate(&self, caller: Caller, fh: u64, at: u64, len: u64, mode: i32) -> std::result::Result<(), Errno> {
        let handle = self.handles.get(fh)?;
        let _mine = self.mine(&handle.node);
        self.told("fallocate", || self.path(&handle.node), self.allocate(caller, &handle, at, len, mode))
    }

    fn allocate(&self, caller: Caller, handle: &Handle, at: u64, len: u64, mode: i32) -> Outcome<()> {
        let Open::Live { write: true, .. } = handle.open else { return Err(Errno::EBADF.into()) };
        let end = at.checked_add(len).ok_or(Fault::Bare(Errno::EFBIG))?;
        let keep = mode & KEEP_SIZE != 0;
        let act = mode & !KEEP_SIZE;
        if !matches!((act, keep), (0, _) | (PUNCH_HOLE, true) | (ZERO_RANGE, _)) {
            return Err(Errno::EOPNOTSUPP.into());
        }
        if act == 0 {
            let space = self.store.space()?;
            if len > space.available {
                return Err(Error::new(Kind::Full, "cannot reserve the room")
                    .why(format!("{len} bytes are asked for, {} are free", space.available))
                    .into());
            }
        }
        let mut slot = handle.node.opened.lock();
        let opened = Self::writing(handle, slot.as_deref_mut())?;
        let size = self.size(handle, opened)?;
        let grows = !keep && end > size;
        if act == 0 && !grows {
            return Ok(());
        }
        let draft = self.draft(&handle.node, opened)?;
        if act != 0 && at < size {
            draft.punch(at, len.min(size - at))?;
        }
        if grows {
            draft.extend(end)?;
        }
        opened.changed(self.store.now());
        if caller.uid != 0 {
            self.drop_setid(&handle.node, opened)?;
        }
        Ok(())
    }

    fn size(&self, handle: &Handle, opened: &Opened) -> Outcome<u64> {
        match &opened.draft {
            Some(draft) => Ok(draft.size()),
            None => Ok(self.file(&handle.node)?.object.size),
        }
    }

    /// Where data or a hole begins at or after `at`.
    ///
    /// # Errors
    /// `ENXIO` at or after the end, and when only a hole is left.
    pub fn lseek(&self, fh: u64, at: u64, whence: Whence) -> std::result::Result<u64, Errno> {
        let handle = self.handles.get(fh)?;
        self.told("lseek", || self.path(&handle.node), self.seek(&handle, at, whence))
    }

    fn seek(&self, handle: &Handle, at: u64, whence: Whence) -> Outcome<u64> {
        let in_content = |content: &Content| -> Outcome<Option<u64>> {
            Ok(match whence {
                _ if at >= content.size() => None,
                Whence::Data => content.seek_data(at)?,
                Whence::Hole => Some(content.seek_hole(at)?),
            })
        };
        let found = match &handle.open {
            Open::Fixed(content) => in_content(content)?,
            Open::Live { .. } => {
                let mut slot = handle.node.opened.lock();
                let opened = slot.as_deref_mut().ok_or(Fault::Bare(Errno::EBADF))?;
                self.catch_up(&handle.node, opened);
                match (&opened.draft, &opened.content) {
                    (Some(draft), _) => match whence {
                        _ if at >= draft.size() => None,
                        Whence::Data => draft.seek_data(at)?,
                        Whence::Hole => Some(draft.seek_hole(at)?),
                    },
                    (None, Some(content)) => in_content(content)?,
                    (None, None) => None,
                }
            }
            Open::Control(_) | Open::Dir(_) => return Err(Errno::EINVAL.into()),
        };
        found.ok_or(Fault::Bare(Errno(abi::ENXIO)))
    }
}
