//! Users, access keys and presigned URLs from the command line, through a process and without one.

use super::bench::Bench;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const ENDPOINT: [&str; 2] = ["--endpoint", "http://127.0.0.1:9000"];

/// A store and the owner's first key, as `init` prints it.
fn made() -> (Bench, Value) {
    let bench = Bench::new();
    let rows = bench.json(&["init".as_ref(), bench.store.as_os_str()]);
    assert_eq!((rows.len(), &rows[0]["act"]), (2, &Value::from("created")));
    (bench, rows[1].clone())
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

fn presign<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["presign"], &ENDPOINT[..], args].concat()
}

fn presigned(bench: &Bench, args: &[&str]) -> Value {
    bench.json(&presign(args)).remove(0)
}

#[test]
fn auth_1_init_shows_the_owners_key_once() {
    let bench = Bench::new();
    let ran = bench.run(&["init".as_ref(), bench.store.as_os_str()]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.status, lines.len()), (Some(0), 3), "{ran:?}");
    assert_eq!(lines[0], format!("created {}", bench.store.display()));
    let id = lines[1].strip_prefix("access key id:  ").unwrap();
    let secret = lines[2].strip_prefix("secret access key:  ").unwrap();
    assert_eq!((id.len(), secret.len()), (20, 40));
    assert!(ran.err.contains("the only time"), "{ran:?}");
    let listed = bench.run(&["access-key", "list"]);
    assert!(listed.out.contains(id) && !listed.out.contains(secret), "{listed:?}");
    assert!(bench.json(&["access-key", "list"])[0].get("secret").is_none());
    let mode = bench.store.join("access.key").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn auth_1_keys_and_users_are_the_same_through_the_process_and_without_it() {
    let (bench, first) = made();
    let state = |bench: &Bench| (bench.json(&["user", "list"]), bench.json(&["access-key", "list"]));
    let work = |name: &str| {
        let user = bench.json(&["user", "add", name, "--uid", &format!("7{}", name.len()), "--create-buckets"]);
        assert_eq!((text(&user[0], "user"), &user[0]["create_buckets"]), (name, &Value::from(true)));
        let key = bench.json(&["access-key", "create", "--user", name]).remove(0);
        let id = text(&key, "access_key").to_owned();
        assert_eq!((text(&key, "user"), text(&key, "secret").len()), (name, 40));
        bench.ok(&["access-key", "disable", &id]);
        let listed = bench.json(&["access-key", "list", "--user", name]);
        assert_eq!((listed.len(), &listed[0]["enabled"]), (1, &Value::from(false)));
        bench.ok(&["access-key", "enable", &id]);
        bench.fails(5, &["user", "add", name, "--uid", "79"]);
        id
    };
    let id = work("a");
    let before = state(&bench);
    assert_eq!((before.0.len(), before.1.len(), &before.0[0]["access_keys"]), (1, 2, &Value::from(1)));
    bench.mount();
    assert_eq!(state(&bench), before);
    work("bb");
    let before = state(&bench);
    bench.ok(&["user", "remove", "--dry-run", "bb"]);
    bench.ok(&["access-key", "delete", "--dry-run", &id]);
    assert_eq!(state(&bench), before);
    bench.ok(&["access-key", "delete", &id]);
    bench.ok(&["user", "remove", "bb"]);
    let left = state(&bench);
    bench.umount();
    assert_eq!(state(&bench), left);
    assert_eq!((left.0.len(), &left.1[0]["access_key"], left.1.len()), (1, &first["access_key"], 1));
    assert_eq!(bench.run(&["fsck"]).status, Some(0));
}

#[test]
fn what_cannot_be_is_refused_with_its_status() {
    let (bench, first) = made();
    let none = "KF234567ABCDEFGHIJKL";
    for args in [
        &["access-key", "enable", none][..],
        &["access-key", "disable", "nonsense"],
        &["access-key", "delete", none],
        &["access-key", "delete", "--dry-run", none],
        &["access-key", "create", "--user", "nobody-is-called-so"],
        &["access-key", "list", "--user", "nobody-is-called-so"],
        &["user", "remove", "nobody-is-called-so"],
        &["user", "remove", "--dry-run", "nobody-is-called-so"],
    ] {
        bench.fails(3, args);
    }
    for args in [
        &["user", "add", "a/b", "--uid", "70001"][..],
        &["user", "add", "root"],
        &["user", "add", "zero", "--uid", "0"],
        &["user", "add", "nobody-is-called-so"],
    ] {
        bench.fails(2, args);
    }
    // The machine's user of that name.
    let user = bench.json(&["user", "add", "nobody"]).remove(0);
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let entry = passwd.lines().find(|line| line.starts_with("nobody:")).unwrap();
    let ids: Vec<Value> = entry.split(':').skip(2).take(2).map(|id| Value::from(id.parse::<u32>().unwrap())).collect();
    assert_eq!(ids, [user["uid"].clone(), user["gid"].clone()]);

    bench.ok(&["bucket", "create", "photos"]);
    bench.fails(3, &presign(&["music/cat"]));
    bench.fails(2, &presign(&["photos"]));
    bench.fails(3, &presign(&["photos/cat", "--access-key", none]));
    bench.fails(2, &["presign", "photos/cat", "--endpoint", "127.0.0.1:9000"]);
    assert_eq!(bench.run(&["presign", "photos/cat"]).status, Some(2));
    for (time, status) in [("0", 2), ("1", 0), ("7d", 0), ("604800", 0), ("604801", 2), ("169h", 2), ("1500ms", 2)] {
        let ran = bench.run(&presign(&["photos/cat", "--expires", time]));
        assert_eq!(ran.status, Some(status), "auth_4: {time}: {ran:?}");
    }
    bench.ok(&["access-key", "disable", text(&first, "access_key")]);
    bench.fails(4, &presign(&["photos/cat", "--access-key", text(&first, "access_key")]));
    bench.fails(3, &presign(&["photos/cat"]));
}

