//! kill -9, power cuts and a want of memory at random moments under load, while directories are renamed and space is reclaimed: everything
//! synced is there, nothing is half-made, the store is sound.

use super::group::Group;
use super::harness::{KEYFOLD, detach};
use super::{Mounted, long, pattern};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What may be found under a name: everything that was tried since the last state known to be durable.
#[derive(Default)]
struct Fate {
    tried: Vec<Option<(u64, usize)>>,
    durable: usize,
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

type Fates = Mutex<HashMap<String, Fate>>;

fn tried(fates: &Fates, name: &str, state: Option<(u64, usize)>) -> usize {
    let mut fates = fates.lock().unwrap();
    let fate = fates.entry(name.to_owned()).or_insert_with(|| Fate { tried: vec![None], durable: 0 });
    fate.tried.push(state);
    fate.tried.len() - 1
}

fn durable(fates: &Fates, name: &str, at: usize) {
    fates.lock().unwrap().get_mut(name).unwrap().durable = at;
}

/// One change of one file, as far as it gets.
fn change(dir: &Path, name: &str, chance: &mut Chance, fates: &Fates) -> io::Result<()> {
    let sync_dir = || File::open(dir)?.sync_all();
    let path = dir.join(name);
    if chance.below(8) == 0 {
        let at = tried(fates, name, None);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
        if chance.below(2) == 0 {
            sync_dir()?;
            durable(fates, name, at);
        }
        return Ok(());
    }
    let (seed, len) = (chance.below(1 << 40), [10, 4000, 5000, 70_000, 1_000_000][chance.below(5) as usize]);
    let (by_rename, sync) = (chance.below(2) == 0, chance.below(2) == 0);
    let at = tried(fates, name, Some((seed, len)));
    let body = pattern(seed, len);
    let target = if by_rename { dir.join(format!("tmp-{name}")) } else { path.clone() };
    let mut file = File::create(&target)?;
    for piece in body.chunks(len / 3 + 1) {
        file.write_all(piece)?;
    }
    if sync {
        file.sync_all()?;
    }
    if by_rename {
        drop(file);
        fs::rename(&target, &path)?;
        if sync {
            sync_dir()?;
        }
    }
    if sync {
        durable(fates, name, at);
    }
    Ok(())
}

fn check(dir: &Path, fates: &Fates) {
    for (name, fate) in fates.lock().unwrap().iter_mut() {
        let found = match fs::read(dir.join(name)) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => panic!("{name}: {error}"),
        };
        let allowed = &fate.tried[fate.durable..];
        let state = allowed.iter().rev().find(|state| state.map(|(seed, len)| pattern(seed, len)) == found);
        let Some(state) = state else {
            let what = found.as_ref().map(Vec::len);
            let elsewhere = fate.tried.iter().position(|state| state.map(|(seed, len)| pattern(seed, len)) == found);
            panic!(
                "{name}: {what:?} bytes that are state {elsewhere:?}; {} is durable of {:?}",
                fate.durable, fate.tried
            );
        };
        *fate = Fate { tried: vec![*state], durable: 0 };
    }
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // A temporary name is there whole or not at all; a body is one of five lengths.
        let len = entry.metadata().unwrap().len();
        assert!([10, 4000, 5000, 70_000, 1_000_000].contains(&len), "{name} has {len} bytes");
        assert_eq!(fs::read(entry.path()).unwrap().len() as u64, len);
    }
}

/// Renames a directory to and fro.
fn storm(dir: &Path) {
    let names = [dir.join("here"), dir.join("there")];
    let mut at = usize::from(names[1].exists());
    while fs::rename(&names[at], &names[1 - at]).is_ok() {
        at = 1 - at;
    }
}

/// What [`storm`] begins with; it stays under one of its names.
fn before_the_storm(dir: &Path) {
    fs::create_dir_all(dir.join("here/below")).unwrap();
    fs::write(dir.join("here/below/f"), pattern(3, 20_000)).unwrap();
    File::open(dir.join("here/below/f")).unwrap().sync_all().unwrap();
}

fn after_the_storm(dir: &Path) {
    let found: Vec<_> = ["here", "there"].into_iter().filter(|name| dir.join(name).exists()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(fs::read(dir.join(found[0]).join("below/f")).unwrap() == pattern(3, 20_000));
}

/// Reclaims space again and again until `done`, as far as there is a mount.
fn reclaim(dir: &Path, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let mut gc = Command::new(KEYFOLD);
        gc.arg("gc").arg(dir).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    }
}

fn rounds(mounted: &mut Mounted, rounds: u64, strike: impl Fn(&mut Mounted)) {
    let seed = crate::asked("KEYFOLD_SEED").unwrap_or(u64::from(std::process::id()));
    eprintln!("KEYFOLD_SEED={seed}");
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let fates = Fates::default();
    let (dir, storms) = (mounted.path("w"), mounted.path("storm"));
    fs::create_dir(&dir).unwrap();
    before_the_storm(&storms);
    for round in 0..rounds {
        let done = AtomicBool::new(false);
        let pause = Duration::from_millis(20 + chance.below(700));
        let starts: Vec<u64> = (0..3).map(|_| chance.below(u64::MAX >> 12) | 1).collect();
        std::thread::scope(|scope| {
            for (writer, start) in starts.into_iter().enumerate() {
                let (dir, fates) = (&dir, &fates);
                scope.spawn(move || {
                    let mut chance = Chance(start);
                    loop {
                        let name = format!("w{writer}-{}", chance.below(6));
                        if change(dir, &name, &mut chance, fates).is_err() {
                            break;
                        }
                    }
                });
            }
            scope.spawn(|| storm(&storms));
            scope.spawn(|| reclaim(&dir, &done));
            std::thread::sleep(pause);
            strike(mounted);
            mounted.die();
            done.store(true, Ordering::Relaxed);
        });
        mounted.kill9();
        let since = Instant::now();
        mounted.restart();
        let took = since.elapsed();
        eprintln!("round {round}: killed after {pause:?}, back after {took:?}");
        assert!(!long() || took < Duration::from_secs(5), "the store took {took:?} to open");
        check(&dir, &fates);
        after_the_storm(&storms);
        mounted.fsck();
    }
}

