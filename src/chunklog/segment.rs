//! The segment that a class appends to: places are given out under a lock, bytes are written outside it.
//!
//! Locks: `grow` before the file's [`Tracked`] state; `grow` is held while the file takes room, never while
//! payload is written.

use super::durable::{Tracked, is_full};
use super::format::Binder;
use super::format::footer::{self, Entry};
use super::format::header::HEADER_BYTES;
use super::format::run::{self, Layout, Payload};
use super::id::{Owner, Run, SegmentId};
use super::packed::Packed;
use crate::sys::disk::DiskFile;
use crate::sys::sync::Mutex;
use std::io::{self, IoSlice};
use std::sync::Arc;

const STEP_MIN: u64 = 256 << 10;
/// The same where little is ever written.
const STEP_SMALL: u64 = 16 << 10;
const STEP_MAX: u64 = 512 << 10;
/// Payloads below this are copied behind their heads rather than handed over as a slice of their own.
const COPY_BELOW: usize = 16 << 10;

pub(super) struct OpenSegment {
    pub(super) id: SegmentId,
    pub(super) tracked: Arc<Tracked>,
    store: [u8; 16],
    limit: u64,
    bind: Binder,
    grow: Mutex<Grow>,
}

struct Grow {
    tail: u64,
    room: Room,
    /// Places given out whose bytes are being written.
    writing: u32,
    entries: Vec<Entry>,
    /// Plain bytes of the entries.
    plain: u64,
    /// No more places are given out.
    retired: bool,
    /// Some place given out was never written: no footer, or a walk would stumble over it.
    holed: bool,
    sealing: bool,
}

/// Room taken ahead of the writes, so that a sync need not write the file's size each time.
pub(super) struct Room {
    taken: u64,
    step: u64,
}

impl Room {
    pub(super) const fn none() -> Self {
        Self { taken: 0, step: STEP_MIN }
    }

    pub(super) const fn small() -> Self {
        Self { taken: 0, step: STEP_SMALL }
    }

    /// Takes room up to `end`: in steps that double, at most up to `limit` unless `end` lies beyond, and no more
    /// than is needed when the disk is nearly full.
    pub(super) fn reach(&mut self, file: &dyn DiskFile, end: u64, limit: u64) -> io::Result<()> {
        while self.taken < end {
            let ahead = (self.taken + self.taken.clamp(self.step, STEP_MAX)).min(limit).max(end);
            let taken = match file.allocate(self.taken, ahead - self.taken) {
                Ok(()) => ahead,
                Err(_) if ahead > end => {
                    file.allocate(self.taken, end - self.taken)?;
                    end
                }
                Err(error) => return Err(error),
            };
            self.taken = taken;
        }
        Ok(())
    }
}

/// What one append is about.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) pieces: &'a [(Owner<'a>, &'a [u8])],
    /// Those of them that are stored compressed; none where nothing is.
    pub(super) packed: &'a [Option<Packed>],
}

impl<'a> Pieces<'a> {
    fn each(self) -> impl Iterator<Item = (&'a Owner<'a>, Payload<'a>)> {
        self.pieces.iter().enumerate().map(move |(n, (owner, bytes))| {
            let packed = self.packed.get(n).and_then(Option::as_ref);
            (owner, packed.map_or_else(|| Payload::plain(bytes), Packed::payload))
        })
    }
}

/// Places given out to one append.
pub(super) struct Places {
    start: u32,
    layouts: Vec<Layout>,
}

impl OpenSegment {
    pub(super) fn new(id: SegmentId, tracked: Arc<Tracked>, store: [u8; 16], limit: u64, room: Room) -> Self {
        let grow = Grow {
            tail: HEADER_BYTES as u64,
            room,
            writing: 0,
            entries: Vec::new(),
            plain: 0,
            retired: false,
            holed: false,
            sealing: false,
        };
        Self { id, tracked, store, limit, bind: Binder::segment(&store, id), grow: Mutex::new(grow) }
    }

    /// Gives out places to as many pieces as fit; `None` when this segment takes no more.
    pub(super) fn reserve(&self, pieces: Pieces<'_>) -> io::Result<Option<Places>> {
        let mut grow = self.grow.lock();
        if grow.retired || self.tracked.is_dead() {
            return Ok(None);
        }
        let start = grow.tail;
        let mut end = start;
        let mut layouts = Vec::with_capacity(pieces.pieces.len());
        for (owner, payload) in pieces.each() {
            let layout = payload.layout(end as u32, run::key_tail(owner.key_tail).len());
            let next = end + u64::from(layout.total);
            if next > self.limit && end > HEADER_BYTES as u64 {
                break;
            }
            end = next;
            layouts.push(layout);
        }
        if layouts.is_empty() {
            return Ok(None);
        }
        grow.room.reach(&*self.tracked.file, end, self.limit)?;
        grow.tail = end;
        grow.writing += 1;
        Ok(Some(Places { start: start as u32, layouts }))
    }

