//! Storage classes over several zones: what the loss of directories costs, and what it does not.

use super::harness::{B, Home, compact, delete, fsck, get, key, make_bucket, pattern, put, reap, refused};
use keyfold::backup;
use keyfold::chunklog::{TierSettings, Zone};
use keyfold::model::{Kind, StorageClass, VersionId};
use keyfold::store::{Options, PutOptions, Store};
use keyfold::sys::disk::OsDisk;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAMES: [&str; 3] = ["a", "b", "c"];
/// Larger than what lies in a segment.
const LARGE: usize = 6 << 20;

/// A store whose classes lie in zones beside it.
struct Site {
    home: Home,
    dir: tempfile::TempDir,
    copies: usize,
}

impl Site {
    fn new(copies: usize) -> Self {
        let site = Self { home: Home::new(), dir: tempfile::tempdir().unwrap(), copies };
        NAMES.iter().for_each(|name| std::fs::create_dir(site.zone(name)).unwrap());
        site
    }

    fn zone(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn options_with(&self, names: &[&str]) -> Options {
        let mut options = self.home.options();
        let zone = |name: &&str| Zone {
            name: (*name).into(),
            place: self.zone(name),
            disk: Arc::new(OsDisk::new(self.zone(name))),
        };
        options.zones = names.iter().map(zone).collect();
        let rest = StorageClass::ALL.iter().copied().filter(|class| *class != StorageClass::OnezoneIa).collect();
        let zones: Vec<usize> = (1..=names.len()).collect();
        let all = TierSettings { classes: rest, copies: self.copies.min(zones.len()), zones, compression: 0 };
        let one = TierSettings { classes: vec![StorageClass::OnezoneIa], zones: vec![1], copies: 1, compression: 0 };
        options.settings.tiers = vec![all, one];
        options
    }

    fn open(&self) -> Arc<Store> {
        self.home.open_with(self.options_with(&NAMES))
    }

    /// Closes the store, so that it may be opened again.
    fn close(&self, store: Arc<Store>) {
        store.close().unwrap();
        drop(store);
        self.home.close();
    }

    fn lose(&self, name: &str) {
        std::fs::rename(self.zone(name), self.away(name)).unwrap();
    }

    fn put_back(&self, name: &str) {
        std::fs::rename(self.away(name), self.zone(name)).unwrap();
    }

    fn away(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name} is away"))
    }
}

/// Files of the log below a directory.
fn data_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for top in ["seg", "solo"] {
        let shards = std::fs::read_dir(dir.join(top)).into_iter().flatten();
        let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
        found.extend(files.map(|file| file.unwrap().path().strip_prefix(dir).unwrap().to_owned()));
    }
    found.sort();
    found
}

fn lost(store: &Store) -> Vec<String> {
    store.zones().into_iter().filter(|zone| zone.state == "lost").map(|zone| zone.name).collect()
}

/// Sizes and seeds of objects that are told apart by their names.
const OBJECTS: [(&str, usize); 3] = [("small", 20_000), ("medium", 900_000), ("large", LARGE)];

fn put_all(store: &Arc<Store>, when: &str) {
    for (name, len) in OBJECTS {
        put(store, &format!("{when} {name}"), &pattern(len, when.len() as u64));
    }
    store.sync().unwrap();
}

fn all_read(store: &Arc<Store>, when: &str) {
    for (name, len) in OBJECTS {
        let name = format!("{when} {name}");
        assert!(get(store, &name).unwrap() == pattern(len, when.len() as u64), "{name}");
    }
}

