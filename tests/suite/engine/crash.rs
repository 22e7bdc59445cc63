//! Crashes, closing, and a full disk: what was acknowledged stays, what cannot be done is said.

use super::harness::{
    B, Home, copy, delete, fsck, get, key, make_bucket, pattern, put, reap, refused, rewrite_file, root, versions,
    write_file,
};
use crate::long;
use keyfold::model::Kind;
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::store::{Options, PutOptions, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn what_was_put_is_there_after_a_crash_and_files_nobody_names_are_swept() {
    let (home, store) = Home::with_bucket(Enabled);
    put(&store, "put", &pattern(100_000, 1));
    let file = write_file(&store, root(&store), "lost", &pattern(5 << 20, 2));
    assert_eq!(store.status().unwrap().solos, 1);
    store.abandon();
    let store = home.open();
    assert!(get(&store, "put").unwrap() == pattern(100_000, 1));
    refused(get(&store, "lost"), Kind::NoSuchKey);
    let again = write_file(&store, root(&store), "new", b"x");
    assert!(again.ino > file.ino && again.seq > file.seq, "no number is given out twice");
    store.sync().unwrap();
    for _ in 0..100 {
        if store.status().unwrap().solos == 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(store.status().unwrap().solos, 0);
    fsck(&store);
}

#[test]
fn a_session_that_was_open_at_the_crash_is_announced() {
    let (home, store) = Home::with_bucket(Enabled);
    let made = store.create_draft(root(&store), "f", &super::harness::posix(keyfold::model::FileKind::File)).unwrap();
    let (mut draft, mut session) = (store.draft(None).unwrap(), keyfold::store::Session::new());
    draft.write_at(0, b"durable").unwrap();
    let at = (root(&store), "f");
    store.publish(at, made.object.ino, &mut draft, &mut session, &keyfold::store::PosixChange::default()).unwrap();
    store.sync().unwrap();
    assert!(store.changes(0, 99).unwrap().is_empty());
    drop(draft);
    store.abandon();
    let store = home.open();
    assert_eq!(store.changes(0, 99).unwrap()[0].1.key, "f");
    assert_eq!(get(&store, "f").unwrap(), b"durable");
    fsck(&store);
}

#[test]
fn a_closed_store_takes_no_changes_and_does_not_lose_them_silently() {
    let (home, store) = Home::with_bucket(Unversioned);
    let object = write_file(&store, root(&store), "f", b"1");
    store.close().unwrap();
    let mut draft = store.draft(Some(&object)).unwrap();
    refused(draft.write_at(0, b"2"), Kind::StoreUnavailable);
    refused(store.remove(root(&store), "f"), Kind::StoreUnavailable);
    drop((draft, store));
    assert_eq!(get(&home.open(), "f").unwrap(), b"1", "closing makes durable");
}

#[test]
fn a_store_has_one_owner_and_a_crashed_one_none() {
    let (home, store) = Home::with_bucket(Unversioned);
    assert_eq!(Store::open(home.dir.path(), home.options()).err().unwrap().kind(), Kind::StoreBusy);
    store.abandon();
    drop(home.open());
    refused(Store::init(home.dir.path(), &home.options()), Kind::AlreadyExists);
}

/// A crash while a store is made leaves a directory in which one can be made.
#[test]
fn a_store_whose_making_was_cut_short_is_made_again() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("FORMAT.new"), "half a fi").unwrap();
    Store::init(dir.path(), &home.options()).unwrap();
    refused(Store::init(dir.path(), &home.options()), Kind::AlreadyExists);
    let store = Store::open(dir.path(), home.options()).unwrap();
    make_bucket(&store, B);
    store.close().unwrap();
    assert!(!dir.path().join("FORMAT.new").exists());
}

