//! Damage at random: the store opens, a repair comes to its end, and nothing that is sound is lost.

use super::super::harness::{Home, reap};
use super::home::{
    Bytes, Seen, assert_no_wrong_bytes, bodies, everything, findings, populated, records, repair, tamper,
};
use keyfold::index::Family;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Seeds of the short form.
const SEEDS: u64 = 4;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        // A fixed recurrence, so that a seed is one exact damage.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).unwrap()
    }
}

fn seeds(short: u64) -> std::ops::Range<u64> {
    let first = std::env::var("KEYFOLD_SEED").ok().and_then(|seed| seed.parse().ok());
    let long = std::env::var_os("KEYFOLD_LONG").is_some();
    match first {
        Some(first) => first..first + 1,
        None => 0..if long { short * 150 } else { short },
    }
}

/// Families whose records hold bytes or the way to them.
fn holds_bytes(family: Family) -> bool {
    matches!(family, Family::Content | Family::Node)
}

fn data_files(home: &Home) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![home.dir.path().join("seg"), home.dir.path().join("solo")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// After damage: opens, mends, and sees that nothing more is found.
fn mended(home: &Home, seed: u64) -> Seen {
    let store = home.open();
    everything(&store);
    reap(&store);
    repair(&store);
    let left = findings(&store);
    assert!(left.iter().all(|found| found.is_loss()), "seed {seed}: {left:#?}");
    let seen = everything(&store);
    let again = repair(&store);
    assert!(again.iter().all(|found| found.is_loss()), "seed {seed}: {again:#?}");
    drop(store);
    let store = home.open();
    reap(&store);
    assert_eq!(everything(&store), seen, "seed {seed}");
    seen
}

/// Records deleted or made unreadable, files damaged or deleted: never a wrong byte, and what the damage did not hit
/// is there.
#[test]
fn of_records_and_files() {
    for seed in seeds(SEEDS) {
        let mut random = Random(seed);
        let (home, store) = populated();
        let before = everything(&store);
        drop(store);
        let mut hit_bytes = false;
        let changes = 1 + random.below(4);
        tamper(&home, |tx| {
            for _ in 0..changes {
                let all = records(&*tx);
                let (family, key, value) = &all[random.below(all.len())];
                hit_bytes |= holds_bytes(*family);
                match random.below(3) {
                    0 => tx.delete(*family, key),
                    1 => tx.put_bytes(*family, key, vec![0xff; value.len().max(1)]),
                    _ => tx.put_bytes(*family, key, value[..value.len() / 2].to_vec()),
                }
            }
        });
        let files = data_files(&home);
        match random.below(4) {
            0 => {
                hit_bytes = true;
                fs::remove_file(&files[random.below(files.len())]).unwrap();
            }
            1 => {
                hit_bytes = true;
                let path = &files[random.below(files.len())];
                let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
                let at = random.below(usize::try_from(file.metadata().unwrap().len()).unwrap()) as u64;
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).unwrap();
                file.write_all_at(&[byte[0] ^ 4], at).unwrap();
            }
            _ => {}
        }
        let after = mended(&home, seed);
        assert_no_wrong_bytes(&before, &after);
        if !hit_bytes {
            let there = bodies(&after);
            let lost: Vec<usize> = bodies(&before).difference(&there).map(|body| body.len()).collect();
            assert!(lost.is_empty(), "seed {seed}: contents of {lost:?} bytes are lost");
        }
    }
}

/// Records that still can be read and say something else: the store opens, and a repair comes to its end.
#[test]
fn of_what_records_say() {
    for seed in seeds(2 * SEEDS) {
        let mut random = Random(seed ^ 0x5eed_0000);
        let (home, store) = populated();
        let before = everything(&store);
        drop(store);
        let changes = 1 + random.below(3);
        tamper(&home, |tx| {
            for _ in 0..changes {
                let all = records(&*tx);
                let (family, key, value) = &all[random.below(all.len())];
                match random.below(3) {
                    // One record in the place of another of its kind.
                    0 => {
                        let same: Vec<_> = all.iter().filter(|(other, ..)| other == family).collect();
                        tx.put_bytes(*family, key, same[random.below(same.len())].2.clone());
                    }
                    // The same record twice.
                    1 => {
                        let mut other = key.clone();
                        if let Some(last) = other.last_mut() {
                            *last ^= 1 << random.below(8);
                        }
                        tx.put_bytes(*family, &other, value.clone());
                    }
                    _ => {
                        let mut value = value.clone();
                        if !value.is_empty() {
                            let at = random.below(value.len());
                            value[at] ^= 1 << random.below(8);
                        }
                        tx.put_bytes(*family, key, value);
                    }
                }
            }
        });
        let after = mended(&home, seed);
        let most: usize = before.values().filter(|found| after.values().any(|now| now.bytes == found.bytes)).count();
        assert!(most + 12 >= before.len(), "seed {seed}: {most} of {}", before.len());
        assert!(after.values().all(|found| *found != Bytes { bytes: vec![], lost: vec![(0, 0)] }));
    }
}
