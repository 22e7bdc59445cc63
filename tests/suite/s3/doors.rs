//! Both doors at once: what S3 acknowledges the mount shows in its next call, and the reverse (GEN-1).

use super::harness::{Client, mounted, mounted_with};
use crate::mount::errno;
use nix::errno::Errno;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;

fn script(client: &Client, act: &str, arguments: &[&str]) -> String {
    let all: Vec<&str> = std::iter::once(act).chain(arguments.iter().copied()).collect();
    client.script("doors.py", &all)
}

#[test]
fn gen_1_what_s3_acknowledges_the_mount_shows() {
    let (mounted, client) = mounted();
    let s3 = |act: &str, arguments: &[&str]| script(&client, act, arguments);
    let absent =
        |name: &str| matches!(fs::metadata(mounted.path(name)), Err(error) if error.kind() == ErrorKind::NotFound);
    // The kernel keeps that there is none.
    assert!(absent("d/f") && absent("d"));
    s3("put", &["bkt", "d/f", "one"]);
    assert_eq!(fs::read(mounted.path("d/f")).unwrap(), b"one");
    // It keeps bytes, length and attributes as well.
    let mut open = fs::File::open(mounted.path("d/f")).unwrap();
    s3("put", &["bkt", "d/f", "three"]);
    assert_eq!(fs::metadata(mounted.path("d/f")).unwrap().len(), 5);
    assert_eq!(fs::read(mounted.path("d/f")).unwrap(), b"three");
    let mut seen = String::new();
    open.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "three");
    s3("tag", &["bkt", "d/f", "color", "blue"]);
    assert_eq!(xattr::get(mounted.path("d/f"), "user.s3.tag.color").unwrap().as_deref(), Some(&b"blue"[..]));
    s3("copy", &["bkt", "d/f", "bkt", "d/copy"]);
    assert_eq!(fs::read(mounted.path("d/copy")).unwrap(), b"three");
    s3("multipart", &["bkt", "big"]);
    assert_eq!(fs::metadata(mounted.path("big")).unwrap().len(), (5 << 20) + 4);
    s3("delete", &["bkt", "d/f"]);
    assert!(absent("d/f"));
    s3("delete", &["bkt", "d/copy"]);
    assert!(absent("d"), "the last key of a directory takes it along (KEY-6)");
    s3("bucket", &["fresh"]);
    assert!(fs::metadata(mounted.root().join("fresh")).unwrap().is_dir());
    s3("versioning", &["fresh"]);
    assert_eq!(
        xattr::get(mounted.root().join("fresh"), "user.s3.versioning").unwrap().as_deref(),
        Some(&b"Enabled"[..])
    );
    s3("put", &["fresh", "v", "1"]);
    s3("put", &["fresh", "v", "2"]);
    assert_eq!(fs::read_dir(mounted.root().join("fresh/.versions/v")).unwrap().count(), 2);
    // KEY-7, KEY-9: keys that no path can spell stand under their escapes.
    s3("put", &["bkt", "odd//key", "odd"]);
    assert_eq!(fs::read(mounted.path("odd/.@empty/key")).unwrap(), b"odd");
    s3("put", &["bkt", "odd/../up", "up"]);
    assert_eq!(fs::read(mounted.path("odd/.@dotdot/up")).unwrap(), b"up");
    s3("put", &["bkt", "marked/", "body"]);
    assert_eq!(fs::read(mounted.path("marked/.@self")).unwrap(), b"body");
    mounted.fsck();
}

#[test]
fn a_quota_holds_at_both_doors() {
    let (mounted, client) = mounted();
    let s3 = |act: &str, arguments: &[&str]| script(&client, act, arguments);
    xattr::set(mounted.path(""), "user.s3.quota", b"10").unwrap();
    s3("put", &["bkt", "k", "ten bytes!"]);
    assert_eq!(s3("refused", &["put", "bkt", "more", "x"]), "403 QuotaExceeded");
    assert_eq!(errno(fs::write(mounted.path("file"), b"x")), Errno::EDQUOT);
    s3("delete", &["bkt", "k"]);
    s3("put", &["bkt", "more", "x"]);
    fs::write(mounted.path("file"), b"x").unwrap();
}