fn count() -> u64 {
    if long() { 200 } else { 8 }
}

/// Small segments, of which many are filled and emptied in a round.
const SETTINGS: &str = "[log]\nsegment_size = '1MiB'\n";

fn with_small_segments(mounted: &mut Mounted) {
    with(mounted, SETTINGS);
}

fn with(mounted: &mut Mounted, settings: &str) {
    mounted.umount();
    fs::write(mounted.store().join("keyfold.toml"), settings).unwrap();
    mounted.restart();
}

#[test]
fn killed_without_versions() {
    let mut mounted = Mounted::start();
    with_small_segments(&mut mounted);
    rounds(&mut mounted, count(), |_| {});
}

#[test]
fn killed_with_versions() {
    let mut mounted = Mounted::versioned();
    with_small_segments(&mut mounted);
    rounds(&mut mounted, count(), |_| {});
    // Every version that history tells of is whole as well.
    mounted.sh("for name in w/.versions/*; do cat $name/* > /dev/null; done");
}

nix::ioctl_read!(go_down, b'X', 125, u32);

/// Of `EXT4_IOC_SHUTDOWN`: without writing anything more, not even the journal.
const NOLOGFLUSH: u32 = 2;

/// The power of the disk below the store fails: what nobody synced is lost. It is mounted again at once.
fn power_cut(mounted: &mut Mounted) {
    let disk = File::open(mounted.store()).unwrap();
    let mut how = NOLOGFLUSH;
    // SAFETY: the call reads one number.
    unsafe { go_down(disk.as_raw_fd(), &raw mut how) }.unwrap();
    drop(disk);
    mounted.die();
    detach(&mounted.root());
    // Its users are gone, but the kernel may need a moment to see that.
    mounted.sh_outside("for n in $(seq 100); do umount $T/store && exit; sleep 0.05; done; exit 1");
    mounted.sh_outside("mount -o loop $T/image $T/store");
}

#[test]
fn the_power_fails() {
    for versioned in [false, true] {
        let mut mounted = Mounted::unmounted();
        mounted.sh_outside("truncate -s 1500M $T/image; mkfs.ext4 -q $T/image");
        let image = mounted.aside("image");
        mounted.on_disk(|at| {
            assert!(Command::new("mount").args(["-o", "loop"]).args([&image, at]).status().unwrap().success());
            fs::remove_dir(at.join("lost+found")).unwrap();
        });
        mounted.remount("");
        fs::create_dir(mounted.path("")).unwrap();
        if versioned {
            xattr::set(mounted.path(""), "user.s3.versioning", b"Enabled").unwrap();
        }
        with_small_segments(&mut mounted);
        rounds(&mut mounted, count() / 2, power_cut);
    }
}

/// From now on the process gets a little memory and no more, while more and more is open and unwritten; returns when the
/// kernel has killed it.
fn starve(mounted: &mut Mounted, group: &Group) {
    let kills = group.kills();
    group.admit(mounted.pid());
    let dir = mounted.path("open");
    let _ = fs::create_dir(&dir);
    let mut open = vec![];
    for n in 0.. {
        let Ok(mut file) = File::create(dir.join(format!("f{n}"))) else { break };
        let written = file.write_all(&pattern(n, 100_000));
        open.push(file);
        if written.is_err() {
            break;
        }
    }
    let end = Instant::now() + Duration::from_secs(10);
    while group.kills() == kills {
        assert!(Instant::now() < end, "it goes on with {} open files: {}", open.len(), mounted.errors());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn killed_for_want_of_memory() {
    let mut mounted = Mounted::start();
    with(&mut mounted, &format!("{SETTINGS}[memory]\nceiling = '4GiB'\n"));
    let group = Group::new(&format!("keyfold-hunger-{}", std::process::id()), 48 << 20);
    rounds(&mut mounted, count() / 2, |mounted| starve(mounted, &group));
}

/// Killed again and again while it recovers.
#[test]
fn killed_during_recovery() {
    let mut mounted = Mounted::start();
    let body = pattern(1, 3 << 20);
    for name in 0..20 {
        fs::write(mounted.path(&format!("f{name}")), &body).unwrap();
    }
    File::open(mounted.path("f0")).unwrap().sync_all().unwrap();
    File::open(mounted.path("")).unwrap().sync_all().unwrap();
    let mut open = File::create(mounted.path("open")).unwrap();
    open.write_all(&body).unwrap();
    open.sync_all().unwrap();
    for _ in 0..5 {
        mounted.crash();
    }
    drop(open);
    for name in 0..20 {
        assert!(fs::read(mounted.path(&format!("f{name}"))).unwrap() == body);
    }
    assert!(fs::read(mounted.path("open")).unwrap() == body);
    mounted.fsck();
}
