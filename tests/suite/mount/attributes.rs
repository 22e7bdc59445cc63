//! Extended attributes through the kernel: what is listed, set, carried, refused; `info` tells all.

use super::{Mounted, errno, text};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

fn get(path: &Path, name: &str) -> Option<String> {
    xattr::get(path, name).unwrap().map(|bytes| text(&bytes))
}

fn listed(path: &Path) -> BTreeSet<String> {
    xattr::list(path).unwrap().map(|name| name.into_string().unwrap()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn tags_and_metadata_are_set_read_listed_and_removed() {
    let mut mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, b"x").unwrap();
    assert_eq!(listed(&file), names(&[]));
    for (name, value) in [("tag.env", "prod"), ("meta.colour", "red"), ("content-type", "text/plain")] {
        xattr::set(&file, format!("user.s3.{name}"), value.as_bytes()).unwrap();
    }
    xattr::set(&file, "user.mine", b"\0\xff").unwrap();
    xattr::set(&file, "trusted.mine", b"t").unwrap();
    let all = names(&["user.s3.tag.env", "user.s3.meta.colour", "user.s3.content-type", "user.mine", "trusted.mine"]);
    assert_eq!(listed(&file), all);
    mounted.restart();
    assert_eq!(listed(&file), all);
    assert_eq!(get(&file, "user.s3.tag.env").as_deref(), Some("prod"));
    assert_eq!(get(&file, "user.s3.tags").as_deref(), Some("env=prod"));
    assert_eq!(xattr::get(&file, "user.mine").unwrap().unwrap(), b"\0\xff");
    assert_eq!(get(&file, "s3.tag.env").as_deref(), Some("prod"));
    xattr::remove(&file, "user.s3.tag.env").unwrap();
    assert_eq!(get(&file, "user.s3.tag.env"), None);
    assert_eq!(errno(xattr::remove(&file, "user.s3.tag.env")), Errno::ENODATA);
    xattr::set(&file, "user.s3.tags", b"a=1&b=2").unwrap();
    assert_eq!(get(&file, "user.s3.tag.b").as_deref(), Some("2"));
}

/// A change of tags is none of the object (TAG-2); one of metadata makes a version, as CopyObject does.
#[test]
fn tags_make_no_version_and_metadata_does() {
    let mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, b"x").unwrap();
    xattr::set(&file, "user.s3.tag.a", b"1").unwrap();
    xattr::set(&file, "user.other", b"1").unwrap();
    assert_eq!(mounted.versions("f").len(), 1);
    xattr::set(&file, "user.s3.meta.a", b"1").unwrap();
    assert_eq!(mounted.versions("f").len(), 2);
    // Set on a file that is being written, it belongs to the version that comes.
    let writer = fs::File::create(mounted.path("g")).unwrap();
    xattr::FileExt::set_xattr(&writer, "user.s3.meta.a", b"1").unwrap();
    xattr::FileExt::set_xattr(&writer, "user.s3.content-type", b"text/html").unwrap();
    drop(writer);
    assert_eq!(mounted.versions("g").len(), 1);
    assert_eq!(get(&mounted.path("g"), "user.s3.content-type").as_deref(), Some("text/html"));
}

#[test]
fn what_cannot_be_set_is_refused_by_its_own_error() {
    let mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, b"x").unwrap();
    let set = |name: &str, value: &[u8]| xattr::set(&file, name, value);
    assert_eq!(errno(set("user.s3.no-such-name", b"1")), Errno::EOPNOTSUPP);
    assert_eq!(get(&file, "user.s3.no-such-name"), None);
    assert_eq!(errno(set("user.s3.etag", b"1")), Errno::EPERM);
    assert_eq!(errno(set("security.selinux", b"1")), Errno::EOPNOTSUPP);
    assert_eq!(errno(set("system.posix_acl_access", b"\x02\0\0\0")), Errno::EOPNOTSUPP);
    assert_eq!(errno(set("user.s3.tags", b"a=1&a=2")), Errno::EINVAL);
    assert_eq!(errno(set("user.s3.meta.big", &[b'x'; 3000])), Errno::ENOSPC);
    for number in 0..10 {
        set(&format!("user.s3.tag.k{number}"), b"v").unwrap();
    }
    assert_eq!(errno(set("user.s3.tag.eleventh", b"v")), Errno::ENOSPC);
    let last = mounted.errors().lines().last().unwrap().to_owned();
    for part in ["\"what\":", "\"why\":", "\"mend\":", "eleventh", "10 tags"] {
        assert!(last.contains(part), "{last}");
    }
    // The command line says the same in three lines.
    let output = mounted.keyfold(&["tag", "set", "f", "eleventh=v"]);
    let said = text(&output.stderr);
    assert_eq!(said.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(), ["error", "why", "mend"]);
    assert!(!output.status.success());
}

