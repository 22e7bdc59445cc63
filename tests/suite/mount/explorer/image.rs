//! Disks as a power cut may leave them: everything up to the last flush, and of what came since any part.

use super::log::{Entry, Log};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

const BLOCK: usize = 4096;

/// A disk's contents; blocks that are not there are zeros.
#[derive(Clone, Default)]
pub struct Image(BTreeMap<u64, Arc<[u8; BLOCK]>>);

impl Image {
    pub fn write(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = (at % BLOCK as u64) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - within));
            let number = at / BLOCK as u64;
            let block = self.0.entry(number).or_insert_with(|| Arc::new([0; BLOCK]));
            Arc::make_mut(block)[within..within + now.len()].copy_from_slice(now);
            if block.iter().all(|byte| *byte == 0) {
                self.0.remove(&number);
            }
            at += now.len() as u64;
            bytes = later;
        }
    }

    /// Makes a file of it.
    pub fn save(&self, path: &Path, size: u64) {
        let file = File::create(path).unwrap();
        file.set_len(size).unwrap();
        for (number, block) in &self.0 {
            file.write_all_at(&block[..], number * BLOCK as u64).unwrap();
        }
    }
}

/// Numbers that follow from a seed.
#[derive(Clone)]
pub struct Chance(u64);

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub const fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }
}

/// What becomes of the writes since the last flush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    All,
    Nothing,
    AllButTheLast,
    /// Each sector of so many bytes by chance.
    Some {
        seed: u64,
        sector: usize,
    },
}

/// A power cut: how many requests the device had had, and what it lost of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    pub after: usize,
    pub loss: Loss,
}

/// Builds images of one log, most cheaply in the order of their cuts.
pub struct Replay<'a> {
    log: &'a Log,
    /// The disk with the entries before `done`, which are durable.
    base: Image,
    done: usize,
}

impl<'a> Replay<'a> {
    /// The log of a disk that began as `base`.
    pub const fn new(log: &'a Log, base: Image) -> Self {
        Self { log, base, done: 0 }
    }

    fn apply(&self, image: &mut Image, entry: &Entry) {
        image.write(entry.at, &self.log.bytes(entry).unwrap());
    }

    /// The disk after a cut, which is no earlier than the one before.
    pub fn image(&mut self, cut: Cut) -> Image {
        let entries = &self.log.entries;
        let flushed = entries[..cut.after].iter().rposition(|entry| entry.flush).unwrap_or(0).max(self.done);
        let mut base = std::mem::take(&mut self.base);
        entries[self.done..flushed].iter().for_each(|entry| self.apply(&mut base, entry));
        (self.base, self.done) = (base, flushed);
        let mut image = self.base.clone();
        let since = &entries[flushed..cut.after];
        let last = since.iter().rposition(|entry| entry.len > 0);
        for (n, entry) in since.iter().enumerate() {
            match cut.loss {
                Loss::Some { seed, sector } if !entry.fua => {
                    let mut chance = Chance::new(seed ^ ((flushed + n) as u64) << 20);
                    let bytes = self.log.bytes(entry).unwrap();
                    // What ext4 keeps its superblock in is checked as a whole and not torn by the disks it is made for.
                    let sector = if entry.at == 0 { BLOCK } else { sector };
                    for (at, bytes) in (0..).step_by(sector).zip(bytes.chunks(sector)) {
                        if chance.below(2) == 0 {
                            image.write(entry.at + at, bytes);
                        }
                    }
                }
                Loss::All if !entry.fua => {}
                Loss::AllButTheLast if !entry.fua && Some(n) != last => {}
                _ => self.apply(&mut image, entry),
            }
        }
        image
    }
}

/// Every cut between two places of a log that differs from the others: at each flush without what came since the one
/// before, before it with all of that, and `chances` times with parts.
pub fn cuts(log: &Log, from: usize, to: usize, seed: u64, chances: usize) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut chance = Chance::new(seed);
    let mut begins = from;
    for (at, entry) in log.entries.iter().enumerate().take(to).skip(from) {
        if !entry.flush {
            continue;
        }
        let writes = log.entries[begins..at].iter().filter(|entry| entry.len > 0).count();
        if writes > 0 {
            cuts.extend((0..chances).map(|_| {
                let after = begins + 1 + chance.below(at - begins);
                let sector = if chance.below(2) == 0 { 512 } else { BLOCK };
                Cut { after, loss: Loss::Some { seed: chance.below(1 << 40) as u64, sector } }
            }));
            cuts.push(Cut { after: at, loss: Loss::All });
            cuts.push(Cut { after: at, loss: Loss::Nothing });
            if writes > 1 {
                cuts.push(Cut { after: at, loss: Loss::AllButTheLast });
            }
        }
        begins = at;
    }
    cuts.sort_by_key(|cut| cut.after);
    cuts
}
