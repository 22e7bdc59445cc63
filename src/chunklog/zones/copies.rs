//! A file that is written in several zones at once.
//!
//! Each call goes to all copies that are left. A copy whose zone refuses is given up while another takes it, and nothing of
//! that is acknowledged before the zone's doubt is written down. Only when no copy is left has the call failed.

use super::super::durable::{is_full, is_scarcity};
use super::super::id::FileKey;
use super::Zones;
use super::care::Made;
use super::catalog::{mask, number};
use crate::sys::disk::DiskFile;
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::{spawn_scoped, thread};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

/// A file in the zones that were chosen for it.
pub(in crate::chunklog) struct Copies {
    zones: Arc<Zones>,
    key: FileKey,
    list: Box<[Copy]>,
}

struct Copy {
    zone: usize,
    /// The zone's turn in which it was made.
    turn: u64,
    file: Arc<dyn DiskFile>,
    given_up: AtomicBool,
    /// Whether its name is durable.
    named: AtomicBool,
}

impl Copies {
    /// `made`: the zones with their turns, and the file in each.
    pub(super) fn new(zones: Arc<Zones>, key: FileKey, made: Vec<Made>) -> Self {
        let copy = |(zone, turn, file)| Copy {
            zone,
            turn,
            file,
            given_up: AtomicBool::new(false),
            named: AtomicBool::new(false),
        };
        Self { zones, key, list: made.into_iter().map(copy).collect() }
    }

    /// Those that are still written to. A zone that was lost and is back has missed something.
    fn left(&self) -> impl Iterator<Item = &Copy> {
        let live = |copy: &&Copy| {
            !copy.given_up.load(Ordering::Acquire) && self.zones.member(copy.zone).turn() == Some(copy.turn)
        };
        self.list.iter().filter(live)
    }

    fn each(&self, call: &dyn Fn(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        let outcomes = self.left().map(|copy| (copy, call(&*copy.file))).collect();
        self.settle(outcomes)
    }

    /// What the outcomes in all copies come to.
    fn settle(&self, outcomes: Vec<(&Copy, io::Result<()>)>) -> io::Result<()> {
        let done = outcomes.iter().any(|(_, outcome)| outcome.is_ok());
        let mut answer = if done { Ok(()) } else { Err(self.nowhere()) };
        for (copy, outcome) in outcomes {
            let Err(error) = outcome else { continue };
            // Nobody took it, and what has run out may be there again.
            if done || !is_scarcity(&error) {
                self.give_up(copy, &error);
            }
            if !done && (is_full(&error) || !answer.as_ref().is_err_and(is_scarcity)) {
                answer = Err(error);
            }
        }
        answer.and_then(|()| self.zones.save_doubts())
    }

    fn nowhere(&self) -> io::Error {
        io::Error::new(ErrorKind::NotFound, format!("no zone that has {} is there", self.key))
    }

    /// Whether a whole copy was made, and synced, since the file was complete: then nothing is lost with those it was written to.
    fn made_elsewhere(&self, error: io::Error) -> io::Result<()> {
        // Not one of those that have just refused, and may take it later.
        let own = mask(self.left().map(|copy| copy.zone));
        let whole =
            self.zones.catalog.get(number(self.key)).map_or(0, |spots| spots.good() & self.zones.there() & !own);
        if whole == 0 { Err(error) } else { self.zones.save_doubts() }
    }

    fn give_up(&self, copy: &Copy, error: &io::Error) {
        copy.given_up.store(true, Ordering::Release);
        if is_scarcity(error) {
            self.zones.cut_short(self.key, copy.zone, error);
        } else {
            self.zones.catalog.change(number(self.key), |spots| spots.bad |= 1 << copy.zone);
            self.zones.lose(copy.zone, &error.to_string());
        }
    }

    fn sync_one(&self, copy: &Copy) -> io::Result<()> {
        copy.file.sync_data()?;
        if !copy.file.has_name()? {
            // Deleted, all of it: who does that takes it out of the catalog first.
            if self.zones.catalog.get(number(self.key)).is_none() {
                return Ok(());
            }
            return Err(io::Error::new(ErrorKind::NotFound, "the file was removed from the zone"));
        }
        if copy.named.load(Ordering::Acquire) {
            return Ok(());
        }
        let (member, path) = (self.zones.member(copy.zone), self.key.path());
        member.sync_names(path.parent().unwrap_or(Path::new("")))?;
        copy.named.store(true, Ordering::Release);
        Ok(())
    }
}

impl DiskFile for Copies {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut answer = Err(self.nowhere());
        for copy in self.left() {
            answer = copy.file.read_at(at, buf);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.each(&|file| file.write_at(at, bytes))
    }

    fn write_vectored_at(&self, at: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        self.each(&|file| {
            let mut parts: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            file.write_vectored_at(at, &mut parts)
        })
    }

    fn begin_write_back(&self, at: u64, len: u64) {
        self.left().for_each(|copy| copy.file.begin_write_back(at, len));
    }

    /// With the names, which are durable when this returns. Disks sync at the same time.
    fn sync_data(&self) -> io::Result<()> {
        let left: Vec<&Copy> = self.left().collect();
        let Some((first, others)) = left.split_first() else { return self.made_elsewhere(self.nowhere()) };
        // A disk in memory takes no time, and its calls have one order.
        let outcomes: Vec<io::Result<()>> = if others.is_empty() || !first.file.waits() {
            left.iter().map(|copy| self.sync_one(copy)).collect()
        } else {
            thread::scope(|scope| {
                let begin = |copy| (copy, spawn_scoped(scope, move || self.sync_one(copy)));
                let others: Vec<_> = others.iter().copied().map(begin).collect();
                let first = self.sync_one(first);
                let joined = others.into_iter().map(|(copy, other)| match other {
                    Ok(other) => other.join().unwrap_or_else(|_| Err(io::Error::other("a sync panicked"))),
                    // The system gives no thread.
                    Err(_) => self.sync_one(copy),
                });
                std::iter::once(first).chain(joined).collect()
            })
        };
        self.settle(left.into_iter().zip(outcomes).collect()).or_else(|error| self.made_elsewhere(error))
    }

    /// Room taken ahead spares syncs, no more: a zone that has none left finds that out when it is written to.
    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        let outcomes: Vec<_> = self.left().map(|copy| (copy, copy.file.allocate(at, len))).collect();
        let taken = outcomes.iter().any(|(_, outcome)| outcome.is_ok());
        let counts = |(_, outcome): &(&Copy, io::Result<()>)| !taken || !outcome.as_ref().is_err_and(is_scarcity);
        self.settle(outcomes.into_iter().filter(counts).collect())
    }

    fn size(&self) -> io::Result<u64> {
        self.left().next().ok_or_else(|| self.nowhere())?.file.size()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.each(&|file| file.set_len(len))
    }

    fn punch_hole(&self, at: u64, len: u64) -> io::Result<()> {
        self.each(&|file| file.punch_hole(at, len))
    }

    fn has_name(&self) -> io::Result<bool> {
        self.left().next().ok_or_else(|| self.nowhere())?.file.has_name()
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
