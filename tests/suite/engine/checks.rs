//! Checks that come to no end of their own: nobody waits any more, the process is ending, or the store is closed beside them.

use super::harness::{Home, delete, fsck, get, pattern, put, reap, write_file};
use crate::tamper::tamper;
use keyfold::index::{Family, Read as _};
use keyfold::model::Versioning::{Enabled, Unversioned};
use keyfold::model::{Error, Kind, Result};
use keyfold::store::{Finding, Store};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// How long something may take that waits for nobody.
const PATIENCE: Duration = Duration::from_secs(20);

type Check = fn(&Arc<Store>, &mut dyn FnMut() -> Result<()>) -> Result<Vec<Finding>>;

const CHECKS: [Check; 3] = [
    |store, waits| store.fsck_while(&mut |_| {}, waits),
    |store, waits| store.repair_while(true, &mut |_| {}, waits),
    |store, waits| store.repair_while(false, &mut |_| {}, waits),
];

/// Something of each form of data.
fn filled() -> (Home, Arc<Store>) {
    let (home, store) = Home::with_bucket(Enabled);
    for (n, len) in [100, 9000, 3 << 20, 6 << 20].into_iter().enumerate() {
        put(&store, &format!("d/{n}"), &pattern(len, n as u64));
    }
    store.sync().unwrap();
    (home, store)
}

#[test]
fn a_check_ends_as_soon_as_nobody_waits_for_it() {
    let (_home, store) = filled();
    for check in CHECKS {
        let mut all = 0;
        let found = check(&store, &mut || {
            all += 1;
            Ok(())
        });
        assert!(found.unwrap().is_empty());
        // Each walk, each object, and each few megabytes of a long one.
        assert!(all > 20, "asked {all} times");
        for last in 0..all {
            let mut asked = 0;
            let ended = check(&store, &mut || {
                asked += 1;
                if asked <= last { Ok(()) } else { Err(Error::new(Kind::Io, "nobody waits")) }
            });
            assert_eq!(ended.unwrap_err().what(), "nobody waits");
            assert!(asked <= last + 3, "asked {asked} times after {last}");
        }
    }
    assert!(get(&store, "d/3").unwrap() == pattern(6 << 20, 3));
    fsck(&store);
}

/// What changes between two of its walks is no damage to it, and whoever changes it need not wait.
#[test]
fn a_check_is_of_one_commit_and_others_go_on() {
    let (_home, store) = filled();
    let changes = Cell::new(0);
    let change = || {
        let n = changes.replace(changes.get() + 1);
        put(&store, &format!("new{n}/a"), &pattern(9000, n));
        put(&store, "d/1", &pattern(10_000, n));
        delete(&store, &format!("new{}/a", n / 2));
        if n.is_multiple_of(3) {
            store.sync().unwrap();
        }
    };
    let mut waits = || {
        change();
        Ok(())
    };
    assert_eq!(store.fsck_while(&mut |_| change(), &mut waits).unwrap(), vec![]);
    assert!(changes.get() > 20, "{} changes", changes.get());
    fsck(&store);
}

#[test]
fn a_check_ends_with_the_process() {
    for check in CHECKS {
        let (_home, store) = filled();
        let mut asked = 0;
        let ended = check(&store, &mut || {
            asked += 1;
            if asked == 5 {
                store.end_checks();
            }
            Ok(())
        });
        assert_eq!(ended.unwrap_err().kind(), Kind::StoreUnavailable);
        assert_eq!(asked, 5);
        store.close().unwrap();
    }
}

#[test]
fn a_store_is_closed_while_it_is_checked() {
    let (_home, store) = filled();
    let ((asked, is_asked), (answer, answered), (close, closed)) = (channel(), channel::<()>(), channel());
    std::thread::scope(|scope| {
        let checked = &store;
        let checking = scope.spawn(move || {
            let mut waits = || {
                let _ = asked.send(());
                let _ = answered.recv();
                Err(Error::new(Kind::Io, "nobody waits"))
            };
            checked.fsck_while(&mut |_| {}, &mut waits).unwrap_err()
        });
        is_asked.recv_timeout(PATIENCE).unwrap();
        // What the reaper has to do must not hold it up.
        delete(&store, "d/2");
        std::thread::sleep(Duration::from_millis(700));
        scope.spawn(move || close.send(checked.close()));
        let closed = closed.recv_timeout(PATIENCE);
        drop(answer);
        assert_eq!(checking.join().unwrap().what(), "nobody waits");
        closed.expect("whoever closes the store waits for the check").unwrap();
    });
}

/// What cannot be freed keeps nothing else, neither now nor claimed for later.
#[test]
fn a_content_that_cannot_be_freed_keeps_no_other() {
    let (home, store) = Home::with_bucket(Unversioned);
    let ids = [1, 2, 3].map(|n| put(&store, &n.to_string(), &pattern(5 << 20, n)).content);
    drop(store);
    home.close();
    tamper(home.dir.path(), |tx| {
        let key = keyfold::index::content_key(ids[1]);
        assert!(tx.get(Family::Content, &key).unwrap().is_some());
        tx.put_bytes(Family::Content, &key, vec![0xff; 5]);
    });
    let store = home.open();
    ["1", "2", "3"].iter().for_each(|name| _ = delete(&store, name));
    reap(&store);
    store.sync().unwrap();
    reap(&store);
    assert_eq!(store.status().unwrap().solos, 1, "{:?}", store.complaints(None));
    let object = write_file(&store, super::harness::root(&store), "1", b"new");
    assert_eq!(object.size, 3);
    assert_eq!(get(&store, "1").unwrap(), b"new");
}
