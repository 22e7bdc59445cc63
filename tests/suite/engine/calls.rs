//! Stands between the stores under test and the system: every call that changes the disk passes here, RocksDB's too.
//!
//! The C library's functions of these names are ours in this program. A call that concerns a file below the
//! watched directory is handed to its watcher, any other goes straight on, so tests at the same time do not meet.

use nix::libc::{self, c_char, c_int, c_void, iovec, mode_t, off_t, size_t, ssize_t};
use std::cell::Cell;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Kinds of call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `fdatasync` and `fsync`, of directories too.
    Sync,
    /// `write`, `pwrite` and `pwritev`.
    Write,
    /// `fallocate`.
    Allocate,
    /// `ftruncate`.
    Cut,
    Rename,
    Unlink,
    /// `open` that may make the file.
    Create,
    Mkdir,
}

/// One call.
pub struct Call<'a> {
    pub kind: Kind,
    pub path: &'a Path,
    /// The file; -1 where the call has names only.
    pub fd: c_int,
    /// Where bytes go to and how many; the new length of a cut.
    pub at: u64,
    pub len: u64,
}

/// Who is asked. `go` makes the call and returns what the system did, -1 with `errno` on failure. Of a write it does only
/// so many bytes, of one in parts the first part, when that is not all.
pub trait Watcher: Send + Sync {
    fn call(&self, call: &Call<'_>, go: &mut dyn FnMut(u64) -> isize) -> isize;
}

static WATCHED: AtomicBool = AtomicBool::new(false);
static WATCHER: RwLock<Option<(PathBuf, Arc<dyn Watcher>)>> = RwLock::new(None);
/// One directory at a time: all stores of a process share RocksDB's threads, which a watcher may keep waiting.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static UNSEEN: Cell<bool> = const { Cell::new(false) };
}

/// Watches one directory as long as it lives.
pub struct Watching(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Watching {
    pub fn new(dir: &Path, watcher: Arc<dyn Watcher>) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        *WATCHER.write().unwrap() = Some((dir.to_owned(), watcher));
        WATCHED.store(true, Ordering::SeqCst);
        Self(alone)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::SeqCst);
        *WATCHER.write().unwrap() = None;
    }
}

/// Calls of this thread pass unseen meanwhile.
pub fn unseen<T>(act: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            UNSEEN.set(self.0);
        }
    }
    let _before = Before(UNSEEN.replace(true));
    act()
}

fn set_errno(value: c_int) {
    // SAFETY: the thread's own number.
    unsafe { *libc::__errno_location() = value };
}

pub fn fail(errno: c_int) -> isize {
    set_errno(errno);
    -1
}

fn watched() -> bool {
    WATCHED.load(Ordering::Relaxed) && !UNSEEN.get()
}

/// The file's name; one that was removed has an ending more.
fn name(fd: c_int) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default()
}

fn pass(kind: Kind, path: &Path, fd: c_int, (at, len): (u64, u64), go: &mut dyn FnMut(u64) -> isize) -> isize {
    let watcher = match &*WATCHER.read().unwrap() {
        Some((dir, watcher)) if path.starts_with(dir) => Some(Arc::clone(watcher)),
        _ => None,
    };
    let Some(watcher) = watcher else { return go(u64::MAX) };
    let mut errno = 0;
    let mut kept = |len| {
        let done = go(len);
        errno = if done < 0 { std::io::Error::last_os_error().raw_os_error().unwrap_or_default() } else { 0 };
        done
    };
    // What the watcher does itself is not watched.
    let done = unseen(|| watcher.call(&Call { kind, path, fd, at, len }, &mut kept));
    if done < 0 && errno != 0 {
        set_errno(errno);
    }
    done
}

fn on_file(kind: Kind, fd: c_int, range: impl FnOnce() -> (u64, u64), go: &mut dyn FnMut(u64) -> isize) -> isize {
    if watched() { pass(kind, &name(fd), fd, range(), go) } else { go(u64::MAX) }
}

