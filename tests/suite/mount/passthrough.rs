//! Passthrough: large versions and files of the past are read by the kernel from the store's disk.
//!
//! A byte damaged in the store's file tells who reads: the process answers `EIO`, the kernel shows the byte.

use super::past::instant;
use super::{Mounted, errno, names_in, pattern};
use nix::errno::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const MIB: usize = 1 << 20;
const LEN: usize = 32 * MIB;
/// Far from the ends, and at the end of a page.
const DAMAGED: usize = 20 * MIB + 4095;

/// A store on a file system that is not stacked, with the bucket `bkt` that keeps versions.
fn started() -> Mounted {
    let mut mounted = Mounted::unmounted();
    mounted.on_small_disk("300m");
    mounted.remount("");
    fs::create_dir(mounted.path("")).unwrap();
    xattr::set(mounted.path(""), "user.s3.versioning", b"Enabled").unwrap();
    mounted
}

/// Writes a file of `bkt` by a process of its own. A program that another test starts would for a moment have a
/// descriptor of ours, and closing it would publish half of the file, which then lies in two pieces.
fn put(mounted: &Mounted, name: &str, body: &[u8]) {
    fs::write(mounted.aside("body"), body).unwrap();
    mounted.sh(&format!("cp $T/body {name}"));
}

/// The store's file that holds these bytes and nothing else.
fn solo(mounted: &Mounted, body: &[u8]) -> PathBuf {
    fn below(dir: &Path, body: &[u8]) -> Option<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
            if path.is_dir() {
                return below(&path, body);
            }
            let same = fs::metadata(&path).unwrap().len() == body.len() as u64 && fs::read(&path).unwrap() == body;
            same.then_some(path)
        })
    }
    let told = || mounted.sh("find $T/store/solo $T/store/seg -type f -printf '%P %s\n'");
    below(&mounted.store().join("solo"), body).unwrap_or_else(|| panic!("in no file of its own: {}", told()))
}

fn flip(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, DAMAGED as u64).unwrap();
    file.write_all_at(&[!byte[0]], DAMAGED as u64).unwrap();
}

fn all(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; LEN];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(file.read_at(&mut [0; 9], LEN as u64).unwrap(), 0);
    bytes
}

fn map(file: &File) -> memmap2::Mmap {
    // SAFETY: nothing cuts the file: versions never change.
    unsafe { memmap2::Mmap::map(file).unwrap() }
}

/// A path as somebody opens it anew and reads it through.
fn whole(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    File::open(path)?.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn a_large_version_is_read_from_the_disk_below() {
    let mounted = started();
    let body = pattern(1, LEN);
    put(&mounted, "f", &body);
    let below = solo(&mounted, &body);
    let version = mounted.version("f", &mounted.versions("f")[0]);

    let first = File::open(&version).unwrap();
    let second = File::open(&version).unwrap();
    std::thread::scope(|scope| {
        for file in [&first, &second] {
            for _ in 0..2 {
                scope.spawn(|| assert!(all(file) == body));
            }
        }
    });
    assert!(map(&first)[..] == body[..]);
    // Past the cache, in no alignment that a disk would ask for.
    let direct = OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECT).open(&version).unwrap();
    let mut odd = [0; 5001];
    direct.read_exact_at(&mut odd, 12_345).unwrap();
    assert!(odd[..] == body[12_345..][..5001] && map(&direct)[..] == body[..]);
    drop(direct);
    // The live name is another inode: read and written as ever, at the same time.
    assert!(whole(&mounted.path("f")).unwrap() == body);
    fs::write(mounted.path("f"), b"new").unwrap();
    assert!(all(&first) == body && whole(&version).unwrap() == body);

    flip(&below);
    let mut damaged = body.clone();
    damaged[DAMAGED] = !damaged[DAMAGED];
    assert!(all(&first) == damaged, "the kernel does not read past the process");
    assert!(map(&second)[..] == damaged[..] && whole(&version).unwrap() == damaged);
    flip(&below);

    let mapped = map(&second);
    drop(second);
    fs::remove_file(&version).unwrap();
    assert_eq!(errno(File::open(&version)), Errno::ENOENT);
    assert_eq!(mounted.versions("f").len(), 1);
    assert!(all(&first) == body && mapped[..] == body[..]);
    assert_eq!(first.metadata().unwrap().len(), LEN as u64);
    drop(first);
    assert!(mapped[..] == body[..]);
    drop(mapped);
    assert_eq!(fs::read(mounted.path("f")).unwrap(), b"new");
    mounted.fsck();
}

