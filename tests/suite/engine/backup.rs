//! Backups: what is in them, what they share, and what they bear: writers, damage, full disks, and ends that come too soon.

use super::compare::shown_of;
use super::harness::{
    B, Home, begin_upload, copy, data_segments, delete, fsck, get, key, pattern, put, reap, root, write_file,
};
use super::machine::World;
use super::ops::{Op, stream};
use keyfold::backup::{Made, Plan, Watch, generations, make, restore};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{Error, Kind, Result};
use keyfold::store::{Finding, Options, PosixChange, Promise, Session, Store};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Between the journal's and the length of a file of its own.
const RUN: usize = 150_000;
const OWN: usize = (4 << 20) + 9;

/// Collects damage; does something once files are about to be copied.
#[derive(Default)]
struct Seen<'a> {
    damage: Vec<String>,
    before_copying: Option<Box<dyn FnMut() -> Result<()> + 'a>>,
}

impl Watch for Seen<'_> {
    fn progress(&mut self, text: &str) -> Result<()> {
        match &mut self.before_copying {
            Some(act) if text.starts_with("copying") => act(),
            _ => Ok(()),
        }
    }

    fn damage(&mut self, finding: Finding) -> Result<()> {
        self.damage.push(finding.what);
        Ok(())
    }
}

fn plan(to: &Path) -> Plan {
    Plan { to: to.to_owned(), link: false, keep: None, dry_run: false }
}

#[track_caller]
fn back_up(store: &Store, to: &Path) -> Made {
    let mut seen = Seen::default();
    let made = make(store, &plan(to), &mut seen).unwrap();
    assert!(seen.damage.is_empty(), "{:?}", seen.damage);
    made
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("backups");
    (dir, to)
}

#[track_caller]
fn open(dir: &Path) -> Arc<Store> {
    Store::open(dir, Options::system()).unwrap()
}

/// The last look at a store: nothing is wrong with it.
fn sound(store: Arc<Store>) {
    fsck(&store);
    store.close().unwrap();
}

/// Every file below a directory: its bytes, the instant of its last change, and its inode number.
fn files(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, u64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let (path, meta) = (entry.as_ref().unwrap().path(), entry.unwrap().metadata().unwrap());
            if meta.is_dir() {
                open.push(path);
            } else {
                let below = path.strip_prefix(dir).unwrap().to_owned();
                found.insert(below, (meta.len(), meta.mtime_nsec() + meta.mtime() * 1_000_000_000, meta.ino()));
            }
        }
    }
    found
}