#[test]
fn gen_1_what_the_mount_publishes_s3_shows() {
    let (mounted, client) = mounted();
    let s3 = |act: &str, arguments: &[&str]| script(&client, act, arguments);
    assert_eq!(s3("get", &["bkt", "d/f"]), "NoSuchKey");
    fs::create_dir(mounted.path("d")).unwrap();
    let mut file = fs::File::create(mounted.path("d/f")).unwrap();
    file.write_all(b"unfinished").unwrap();
    drop(file);
    assert_eq!(s3("get", &["bkt", "d/f"]), "unfinished");
    assert_eq!(s3("list", &["bkt"]), "d/ d/f");
    xattr::set(mounted.path("d/f"), "user.s3.meta.title", b"words").unwrap();
    xattr::set(mounted.path("d/f"), "user.s3.tag.color", b"red").unwrap();
    assert_eq!(s3("describe", &["bkt", "d/f"]), "title=words color=red");
    fs::rename(mounted.path("d"), mounted.path("e")).unwrap();
    assert_eq!(s3("list", &["bkt"]), "e/ e/f");
    let mut file = fs::OpenOptions::new().append(true).open(mounted.path("e/f")).unwrap();
    file.write_all(b", then more").unwrap();
    drop(file);
    assert_eq!(s3("get", &["bkt", "e/f"]), "unfinished, then more");
    fs::remove_dir_all(mounted.path("e")).unwrap();
    assert_eq!(s3("list", &["bkt"]), "");
    mounted.fsck();
}

