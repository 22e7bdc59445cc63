//! `class`, `classes` and `thaw`, on a store that nobody has mounted and on one that is.

use super::bench::Bench;
use std::time::{Duration, Instant};

fn made() -> Bench {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    bench.ok(&["bucket", "create", "photos"]);
    bench.mount();
    std::fs::create_dir_all(bench.mountpoint.join("photos/old/deep")).unwrap();
    for name in ["a", "old/b", "old/deep/c"] {
        std::fs::write(bench.mountpoint.join("photos").join(name), vec![b'x'; 5000]).unwrap();
    }
    bench
}

#[test]
fn sc_10_the_classes_and_what_they_promise() {
    let bench = Bench::new();
    let told = bench.run(&["classes"]);
    assert!(told.out.lines().count() == 7 && told.err.contains("10,000 years"), "{told:?}");
    let rows = bench.json(&["classes"]);
    let named = |name: &str| rows.iter().find(|row| row["class"] == name).unwrap().clone();
    assert_eq!(
        (named("DEEP_ARCHIVE")["min_days"].as_u64(), named("ONEZONE_IA")["zones"].as_u64()),
        (Some(180), Some(1))
    );
    assert_eq!(named("GLACIER_IR")["min_bytes"].as_u64(), Some(128 << 10));
    assert_eq!(named("GLACIER")["overhead_bytes"].as_u64(), Some(32 << 10));
    assert!(rows.iter().all(|row| row["durability"] == "99.999999999%"));
}

#[test]
fn sc_4_a_class_that_compresses_from_the_shell() {
    let bench = made();
    bench.umount();
    let settings = "[care]\ncompact_rate = 0\n[class.GLACIER_IR]\ncompression = 3\n";
    std::fs::write(bench.store.join("keyfold.toml"), settings).unwrap();
    bench.mount();
    let rows = bench.json(&["classes"]);
    let of = |name: &str, what: &str| rows.iter().find(|row| row["class"] == name).unwrap()[what].clone();
    assert_eq!((of("GLACIER_IR", "compression"), of("STANDARD", "compression")), (3.into(), 0.into()));
    assert_eq!((of("STANDARD", "copies"), of("STANDARD", "lies_in")[0].clone()), (1.into(), "home".into()));
    assert_eq!(bench.ok(&["classes"]).lines().filter(|line| line.contains("home")).count(), 7);
    let (file, bytes) = (bench.mountpoint.join("photos/a"), b"the same line again\n".repeat(100_000));
    std::fs::write(&file, &bytes).unwrap();
    let on_disk = || bench.json(&["stat", "photos/a"]).remove(0)["on_disk"].as_u64().unwrap();
    assert_eq!(on_disk(), bytes.len() as u64);
    bench.ok(&["class", "set", "photos/a", "GLACIER_IR"]);
    let would = bench.ok(&["gc", "--dry-run"]);
    assert!(would.contains("would be moved") && would.contains("1.9 MiB"), "{would}");
    bench.ok(&["gc"]);
    assert!(!bench.ok(&["gc", "--dry-run"]).contains("moved"));
    assert!(on_disk() < bytes.len() as u64 / 50, "{}", on_disk());
    assert!(std::fs::read(&file).unwrap() == bytes);
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}