fn of_kind(dir: &Path, end: &str) -> Vec<PathBuf> {
    files(dir).into_keys().filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A writer's random history goes on while backups are made: each is the state after one commit since its beginning.
#[test]
fn under_load_a_backup_is_the_state_after_one_commit() {
    let (_dir, to) = place();
    let seed = crate::asked("KEYFOLD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("KEYFOLD_SEED={seed}");
    let mut history = stream(seed);
    let mut world = World::new(Home::new());
    let mut step = |world: &mut World| {
        let next = history.next().unwrap();
        // Without renames: of histories this long, store and model may order those differently that were put together.
        if !matches!(next, Op::Reopen | Op::Crash | Op::Rename { .. } | Op::RenameDir { .. }) {
            world.step(&next);
        }
    };
    for _ in 0..100 {
        step(&mut world);
    }
    let mut made = Vec::new();
    for _ in 0..if crate::long() { 60 } else { 4 } {
        let from = world.past.len() - 1;
        let store = Arc::clone(&world.store);
        let over = Arc::new(AtomicBool::new(false));
        let (told, dest) = (Arc::clone(&over), to.clone());
        let backup = std::thread::spawn(move || {
            let mut seen = Seen::default();
            let made = make(&store, &plan(&dest), &mut seen);
            told.store(true, Ordering::SeqCst);
            assert!(seen.damage.is_empty(), "{:?}", seen.damage);
            made.unwrap().generation
        });
        while !over.load(Ordering::SeqCst) {
            step(&mut world);
        }
        made.push((backup.join().unwrap(), world.past[from..].to_vec()));
    }
    for (generation, states) in made {
        let store = open(&generation);
        assert!(shown_of(&store, &states).is_some(), "{}: none of {} states", generation.display(), states.len());
        sound(store);
    }
    world.finish();
}

#[test]
fn a_backup_has_what_is_not_an_object_yet() {
    let (_dir, to) = place();
    let (_home, store) = Home::with_bucket(Enabled);
    let upload = begin_upload(&store, "up");
    store.put_part(upload, 1, &mut &pattern(5 << 20, 1)[..], &Promise::default()).unwrap();
    write_file(&store, root(&store), "published", &pattern(RUN, 2));
    let made =
        store.create_draft(root(&store), "draft", &super::harness::posix(keyfold::model::FileKind::File)).unwrap();
    let mut draft = store.draft(None).unwrap();
    draft.write_at(0, &pattern(RUN, 3)).unwrap();
    let generation = back_up(&store, &to).generation;
    let mut session = Session::new();
    let place = (root(&store), "draft");
    store.publish(place, made.object.ino, &mut draft, &mut session, &PosixChange::default()).unwrap();
    store.seal(session).unwrap();

    let (again, home) = (to.parent().unwrap().join("again"), Home::new());
    restore(&generation, &again, &home.options(), &mut Seen::default()).unwrap();
    for dir in [&generation, &again] {
        let copy = open(dir);
        assert_eq!(copy.list_parts(upload, 0, 10).unwrap().parts.len(), 1, "{}", dir.display());
        assert!(get(&copy, "published").unwrap() == pattern(RUN, 2));
        // As after a crash: what nobody published is not there.
        assert!(copy.lookup(root(&copy), "draft").unwrap().is_none());
        sound(copy);
    }
    let copy = open(&again);
    put(&copy, "more", &pattern(RUN, 4));
    sound(copy);
}

#[test]
fn a_second_generation_costs_what_is_new_and_outlives_the_first() {
    let (_dir, to) = place();
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "small", b"in the index");
    put(&store, "run", &pattern(RUN, 1));
    put(&store, "own", &pattern(OWN, 2));
    let first = back_up(&store, &to);
    assert_eq!(first.record.new_bytes, first.record.bytes);
    put(&store, "more", &pattern(RUN, 3));
    let dry = make(&store, &Plan { dry_run: true, ..plan(&to) }, &mut Seen::default()).unwrap();
    let second = back_up(&store, &to);
    assert!(dry.record.new_bytes >= RUN as u64 && dry.record.new_bytes < 2 * RUN as u64, "{:?}", dry.record);
    assert!(second.record.new_bytes >= RUN as u64 && second.record.new_bytes < 2 * RUN as u64, "{:?}", second.record);
    let (one, two) = (files(&first.generation), files(&second.generation));
    for path in of_kind(&first.generation, ".seg").iter().chain(&of_kind(&first.generation, ".obj")) {
        assert_eq!(one[path].2, two[path].2, "{} is not shared", path.display());
    }
    assert_eq!(of_kind(&second.generation, ".seg").len(), of_kind(&first.generation, ".seg").len() + 1);
    let own = files(store.dir());
    assert!(
        one.iter().all(|(path, (_, _, ino))| own.get(path).is_none_or(|own| own.2 != *ino)),
        "shared with the store"
    );
    fs::remove_dir_all(&first.generation).unwrap();
    let copy = open(&second.generation);
    for (name, len, seed) in [("run", RUN, 1), ("own", OWN, 2), ("more", RUN, 3)] {
        assert!(get(&copy, name).unwrap() == pattern(len, seed), "{name}");
    }
    sound(copy);
}

#[test]
fn with_links_the_store_s_own_files_are_the_backup_s_too() {
    let (_dir, to) = place();
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "run", &pattern(RUN, 1));
    put(&store, "own", &pattern(OWN, 2));
    let generation = make(&store, &Plan { link: true, ..plan(&to) }, &mut Seen::default()).unwrap().generation;
    let (own, copied) = (files(store.dir()), files(&generation));
    for path in of_kind(&generation, ".seg").iter().chain(&of_kind(&generation, ".obj")) {
        assert_eq!(own[path].2, copied[path].2, "{}", path.display());
    }
    put(&store, "run", &pattern(RUN, 3));
    delete(&store, "own");
    reap(&store);
    let copy = open(&generation);
    assert!(get(&copy, "run").unwrap() == pattern(RUN, 1) && get(&copy, "own").unwrap() == pattern(OWN, 2));
    sound(copy);
    fsck(&store);
}

