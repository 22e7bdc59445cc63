//! Files through system calls: sessions and versions, unlink and rename of what is open, append, truncate, maps.

use super::{Mounted, errno, names_in, pattern};
use nix::errno::Errno;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};

/// Opened for reading and writing, made when absent.
fn open(path: &std::path::Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

#[test]
fn readers_see_what_is_being_written() {
    let mounted = Mounted::versioned();
    let path = mounted.path("f");
    fs::write(&path, b"before").unwrap();
    let reader = File::open(&path).unwrap();
    let writer = open(&path);
    writer.write_all_at(b"AFT", 0).unwrap();
    let mut seen = [0; 6];
    reader.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"AFTore");
    assert_eq!(fs::read(&path).unwrap(), b"AFTore");
    // The version of before is untouched, and there is no other yet.
    let versions = mounted.versions("f");
    assert_eq!(fs::read(mounted.version("f", versions.last().unwrap())).unwrap(), b"before");
    drop(writer);
    assert_eq!(mounted.versions("f").len(), 2);
    assert_eq!(fs::read(mounted.version("f", &mounted.versions("f")[0])).unwrap(), b"AFTore");
}

#[test]
fn what_changes_nothing_makes_no_version() {
    let mounted = Mounted::versioned();
    let path = mounted.path("f");
    fs::write(&path, b"text").unwrap();
    drop(open(&path));
    open(&path).read_to_end(&mut vec![]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    nix::unistd::chown(&path, Some(7.into()), Some(8.into())).unwrap();
    let at = TimeSpec::new(981_173_106, 123_456_789);
    utimensat(nix::fcntl::AT_FDCWD, &path, &at, &at, UtimensatFlags::FollowSymlink).unwrap();
    open(&path).set_len(4).unwrap();
    open(&path).sync_all().unwrap();
    assert_eq!(mounted.versions("f").len(), 1);
    let meta = fs::metadata(&path).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o600, 7, 8));
}

#[test]
fn times_are_kept_to_the_nanosecond_over_a_restart() {
    let mut mounted = Mounted::start();
    let path = mounted.path("f");
    fs::write(&path, b"text").unwrap();
    let at = TimeSpec::new(981_173_106, 123_456_789);
    utimensat(nix::fcntl::AT_FDCWD, &path, &at, &at, UtimensatFlags::FollowSymlink).unwrap();
    let before = fs::metadata(&path).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (981_173_106, 123_456_789));
    mounted.restart();
    let after = fs::metadata(&path).unwrap();
    let told = |meta: &fs::Metadata| (meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
    assert_eq!(told(&before), told(&after));
}

#[test]
fn o_trunc_makes_an_empty_version() {
    let mounted = Mounted::versioned();
    fs::write(mounted.path("f"), b"text").unwrap();
    drop(File::create(mounted.path("f")).unwrap());
    assert_eq!(mounted.versions("f").len(), 2);
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"");
    fs::write(mounted.path("g"), b"").unwrap();
    assert_eq!(mounted.versions("g").len(), 1);
    OpenOptions::new().write(true).open(mounted.path("f")).unwrap().set_len(10).unwrap();
    assert_eq!(fs::read(mounted.path("f")).unwrap(), [0; 10]);
    assert_eq!(mounted.versions("f").len(), 3);
}

#[test]
fn an_unlinked_file_lives_as_long_as_it_is_open() {
    let mounted = Mounted::versioned();
    let path = mounted.path("f");
    let old = pattern(1, 200_000);
    fs::write(&path, &old).unwrap();
    let mut handle = open(&path);
    fs::remove_file(&path).unwrap();
    assert_eq!(errno(fs::metadata(&path)), Errno::ENOENT);
    fs::write(&path, b"another").unwrap();
    handle.write_all_at(b"changed", 1000).unwrap();
    handle.set_len(150_000).unwrap();
    let mut bytes = vec![];
    handle.read_to_end(&mut bytes).unwrap();
    let mut want = old.clone();
    want[1000..1007].copy_from_slice(b"changed");
    want.truncate(150_000);
    assert!(bytes == want);
    assert_eq!(handle.metadata().unwrap().nlink(), 0);
    handle.sync_all().unwrap();
    drop(handle);
    // What was written after the unlink went with it: object, marker, object.
    assert_eq!(fs::read(&path).unwrap(), b"another");
    let versions = mounted.versions("f");
    assert_eq!(versions.len(), 3, "{versions:?}");
    assert!(fs::read(mounted.version("f", &versions[2])).unwrap() == old);
}