/// # Safety
/// `path` ends in a zero byte.
unsafe fn on_name(kind: Kind, path: *const c_char, go: &mut dyn FnMut(u64) -> isize) -> isize {
    if !watched() {
        return go(u64::MAX);
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
    pass(kind, Path::new(OsStr::from_bytes(bytes)), -1, (0, 0), go)
}

macro_rules! stand_before {
    ([$($name:ident),+] $args:tt -> $result:ty, $body:expr) => {
        $(stand_before!(one $name $args $result, $body);)+
    };
    (one $name:ident ($($arg:ident: $type:ty),*) $result:ty, $body:expr) => {
        /// # Safety
        /// As the C library's.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $type),*) -> $result {
            // SAFETY: the arguments are the caller's, meant for this call.
            unsafe { ($body) as $result }
        }
    };
}

stand_before!([fdatasync] (fd: c_int) -> c_int, {
    on_file(Kind::Sync, fd, || (0, 0), &mut |_| libc::syscall(libc::SYS_fdatasync, fd) as isize)
});

stand_before!([fsync] (fd: c_int) -> c_int, {
    on_file(Kind::Sync, fd, || (0, 0), &mut |_| libc::syscall(libc::SYS_fsync, fd) as isize)
});

stand_before!([write] (fd: c_int, bytes: *const c_void, len: size_t) -> ssize_t, {
    // Without a place, the file has none.
    let at = || u64::try_from(libc::lseek(fd, 0, libc::SEEK_CUR)).unwrap_or_default();
    on_file(Kind::Write, fd, || (at(), len as u64), &mut |most| {
        libc::syscall(libc::SYS_write, fd, bytes, (len as u64).min(most)) as isize
    })
});

stand_before!([pwrite, pwrite64] (fd: c_int, bytes: *const c_void, len: size_t, at: off_t) -> ssize_t, {
    on_file(Kind::Write, fd, || (at as u64, len as u64), &mut |most| {
        libc::syscall(libc::SYS_pwrite64, fd, bytes, (len as u64).min(most), at) as isize
    })
});

stand_before!([pwritev, pwritev64] (fd: c_int, parts: *const iovec, count: c_int, at: off_t) -> ssize_t, {
    let lens = || (0..count as usize).map(|n| (*parts.add(n)).iov_len as u64).sum();
    on_file(Kind::Write, fd, || (at as u64, lens()), &mut |most| {
        let count = if most < lens() { c_int::from(most > 0 && count > 0) } else { count };
        libc::syscall(libc::SYS_pwritev, fd, parts, count, at, 0) as isize
    })
});

stand_before!([fallocate, fallocate64] (fd: c_int, mode: c_int, at: off_t, len: off_t) -> c_int, {
    on_file(Kind::Allocate, fd, || (at as u64, len as u64), &mut |_| {
        libc::syscall(libc::SYS_fallocate, fd, mode, at, len) as isize
    })
});

stand_before!([ftruncate, ftruncate64] (fd: c_int, len: off_t) -> c_int, {
    on_file(Kind::Cut, fd, || (len as u64, 0), &mut |_| libc::syscall(libc::SYS_ftruncate, fd, len) as isize)
});

stand_before!([rename] (from: *const c_char, to: *const c_char) -> c_int, {
    on_name(Kind::Rename, from, &mut |_| {
        libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as isize
    })
});

stand_before!([unlink] (path: *const c_char) -> c_int, {
    on_name(Kind::Unlink, path, &mut |_| libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as isize)
});

stand_before!([mkdir] (path: *const c_char, mode: mode_t) -> c_int, {
    on_name(Kind::Mkdir, path, &mut |_| libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode) as isize)
});

// In C the mode is a further argument, which travels as any third one does.
stand_before!([open, open64] (path: *const c_char, flags: c_int, mode: mode_t) -> c_int, {
    let mut go = |_| libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) as isize;
    if flags & libc::O_CREAT == 0 { go(0) } else { on_name(Kind::Create, path, &mut go) }
});