#[test]
fn opening_a_backup_writes_nothing() {
    let (_dir, to) = place();
    let (_home, store) = Home::with_bucket(Enabled);
    put(&store, "run", &pattern(RUN, 1));
    let generation = back_up(&store, &to).generation;
    let state = || {
        let mut all = files(&generation);
        // It says who has it open.
        all.remove(Path::new("LOCK"));
        all
    };
    let before = state();
    for _ in 0..2 {
        let copy = open(&generation);
        fsck(&copy);
        assert!(!copy.reap().unwrap());
        let refused = copy.delete(B, &key("run"), None, keyfold::store::Condition::Always).unwrap_err();
        assert_eq!((refused.kind(), refused.reason()), (Kind::ReadOnly, "it is a backup, which is only read"));
        assert_eq!(Store::open(&generation, Options::system()).err().unwrap().kind(), Kind::StoreBusy);
        copy.close().unwrap();
    }
    assert_eq!(state(), before);
    let elsewhere = to.parent().unwrap().join("elsewhere");
    assert_eq!(make(&open(&generation), &plan(&elsewhere), &mut Seen::default()).unwrap_err().kind(), Kind::ReadOnly);
    assert!(!elsewhere.exists());
}

#[test]
fn a_store_that_was_killed_is_not_opened_to_read_only() {
    let (home, store) = Home::with_bucket(Unversioned);
    put(&store, "run", &pattern(2000, 1));
    store.sync().unwrap();
    put(&store, "run", &pattern(9000, 1));
    store.abandon();
    home.close();
    let read_only = || Store::open(home.dir.path(), Options { read_only: true, ..home.options() });
    // Whether the last round went through the journal is the store's affair.
    if let Err(error) = read_only() {
        assert_eq!(error.kind(), Kind::InvalidState);
    }
    home.open();
    home.close();
    let before = files(home.dir.path());
    let store = read_only().unwrap();
    assert!(get(&store, "run").unwrap() == pattern(9000, 1));
    sound(store);
    let (mut before, mut after) = (before, files(home.dir.path()));
    before.remove(Path::new("LOCK"));
    after.remove(Path::new("LOCK"));
    assert_eq!(after, before);
}

#[test]
fn what_is_deleted_meanwhile_is_in_the_backup_and_its_room_comes_back() {
    let (_dir, to) = place();
    let (_home, store) = Home::with_bucket(Unversioned);
    put(&store, "run", &pattern(RUN, 1));
    put(&store, "own", &pattern(OWN, 2));
    let held = of_kind(store.dir(), ".seg");
    assert_eq!(held.len(), 1);
    let mut seen = Seen {
        before_copying: Some(Box::new(|| {
            delete(&store, "run");
            delete(&store, "own");
            reap(&store);
            store.sync()?;
            reap(&store);
            Ok(())
        })),
        ..Seen::default()
    };
    let generation = make(&store, &plan(&to), &mut seen).unwrap().generation;
    assert!(seen.damage.is_empty(), "{:?}", seen.damage);
    drop(seen);
    let copy = open(&generation);
    assert!(get(&copy, "run").unwrap() == pattern(RUN, 1) && get(&copy, "own").unwrap() == pattern(OWN, 2));
    sound(copy);
    reap(&store);
    let left = store.status().unwrap();
    // One that is new may hold notes.
    assert!(data_segments(&store) <= 1 && left.solos == 0, "{left:?}");
    assert!(of_kind(store.dir(), ".seg").iter().all(|segment| !held.contains(segment)));
    assert!(!store.dir().join("snapshot").exists());
}

