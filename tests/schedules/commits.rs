//! The commit path: what was acknowledged is durable, readers see whole commits, and whatever meets comes to an end.

use super::explore::{Reached, body, explore, store, whole};
use super::harness::{B, Home, delete, fsck, get, list, put, put_if, reap, refused, root, versions, write_file};
use super::linear::{Answer, Key, Op, Recorder};
use keyfold::model::{Kind, Versioning};
use keyfold::store::{Condition, RenameHow, Store};
use keyfold::sys::disk::MemDisk;
use shuttle::thread;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was acknowledged last, by key. Never held where another thread may go on.
type Acknowledged = Mutex<BTreeMap<String, u32>>;

fn acknowledge(acknowledged: &Acknowledged, name: &str, value: u32) {
    acknowledged.lock().unwrap().insert(name.to_owned(), value);
}

/// A disk after a power cut has what was acknowledged before, or later values.
fn judge(left: MemDisk, acknowledged: &BTreeMap<String, u32>) {
    let home = Home::on(left);
    let store = home.open();
    for (name, value) in acknowledged {
        let found = get(&store, name).map(|bytes| whole(&bytes));
        assert!(found.as_ref().is_ok_and(|found| found >= value), "{name}: {found:?} instead of {value} or more");
    }
    fsck(&store);
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut_at_any_moment() {
    let reached = Reached::new("power cuts with something acknowledged");
    let count = reached.counter();
    explore("acknowledged", 1000, move || {
        let (home, store) = store(Versioning::Unversioned);
        let disk = home.disk();
        let (acknowledged, cuts) = (Acknowledged::default(), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for writer in 0..3u32 {
                let (store, acknowledged) = (&store, &acknowledged);
                scope.spawn(move || {
                    let name = format!("w{writer}");
                    for value in 1..=3 {
                        put(store, &name, &body(value + writer % 2));
                        acknowledge(acknowledged, &name, value + writer % 2);
                    }
                });
            }
            scope.spawn(|| {
                for value in 1..=2 {
                    match value {
                        1 => drop(write_file(&store, root(&store), "file", &body(value))),
                        _ => drop(put(&store, "file", &body(value))),
                    }
                    store.sync().unwrap();
                    acknowledge(&acknowledged, "file", value);
                }
            });
            scope.spawn(|| {
                for cut in 0..3 {
                    (0..4).for_each(|_| thread::yield_now());
                    let known = acknowledged.lock().unwrap().clone();
                    count.fetch_add(usize::from(!known.is_empty()), Ordering::Relaxed);
                    cuts.lock().unwrap().push((disk.crash(cut), known));
                }
            });
        });
        let known = acknowledged.into_inner().unwrap();
        cuts.lock().unwrap().push((disk.crash(9), known));
        for (left, known) in cuts.into_inner().unwrap() {
            judge(left, &known);
        }
    });
}

#[test]
fn a_failed_sync_is_told_to_all_who_wait_and_nothing_acknowledged_is_lost() {
    let reached = Reached::new("changes that were refused");
    let count = reached.counter();
    explore("failed sync", 800, move || {
        let (home, store) = store(Versioning::Unversioned);
        let disk = home.disk();
        let acknowledged = Acknowledged::default();
        thread::scope(|scope| {
            for writer in 0..3u32 {
                let (store, acknowledged, count) = (&store, &acknowledged, &count);
                scope.spawn(move || {
                    let name = format!("w{writer}");
                    for value in 1..=3u32 {
                        match put_if(store, &name, &body(value), Condition::Always) {
                            Ok(_) => acknowledge(acknowledged, &name, value),
                            Err(error) => {
                                assert!(matches!(error.kind(), Kind::Io | Kind::ReadOnly), "{error}");
                                count.fetch_add(1, Ordering::Relaxed);
                                return;
                            }
                        }
                    }
                });
            }
            scope.spawn(|| {
                thread::yield_now();
                disk.fail(keyfold::sys::disk::DiskCall::Sync, 2, 1, 5);
            });
        });
        judge(disk.crash(1), &acknowledged.into_inner().unwrap());
    });
}

#[test]
fn readers_see_whole_commits_and_never_go_back() {
    explore("whole commits", 1000, || {
        let (_home, store) = store(Versioning::Unversioned);
        put(&store, "p", &body(1));
        put(&store, "v", &body(1));
        let at = root(&store);
        thread::scope(|scope| {
            scope.spawn(|| {
                for (from, to) in [("p", "q"), ("q", "p"), ("p", "q")] {
                    store.rename((at, from), (at, to), RenameHow::Replace).unwrap();
                }
            });
            scope.spawn(|| (2..5).for_each(|value| drop(put(&store, "v", &body(value)))));
            scope.spawn(|| (0..2).for_each(|_| store.sync().unwrap()));
            scope.spawn(|| {
                for _ in 0..4 {
                    let names = list(&store, B, "", None, 1000);
                    assert!(names == ["p", "v"] || names == ["q", "v"], "half a rename: {names:?}");
                }
            });
            scope.spawn(|| {
                let mut last = 0;
                for _ in 0..4 {
                    let value = read_again(&store, "v").unwrap();
                    assert!(value >= last, "{value} after {last}");
                    last = value;
                }
            });
        });
        assert_eq!(read_again(&store, "v"), Some(4));
        fsck(&store);
    });
}