#[test]
fn sc_1_two_of_three_zones_are_deleted_while_in_use() {
    let site = Site::new(3);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "before");
    site.lose("a");
    site.lose("b");
    all_read(&store, "before");
    put_all(&store, "meanwhile");
    all_read(&store, "meanwhile");
    store.tend_zones();
    assert_eq!(lost(&store), ["a", "b"]);
    let status = store.status().unwrap();
    assert_eq!((status.read_only, status.zones.len()), (None, 4));
    assert!(status.short_files.unwrap() > 0);
    let told = store.complaints(None);
    assert!(told.iter().any(|line| line.op == "zone" && line.what.contains("zone a is lost")), "{told:?}");
    delete(&store, "before medium");
    reap(&store);

    site.put_back("a");
    site.put_back("b");
    store.tend_zones();
    store.refill(&mut |_| Ok(())).unwrap();
    assert_eq!((lost(&store).len(), store.status().unwrap().short_files), (0, Some(0)));
    let mut wanted = data_files(&site.zone("c"));
    wanted.retain(|path| store.dir().join(path).exists() || site.zone("a").join(path).exists());
    assert_eq!(data_files(&site.zone("a")), wanted);
    fsck(&store);

    // The other two, for good.
    std::fs::remove_dir_all(site.zone("b")).unwrap();
    std::fs::remove_dir_all(site.zone("c")).unwrap();
    put_all(&store, "after that");
    all_read(&store, "meanwhile");
    all_read(&store, "after that");
    assert!(get(&store, "before large").unwrap() == pattern(LARGE, 6));
    // New disks in their place.
    for name in ["b", "c"] {
        std::fs::create_dir(site.zone(name)).unwrap();
        refused(store.adopt_zone("a"), Kind::Conflict);
        store.tend_zones();
        assert!(lost(&store).contains(&name.to_owned()));
        store.adopt_zone(name).unwrap();
    }
    store.refill(&mut |_| Ok(())).unwrap();
    site.close(store);
    std::fs::remove_dir_all(site.zone("a")).unwrap();
    let store = site.open();
    assert_eq!(lost(&store), ["a"]);
    all_read(&store, "meanwhile");
    all_read(&store, "after that");
    compact(&store);
    all_read(&store, "after that");
}

#[test]
fn sc_3_one_zone_is_lost_with_it_and_others_are_unaffected() {
    let site = Site::new(2);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "standard");
    let options = PutOptions { class: StorageClass::OnezoneIa, ..PutOptions::default() };
    store.put(B, &key("one"), &mut &pattern(LARGE, 1)[..], &options).unwrap();
    store.sync().unwrap();
    store.tend_zones();
    site.lose("a");
    all_read(&store, "standard");
    if data_files(&site.away("a")).iter().all(|path| !path.starts_with("solo")) {
        panic!("a class of one zone lies elsewhere");
    }
    match get(&store, "one") {
        Err(error) => assert_eq!(error.kind(), Kind::Io, "{error}"),
        Ok(_) => panic!("it lies in another zone too"),
    }
    site.put_back("a");
    store.tend_zones();
    assert!(get(&store, "one").unwrap() == pattern(LARGE, 1));
}

#[test]
fn a_zone_that_holds_the_only_copies_cannot_be_left_out() {
    let site = Site::new(1);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "somewhere");
    site.close(store);
    let full = NAMES.into_iter().find(|name| !data_files(&site.zone(name)).is_empty()).unwrap();
    let rest: Vec<&str> = NAMES.into_iter().filter(|name| *name != full).collect();
    let refused = site.home.try_open_with(site.options_with(&rest)).err().unwrap();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.what().contains(full) && refused.remedy().is_some(), "{refused}");
    // And again, also without any zone.
    for options in [site.options_with(&rest), site.home.options()] {
        assert_eq!(site.home.try_open_with(options).err().unwrap().kind(), Kind::Conflict);
    }
    // Its files go elsewhere first.
    let mut options = site.options_with(&NAMES);
    let place = NAMES.iter().position(|name| *name == full).unwrap() + 1;
    options.settings.tiers.iter_mut().for_each(|tier| tier.zones = (0..4).filter(|zone| *zone != place).collect());
    let store = site.home.open_with(options);
    store.refill(&mut |_| Ok(())).unwrap();
    assert!(data_files(&site.zone(full)).is_empty());
    site.close(store);
    let store = site.home.open_with(site.options_with(&rest));
    all_read(&store, "somewhere");
    site.close(store);
    // Home again.
    let mut options = site.options_with(&rest);
    options.settings.tiers = vec![TierSettings::default()];
    let store = site.home.open_with(options);
    store.refill(&mut |_| Ok(())).unwrap();
    site.close(store);
    let store = site.home.open();
    assert_eq!(store.zones(), []);
    all_read(&store, "somewhere");
}

