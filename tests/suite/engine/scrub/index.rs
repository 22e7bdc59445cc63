//! RocksDB's files: tables, the list of tables, the file that names it, and logs.

use super::super::harness::{B, Home, get, key, make_bucket};
use super::{pattern, scrub, scrub_in};
use crate::long;
use keyfold::store::{ScrubFinding, Store};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// A store with so many names of 900 bytes each, synced after each tenth.
fn with_names(count: u64) -> (Home, Arc<Store>) {
    let home = Home::new();
    let store = home.open();
    make_bucket(&store, B);
    for n in 0..count {
        store.put(B, &key(&format!("name {n}")), &mut &pattern(900, n)[..], &Default::default()).unwrap();
        if n.is_multiple_of(10) {
            store.sync().unwrap();
        }
    }
    store.sync().unwrap();
    (home, store)
}

/// The index's files.
fn files(home: &Home) -> Vec<PathBuf> {
    fs::read_dir(home.dir.path().join("meta")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn tables_of_the_index_are_checked_on_the_disk() {
    let home = Home::new();
    let store = home.open();
    make_bucket(&store, B);
    for n in 0..300 {
        store.put(B, &key(&format!("dir/name {n}")), &mut &pattern(900, n)[..], &Default::default()).unwrap();
    }
    store.close().unwrap();
    drop(store);
    home.close();
    // Opening writes what is in the log to tables.
    let store = home.open();
    assert_eq!(scrub(&store), []);
    let mut tables = files(&home);
    tables.retain(|path| path.extension().is_some_and(|end| end == "sst"));
    tables.sort_by_key(|path| path.metadata().unwrap().len());
    let largest = tables.pop().unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&largest).unwrap();
    let len = file.metadata().unwrap().len();
    let tries = if long() { 500 } else { 40 };
    // Filter, properties, index and footer are at the end.
    let step = if long() { 1 } else { 41 };
    let places = (0..tries).map(|n| n * (len - 1) / (tries - 1)).chain((len.saturating_sub(3000)..len).step_by(step));
    for at in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        let found = scrub_in(&store, 8 << 10);
        file.write_all_at(&byte, at).unwrap();
        let name = format!("meta/{}", largest.file_name().unwrap().to_str().unwrap());
        let covered = |finding: &ScrubFinding| {
            finding.file.starts_with(&name) && (finding.at..finding.at + finding.len + 5).contains(&at)
        };
        assert!(found.iter().any(covered), "byte {at} of {len}: {found:#?}");
    }
    assert_eq!(scrub(&store), []);
}

/// Places and payloads' lengths of RocksDB's records in a list of tables or a log.
fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    const BLOCK: usize = 32 << 10;
    let (mut found, mut at) = (vec![], 0);
    while at + 7 <= bytes.len() {
        let len = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        found.push((at, len));
        at += 7 + len;
        if BLOCK - at % BLOCK < 7 {
            at = at.next_multiple_of(BLOCK);
        }
    }
    found
}

/// The index's list of tables, the file that names it, and its logs are read only when the store is opened.
#[test]
fn what_an_opening_reads_first_is_checked_on_the_disk() {
    let (home, store) = with_names(200);
    assert_eq!(scrub(&store), []);
    let mut kinds = [0; 3];
    for path in files(&home) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = fs::read(&path).unwrap();
        let (kind, places): (_, Vec<usize>) = match () {
            () if name == "CURRENT" => (0, (0..whole.len()).collect()),
            () if name.starts_with("MANIFEST") || name.ends_with(".log") => {
                let found = records(&whole);
                let some = found.iter().step_by(if long() { 1 } else { found.len() / 6 + 1 });
                // Checksum, kind, and the payload's ends.
                let places = some.flat_map(|(at, len)| [*at, at + 3, at + 6, at + 7, at + 6 + len]);
                (usize::from(name.ends_with(".log")) + 1, [vec![4, 5], places.collect()].concat())
            }
            () => continue,
        };
        kinds[kind] += places.len();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for at in places {
            file.write_all_at(&[whole[at] ^ 4], at as u64).unwrap();
            let found = scrub_in(&store, 8 << 10);
            file.write_all_at(&whole[at..=at], at as u64).unwrap();
            let name = format!("meta/{name}");
            let hits = found.iter().any(|found| found.file == name && found.at <= at as u64);
            assert!(hits && found.len() == 1, "byte {at} of {name}: {found:#?}");
        }
    }
    assert!(kinds.iter().all(|places| *places > 10), "{kinds:?}");
    assert_eq!(scrub(&store), []);
}

/// What a damaged log would cost at the next opening is still in memory.
#[test]
fn what_a_damaged_log_holds_can_be_saved() {
    let (home, store) = with_names(50);
    store.gc(&mut || true).unwrap();
    store.put(B, &key("last"), &mut &b"acknowledged"[..], &Default::default()).unwrap();
    store.sync().unwrap();
    for path in files(&home) {
        if path.extension().is_some_and(|end| end == "log") && path.metadata().unwrap().len() > 0 {
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&[0x55; 4], 0).unwrap();
        }
    }
    let found = scrub(&store);
    assert!(!found.is_empty() && found.iter().all(|found| found.file.ends_with(".log")), "{found:#?}");
    let told = store.complaints(None);
    assert!(told.iter().any(|told| told.mend.as_ref().is_some_and(|mend| mend.contains("keyfold gc"))), "{told:#?}");
    store.gc(&mut || true).unwrap();
    // RocksDB lets it go on a thread of its own.
    let end = Instant::now() + Duration::from_secs(30);
    while !scrub(&store).is_empty() {
        assert!(Instant::now() < end, "{:#?}", scrub(&store));
    }
    store.abandon();
    home.forget();
    assert_eq!(get(&home.open(), "last").unwrap(), b"acknowledged");
}

/// Records are on their way, logs come and go.
#[test]
fn nothing_is_found_while_the_index_is_written() {
    let home = Home::new();
    let store = home.open();
    make_bucket(&store, B);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..if long() { 20_000 } else { 1500 } {
                store.put(B, &key(&format!("name {n}")), &mut &pattern(3000, n)[..], &Default::default()).unwrap();
                if n.is_multiple_of(7) {
                    store.sync().unwrap();
                }
            }
            done.store(true, Relaxed);
        });
        while !done.load(Relaxed) {
            assert_eq!(scrub_in(&store, 64 << 10), []);
        }
    });
    assert_eq!(scrub(&store), []);
}
