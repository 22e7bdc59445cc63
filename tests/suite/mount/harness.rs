//! One store, one mount and the process that serves it; whatever a test does, all three are gone afterwards.

use super::guard;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const KEYFOLD: &str = env!("CARGO_BIN_EXE_keyfold");
/// A plain user and their group.
pub const NOBODY: u32 = 65_534;
/// How long a process may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// A mounted store, with the bucket `bkt` in it unless asked otherwise.
pub struct Mounted {
    disk: Option<OwnDisk>,
    dir: TempDir,
    options: String,
    /// Who mounts and runs programs, where it is not who runs the tests.
    user: Option<u32>,
    child: Option<Child>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Mounted {
    /// A new store with a bucket that keeps no versions.
    #[track_caller]
    pub fn start() -> Self {
        let mounted = Self::bare("");
        fs::create_dir(mounted.root().join("bkt")).unwrap();
        mounted
    }

    /// A new store with a bucket that keeps versions.
    #[track_caller]
    pub fn versioned() -> Self {
        let mounted = Self::start();
        xattr::set(mounted.path(""), "user.s3.versioning", b"Enabled").unwrap();
        mounted
    }

    /// A new store without buckets.
    #[track_caller]
    pub fn bare(options: &str) -> Self {
        let mut mounted = Self::unmounted();
        mounted.remount(options);
        mounted
    }

    /// Directories for a store and its mount; nothing in them yet.
    pub fn unmounted() -> Self {
        let dir = tempfile::Builder::new().prefix("keyfold-mount-").tempdir().unwrap();
        guard::watch(dir.path());
        fs::create_dir(dir.path().join("mnt")).unwrap();
        Self { disk: None, dir, options: String::new(), user: None, child: None, variables: vec![] }
    }

    /// A new store and mount of a plain user's, with the bucket `bkt`: nobody else can see it, root included.
    #[track_caller]
    pub fn of_a_plain_user() -> Self {
        let mut mounted = Self::unmounted();
        for dir in [mounted.aside(""), mounted.root()] {
            std::os::unix::fs::chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        // Where cargo puts programs, others may not enter.
        fs::copy(KEYFOLD, mounted.aside("keyfold")).unwrap();
        mounted.user = Some(NOBODY);
        mounted.remount("");
        mounted.sh("mkdir $M/bkt");
        mounted
    }

    /// A program, run by whoever mounts.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(user) = self.user {
            command.uid(user).gid(user).env("HOME", self.aside(""));
        }
        command
    }