#[test]
fn versions_deleted_while_a_zone_is_away_do_not_stay_in_it() {
    let site = Site::new(3);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "short-lived");
    site.close(store);
    site.lose("b");
    let store = site.open();
    for (name, _) in OBJECTS {
        store.delete(B, &key(&format!("short-lived {name}")), Some(VersionId::Null), Default::default()).unwrap();
    }
    reap(&store);
    compact(&store);
    site.close(store);
    site.put_back("b");
    let store = site.open();
    store.sync().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let solos = || data_files(&site.zone("b")).into_iter().filter(|path| path.starts_with("solo")).count();
    while solos() > 0 && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(solos(), 0);
    fsck(&store);
}

#[test]
fn a_backup_has_a_whole_copy_of_each_file_and_knows_no_zones() {
    let site = Site::new(2);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "kept");
    site.lose("a");
    store.tend_zones();
    let to = site.dir.path().join("backup");
    let plan = backup::Plan { to, link: false, keep: None, dry_run: false };
    let mut told = Vec::new();
    let made = backup::make(&store, &plan, &mut Watch(&mut told)).unwrap();
    assert!(told.is_empty(), "{told:?}");
    site.close(store);
    let copy = Store::open(&made.generation, site.options_with(&NAMES)).unwrap();
    assert_eq!(copy.zones(), []);
    all_read(&copy, "kept");
    drop(copy);
    // Its zones are those of the store that goes on.
    let again = site.dir.path().join("again");
    backup::restore(&made.generation, &again, &site.home.options(), &mut Watch(&mut told)).unwrap();
    let refused = Store::open(&again, site.options_with(&["b", "c"])).err().unwrap();
    assert_eq!(refused.kind(), Kind::Conflict);
    let store = Store::open(&again, site.home.options()).unwrap();
    all_read(&store, "kept");
    site.close(store);
}

#[test]
fn a_backup_takes_the_copy_that_is_whole() {
    let site = Site::new(2);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "kept");
    let spoil = |zone: &Path| {
        for path in data_files(zone).into_iter().filter(|path| path.extension().is_some_and(|end| end != "sum")) {
            let mut bytes = std::fs::read(zone.join(&path)).unwrap();
            if bytes.len() > 10_000 {
                bytes[9000] ^= 1;
                std::fs::write(zone.join(&path), bytes).unwrap();
            }
        }
    };
    for name in NAMES {
        spoil(&site.zone(name));
        let to = site.dir.path().join(format!("backup of {name}"));
        let mut told = Vec::new();
        let plan = backup::Plan { to, link: false, keep: None, dry_run: false };
        backup::make(&store, &plan, &mut Watch(&mut told)).unwrap();
        assert!(told.is_empty(), "{told:?}");
        spoil(&site.zone(name));
    }
}

#[test]
fn what_is_kept_in_reserve_follows_the_smallest_disk() {
    let home = Home::simulated_with_zones(1, 2);
    home.zones.lock().unwrap()[0].set_room(Some(256 << 20));
    let store = home.open();
    make_bucket(&store, B);
    put(&store, "k", &pattern(100_000, 1));
    assert!(store.space().unwrap().available > 100 << 20);
}

/// Keeps what is told of damage.
struct Watch<'a>(&'a mut Vec<String>);