#[test]
fn damage_is_told_each_time_and_the_rest_is_backed_up() {
    let (_dir, to) = place();
    let (home, store) = Home::with_bucket(Unversioned);
    put(&store, "run", &pattern(RUN, 1));
    put(&store, "own", &pattern(OWN, 2));
    store.close().unwrap();
    drop(store);
    put(&home.open(), "other", &pattern(RUN, 3));
    home.close();
    let segments = of_kind(home.dir.path(), ".seg");
    let solo = of_kind(home.dir.path(), ".obj").remove(0);
    assert_eq!(segments.len(), 2);
    flip(&home.dir.path().join(&segments[0]), 70_000);
    flip(&home.dir.path().join(&solo), 3 << 20);
    let damaged = [&segments[0], &solo].map(|path| path.display().to_string());
    let store = home.open();
    for _ in 0..2 {
        let mut seen = Seen::default();
        let made = make(&store, &Plan { keep: Some(1), ..plan(&to) }, &mut seen).unwrap();
        assert_eq!(made.record.damaged, damaged, "{:?}", seen.damage);
        assert_eq!(seen.damage.len(), 2, "{:?}", seen.damage);
        assert!(made.removed.is_empty(), "what is old may be all that is whole");
        let copy = open(&made.generation);
        assert!(get(&copy, "other").unwrap() == pattern(RUN, 3));
        assert_eq!(get(&copy, "run").unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(copy.fsck(&mut |_| {}).unwrap().len(), 2, "two objects");
        copy.close().unwrap();
    }
    // Mended, it is copied anew.
    store.close().unwrap();
    drop(store);
    flip(&home.dir.path().join(&segments[0]), 70_000);
    flip(&home.dir.path().join(&solo), 3 << 20);
    let store = home.open();
    let copy = open(&back_up(&store, &to).generation);
    sound(copy);
    // A file that is gone.
    store.close().unwrap();
    drop(store);
    fs::remove_file(home.dir.path().join(&segments[1])).unwrap();
    let store = home.open();
    let mut seen = Seen::default();
    make(&store, &plan(&to), &mut seen).unwrap();
    assert_eq!(seen.damage, [format!("{}: the file is missing", segments[1].display())]);
}

/// What a crash leaves at the end of a segment is no damage; what is in use of such a segment counts.
#[test]
fn a_segment_that_a_crash_cut_off_is_judged_by_what_is_in_use() {
    let (_dir, to) = place();
    let (home, store) = Home::with_bucket(Unversioned);
    put(&store, "run", &pattern(RUN, 1));
    put(&store, "more", &pattern(RUN, 2));
    store.abandon();
    let segment = home.dir.path().join(of_kind(home.dir.path(), ".seg").remove(0));
    let mut bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(end.next_multiple_of(8));
    bytes.extend_from_slice(&pattern(5000, 9));
    fs::write(&segment, &bytes).unwrap();
    let store = home.open();
    let copy = open(&back_up(&store, &to).generation);
    sound(copy);
    store.close().unwrap();
    drop(store);
    flip(&segment, 70_000);
    let store = home.open();
    let mut seen = Seen::default();
    make(&store, &plan(&to), &mut seen).unwrap();
    assert_eq!(seen.damage.len(), 1, "{:?}", seen.damage);
}

#[test]
fn places_that_cannot_hold_backups_are_refused_and_left_alone() {
    let (dir, to) = place();
    let (home, store) = Home::with_bucket(Unversioned);
    let refused = |to: &Path| make(&store, &plan(to), &mut Seen::default()).unwrap_err();
    assert_eq!(refused(&home.dir.path().join("backups")).kind(), Kind::InvalidArgument);
    assert_eq!(refused(home.dir.path().parent().unwrap()).kind(), Kind::InvalidArgument);
    assert!(!home.dir.path().join("backups").exists());
    let notes = dir.path().join("notes");
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("mine"), "text").unwrap();
    assert_eq!(refused(&notes).kind(), Kind::NotEmpty);
    assert_eq!(files(&notes).len(), 1);
    fs::write(dir.path().join("file"), "text").unwrap();
    assert_eq!(refused(&dir.path().join("file")).kind(), Kind::Io);
    back_up(&store, &to);
    let other = Home::new();
    let error = make(&other.open(), &plan(&to), &mut Seen::default()).unwrap_err();
    assert!(error.kind() == Kind::Conflict && error.reason().contains("another store"), "{error}");
    // Two at once: of one store, and into one directory.
    let mut both = Seen { before_copying: Some(Box::new(|| Err(refused(&to)))), ..Seen::default() };
    assert!(make(&store, &plan(&to), &mut both).unwrap_err().reason().contains("being written"));
    let elsewhere = dir.path().join("elsewhere");
    let mut both = Seen { before_copying: Some(Box::new(|| Err(refused(&elsewhere)))), ..Seen::default() };
    assert!(make(&store, &plan(&to), &mut both).unwrap_err().reason().contains("is being made"));
    back_up(&store, &to);
    assert_eq!(generations(&to).unwrap().len(), 2);
    assert_eq!(fs::read_dir(&to).unwrap().count(), 4, "nothing is left of those that did not come to their end");
}