/// The store as it was when its index and segments were last synced, with nothing newer than the journal: what a power
/// cut may leave of rounds that went there. Or with an index that came to the disk by itself.
#[test]
fn what_only_the_journal_holds_is_there_after_a_crash() {
    let (home, store) = Home::with_bucket(Enabled);
    put(&store, "large", &pattern(30_000, 1));
    let after = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let copy = |what: &str, to: &tempfile::TempDir| copy(&home.dir.path().join(what), to.path());
    after.iter().for_each(|after| copy(".", after));
    for n in 0..40 {
        put(&store, &format!("inline {n}"), &pattern(100 * n, n as u64));
        put(&store, &format!("run {n}"), &pattern(5000 + 1000 * n, n as u64));
    }
    delete(&store, "large");
    rewrite_file(&store, root(&store), "run 7", &store.get(B, &key("run 7"), None).unwrap(), |draft| {
        draft.write_at(5, b"changed").unwrap();
    });
    store.sync().unwrap();
    after.iter().for_each(|after| copy("journal", after));
    std::fs::remove_dir_all(after[1].path().join("meta")).unwrap();
    copy("meta", &after[1]);
    store.abandon();
    for after in after.iter().chain(&after) {
        let store = Store::open(after.path(), home.options()).unwrap();
        for n in 0..40 {
            assert!(get(&store, &format!("inline {n}")).unwrap() == pattern(100 * n, n as u64));
            let mut bytes = pattern(5000 + 1000 * n, n as u64);
            if n == 7 {
                bytes[5..12].copy_from_slice(b"changed");
            }
            assert!(get(&store, &format!("run {n}")).unwrap() == bytes, "run {n}");
        }
        refused(get(&store, "large"), Kind::NoSuchKey);
        assert_eq!(versions(&store, "large").len(), 2);
        fsck(&store);
        put(&store, "more", b"x");
        store.abandon();
    }
}

/// A test that cannot have what it takes says so; root can have it.
#[track_caller]
fn without<T>(what: &str) -> Option<T> {
    assert!(!nix::unistd::geteuid().is_root(), "{what} cannot be mounted");
    eprintln!("skipped: only root can mount {what}");
    None
}

/// A store, with one bucket, on a file system on a loop device that can be shut down as by a power cut: what it had not
/// synced is lost.
struct Machine {
    dir: tempfile::TempDir,
    options: Options,
}

impl Machine {
    /// `None` where this process may not mount, which root may.
    fn new() -> Option<Self> {
        let mut options = Home::new().options();
        options.settings.commit_interval = std::time::Duration::from_millis(30);
        let machine = Self { dir: tempfile::tempdir().unwrap(), options };
        let image = machine.dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(2 << 30).unwrap();
        std::fs::create_dir(machine.at()).unwrap();
        let made = std::process::Command::new("mkfs.ext4").arg("-qF").arg(&image).status();
        if !made.is_ok_and(|status| status.success()) || !machine.mount() {
            return without("a file system on a loop device");
        }
        Store::init(&machine.at().join("store"), &machine.options).unwrap();
        let store = machine.open();
        make_bucket(&store, B);
        store.close().unwrap();
        Some(machine)
    }

    fn open(&self) -> Arc<Store> {
        Store::open(&self.at().join("store"), self.options.clone()).unwrap()
    }

    /// The store after the power came back.
    fn start_again(&self, store: Arc<Store>) -> Arc<Store> {
        store.abandon();
        self.unmount();
        assert!(self.mount());
        self.open()
    }

    fn at(&self) -> std::path::PathBuf {
        self.dir.path().join("disk")
    }

    fn mount(&self) -> bool {
        let mut mount = std::process::Command::new("mount");
        let mount = mount.args(["-o", "loop"]).arg(self.dir.path().join("image")).arg(self.at()).output();
        mount.is_ok_and(|done| done.status.success())
    }

    fn unmount(&self) {
        let _ = std::process::Command::new("umount").arg(self.at()).output();
    }