#[test]
fn an_inode_is_read_one_way_while_it_is_open() {
    let mounted = started();
    let body = pattern(2, LEN);
    put(&mounted, "f", &body);
    let version = mounted.version("f", &mounted.versions("f")[0]);
    // Opened, released, opened again by many at once: never EIO.
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let (version, body) = (&version, &body);
            scope.spawn(move || {
                for round in 0..200 {
                    let file = File::open(version).unwrap();
                    let at = (reader * 7919 + round * 104_729) % (LEN - 5000);
                    let mut page = [0; 5000];
                    file.read_exact_at(&mut page, at as u64).unwrap();
                    assert!(page[..] == body[at..at + 5000]);
                }
            });
        }
    });
}

#[test]
fn a_session_that_publishes_again_makes_its_version_another_file() {
    let mounted = started();
    let (one, two) = (pattern(3, LEN), pattern(4, LEN));
    let mut writer = OpenOptions::new().create(true).truncate(true).write(true).open(mounted.path("f")).unwrap();
    one.chunks(128 << 10).for_each(|piece| writer.write_all(piece).unwrap());
    writer.sync_all().unwrap();
    let old = File::open(mounted.version("f", &mounted.versions("f")[0])).unwrap();
    assert!(all(&old) == one);
    writer.write_all_at(&two, 0).unwrap();
    writer.sync_all().unwrap();
    let names = mounted.versions("f");
    assert_eq!(names.len(), 1, "one session, one version");
    let new = File::open(mounted.version("f", &names[0])).unwrap();
    assert!(all(&new) == two && all(&old) == one && map(&new)[..] == two[..] && map(&old)[..] == one[..]);
}

#[test]
fn the_past_is_read_from_the_disk_below() {
    let mut mounted = started();
    let (old, new) = (pattern(5, LEN), pattern(6, LEN));
    put(&mounted, "f", &old);
    fs::hard_link(mounted.path("f"), mounted.path("g")).unwrap();
    let then = instant(&mounted);
    put(&mounted, "f", &new);
    let below = solo(&mounted, &old);
    let mut damaged = old.clone();
    damaged[DAMAGED] = !damaged[DAMAGED];
    flip(&below);
    let inside = mounted.path(".keyfold/at").join(&then).join("f");
    assert!(whole(&inside).unwrap() == damaged && whole(&mounted.path("f")).unwrap() == new);
    mounted.remount(&format!("as_of={then}"));
    let (f, g) = (File::open(mounted.path("f")).unwrap(), File::open(mounted.path("g")).unwrap());
    assert!(all(&f) == damaged && all(&g) == damaged && map(&g)[..] == damaged[..]);
    drop((f, g));
    // A read-only mount of the present verifies: another door may write.
    mounted.remount("ro");
    assert!(whole(&mounted.path("f")).unwrap() == new);
    let versions = names_in(&mounted.path(".versions/f"));
    assert!(whole(&mounted.version("f", &versions[1])).unwrap() == damaged);
    flip(&solo(&mounted, &new));
    mounted.remount("ro");
    assert_eq!(errno(whole(&mounted.path("f"))), Errno::EIO);
}

#[test]
fn a_purge_takes_a_file_from_the_past_but_not_from_its_reader() {
    let mounted = started();
    let (one, two) = (pattern(7, LEN), pattern(8, LEN));
    put(&mounted, "f", &one);
    let then = instant(&mounted);
    put(&mounted, "f", &two);
    let at = |when: &str| mounted.path(".keyfold/at").join(when).join("f");
    let open = File::open(at(&then)).unwrap();
    fs::remove_file(mounted.version("f", &mounted.versions("f")[1])).unwrap();
    assert_eq!(errno(File::open(at(&then))), Errno::ENOENT);
    assert!(all(&open) == one && map(&open)[..] == one[..]);
    assert_eq!(open.metadata().unwrap().len(), LEN as u64);
}
