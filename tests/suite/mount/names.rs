//! Names: the longest, those that are no UTF-8, and keys that no path can spell.

use super::{Mounted, errno, names_in};
use keyfold::model::{BucketName, FileKind, ObjectKey, Posix};
use keyfold::store::{Options, PutOptions, Store};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

/// A store that no process serves, with a bucket `bkt`.
pub(super) fn at_rest(mounted: &Mounted) -> Arc<Store> {
    Store::init(&mounted.store(), &Options::system()).unwrap();
    let store = Store::open(&mounted.store(), Options::system()).unwrap();
    let posix = Posix::new(FileKind::Directory, 0o755, 0, 0, store.now());
    store.create_bucket(&BucketName::parse("bkt").unwrap(), &posix).unwrap();
    store
}

pub(super) fn put(store: &Arc<Store>, key: &str, body: &[u8]) {
    let key = ObjectKey::parse(key).unwrap();
    store.put("bkt", &key, &mut &*body, &PutOptions::default()).unwrap();
}

#[test]
fn names_of_255_bytes_in_any_script() {
    let mut mounted = Mounted::versioned();
    let names = ["x".repeat(255), "\u{e9}".repeat(127) + "x", "\u{6f22}".repeat(85), "\u{1f600}".repeat(63) + "abc"];
    for name in &names {
        assert_eq!(name.len(), 255);
        fs::write(mounted.path(name), name).unwrap();
        fs::write(mounted.path(name), name).unwrap();
    }
    mounted.restart();
    for name in &names {
        assert_eq!(&fs::read_to_string(mounted.path(name)).unwrap(), name);
        assert_eq!(mounted.versions(name).len(), 2);
        fs::rename(mounted.path(name), mounted.path("short")).unwrap();
        fs::rename(mounted.path("short"), mounted.path(name)).unwrap();
    }
    assert_eq!(names_in(&mounted.path("")).len(), 4);
    for name in ["x".repeat(256), "\u{e9}".repeat(128)] {
        assert_eq!(errno(fs::write(mounted.path(&name), b"")), Errno::ENAMETOOLONG);
        assert_eq!(errno(fs::metadata(mounted.path(&name))), Errno::ENAMETOOLONG);
    }
}

#[test]
fn ordinary_names_of_every_kind() {
    let mounted = Mounted::start();
    let names = [
        " ",
        "a b",
        "-rf",
        "*?[]",
        "\n",
        "tab\t",
        "\\",
        "\"'`$",
        "e\u{301}",
        "\u{e9}",
        "...",
        ".hidden",
        "%41",
        "a:b",
        "CON",
        "\u{7f}\u{1}",
    ];
    for name in names {
        fs::write(mounted.path(name), name).unwrap();
    }
    let mut listed = names_in(&mounted.path(""));
    listed.sort();
    let mut want: Vec<_> = names.map(str::to_owned).into();
    want.sort();
    assert_eq!(listed, want);
    for name in names {
        assert_eq!(fs::read_to_string(mounted.path(name)).unwrap(), name);
        fs::remove_file(mounted.path(name)).unwrap();
    }
}

#[test]
fn a_key_too_long_is_refused_by_name() {
    let mounted = Mounted::start();
    let part = "d".repeat(200);
    let mut deep = String::new();
    for _ in 0..5 {
        deep = format!("{deep}{part}/");
        fs::create_dir(mounted.path(&deep)).unwrap();
    }
    // 1005 bytes so far: 1024 are the most (KEY-1).
    fs::write(mounted.path(&format!("{deep}{}", "f".repeat(19))), b"fits").unwrap();
    assert_eq!(errno(fs::write(mounted.path(&format!("{deep}{}", "f".repeat(20))), b"")), Errno::ENAMETOOLONG);
    assert_eq!(errno(fs::create_dir(mounted.path(&format!("{deep}{}", "f".repeat(19 + 1))))), Errno::ENAMETOOLONG);
    fs::write(mounted.path("short"), b"").unwrap();
    fs::create_dir(mounted.path("shorter")).unwrap();
    for from in ["short", "shorter"] {
        let to = mounted.path(&format!("{deep}{}", "g".repeat(20)));
        assert_eq!(errno(fs::rename(mounted.path(from), &to)), Errno::ENAMETOOLONG);
        assert_eq!(errno(fs::hard_link(mounted.path("short"), &to)), Errno::ENAMETOOLONG);
        assert_eq!(errno(std::os::unix::fs::symlink("x", &to)), Errno::ENAMETOOLONG);
    }
    assert_eq!(names_in(&mounted.path("")).len(), 3);
}

