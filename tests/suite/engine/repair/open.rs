//! A damaged store opens, shows what can be read, and says what cannot.

use super::super::harness::{
    B, Home, compact, get, key, list, make_bucket, pattern, put, reap, refused, root, versions,
};
use super::super::rebuild::{log_files, rebuilt};
use super::home::{Seen, dump, everything, find_key, findings, id, populated, repair, tamper};
use keyfold::index::{Family, Read, Tx, dent_key, encode};
use keyfold::model::{ContentId, Kind, NUMBER_MAX, Timestamp};
use keyfold::store::{Condition, ListRequest, ListVersions, Store};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const GARBAGE: &[u8] = &[0xff, 1, 2, 3];

fn spoil(tx: &mut Tx<'_>, family: Family, key: &[u8]) {
    tx.put_bytes(family, key, GARBAGE.to_vec());
}

/// Every listing of the bucket: none fails.
fn keys(store: &Arc<Store>) -> Vec<String> {
    let request = ListVersions { limit: 1000, ..ListVersions::default() };
    store.list_versions(B, &request).unwrap();
    let then = store.as_of(Timestamp::new(4_000_000_000, 0));
    let mut open = vec![root(store)];
    while let Some(dir) = open.pop() {
        for (_, entry) in store.entries(dir, None, 1000).unwrap() {
            open.extend(match entry {
                keyfold::store::Entry::Dir(found) => Some(found.id),
                keyfold::store::Entry::File(_) => None,
            });
        }
        then.entries(dir, None, 1000).unwrap();
        store.names_with_history(&[dir], None, 1000).unwrap();
    }
    store.changes(0, 1000).unwrap();
    store.status().unwrap();
    store.uploads(B).unwrap();
    list(store, B, "", None, 1000)
}

#[test]
fn a_damaged_record_costs_its_name_only() {
    let (home, store) = populated();
    let before = keys(&store);
    let (a, top) = (super::super::harness::dir(&store, "a/"), root(&store));
    drop(store);
    tamper(&home, |tx| {
        spoil(tx, Family::Dent, &dent_key(top, "small"));
        let version = find_key(tx, Family::Ver, |key, _| key.starts_with(&[&id(a.0)[..], b"two"].concat()));
        spoil(tx, Family::Ver, &version);
        let inode = find_key(tx, Family::Ino, |_, _| true);
        spoil(tx, Family::Ino, &inode);
        for family in [Family::Log, Family::Upload, Family::Usage] {
            let key = find_key(tx, family, |_, _| true);
            spoil(tx, family, &key);
        }
        spoil(tx, Family::Unsealed, &id(12));
    });
    let store = home.open();
    let lost = ["small", "a/linked", "other/link"];
    let expected: Vec<String> = before.into_iter().filter(|key| !lost.contains(&key.as_str())).collect();
    assert_eq!(keys(&store), expected);
    assert_eq!(versions(&store, "a/two").len(), 3);
    refused(store.get(B, &key("small"), None), Kind::Corrupt);
    let told = store.complaints(Some(B));
    for path in ["small", "a/two", "a/linked"] {
        let told = told.iter().find(|told| told.path == path).unwrap_or_else(|| panic!("{path}: {told:#?}"));
        assert!(told.mend.as_ref().unwrap().contains("--repair"), "{told:?}");
    }
    let count = told.len();
    keys(&store);
    assert_eq!(store.complaints(Some(B)).len(), count, "told once");
    // What is beside it goes on.
    put(&store, "new", b"new");
    store.delete(B, &key("a/one"), None, Condition::Always).unwrap();
    repair(&store);
    assert_eq!(findings(&store), []);
}

#[test]
fn a_damaged_directory_costs_what_is_below_it_until_it_is_mended() {
    let (home, store) = populated();
    let (a, body) = (super::super::harness::dir(&store, "a/"), get(&store, "a/b/three").unwrap());
    drop(store);
    tamper(&home, |tx| spoil(tx, Family::Dir, &id(a.0)));
    let store = home.open();
    let names: Vec<String> =
        store.entries(root(&store), None, 100).unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(!names.contains(&"a/".to_owned()) && names.contains(&"small".to_owned()), "{names:?}");
    assert!(keys(&store).contains(&"a/b/three".to_owned()));
    repair(&store);
    assert_eq!(get(&store, "a/b/three").unwrap(), body);
}

