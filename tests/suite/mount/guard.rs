//! A test that is killed cannot clean up: processes of their own do, which wait for the end of the pipe between the two.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Goes on to what a script of bash does after its stdin when it is dropped, and when the test's process dies.
pub struct Guard(pub Child);

impl Guard {
    pub fn new(script: &str, args: &[&str]) -> Self {
        let mut guard = Command::new("bash");
        guard.args(["-c", script, "guard"]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Not in the group of processes that is killed when a test takes too long.
        Self(guard.stderr(Stdio::null()).process_group(0).spawn().unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn guard() -> Guard {
    Guard::new(include_str!("guard.sh"), &[])
}

/// What is mounted at or below a directory goes with it when the test's process ends and the directory is still there.
pub fn watch(dir: &Path) {
    static GUARD: OnceLock<Mutex<Guard>> = OnceLock::new();
    let mut guard = GUARD.get_or_init(|| Mutex::new(guard())).lock().unwrap();
    let line = format!("{}\n", dir.display());
    guard.0.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
}

#[test]
fn what_a_killed_test_leaves_goes() {
    let dir = tempfile::tempdir().unwrap().keep();
    let below = dir.join("below");
    std::fs::create_dir(&below).unwrap();
    assert!(Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&below).status().unwrap().success());
    std::fs::write(below.join("file"), "text").unwrap();
    let mut guard = guard();
    writeln!(guard.0.stdin.as_mut().unwrap(), "{}", dir.display()).unwrap();
    drop(guard);
    assert!(!dir.exists());
}
