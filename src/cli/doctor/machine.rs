//! What the machine lacks: FUSE, limits, the clock.

use super::Finding;
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::process;
use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Open files below which a busy mount runs out of them.
const OPEN_FILES_MIN: u64 = 4096;
/// 2026-01-01: no machine that runs this release is older.
const RELEASED: i64 = 1_767_225_600;
/// 2100-01-01.
const FAR: i64 = 4_102_444_800;

pub(super) fn device() -> Finding {
    const CHECK: &str = "/dev/fuse";
    match File::options().read(true).write(true).open(CHECK) {
        Ok(_) => Finding::ok(CHECK, "can be opened"),
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::wrong(
            CHECK,
            "is not there",
            "load the kernel's module with `sudo modprobe fuse`; a container needs --device /dev/fuse",
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::wrong(
            CHECK,
            "may not be opened",
            "a container needs --device /dev/fuse and --cap-add SYS_ADMIN; elsewhere `sudo chmod 666 /dev/fuse`",
        ),
        Err(error) => Finding::wrong(CHECK, error.to_string(), "load the kernel's module with `sudo modprobe fuse`"),
    }
}

pub(super) fn fusermount() -> Finding {
    const CHECK: &str = "fusermount3";
    let version = Command::new(CHECK).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output();
    match version {
        Ok(output) => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if process::effective_uid() == 0 || is_set_uid() {
                Finding::ok(CHECK, version)
            } else {
                Finding::wrong(
                    CHECK,
                    "is not set-user-id root, so only root can mount",
                    "sudo chmod u+s $(command -v fusermount3)",
                )
            }
        }
        Err(_) if process::effective_uid() == 0 => {
            Finding::note(CHECK, "is not installed; only root can mount", "install the package fuse3")
        }
        Err(_) => Finding::wrong(CHECK, "is not installed", "install the package fuse3"),
    }
}

fn is_set_uid() -> bool {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found: Option<PathBuf> =
        std::env::split_paths(&path).map(|dir| dir.join("fusermount3")).find(|file| file.is_file());
    found.and_then(|file| file.metadata().ok()).is_some_and(|meta| meta.permissions().mode() & 0o4000 != 0)
}

pub(super) fn allow_other() -> Finding {
    const CHECK: &str = "user_allow_other";
    let text = std::fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    if text.lines().any(|line| line.trim() == CHECK) {
        return Finding::ok(CHECK, "every user may mount with allow_other");
    }
    if process::effective_uid() == 0 {
        return Finding::ok(CHECK, "is not set in /etc/fuse.conf, which does not matter to root");
    }
    Finding::note(
        CHECK,
        "is not set in /etc/fuse.conf: mounts are for their owner only",
        "for -o allow_other, add the line user_allow_other to /etc/fuse.conf",
    )
}

pub(super) fn open_files() -> Finding {
    const CHECK: &str = "open files";
    match process::open_files_limit() {
        Some((soft, hard)) if hard < OPEN_FILES_MIN => Finding::wrong(
            CHECK,
            format!("at most {soft}, to be raised to {hard}; a busy mount needs {OPEN_FILES_MIN}"),
            "raise nofile in /etc/security/limits.conf, or LimitNOFILE= in the unit",
        ),
        Some((soft, hard)) => Finding::ok(CHECK, format!("{soft}; a mount raises it to {hard}")),
        None => Finding::note(CHECK, "the limit cannot be read", "see `ulimit -n`"),
    }
}

pub(super) fn clock() -> Finding {
    const CHECK: &str = "clock";
    let now = SystemClock.now();
    if (RELEASED..FAR).contains(&now.secs) {
        return Finding::ok(CHECK, format!("{now}"));
    }
    Finding::wrong(
        CHECK,
        format!("shows {now}: times of versions and retention would be wrong"),
        "set it, for example with `sudo timedatectl set-ntp true`",
    )
}