#[test]
fn a_damaged_bucket_does_not_hide_the_others() {
    let (home, store) = populated();
    let id_of = store.bucket("plain").unwrap().id.0;
    drop(store);
    tamper(&home, |tx| spoil(tx, Family::Bucket, &[b"i", &id(id_of)[..]].concat()));
    let store = home.open();
    let names: Vec<String> = store.buckets().unwrap().iter().map(|bucket| bucket.name.to_string()).collect();
    assert_eq!(names, [B]);
    repair(&store);
    assert_eq!(store.buckets().unwrap().len(), 2);
    store.list("plain", &ListRequest { limit: 10, ..ListRequest::default() }).unwrap();
}

#[test]
fn the_stores_own_numbers() {
    // No number, ones that no counter reaches, and none.
    let (beyond, last) = (encode(&(1u64 << 50)), encode(&NUMBER_MAX));
    for damaged in ["ids", "epoch", "seq", "synced"] {
        for value in [Some(GARBAGE), Some(&beyond[..]), Some(&last[..]), None] {
            let (home, store) = populated();
            let seen = everything(&store);
            drop(store);
            home.open().sync().unwrap();
            raw(&home, damaged, value);
            let store = home.open();
            assert_eq!(everything(&store), seen, "{damaged}");
            for n in 0..50 {
                let made = put(&store, &format!("new/{n}"), &pattern(5_000, n));
                assert!(made.content < ContentId::FIRST_INLINE, "{damaged}: {} is none of the log's", made.content);
            }
            store.sync().unwrap();
            let now = everything(&store);
            assert!(
                seen.iter().all(|(place, bytes)| now.get(place) == Some(bytes)),
                "{damaged}: numbers are used twice"
            );
            assert_eq!(findings(&store), [], "{damaged}");
        }
    }
}

/// Changes one of the numbers; the index itself would write some of them anew.
fn raw(home: &Home, name: &str, value: Option<&[u8]>) {
    home.close();
    let families = Family::ALL.iter().map(|family| family.name()).chain(["default"]);
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), home.dir.path().join("meta"), families).unwrap();
    let sys = db.cf_handle("sys").unwrap();
    match value {
        Some(value) => db.put_cf(sys, name, value).unwrap(),
        None => db.delete_cf(sys, name).unwrap(),
    }
    db.flush_wal(true).unwrap();
}

#[test]
fn a_lost_count_of_a_file_costs_no_file() {
    let (home, store) = populated();
    let seen = everything(&store);
    drop(store);
    tamper(&home, |tx| {
        let keys: Vec<_> = tx.scan(Family::Seg, &[], &[0xff]).unwrap().map(|found| found.unwrap().0).collect();
        assert!(keys.len() > 1);
        for key in keys {
            tx.delete(Family::Seg, &key);
        }
    });
    // Opened twice: the second sweep would take what the first has not.
    for _ in 0..2 {
        let store = home.open();
        std::thread::sleep(std::time::Duration::from_millis(300));
        reap(&store);
        assert_eq!(everything(&store), seen);
    }
    let store = home.open();
    repair(&store);
    assert_eq!(findings(&store), []);
    assert_eq!(everything(&store), seen);
}

/// Neither the record of a content nor the count of its file can be read: an index built of the log has it again.
#[test]
fn files_that_only_lost_records_knew_stay() {
    for salvaged in [true, false] {
        let (home, store) = Home::with_bucket(keyfold::model::Versioning::Unversioned);
        let names = [("run", pattern(20_000, 1)), ("solo", pattern(5 << 20, 2))];
        let made: Vec<_> = names.iter().map(|(name, bytes)| put(&store, name, bytes).content.0).collect();
        store.sync().unwrap();
        drop(store);
        tamper(&home, |tx| {
            let files: Vec<_> = tx.scan(Family::Seg, &[], &[0xff]).unwrap().map(|found| found.unwrap().0).collect();
            let contents = made.iter().map(|content| (Family::Content, id(*content)));
            let files = files.iter().map(|key| (Family::Seg, key.to_vec()));
            for (family, key) in contents.chain(files) {
                if salvaged { tx.delete(family, &key) } else { spoil(tx, family, &key) }
            }
        });
        let before = log_files(&home);
        if salvaged {
            Store::salvage_index(home.dir.path(), &home.options()).unwrap();
        }
        for _ in 0..2 {
            let store = home.open();
            std::thread::sleep(std::time::Duration::from_millis(300));
            compact(&store);
            repair(&store);
            compact(&store);
            drop(store);
        }
        let after = log_files(&home);
        assert!(before.iter().all(|path| after.contains(path)), "{salvaged}: {before:?} {after:?}");
        rebuilt(&home);
        let store = home.open();
        for (name, bytes) in names {
            assert!(get(&store, name).unwrap() == bytes);
        }
    }
}

