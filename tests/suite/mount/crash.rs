//! kill -9 at random moments under load: everything synced is there, nothing is half-made, the store is sound.

use super::{Mounted, long, pattern};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
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

fn rounds(mounted: &mut Mounted, rounds: u64) {
    let seed = crate::asked("KEYFOLD_SEED").unwrap_or(u64::from(std::process::id()));
    eprintln!("KEYFOLD_SEED={seed}");
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let fates = Fates::default();
    for round in 0..rounds {
        let dir = mounted.path("");
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
            std::thread::sleep(pause);
            mounted.die();
        });
        mounted.kill9();
        let since = Instant::now();
        mounted.restart();
        let took = since.elapsed();
        eprintln!("round {round}: killed after {pause:?}, back after {took:?}");
        assert!(!long() || took < Duration::from_secs(5), "the store took {took:?} to open");
        check(&dir, &fates);
        mounted.fsck();
    }
}

fn count() -> u64 {
    if long() { 50 } else { 8 }
}

#[test]
fn without_versions() {
    rounds(&mut Mounted::start(), count());
}

#[test]
fn with_versions() {
    let mut mounted = Mounted::versioned();
    rounds(&mut mounted, count());
    // Every version that history tells of is whole as well.
    mounted.sh("for name in .versions/*; do cat $name/* > /dev/null; done");
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