#[test]
fn a_file_never_closed_before_its_unlink_leaves_nothing() {
    let mounted = Mounted::versioned();
    let handle = open(&mounted.path("tmp"));
    handle.write_all_at(&pattern(2, 300_000), 0).unwrap();
    fs::remove_file(mounted.path("tmp")).unwrap();
    drop(handle);
    assert_eq!(names_in(&mounted.path(".versions")).len(), 0);
}

#[test]
fn renaming_over_an_open_file_leaves_its_reader_alone() {
    let mounted = Mounted::versioned();
    fs::write(mounted.path("old"), b"old bytes").unwrap();
    fs::write(mounted.path("new"), b"new bytes").unwrap();
    let mut reader = File::open(mounted.path("old")).unwrap();
    fs::rename(mounted.path("new"), mounted.path("old")).unwrap();
    let mut seen = String::new();
    reader.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "old bytes");
    assert_eq!(fs::read(mounted.path("old")).unwrap(), b"new bytes");
    assert_eq!(mounted.versions("old").len(), 2);
}

#[test]
fn a_file_renamed_while_written_is_published_under_its_new_name() {
    let mounted = Mounted::versioned();
    let mut writer = File::create(mounted.path("a")).unwrap();
    writer.write_all(b"first ").unwrap();
    fs::rename(mounted.path("a"), mounted.path("b")).unwrap();
    writer.write_all(b"second").unwrap();
    drop(writer);
    assert_eq!(fs::read(mounted.path("b")).unwrap(), b"first second");
    assert_eq!(mounted.versions("b").len(), 1);
    assert_eq!(names_in(&mounted.path(".versions")), ["b"]);
}

#[test]
fn o_append_writes_at_the_end_and_o_excl_makes_only_once() {
    let mounted = Mounted::start();
    let path = mounted.path("f");
    let append = || OpenOptions::new().append(true).create(true).open(&path).unwrap();
    let (mut one, mut two) = (append(), append());
    for turn in 0..100 {
        let file = if turn % 2 == 0 { &mut one } else { &mut two };
        file.write_all(format!("{turn:03}").as_bytes()).unwrap();
    }
    one.seek(SeekFrom::Start(0)).unwrap();
    one.write_all(b"end").unwrap();
    let want: String = (0..100).map(|turn| format!("{turn:03}")).collect::<String>() + "end";
    assert_eq!(fs::read_to_string(&path).unwrap(), want);
    assert_eq!(errno(File::create_new(&path)), Errno::EEXIST);
    File::create_new(mounted.path("g")).unwrap();
    let directory = OpenOptions::new().write(true).create(true).truncate(false).open(mounted.path(""));
    assert_eq!(errno(directory), Errno::EISDIR);
    std::os::unix::fs::symlink("g", mounted.path("link")).unwrap();
    assert_eq!(
        errno(OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(mounted.path("link"))),
        Errno::ELOOP
    );
}

#[test]
fn truncate_of_an_open_file_is_seen_by_all_who_have_it() {
    let mounted = Mounted::versioned();
    let path = mounted.path("f");
    fs::write(&path, pattern(3, 1_000_000)).unwrap();
    let (one, two) = (open(&path), open(&path));
    one.set_len(500_000).unwrap();
    assert_eq!(two.metadata().unwrap().len(), 500_000);
    two.write_all_at(b"x", 700_000).unwrap();
    let mut gap = vec![1; 200_000];
    one.read_exact_at(&mut gap, 500_000).unwrap();
    assert!(gap.iter().all(|byte| *byte == 0), "what truncate cut off comes back");
    nix::unistd::truncate(&path, 600_000).unwrap();
    assert_eq!(one.metadata().unwrap().len(), 600_000);
    drop((one, two));
    let mut want = pattern(3, 500_000);
    want.resize(600_000, 0);
    assert!(fs::read(&path).unwrap() == want);
    assert_eq!(mounted.versions("f").len(), 2);
}

