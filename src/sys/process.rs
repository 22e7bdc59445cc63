//! Processes: becoming a daemon that reports how its start went, who runs, and what the machine allows.

use crate::model::{Error, Kind, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::{Duration, Instant};

/// Longest report a child may send.
const REPORT_BYTES_MAX: u64 = 64 * 1024;

/// Which process [`daemonize`] returns in.
pub enum Side {
    /// The process that was started: it waits for the report and ends.
    Parent(Child),
    /// The one in the background.
    Child(Report),
}

/// A child in the background, as its parent sees it.
pub struct Child {
    pid: Pid,
    pipe: File,
}

/// Where a child says how its start went.
pub struct Report(File);

/// Forks. The child leads a session of its own and keeps no descriptor it inherited but the standard ones, its end of
/// the pipe and `keep`.
///
/// # Errors
/// [`Kind::Io`] when the system refuses, [`Kind::InvalidState`] when threads run already: they would be lost.
pub fn daemonize(keep: Option<RawFd>) -> Result<Side> {
    if threads() > 1 {
        return Err(Error::new(Kind::InvalidState, "cannot go to the background")
            .why("threads run already")
            .mend("use --foreground"));
    }
    let (reader, writer) =
        pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|errno| failed("cannot make a pipe to the background", errno))?;
    // SAFETY: one thread runs, so no lock is held by another that the child would never see released.
    match unsafe { fork() }.map_err(|errno| failed("cannot start a process in the background", errno))? {
        ForkResult::Parent { child } => Ok(Side::Parent(Child { pid: child, pipe: File::from(reader) })),
        ForkResult::Child => {
            drop(reader);
            setsid().map_err(|errno| failed("cannot leave the terminal's session", errno))?;
            close_inherited(keep);
            Ok(Side::Child(Report(File::from(writer))))
        }
    }
}

impl Child {
    /// The child's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// What the child reported; nothing when it ended without a word.
    ///
    /// # Errors
    /// [`Kind::Io`] when `patience` ran out or the pipe broke.
    pub fn wait(mut self, patience: Duration) -> Result<Vec<u8>> {
        let end = Instant::now() + patience;
        let mut report = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(Kind::Io, "the process in the background does not answer")
                    .why(format!(
                        "it has not been ready within {} s; it still tries (PID {})",
                        patience.as_secs(),
                        self.pid()
                    ))
                    .mend("look into keyfold.log in the store, or use --foreground to see what it does"));
            }
            let mut fds = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
                Ok(_) => {}
                Err(errno) => return Err(failed("cannot wait for the background", errno)),
            }
            let mut some = [0; 4096];
            match self.pipe.read(&mut some) {
                Ok(0) => return Ok(report),
                Ok(count) if report.len() as u64 + (count as u64) <= REPORT_BYTES_MAX => {
                    report.extend_from_slice(&some[..count]);
                }
                Ok(_) => return Ok(report),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("cannot read the background's report", error)),
            }
        }
    }

    /// How a child that said nothing has ended, in words.
    #[must_use]
    pub fn fate(pid: u32) -> String {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => format!("it ended with status {code}"),
            Ok(WaitStatus::Signaled(_, signal, _)) => format!("it was killed by {signal}"),
            Ok(_) | Err(_) => "it closed its pipe".to_owned(),
        }
    }
}

impl Report {
    /// Says how the start went; the parent ends with it.
    pub fn send(mut self, text: &[u8]) {
        // A parent that is gone cannot be told anything.
        let _ = self.0.write_all(text);
    }
}

/// Turns the standard streams away from the terminal: nothing in, nothing out, errors to `log`.
///
/// # Errors
/// [`Kind::Io`] when the system refuses.
pub fn turn_streams(log: &File) -> Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|error| Error::io("cannot open /dev/null", error))?;
    let turned = dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(log));
    turned.map_err(|errno| failed("cannot turn the standard streams away", errno))
}

/// The user this process acts as.
#[must_use]
pub fn effective_uid() -> u32 {
    Uid::effective().as_raw()
}

/// The group this process acts as.
#[must_use]
pub fn effective_gid() -> u32 {
    Gid::effective().as_raw()
}

/// How many files this process may have open, and to how many it may raise that itself.
#[must_use]
pub fn open_files_limit() -> Option<(u64, u64)> {
    getrlimit(Resource::RLIMIT_NOFILE).ok()
}

/// Raises the limit of open files to what the system lets it be.
pub fn raise_open_files_limit() {
    if let Some((soft, hard)) = open_files_limit()
        && soft < hard
    {
        let _ = nix::sys::resource::setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Lets threads share few heaps of the C library, which keeps a part of each: those that allocate much are not Rust's.
/// Before any thread runs.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets a number of the allocator.
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2);
    }
}

/// Keeps the kernel from backing this process's memory by huge pages, of which a store in use fills few: they would make
/// tens of megabytes of it. Before any thread runs.
pub fn refuse_huge_pages() {
    // Old kernels know nothing of it.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Gives memory back that the C library's heaps hold and nobody uses. Takes some milliseconds when there is much.
pub fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: needs nothing of its caller.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Lets the calling thread's reads and writes wait for those of others, where the system's scheduler of the disk knows
/// such an order.
pub fn yield_the_disk() {
    #[cfg(target_os = "linux")]
    {
        const WHO_THREAD: nix::libc::c_int = 1;
        const CLASS_IDLE: nix::libc::c_int = 3 << 13;
        // SAFETY: plain numbers; 0 is the calling thread.
        unsafe {
            nix::libc::syscall(nix::libc::SYS_ioprio_set, WHO_THREAD, 0, CLASS_IDLE);
        }
    }
}

/// Bytes an unprivileged process can still write below `path`.
#[must_use]
pub fn free_bytes(path: &std::path::Path) -> Option<u64> {
    nix::sys::statvfs::statvfs(path).ok().map(|stat| stat.blocks_available() * stat.fragment_size())
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Closes what a shell or a service manager left open: a lock's descriptor kept by a daemon is never released.
fn close_inherited(keep: Option<RawFd>) {
    let Ok(list) = std::fs::read_dir("/proc/self/fd") else { return };
    let fds: Vec<RawFd> = list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in fds {
        if fd <= 2 || Some(fd) == keep {
            continue;
        }
        // SAFETY: the descriptor is only asked for its flags; one that is gone answers EBADF.
        let flags = fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_GETFD);
        // What this process opened itself closes on exec; only strangers do not.
        if flags.is_ok_and(|flags| !FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC)) {
            let _ = nix::unistd::close(fd);
        }
    }
}

fn failed(what: &'static str, errno: nix::errno::Errno) -> Error {
    Error::io(what, errno.into())
}
