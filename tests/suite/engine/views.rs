//! Views of one store in one process: what one of them or another door changes, the kernels of the others are told of, and
//! no view is told of its own doings.

use super::harness::{B, Home, delete, fsck, get, key, list, make_bucket, put, root};
use keyfold::model::{Kind, Versioning};
use keyfold::store::{Changed, Listener, Store, XattrMode};
use keyfold::telemetry::Metrics;
use keyfold::vfs::{
    Caller, Errno, Lookup, MakeNode, OpenHow, ROOT, RenameHow, SetAttr, Settings, Stale, StaleEntries, Vfs, XattrFlags,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

const ME: Caller = Caller { uid: 0, gid: 0 };
const READ: OpenHow =
    OpenHow { read: true, write: false, append: false, truncate: false, sync: false, exclusive: false, exec: false };
const WRITE: OpenHow = OpenHow { write: true, ..READ };

fn view(store: &Arc<Store>, bucket: Option<&str>) -> Arc<Vfs> {
    let bucket = bucket.map(|bucket| (bucket.to_owned(), String::new()));
    Vfs::new(Arc::clone(store), Arc::new(Metrics::new()), Settings { bucket, ..Settings::default() }).unwrap()
}

/// Two views of a bucket and what their kernels are told.
struct Two {
    store: Arc<Store>,
    a: Arc<Vfs>,
    b: Arc<Vfs>,
    told_a: StaleEntries,
    told_b: StaleEntries,
    _home: Home,
}

fn two(versioning: Versioning) -> Two {
    let (home, store) = Home::with_bucket(versioning);
    let (a, b) = (view(&store, Some(B)), view(&store, Some(B)));
    let (told_a, told_b) = (a.stale_entries(), b.stale_entries());
    Two { store, a, b, told_a, told_b, _home: home }
}

/// All that a kernel is to be told now.
fn told(entries: &mut StaleEntries) -> Vec<Stale> {
    let mut all = Vec::new();
    loop {
        match entries.wait(Duration::ZERO) {
            Some(some) if !some.is_empty() => all.extend(some),
            _ => return all,
        }
    }
}

fn name(parent: u64, name: &str) -> Stale {
    Stale::Name { parent, name: name.to_owned() }
}

fn node(id: u64, data: bool) -> Stale {
    Stale::Node { id, data }
}

fn look(vfs: &Vfs, parent: u64, name: &str) -> Option<Lookup> {
    vfs.lookup(parent, name.as_bytes()).unwrap()
}

fn write(vfs: &Vfs, name: &str, bytes: &[u8]) -> u64 {
    let (found, fh) = match look(vfs, ROOT, name) {
        Some(found) => (found, vfs.open(ME, found.node, OpenHow { truncate: true, ..WRITE }).unwrap().fh),
        None => {
            let (found, opening) = vfs.create(ME, ROOT, name.as_bytes(), 0o644, WRITE).unwrap();
            (found, opening.fh)
        }
    };
    vfs.write(fh, 0, bytes, false).unwrap();
    vfs.flush(fh).unwrap();
    vfs.release(fh);
    found.node
}

fn read(vfs: &Vfs, fh: u64) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let len = vfs.read(fh, 0, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn what_one_view_changes_the_other_s_kernel_is_told_of() {
    let mut two = two(Versioning::Unversioned);
    let (a, b) = (&two.a, &two.b);
    let f = write(a, "f", b"one");
    let d = a.mkdir(ME, ROOT, b"d", 0o755).unwrap().node;
    assert_eq!(look(b, ROOT, "f").unwrap().attr.size, 3);
    assert!(look(b, ROOT, "g").is_none() && b.remembers_absence(ROOT));
    assert!(look(b, ROOT, "d").is_some() && look(b, d, "sub").is_none());
    told(&mut two.told_b);
    let mut after = |what: &str, change: &dyn Fn(), stale: &[Stale]| {
        change();
        let heard = told(&mut two.told_b);
        for one in stale {
            assert!(heard.contains(one), "{what}: {one:?} is not among {heard:?}");
        }
        // Its kernel made the change.
        assert_eq!(told(&mut two.told_a), [], "{what}");
    };
    after("write", &|| assert_eq!(write(a, "f", b"three"), f), &[node(f, true)]);
    assert_eq!(b.getattr(f).unwrap().0.size, 5);
    let change = |change: SetAttr| a.setattr(ME, f, None, change).map(drop).unwrap();
    after("chmod", &|| change(SetAttr { mode: Some(0o600), ..SetAttr::default() }), &[node(f, false)]);
    assert_eq!(b.getattr(f).unwrap().0.mode, 0o600);
    after("truncate", &|| change(SetAttr { size: Some(1), ..SetAttr::default() }), &[node(f, true)]);
    let set = || a.setxattr(f, b"user.x", b"1", XattrFlags::default()).unwrap();
    after("setxattr", &set, &[node(f, false)]);
    let set = || a.setxattr(f, b"user.s3.tag.x", b"1", XattrFlags::default()).unwrap();
    after("a tag", &set, &[node(f, false)]);
    after("create", &|| assert_ne!(write(a, "g", b""), f), &[name(ROOT, "g"), node(ROOT, false)]);
    assert!(look(b, ROOT, "g").is_some());
    after(
        "link",
        &|| assert_eq!(a.link(f, d, b"hard").unwrap().node, f),
        &[name(d, "hard"), node(f, false), node(d, false)],
    );
    assert_eq!(b.getattr(f).unwrap().0.nlink, 2);
    after("unlink", &|| a.unlink(d, b"hard").unwrap(), &[name(d, "hard"), node(f, false)]);
    let move_it = || a.rename((ROOT, b"f"), (d, b"moved"), RenameHow::Replace).unwrap();
    after("rename", &move_it, &[name(ROOT, "f"), name(d, "moved"), node(f, false), node(ROOT, false), node(d, false)]);
    assert!(look(b, ROOT, "f").is_none());
    assert_eq!(look(b, d, "moved").unwrap().node, f);
    let over = || a.rename((ROOT, b"g"), (d, b"moved"), RenameHow::Replace).unwrap();
    after("replace", &over, &[name(ROOT, "g"), name(d, "moved"), node(f, false)]);
    after("mkdir", &|| assert_ne!(a.mkdir(ME, d, b"sub", 0o755).unwrap().node, d), &[name(d, "sub"), node(d, false)]);
    after("rmdir", &|| a.rmdir(d, b"sub").unwrap(), &[name(d, "sub"), node(d, false)]);
    let make = MakeNode { kind: keyfold::model::FileKind::Symlink, mode: 0o777, rdev: 0, target: b"t".to_vec() };
    after("symlink", &|| assert_ne!(a.mknod(ME, ROOT, b"s", make.clone()).unwrap().node, f), &[name(ROOT, "s")]);
    // A directory beside an object of its name takes the name (KEY-8), and gives it back.
    put(&two.store, "twin", b"file");
    look(b, ROOT, "twin").unwrap();
    told(&mut two.told_a);
    put(&two.store, "twin/below", b"");
    let heard = told(&mut two.told_b);
    assert!(heard.contains(&name(ROOT, "twin")) && heard.contains(&name(ROOT, ".@obj:twin")), "{heard:?}");
}

#[test]
fn what_another_door_changes_every_kernel_is_told_of() {
    let mut two = two(Versioning::Enabled);
    let f = write(&two.a, "f", b"one");
    assert!(look(&two.b, ROOT, "f").is_some());
    let after = |two: &mut Two, change: &dyn Fn(&Arc<Store>), stale: &[Stale]| {
        told(&mut two.told_a);
        told(&mut two.told_b);
        change(&two.store);
        for entries in [&mut two.told_a, &mut two.told_b] {
            let heard = told(entries);
            assert!(stale.iter().all(|one| heard.contains(one)), "{stale:?} is not among {heard:?}");
        }
    };
    after(&mut two, &|store| drop(put(store, "f", b"two")), &[node(f, true)]);
    let set = |store: &Arc<Store>| {
        store.set_xattr((root(store), "f"), keyfold::model::Ino(f), b"user.a", b"1", XattrMode::Any).unwrap();
    };
    after(&mut two, &set, &[node(f, false)]);
    after(&mut two, &|store| assert!(delete(store, "f").marker), &[name(ROOT, "f"), node(f, false)]);
    let purge_marker = |store: &Arc<Store>| {
        let (dirs, name) = store.history_place(B, &key("f")).unwrap();
        store.undelete(&dirs, &name).unwrap();
    };
    after(&mut two, &purge_marker, &[name(ROOT, "f")]);
    // A directory that nobody made goes with its last key.
    after(&mut two, &|store| drop(put(store, "d/e/k", b"")), &[name(ROOT, "d"), node(ROOT, false)]);
    let d = look(&two.a, ROOT, "d").unwrap().node;
    assert_eq!(look(&two.b, ROOT, "d").unwrap().node, d);
    after(&mut two, &|store| assert!(delete(store, "d/e/k").marker), &[name(ROOT, "d")]);
    // The body of a directory's marker, which was looked up in vain.
    after(&mut two, &|store| drop(put(store, "m/", b"")), &[name(ROOT, "m")]);
    let m = look(&two.a, ROOT, "m").unwrap().node;
    assert!(look(&two.b, ROOT, "m").is_some() && look(&two.b, m, ".@self").is_none());
    after(&mut two, &|store| drop(put(store, "m/", b"body")), &[name(m, ".@self")]);
}

#[test]
fn buckets_that_come_and_go_are_told_of() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let vfs = view(&store, None);
    let mut entries = vfs.stale_entries();
    make_bucket(&store, "other");
    assert!(told(&mut entries).contains(&name(ROOT, "other")));
    store.delete_bucket("other").unwrap();
    assert!(told(&mut entries).contains(&name(ROOT, "other")));
    vfs.mkdir(ME, ROOT, b"mine", 0o755).unwrap();
    assert_eq!(told(&mut entries), []);
}

#[test]
fn who_has_a_file_open_reads_what_another_door_put_there() {
    let two = two(Versioning::Unversioned);
    let f = write(&two.a, "f", b"one");
    look(&two.b, ROOT, "f").unwrap();
    let fh = two.b.open(ME, f, READ).unwrap().fh;
    assert_eq!(read(&two.b, fh), b"one");
    write(&two.a, "f", b"another");
    assert_eq!(read(&two.b, fh), b"another");
    put(&two.store, "f", b"the third");
    assert_eq!(read(&two.b, fh), b"the third");
    delete(&two.store, "f");
    assert_eq!(read(&two.b, fh), b"the third", "unlinked, it is what it was");
    two.b.release(fh);
}

#[test]
fn a_door_can_wait_until_its_change_is_told() {
    let mut two = two(Versioning::Unversioned);
    look(&two.b, ROOT, "f");
    told(&mut two.told_a);
    assert!(two.store.wait_told(Duration::ZERO), "nothing was changed");
    put(&two.store, "f", b"one");
    assert!(!two.store.wait_told(Duration::from_millis(5)), "nobody has told it");
    let (done, told) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for entries in [&mut two.told_a, &mut two.told_b] {
            let (done, told) = (&done, &told);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    let some = entries.wait(Duration::from_millis(1)).unwrap();
                    // The kernel takes its time.
                    std::thread::sleep(Duration::from_millis(20));
                    told.fetch_or(some.contains(&name(ROOT, "f")), Ordering::SeqCst);
                }
            });
        }
        let waited = two.store.wait_told(Duration::from_secs(60));
        let was_told = told.load(Ordering::SeqCst);
        done.store(true, Ordering::SeqCst);
        assert!(waited && was_told);
    });
}

