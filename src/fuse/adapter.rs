//! The kernel's requests, one method each: decode, call, reply.

use super::convert::{attr, caller, errno, file_type, kind_of_mode, nothing, open_how, permissions, time_to_set};
use super::passing::Passing;
use super::pool::Pool;
use super::relay::Relay;
use super::reply::{
    FIRST, LASTING, NOT_AT_ALL, ONE_LOOK, answer_read, emptied, entered, fopen_flags, guarded, sized, ttl, wrote,
};
use super::wakeful::Wakeful;
use crate::model::FileKind;
use crate::vfs::{Keep, MakeNode, OpenHow, RenameHow, SetAttr, Vfs, Whence, XattrFlags};
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyBmap,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek,
    ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use nix::libc;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

const MAX_WRITE: u32 = 1 << 20;
/// A read slower than this waited for the disk: the next ones go to the pool.
const SLOW: Duration = Duration::from_micros(300);
/// After so many quick reads in the pool, reads are answered by the reader again.
const QUICK_READS: u32 = 16;
/// Bytes in a block of `statfs`.
const BLOCK: u64 = 4096;

/// fuser's view of a [`Vfs`].
pub(super) struct Adapter {
    vfs: Arc<Vfs>,
    pool: Pool,
    passing: Arc<Passing>,
    wakeful: Wakeful,
    relay: Relay,
    /// Quick reads still to come before the reader answers reads itself; 0 while it does.
    cold: Arc<AtomicU32>,
}

impl Adapter {
    pub(super) fn new(vfs: Arc<Vfs>, pool: Pool, wakeful: Wakeful, relay: Relay) -> Self {
        Self { vfs, pool, passing: Arc::default(), wakeful, relay, cold: Arc::default() }
    }

    /// Answers a request on the thread that read it; aside while another one is held up there, so that few ever are.
    fn answer(&self, request: impl FnOnce(&Vfs) + Send + 'static) {
        self.here(|| if self.relay.is_held_up() { self.aside(request) } else { request(&self.vfs) });
    }

    /// Answers a request on a thread of the pool, when one is to be had.
    fn aside(&self, request: impl FnOnce(&Vfs) + Send + 'static) {
        let vfs = Arc::clone(&self.vfs);
        if let Err(request) = self.pool.run_now(move || request(&vfs)) {
            request();
        }
    }

