//! A disk that keeps a log of its writes.

use super::super::guard;
use super::super::harness::detach;
use super::super::served::{PATIENCE, PAUSE, Served, attempt};
use super::image::Image;
use super::log::{self, Log};
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use super::super::served::Memory;

/// Large enough for the store to have a journal.
pub const BYTES: u64 = 1280 << 20;
/// Room for what is written to it, never used up.
const LOG_BYTES: u64 = 64 << 30;

/// The disk, in memory; it and its device are gone afterwards.
pub struct Disk(Served);

impl Disk {
    /// A disk that begins as `image`, or a new one with a file system, which may keep a journal of its own.
    pub fn new(image: Option<&Image>, journal: bool) -> Self {
        let memory = Memory::new();
        let (disk, log) = (memory.file("disk", 0), memory.file("log", LOG_BYTES));
        image.unwrap_or(&Image::default()).save(Path::new(&disk), BYTES);
        let nodes = [
            format!("driver=file,node-name=disk,filename={disk}"),
            format!("driver=file,node-name=log,filename={log}"),
            "driver=blklogwrites,node-name=served,file=disk,log=log,log-super-update-interval=1".to_owned(),
        ];
        let new = Self(Served::new(memory, BYTES, &nodes));
        if image.is_none() {
            new.0.format(journal);
        }
        new
    }

    /// Mounts it at an empty directory, which is empty then too.
    pub fn mount(&self, at: &Path) {
        self.0.mount(at);
    }

    /// Mounts it until the answer is dropped.
    pub fn mount_for_now(&self, at: &Path) -> Attached {
        self.mount(at);
        Attached(at.to_owned())
    }

    /// How many requests it has had.
    pub fn position(&self) -> usize {
        log::position(&self.0.memory.path("log"))
    }

    pub fn log(&self) -> Log {
        Log::read(&self.0.memory.path("log")).unwrap()
    }
}

/// Mends a file system without a journal, as a machine does that starts again; false when it is past mending.
pub fn mend(file: &Path) -> bool {
    let mut output = attempt("e2fsck", &["-fy", file.to_str().unwrap()]);
    for _ in 0..3 {
        // 1 and 2: errors were corrected; 4: some were left, which it often corrects when it runs again.
        match output.status.code() {
            Some(0..=2) => return true,
            Some(4..=7) => output = attempt("e2fsck", &["-fy", file.to_str().unwrap()]),
            _ => break,
        }
    }
    eprintln!("e2fsck cannot mend the file system: {output:?}");
    false
}

/// A disk or an image, mounted until it is dropped.
pub struct Attached(PathBuf);

impl Attached {
    /// Mounts the image in a file at `at`; what mount(8) says when it cannot be.
    pub fn new(file: &Path, at: &Path) -> Result<Self, String> {
        guard::watch(at);
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
