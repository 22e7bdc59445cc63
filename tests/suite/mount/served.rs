//! A disk that a process serves: a loop device over a file of qemu-storage-daemon's.

use super::guard;
use super::harness::{detach, end};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the system may take to serve it.
pub const PATIENCE: Duration = Duration::from_secs(60);
pub const PAUSE: Duration = Duration::from_millis(10);

/// The disk, in memory; it and its device are gone afterwards.
pub struct Served {
    device: Option<String>,
    qemu: Option<Child>,
    pub memory: Memory,
}

/// A directory in memory: what is synced to it costs no disk.
pub struct Memory(TempDir);

impl Memory {
    pub fn new() -> Self {
        let memory = Self(tempfile::Builder::new().prefix("keyfold-disk-").tempdir().unwrap());
        guard::watch(memory.0.path());
        run("mount", &["-t", "tmpfs", "-o", "size=6g", "tmpfs", memory.0.path().to_str().unwrap()]);
        memory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file in it that is all zeros.
    pub fn file(&self, name: &str, bytes: u64) -> String {
        File::create(self.path(name)).unwrap().set_len(bytes).unwrap();
        self.path(name).into_os_string().into_string().unwrap()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        detach(self.0.path());
    }
}

pub fn attempt(program: &str, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("this test needs {program} ({error}): mount-scripts/deps.sh test installs it"))
}

/// Runs a program of the system's that must succeed; its stdout.
#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    let output = attempt(program, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?} failed, which this test needs (as root): {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Tries until it succeeds: others use loop devices too.
fn patiently(program: &str, args: &[&str]) -> String {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let output = attempt(program, args);
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap().trim().to_owned();
        }
        std::thread::sleep(PAUSE);
    }
    run(program, args)
}

impl Served {
    /// A disk of so many bytes. Of the block nodes in the words of qemu-storage-daemon, which lie in `memory`, the last
    /// is served, by the name `served`.
    pub fn new(memory: Memory, bytes: u64, nodes: &[String]) -> Self {
        let file = memory.file("file", 0);
        let qemu = Command::new("qemu-storage-daemon")
            .args(nodes.iter().flat_map(|node| ["--blockdev", node]))
            .arg("--export")
            .arg(format!("type=fuse,id=export,node-name=served,mountpoint={file},writable=on"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(memory.path("stderr")).unwrap())
            .spawn();
        let qemu = qemu.unwrap_or_else(|error| {
            panic!("this test needs qemu-storage-daemon ({error}): mount-scripts/deps.sh test installs it")
        });
        let mut new = Self { device: None, qemu: Some(qemu), memory };
        let until = Instant::now() + PATIENCE;
        while fs::metadata(&file).map_or(0, |meta| meta.len()) != bytes {
            let said = || fs::read_to_string(new.memory.path("stderr")).unwrap_or_default();
            assert!(Instant::now() < until, "qemu-storage-daemon serves no file: {}", said());
            assert!(new.qemu.as_mut().unwrap().try_wait().unwrap().is_none(), "qemu-storage-daemon ended: {}", said());
            std::thread::sleep(PAUSE);
        }
        new.device = Some(patiently("losetup", &["--find", "--show", &file]));
        new
    }

    /// Makes a file system on it, with a journal of its own or without, of which nothing is left for the kernel to do
    /// later, and whose blocks are as large as pages.
    pub fn format(&self, journal: bool) {
        let lazy = "lazy_itable_init=0,lazy_journal_init=1,nodiscard";
        let journal: &[&str] = if journal { &["-J", "size=16"] } else { &["-O", "^has_journal"] };
        let args = ["-q", "-b", "4096", "-m", "0", "-N", "4096", "-E", lazy];
        run("mkfs.ext4", &[&args, journal, &[self.device.as_ref().unwrap()]].concat());
    }

    /// Mounts it at an empty directory, which is empty then too.
    pub fn mount(&self, at: &Path) {
        guard::watch(at);
        run("mount", &["-o", "nodiscard", self.device.as_ref().unwrap(), at.to_str().unwrap()]);
        let _ = fs::remove_dir(at.join("lost+found"));
        File::open(at).unwrap().sync_all().unwrap();
    }
}

fn signal(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            let _ = attempt("losetup", &["--detach", device]);
        }
        let Some(mut qemu) = self.qemu.take() else { return };
        signal(qemu.id(), Signal::SIGTERM);
        let _ = end(&mut qemu);
        detach(&self.memory.path("file"));
    }
}