#[test]
fn info_tells_all_of_files_versions_directories_and_buckets() {
    let mounted = Mounted::versioned();
    mounted.sh("mkdir d; echo hello > d/f; echo world! > d/f; setfattr -n user.s3.tag.a -v b d/f; rm -f d/g; echo x > d/g; rm d/g");
    let info =
        |path: &Path| -> serde_json::Value { serde_json::from_str(&get(path, "user.s3.info").unwrap()).unwrap() };
    let file = info(&mounted.path("d/f"));
    assert_eq!((&file["type"], &file["key"], &file["size"]), (&"object".into(), &"d/f".into(), &7.into()));
    assert_eq!((&file["tags"], &file["is-latest"]), (&"a=b".into(), &true.into()));
    for name in ["version-id", "etag", "last-modified", "owner", "storage-class", "checksum.crc64nvme"] {
        assert!(file[name].is_string(), "{name}: {file:#}");
    }
    let versions = mounted.versions("d/f");
    let version = info(&mounted.version("d/f", &versions[1]));
    assert_eq!(
        (&version["type"], &version["size"], &version["is-latest"]),
        (&"version".into(), &6.into(), &false.into())
    );
    assert!(versions[1].ends_with(version["version-id"].as_str().unwrap()));
    assert_eq!(info(&mounted.version("d/g", &mounted.versions("d/g")[0]))["type"], "delete-marker");
    let directory = info(&mounted.path("d"));
    assert_eq!(
        (&directory["type"], &directory["rbytes"], &directory["rentries"]),
        (&"directory".into(), &7.into(), &1.into())
    );
    let bucket = info(&mounted.path(""));
    assert_eq!(
        (&bucket["type"], &bucket["versioning"], &bucket["rbytes"]),
        (&"bucket".into(), &"Enabled".into(), &7.into())
    );
    // Each name that info tells of a file can be asked for by itself.
    for (name, value) in file.as_object().unwrap() {
        if !["type", "bucket", "size", "stored", "published"].contains(&name.as_str()) && !value.is_null() {
            assert!(get(&mounted.path("d/f"), &format!("user.s3.{name}")).is_some(), "{name}");
        }
    }
}

#[test]
fn xattr_list_all_lists_computed_names_and_takes_their_sets() {
    let mut mounted = Mounted::versioned();
    mounted.sh("echo 1 > f; setfattr -n user.s3.tag.a -v b f");
    mounted.remount("xattr_list=all");
    let file = mounted.path("f");
    let all = listed(&file);
    assert!(
        all.contains("user.s3.etag") && all.contains("user.s3.version-id") && all.contains("user.s3.tag.a"),
        "{all:?}"
    );
    let etag = get(&file, "user.s3.etag");
    mounted
        .sh("cp -a f g; rsync -aX f h; tar --xattrs -cf - f | (mkdir t; tar --xattrs --xattrs-include='*' -xf - -C t)");
    xattr::set(&file, "user.s3.etag", b"forged").unwrap();
    assert_eq!(get(&file, "user.s3.etag"), etag);
    assert_eq!(get(&mounted.path("h"), "user.s3.tag.a").as_deref(), Some("b"));
    mounted.remount("xattr_list=user");
    assert_eq!(listed(&file), names(&["user.s3.tag.a"]));
}

#[test]
fn etag_and_checksum_fit_the_bytes() {
    let mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, b"123456789").unwrap();
    // The check value of CRC-64/NVME is AE8B14860A799888.
    assert_eq!(get(&file, "user.s3.checksum.crc64nvme").as_deref(), Some("rosUhgp5mIg="));
    let before = get(&file, "user.s3.etag").unwrap();
    fs::write(&file, b"1234567890").unwrap();
    assert_ne!(get(&file, "user.s3.etag").unwrap(), before);
}

#[test]
fn symlinks_and_special_files_have_the_alias() {
    let mounted = Mounted::start();
    mounted.sh("ln -s nowhere link; setfattr -h -n s3.tag.a -v b link; test \"$(getfattr -h -n s3.tag.a --only-values link)\" = b
        getfattr -h -n s3.info --only-values link > /dev/null");
}

/// A commit lets the bytes it replaces go at once: who has just looked them up looks again.
#[test]
fn the_checksum_of_a_file_that_is_written_all_the_time_can_be_read() {
    let mounted = Mounted::versioned();
    let file = mounted.path("busy");
    fs::write(&file, vec![1; 300_000]).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = fs::File::options().write(true).open(&file).unwrap();
            for n in 0u64.. {
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                writer.write_all_at(&[2; 100], n * 4099 % 290_000).unwrap();
                writer.sync_data().unwrap();
            }
        });
        for _ in 0..300 {
            let read = xattr::get(&file, "user.s3.checksum.crc64nvme");
            done.store(read.is_err(), std::sync::atomic::Ordering::Relaxed);
            assert!(read.unwrap().is_some());
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