#[test]
fn a_view_that_ended_hears_nothing() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    let vfs = view(&store, Some(B));
    let weak = Arc::downgrade(&vfs);
    let mut entries = vfs.stale_entries();
    drop(vfs);
    assert!(weak.upgrade().is_none(), "nobody keeps it");
    put(&store, "f", b"one");
    assert_eq!(entries.wait(Duration::ZERO), None);
}

#[test]
fn what_waits_for_a_kernel_that_hangs_is_bounded_and_complete() {
    let mut two = two(Versioning::Unversioned);
    let (a, b) = (&two.a, &two.b);
    write(a, "gone", b"one");
    let kept = write(a, "kept", b"one");
    for there in ["gone", "kept"] {
        look(b, ROOT, there).unwrap();
    }
    assert!(look(b, ROOT, "new").is_none());
    // More changes than are kept one by one, of names that differ.
    for n in 0..10_000 {
        let link = format!("link-{n:050}");
        a.link(kept, ROOT, link.as_bytes()).unwrap();
        a.unlink(ROOT, link.as_bytes()).unwrap();
    }
    a.unlink(ROOT, b"gone").unwrap();
    a.rename((ROOT, b"kept"), (ROOT, b"new"), RenameHow::Replace).unwrap();
    let all = [name(ROOT, "gone"), name(ROOT, "kept"), name(ROOT, "new"), node(ROOT, false), node(kept, false)];
    let mut heard = Vec::new();
    for n in 0..200 {
        // Names go on changing faster than they are told.
        a.link(kept, ROOT, format!("more-{n}").as_bytes()).unwrap();
        heard.extend(two.told_b.wait(Duration::ZERO).unwrap());
    }
    assert!(heard.len() < 67_000, "{} notices", heard.len());
    for one in all {
        assert!(heard.contains(&one), "{one:?}");
    }
}

