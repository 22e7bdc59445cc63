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

/// Which process it is, beyond the number, which another process may have after it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its number, as seen by itself.
    pub pid: u32,
    /// The boot of the machine it runs in.
    boot: String,
    /// When it began, in the kernel's ticks since the boot.
    start: u64,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.pid, self.boot, self.start)
    }
}

impl Identity {
    /// This process.
    #[must_use]
    pub fn own() -> Self {
        let pid = std::process::id();
        Self { pid, boot: boot(), start: began(pid).unwrap_or_default() }
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (pid, boot, start) = (words.next()?, words.next()?, words.next()?);
        Some(Self { pid: pid.parse().ok()?, boot: boot.to_owned(), start: start.parse().ok()? })
    }

    /// Whether it still runs, as a process that this one can see.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.start != 0 && self.boot == boot() && began(self.pid) == Some(self.start)
    }

    /// Asks it to end (SIGTERM), or ends it at once (SIGKILL); whether it was there to hear that. No other process is
    /// ever hit: what is signalled is the process that was looked at, not who has its number by then.
    ///
    /// # Errors
    /// [`Kind::Denied`] when it is another user's.
    pub fn end(&self, at_once: bool) -> Result<bool> {
        use nix::libc;
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        let Ok(pid) = libc::pid_t::try_from(self.pid) else { return Ok(false) };
        // SAFETY: takes numbers only.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let Some(fd) = i32::try_from(fd).ok().filter(|fd| *fd >= 0) else { return Ok(false) };
        // SAFETY: the call has just made this descriptor, and nobody else knows it.
        let process = unsafe { OwnedFd::from_raw_fd(fd) };
        if !self.runs() {
            return Ok(false);
        }
        let signal = if at_once { libc::SIGKILL } else { libc::SIGTERM };
        let nothing = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open, and without details the pointer may be null.
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, nothing, 0) };
        match nix::errno::Errno::result(sent) {
            Ok(_) => Ok(true),
            Err(nix::errno::Errno::ESRCH) => Ok(false),
            Err(errno) => Err(failed("cannot end the process that owns the store", errno)),
        }
    }
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.trim().is_empty() { "-".to_owned() } else { id.trim().to_owned() }
}

/// When a process began. What ended and waits for its parent to hear of it does not run any more.
fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

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

/// The uid and gid of the machine's user of that name; nothing when there is none.
///
/// # Errors
/// When the system cannot look.
pub fn user_ids(name: &str) -> Result<Option<(u32, u32)>> {
    let found = nix::unistd::User::from_name(name).map_err(|errno| failed("cannot look for a user", errno))?;
    Ok(found.map(|user| (user.uid.as_raw(), user.gid.as_raw())))
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

/// Bytes of memory this process may take: the machine's, or less where a control group says so.
#[must_use]
pub fn memory_limit() -> u64 {
    let number = |text: String| text.trim().parse::<u64>().ok();
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    // `0::/path` of the second version, `4:memory:/path` of the first; limits of those above hold as well.
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        let (top, file, path) = match line.splitn(3, ':').collect::<Vec<_>>()[..] {
            [_, "", path] => ("/sys/fs/cgroup", "memory.max", path),
            [_, of, path] if of.split(',').any(|of| of == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", path)
            }
            _ => return None,
        };
        let own = std::path::Path::new(top).join(path.trim_start_matches('/'));
        let above = own.ancestors().take_while(|group| group.starts_with(top));
        above.filter_map(|group| number(std::fs::read_to_string(group.join(file)).ok()?)).min()
    });
    limits.chain(machine).min().unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use super::Identity;

    #[test]
    fn a_number_that_another_process_has_is_not_taken_for_it() {
        let own = Identity::own();
        assert!(own.runs());
        assert_eq!(Identity::parse(&own.to_string()), Some(own.clone()));
        for other in [
            Identity { start: own.start + 1, ..own.clone() },
            Identity { boot: "another".to_owned(), ..own.clone() },
            Identity { pid: 0, ..own.clone() },
        ] {
            assert!(!other.runs() && !other.end(true).unwrap(), "{other}");
        }
        for line in ["", "12", "12 boot", "x boot 3", "12 boot y"] {
            assert_eq!(Identity::parse(line), None, "{line}");
        }
    }
}