    fn binary(&self) -> Command {
        self.command(if self.user.is_some() { self.aside("keyfold") } else { KEYFOLD.into() })
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// A place outside the mount.
    pub fn aside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path in the bucket `bkt`.
    pub fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root().join("bkt") } else { self.root().join("bkt").join(path) }
    }

    /// Puts the store on a disk of its own that holds no more than `size`.
    pub fn on_small_disk(&mut self, size: &str) {
        let size = format!("size={size}");
        self.on_disk(|at| {
            let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status();
            assert!(status.unwrap().success());
        });
    }

    /// Puts the store on a disk of its own, which is mounted by the caller and unmounted with the rest.
    pub fn on_disk(&mut self, mount: impl FnOnce(&Path)) {
        fs::create_dir(self.store()).unwrap();
        self.disk = Some(OwnDisk(self.store()));
        mount(&self.store());
    }

    /// Sets a variable of the environment that the mount's process sees.
    pub fn set(&mut self, name: &'static str, value: &'static str) {
        self.variables.push((name, value));
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Mounts with these options, after unmounting what was mounted.
    #[track_caller]
    pub fn remount(&mut self, options: &str) {
        self.umount();
        self.options = options.to_owned();
        if let Err(why) = self.try_mount() {
            panic!("the mount does not start: {why}\n{}", self.log());
        }
    }

    /// The same mount again, cleanly.
    #[track_caller]
    pub fn restart(&mut self) {
        let options = self.options.clone();
        self.remount(&options);
    }

    /// Mounts and waits until it answers; what the process said when it ended instead.
    pub fn try_mount(&mut self) -> Result<(), String> {
        assert!(self.child.is_none());
        let stderr = File::create(self.aside("stderr")).unwrap();
        let mut command = self.binary();
        command.arg("mount").arg("--foreground").arg(self.store()).arg(self.root());
        if !self.options.is_empty() {
            command.arg("-o").arg(&self.options);
        }
        command.envs(self.variables.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let mut said = String::new();
        let _ = BufReader::new(child.stdout.take().unwrap()).read_line(&mut said);
        if said.starts_with("mounted ") {
            self.child = Some(child);
            return Ok(());
        }
        end(&mut child);
        Err(self.stderr())
    }

    /// What the process of the mount wrote to stderr.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.aside("stderr")).unwrap_or_default()
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.store().join("keyfold.log")).unwrap_or_default();
        format!("{}\n{log}", self.stderr())
    }

    /// Unmounts as people do and waits until the process has gone, which must end well.
    #[track_caller]
    pub fn umount(&mut self) {
        if let Some(status) = self.umount_however() {
            assert!(status.success(), "the mount's process ended with {status}\n{}", self.log());
        }
    }

    /// The same; how the process ended.
    #[track_caller]
    pub fn umount_however(&mut self) -> Option<std::process::ExitStatus> {
        let mut child = self.child.take()?;
        let output = self.binary().arg("umount").arg(self.root()).output().unwrap();
        if !output.status.success() {
            self.child = Some(child);
            panic!("umount: {}", String::from_utf8_lossy(&output.stderr));
        }
        Some(end(&mut child))
    }

    /// Waits for the end of a process that was told to end.
    #[track_caller]
    pub fn gone(&mut self) {
        let status = end(&mut self.child.take().unwrap());
        assert!(status.success(), "the mount's process ended with {status}\n{}", self.log());
    }

    /// Kills the process without warning while others use the mount; [`Mounted::die`] or [`Mounted::kill9`] comes after.
    pub fn kill(&self) {
        let pid = nix::unistd::Pid::from_raw(self.pid().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
    }

    /// Kills the process without warning and leaves its mount behind, dead.
    pub fn die(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Kills the process without warning and clears its mount.
    pub fn kill9(&mut self) {
        self.die();
        detach(&self.root());
    }

    /// Kills the process without warning and mounts anew.
    #[track_caller]
    pub fn crash(&mut self) {
        self.kill9();
        self.restart();
    }

    /// Runs a program in the bucket `bkt` that must exit 0; its stdout.
    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, program: &str, args: &[S]) -> String {
        let output = self.command(program).args(args).current_dir(self.path("")).output().unwrap();
        expect(&output, program)
    }

    /// Runs a script of bash in the bucket `bkt` that must exit 0 and write nothing to stderr; its stdout. `$M` is the
    /// mount, `$T` a place outside.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        let said = expect(&output, script);
        assert!(output.stderr.is_empty(), "{script}\nwrote: {}", text(&output.stderr));
        said
    }

    /// Runs a script of bash, whether anything is mounted or not; `$T` as in [`Mounted::sh`].
    #[track_caller]
    pub fn sh_outside(&self, script: &str) {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).env("T", self.dir.path()).stdin(Stdio::null());
        expect(&command.output().unwrap(), script);
    }

    pub fn try_sh(&self, script: &str) -> Output {
        let here = if self.path("").is_dir() { self.path("") } else { self.root() };
        let mut command = self.command("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(here).stdin(Stdio::null());
        command.env("M", self.root()).env("T", self.dir.path()).env("LC_ALL", "C.UTF-8").output().unwrap()
    }

    /// Runs keyfold in the bucket `bkt`, or beside it when nothing is mounted.
    pub fn keyfold(&self, args: &[&str]) -> Output {
        let here = if self.child.is_some() && self.path("").is_dir() { self.path("") } else { self.aside("") };
        self.binary().args(args).current_dir(here).env("KEYFOLD_STORE", self.store()).output().unwrap()
    }

    /// Runs keyfold outside of the mount.
    pub fn keyfold_aside(&self, args: &[&str]) -> Output {
        self.binary().args(args).current_dir(self.aside("")).env("KEYFOLD_STORE", self.store()).output().unwrap()
    }

    /// The lines of the mount's `.keyfold/errors`.
    pub fn errors(&self) -> String {
        fs::read_to_string(self.root().join(".keyfold/errors")).unwrap()
    }

    /// Fails unless `keyfold fsck` finds nothing.
    #[track_caller]
    pub fn fsck(&self) {
        let output = self.keyfold(&["fsck", self.store().to_str().unwrap()]);
        assert!(output.status.success(), "fsck: {}{}", text(&output.stdout), text(&output.stderr));
    }

    /// Names of the versions of a path in `bkt`, newest first.
    #[track_caller]
    pub fn versions(&self, path: &str) -> Vec<String> {
        let path = Path::new(path);
        let history = self.path("").join(path.parent().unwrap()).join(".versions").join(path.file_name().unwrap());
        names_in(&history)
    }

    /// The file of a version of a path in `bkt`.
    pub fn version(&self, path: &str, name: &str) -> PathBuf {
        let path = Path::new(path);
        let above = self.path("").join(path.parent().unwrap());
        above.join(".versions").join(path.file_name().unwrap()).join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return detach(&self.root()) };
        if std::thread::panicking() {
            // With a test that failed, what the mount had to say.
            eprintln!("--- log of the mount\n{}", self.log());
        }
        detach(&self.root());
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), nix::sys::signal::SIGTERM);
        let status = end(&mut child);
        detach(&self.root());
        if !std::thread::panicking() {
            assert!(status.success(), "the mount's process ended with {status}\n{}", self.log());
        }
    }
}