/// Another view renames the file all the time: what was closed is published, and not lost between two names.
#[test]
fn a_session_finds_its_file_however_often_it_is_renamed() {
    let two = two(Versioning::Unversioned);
    let f = write(&two.a, "name-0", b"first");
    assert_eq!(look(&two.b, ROOT, "name-0").unwrap().node, f);
    let fh = two.a.open(ME, f, WRITE).unwrap().fh;
    let reader = two.b.open(ME, f, READ).unwrap().fh;
    two.a.write(fh, 0, b"begin", false).unwrap();
    two.a.flush(fh).unwrap();
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let renamer = scope.spawn(|| {
            let mut from = "name-0".to_owned();
            for n in 1.. {
                let to = format!("name-{n}");
                two.b.rename((ROOT, from.as_bytes()), (ROOT, to.as_bytes()), RenameHow::Replace).unwrap();
                from = to;
                if done.load(Ordering::SeqCst) {
                    break;
                }
            }
            from
        });
        let flushed = (0..if crate::long() { 50_000 } else { 3000 }).map(|n| {
            let text = format!("round {n:06}").into_bytes();
            two.a.write(fh, 0, &text, false).unwrap();
            two.a.flush(fh).unwrap();
            (read(&two.b, reader), text)
        });
        let lost: Vec<_> = flushed.filter(|(seen, text)| seen != text).collect();
        done.store(true, Ordering::SeqCst);
        assert_eq!(lost, []);
        renamer.join().unwrap()
    });
    two.a.release(fh);
    two.b.release(reader);
    assert_eq!(list(&two.store, B, "", None, 10), std::slice::from_ref(&last));
    assert_eq!(get(&two.store, &last).unwrap().len(), 12);
    fsck(&two.store);
}