#[test]
fn a_name_that_is_no_utf8_is_refused() {
    let mounted = Mounted::start();
    let name = mounted.path("").join(OsStr::from_bytes(b"caf\xe9"));
    assert_eq!(errno(fs::write(&name, b"")), Errno::EILSEQ);
    assert_eq!(errno(fs::create_dir(&name)), Errno::EILSEQ);
    assert!(!name.exists());
    fs::write(mounted.path("f"), b"").unwrap();
    assert_eq!(errno(fs::rename(mounted.path("f"), &name)), Errno::EILSEQ);
    assert_eq!(errno(std::os::unix::fs::symlink("f", &name)), Errno::EILSEQ);
}

#[test]
fn keys_that_no_path_can_spell_are_in_sight() {
    let mut mounted = Mounted::unmounted();
    let store = at_rest(&mounted);
    let long = "y".repeat(300);
    let keys = [
        "a",
        "a/b",
        "x//y",
        "./dot",
        "../dotdot",
        "marker/",
        "nul\0l",
        ".versions",
        ".keyfold",
        ".@own",
        "deep/.versions/f",
        &long,
        "/",
    ];
    for key in keys {
        put(&store, key, format!("body of {key}").as_bytes());
    }
    store.close().unwrap();
    drop(store);
    mounted.remount("");
    let read = |path: &str| fs::read_to_string(mounted.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (path, key) in [
        (".@obj:a", "a"),
        ("a/b", "a/b"),
        ("x/.@empty/y", "x//y"),
        (".@dot/dot", "./dot"),
        (".@dotdot/dotdot", "../dotdot"),
        ("marker/.@self", "marker/"),
        (".@xnul%00l", "nul\0l"),
        (".@r.versions", ".versions"),
        (".@r.keyfold", ".keyfold"),
        (".@@own", ".@own"),
        ("deep/.@r.versions/f", "deep/.versions/f"),
    ] {
        assert_eq!(read(path), format!("body of {key}"), "{path}");
    }
    let names = names_in(&mounted.path(""));
    let hashed = names.iter().find(|name| name.starts_with(".@h")).unwrap();
    assert_eq!(read(hashed), format!("body of {long}"));
    assert_eq!(xattr::get(mounted.path(hashed), "user.s3.key").unwrap().unwrap(), long.as_bytes());
    // What is listed is found, all of it, by those who walk.
    assert_eq!(mounted.sh("find . -type f | wc -l"), format!("{}\n", keys.len()));
    mounted.sh("find . -type f -print0 | xargs -0 cat > /dev/null; tar -cf - . | tar -tf - | wc -l > /dev/null");
    // They are files like others.
    mounted.sh("echo new > .@obj:a; mv .@xnul%00l plain; echo more >> x/.@empty/y; test -d a");
    assert_eq!(read("plain"), "body of nul\0l");
    assert_eq!(read(".@obj:a"), "new\n");
    // Without the directory the object has the name.
    mounted.sh("rm -r a; test -f a; test \"$(cat a)\" = new");
    mounted.sh("rm -rf ./* ./.[!.]*; test -z \"$(ls -A)\"");
    mounted.fsck();
}

#[test]
fn names_of_the_hidden_directories_can_be_changed() {
    let mut mounted = Mounted::versioned();
    mounted.sh("echo 1 > f; echo 2 > f");
    mounted.remount("versions_dir=.snap,control_dir=.ctl");
    assert_eq!(names_in(&mounted.path(".snap/f")).len(), 2);
    assert!(mounted.path(".ctl/versioning.json").exists() && mounted.root().join(".ctl/status.json").exists());
    assert!(!mounted.path(".versions").exists());
    fs::write(mounted.path(".versions"), b"a file").unwrap();
    mounted.remount("");
    assert_eq!(fs::read(mounted.path(".@r.versions")).unwrap(), b"a file");
    assert_eq!(names_in(&mounted.path(".versions/f")).len(), 2);
}

/// On a mount that root alone may enter the kernel leaves the bits to root's rights, but for the bit that lets a file run.
#[test]
fn what_root_may_do_is_the_same_with_and_without_the_kernels_check() {
    for options in ["", "default_permissions"] {
        let mounted = Mounted::bare(options);
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let said = mounted.sh(
            "cd $M && mkdir bkt && cd bkt && mkdir -m 0 shut && cd shut && echo 'echo ran' > tool && chmod 0 tool
            test -r tool && test -w tool && test ! -x tool && test -x ../shut
            ./tool 2>/dev/null || echo $?
            chmod 1 tool && test -x tool && (sh tool; rm tool) && ls -A . | wc -l",
        );
        assert_eq!(said, "126\nran\n0\n", "{options:?}");
    }
}