#[test]
fn maps_are_read_and_written() {
    let mut mounted = Mounted::versioned();
    let path = mounted.path("f");
    let mut want = pattern(4, 3 << 20);
    fs::write(&path, &want).unwrap();
    let file = open(&path);
    {
        // SAFETY: nobody cuts the file while it is mapped.
        let mut map = unsafe { memmap2::MmapMut::map_mut(&file).unwrap() };
        assert!(map[..] == want[..]);
        map[1 << 20..(1 << 20) + 5].copy_from_slice(b"where");
        want[1 << 20..(1 << 20) + 5].copy_from_slice(b"where");
        map.flush().unwrap();
        let mut seen = [0; 5];
        File::open(&path).unwrap().read_exact_at(&mut seen, 1 << 20).unwrap();
        assert_eq!(&seen, b"where");
        map[0] = 9;
        want[0] = 9;
    }
    file.sync_all().unwrap();
    drop(file);
    assert!(fs::read(&path).unwrap() == want);
    assert_eq!(mounted.versions("f").len(), 2);
    mounted.restart();
    assert!(fs::read(&path).unwrap() == want);
}

/// A map outlives the handle it was made with, and what is written through it then is not lost.
#[test]
fn a_map_written_after_close_is_published() {
    let mut mounted = Mounted::start();
    let path = mounted.path("f");
    fs::write(&path, vec![b'.'; 100_000]).unwrap();
    let file = open(&path);
    // SAFETY: nobody cuts the file while it is mapped.
    let mut map = unsafe { memmap2::MmapMut::map_mut(&file).unwrap() };
    drop(file);
    map[50_000..50_004].copy_from_slice(b"late");
    drop(map);
    let mut want = vec![b'.'; 100_000];
    want[50_000..50_004].copy_from_slice(b"late");
    assert!(fs::read(&path).unwrap() == want);
    mounted.restart();
    assert!(fs::read(&path).unwrap() == want);
}

#[test]
fn fsync_makes_files_and_names_durable() {
    let mut mounted = Mounted::versioned();
    let body = pattern(5, 700_000);
    let mut file = File::create(mounted.path("synced")).unwrap();
    file.write_all(&body).unwrap();
    file.sync_all().unwrap();
    let sync =
        OpenOptions::new().write(true).create_new(true).custom_flags(nix::libc::O_SYNC).open(mounted.path("osync"));
    sync.unwrap().write_all(b"each write").unwrap();
    fs::create_dir(mounted.path("dir")).unwrap();
    fs::rename(mounted.path("osync"), mounted.path("dir/osync")).unwrap();
    File::open(mounted.path("dir")).unwrap().sync_all().unwrap();
    mounted.kill9();
    drop(file);
    mounted.restart();
    assert!(fs::read(mounted.path("synced")).unwrap() == body);
    assert_eq!(fs::read(mounted.path("dir/osync")).unwrap(), b"each write");
    mounted.fsck();
}

#[test]
fn durability_close_makes_close_wait_for_the_disk() {
    let mut mounted = Mounted::bare("durability=close");
    fs::create_dir(mounted.path("")).unwrap();
    for round in 0..4_u32 {
        let name = mounted.path(&format!("f{round}"));
        fs::write(&name, pattern(round.into(), 100_000)).unwrap();
        mounted.crash();
        assert!(fs::read(&name).unwrap() == pattern(round.into(), 100_000));
    }
}

/// A termination signal is a clean end: what is open is published.
#[test]
fn sigterm_publishes_what_is_open() {
    let mut mounted = Mounted::versioned();
    let mut writer = File::create(mounted.path("open")).unwrap();
    writer.write_all(b"not closed").unwrap();
    let pid = nix::unistd::Pid::from_raw(mounted.pid().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).unwrap();
    mounted.gone();
    drop(writer);
    mounted.restart();
    assert_eq!(fs::read(mounted.path("open")).unwrap(), b"not closed");
    assert_eq!(mounted.versions("open").len(), 1);
    mounted.fsck();
}

/// FSX-7: a file whose last handle is closed is the same file for who holds it without having it open.
#[test]
fn a_file_without_a_name_keeps_what_was_written_for_who_opens_it_again() {
    let mounted = Mounted::start();
    let path = mounted.path("f");
    for over_a_published_file in [false, true] {
        if over_a_published_file {
            fs::write(&path, b"abc").unwrap();
        }
        let mut writer = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let held = OpenOptions::new().read(true).custom_flags(nix::libc::O_PATH).open(&path).unwrap();
        let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
        fs::remove_file(&path).unwrap();
        writer.write_all(b"defgh").unwrap();
        drop(writer);
        let all: &[u8] = if over_a_published_file { b"abcdefgh" } else { b"defgh" };
        assert_eq!(held.metadata().unwrap().len(), all.len() as u64);
        assert_eq!(fs::read(&again).unwrap(), all);
        nix::unistd::truncate(again.as_str(), 4).unwrap();
        assert_eq!(fs::read(&again).unwrap(), all[..4]);
        OpenOptions::new().append(true).open(&again).unwrap().write_all(b"!").unwrap();
        assert_eq!(fs::read(&again).unwrap(), [&all[..4], b"!"].concat());
        assert!(names_in(&mounted.path("")).is_empty());
    }
}

