//! A control group of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A control group with a limit of memory; removed when dropped.
pub struct Group(PathBuf);

impl Group {
    pub fn new(name: &str, limit: u64) -> Self {
        let first = Path::new("/sys/fs/cgroup/memory");
        let (top, file) =
            if first.is_dir() { (first, "memory.limit_in_bytes") } else { (Path::new("/sys/fs/cgroup"), "memory.max") };
        if !first.is_dir() {
            // Where it is given to groups below already, this changes nothing.
            let _ = fs::write(top.join("cgroup.subtree_control"), "+memory");
        }
        let group = top.join(name);
        fs::create_dir(&group).unwrap();
        fs::write(group.join(file), limit.to_string()).unwrap();
        Self(group)
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// What a process takes from now on counts here.
    pub fn admit(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// How often a process in it was killed for want of memory.
    pub fn kills(&self) -> u64 {
        let read = |file| fs::read_to_string(self.0.join(file)).unwrap_or_default();
        let lines = read("memory.oom_control") + &read("memory.events");
        let count = lines.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.unwrap().trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only when a test fails is anybody left in it.
        for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = Command::new("kill").args(["-9", pid]).status();
        }
        let end = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.0).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