#[test]
fn auth_4_presign_signs_with_the_key_and_for_the_method_that_are_named() {
    let (bench, first) = made();
    bench.ok(&["bucket", "create", "photos"]);
    let url = presigned(&bench, &["photos/a cat.jpg"]);
    let start = "http://127.0.0.1:9000/photos/a%20cat.jpg?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=";
    assert!(text(&url, "url").starts_with(&format!("{start}{}%2F", text(&first, "access_key"))), "{url}");
    assert!(text(&url, "url").contains("&X-Amz-Expires=3600&"), "{url}");
    assert_eq!((text(&url, "method"), text(&url, "access_key")), ("GET", text(&first, "access_key")));
    // Without a secret in sight.
    assert!(!url.to_string().contains(text(&first, "secret")));
    let other = bench.json(&["access-key", "create"]).remove(0);
    let url = presigned(&bench, &["photos/cat", "--put", "--access-key", text(&other, "access_key"), "--region", "eu"]);
    assert_eq!(text(&url, "method"), "PUT");
    let scope = format!("{}%2F", text(&other, "access_key"));
    assert!(text(&url, "url").contains(&scope) && text(&url, "url").contains("%2Feu%2Fs3%2F"), "{url}");
    // By a path on a mount, and of a version there.
    bench.ok(&["bucket", "set", "photos", "versioning", "Enabled"]);
    bench.mount();
    let file = bench.mountpoint.join("photos/cat");
    std::fs::write(&file, "one").unwrap();
    let version = bench.json(&["versions", "photos/cat"])[0]["version"].as_str().unwrap().to_owned();
    let url = presigned(&bench, &[file.to_str().unwrap(), "--version", &version]);
    assert!(text(&url, "url").contains("/photos/cat?"), "{url}");
    assert!(text(&url, "url").contains(&format!("&versionId={version}&X-Amz-Signature=")), "{url}");
    bench.umount();
}

#[test]
fn keys_come_back_with_a_backup_and_go_with_the_index() {
    let (bench, first) = made();
    bench.ok(&["bucket", "create", "photos"]);
    bench.ok(&["user", "add", "anna", "--uid", "70001"]);
    let store = bench.store.to_str().unwrap();
    let dest = bench.store.with_file_name("backups");
    bench.ok(&["backup", store, dest.to_str().unwrap()]);
    bench.ok(&["backup", store, dest.to_str().unwrap()]);
    let backups = bench.json(&["backup", "--list", dest.to_str().unwrap()]);
    let again = bench.store.with_file_name("again");
    let backup = text(&backups[1], "backup");
    let ran = bench.run(&["backup", "--restore", backup, again.to_str().unwrap()]);
    assert!(ran.status == Some(0) && ran.err.contains("deleted since works again"), "{ran:?}");
    for place in [Path::new(backup), &again] {
        let place_text = place.to_str().unwrap();
        assert_eq!(place.join("access.key").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(bench.json(&["user", "list", "--store", place_text])[0]["user"], "anna");
        let url = presigned(&bench, &["--store", place_text, "photos/cat"]);
        assert_eq!(url["access_key"], first["access_key"]);
    }
    bench.fails(4, &["access-key", "create", "--store", backup]);
    // One file missing of a backup is told.
    std::fs::remove_file(Path::new(backup).join("access.key")).unwrap();
    let ran = bench.run(&["backup", "--restore", backup, bench.store.with_file_name("third").to_str().unwrap()]);
    assert!(ran.status == Some(7) && ran.out.contains("1 files are missing"), "{ran:?}");

    let said = bench.ok(&["fsck", "--rebuild", store]);
    assert!(said.contains("users and access keys"), "{said}");
    assert!(bench.json(&["user", "list"]).is_empty() && bench.json(&["access-key", "list"]).is_empty());
    bench.ok(&["access-key", "create"]);
    // One that is lost is told of, and how to mend it.
    let seen = |args: &[&str]| bench.run(args);
    let key_file = again.join("access.key");
    assert!(seen(&["doctor", again.to_str().unwrap()]).out.contains("access.key is there"));
    std::fs::set_permissions(&key_file, PermissionsExt::from_mode(0o644)).unwrap();
    assert!(seen(&["doctor", again.to_str().unwrap()]).out.contains("chmod 600"));
    std::fs::remove_file(&key_file).unwrap();
    assert!(seen(&["doctor", again.to_str().unwrap()]).out.contains("which `keyfold fsck` tells"));
    let ran = seen(&["fsck", again.to_str().unwrap()]);
    assert!(ran.status == Some(7) && ran.out.contains("access-keys-have-their-file"), "{ran:?}");
    assert!(ran.out.contains("put the file back from a backup"), "{ran:?}");
    // A key file that does not fit is told of when it is needed.
    std::fs::write(again.join("access.key"), "nonsense\n").unwrap();
    bench.ok(&["fsck", again.to_str().unwrap()]);
    let again = again.to_str().unwrap();
    bench.fails(7, &presign(&["--store", again, "photos/cat"]));
    bench.fails(7, &["access-key", "create", "--store", again]);
}
