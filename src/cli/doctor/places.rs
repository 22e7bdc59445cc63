//! What mounts and a store lack: dead processes, room on the disk, a lock without an owner.

use super::Finding;
use crate::cli::output::{Collect, size};
use crate::control::{KernelMount, Request, Row, connect, keyfold_mounts};
use crate::model::Kind;
use crate::store::ACCESS_KEY_FILE;
use crate::sys::process;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How long a mount may take to answer before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(3);
/// `ENOTCONN`: the process behind a mount is gone.
const NOT_CONNECTED: i32 = 107;
/// The newest format this release reads.
const FORMAT_VERSION: u64 = 1;
/// Room below which writes will soon be refused.
const FREE_MIN: u64 = 1 << 30;

pub(super) fn mounts() -> Vec<Finding> {
    let Ok(mounts) = keyfold_mounts() else { return vec![] };
    mounts.iter().map(mount).collect()
}

fn mount(mount: &KernelMount) -> Finding {
    const CHECK: &str = "mount";
    let place = mount.mountpoint.display();
    let (tell, told) = mpsc::channel();
    let path = mount.mountpoint.clone();
    // A hung mount holds whoever asks it; that thread is left behind.
    std::thread::spawn(move || {
        let _ = tell.send(path.metadata().map(drop).map_err(|error| error.raw_os_error()));
    });
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(_)) => Finding::ok(CHECK, format!("{place} answers")),
        Ok(Err(Some(NOT_CONNECTED))) => Finding::wrong(
            CHECK,
            format!("{place} is left from a process that ended"),
            format!("keyfold umount --lazy {place}"),
        ),
        // Root may not look into another user's mount.
        Ok(Err(_)) => Finding::ok(CHECK, format!("{place} belongs to another user")),
        Err(_) => Finding::wrong(
            CHECK,
            format!("{place} does not answer within {} s", PATIENCE.as_secs()),
            format!("look into {}/keyfold.log; `keyfold umount --lazy {place}` gives it up", mount.source.display()),
        ),
    }
}

pub(super) fn store(dir: &Path) -> Vec<Finding> {
    let file = dir.join("FORMAT");
    if std::fs::read(&file).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        let what = format!("{} belongs to another user", dir.display());
        return vec![Finding::note("store", what, "look as its owner or as root")];
    }
    let mut findings = vec![format(&file), process(dir)];
    findings.push(match process::free_bytes(dir) {
        Some(free) if free < FREE_MIN => Finding::wrong(
            "free disk",
            format!("{} below {}", size(free), dir.display()),
            "free space on that disk: purge old versions, or move the store to a larger one",
        ),
        Some(free) => Finding::ok("free disk", format!("{} below {}", size(free), dir.display())),
        None => Finding::note("free disk", "cannot be asked for", "see `df`"),
    });
    findings.push(key_file(&dir.join(ACCESS_KEY_FILE)));
    match crate::node::store_settings(dir) {
        Ok(settings) => findings.extend(super::classes::classes(&settings.tiers)),
        Err(error) => findings.push(Finding::wrong(
            "keyfold.toml",
            error.reason().to_owned(),
            error.remedy().unwrap_or("correct the file").to_owned(),
        )),
    }
    findings
}

/// What access keys need; whether there are any, only the index knows.
fn key_file(file: &Path) -> Finding {
    const CHECK: &str = "access keys";
    let what = |what: &str| format!("{} {what}", file.display());
    match file.symlink_metadata() {
        Ok(meta) if !meta.is_file() => Finding::wrong(CHECK, what("is no file"), "put the file back from a backup"),
        Ok(meta) if meta.mode() & 0o077 != 0 => Finding::wrong(
            CHECK,
            what("can be read by others than its owner, and with the index all secrets"),
            format!("chmod 600 {}; make new access keys and delete the old ones", file.display()),
        ),
        Ok(_) => Finding::ok(CHECK, what("is there")),
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::ok(
            CHECK,
            what("is not there: no access key was made, or none works any more, which `keyfold fsck` tells"),
        ),
        Err(error) => Finding::wrong(CHECK, what(&format!("cannot be looked at: {error}")), "see to the disk"),
    }
}

