//! What the sweep has found, each on its own.

use super::fault::{Disk, Fault, Lasts};
use crate::engine::calls::{Kind, Watching};
use crate::engine::harness::{Home, get, pattern, put, put_if};
use keyfold::model::Versioning::Unversioned;
use keyfold::model::{self, Result};
use keyfold::store::{Condition, Store};
use nix::libc::{EIO, ENOSPC};
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Found {
    home: Home,
    store: Arc<Store>,
    disk: Arc<Disk>,
    _watching: Watching,
}

impl Found {
    /// A store with an object that is durable, and a disk whose `nth` such call from now on fails.
    fn new(kind: Kind, only: &'static str, nth: u64, errno: i32, lasts: Lasts) -> Self {
        let (home, store) = Home::with_bucket(Unversioned);
        put(&store, "before", b"before");
        store.sync().unwrap();
        let disk = Arc::new(Disk::new(home.dir.path(), Fault { kind, only, nth, errno, lasts }));
        let _watching = Watching::new(home.dir.path(), Arc::<Disk>::clone(&disk));
        Self { home, store, disk, _watching }
    }

    fn put(&self, name: &str) -> Result<model::Object> {
        put_if(&self.store, name, name.as_bytes(), Condition::Always)
    }

    /// Puts until it is done; how long that took.
    fn puts_again(&self) -> Duration {
        let since = Instant::now();
        while let Err(error) = self.put("after") {
            assert_eq!(error.kind(), model::Kind::Full, "{error}");
            assert!(since.elapsed() < Duration::from_secs(30), "{error}");
        }
        since.elapsed()
    }

    fn opens_whole(self) {
        self.disk.heal();
        drop(self.store);
        let store = self.home.open();
        assert_eq!(get(&store, "before").unwrap(), b"before");
        crate::engine::harness::fsck(&store);
    }
}

/// The index answered each further change with the same error, for ever, and the status said nothing.
#[test]
fn a_store_whose_index_failed_takes_no_changes_and_says_so() {
    for (kind, only) in [(Kind::Write, ".log"), (Kind::Sync, ".log")] {
        let found = Found::new(kind, only, 1, EIO, Lasts::Once);
        // Long enough to pass by the journal, so that the log is synced.
        let first = put_if(&found.store, "first", &pattern(500_000, 1), Condition::Always).unwrap_err();
        assert_eq!(first.kind(), model::Kind::Io, "{first}");
        assert_eq!(found.put("second").unwrap_err().kind(), model::Kind::ReadOnly);
        assert!(found.store.status().unwrap().read_only.unwrap().contains("the index failed"));
        assert!(!found.store.complaints(None).is_empty());
        assert_eq!(get(&found.store, "before").unwrap(), b"before");
        found.opens_whole();
    }
}

/// A log of the index that had found the disk full was synced, which RocksDB took for a failure for good.
#[test]
fn a_disk_that_was_full_when_the_index_wrote_its_log_is_used_again() {
    let found = Found::new(Kind::Write, ".log", 2, ENOSPC, Lasts::Once);
    // Only the journal makes this one durable.
    found.put("first").unwrap();
    found.puts_again();
    assert_eq!(found.store.status().unwrap().read_only, None);
    found.opens_whole();
}

/// What had been written to the file before counted as lost too: another's sync failed, and the store stopped.
#[test]
fn a_write_that_failed_is_told_to_its_caller_only() {
    let found = Found::new(Kind::Write, ".seg", 4, EIO, Lasts::Once);
    // After the segment's header and a run whose sync gives the segment its name.
    put_if(&found.store, "named", &pattern(20_000, 0), Condition::Always).unwrap();
    put_if(&found.store, "journalled", &pattern(20_000, 1), Condition::Always).unwrap();
    let told = put_if(&found.store, "told", &pattern(20_000, 2), Condition::Always).unwrap_err();
    assert_eq!(told.kind(), model::Kind::Io, "{told}");
    put_if(&found.store, "other", &pattern(500_000, 3), Condition::Always).unwrap();
    found.store.sync().unwrap();
    assert!(get(&found.store, "journalled").unwrap() == pattern(20_000, 1));
    found.opens_whole();
}

/// Who waited for the sync was told that the store takes no changes, and nobody that the disk was full.
#[test]
fn a_sync_that_found_no_room_is_told_as_that() {
    let found = Found::new(Kind::Sync, ".seg", 1, ENOSPC, Lasts::Once);
    let told = put_if(&found.store, "large", &pattern(500_000, 1), Condition::Always).unwrap_err();
    assert_eq!(told.kind(), model::Kind::Full, "{told}");
    assert_eq!(found.put("next").unwrap_err().kind(), model::Kind::ReadOnly);
    found.opens_whole();
}

/// RocksDB does not get over that one, and nobody was told.
#[test]
fn a_disk_that_was_full_when_the_index_began_a_log_stops_the_store() {
    let found = Found::new(Kind::Create, ".log", 1, ENOSPC, Lasts::Once);
    let refused =
        (0..2000).find_map(|n| put_if(&found.store, &format!("{n}"), &pattern(3000, n), Condition::Always).err());
    assert_eq!(refused.unwrap().kind(), model::Kind::Full);
    assert_eq!(found.put("next").unwrap_err().kind(), model::Kind::ReadOnly);
    assert!(found.store.status().unwrap().read_only.unwrap().contains("the index failed"));
    found.opens_whole();
}
