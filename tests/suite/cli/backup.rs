//! `keyfold backup`: its forms, its errors, and what a kill at any call leaves.

use super::bench::Bench;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A store that nobody has mounted, with objects in all forms, and a place for backups.
fn filled() -> (Bench, PathBuf) {
    let bench = Bench::new();
    bench.mount();
    let bucket = bench.mountpoint.join("photos");
    std::fs::create_dir(&bucket).unwrap();
    for (name, len) in [("small", 100), ("run", 150_000), ("own", 5 << 20), ("own2", 6 << 20)] {
        std::fs::write(bucket.join(name), body(len)).unwrap();
    }
    bench.umount();
    let dest = bench.store.with_file_name("backups");
    (bench, dest)
}

fn body(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The backups in a place, oldest first.
fn listed(bench: &Bench, dest: &Path) -> Vec<PathBuf> {
    let rows = bench.json(&["backup", "--list", text(dest)]);
    rows.iter().map(|row| PathBuf::from(row["backup"].as_str().unwrap())).collect()
}

#[test]
fn backups_are_made_listed_verified_and_restored() {
    let (bench, dest) = filled();
    let store = text(&bench.store);
    assert!(bench.ok(&["backup", "--dry-run", store, text(&dest)]).starts_with("would copy 1"));
    assert!(!dest.exists());
    let first = &bench.json(&["backup", store, text(&dest)])[0];
    assert_eq!(first["new_bytes"], first["bytes"]);
    let second = &bench.json(&["backup", text(&dest)])[0];
    assert!(second["new_bytes"].as_u64().unwrap() < 1 << 20, "{second}");
    assert!(bench.ok(&["backup", store, text(&dest)]).contains("shared with earlier ones"));
    let all = listed(&bench, &dest);
    assert_eq!(all.len(), 3);
    assert_eq!(bench.ok(&["backup", "--verify", text(&all[0])]), "");
    bench.ok(&["backup", "--verify", text(&dest)]);
    assert!(bench.ok(&["ls", "--store", text(&all[0]), "photos"]).contains("own2"));
    let said = bench.fails(4, &["bucket", "create", "--store", text(&all[0]), "more"]);
    assert!(said.contains("keyfold backup --restore"), "{said}");
    let again = bench.store.with_file_name("again");
    assert!(bench.ok(&["backup", "--restore", text(&all[0]), text(&again)]).starts_with("restored "));
    bench.ok(&["fsck", text(&again)]);
    bench.ok(&["bucket", "create", "--store", text(&again), "more"]);
    let said = bench.ok(&["backup", "--keep", "2", store, text(&dest)]);
    assert_eq!(said.matches("removed ").count(), 2, "{said}");
    assert_eq!(listed(&bench, &dest)[0], all[2]);

    // Damage in a backup, and in what is restored of it.
    let solo = bench.store.with_file_name("solo");
    let found = Command::new("find").arg(&all[2]).args(["-name", "*.obj"]).output().unwrap().stdout;
    let damaged = String::from_utf8(found).unwrap().lines().next().map(PathBuf::from).unwrap();
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[70_000] ^= 4;
    std::fs::write(&damaged, bytes).unwrap();
    assert_eq!(bench.run(&["backup", "--verify", text(&dest)]).status, Some(7));
    let ran = bench.run(&["backup", "--restore", text(&all[2]), text(&solo)]);
    assert!(ran.status == Some(7) && ran.out.contains("damage: ") && ran.out.contains("restored "), "{ran:?}");
    assert_eq!(bench.run(&["fsck", text(&solo)]).status, Some(7));
}

#[test]
fn what_cannot_be_is_said() {
    let (bench, dest) = filled();
    let store = text(&bench.store);
    bench.fails(2, &["backup", store, text(&bench.store.join("inside"))]);
    bench.fails(2, &["backup", store, text(&bench.mountpoint.with_file_name(""))]);
    let notes = bench.store.with_file_name("notes");
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(notes.join("mine"), "text").unwrap();
    bench.fails(5, &["backup", store, text(&notes)]);
    bench.fails(6, &["backup", "/nonexistent", text(&dest)]);
    bench.fails(3, &["backup", "--list", store]);
    bench.fails(3, &["backup", "--list", "/nonexistent"]);
    bench.fails(6, &["backup", "--verify", "/nonexistent"]);
    bench.fails(2, &["backup", "--restore", store]);
    bench.fails(3, &["backup", "--restore", store, text(&dest)]);
    assert!(!dest.exists());
    assert_eq!(bench.run(&["backup"]).status, Some(2));
    assert_eq!(bench.run(&["backup", "--keep", "0", store, text(&dest)]).status, Some(2));
    assert_eq!(bench.run(&["backup", "--list", "--verify", text(&dest)]).status, Some(2));
    bench.fails(1, &["backup", store, "/proc/backups"]);
}

/// Killed at a call that makes something durable or gives something a name, a backup shows whole or not at all, and what
/// is left never stands in the way.
#[test]
fn a_kill_at_any_call_leaves_whole_backups_only() {
    const CALLS: &str = "fsync,fdatasync,rename,linkat,link,unlink,mkdir,rmdir";
    let (bench, dest) = filled();
    let step = if crate::long() { 1 } else { 11 };
    let mut kills = 0;
    for at in (1..).step_by(step) {
        let ran = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}")])
            .args(["-e", &format!("inject={CALLS}:signal=SIGKILL:when={at}")])
            .arg(env!("CARGO_BIN_EXE_keyfold"))
            .arg("backup")
            .args([&bench.store, &dest])
            .output()
            .expect("strace is needed");
        if dest.join("BACKUPS").exists() {
            assert_eq!(bench.run(&["backup", "--verify", text(&dest)]).status, Some(0), "at call {at}");
        }
        if ran.status.success() {
            break;
        }
        kills += 1;
        assert!(at < 1000, "{ran:?}");
    }
    assert!(kills > 2, "only {kills} kills");
    bench.ok(&["backup", text(&bench.store), text(&dest)]);
    let names: Vec<_> = std::fs::read_dir(&dest).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().starts_with('.')), "{names:?}");
    bench.ok(&["backup", "--verify", text(&dest)]);
    bench.ok(&["fsck", text(&bench.store)]);
    assert!(!bench.store.join("snapshot").exists());
}
