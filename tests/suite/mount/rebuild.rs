//! The index of a store that was mounted and written to as programs do is lost, and built anew from the data.

use super::harness::{Mounted, pattern, text};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

/// Unmounts, loses the index, builds it anew and mounts again.
#[track_caller]
fn rebuild(mounted: &mut Mounted) {
    mounted.umount();
    anew(mounted);
}

#[track_caller]
fn anew(mounted: &mut Mounted) {
    fs::remove_dir_all(mounted.store().join("meta")).unwrap();
    let output = mounted.keyfold(&["fsck", "--rebuild", mounted.store().to_str().unwrap()]);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    mounted.restart();
}

#[track_caller]
fn holds(mounted: &Mounted, name: &str, bytes: &[u8]) {
    let found = fs::read(mounted.path(name));
    assert!(found.as_ref().is_ok_and(|found| found == bytes), "{name}: {:?}", found.map(|found| found.len()));
}

/// Names in the bucket, without what the mount adds.
fn names(mounted: &Mounted) -> String {
    mounted.sh("ls")
}

#[test]
fn files_that_programs_wrote_over_are_there_again() {
    let mut mounted = Mounted::start();
    for (name, len) in [("run", 20_000), ("solo", 10 << 20), ("larger", 20_000), ("smaller", 10 << 20)] {
        fs::write(mounted.path(name), pattern(1, len)).unwrap();
    }
    // As `cp` does: opened with O_TRUNC.
    let written = [("run", 30_000), ("solo", 9 << 20), ("larger", 9 << 20), ("smaller", 30_000)];
    for (n, (name, len)) in (2..).zip(written) {
        fs::write(mounted.aside("new"), pattern(n, len)).unwrap();
        mounted.sh(&format!("cp $T/new {name}"));
    }
    rebuild(&mut mounted);
    for (n, (name, len)) in (2..).zip(written) {
        holds(&mounted, name, &pattern(n, len));
    }
    // What it has now can be lost as well; killed, what was synced is all there is.
    let mut file = File::options().write(true).truncate(true).open(mounted.path("run")).unwrap();
    file.write_all(&pattern(9, 50_000)).unwrap();
    file.sync_all().unwrap();
    drop(file);
    mounted.kill9();
    anew(&mut mounted);
    holds(&mounted, "run", &pattern(9, 50_000));
    assert_eq!(names(&mounted), "larger\nrun\nsmaller\nsolo\n");
    mounted.umount();
    mounted.fsck();
}

#[test]
fn an_open_file_that_moves_is_under_its_new_name() {
    let mut mounted = Mounted::start();
    // A log is rotated while it is written.
    fs::write(mounted.path("app.log"), pattern(1, 20_000)).unwrap();
    let mut log = File::options().append(true).open(mounted.path("app.log")).unwrap();
    log.write_all(&pattern(2, 10_000)).unwrap();
    mounted.sh("mv app.log app.log.1");
    fs::write(mounted.path("app.log"), pattern(3, 20_000)).unwrap();
    log.write_all(&pattern(4, 10_000)).unwrap();
    drop(log);
    // The same once parts of it were put where they stay under the old name.
    let mut long = File::create(mounted.path("long.tmp")).unwrap();
    long.write_all(&pattern(5, 6 << 20)).unwrap();
    long.seek(SeekFrom::Start(1000)).unwrap();
    long.write_all(b"here").unwrap();
    fs::write(mounted.path("long"), pattern(6, 20_000)).unwrap();
    mounted.sh("mv long.tmp long");
    drop(long);
    let mut moved = pattern(5, 6 << 20);
    moved[1000..1004].copy_from_slice(b"here");
    // A name that was never anybody's but a file's on its way.
    let mut doc = File::create(mounted.path("doc.tmp")).unwrap();
    doc.write_all(&pattern(7, 10_000)).unwrap();
    mounted.sh("mv doc.tmp doc");
    drop(doc);
    rebuild(&mut mounted);
    holds(&mounted, "app.log.1", &[pattern(1, 20_000), pattern(2, 10_000), pattern(4, 10_000)].concat());
    holds(&mounted, "app.log", &pattern(3, 20_000));
    holds(&mounted, "long", &moved);
    holds(&mounted, "doc", &pattern(7, 10_000));
    assert_eq!(names(&mounted), "app.log\napp.log.1\ndoc\nlong\n");
}

#[test]
fn what_nobody_ever_saw_under_a_name_does_not_take_it() {
    let mut mounted = Mounted::start();
    let dirty = |name: &str, seed: u64, len: usize| {
        fs::write(mounted.path(name), pattern(seed, 20_000)).unwrap();
        let mut file = File::options().write(true).open(mounted.path(name)).unwrap();
        file.write_all(&pattern(seed + 1, len)).unwrap();
        file
    };
    // Open and changed, a little and much, when others rename over it or remove it.
    let mut open: Vec<_> = [("small", 10, 30_000), ("large", 20, 6 << 20)]
        .into_iter()
        .map(|(name, seed, len)| {
            let file = dirty(name, seed, len);
            fs::write(mounted.path("other"), pattern(seed + 2, 25_000)).unwrap();
            mounted.sh(&format!("mv -f other {name}"));
            file
        })
        .collect();
    for (name, seed, len) in [("gone", 30, 30_000), ("far", 40, 6 << 20)] {
        let file = dirty(name, seed, len);
        fs::remove_file(mounted.path(name)).unwrap();
        open.push(file);
    }
    for file in &mut open {
        file.write_all(b"and more").unwrap();
        file.sync_all().unwrap();
    }
    drop(open);
    rebuild(&mut mounted);
    holds(&mounted, "small", &pattern(12, 25_000));
    holds(&mounted, "large", &pattern(22, 25_000));
    // What was removed a moment ago may be there again, but with nothing that was never published.
    for (name, seed) in [("gone", 30), ("far", 40)] {
        if mounted.path(name).exists() {
            holds(&mounted, name, &pattern(seed, 20_000));
        }
    }
    assert_eq!(mounted.sh("ls | grep -vxE 'small|large|gone|far' || true"), "");
}
