//! Links, pipes, devices and directories where a store has files, and the other way round.

use super::{Stranger, bounded, everything, look};
use crate::engine::harness::copy;
use crate::long;
use nix::sys::stat::{Mode, SFlag};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What is put in a file's place.
#[derive(Clone, Copy, Debug)]
enum Instead {
    /// A link to the very thing, moved out of the store: who follows it notices nothing.
    LinkToItself,
    /// A link to where nothing is.
    LinkToNothing,
    /// A link to a device without an end.
    LinkToZero,
    Pipe,
    /// A device without an end. Without the right to make one, nothing.
    Zero,
    /// A directory for a file, a file for a directory.
    OtherKind,
}

const ALL: [Instead; 6] = [
    Instead::LinkToItself,
    Instead::LinkToNothing,
    Instead::LinkToZero,
    Instead::Pipe,
    Instead::Zero,
    Instead::OtherKind,
];

fn put(instead: Instead, at: &Path, outside: &Path) {
    let was_dir = at.is_dir();
    let moved = outside.join("moved");
    if at.exists() {
        copy(at, &moved);
        if was_dir { std::fs::remove_dir_all(at).unwrap() } else { std::fs::remove_file(at).unwrap() }
    } else {
        // What the store would make there goes elsewhere.
        std::fs::write(&moved, "").unwrap();
    }
    match instead {
        Instead::LinkToItself => symlink(&moved, at).unwrap(),
        Instead::LinkToNothing => symlink(outside.join("new"), at).unwrap(),
        Instead::LinkToZero => symlink("/dev/zero", at).unwrap(),
        Instead::Pipe => nix::unistd::mkfifo(at, Mode::from_bits_truncate(0o600)).unwrap(),
        Instead::Zero => {
            let zero = nix::sys::stat::makedev(1, 5);
            let _ = nix::sys::stat::mknod(at, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), zero);
        }
        Instead::OtherKind if was_dir => std::fs::write(at, "a file").unwrap(),
        Instead::OtherKind => std::fs::create_dir(at).unwrap(),
    }
}

/// Places in a store, relative to it: the first file of each kind.
fn places(store: &Path) -> Vec<PathBuf> {
    let first = |dir: &str, ending: &str| {
        let mut files: Vec<_> =
            everything(&store.join(dir)).into_keys().filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
        files.sort();
        files.remove(0).strip_prefix(store).unwrap().to_owned()
    };
    let (segment, object, sum) = (first("seg", ".seg"), first("solo", ".obj"), first("solo", ".sum"));
    let log = first("meta", ".log");
    // RocksDB numbers its next files behind this one.
    let number: u64 = log.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let next = |n: u64, ending: &str| PathBuf::from(format!("meta/{:06}.{ending}", number + n));
    let fixed = ["FORMAT", "LOCK", "journal", "keyfold.toml", "keyfold.log", "control.sock", "meta", "seg", "solo"];
    let rocks = ["meta/CURRENT", "meta/LOCK", "meta/LOG", "meta/IDENTITY"];
    let mut places: Vec<PathBuf> = fixed.iter().chain(&rocks).map(PathBuf::from).collect();
    places.extend([segment.parent().unwrap().to_owned(), object.parent().unwrap().to_owned()]);
    places.extend([segment, object, sum, log, next(1, "log"), next(2, "log"), next(3, "sst"), next(1, "dbtmp")]);
    places
}

#[test]
fn nothing_in_a_stores_place_leads_out_of_it() {
    let stranger = Stranger::new();
    for (n, place) in places(&stranger.bench.store).into_iter().enumerate() {
        for (m, instead) in ALL.into_iter().enumerate() {
            // The short form follows the worst link, and takes one of the others.
            if !long() && m != 0 && m != 1 + n % (ALL.len() - 1) {
                continue;
            }
            let name = format!("case-{n}-{m}");
            let (store, outside) = (stranger.copy(&name), stranger.outside.join(&name));
            std::fs::create_dir(&outside).unwrap();
            put(instead, &store.join(&place), &outside);
            let before = everything(&stranger.outside);
            for args in [&["fsck"][..], &["bucket", "create", "another"]] {
                bounded(&store, args);
            }
            if long() {
                look(&store, &stranger.out(&name));
            }
            assert_eq!(everything(&stranger.outside), before, "{instead:?} at {}", place.display());
            std::fs::remove_dir_all(&store).unwrap();
        }
    }
}