/// A file and a directory change places; one of the two has the name at any time.
#[test]
fn a_name_is_there_while_two_change_places() {
    let two = two(Versioning::Unversioned);
    write(&two.a, "x", b"file");
    two.a.mkdir(ME, ROOT, b"y", 0o755).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3000 {
                two.a.rename((ROOT, b"x"), (ROOT, b"y"), RenameHow::Exchange).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            match two.b.lookup(ROOT, b"x") {
                Ok(Some(found)) => {
                    assert!(found.attr.mtime.secs > 1_000_000_000, "{:?}", found.attr);
                    two.b.forget(found.node, 1);
                }
                Ok(None) => {
                    done.store(true, Ordering::SeqCst);
                    panic!("the name is always there");
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    });
}

/// Names that `readdirplus` tells of a directory of versions, at most so many, and where to go on.
fn plus(vfs: &Vfs, fh: u64, offset: u64, most: usize) -> Result<(Vec<String>, u64), Errno> {
    let (mut names, mut next) = (Vec::new(), offset);
    vfs.readdirplus(fh, offset, |entry, found| {
        if names.len() == most {
            return true;
        }
        next = entry.offset;
        if !entry.name.starts_with('.') {
            names.push(entry.name.clone());
            if let Some(found) = found {
                vfs.forget(found.node, 1);
            }
        }
        false
    })?;
    Ok((names, next))
}

/// The directory of the versions of a file that has three.
fn versions(vfs: &Vfs) -> u64 {
    for text in ["one", "two", "three"] {
        write(vfs, "f", text.as_bytes());
    }
    let history = look(vfs, ROOT, ".versions").unwrap().node;
    look(vfs, history, "f").unwrap().node
}

#[test]
fn a_version_that_went_keeps_no_other_back() {
    let two = two(Versioning::Enabled);
    let vfs = &two.a;
    let versions = versions(vfs);
    let fh = vfs.opendir(versions).unwrap();
    let (all, _) = plus(vfs, fh, 0, 10).unwrap();
    assert_eq!(all.len(), 3);
    let (first, next) = plus(vfs, fh, 0, 1).unwrap();
    vfs.unlink(versions, all[1].as_bytes()).unwrap();
    let (rest, _) = plus(vfs, fh, next, 10).unwrap();
    assert_eq!([first, rest].concat(), [all[0].clone(), all[2].clone()]);
    vfs.releasedir(fh);
}

/// The newest version has other bytes each time that who writes it syncs.
#[test]
fn versions_can_be_listed_while_one_is_written() {
    let two = two(Versioning::Enabled);
    let vfs = &two.a;
    let versions = versions(vfs);
    let f = look(vfs, ROOT, "f").unwrap().node;
    let writer = vfs.open(ME, f, WRITE).unwrap().fh;
    vfs.write(writer, 0, b"four", false).unwrap();
    vfs.flush(writer).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                vfs.write(writer, 0, b"five", false).unwrap();
                vfs.flush(writer).unwrap();
            }
        });
        let listings: Vec<_> = (0..500)
            .map(|_| {
                let fh = vfs.opendir(versions).unwrap();
                let told = plus(vfs, fh, 0, 10).map(|(names, _)| names.len());
                vfs.releasedir(fh);
                told
            })
            .collect();
        done.store(true, Ordering::SeqCst);
        assert!(listings.iter().all(|told| *told == Ok(4)), "{listings:?}");
    });
    vfs.release(writer);
}

