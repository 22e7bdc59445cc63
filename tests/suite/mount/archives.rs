//! Storage classes and archived files through the kernel: `setfattr`, `getfattr`, `cat`, `cp` and what they are refused.

use super::{Mounted, errno, text};
use nix::errno::Errno;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const CLASS: &str = "user.s3.storage-class";
const RESTORE: &str = "user.s3.restore";

fn get(path: &Path, name: &str) -> Option<String> {
    xattr::get(path, name).unwrap().map(|bytes| text(&bytes))
}

fn class(path: &Path) -> String {
    get(path, CLASS).unwrap()
}

#[test]
fn lc_13_sc_12_a_file_goes_down_by_its_attribute_and_no_other_way() {
    let mut mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, b"bytes").unwrap();
    let (id, modified) = (get(&file, "user.s3.version-id"), get(&file, "user.s3.last-modified"));
    for to in ["STANDARD_IA", "GLACIER_IR"] {
        xattr::set(&file, CLASS, to.as_bytes()).unwrap();
        assert_eq!(class(&file), to);
    }
    for bad in ["STANDARD", "ONEZONE_IA", "INTELLIGENT_TIERING", "COLD", ""] {
        assert_eq!(errno(xattr::set(&file, CLASS, bad.as_bytes())), Errno::EINVAL, "{bad}");
    }
    assert_eq!(errno(xattr::remove(&file, CLASS)), Errno::EINVAL);
    assert_eq!(fs::read(&file).unwrap(), b"bytes");
    assert_eq!((get(&file, "user.s3.version-id"), get(&file, "user.s3.last-modified")), (id, modified), "LC-31");
    assert_eq!(mounted.versions("f").len(), 1);
    mounted.restart();
    assert_eq!(class(&mounted.path("f")), "GLACIER_IR");
    // A new version keeps the class, as the file has it.
    fs::write(mounted.path("f"), b"more").unwrap();
    assert_eq!(class(&mounted.path("f")), "GLACIER_IR");
    mounted.fsck();
}

#[test]
fn sc_11_new_files_take_the_class_of_the_directory() {
    let mut mounted = Mounted::start();
    fs::create_dir_all(mounted.path("a/b")).unwrap();
    let (a, b) = (mounted.path("a"), mounted.path("a/b"));
    assert_eq!(get(&a, CLASS), None);
    xattr::set(&a, CLASS, b"STANDARD_IA").unwrap();
    assert_eq!(errno(xattr::set(&a, CLASS, b"COLD")), Errno::EINVAL);
    fs::write(b.join("f"), b"bytes").unwrap();
    mounted.sh("cp a/b/f a/g; cp a/b/f h; ln -s f a/link; mkdir a/c; echo x > a/c/i");
    mounted.restart();
    let found = ["a/b/f", "a/g", "h", "a/c/i"].map(|path| class(&mounted.path(path)));
    assert_eq!(found, ["STANDARD_IA", "STANDARD_IA", "STANDARD", "STANDARD_IA"]);
    xattr::set(mounted.path("a/b"), CLASS, b"DEEP_ARCHIVE").unwrap();
    // It is readable as long as who writes it has it open.
    let mut file =
        OpenOptions::new().create(true).truncate(true).read(true).write(true).open(mounted.path("a/b/new")).unwrap();
    file.write_all(b"bytes").unwrap();
    drop(file);
    assert_eq!(class(&mounted.path("a/b/new")), "DEEP_ARCHIVE");
    assert_eq!(errno(fs::read(mounted.path("a/b/new"))), Errno::EREMOTE);
    xattr::remove(mounted.path("a"), CLASS).unwrap();
    assert_eq!(errno(xattr::remove(mounted.path("a"), CLASS)), Errno::ENODATA);
    fs::write(mounted.path("a/last"), b"").unwrap();
    assert_eq!(class(&mounted.path("a/last")), "STANDARD");
    mounted.fsck();
}