#[test]
fn lc_13_sc_17_classes_of_objects_trees_and_directories() {
    let bench = made();
    assert_eq!(bench.ok(&["class", "get", "photos/a"]), "STANDARD  a\n");
    bench.ok(&["class", "set", "photos/a", "STANDARD_IA"]);
    bench.fails(2, &["class", "set", "photos/a", "STANDARD"]);
    bench.fails(2, &["class", "set", "--dry-run", "photos/a", "STANDARD"]);
    bench.fails(2, &["class", "set", "photos/a", "COLD"]);
    bench.fails(3, &["class", "get", "photos/none"]);
    assert_eq!(bench.json(&["stat", "photos/a"])[0]["class"], "STANDARD_IA");
    // What would be done is not done.
    let dry = bench.json(&["class", "set", "-r", "--dry-run", "photos", "GLACIER_IR"]);
    assert_eq!((dry[0]["count"].as_u64(), dry[0]["dry_run"].as_bool()), (Some(3), Some(true)));
    assert_eq!(bench.ok(&["class", "get", "-r", "photos/old"]), "STANDARD  old/b\nSTANDARD  old/deep/c\n");
    assert_eq!(bench.json(&["class", "set", "-r", "photos/old", "GLACIER_IR"])[0]["count"].as_u64(), Some(2));
    bench.umount();
    let long = bench.ok(&["ls", "--long", "-r", "photos"]);
    let files = long.lines().filter(|line| !line.ends_with('/'));
    let classes: Vec<_> = files.map(|line| line.split_whitespace().nth(2).unwrap()).collect();
    assert_eq!(classes, ["STANDARD_IA", "GLACIER_IR", "GLACIER_IR"], "{long}");
    // New files have that of the nearest directory.
    bench.ok(&["class", "set", "photos", "STANDARD_IA"]);
    assert_eq!(bench.ok(&["class", "get", "photos/old"]), "STANDARD_IA  photos/old\n");
    bench.mount();
    std::fs::write(bench.mountpoint.join("photos/old/new"), b"x").unwrap();
    assert_eq!(bench.ok(&["class", "get", "photos/old/new"]), "STANDARD_IA  old/new\n");
    bench.ok(&["class", "rm", "photos"]);
    assert_eq!(bench.ok(&["class", "get", "photos"]), "STANDARD  photos/\n");
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}

#[test]
fn rst_2_thaw_waits_until_everything_below_can_be_read() {
    let bench = made();
    bench.umount();
    std::fs::write(bench.store.join("keyfold.toml"), "archive.restore_delay = 'aws'\n[debug]\nday = '1s'\n").unwrap();
    // Days of a second need a store that was made for them.
    assert_ne!(bench.run(&["ls"]).status, Some(0));
    std::fs::write(bench.store.join("keyfold.toml"), "archive.restore_delay = 'none'\n").unwrap();
    bench.mount();
    bench.ok(&["class", "set", "-r", "photos/old", "DEEP_ARCHIVE"]);
    let file = bench.mountpoint.join("photos/old/deep/c");
    assert!(std::fs::read(&file).is_err());
    bench.fails(5, &["thaw", "photos/a"]);
    bench.fails(2, &["thaw", "photos/old/b", "--tier", "Expedited"]);
    bench.fails(2, &["thaw", "photos/old/b", "--tier", "Fast"]);
    bench.fails(2, &["thaw", "photos/old/b", "--days", "0"]);
    let to = bench.store.with_file_name("exported");
    let said = bench.fails(5, &["export".as_ref(), to.as_os_str(), "photos".as_ref()]);
    assert!(said.contains("left out photos/old/b: it lies in DEEP_ARCHIVE") && to.join("a").exists(), "{said}");
    // What is refused of one is told, and keeps no other back.
    std::fs::write(bench.mountpoint.join("photos/old/cold"), b"cold").unwrap();
    bench.ok(&["class", "set", "photos/old/cold", "GLACIER"]);
    let told = bench.run(&["thaw", "-r", "photos", "--tier", "Expedited", "--wait"]);
    assert_eq!(told.status, Some(2), "{told:?}");
    assert!(
        told.out.contains("old/cold") && told.err.contains("old/b: ") && told.err.contains("old/deep/c: "),
        "{told:?}"
    );
    std::fs::remove_file(bench.mountpoint.join("photos/old/cold")).unwrap();
    let begun = Instant::now();
    let rows = bench.json(&["thaw", "-r", "photos", "--days", "2", "--wait"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    let told: Vec<_> = rows.iter().map(|row| (row["key"].as_str().unwrap(), row["state"].as_str().unwrap())).collect();
    assert_eq!(told, [("old/b", "restored"), ("old/deep/c", "restored")]);
    assert_eq!(std::fs::read(&file).unwrap(), vec![b'x'; 5000]);
    let stat = bench.json(&["stat", "photos/old/b"]).remove(0);
    assert!(stat["restore"].as_str().unwrap().starts_with("ongoing-request=\"false\""), "{stat}");
    let events = bench.ok(&["events", "tail", "--json"]);
    assert!(events.contains("ObjectRestore:Post") && events.contains("ObjectRestore:Completed"), "{events}");
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}