#[test]
fn what_cannot_be_freed_holds_nothing_else_up() {
    let (home, store) = Home::with_bucket(keyfold::model::Versioning::Unversioned);
    make_bucket(&store, "other");
    let spoiled = put(&store, "spoiled", &pattern(50_000, 1));
    put(&store, "sound", &pattern(50_000, 2));
    drop(store);
    tamper(&home, |tx| {
        spoil(tx, Family::Content, &id(spoiled.content.0));
        tx.put_bytes(Family::Gone, b"?", vec![]);
    });
    let store = home.open();
    store.delete(B, &key("spoiled"), None, Condition::Always).unwrap();
    let sound = store.get(B, &key("sound"), None).unwrap().content;
    store.delete(B, &key("sound"), None, Condition::Always).unwrap();
    reap(&store);
    store.sync().unwrap();
    drop(store);
    let left = dump(&home);
    assert!(!left.iter().any(|(family, key, _)| *family == Family::Content && *key == id(sound.0)), "it is freed");
    let store = home.open();
    repair(&store);
    assert_eq!(findings(&store), []);
}

fn tables(home: &Home) -> Vec<PathBuf> {
    let meta = fs::read_dir(home.dir.path().join("meta")).unwrap().map(|entry| entry.unwrap().path());
    meta.filter(|path| path.extension().is_some_and(|end| end == "sst")).collect()
}

fn flip(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

fn open_refused(home: &Home) -> keyfold::model::Error {
    match Store::open(home.dir.path(), home.options()) {
        Ok(store) => {
            let _ = store.close();
            panic!("the store opens");
        }
        Err(error) => error,
    }
}

/// A populated store that was closed and what it shows, with the index's records in its log or all in tables.
fn closed(in_tables: bool) -> (Home, Seen) {
    let (home, store) = populated();
    let seen = everything(&store);
    store.sync().unwrap();
    drop(store);
    home.close();
    if in_tables {
        let settings = keyfold::index::Settings::default();
        keyfold::index::Index::open(&home.dir.path().join("meta"), settings).unwrap().compact().unwrap();
    }
    (home, seen)
}

#[test]
fn an_index_whose_list_of_tables_is_lost_is_not_begun_anew() {
    for (damage, in_tables) in [("MANIFEST", false), ("MANIFEST", true), ("garbage", true)] {
        let (home, seen) = closed(in_tables);
        let meta = home.dir.path().join("meta");
        for entry in fs::read_dir(&meta).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with(damage) {
                fs::remove_file(&path).unwrap();
            } else if damage == "garbage" && name == "CURRENT" {
                fs::write(&path, b"no such file\n").unwrap();
            }
        }
        let error = open_refused(&home);
        assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        assert!(error.remedy().unwrap().contains("fsck --repair"), "{error}");
        let done = Store::salvage_index(home.dir.path(), &home.options()).unwrap();
        assert!(done.records > 50 && done.gaps == 0, "{done:?}");
        let store = home.open();
        assert_eq!(everything(&store), seen, "{damage} {in_tables}");
        assert_eq!(findings(&store), []);
        put(&store, "new", b"new");
        assert_eq!(get(&store, "new").unwrap(), b"new");
    }
}

/// On a file system without a journal a power cut takes a file that is being replaced.
#[test]
fn the_list_of_tables_that_nothing_names_is_the_newest_that_is_whole() {
    for in_tables in [false, true] {
        let (home, seen) = closed(in_tables);
        let meta = home.dir.path().join("meta");
        let list = meta.join(fs::read_to_string(meta.join("CURRENT")).unwrap().trim());
        let mut bytes = fs::read(list).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(meta.join("MANIFEST-999999"), bytes).unwrap();
        fs::write(meta.join("MANIFEST-9999999"), b"").unwrap();
        fs::remove_file(meta.join("CURRENT")).unwrap();
        let store = home.open();
        assert_eq!(everything(&store), seen);
        assert_eq!(findings(&store), []);
        put(&store, "new", b"new");
        drop(store);
        home.close();
        assert_eq!(get(&home.open(), "new").unwrap(), b"new");
    }
}