#[test]
fn rst_9_an_archived_file_is_refused_at_open_until_it_is_restored() {
    let mut mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, vec![7; 300_000]).unwrap();
    fs::read(&file).unwrap();
    // Who has it open keeps what it has, and its pages.
    let mut open = fs::File::open(&file).unwrap();
    xattr::set(&file, CLASS, b"GLACIER").unwrap();
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, vec![7; 300_000]);
    let version = mounted.version("f", &mounted.versions("f")[0]);
    let refused = |mounted: &Mounted| {
        let file = mounted.path("f");
        assert_eq!(errno(fs::File::open(&file)), Errno::EREMOTE);
        assert_eq!(errno(fs::File::open(&version)), Errno::EREMOTE, "in .versions, too");
        assert_eq!(errno(OpenOptions::new().append(true).open(&file)), Errno::EREMOTE);
        assert_eq!(errno(OpenOptions::new().write(true).open(&file)), Errno::EREMOTE);
        assert_eq!(errno(OpenOptions::new().read(true).write(true).open(&file)), Errno::EREMOTE);
        let cp = mounted.try_sh("cp f g; test ! -s g");
        assert!(String::from_utf8_lossy(&cp.stderr).contains("remote"), "{cp:?}");
        assert_eq!(errno(nix::unistd::truncate(&file, 5).map_err(std::io::Error::from)), Errno::EREMOTE);
    };
    refused(&mounted);
    drop(open);
    refused(&mounted);
    mounted.restart();
    refused(&mounted);
    let file = mounted.path("f");
    // What needs no bytes.
    assert_eq!(fs::metadata(&file).unwrap().len(), 300_000);
    xattr::set(&file, "user.s3.tag.a", b"b").unwrap();
    mounted.sh("mv f e; mv e f; chmod 600 f; touch -d 2020-01-01 f; getfattr -n user.s3.etag f");
    assert_eq!(get(&file, RESTORE), None);
    assert_eq!(errno(xattr::set(&file, RESTORE, b"days=0")), Errno::EINVAL);
    assert_eq!(errno(xattr::set(&file, RESTORE, b"soon")), Errno::EINVAL);
    mounted.sh("setfattr -n user.s3.restore -v days=2,tier=Expedited f");
    let told = get(&file, RESTORE).unwrap();
    assert!(told.starts_with("ongoing-request=\"false\", expiry-date=\""), "{told}");
    assert_eq!(fs::read(&file).unwrap(), vec![7; 300_000]);
    assert_eq!(class(&file), "GLACIER");
    mounted.sh("cp f copy; cmp f copy");
    assert_eq!(class(&mounted.path("copy")), "STANDARD");
    // New bytes are of no archive.
    fs::write(&file, b"new").unwrap();
    assert_eq!((class(&file), fs::read(&file).unwrap()), ("STANDARD".to_owned(), b"new".to_vec()));
    assert_eq!(errno(xattr::set(&file, RESTORE, b"days=1")), Errno::EINVAL, "RST-14");
    mounted.fsck();
}

#[test]
fn a_full_overwrite_of_an_archived_file_needs_no_bytes() {
    let mounted = Mounted::versioned();
    let file = mounted.path("f");
    fs::write(&file, b"old").unwrap();
    xattr::set(&file, CLASS, b"DEEP_ARCHIVE").unwrap();
    fs::write(&file, b"new").unwrap();
    assert_eq!((fs::read(&file).unwrap(), class(&file)), (b"new".to_vec(), "STANDARD".to_owned()));
    let old = mounted.version("f", &mounted.versions("f")[1]);
    assert_eq!((class(&old), errno(fs::read(&old))), ("DEEP_ARCHIVE".to_owned(), Errno::EREMOTE));
    assert_eq!(errno(xattr::set(&old, "user.s3.tag.a", b"b")), Errno::EROFS);
    // One version by itself (RST-11).
    xattr::set(&old, RESTORE, b"days=1").unwrap();
    assert_eq!(fs::read(&old).unwrap(), b"old");
    xattr::set(&file, CLASS, b"GLACIER").unwrap();
    nix::unistd::truncate(&file, 0).unwrap();
    assert_eq!((fs::metadata(&file).unwrap().len(), class(&file)), (0, "STANDARD".to_owned()));
    assert_eq!(mounted.versions("f").len(), 3);
    mounted.sh("rm f");
    mounted.fsck();
}

#[test]
fn it_1_tiers_are_attributes() {
    let mounted = Mounted::start();
    let file = mounted.path("f");
    fs::write(&file, vec![1; 200_000]).unwrap();
    assert_eq!((get(&file, "user.s3.access-tier"), get(&file, "user.s3.archive-status")), (None, None));
    xattr::set(&file, CLASS, b"INTELLIGENT_TIERING").unwrap();
    assert_eq!(get(&file, "user.s3.access-tier").as_deref(), Some("FREQUENT"));
    assert_eq!(get(&file, "user.s3.archive-status"), None);
    assert_eq!(errno(xattr::set(&file, "user.s3.access-tier", b"ARCHIVE")), Errno::EPERM);
    let document = mounted.path(".keyfold/intelligent-tiering.json");
    let text = r#"{"IntelligentTieringConfigurationList":[{"Id":"a","Status":"Enabled",
        "Tierings":[{"Days":90,"AccessTier":"ARCHIVE_ACCESS"}]}]}"#;
    fs::write(&document, text).unwrap();
    assert_eq!(fs::read_to_string(&document).unwrap(), text);
    assert_eq!(errno(fs::write(&document, text.replace("90", "9"))), Errno::EINVAL, "IT-3");
    fs::remove_file(&document).unwrap();
}

#[test]
fn sc_5_files_are_written_again_and_again_where_new_ones_are_archived() {
    let mounted = Mounted::versioned();
    mounted.sh("mkdir $M/bkt/d; setfattr -n user.s3.storage-class -v GLACIER $M/bkt/d");
    let file = mounted.path("d/f");
    // The kernel releases a file some time after it was closed.
    let archived = || {
        let end = Instant::now() + Duration::from_secs(20);
        while let Ok(bytes) = fs::read(&file) {
            assert!(Instant::now() < end, "it is still read: {bytes:?}");
        }
        assert_eq!(errno(fs::read(&file)), Errno::EREMOTE);
    };
    for round in 0..20 {
        mounted.sh(&format!("echo {round} > $M/bkt/d/f; (echo a; echo {round}) > $M/bkt/d/f"));
        archived();
    }
    // A reader that opened it while it was written keeps what it has, and nobody else has it.
    let mut writer = fs::File::create(&file).unwrap();
    writer.write_all(b"held").unwrap();
    let mut reader = fs::File::open(&file).unwrap();
    drop(writer);
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "held");
    archived();
    drop(reader);
    mounted.fsck();
}