#[test]
fn a_bucket_that_went_keeps_no_other_back() {
    let (_home, store) = Home::with_bucket(Versioning::Unversioned);
    make_bucket(&store, "another");
    make_bucket(&store, "zebra");
    let vfs = view(&store, None);
    let fh = vfs.opendir(ROOT).unwrap();
    let mut seen = Vec::new();
    // The first one fills the answer; before the next is told, it goes.
    vfs.readdirplus(fh, 2, |entry, _| {
        if seen.is_empty() {
            store.delete_bucket("zebra").unwrap();
        }
        seen.push(entry.name.clone());
        false
    })
    .unwrap();
    assert!(seen.contains(&B.to_owned()) && !seen.contains(&"zebra".to_owned()), "{seen:?}");
    assert!(matches!(store.bucket("zebra"), Err(error) if error.kind() == Kind::NoSuchBucket));
    vfs.releasedir(fh);
}

#[test]
fn attributes_are_told_while_a_publication_waits_for_the_disk() {
    let home = Home::simulated();
    let disk = home.disk();
    let store = Store::open_simulated(Arc::new(disk.clone()), home.dir.path(), home.options()).unwrap();
    make_bucket(&store, B);
    let vfs = view(&store, Some(B));
    let f = write(&vfs, "f", b"one");
    let fh = vfs.open(ME, f, WRITE).unwrap().fh;
    vfs.write(fh, 0, &vec![7; 1 << 20], false).unwrap();
    disk.hang(true);
    let (told, hears) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| vfs.flush(fh));
        std::thread::sleep(Duration::from_millis(200));
        let waits = !publisher.is_finished();
        let asked = Arc::clone(&vfs);
        scope.spawn(move || told.send(asked.getattr(f).map(|(attr, _)| attr.size)));
        let answer = hears.recv_timeout(Duration::from_secs(20));
        disk.hang(false);
        publisher.join().unwrap().unwrap();
        assert!(waits, "it was to wait");
        assert_eq!(answer, Ok(Ok(1 << 20)), "nobody was told while it waited");
    });
    vfs.release(fh);
    drop(vfs);
    store.close().unwrap();
}