#[test]
fn only_so_many_are_kept_and_none_goes_that_is_open() {
    let (_dir, to) = place();
    let (home, store) = Home::with_bucket(Unversioned);
    let names: Vec<PathBuf> = (0..3)
        .map(|n| {
            put(&store, "run", &pattern(RUN, n));
            home.later();
            back_up(&store, &to).generation
        })
        .collect();
    fs::write(to.join("20200101T000000Z"), "not a backup").unwrap();
    fs::create_dir(to.join("20200102T000000Z")).unwrap();
    let held = open(&names[1]);
    home.later();
    let made = make(&store, &Plan { keep: Some(1), ..plan(&to) }, &mut Seen::default()).unwrap();
    let text = |at: usize| names[at].display().to_string();
    assert_eq!((made.removed, made.in_use), (vec![text(0), text(2)], vec![text(1)]));
    assert!(get(&held, "run").unwrap() == pattern(RUN, 1));
    held.close().unwrap();
    drop(held);
    assert!(!names[0].exists() && names[1].exists() && !names[2].exists() && to.join("20200102T000000Z").exists());
}

/// Runs with a copy on a disk of 24 MiB, which a store of 40 does not fit.
#[test]
fn a_full_disk_is_told_shows_nothing_and_the_next_backup_goes_on() {
    let (_dir, to) = place();
    fs::create_dir(&to).unwrap();
    let disk = Disk::of(&to, "size=24m");
    let (_home, store) = Home::with_bucket(Unversioned);
    for n in 0..4 {
        put(&store, &format!("own{n}"), &pattern(OWN, n));
    }
    let mut fills = Seen {
        before_copying: Some(Box::new(|| {
            fs::write(to.join("fill"), vec![1; 12 << 20]).unwrap();
            Ok(())
        })),
        ..Seen::default()
    };
    let error = make(&store, &plan(&to), &mut fills).unwrap_err();
    assert!(error.kind() == Kind::Full && error.what().contains("backup"), "{error}");
    assert!(generations(&to).unwrap().is_empty());
    assert!(!store.dir().join("snapshot").exists());
    fsck(&store);
    fs::remove_file(to.join("fill")).unwrap();
    let kept = of_kind(&to, ".sum");
    assert!(!kept.is_empty() && kept.len() < 4, "{kept:?}");
    let inode = files(&to)[&kept[0]].2;
    let generation = back_up(&store, &to).generation;
    assert!(files(&generation).values().any(|file| file.2 == inode), "what was copied is copied again");
    for n in 4..9 {
        put(&store, &format!("own{n}"), &pattern(OWN, n));
    }
    let error = make(&store, &plan(&to), &mut Seen::default()).unwrap_err();
    assert!(error.reason().contains("are to be copied"), "{error}");
    let copy = open(&generation);
    sound(copy);
    drop(disk);
}

