//! A disk that keeps a log of its writes: a loop device over a file that qemu-storage-daemon serves.

use super::super::harness::{detach, end};
use super::image::Image;
use super::log::{self, Log};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Large enough for the store to have a journal.
pub const BYTES: u64 = 1280 << 20;
/// Room for what is written to it, never used up.
const LOG_BYTES: u64 = 64 << 30;
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// The disk, in memory; it and its device are gone afterwards.
pub struct Disk {
    device: Option<String>,
    qemu: Option<Child>,
    memory: Memory,
}

/// A directory in memory: what is synced to it costs no disk.
pub struct Memory(TempDir);

impl Memory {
    pub fn new() -> Self {
        let memory = Self(tempfile::Builder::new().prefix("keyfold-explorer-").tempdir().unwrap());
        run("mount", &["-t", "tmpfs", "-o", "size=6g", "tmpfs", memory.0.path().to_str().unwrap()]);
        memory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        detach(self.0.path());
    }
}

fn attempt(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("the crash explorer needs {program} ({error}): mount-scripts/deps.sh test installs it")
    })
}

/// Runs a program of the system's that must succeed; its stdout.
#[track_caller]
fn run(program: &str, args: &[&str]) -> String {
    let output = attempt(program, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?} failed, which the crash explorer needs (as root): {said}");
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

impl Disk {
    /// A disk that begins as `image`, or a new one with a file system, which may keep a journal of its own.
    pub fn new(image: Option<&Image>, journal: bool) -> Self {
        let memory = Memory::new();
        let path = |name: &str| memory.path(name).into_os_string().into_string().unwrap();
        let (disk, log, file) = (path("disk"), path("log"), path("file"));
        image.unwrap_or(&Image::default()).save(Path::new(&disk), BYTES);
        File::create(&log).unwrap().set_len(LOG_BYTES).unwrap();
        File::create(&file).unwrap();
        let qemu = Command::new("qemu-storage-daemon")
            .arg("--blockdev")
            .arg(format!("driver=file,node-name=disk,filename={disk}"))
            .arg("--blockdev")
            .arg(format!("driver=file,node-name=log,filename={log}"))
            .args(["--blockdev", "driver=blklogwrites,node-name=both,file=disk,log=log,log-super-update-interval=1"])
            .arg("--export")
            .arg(format!("type=fuse,id=served,node-name=both,mountpoint={file},writable=on"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(memory.path("stderr")).unwrap())
            .spawn();
        let qemu = qemu.unwrap_or_else(|error| {
            panic!("the crash explorer needs qemu-storage-daemon ({error}): mount-scripts/deps.sh test installs it")
        });
        let mut new = Self { device: None, qemu: Some(qemu), memory };
        let until = Instant::now() + PATIENCE;
        while fs::metadata(&file).map_or(0, |meta| meta.len()) != BYTES {
            let said = || fs::read_to_string(new.memory.path("stderr")).unwrap_or_default();
            assert!(Instant::now() < until, "qemu-storage-daemon serves no file: {}", said());
            assert!(new.qemu.as_mut().unwrap().try_wait().unwrap().is_none(), "qemu-storage-daemon ended: {}", said());
            std::thread::sleep(PAUSE);
        }
        let device = patiently("losetup", &["--find", "--show", &file]);
        new.device = Some(device.clone());
        if image.is_none() {
            // Nothing is left for the kernel to do later, and blocks are as large as pages.
            let lazy = "lazy_itable_init=0,lazy_journal_init=1,nodiscard";
            let journal: &[&str] = if journal { &["-J", "size=16"] } else { &["-O", "^has_journal"] };
            let args = ["-q", "-b", "4096", "-m", "0", "-N", "4096", "-E", lazy];
            run("mkfs.ext4", &[&args, journal, &[&device]].concat());
        }
        new
    }

    /// Mounts it at an empty directory, which is empty then too.
    pub fn mount(&self, at: &Path) {
        run("mount", &["-o", "nodiscard", self.device.as_ref().unwrap(), at.to_str().unwrap()]);
        let _ = fs::remove_dir(at.join("lost+found"));
        File::open(at).unwrap().sync_all().unwrap();
    }

    /// Mounts it until the answer is dropped.
    pub fn mount_for_now(&self, at: &Path) -> Attached {
        self.mount(at);
        Attached(at.to_owned())
    }

    /// How many requests it has had.
    pub fn position(&self) -> usize {
        log::position(&self.memory.path("log"))
    }

    pub fn log(&self) -> Log {
        Log::read(&self.memory.path("log")).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            let _ = attempt("losetup", &["--detach", device]);
        }
        let Some(mut qemu) = self.qemu.take() else { return };
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(qemu.id().cast_signed()), nix::sys::signal::SIGTERM);
        let _ = end(&mut qemu);
        detach(&self.memory.path("file"));
    }
}

/// Mends a file system without a journal, as a machine does that starts again.
pub fn mend(file: &Path) -> Result<(), String> {
    let output = attempt("e2fsck", &["-fy", file.to_str().unwrap()]);
    // 1 and 2: errors were corrected.
    match output.status.code() {
        Some(0..=2) => Ok(()),
        _ => Err(format!("e2fsck cannot mend the file system: {}", String::from_utf8_lossy(&output.stdout))),
    }
}

/// A disk or an image, mounted until it is dropped.
pub struct Attached(PathBuf);

impl Attached {
    /// Mounts the image in a file at `at`; what mount(8) says when it cannot be.
    pub fn new(file: &Path, at: &Path) -> Result<Self, String> {
        let until = Instant::now() + PATIENCE;
        let args = ["-o", "loop,nodiscard", file.to_str().unwrap(), at.to_str().unwrap()];
        loop {
            let output = attempt("mount", &args);
            if output.status.success() {
                return Ok(Self(at.to_owned()));
            }
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // Others may have taken the loop device that was free.
            if !said.contains("loop device") || Instant::now() > until {
                return Err(format!("the file system does not mount: {said}"));
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        detach(&self.0);
    }
}