/// A disk that is unmounted when it is dropped, after the process that used it has ended.
struct OwnDisk(PathBuf);

impl Drop for OwnDisk {
    fn drop(&mut self) {
        detach(&self.0);
    }
}

/// Waits for the end of a process that should end by now; kills it when it does not.
pub fn end(child: &mut Child) -> std::process::ExitStatus {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(PAUSE);
    }
    let _ = child.kill();
    child.wait().unwrap_or_else(|_| std::process::ExitStatus::from_raw(9))
}

/// Takes a mount out of the tree, dead or alive.
pub fn detach(root: &Path) {
    // A test may have mounts that only its thread sees.
    let mounted =
        || fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default().contains(root.to_str().unwrap());
    while mounted() {
        let _ = Command::new("umount").arg("-l").arg(root).stderr(Stdio::null()).status();
        std::thread::sleep(PAUSE);
    }
}

#[track_caller]
fn expect(output: &Output, what: &str) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}\nended with {}\nstdout: {out}\nstderr: {err}", output.status);
    out
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The names in a directory, in the order they are told.
#[track_caller]
pub fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The number of the error that a call must end in.
#[track_caller]
pub fn errno<T>(result: std::io::Result<T>) -> nix::errno::Errno {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or_default()),
    }
}

/// `copy_file_range(2)`.
pub fn copy_file_range(
    from: &File,
    at: Option<&mut i64>,
    to: &File,
    into: Option<&mut i64>,
    len: usize,
) -> nix::Result<usize> {
    let place = |place: Option<&mut i64>| place.map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: the files are open, and the places are valid or null.
    let copied =
        unsafe { nix::libc::copy_file_range(from.as_raw_fd(), place(at), to.as_raw_fd(), place(into), len, 0) };
    nix::errno::Errno::result(copied).map(isize::cast_unsigned)
}

/// Bytes that no two seeds share and that do not repeat.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