/// A lost store is restored, and the one that was believed lost goes on too: their files have the same names, perhaps,
/// and never count as the same.
#[test]
fn a_restored_store_and_the_one_before_do_not_mix() {
    let (dir, to) = place();
    let (home, store) = Home::with_bucket(Enabled);
    put(&store, "run", &pattern(RUN, 1));
    let first = back_up(&store, &to).generation;
    drop(store);
    home.close();
    // Without new numbers, as a copy by hand would be.
    let by_hand = dir.path().join("by-hand");
    copy(home.dir.path(), &by_hand);
    let again = dir.path().join("again");
    let bytes = restore(&first, &again, &home.options(), &mut Seen::default()).unwrap();
    assert!(bytes > RUN as u64);
    for (n, place) in [home.dir.path(), &by_hand, &again, home.dir.path()].into_iter().enumerate() {
        let store = Store::open(place, home.options()).unwrap();
        put(&store, "run", &pattern(RUN, 10 + 2 * n as u64));
        home.later();
        let generation = back_up(&store, &to).generation;
        store.close().unwrap();
        drop(store);
        let copy = open(&generation);
        assert!(get(&copy, "run").unwrap() == pattern(RUN, 10 + 2 * n as u64));
        sound(copy);
    }
    let epoch = |dir: &Path| Store::open(dir, home.options()).unwrap().status().unwrap().epoch;
    assert!(epoch(&again) > epoch(&by_hand) + 1);
    let error = restore(&first, &again, &home.options(), &mut Seen::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotEmpty);
    let error = restore(home.dir.path(), &dir.path().join("x"), &home.options(), &mut Seen::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotSet);
}

#[test]
fn a_restore_that_was_interrupted_is_made_again() {
    let (dir, to) = place();
    let (home, store) = Home::with_bucket(Unversioned);
    put(&store, "own", &pattern(OWN, 1));
    let generation = back_up(&store, &to).generation;
    struct Gone(u32);
    impl Watch for Gone {
        fn progress(&mut self, _text: &str) -> Result<()> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| Error::new(Kind::Io, "nobody listens"))?;
            Ok(())
        }
        fn damage(&mut self, finding: Finding) -> Result<()> {
            panic!("{}", finding.what)
        }
    }
    let again = dir.path().join("again");
    for steps in [0, 3, 7] {
        assert!(restore(&generation, &again, &home.options(), &mut Gone(steps)).is_err());
        assert_eq!(Store::open(&again, home.options()).err().unwrap().kind(), Kind::StoreUnavailable);
    }
    restore(&generation, &again, &home.options(), &mut Gone(1000)).unwrap();
    let copy = Store::open(&again, home.options()).unwrap();
    assert!(get(&copy, "own").unwrap() == pattern(OWN, 1));
    sound(copy);
}

#[test]
fn a_simulated_store_has_no_snapshot() {
    let home = Home::simulated();
    let store = home.open();
    assert_eq!(store.snapshot().err().unwrap().kind(), Kind::Unsupported);
}

/// A disk of a test's own.
struct Disk(PathBuf);

impl Disk {
    fn of(at: &Path, options: &str) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status();
        assert!(mounted.unwrap().success(), "only root can mount a disk");
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