fn format(file: &Path) -> Finding {
    const CHECK: &str = "store format";
    let Ok(text) = std::fs::read_to_string(file) else {
        return Finding::wrong(
            CHECK,
            format!("there is no {}, so no store", file.display()),
            "name the right directory, or make a store with `keyfold init`",
        );
    };
    let format = serde_json::from_str::<serde_json::Value>(&text).ok();
    match format.and_then(|format| format.get("keyfold")?.as_u64()) {
        Some(format) if format <= FORMAT_VERSION => Finding::ok(CHECK, format!("{format}")),
        Some(format) => Finding::wrong(
            CHECK,
            format!("{format}, this release knows {FORMAT_VERSION}"),
            "use the release that wrote it, or a newer one",
        ),
        None => Finding::wrong(CHECK, "its FORMAT file is damaged", "put it back from a backup"),
    }
}

/// Who owns the store, and whether it answers.
fn process(dir: &Path) -> Finding {
    const CHECK: &str = "process";
    let mut rows = Collect::default();
    let mut connection = match connect(dir) {
        Ok(Some(connection)) => connection,
        Ok(None) => return free(dir),
        Err(error) if error.kind() == Kind::Denied => {
            return Finding::ok(CHECK, "the store is served by another user's process");
        }
        Err(error) => return Finding::wrong(CHECK, error.to_string(), "end the process that owns the store"),
    };
    match connection.ask(Request::Status, &mut rows) {
        Ok(true) => {
            let said = |name: &str| match rows.0.first() {
                Some(Row::Status(status)) => status.get(name).filter(|value| !value.is_null()),
                _ => None,
            };
            if let Some(lag) = said("clock_lag_seconds") {
                let what =
                    format!("it lags {lag} seconds behind what it showed before, in a store with locked versions");
                return Finding::wrong("clock", what, "set it right: until then no lock ends (LOCK-22)");
            }
            let lost = said("zones").and_then(serde_json::Value::as_array).map(|zones| {
                let text = |zone: &serde_json::Value, field| {
                    zone.get(field).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
                };
                let lost = zones.iter().filter(|zone| text(zone, "state") == "lost");
                lost.map(|zone| format!("{} since {}: {}", text(zone, "name"), text(zone, "since"), text(zone, "why")))
                    .collect::<Vec<_>>()
            });
            let short = said("short_files").and_then(serde_json::Value::as_u64).unwrap_or(0);
            if let Some(lost) = lost.filter(|lost| !lost.is_empty()) {
                let what = format!("lost: {}; {short} files have fewer copies than they should", lost.join(", "));
                return Finding::wrong(
                    "zones",
                    what,
                    "mount its disk, or give it a new one and run `keyfold zones --adopt`",
                );
            }
            if short > 0 {
                let what = format!("{short} files have fewer copies than they should");
                return Finding::note(
                    "zones",
                    what,
                    "they are made in the background, or at once by `keyfold zones --repair`",
                );
            }
            let pid = said("pid").map(ToString::to_string).unwrap_or_default();
            Finding::ok(CHECK, format!("{pid} serves the store and answers"))
        }
        Ok(false) => Finding::note(CHECK, "it is ending", "look again in a moment"),
        Err(error) => Finding::wrong(CHECK, error.to_string(), "mount with the release that is installed"),
    }
}

fn free(dir: &Path) -> Finding {
    const CHECK: &str = "process";
    let locked = match std::fs::File::open(dir.join("LOCK")) {
        Ok(file) => matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)),
        Err(_) => false,
    };
    if locked {
        let owner = std::fs::read_to_string(dir.join("LOCK")).unwrap_or_default();
        return Finding::note(
            CHECK,
            format!(
                "{} has the store and no socket: it starts, ends, or runs a command",
                owner.split_whitespace().next().unwrap_or("somebody")
            ),
            "look again in a moment",
        );
    }
    Finding::ok(CHECK, "none serves the store")
}