    /// Writes as many pieces as were given places to these, in one call. `Ok(false)`: written, but the file failed meanwhile.
    pub(super) fn write(&self, places: &Places, pieces: Pieces<'_>, runs: &mut Vec<Run>) -> io::Result<bool> {
        let from = runs.len();
        let mut entries = Vec::with_capacity(places.layouts.len());
        let outcome = self.put(places, pieces, &mut entries);
        match &outcome {
            Ok(()) => runs.extend(entries.iter().map(|e| Run { segment: self.id, offset: e.offset, len: e.len })),
            // Room ran out although it was taken before, as on file systems that copy on write. Other data is well.
            Err(error) if is_full(error) => {}
            Err(_) => self.tracked.give_up(),
        }
        let kept = outcome.is_ok() && self.tracked.wrote(entries.iter().map(|entry| entry.offset));
        if !kept {
            runs.truncate(from);
        }
        let mut grow = self.grow.lock();
        grow.writing -= 1;
        if kept {
            grow.plain += entries.iter().map(|entry| u64::from(entry.len)).sum::<u64>();
            grow.entries.append(&mut entries);
        } else {
            grow.holed = true;
            grow.retired = true;
        }
        self.seal_when_idle(grow);
        outcome.map(|()| kept)
    }

    fn put(&self, places: &Places, pieces: Pieces<'_>, entries: &mut Vec<Entry>) -> io::Result<()> {
        let given = || pieces.each().zip(&places.layouts);
        let small: usize = given().map(|((_, payload), _)| payload.stored.len()).filter(|len| *len < COPY_BELOW).sum();
        let heads: usize = places.layouts.iter().map(|layout| layout.head as usize + 8).sum();
        let mut buffer = Vec::with_capacity(small + heads);
        // Ends of the buffer's stretches, each followed by the payload of one large piece.
        let mut cuts = Vec::new();
        let mut offset = places.start;
        for ((owner, payload), layout) in given() {
            run::encode_head(&mut buffer, &self.bind, self.id, offset, owner, &payload);
            let bytes = payload.stored;
            if bytes.len() < COPY_BELOW {
                buffer.extend_from_slice(bytes);
            } else {
                cuts.push((buffer.len(), bytes));
            }
            let padding = (layout.total - layout.head) as usize - bytes.len();
            buffer.resize(buffer.len() + padding, 0);
            let (ino, seq, logical) = (owner.ino, owner.seq, owner.logical);
            entries.push(Entry { offset, len: payload.len, ino, seq, logical });
            offset += layout.total;
        }
        let at = u64::from(places.start);
        let file = &self.tracked.file;
        if cuts.is_empty() {
            file.write_at(at, &buffer)?;
        } else {
            let mut slices = Vec::with_capacity(cuts.len() * 2 + 1);
            let mut from = 0;
            for (cut, payload) in cuts {
                slices.push(IoSlice::new(&buffer[from..cut]));
                slices.push(IoSlice::new(payload));
                from = cut;
            }
            slices.push(IoSlice::new(&buffer[from..]));
            file.write_vectored_at(at, &mut slices)?;
        }
        Ok(())
    }

    /// Bytes given out, and plain bytes of the runs written so far.
    pub(super) fn fill(&self) -> (u64, u64) {
        let grow = self.grow.lock();
        (grow.tail, grow.plain)
    }

    /// Runs from `from` on that are written and synced, in the file's order: at least one, and no more than `bytes` hold.
    pub(super) fn durable_runs(&self, from: u32, bytes: u64) -> Vec<Entry> {
        let fresh = self.tracked.unsynced();
        let mut entries: Vec<Entry> = {
            let grow = self.grow.lock();
            let behind = |entry: &&Entry| entry.offset >= from && !fresh.contains(&entry.offset);
            grow.entries.iter().filter(behind).copied().collect()
        };
        entries.sort_unstable();
        let mut left = bytes;
        let fits = entries.iter().take_while(|entry| {
            let more = left > 0;
            left = left.saturating_sub(u64::from(entry.len));
            more
        });
        let count = fits.count();
        entries.truncate(count);
        entries
    }

    /// Takes no more runs; whoever writes last, or this call, seals the file.
    pub(super) fn retire(&self) {
        let mut grow = self.grow.lock();
        grow.retired = true;
        self.seal_when_idle(grow);
    }

    /// Stops giving out places without a footer, because room could not be taken for another reason than a full disk.
    pub(super) fn give_up(&self) {
        self.grow.lock().holed = true;
        self.retire();
    }

    fn seal_when_idle(&self, mut grow: crate::sys::sync::MutexGuard<'_, Grow>) {
        if !grow.retired || grow.writing > 0 || grow.sealing {
            return;
        }
        grow.sealing = true;
        let (tail, holed) = (grow.tail, grow.holed);
        let mut entries = std::mem::take(&mut grow.entries);
        drop(grow);
        if holed && !self.tracked.is_dead() {
            // The room taken ahead may be what the disk lacks; a failure costs only that.
            let _ = self.tracked.file.set_len(tail);
        } else if !self.tracked.is_dead() {
            entries.sort_unstable();
            self.write_footer(tail as u32, &entries);
        }
        self.tracked.finish();
    }

    /// A segment without a footer is as good to readers, so only a failed write counts, and a full disk does not.
    fn write_footer(&self, tail: u32, entries: &[Entry]) {
        let bytes = footer::encode(&self.bind, &self.store, self.id, tail, entries);
        let file = &self.tracked.file;
        match file.write_at(u64::from(tail), &bytes).and_then(|()| file.set_len(u64::from(tail) + bytes.len() as u64)) {
            Ok(()) => {
                self.tracked.wrote([]);
            }
            Err(error) if is_full(&error) => {}
            Err(_) => self.tracked.give_up(),
        }
    }
}
