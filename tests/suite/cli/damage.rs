//! A damaged store as a person meets it: what reads, what is said, what `fsck --repair` and `export` make of it.

use super::bench::Bench;
use crate::tamper::tamper;
use keyfold::index::{Family, Read, Tx};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const LEN: usize = 300_000;
const FLIPPED: usize = 150_000;
const EIO: i32 = 5;

/// Bytes of which no stretch comes twice, and none is zero.
fn body(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8 | 1
    };
    (0..LEN).map(|_| next()).collect()
}

fn name_key(tx: &Tx<'_>, name: &str) -> Vec<u8> {
    let found = tx.scan(Family::Dent, &[], &[0xff; 9]).unwrap().map(|found| found.unwrap().0.to_vec());
    found.into_iter().find(|key| &key[8..] == name.as_bytes()).unwrap()
}

fn data_file(store: &Path, part: &[u8]) -> (PathBuf, u64) {
    let mut open = vec![store.join("seg"), store.join("solo")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let data = fs::read(&path).unwrap();
        if let Some(at) = data.windows(part.len()).position(|window| window == part) {
            return (path, at as u64);
        }
    }
    panic!("no data file has the bytes");
}

/// A store with a sound file, one with a flipped byte, and one whose name cannot be read.
fn damaged() -> Bench {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    bench.ok(&["bucket", "create", "photos"]);
    bench.mount();
    let photos = bench.mountpoint.join("photos");
    fs::write(photos.join("sound"), body(1)).unwrap();
    fs::write(photos.join("flipped"), body(2)).unwrap();
    fs::write(photos.join("nameless"), b"small").unwrap();
    bench.umount();
    let (path, at) = data_file(&bench.store, &body(2)[FLIPPED..FLIPPED + 64]);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[body(2)[FLIPPED] ^ 1], at).unwrap();
    tamper(&bench.store, |tx| {
        let key = name_key(tx, "nameless");
        tx.put_bytes(Family::Dent, &key, vec![0xff; 9]);
    });
    bench
}

#[track_caller]
fn is_exported(bench: &Bench, out: &Path) {
    let ran = bench.run(&["export".as_ref(), out.as_os_str()]);
    assert_eq!(ran.status, Some(7), "{ran:?}");
    assert!(ran.err.contains("damaged: photos/flipped as "), "{}", ran.err);
    assert!(ran.err.contains("damaged: photos/nameless: left out"), "{}", ran.err);
    assert!(fs::read(out.join("photos/sound")).unwrap() == body(1));
    assert!(!out.join("photos/flipped").exists(), "its name would say that it is whole");
    let found = fs::read(out.join("photos/flipped.damaged")).unwrap();
    let whole = body(2);
    let differ: Vec<usize> = (0..LEN).filter(|at| found[*at] != whole[*at]).collect();
    assert!(differ.contains(&FLIPPED) && differ.len() <= 64 << 10, "{}", differ.len());
    assert!(differ.iter().all(|at| found[*at] == 0));
}

