//! Verbs on a store that nobody has mounted, and on one that is: the answers are the same.

use super::bench::Bench;

/// A store with a versioned bucket `photos` and two versions of `cat`.
fn with_history() -> Bench {
    let bench = made();
    bench.ok(&["bucket", "create", "photos"]);
    bench.ok(&["bucket", "set", "photos", "versioning", "Enabled"]);
    bench.mount();
    for text in ["first", "second!"] {
        std::fs::write(bench.mountpoint.join("photos/cat"), text).unwrap();
    }
    bench
}

fn made() -> Bench {
    let bench = Bench::new();
    bench.ok(&["init".as_ref(), bench.store.as_os_str()]);
    bench
}

#[test]
fn every_failure_has_its_status_and_three_lines() {
    let bench = made();
    bench.fails(5, &["init".as_ref(), bench.store.as_os_str()]);
    bench.fails(2, &["bucket", "create", "NotAName"]);
    bench.ok(&["bucket", "create", "photos"]);
    bench.fails(5, &["bucket", "create", "photos"]);
    bench.fails(3, &["ls", "music"]);
    bench.fails(3, &["versions", "photos/none"]);
    bench.fails(2, &["purge", "photos/none", "--version", "not-an-id"]);
    bench.fails(2, &["bucket", "get", "photos", "colour"]);
    bench.fails(3, &["bucket", "get", "photos", "tagging"]);
    bench.fails(5, &["bucket", "unset", "photos", "versioning"]);
    bench.fails(6, &["ls", "--store", "/nonexistent"]);
    bench.fails(3, &["umount".as_ref(), bench.mountpoint.as_os_str()]);
    assert_eq!(bench.run(&["no-such-command"]).status, Some(2));
    let error: serde_json::Value = serde_json::from_str(&bench.run(&["--json", "ls", "music"]).err).unwrap();
    assert_eq!(error["error"]["code"], "NoSuchBucket");
}

#[test]
fn buckets_and_their_settings_need_no_mount() {
    let bench = made();
    bench.ok(&["bucket", "create", "photos"]);
    assert_eq!(bench.ok(&["bucket", "get", "photos", "versioning"]), "Unversioned\n");
    bench.ok(&["bucket", "set", "photos", "versioning", "{\"Status\": \"Enabled\"}"]);
    assert_eq!(bench.json(&["bucket", "ls"])[0]["versioning"], "Enabled");
    let tagging = "{\"TagSet\": [{\"Key\": \"a\", \"Value\": \"b\"}]}";
    bench.ok(&["bucket", "set", "photos", "tagging", tagging]);
    assert_eq!(bench.ok(&["bucket", "get", "photos", "tagging"]), format!("{tagging}\n"));
    bench.fails(2, &["bucket", "set", "photos", "tagging", "{"]);
    assert_eq!(bench.json(&["bucket", "show", "photos"])[0]["settings"][0], "tagging");
    bench.ok(&["bucket", "unset", "photos", "tagging"]);
    bench.ok(&["bucket", "rm", "--dry-run", "photos"]);
    bench.ok(&["bucket", "rm", "photos"]);
    assert!(bench.json(&["bucket", "ls"]).is_empty());
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}

#[test]
fn history_is_the_same_through_the_process_and_without_it() {
    let bench = with_history();
    let live = bench.json(&["versions", "photos/cat"]);
    bench.umount();
    assert_eq!(bench.json(&["versions", "photos/cat"]), live);
    let states: Vec<_> =
        live.iter().map(|row| (row["state"].as_str().unwrap(), row["size"].as_u64().unwrap())).collect();
    assert_eq!(states, [("current", 7), ("noncurrent", 5)]);
}

#[test]
fn restore_undelete_and_purge() {
    let bench = with_history();
    let cat = bench.mountpoint.join("photos/cat");
    bench.ok(&["restore", "photos/cat"]);
    assert_eq!(std::fs::read_to_string(&cat).unwrap(), "first");
    std::fs::remove_file(&cat).unwrap();
    bench.fails(3, &["stat", "photos/cat"]);
    bench.ok(&["undelete".as_ref(), cat.as_os_str()]);
    assert_eq!(std::fs::read_to_string(&cat).unwrap(), "first");
    bench.fails(5, &["undelete", "photos/cat"]);
    let oldest = bench.json(&["versions", "photos/cat"]).pop().unwrap()["version"].as_str().unwrap().to_owned();
    bench.ok(&["purge", "photos/cat", "--version", &oldest, "--dry-run"]);
    bench.ok(&["purge", "photos/cat", "--version", &oldest]);
    bench.fails(3, &["purge", "photos/cat", "--version", &oldest]);
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
    bench.umount();
}

#[test]
fn tags_make_no_version_and_metadata_does() {
    let bench = with_history();
    let count = || bench.json(&["versions", "photos/cat"]).len();
    bench.ok(&["tag", "set", "photos/cat", "project=x", "team=blue"]);
    bench.ok(&["tag", "rm", "photos/cat", "team"]);
    assert_eq!(bench.ok(&["tag", "get", "photos/cat", "project"]), "project  x\n");
    assert_eq!(count(), 2);
    bench.ok(&["meta", "set", "photos/cat", "content-type=image/jpeg", "title=Cat"]);
    assert_eq!(count(), 3);
    let stat = bench.json(&["stat", "photos/cat"]).remove(0);
    assert_eq!(stat["metadata"], serde_json::json!({"content-type": "image/jpeg", "meta.title": "Cat"}));
    bench.umount();
}

#[test]
fn export_writes_plain_files_also_of_the_past() {
    let bench = with_history();
    let since = bench.json(&["versions", "photos/cat"])[1]["since"].as_str().unwrap().to_owned();
    let out = bench.store.with_file_name("out");
    bench.ok(&["export".as_ref(), out.as_os_str()]);
    assert_eq!(std::fs::read_to_string(out.join("photos/cat")).unwrap(), "second!");
    bench.fails(5, &["export".as_ref(), out.as_os_str()]);
    let then = bench.json(&["ls", "photos", "--at", &since]);
    // Printed times end at milliseconds: the version may have begun within that one.
    assert!(then.len() <= 1, "{then:?}");
    bench.umount();
}