impl backup::Watch for Watch<'_> {
    fn progress(&mut self, _: &str) -> keyfold::model::Result<()> {
        Ok(())
    }

    fn damage(&mut self, finding: keyfold::store::Finding) -> keyfold::model::Result<()> {
        self.0.push(finding.what);
        Ok(())
    }
}

#[test]
fn an_index_is_built_anew_from_all_zones() {
    let site = Site::new(1);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "found");
    site.close(store);
    let dir = site.home.dir.path();
    std::fs::remove_dir_all(dir.join("meta")).unwrap();
    let gone = site.home.try_open_with(site.options_with(&NAMES)).err().unwrap();
    assert_eq!(gone.kind(), Kind::Corrupt, "{gone}");
    site.lose("b");
    let rebuild = || Store::rebuild(dir, site.options_with(&NAMES), (0, 0), false, &mut |_| {});
    assert_eq!(rebuild().err().unwrap().kind(), Kind::StoreUnavailable);
    site.put_back("b");
    rebuild().unwrap();
    let store = site.open();
    all_read(&store, "found");
    fsck(&store);
}

#[test]
fn an_index_is_not_built_anew_of_what_is_left_of_the_zones() {
    let site = Site::new(1);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "found");
    site.close(store);
    let dir = site.home.dir.path();
    std::fs::remove_dir_all(dir.join("meta")).unwrap();
    let full = NAMES.into_iter().find(|name| !data_files(&site.zone(name)).is_empty()).unwrap();
    let rest: Vec<&str> = NAMES.into_iter().filter(|name| *name != full).collect();
    // Of no use to anybody, and yet for a person to look at.
    let stray = Path::new("seg/07/00000001-00007707.seg");
    std::fs::create_dir_all(site.zone(full).join("seg/07")).unwrap();
    std::fs::write(site.zone(full).join(stray), b"").unwrap();
    let rebuild = |names: &[&str], progress: &mut dyn FnMut(&str)| {
        Store::rebuild(dir, site.options_with(names), (0, 0), false, progress)
            .map(|rebuilt| rebuilt.quarantine.unwrap())
    };
    refused(rebuild(&rest, &mut |_| {}), Kind::Conflict);
    let mut gone = false;
    let mut pull = |line: &str| {
        if line.starts_with("reading") && !std::mem::replace(&mut gone, true) {
            site.lose(full);
        }
    };
    refused(rebuild(&NAMES, &mut pull), Kind::StoreUnavailable);
    site.put_back(full);
    let quarantine = rebuild(&NAMES, &mut |_| {}).unwrap();
    let kept = quarantine.strip_prefix(dir).unwrap().join(stray);
    assert!(site.zone(full).join(kept).exists() && !site.zone(full).join(stray).exists());
    let store = site.open();
    all_read(&store, "found");
    fsck(&store);
}

#[test]
fn scrub_reads_every_copy_and_room_is_told_with_all_of_them() {
    let site = Site::new(3);
    let store = site.open();
    make_bucket(&store, B);
    put_all(&store, "checked");
    site.close(store);
    let store = site.open();
    let path =
        data_files(&site.zone("c")).into_iter().find(|path| path.extension().is_some_and(|e| e == "obj")).unwrap();
    let damaged = site.zone("c").join(path);
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&damaged, &bytes).unwrap();
    let mut pass = store.new_scrub_pass().unwrap();
    let mut found = Vec::new();
    while !pass.is_over() {
        found.extend(store.scrub_step(&mut pass, 1 << 20).unwrap());
    }
    assert!(found.is_empty(), "another copy has it: {found:?}");
    let status = store.status().unwrap();
    assert_eq!((status.short_files, status.zones[3].doubtful), (Some(1), 1));
    assert!(status.zones.iter().all(|zone| zone.free.is_some_and(|free| status.space.free <= free)));
    store.refill(&mut |_| Ok(())).unwrap();
    bytes[1_000_000] ^= 1;
    assert!(std::fs::read(&damaged).unwrap() == bytes);
}