#[test]
fn damage_costs_what_it_hits_until_it_is_mended() {
    let bench = damaged();
    bench.mount();
    let photos = bench.mountpoint.join("photos");
    let mut names: Vec<_> = fs::read_dir(&photos).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["flipped", "sound"]);
    assert!(fs::read(photos.join("sound")).unwrap() == body(1));
    assert_eq!(fs::read(photos.join("nameless")).unwrap_err().raw_os_error(), Some(EIO));
    assert_eq!(fs::read(photos.join("flipped")).unwrap_err().raw_os_error(), Some(EIO));
    let errors = bench.ok(&["errors"]);
    assert!(errors.contains("nameless") && errors.contains("flipped"), "{errors}");
    is_exported(&bench, &bench.store.with_file_name("mounted"));
    bench.umount();
    is_exported(&bench, &bench.store.with_file_name("alone"));

    let found = bench.run(&["fsck"]);
    assert_eq!(found.status, Some(7), "{found:?}");
    for said in ["photos/flipped: bytes ", "the name photos/nameless", "--repair"] {
        assert!(found.out.contains(said) || found.err.contains(said), "{said}: {found:?}");
    }
    assert_eq!(bench.run(&["fsck", "--repair", "--dry-run"]).status, Some(7));
    assert_eq!(bench.run(&["fsck"]).out, found.out, "a dry run changes nothing");
    let output = bench.run(&["--json", "fsck", "--repair"]);
    assert_eq!(output.status, Some(7), "{output:?}");
    let rows: Vec<serde_json::Value> = output.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcome = |invariant: &str| rows.iter().find(|row| row["invariant"] == invariant).unwrap()["outcome"].clone();
    assert_eq!(outcome("records-decode"), "quarantined");
    assert_eq!(outcome("content-is-held"), "mended");
    assert_eq!(outcome("data-reads"), "left");
    let left = bench.run(&["fsck"]);
    assert!(left.out.lines().all(|line| line.starts_with("data-reads")), "{left:?}");
    assert_eq!(bench.json(&["ls", "lost-found"]).len(), 1);
    bench.mount();
    fs::remove_file(photos.join("flipped")).unwrap();
    assert!(matches!(fs::read(photos.join("nameless")), Err(error) if error.kind() == ErrorKind::NotFound));
    fs::write(photos.join("nameless"), b"new").unwrap();
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
    bench.umount();
}

#[test]
fn an_index_that_does_not_open_says_how_it_is_mended() {
    let bench = damaged();
    for file in fs::read_dir(bench.store.join("meta")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("MANIFEST")) {
            fs::remove_file(file).unwrap();
        }
    }
    for args in [&["ls", "photos"][..], &["fsck"]] {
        let said = bench.fails(7, args);
        assert!(said.contains("fsck --repair") && said.contains("--rebuild"), "{said}");
    }
    let mounted = bench.run(&["mount".as_ref(), bench.store.as_os_str(), bench.mountpoint.as_os_str()]);
    assert!(mounted.err.contains("fsck --repair"), "{mounted:?}");
    let dry = bench.run(&["fsck", "--repair", "--dry-run"]);
    assert!(dry.out.contains("index-tables"), "{dry:?}");
    bench.fails(7, &["ls", "photos"]);
    let done = bench.run(&["fsck", "--repair"]);
    assert!(done.out.contains("index-tables"), "{done:?}");
    assert_eq!(bench.json(&["ls", "photos"]).len(), 2);
    let kept: Vec<_> =
        fs::read_dir(bench.store.join("quarantine")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(kept.iter().any(|path| path.join("meta/IDENTITY").exists()), "{kept:?}");
}

#[test]
fn an_index_of_which_nothing_is_left_is_built_of_the_data() {
    let bench = damaged();
    fs::remove_dir_all(bench.store.join("meta")).unwrap();
    for args in [&["fsck", "--dry-run"][..], &["fsck", "--repair", "--rebuild"]] {
        assert_eq!(bench.run(args).status, Some(2));
    }
    let said = bench.fails(7, &["fsck", "--repair"]);
    assert!(said.contains("nothing is left of it") && said.contains("fsck --rebuild"), "{said}");
    assert!(!bench.store.join("meta").exists(), "an empty index would let all data go");
    let told = bench.run(&["fsck", "--rebuild", "--dry-run"]);
    assert!(told.status == Some(7) && told.out.contains("data-reads"), "{told:?}");
    assert!(!bench.store.join("meta").exists());
    let built = bench.run(&["--json", "fsck", "--rebuild"]);
    assert!(built.status == Some(7) && built.out.contains("data-reads"), "{built:?}");
    let names: Vec<_> = bench.json(&["ls", "photos"]).iter().map(|row| row["key"].clone()).collect();
    assert_eq!(names, ["flipped", "sound"], "the small one was in the index only");
}