/// Neither the key of the secrets nor what is written on the way to it.
#[test]
fn nothing_in_the_key_files_place_leads_out() {
    let stranger = Stranger::new();
    bounded(&stranger.bench.store, &["access-key", "create"]);
    for (n, place) in ["access.key", "access.key.new"].into_iter().enumerate() {
        for (m, instead) in ALL.into_iter().enumerate() {
            let name = format!("key-{n}-{m}");
            let (store, outside) = (stranger.copy(&name), stranger.outside.join(&name));
            std::fs::create_dir(&outside).unwrap();
            put(instead, &store.join(place), &outside);
            if place != "access.key" {
                std::fs::remove_file(store.join("access.key")).unwrap();
            }
            let before = everything(&stranger.outside);
            bounded(&store, &["access-key", "create"]);
            bounded(&store, &["presign", "plain/a", "--endpoint", "http://localhost"]);
            assert_eq!(everything(&stranger.outside), before, "{instead:?} at {place}");
            std::fs::remove_dir_all(&store).unwrap();
        }
    }
}

#[test]
fn files_larger_than_any_disk_are_not_read_to_their_end() {
    const TIB: u64 = 1 << 40;
    let stranger = Stranger::new();
    for (n, place) in places(&stranger.bench.store).into_iter().enumerate() {
        let name = format!("large-{n}");
        let path = stranger.bench.store.join(&place);
        if !path.is_file() {
            continue;
        }
        let store = stranger.copy(&name);
        // Sparse: it takes no room.
        std::fs::File::options().write(true).open(store.join(&place)).unwrap().set_len(TIB).unwrap();
        bounded(&store, &["fsck"]);
        std::fs::remove_dir_all(&store).unwrap();
    }
}

/// A backup directory of a stranger's: what lies in it besides data is read by whoever lists or restores.
#[test]
fn nothing_in_a_backups_place_leads_out_of_it() {
    let stranger = Stranger::new();
    let backups = stranger.bench.store.with_file_name("backups");
    std::fs::write(stranger.bench.store.join("keyfold.toml"), "# settings\n").unwrap();
    bounded(&stranger.bench.store, &["access-key", "create"]);
    bounded(&stranger.bench.store, &["backup", stranger.bench.store.to_str().unwrap(), backups.to_str().unwrap()]);
    let generation = std::fs::read_dir(&backups)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .find(|name| name.to_str().unwrap().starts_with("20"))
        .unwrap();
    let inside = |name: &str| Path::new(&generation).join(name);
    let small = ["keyfold.toml", "access.key"];
    let places =
        ["BACKUPS".into(), "LOCK".into(), inside("BACKUP"), inside(small[0]), inside(small[1]), inside("FORMAT")];
    for (n, place) in places.iter().enumerate() {
        for (m, instead) in ALL.into_iter().enumerate() {
            let name = format!("backup-{n}-{m}");
            let (copied, outside) = (stranger.out(&name), stranger.outside.join(&name));
            std::fs::create_dir(&outside).unwrap();
            copy(&backups, &copied);
            put(instead, &copied.join(place), &outside);
            let before = everything(&stranger.outside);
            let (generation, to) = (copied.join(&generation), copied.join("restored"));
            let (generation, dir) = (generation.to_str().unwrap(), copied.to_str().unwrap());
            let runs = [
                &["backup", "--list", dir][..],
                &["backup", "--verify", generation],
                &["backup", "--restore", generation, to.to_str().unwrap()],
            ];
            for args in runs {
                bounded(&stranger.bench.store, args);
            }
            for name in small.iter().filter(|name| place.ends_with(name)) {
                let restored = std::fs::symlink_metadata(to.join(name));
                assert!(restored.is_err(), "{instead:?} at {} was restored", place.display());
            }
            assert_eq!(everything(&stranger.outside), before, "{instead:?} at {}", place.display());
            std::fs::remove_dir_all(&copied).unwrap();
        }
    }
}

#[test]
fn names_that_are_no_text_and_files_of_others_are_left_alone() {
    use std::os::unix::ffi::OsStrExt;
    let stranger = Stranger::new();
    let store = stranger.copy("names");
    let strange = std::ffi::OsStr::from_bytes(b"\xff\xfe\n..");
    let mut made = Vec::new();
    for dir in ["", "seg", "solo", "seg/00", "solo/zz", "quarantine"] {
        std::fs::create_dir_all(store.join(dir)).unwrap();
        for name in [strange, "x.seg".as_ref(), "zzzzzzzz-00000001.seg".as_ref(), "-".as_ref()] {
            made.push(store.join(dir).join(name));
            std::fs::write(made.last().unwrap(), "somebody's").unwrap();
        }
    }
    let (status, text) = bounded(&store, &["fsck"]);
    assert_eq!(status, 0, "{text}");
    look(&store, &stranger.out("names"));
    for path in made {
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's", "{path:?}");
    }
}