/// The value of a key, whose bytes may be replaced in between.
fn read_again(store: &Arc<Store>, name: &str) -> Option<u32> {
    let is_replaced = |error: &keyfold::model::Error| error.kind() == Kind::NoSuchVersion;
    match keyfold::store::again(|| get(store, name), is_replaced) {
        Ok(bytes) => Some(whole(&bytes)),
        Err(error) => {
            assert_eq!(error.kind(), Kind::NoSuchKey, "{error}");
            None
        }
    }
}

#[test]
fn a_store_that_is_closed_meanwhile_has_what_it_acknowledged() {
    let reached = Reached::new("changes refused because the store was closed");
    let count = reached.counter();
    explore("close", 1000, move || {
        let (home, store) = store(Versioning::Enabled);
        let acknowledged = Acknowledged::default();
        thread::scope(|scope| {
            for writer in 0..3u32 {
                let (store, acknowledged, count) = (&store, &acknowledged, &count);
                scope.spawn(move || {
                    let name = format!("w{writer}");
                    for value in 1..=3 {
                        match put_if(store, &name, &body(value), Condition::Always) {
                            Ok(_) => acknowledge(acknowledged, &name, value),
                            Err(error) => {
                                assert_eq!(error.kind(), Kind::StoreUnavailable, "{error}");
                                count.fetch_add(1, Ordering::Relaxed);
                                return;
                            }
                        }
                    }
                });
            }
            scope.spawn(|| {
                (0..3).for_each(|_| thread::yield_now());
                store.close().unwrap();
                refused(put_if(&store, "late", b"late", Condition::Always), Kind::StoreUnavailable);
            });
        });
        judge(home.disk().crash(3), &acknowledged.into_inner().unwrap());
    });
}

/// The threads of the store itself: rounds and the reaper.
#[test]
fn the_store_s_own_threads_come_to_an_end() {
    explore("workers", 300, || {
        let home = Home::simulated();
        let mut options = home.options();
        options.workers = true;
        let dir = home.dir.path();
        let open = |options| Store::open_simulated(Arc::new(home.disk()), dir, options).unwrap();
        let store = open(options.clone());
        super::harness::make_bucket(&store, B);
        thread::scope(|scope| {
            for writer in 0..2u32 {
                let store = Arc::clone(&store);
                scope.spawn(move || {
                    for value in 1..=2 {
                        write_file(&store, root(&store), &format!("f{writer}-{value}"), &body(value));
                        put(&store, &format!("w{writer}"), &body(value));
                    }
                });
            }
        });
        store.close().unwrap();
        drop(store);
        options.workers = false;
        let store = open(options);
        for name in ["f0-1", "f0-2", "f1-1", "f1-2", "w0", "w1"] {
            whole(&get(&store, name).unwrap());
        }
        fsck(&store);
    });
}

/// Writes down all versions of `f`, told by their lengths.
fn list_all(recorder: &Recorder, store: &Arc<Store>) {
    recorder.call(3, "f", Op::List, || {
        let len = |object: &keyfold::model::Object| u32::try_from(object.size).unwrap();
        let value = |object| len(object).checked_sub(6000).unwrap_or(len(object));
        let found = versions(store, "f");
        Answer::Lists(found.iter().map(|object| (!object.marker).then(|| value(object))).collect())
    });
}

/// What clients are told under each schedule is what one after another could have been told.
fn linearizable(versioning: Versioning) {
    explore("linearizable", 800, move || {
        let (_home, store) = store(versioning);
        let moment = AtomicU64::new(1);
        let recorder = Arc::new(Recorder::by(move || moment.fetch_add(1, Ordering::SeqCst)));
        thread::scope(|scope| {
            for client in 0..3usize {
                let (store, recorder) = (&store, &recorder);
                scope.spawn(move || {
                    for turn in 0..3u32 {
                        let value = 1 + turn + 3 * client as u32;
                        let put = |op, condition| {
                            recorder.call(client, "f", op, || match put_if(store, "f", &body(value), condition) {
                                Ok(_) => Answer::Done,
                                Err(error) => {
                                    assert_eq!(error.kind(), Kind::PreconditionFailed, "{error}");
                                    Answer::Refused
                                }
                            });
                        };
                        match (turn as usize + client) % 3 {
                            0 => put(Op::Put(value), Condition::Always),
                            1 => put(Op::PutIfAbsent(value), Condition::Absent),
                            _ => {
                                recorder.call(client, "f", Op::Delete, || {
                                    delete(store, "f");
                                    Answer::Done
                                });
                            }
                        }
                        recorder.call(client, "f", Op::Get, || Answer::Shows(read_again(store, "f")));
                    }
                });
            }
            scope.spawn(|| {
                store.sync().unwrap();
                reap(&store);
            });
            scope.spawn(|| (0..3).for_each(|_| list_all(&recorder, &store)));
        });
        list_all(&recorder, &store);
        let versioned = versioning == Versioning::Enabled;
        let Ok(recorder) = Arc::try_unwrap(recorder) else { panic!("somebody still records") };
        recorder.judge(Key { versioned, crashes: false });
    });
}

#[test]
fn a_key_is_linearizable() {
    linearizable(Versioning::Unversioned);
}

#[test]
fn a_key_with_versions_is_linearizable() {
    linearizable(Versioning::Enabled);
}