    /// Answers a request on the thread that read it, or leaves it to the pool.
    fn here(&self, request: impl FnOnce()) {
        self.wakeful.note();
        self.relay.answer(|| guarded(request));
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        let wanted = [
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
            InitFlags::FUSE_ATOMIC_O_TRUNC,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
            InitFlags::FUSE_EXPLICIT_INVAL_DATA,
        ];
        for flag in wanted {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "the kernel does not offer a capability");
            }
        }
        if let Some(passing) = Arc::get_mut(&mut self.passing) {
            passing.agree(config);
        }
        let _ = config.set_max_write(MAX_WRITE);
        let _ = config.set_max_background(64);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        self.answer(move |vfs| {
            match vfs.lookup(parent.0, name.as_bytes()) {
                Ok(Some(found)) => entered(reply, Ok(found)),
                // An inode number of zero is remembered as "nothing there".
                Ok(None) if vfs.remembers_absence(parent.0) => reply.entry(&LASTING, &nothing(), FIRST),
                Ok(None) => reply.error(fuser::Errno::ENOENT),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn forget(&self, _req: &Request, ino: INodeNo, nlookup: u64) {
        self.vfs.forget(ino.0, nlookup);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.answer(move |vfs| match vfs.getattr(ino.0) {
            Ok((found, keep)) => reply.attr(&ttl(keep), &attr(&found)),
            Err(error) => reply.error(errno(error)),
        });
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let who = caller(req);
        self.answer(move |vfs| {
            let now = vfs.now();
            let change = SetAttr {
                mode: mode.map(permissions),
                uid,
                gid,
                size,
                atime: atime.map(|time| time_to_set(time, now)),
                mtime: mtime.map(|time| time_to_set(time, now)),
            };
            match vfs.setattr(who, ino.0, fh.map(|fh| fh.0), change) {
                Ok((found, keep)) => reply.attr(&ttl(keep), &attr(&found)),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.answer(move |vfs| match vfs.readlink(ino.0) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(errno(error)),
        });
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let (name, who) = (name.to_owned(), caller(req));
        self.answer(move |vfs| {
            let Some(kind) = kind_of_mode(mode) else { return reply.error(fuser::Errno::EINVAL) };
            let make = MakeNode { kind, mode: permissions(mode), rdev, target: Vec::new() };
            entered(reply, vfs.mknod(who, parent.0, name.as_bytes(), make));
        });
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, reply: ReplyEntry) {
        let (name, who) = (name.to_owned(), caller(req));
        self.answer(move |vfs| {
            entered(reply, vfs.mkdir(who, parent.0, name.as_bytes(), permissions(mode)));
        });
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.answer(move |vfs| {
            emptied(reply, vfs.unlink(parent.0, name.as_bytes()));
        });
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.answer(move |vfs| {
            emptied(reply, vfs.rmdir(parent.0, name.as_bytes()));
        });
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let (name, who) = (name.to_owned(), caller(req));
        let target = target.as_os_str().as_bytes().to_vec();
        self.answer(move |vfs| {
            let make = MakeNode { kind: FileKind::Symlink, mode: 0o777, rdev: 0, target };
            entered(reply, vfs.mknod(who, parent.0, name.as_bytes(), make));
        });
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, newname) = (name.to_owned(), newname.to_owned());
        self.answer(move |vfs| {
            const NO_REPLACE: u32 = 1;
            const EXCHANGE: u32 = 2;
            let how = match flags.bits() {
                0 => RenameHow::Replace,
                NO_REPLACE => RenameHow::NoReplace,
                EXCHANGE => RenameHow::Exchange,
                _ => return reply.error(fuser::Errno::EINVAL),
            };
            let (from, to) = ((parent.0, name.as_bytes()), (newparent.0, newname.as_bytes()));
            emptied(reply, vfs.rename(from, to, how));
        });
    }

    fn link(&self, _req: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        let newname = newname.to_owned();
        self.answer(move |vfs| {
            entered(reply, vfs.link(ino.0, newparent.0, newname.as_bytes()));
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (who, passing) = (caller(req), Arc::clone(&self.passing));
        self.answer(move |vfs| {
            let how = OpenHow { exclusive: false, ..open_how(flags.0) };
            match vfs.open(who, ino.0, how) {
                Ok(opening) => passing.opened(vfs, ino.0, &opening, flags, reply),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (name, who) = (name.to_owned(), caller(req));
        self.answer(move |vfs| {
            match vfs.create(who, parent.0, name.as_bytes(), permissions(mode), open_how(flags)) {
                Ok((found, opening)) => {
                    // One time for the name and the attributes: until it is published, neither lasts. But before the
                    // call returns, the kernel looks at the mode of what it has just been told. A control file's name may
                    // mean another file at once.
                    let least = if found.name_keep == Keep::Never { NOT_AT_ALL } else { ONE_LOOK };
                    let keep = ttl(found.name_keep.min(found.attr_keep)).max(least);
                    reply.created(&keep, &attr(&found.attr), FIRST, FileHandle(opening.fh), fopen_flags(&opening));
                }
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.here(|| {
            let warm = self.cold.load(Ordering::Relaxed) == 0 && !self.relay.is_held_up();
            if warm || self.vfs.read_is_quick(fh.0) {
                if answer_read(&self.vfs, fh, offset, size, reply) > SLOW {
                    self.cold.store(QUICK_READS, Ordering::Relaxed);
                }
                return;
            }
            let (vfs, cold) = (Arc::clone(&self.vfs), Arc::clone(&self.cold));
            self.pool.run(move || {
                let left = if answer_read(&vfs, fh, offset, size, reply) > SLOW {
                    QUICK_READS
                } else {
                    cold.load(Ordering::Relaxed).saturating_sub(1)
                };
                cold.store(left, Ordering::Relaxed);
            });
        });
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.here(|| {
            let kill = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
            let written = data.len() as u64;
            if self.vfs.write_may_block(fh.0) {
                let (vfs, data) = (Arc::clone(&self.vfs), data.to_vec());
                self.pool.run(move || wrote(reply, vfs.write(fh.0, offset, &data, kill).map(|()| written)));
            } else if self.relay.is_held_up() {
                let data = data.to_vec();
                self.aside(move |vfs| wrote(reply, vfs.write(fh.0, offset, &data, kill).map(|()| written)));
            } else {
                wrote(reply, self.vfs.write(fh.0, offset, data, kill).map(|()| written));
            }
        });
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        if self.vfs.flush_may_block(fh.0) {
            let vfs = Arc::clone(&self.vfs);
            return self.here(|| self.pool.run(move || emptied(reply, vfs.flush(fh.0))));
        }
        self.answer(move |vfs| emptied(reply, vfs.flush(fh.0)));
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.passing.released(ino.0);
        self.answer(move |vfs| {
            vfs.release(fh.0);
            reply.ok();
        });
    }

    fn fsync(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.here(|| {
            let vfs = Arc::clone(&self.vfs);
            self.pool.run(move || emptied(reply, vfs.fsync(fh.0)));
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.answer(move |vfs| match vfs.opendir(ino.0) {
            Ok(fh) => reply.opened(FileHandle(fh), FopenFlags::empty()),
            Err(error) => reply.error(errno(error)),
        });
    }

    fn readdir(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        self.answer(move |vfs| {
            let told = vfs.readdir(fh.0, offset, |entry| {
                reply.add(INodeNo(entry.ino), entry.offset, file_type(entry.kind), &entry.name)
            });
            match told {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn readdirplus(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectoryPlus) {
        self.answer(move |vfs| {
            let told = vfs.readdirplus(fh.0, offset, |entry, found| match found {
                Some(found) => {
                    // One time for both again.
                    let keep = ttl(found.name_keep.min(found.attr_keep));
                    reply.add(INodeNo(entry.ino), entry.offset, &entry.name, &keep, &attr(&found.attr), FIRST)
                }
                None => {
                    let dot = fuser::FileAttr { kind: file_type(entry.kind), ..nothing() };
                    let number = fuser::FileAttr { ino: INodeNo(entry.ino), ..dot };
                    reply.add(INodeNo(0), entry.offset, &entry.name, &NOT_AT_ALL, &number, FIRST)
                }
            });
            match told {
                Ok(()) => reply.ok(),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn releasedir(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, _flags: OpenFlags, reply: ReplyEmpty) {
        self.answer(move |vfs| {
            vfs.releasedir(fh.0);
            reply.ok();
        });
    }

    fn fsyncdir(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.here(|| {
            let vfs = Arc::clone(&self.vfs);
            self.pool.run(move || emptied(reply, vfs.fsync(fh.0)));
        });
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        self.answer(move |vfs| match vfs.statfs(ino.0) {
            Ok(space) => reply.statfs(
                space.total / BLOCK,
                space.free / BLOCK,
                space.available / BLOCK,
                space.files,
                space.files_free,
                BLOCK as u32,
                255,
                BLOCK as u32,
            ),
            Err(error) => reply.error(errno(error)),
        });
    }

    fn setxattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let (name, value) = (name.to_owned(), value.to_vec());
        self.answer(move |vfs| {
            let flags =
                XattrFlags { create: flags & libc::XATTR_CREATE != 0, replace: flags & libc::XATTR_REPLACE != 0 };
            emptied(reply, vfs.setxattr(ino.0, name.as_bytes(), &value, flags));
        });
    }

    fn getxattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let name = name.to_owned();
        // A checksum may have to be computed from all bytes.
        if name.as_bytes().windows(9).any(|part| part == b".checksum") {
            let vfs = Arc::clone(&self.vfs);
            return self.here(|| self.pool.run(move || sized(reply, size, vfs.getxattr(ino.0, name.as_bytes()))));
        }
        self.answer(move |vfs| sized(reply, size, vfs.getxattr(ino.0, name.as_bytes())));
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let all = req.uid() == 0;
        self.answer(move |vfs| {
            sized(reply, size, vfs.listxattr(ino.0, all));
        });
    }

    fn removexattr(&self, _req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        self.answer(move |vfs| {
            emptied(reply, vfs.removexattr(ino.0, name.as_bytes()));
        });
    }

    /// Asked only where the kernel does not check the bits itself: on a mount of root's for root alone, who may do
    /// anything but run what nobody may.
    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        self.answer(move |vfs| {
            let may = vfs.getattr(ino.0).and_then(|(attr, _)| {
                let runs = attr.kind == FileKind::Directory || attr.mode & 0o111 != 0;
                if runs || !mask.contains(AccessFlags::X_OK) { Ok(()) } else { Err(crate::vfs::Errno::EACCES) }
            });
            emptied(reply, may);
        });
    }

    fn bmap(&self, _req: &Request, _ino: INodeNo, _blocksize: u32, _idx: u64, reply: ReplyBmap) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(fuser::Errno::ENOTTY);
    }

    fn poll(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _ph: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        reply: ReplyPoll,
    ) {
        // Files are always ready; the kernel knows that by itself after this answer.
        reply.error(fuser::Errno::ENOSYS);
    }

    fn fallocate(
        &self,
        req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let who = caller(req);
        self.answer(move |vfs| {
            emptied(reply, vfs.fallocate(who, fh.0, offset, length, mode));
        });
    }

    fn lseek(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        self.answer(move |vfs| {
            const DATA: i32 = 3;
            const HOLE: i32 = 4;
            let whence = match whence {
                DATA => Whence::Data,
                HOLE => Whence::Hole,
                _ => return reply.error(fuser::Errno::EINVAL),
            };
            let Ok(at) = u64::try_from(offset) else { return reply.error(fuser::Errno::ENXIO) };
            match vfs.lseek(fh.0, at, whence) {
                Ok(found) => reply.offset(i64::try_from(found).unwrap_or(i64::MAX)),
                Err(error) => reply.error(errno(error)),
            }
        });
    }

    fn copy_file_range(
        &self,
        req: &Request,
        _ino_in: INodeNo,
        fh_in: FileHandle,
        offset_in: u64,
        _ino_out: INodeNo,
        fh_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        self.here(|| {
            // The reply counts in 32 bits; a caller goes on where it ended.
            let len = len.min(u64::from(u32::MAX) & !(BLOCK - 1));
            let (vfs, who) = (Arc::clone(&self.vfs), caller(req));
            self.pool.run(move || {
                wrote(reply, vfs.copy_file_range(who, (fh_in.0, offset_in), (fh_out.0, offset_out), len));
            });
        });
    }
}