/// Two doors set tags and metadata of one object at once: none is lost.
#[test]
fn edits_at_once_lose_nothing() {
    let two = two(Versioning::Unversioned);
    let f = write(&two.a, "f", b"one");
    look(&two.b, ROOT, "f").unwrap();
    for round in 0..300 {
        let start = Barrier::new(3);
        std::thread::scope(|scope| {
            for (vfs, who) in [(&two.a, "a"), (&two.b, "b")] {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    let value = round.to_string();
                    for name in [format!("user.s3.tag.{who}"), format!("user.s3.meta.{who}")] {
                        vfs.setxattr(f, name.as_bytes(), value.as_bytes(), XattrFlags::default()).unwrap();
                    }
                });
            }
            start.wait();
            let at = (root(&two.store), "f");
            two.store
                .edit_tags(at, None, |object| {
                    // Long enough for the others to come in between, if they could.
                    std::thread::yield_now();
                    object.tags.set("c", &round.to_string()).map(|()| true)
                })
                .unwrap();
            two.store.edit_metadata(at, |metadata| metadata.set_user("c", &round.to_string())).unwrap();
        });
        let object = two.store.get(B, &key("f"), None).unwrap();
        for who in ["a", "b", "c"] {
            assert_eq!(object.tags.get(who), Some(round.to_string().as_str()), "tag {who}");
            assert_eq!(object.metadata.user(who), Some(round.to_string().as_str()), "metadata {who}");
        }
    }
}

/// What the kernel is told of a file or directory is what it was when the view began to hear of its changes, not before.
#[test]
fn a_listing_tells_what_became_of_its_entries_meanwhile() {
    let two = two(Versioning::Unversioned);
    for name in ["a", "d/x", "f"] {
        put(&two.store, name, b"one");
    }
    let fh = two.b.opendir(ROOT).unwrap();
    let (mut links, mut size) = (0, 0);
    two.b
        .readdirplus(fh, 0, |entry, found| {
            match entry.name.as_str() {
                // All of them have been read by now.
                "a" => {
                    write(&two.a, "f", &[7; 20]);
                    put(&two.store, "d/e/y", b"two");
                }
                "d" => links = found.unwrap().attr.nlink,
                "f" => size = found.unwrap().attr.size,
                _ => {}
            }
            false
        })
        .unwrap();
    two.b.releasedir(fh);
    assert_eq!((links, size), (3, 20));
}

/// Writes down what every commit shows of `f`.
struct Watch {
    store: Arc<Store>,
    seen: std::sync::Mutex<Vec<(u64, Option<String>)>>,
}

impl Listener for Watch {
    fn changed(&self, _: &[Changed]) {
        if let Ok(object) = self.store.get(B, &key("f"), None) {
            self.seen.lock().unwrap().push((object.size, object.tags.get("t").map(str::to_owned)));
        }
    }

    fn wait_told(&self, _: Instant) -> bool {
        true
    }
}

