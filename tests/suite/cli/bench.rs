//! A place to run commands in: a store, a mount point, and nothing left behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A directory of its own with room for a store and a mount point.
pub(super) struct Bench {
    _dir: TempDir,
    pub(super) store: PathBuf,
    pub(super) mountpoint: PathBuf,
}

/// What a command printed, and its status.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) status: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
}

impl Bench {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (store, mountpoint) = (root.join("store"), root.join("mnt"));
        std::fs::create_dir(&mountpoint).unwrap();
        Self { _dir: dir, store, mountpoint }
    }

    /// The program, told which store is meant.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyfold"));
        command.env("KEYFOLD_STORE", &self.store).env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
        command
    }

    pub(super) fn run<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Ran {
        Ran::of(self.command().args(args).output().unwrap())
    }

    /// Runs a command that must do what it is told; what it printed.
    #[track_caller]
    pub(super) fn ok<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        ran.out
    }

    /// Runs a command that must fail with a status and three lines.
    #[track_caller]
    pub(super) fn fails<S: AsRef<std::ffi::OsStr>>(&self, status: i32, args: &[S]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.status, Some(status), "{ran:?}");
        for start in ["error: ", "\nwhy: ", "\nmend: "] {
            assert!(ran.err.contains(start), "{ran:?}");
        }
        ran.err
    }

    /// Rows that a command prints with `--json`.
    #[track_caller]
    pub(super) fn json<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Vec<serde_json::Value> {
        let output = self.command().arg("--json").args(args).output().unwrap();
        let ran = Ran::of(output);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub(super) fn mount(&self) {
        let out = self.ok(&["mount".as_ref(), self.store.as_os_str(), self.mountpoint.as_os_str()]);
        assert_eq!(out, format!("mounted {} at {}\n", self.store.display(), self.mountpoint.display()));
    }

    #[track_caller]
    pub(super) fn umount(&self) {
        self.ok(&["umount".as_ref(), self.mountpoint.as_os_str()]);
    }

    /// The process that serves the store.
    pub(super) fn pid(&self) -> u64 {
        self.json(&["status"])[0]["pid"].as_u64().unwrap()
    }

    pub(super) fn is_mounted(&self, at: &Path) -> bool {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.lines().any(|line| line.split(' ').nth(4) == at.to_str())
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Bench {
    /// A test that failed leaves no mount, and so no process.
    fn drop(&mut self) {
        if self.is_mounted(&self.mountpoint) {
            let _ = self.run(&["umount".as_ref(), "--lazy".as_ref(), self.mountpoint.as_os_str()]);
        }
    }
}

/// Waits until something is so.
#[track_caller]
pub(super) fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..400 {
        if so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("not within 10 s: {what}");
}