/// SUM-8, SUM-9: a checksum that S3's client chose is an attribute until the bytes are others.
#[test]
fn sum_8_the_mount_shows_checksums_that_s3_keeps() {
    let (mounted, client) = mounted();
    let attribute =
        |name: &str| xattr::get(mounted.path("f"), name).unwrap().map(|value| String::from_utf8(value).unwrap());
    let (sum, kind) = ("user.s3.checksum.sha256", "user.s3.checksum-type");
    let told = script(&client, "summed", &["bkt", "f", "hello", "SHA256"]);
    assert_eq!(told, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    assert_eq!((attribute(sum), attribute(kind).as_deref()), (Some(told), Some("FULL_OBJECT")));
    script(&client, "multipart", &["bkt", "f"]);
    assert_eq!((attribute(sum), attribute(kind).as_deref()), (None, Some("COMPOSITE")));
    assert!(attribute("user.s3.checksum.sha1").unwrap().ends_with("-2"));
    fs::write(mounted.path("f"), "other").unwrap();
    assert_eq!((attribute("user.s3.checksum.sha1"), attribute(kind).as_deref()), (None, Some("FULL_OBJECT")));
}

/// SUM-8: who asks for all names is told of the checksum that is there, and of no other.
#[test]
fn sum_8_names_of_checksums_are_listed_when_all_are() {
    let (mounted, client) = mounted_with("s3=127.0.0.1:0,xattr_list=all", None);
    let sums = |name: &str| -> Vec<String> {
        let listed = xattr::list(mounted.path(name)).unwrap().map(|name| name.into_string().unwrap());
        listed.filter(|name| name.starts_with("user.s3.checksum")).collect()
    };
    script(&client, "summed", &["bkt", "f", "hello", "SHA256"]);
    let crc64 = "user.s3.checksum.crc64nvme";
    assert_eq!(sums("f"), [crc64, "user.s3.checksum.sha256", "user.s3.checksum-type"]);
    script(&client, "summed", &["bkt", "f", "hello", "CRC32"]);
    assert_eq!(sums("f"), ["user.s3.checksum.crc32", crc64, "user.s3.checksum-type"]);
    fs::write(mounted.path("f"), "other").unwrap();
    assert_eq!(sums("f"), [crc64, "user.s3.checksum-type"]);
}

/// CORS-2: the file of a bucket's rules and its document over HTTP are one.
#[test]
fn cors_2_rules_are_the_same_at_both_doors() {
    let (mounted, client) = mounted();
    let s3 = |act: &str, arguments: &[&str]| script(&client, act, arguments);
    let file = mounted.path(".keyfold/cors.json");
    assert_eq!(s3("cors", &["bkt"]), "NoSuchCORSConfiguration");
    assert!(matches!(fs::metadata(&file), Err(error) if error.kind() == ErrorKind::NotFound));
    // Set over HTTP, it is read, changed and obeyed by the file.
    s3("cors", &["bkt", "http://one"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("http://one"), "{text}");
    fs::write(&file, text.replace("http://one", "http://two")).unwrap();
    assert_eq!(s3("cors", &["bkt"]), "http://two");
    assert_eq!(s3("preflight", &["bkt", "http://one"]), "403");
    assert_eq!(s3("preflight", &["bkt", "http://two"]), "200");
    // What HTTP would refuse the file refuses, and the old one stays.
    let refused = fs::write(&file, text.replace("http://one", "http://*.*")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(s3("cors", &["bkt"]), "http://two");
    // The kernel has read it before.
    s3("cors", &["bkt", "http://three", "http://four"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("http://four") && !text.contains("http://two"), "{text}");
    assert_eq!(xattr::get(mounted.path(""), "user.s3.cors").unwrap().unwrap(), text.as_bytes());
    fs::remove_file(&file).unwrap();
    assert_eq!(s3("cors", &["bkt"]), "NoSuchCORSConfiguration");
    assert_eq!(s3("preflight", &["bkt", "http://three"]), "403");
    s3("cors", &["bkt", "http://five"]);
    s3("cors", &["bkt", "none"]);
    assert!(matches!(fs::metadata(&file), Err(error) if error.kind() == ErrorKind::NotFound));
    mounted.fsck();
}

/// ACL-1: access lists are off, and both doors tell and take the one that this means.
#[test]
fn acl_1_the_access_list_is_the_same_at_both_doors() {
    let (mounted, client) = mounted();
    let file = mounted.path(".keyfold/acl.json");
    let text = fs::read_to_string(&file).unwrap();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let told = client.aws(&["s3api", "get-bucket-acl", "--bucket", "bkt", "--output", "json"]);
    assert_eq!(json(&text), json(&told));
    // It may be said again, and is never another.
    fs::write(&file, &text).unwrap();
    client.aws(&["s3api", "put-bucket-acl", "--bucket", "bkt", "--access-control-policy", &text]);
    let refused = fs::write(&file, text.replace("FULL_CONTROL", "READ")).unwrap_err();
    assert_eq!(Errno::from_raw(refused.raw_os_error().unwrap()), Errno::EOPNOTSUPP);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(fs::remove_file(&file).is_err());
}

/// A file that was there keeps its mode and owner when S3 puts other bytes; a new one is the caller's.
#[test]
fn fsx_files_of_s3_belong_to_who_put_them() {
    let (mounted, client) = mounted();
    script(&client, "put", &["bkt", "new", "1"]);
    let new = fs::metadata(mounted.path("new")).unwrap();
    let owner = fs::metadata(mounted.store()).unwrap();
    assert_eq!((new.mode() & 0o777, new.uid(), new.gid()), (0o644, owner.uid(), owner.gid()));
    mounted.run("chmod", &["600", "new"]);
    script(&client, "put", &["bkt", "new", "2"]);
    assert_eq!(fs::metadata(mounted.path("new")).unwrap().mode() & 0o777, 0o600);
}

/// Writers at both doors on the same keys: every answer is one of what was written, whole, and both doors agree in the end.
#[test]
fn gen_1_both_doors_under_load_agree() {
    let (mounted, client) = mounted();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..60 {
                for key in 0..4 {
                    let whole = format!("m{round:03}").repeat(if round % 2 == 0 { 10 } else { 20_000 });
                    fs::write(mounted.path(&format!("k{key}")), whole).unwrap();
                }
            }
        });
        script(&client, "load", &["bkt", "4", "40"]);
        writer.join().unwrap();
    });
    for key in 0..4 {
        let name = format!("k{key}");
        let here = fs::read_to_string(mounted.path(&name)).unwrap();
        assert!(here.as_bytes().chunks(4).all(|piece| piece == &here.as_bytes()[..4]), "{}", &here[..40]);
        assert_eq!(script(&client, "digest", &["bkt", &name]), format!("{} {}", here.len(), &here[..4]));
    }
    mounted.fsck();
}