#[test]
fn attributes_set_on_open_files_come_in_one_commit_with_the_bytes() {
    let two = two(Versioning::Enabled);
    let f = write(&two.a, "f", b"one");
    let watch = Arc::new(Watch { store: Arc::clone(&two.store), seen: std::sync::Mutex::default() });
    let origin = two.store.listen(Arc::clone(&watch) as Arc<dyn Listener>);
    let fh = two.a.open(ME, f, OpenHow { truncate: true, ..WRITE }).unwrap().fh;
    two.a.write(fh, 0, b"longer", false).unwrap();
    two.a.setxattr(f, b"user.s3.tag.t", b"x", XattrFlags::default()).unwrap();
    two.a.flush(fh).unwrap();
    two.a.release(fh);
    two.store.unlisten(origin);
    let seen = watch.seen.lock().unwrap().clone();
    assert!(seen.contains(&(6, Some("x".into()))), "{seen:?}");
    assert!(!seen.contains(&(6, None)), "bytes without what was set on them: {seen:?}");
}

/// META-5: what a session sets goes to its own version, and never into one that another door has put over it.
#[test]
fn meta_5_attributes_set_on_an_open_file_spoil_no_other_version() {
    let two = two(Versioning::Enabled);
    let f = write(&two.a, "f", b"one");
    let fh = two.a.open(ME, f, WRITE).unwrap().fh;
    two.a.write(fh, 0, b"mine", false).unwrap();
    two.a.fsync(fh).unwrap();
    two.a.setxattr(f, b"user.s3.meta.m", b"mine", XattrFlags::default()).unwrap();
    let theirs = put(&two.store, "f", b"theirs");
    two.a.setxattr(f, b"user.s3.meta.m", b"later", XattrFlags::default()).unwrap();
    two.a.release(fh);
    let all: Vec<_> = super::harness::versions(&two.store, "f")
        .into_iter()
        .map(|object| (object.size, object.metadata.user("m").map(str::to_owned)))
        .collect();
    let mine = |value: &str| Some(value.to_owned());
    assert_eq!(all, [(6, mine("later")), (6, None), (4, mine("mine")), (3, None)]);
    let kept = super::harness::versions(&two.store, "f").remove(1);
    assert_eq!(kept.modified, theirs.modified);
    assert_eq!(two.store.get(B, &key("f"), Some(theirs.version)).unwrap(), kept);
}

#[test]
fn attributes_that_fit_no_more_are_told_and_keep_no_bytes_back() {
    let two = two(Versioning::Unversioned);
    let f = write(&two.a, "f", b"one");
    let fh = two.a.open(ME, f, OpenHow { truncate: true, ..WRITE }).unwrap().fh;
    two.a.write(fh, 0, b"longer", false).unwrap();
    for n in 0..5 {
        two.a.setxattr(f, format!("user.s3.tag.a{n}").as_bytes(), b"x", XattrFlags::default()).unwrap();
    }
    two.store
        .edit_tags((root(&two.store), "f"), None, |object| {
            (0..6).try_for_each(|n| object.tags.set(&format!("b{n}"), "y")).map(|()| true)
        })
        .unwrap();
    assert_eq!(two.a.getxattr(f, b"user.s3.tag.b1").unwrap(), b"y", "it can be asked for all the same");
    for _ in 0..2 {
        assert_eq!(two.a.flush(fh), Err(Errno::ENOSPC));
        assert_eq!(get(&two.store, "f").unwrap(), b"longer");
    }
    two.a.removexattr(f, b"user.s3.tag.a0").unwrap();
    two.a.flush(fh).unwrap();
    two.a.release(fh);
    let object = two.store.get(B, &key("f"), None).unwrap();
    assert_eq!((object.tags.len(), object.tags.get("a0"), object.tags.get("a1")), (10, None, Some("x")));
    fsck(&two.store);
}

#[test]
fn who_cannot_open_a_file_keeps_no_news_from_who_has_it_open() {
    let two = two(Versioning::Unversioned);
    let f = write(&two.a, "f", b"one");
    look(&two.b, ROOT, "f").unwrap();
    let fh = two.b.open(ME, f, OpenHow { exec: true, ..READ }).unwrap().fh;
    assert_eq!(read(&two.b, fh), b"one");
    write(&two.a, "f", b"another");
    assert_eq!(two.b.open(ME, f, OpenHow { truncate: true, ..WRITE }).unwrap_err(), Errno::ETXTBSY);
    assert_eq!(read(&two.b, fh), b"another");
    two.b.release(fh);
}
