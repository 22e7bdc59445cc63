//! The table of write sessions: of all who write a file at once one session, of one session one version, sealed once.

use super::explore::{body, explore, store, whole};
use super::harness::{B, Home, fsck, get, put, versions};
use keyfold::model::Versioning;
use keyfold::store::Store;
use keyfold::telemetry::Metrics;
use keyfold::vfs::{Caller, OpenHow, ROOT, Settings, Vfs};
use shuttle::thread;
use std::sync::Arc;

const ME: Caller = Caller { uid: 0, gid: 0 };
const WRITE: OpenHow =
    OpenHow { read: true, write: true, append: false, truncate: false, sync: false, exclusive: false, exec: false };
const READ: OpenHow = OpenHow { write: false, ..WRITE };

/// The view of a new store whose bucket keeps versions.
fn view() -> (Home, Arc<Store>, Arc<Vfs>) {
    let (home, made) = store(Versioning::Enabled);
    drop(made);
    home.close();
    // The view looks at the directory, which must be a real one.
    let disk = Arc::new(home.disk());
    let store = Store::open_simulated(disk, home.dir.path(), home.options()).unwrap();
    let settings = Settings { bucket: Some((B.to_owned(), String::new())), ..Settings::default() };
    let vfs = Vfs::new(Arc::clone(&store), Arc::new(Metrics::new()), settings).unwrap();
    (home, store, vfs)
}

/// Makes a file of one version; its node.
fn file(vfs: &Vfs, name: &str, value: u32) -> u64 {
    let (found, opening) = vfs.create(ME, ROOT, name.as_bytes(), 0o644, WRITE).unwrap();
    vfs.write(opening.fh, 0, &body(value), false).unwrap();
    vfs.flush(opening.fh).unwrap();
    vfs.release(opening.fh);
    found.node
}

fn read_all(vfs: &Vfs, fh: u64) -> Vec<u8> {
    let mut bytes = vec![0; 20_000];
    let len = vfs.read(fh, 0, &mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

/// Changes that the feed tells of one key since commit `after`.
fn told(store: &Store, name: &str, after: u64) -> usize {
    store.changes(after, 10_000).unwrap().iter().filter(|(_, change)| change.key == name).count()
}

#[test]
fn writers_at_once_make_one_version_that_is_sealed_once() {
    explore("one session", 1000, || {
        let (_home, store, vfs) = view();
        let node = file(&vfs, "f", 2);
        assert_eq!(versions(&store, "f").len(), 1);
        let before = store.commits();
        // Both are open before either ends: one session.
        let handles = [0, 1].map(|_| vfs.open(ME, node, WRITE).unwrap().fh);
        thread::scope(|scope| {
            for fh in handles {
                let vfs = &vfs;
                scope.spawn(move || {
                    vfs.write(fh, 0, &body(4), false).unwrap();
                    vfs.fsync(fh).unwrap();
                    vfs.write(fh, 0, &body(4), false).unwrap();
                    vfs.flush(fh).unwrap();
                    vfs.release(fh);
                });
            }
            scope.spawn(|| vfs.publish_all());
            scope.spawn(|| {
                let fh = vfs.open(ME, node, READ).unwrap().fh;
                let seen = read_all(&vfs, fh);
                // A write in the middle of it shows: all have the same file. Both values have different bytes throughout.
                assert!(seen.len() == body(2).len() || seen.len() == body(4).len());
                vfs.flush(fh).unwrap();
                vfs.release(fh);
            });
            scope.spawn(|| store.sync().unwrap());
        });
        let made = versions(&store, "f");
        assert_eq!(made.len(), 2, "one session, one version");
        assert_eq!(whole(&get(&store, "f").unwrap()), 4);
        assert_eq!(told(&store, "f", before), 1, "one session is announced once");
        vfs.forget(node, 1);
        drop(vfs);
        fsck(&store);
        store.close().unwrap();
    });
}

#[test]
fn sessions_one_after_another_make_a_version_each() {
    explore("many sessions", 1000, || {
        let (home, store, vfs) = view();
        let node = file(&vfs, "f", 2);
        let before = store.commits();
        thread::scope(|scope| {
            for writer in 0..2u32 {
                let (vfs, store) = (&vfs, &store);
                scope.spawn(move || {
                    for turn in 0..2 {
                        let fh = vfs.open(ME, node, WRITE).unwrap().fh;
                        vfs.write(fh, 0, &body(4 + 4 * turn + 2 * writer), false).unwrap();
                        vfs.flush(fh).unwrap();
                        vfs.release(fh);
                    }
                    store.sync().unwrap();
                });
            }
            scope.spawn(|| {
                store.reap().unwrap();
                vfs.publish_all();
            });
        });
        let (made, announced) = (versions(&store, "f").len() - 1, told(&store, "f", before));
        assert!((1..=4).contains(&made), "{made} versions of four openings");
        assert_eq!(made, announced, "a version each is announced");
        drop(vfs);
        fsck(&store);
        store.close().unwrap();
        drop(store);
        let store = home.open();
        assert_eq!(versions(&store, "f").len() - 1, made, "nothing was left unsealed");
        fsck(&store);
    });
}

#[test]
fn a_put_through_another_door_and_an_open_file_leave_both_versions() {
    explore("two doors", 1000, || {
        let (_home, store, vfs) = view();
        let node = file(&vfs, "f", 2);
        thread::scope(|scope| {
            // The longest of all, so that nothing of what it is written over is left.
            scope.spawn(|| {
                let fh = vfs.open(ME, node, WRITE).unwrap().fh;
                vfs.write(fh, 0, &body(6), false).unwrap();
                vfs.flush(fh).unwrap();
                vfs.write(fh, 0, &body(6), false).unwrap();
                vfs.release(fh);
            });
            scope.spawn(|| drop(put(&store, "f", &body(4))));
            scope.spawn(|| {
                // What was replaced at this moment is not there for who has its number only.
                let Ok(opening) = vfs.open(ME, node, READ) else { return };
                read_all(&vfs, opening.fh);
                vfs.release(opening.fh);
            });
            scope.spawn(|| {
                let renamed = vfs.rename((ROOT, b"f"), (ROOT, b"g"), keyfold::vfs::RenameHow::Replace);
                renamed.unwrap();
                vfs.rename((ROOT, b"g"), (ROOT, b"f"), keyfold::vfs::RenameHow::Replace).unwrap();
            });
        });
        let values: Vec<u64> = [versions(&store, "f"), versions(&store, "g")].concat().iter().map(|v| v.size).collect();
        for value in [4, 6] {
            assert!(values.contains(&(body(value).len() as u64)), "value {value} is nowhere among {values:?}");
        }
        drop(vfs);
        fsck(&store);
        store.close().unwrap();
    });
}