    /// EXT4_IOC_SHUTDOWN, without a last write of the journal.
    fn cut_power(&self) {
        let script = "import fcntl, os, struct, sys\n\
                      fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        let cut = std::process::Command::new("python3").args(["-c", script]).arg(self.at()).output().unwrap();
        assert!(cut.status.success(), "{cut:?}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// Puts from several threads, as their answers come; then the power goes. What was answered before is there. What is answered
/// while it goes may be lost: ext4 lets an `fdatasync` succeed that is under way when it is shut down.
#[test]
fn what_was_answered_outlives_a_power_cut() {
    let Some(machine) = Machine::new() else { return };
    let mut answered: Vec<(String, usize)> = Vec::new();
    for round in 0..if long() { 60 } else { 4 } {
        let store = machine.open();
        let cut = AtomicBool::new(false);
        let puts = |worker: usize| {
            let mut done = Vec::new();
            for n in 0.. {
                let (name, len) = (format!("{round} {worker} {n}"), (n * 7919 + worker * 1013) % 40_000);
                let bytes = pattern(len, n as u64);
                let put = store.put(B, &key(&name), &mut &bytes[..], &PutOptions::default());
                if put.is_err() || cut.load(Ordering::SeqCst) {
                    return done;
                }
                done.push((name, len));
            }
            done
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..3).map(|worker| scope.spawn(move || puts(worker))).collect();
            std::thread::sleep(std::time::Duration::from_millis(150 + 90 * (round % 5)));
            cut.store(true, Ordering::SeqCst);
            machine.cut_power();
            answered.extend(workers.into_iter().flat_map(|worker| worker.join().unwrap()));
        });
        let store = machine.start_again(store);
        for (name, len) in &answered {
            let n = name.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(get(&store, name).unwrap() == pattern(*len, n), "{name} of {}", answered.len());
        }
        fsck(&store);
        store.close().unwrap();
    }
    assert!(answered.len() > 100, "{} puts were answered", answered.len());
}

/// The journal begins anew when what it held is synced where it belongs, also where the round that does so has nothing else
/// to sync, or nothing in the same files.
#[test]
fn what_the_journal_held_before_it_began_anew_outlives_a_power_cut() {
    let Some(machine) = Machine::new() else { return };
    let store = machine.open();
    put(&store, "names its segment", &pattern(9000, 1));
    for n in 0..20 {
        put(&store, &format!("run {n}"), &pattern(9000, n));
        if n % 2 == 0 {
            write_file(&store, root(&store), &format!("inline {n}"), b"x");
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    machine.cut_power();
    let store = machine.start_again(store);
    for n in 0..20 {
        assert!(get(&store, &format!("run {n}")).unwrap() == pattern(9000, n), "run {n}");
    }
    fsck(&store);
    store.close().unwrap();
}

/// A small disk of its own, unmounted when it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount, which root may.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=64m", "keyfold-test"]).arg(dir.path()).output();
        if mount.is_ok_and(|done| done.status.success()) { Some(Self(dir)) } else { without("a tmpfs") }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn size_7_on_a_full_disk_deletes_still_work_and_make_room() {
    let Some(disk) = SmallDisk::new() else { return };
    let home = Home::new();
    let path = disk.0.path().join("store");
    Store::init(&path, &home.options()).unwrap();
    let store: Arc<Store> = Store::open(&path, home.options()).unwrap();
    make_bucket(&store, B);
    for len in [4000, 300_000, 6 << 20] {
        let mut stored = Vec::new();
        let full = loop {
            let name = format!("{len} {}", stored.len());
            match store.put(B, &super::harness::key(&name), &mut &pattern(len, 1)[..], &PutOptions::default()) {
                Ok(_) => stored.push(name),
                Err(error) => break error,
            }
            assert!(stored.len() < 100_000);
        };
        assert_eq!(full.kind(), Kind::Full, "{full}");
        fsck(&store);
        let base = store.get(B, &super::harness::key(&stored[0]), None).unwrap();
        let mut draft = store.draft(Some(&base)).unwrap();
        if store.space().unwrap().available == 0 {
            refused(draft.write_at(0, &[1; 100]), Kind::Full);
        }
        draft.truncate(1000).unwrap();
        drop(draft);
        for name in &stored {
            delete(&store, name);
        }
        reap(&store);
        fsck(&store);
        for _ in 0..100 {
            if store.space().unwrap().available > 20 << 20 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let object = put(&store, "again", &pattern(len, 2));
        let cut = rewrite_file(&store, root(&store), "again", &object, |draft| draft.truncate(10).unwrap());
        assert_eq!(cut.size, 10);
        assert_eq!(store.status().unwrap().read_only, None);
    }
    store.close().unwrap();
}