/// After a power cut the name of a file that was removed may lead to a directory that was made since.
#[test]
fn a_directory_with_the_name_of_a_table_hinders_nobody() {
    let (home, seen) = closed(false);
    fs::create_dir(home.dir.path().join("meta/000001.sst")).unwrap();
    let store = home.open();
    assert_eq!(everything(&store), seen);
    assert_eq!(findings(&store), []);
}

#[test]
fn a_store_without_its_index_is_not_emptied() {
    let (home, store) = populated();
    store.sync().unwrap();
    drop(store);
    home.close();
    fs::rename(home.dir.path().join("meta"), home.dir.path().join("away")).unwrap();
    let error = open_refused(&home);
    assert!(error.reason().contains("holds data"), "{error}");
    fs::rename(home.dir.path().join("away"), home.dir.path().join("meta")).unwrap();
    assert_eq!(findings(&home.open()), []);
}

/// A look for what is to be freed that failed leaves nothing claimed: the next one frees all of it.
#[test]
fn what_could_not_be_looked_for_is_freed_later() {
    let (home, store) = Home::with_bucket(keyfold::model::Versioning::Unversioned);
    (0..3).for_each(|n| drop(put(&store, &format!("{n}"), &pattern(5 << 20, n))));
    drop(store);
    // So that there is a table of marks, of which nobody knows anything else.
    tamper(&home, |tx| tx.put_bytes(Family::Gone, &[b"c", &id(1 << 40)[..]].concat(), vec![]));
    let settings = keyfold::index::Settings::default();
    let index = keyfold::index::Index::open(&home.dir.path().join("meta"), settings).unwrap();
    index.compact().unwrap();
    let gone = index.tables().unwrap().into_iter().find(|table| table.family == Family::Gone.name()).unwrap();
    drop(index);
    let gone = home.dir.path().join("meta").join(gone.name);
    flip(&gone, 0);
    let store = home.open();
    store.delete(B, &key("0"), None, Condition::Always).unwrap();
    refused(store.reap(), Kind::Corrupt);
    flip(&gone, 0);
    reap(&store);
    store.sync().unwrap();
    reap(&store);
    assert_eq!(store.status().unwrap().solos, 2, "{:?}", store.complaints(None));
    assert_eq!(findings(&store), []);
}

/// A flipped byte in a table costs the keys of one block, once the index is made anew.
#[test]
fn a_damaged_block_of_a_table() {
    let (home, store) = Home::with_bucket(keyfold::model::Versioning::Unversioned);
    for n in 0..600u64 {
        put(&store, &format!("name-{n:05}"), &pattern(30, n));
    }
    store.sync().unwrap();
    drop(store);
    home.close();
    let settings = keyfold::index::Settings::default();
    keyfold::index::Index::open(&home.dir.path().join("meta"), settings).unwrap().compact().unwrap();
    let largest = tables(&home).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    flip(&largest, fs::metadata(&largest).unwrap().len() / 3);
    let store = home.open();
    let found = findings(&store);
    assert!(found.iter().any(|found| found.invariant == "index-tables"), "{found:?}");
    let shown = list(&store, B, "", None, 1000).len();
    let readable = (0..600).filter(|n| get(&store, &format!("name-{n:05}")).is_ok()).count();
    assert!(shown >= readable && readable > 500, "{shown} listed, {readable} read");
    drop(store);
    home.close();
    let done = Store::salvage_index(home.dir.path(), &home.options()).unwrap();
    assert_eq!(done.gaps, 1);
    let store = home.open();
    repair(&store);
    assert!(findings(&store).iter().all(keyfold::store::Finding::is_loss));
    let (mut whole, mut lost) = (0, 0);
    for n in 0..600u64 {
        match get(&store, &format!("name-{n:05}")) {
            Ok(bytes) => {
                assert_eq!(bytes, pattern(30, n));
                whole += 1;
            }
            Err(error) => {
                assert!(matches!(error.kind(), Kind::NoSuchKey | Kind::Corrupt), "{error}");
                lost += 1;
            }
        }
    }
    assert!(lost > 0 && lost < 100 && whole > 500, "{whole} {lost}");
}