#[test]
fn attributes_of_a_file_without_a_name() {
    let mounted = Mounted::start();
    let path = mounted.path("f");
    fs::write(&path, b"text").unwrap();
    xattr::set(&path, "user.s3.tag.a", b"1").unwrap();
    let file = open(&path);
    fs::remove_file(&path).unwrap();
    let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    assert_eq!(xattr::get_deref(&name, "user.s3.tag.a").unwrap().unwrap(), b"1");
    for (name_of, value) in [("user.s3.tag.a", "2"), ("user.s3.tag.b", "3"), ("user.own", "4")] {
        xattr::set_deref(&name, name_of, value.as_bytes()).unwrap();
        assert_eq!(xattr::get_deref(&name, name_of).unwrap().unwrap(), value.as_bytes());
    }
    fs::write(&path, b"other").unwrap();
    assert_eq!(xattr::get(&path, "user.s3.tag.a").unwrap(), None, "the file that has the name now is another");
}

/// Whoever replaces a file does not disturb who uses it by its name.
#[test]
fn attributes_are_there_while_a_file_is_replaced() {
    let mounted = Mounted::start();
    let path = mounted.path("f");
    fs::write(&path, b"0").unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..300 {
                fs::write(mounted.path("new"), b"1").unwrap();
                fs::rename(mounted.path("new"), &path).unwrap();
            }
        });
        while !writer.is_finished() {
            xattr::list(&path).unwrap().count();
            xattr::set(&path, "user.s3.tag.a", b"1").unwrap();
        }
    });
}

/// A name that another door took away: the handle goes on with what it had.
#[test]
fn what_another_door_deletes_is_unlinked_for_who_has_it_open() {
    let mounted = Mounted::start();
    let path = mounted.path("f");
    fs::write(&path, b"text").unwrap();
    let file = open(&path);
    assert!(mounted.keyfold(&["purge", "f", "--version", "null"]).status.success());
    assert_eq!(file.metadata().unwrap().len(), 4);
    let mut seen = [0; 4];
    file.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"text");
    file.write_all_at(b"more", 4).unwrap();
    file.set_len(6).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 6);
    assert!(!path.exists());
    fs::write(&path, b"new").unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

/// Two mounts of one store: what is written through the one stays with the file whose names the other changes.
#[test]
fn an_open_file_outlives_what_another_mount_does_to_its_names() {
    let mut mounted = Mounted::start();
    let second = mounted.aside("second");
    fs::create_dir(&second).unwrap();
    let (store, at) = (mounted.store(), second.join("bkt"));
    let said = mounted.keyfold(&["mount", store.to_str().unwrap(), second.to_str().unwrap()]);
    assert!(said.status.success(), "{said:?}");
    // One of two names goes, and a file moves that was never published; one loses its only name.
    mounted.sh(&format!("cd {}; echo old > f; ln f g; echo old > k", at.display()));
    let (linked, made) = (open(&mounted.path("f")), open(&mounted.path("t1")));
    let (writer, reader) = (open(&mounted.path("k")), File::open(mounted.path("k")).unwrap());
    made.write_all_at(b"be", 0).unwrap();
    mounted.sh(&format!("cd {}; rm f k; mv t1 t2", at.display()));
    for (file, text) in [(&linked, "link"), (&made, "fore")] {
        file.write_all_at(text.as_bytes(), 0).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
        file.sync_all().unwrap();
    }
    drop((linked, made));
    writer.write_all_at(b"newer than that", 0).unwrap();
    drop(writer);
    let mut seen = [0; 15];
    reader.read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(&seen, b"newer than that");
    drop(reader);
    assert!(mounted.keyfold(&["umount", second.to_str().unwrap()]).status.success());
    mounted.restart();
    assert_eq!(mounted.sh("cat g t2; stat -c %a g t2; ls"), "linkfore640\n640\ng\nt2\n");
}
