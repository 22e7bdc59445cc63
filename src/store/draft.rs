//! A write session's bytes: pieces laid over a base content, buffered in memory and spilled into the chunk log.
//!
//! Bytes written in sequence become a file of their own once there are enough; everything else becomes runs.
//! Nothing here is visible to other doors until the session is published.

mod fill;
mod room;
mod told;

use super::Store;
use super::content::Content;
use super::extents::{Edit, part};
use super::moves::Staying;
use super::origin::Origin;
use super::pins::PendingSet;
use super::quota::Room;
use crate::chunklog::{Class, Owner, RUN_BYTES_MAX, SoloId, SoloWriter, Tier};
use crate::crypto::{Crc64, crc64_combine, crc64_zeros};
use crate::index::{Extent, Source};
use crate::model::{ContentId, Error, Ino, Kind, Object, Result};
use crate::sys::sync::atomic::{AtomicUsize, Ordering};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Buffered bytes at which a session spills into the log, and from which a sequence gets a file of its own.
const BUFFER_BYTES: usize = RUN_BYTES_MAX as usize;
/// Buffered bytes, of one session, that are spilled early when all sessions together hold too many.
const EARLY_BYTES: usize = 16 << 10;
/// Pieces a session may gather before it spills, however short they are: each costs memory beside its bytes.
const PIECES: usize = 16 << 10;
/// Largest object: 10,000 parts of 5 GiB (SIZE-1).
pub(super) const OBJECT_BYTES_MAX: u64 = 10_000 * (5 << 30);

/// A stretch that differs from the base.
enum Piece {
    /// In memory.
    Buffer(Vec<u8>),
    /// In the log, put there by this session since it was last published.
    Fresh(Extent),
    /// Bytes that a content has stored from an offset on, kept alive by it.
    Shared { content: Arc<Content>, at: u64, len: u64 },
    /// Zeros.
    Zeros(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Buffer(bytes) => bytes.len() as u64,
            Self::Fresh(extent) => extent.len,
            Self::Shared { len, .. } | Self::Zeros(len) => *len,
        }
    }

    /// Cuts it in two at `at`.
    fn split(self, at: u64) -> (Self, Self) {
        match self {
            Self::Buffer(mut bytes) => {
                let rest = bytes.split_off(usize::try_from(at).unwrap_or(usize::MAX));
                (Self::Buffer(bytes), Self::Buffer(rest))
            }
            Self::Fresh(extent) => (Self::Fresh(part(extent, 0, at)), Self::Fresh(part(extent, at, extent.len))),
            Self::Shared { content, at: from, len } => (
                Self::Shared { content: Arc::clone(&content), at: from, len: at },
                Self::Shared { content, at: from + at, len: len - at },
            ),
            Self::Zeros(len) => (Self::Zeros(at), Self::Zeros(len - at)),
        }
    }
}

/// Checksum of the bytes from 0 on, as far as they were written in sequence.
struct Running {
    crc: Crc64,
    at: u64,
}

/// Bytes in memory that will need room on the disk: one session's, and with `all` the sum of every session's.
struct Buffered {
    bytes: usize,
    all: Arc<AtomicUsize>,
}

impl Buffered {
    fn set(&mut self, bytes: usize) {
        self.all.fetch_add(bytes, Ordering::Relaxed);
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The bytes of a file being written.
pub struct Draft {
    store: Arc<Store>,
    /// What the log is told of its bytes.
    origin: Origin,
    base: Option<Arc<Content>>,
    /// Bytes of the base that still show through.
    base_len: u64,
    size: u64,
    pieces: BTreeMap<u64, Piece>,
    buffered: Buffered,
    /// Pieces there were after the last spill.
    spilled: usize,
    solo: Option<SoloWriter>,
    /// Where in the object that begins, and the number of the write that began it.
    solo_from: (u64, u32),
    /// The smallest length it was cut to since it was begun.
    cut: Option<u64>,
    /// Whether the log was told of what is not in it, and nothing has changed since.
    noted: bool,
    /// Whether the log was told of something since the last publication that is not in it.
    told: bool,
    /// Whether its files of their own are the log's whatever becomes of it.
    lent: bool,
    running: Option<Running>,
    pending: PendingSet,
    /// Where in the log its bytes go.
    tier: Tier,
    /// Whether it took bytes of other contents since it was last published.
    shares: bool,
    /// What it takes of its bucket's quota, once any bucket has one.
    room: Option<Room>,
    dirty: bool,
    /// Its file of its own that could not be completed, and why: what was in it is gone.
    lost: Option<(SoloId, Kind, String)>,
}

impl Store {
    /// Begins a write session over an object, or over nothing.
    ///
    /// # Errors
    /// As [`Store::open_content`].
    pub fn draft(self: &Arc<Self>, base: Option<&Object>) -> Result<Draft> {
        match base {
            Some(object) => {
                let mut draft = self.draft_over(object.ino, Arc::new(self.open_content(object)?));
                draft.rewrites(object.class);
                Ok(draft)
            }
            None => Ok(self.blank_draft(Ino(0))),
        }
    }

    /// Begins a write session of the file `ino` over the bytes it has.
    #[must_use]
    pub fn draft_over(self: &Arc<Self>, ino: Ino, content: Arc<Content>) -> Draft {
        let mut draft = self.blank_draft(ino);
        if content.size() > 0 {
            draft.rebase(content);
        }
        draft
    }

    fn blank_draft(self: &Arc<Self>, ino: Ino) -> Draft {
        Draft {
            store: Arc::clone(self),
            origin: Origin::of(ino),
            base: None,
            base_len: 0,
            size: 0,
            pieces: BTreeMap::new(),
            buffered: Buffered { bytes: 0, all: Arc::clone(&self.buffered) },
            spilled: 0,
            solo: None,
            solo_from: (0, 0),
            cut: None,
            noted: false,
            told: false,
            lent: false,
            running: Some(Running { crc: Crc64::new(), at: 0 }),
            pending: PendingSet::new(&self.pending),
            tier: Tier::default(),
            shares: false,
            room: None,
            dirty: false,
            lost: None,
        }
    }
}

impl Draft {
    /// Begins anew over what was just published.
    pub(super) fn rebase(&mut self, content: Arc<Content>) {
        self.size = content.size();
        self.running = content.crc64().map(|value| Running { crc: Crc64::resume(value), at: content.size() });
        self.published(content.id());
        (self.cut, self.noted, self.told) = (None, false, false);
        self.solo = None;
        self.dirty = false;
        if let Some(bytes) = content.inline() {
            self.base = None;
            self.base_len = 0;
            if !bytes.is_empty() {
                self.buffered.set(bytes.len());
                self.pieces.insert(0, Piece::Buffer(bytes.to_vec()));
            }
        } else {
            self.base_len = content.size();
            self.base = Some(content);
        }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes it takes or will take in the store, roughly.
    #[must_use]
    pub fn stored(&self) -> u64 {
        let pieces: u64 = self.pieces.values().filter(|piece| !matches!(piece, Piece::Zeros(_))).map(Piece::len).sum();
        let base = self.base.as_ref().map_or(0, |content| content.stored().min(self.base_len));
        (pieces + base).min(self.size)
    }

    /// Whether it differs from what was published last.
    #[must_use]
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes it count as changed although its bytes are the same, as O_TRUNC of an empty file does (FSX-3).
    pub const fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    fn check_end(at: u64, len: u64) -> Result<u64> {
        at.checked_add(len).filter(|end| *end <= OBJECT_BYTES_MAX).ok_or_else(|| {
            Error::new(Kind::EntityTooLarge, "cannot make the file that large")
                .why(format!("an object has at most {OBJECT_BYTES_MAX} bytes (SIZE-1)"))
                .mend("split the data over several files")
        })
    }

    /// Takes `[start, end)` out of the pieces.
    fn carve(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let before = self.pieces.range(..start).next_back().map(|(at, piece)| (*at, *at + piece.len()));
        if let Some((at, piece_end)) = before.filter(|(_, piece_end)| *piece_end > start)
            && let Some(piece) = self.pieces.remove(&at)
        {
            let (head, rest) = piece.split(start - at);
            self.pieces.insert(at, head);
            self.pieces.insert(start, rest);
            debug_assert!(piece_end > start);
        }
        let inside: Vec<u64> = self.pieces.range(start..end).map(|(at, _)| *at).collect();
        for at in inside {
            let Some(piece) = self.pieces.remove(&at) else { continue };
            let len = piece.len();
            if let Piece::Buffer(bytes) = &piece {
                self.buffered.set(self.buffered.bytes - bytes.len());
            }
            if at + len > end {
                let (_, rest) = piece.split(end - at);
                if let Piece::Buffer(bytes) = &rest {
                    self.buffered.set(self.buffered.bytes + bytes.len());
                }
                self.pieces.insert(end, rest);
            }
        }
    }

    fn ran(&mut self, at: u64, data: &[u8]) {
        match &mut self.running {
            Some(running) if running.at == at => {
                running.crc.update(data);
                running.at += data.len() as u64;
            }
            _ => self.running = None,
        }
    }

    /// Writes `data` at `at`; bytes between the end and `at` become zeros.
    ///
    /// # Errors
    /// [`Kind::Full`], [`Kind::QuotaExceeded`], [`Kind::EntityTooLarge`], or what the disk says.
    pub fn write_at(&mut self, at: u64, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let end = Self::check_end(at, data.len() as u64)?;
        self.store.room_for_data(data.len() as u64)?;
        self.admit(self.size.max(end))?;
        if at > self.size {
            self.lengthen(at);
        }
        let grows = at == self.size;
        if grows && self.append_solo(at, data)? {
            self.ran(at, data);
        } else {
            self.overwrite_buffered(at, data);
            self.ran(at, data);
        }
        self.size = self.size.max(end);
        self.changed();
        if self.is_full() {
            self.spill(true)?;
            self.spilled = self.pieces.len();
        }
        Ok(())
    }

    /// Whether a write of `len` bytes may wait for the disk.
    #[must_use]
    pub fn write_may_block(&self, len: usize) -> bool {
        self.solo.is_some() || self.buffered.bytes + len >= BUFFER_BYTES || self.is_full()
    }

    /// Whether it is to spill: its own buffer is full, or all sessions' together are.
    fn is_full(&self) -> bool {
        let all = self.buffered.all.load(Ordering::Relaxed);
        self.buffered.bytes >= BUFFER_BYTES
            || self.pieces.len() >= self.spilled + PIECES
            || (self.buffered.bytes >= EARLY_BYTES && all >= self.store.settings.draft_bytes)
    }

    fn overwrite_buffered(&mut self, at: u64, data: &[u8]) {
        let end = at + data.len() as u64;
        if let Some((start, Piece::Buffer(bytes))) = self.pieces.range_mut(..=at).next_back() {
            let from = usize::try_from(at - start).unwrap_or(usize::MAX);
            if from + data.len() <= bytes.len() {
                bytes[from..from + data.len()].copy_from_slice(data);
                return;
            }
        }
        self.carve(at, end);
        if let Some((start, Piece::Buffer(bytes))) = self.pieces.range_mut(..at).next_back()
            && start + bytes.len() as u64 == at
            && bytes.len() + data.len() <= BUFFER_BYTES
        {
            bytes.extend_from_slice(data);
        } else {
            self.pieces.insert(at, Piece::Buffer(data.to_vec()));
        }
        self.buffered.set(self.buffered.bytes + data.len());
    }

    /// Continues the file of its own, when its end is at `at`.
    fn append_solo(&mut self, at: u64, data: &[u8]) -> Result<bool> {
        let Some(writer) = &mut self.solo else { return Ok(false) };
        let Some((start, Piece::Fresh(extent))) = self.pieces.range_mut(..at).next_back() else { return Ok(false) };
        let Source::Solo { id, at: solo_at } = extent.source else { return Ok(false) };
        if start + extent.len != at || id != writer.id().0 || solo_at + extent.len != writer.len() {
            return Ok(false);
        }
        writer.write(data)?;
        extent.len += data.len() as u64;
        Ok(true)
    }

    /// Puts the buffered bytes into the log. A long sequence at the end becomes the beginning of a file of its own, but in a tier
    /// that compresses.
    fn spill(&mut self, may_go_on: bool) -> Result<()> {
        let buffers: Vec<(u64, usize)> = self
            .pieces
            .iter()
            .filter_map(|(at, piece)| match piece {
                Piece::Buffer(bytes) => Some((*at, bytes.len())),
                _ => None,
            })
            .collect();
        let joined = buffers.windows(2).all(|pair| pair[0].0 + pair[0].1 as u64 == pair[1].0);
        let at_end = buffers.last().is_some_and(|(at, len)| at + *len as u64 == self.size);
        let long = joined && at_end && self.buffered.bytes >= BUFFER_BYTES / 2;
        if may_go_on && self.solo.is_none() && long && !self.store.log.packs(self.tier) {
            return self.begin_solo(&buffers);
        }
        // Runs of one call are written together; each call stays within a few megabytes.
        let mut group: Vec<u64> = Vec::new();
        let mut bytes = 0;
        for (n, (at, len)) in buffers.iter().enumerate() {
            group.push(*at);
            bytes += len;
            let last = n + 1 == buffers.len();
            if last || bytes >= BUFFER_BYTES {
                // With an open file of its own, that is what completes it.
                self.spill_group(&group, last && !may_go_on && self.solo.is_none())?;
                group.clear();
                bytes = 0;
            }
        }
        Ok(())
    }

    /// Buffers that join become the beginning of a file of its own.
    fn begin_solo(&mut self, buffers: &[(u64, usize)]) -> Result<()> {
        let Some((first, _)) = buffers.first() else { return Ok(()) };
        let mut writer = self.store.log.solo(self.tier, Class::Hot)?;
        self.solo_from = (*first, self.origin.next());
        for (at, _) in buffers {
            if let Some(Piece::Buffer(bytes)) = self.pieces.get(at) {
                writer.write(bytes)?;
            }
        }
        buffers.iter().for_each(|(at, _)| drop(self.pieces.remove(at)));
        self.buffered.set(0);
        self.pending.add(writer.id().0);
        let source = Source::Solo { id: writer.id().0, at: 0 };
        self.pieces.insert(*first, Piece::Fresh(Extent { len: writer.len(), source }));
        self.solo = Some(writer);
        Ok(())
    }

    fn spill_group(&mut self, group: &[u64], last: bool) -> Result<()> {
        let (mut pieces, order, state) = (Vec::new(), self.origin.next(), self.state(last));
        let owner = self.origin.owner(&self.store, state, order);
        for at in group {
            if let Some(Piece::Buffer(bytes)) = self.pieces.get(at) {
                for (n, chunk) in bytes.chunks(BUFFER_BYTES).enumerate() {
                    let logical = at + (n * BUFFER_BYTES) as u64;
                    pieces.push((Owner { logical, ..owner }, chunk));
                }
            }
        }
        // Until the segment is noted as pending, the reaper must not take it for unused.
        let _noting = self.store.pending.noting();
        let runs = self.store.log.append(self.tier, Class::Hot, &pieces)?;
        let placed: Vec<(u64, Piece)> = pieces
            .iter()
            .zip(runs)
            .map(|((owner, chunk), run)| {
                self.pending.add(run.segment.0);
                let source = Source::Run { segment: run.segment.0, offset: run.offset, len: run.len, skip: 0 };
                (owner.logical, Piece::Fresh(Extent { len: chunk.len() as u64, source }))
            })
            .collect();
        for (at, piece) in placed {
            self.buffered.set(self.buffered.bytes - usize::try_from(piece.len()).unwrap_or(0));
            self.pieces.insert(at, piece);
        }
        Ok(())
    }

    /// Sets the length; new bytes are zeros.
    ///
    /// # Errors
    /// [`Kind::EntityTooLarge`], [`Kind::QuotaExceeded`].
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        if size >= self.size {
            return self.extend(size);
        }
        self.admit(size)?;
        self.carve(size, u64::MAX);
        self.cut = Some(self.cut.unwrap_or(u64::MAX).min(size));
        self.base_len = self.base_len.min(size);
        self.size = size;
        if size == 0 {
            self.base = None;
            self.running = Some(Running { crc: Crc64::new(), at: 0 });
        } else if self.running.as_ref().is_some_and(|running| running.at != size) {
            self.running = None;
        }
        self.changed();
        Ok(())
    }

    /// Makes it at least `size` bytes long; new bytes are zeros.
    ///
    /// # Errors
    /// [`Kind::EntityTooLarge`], [`Kind::QuotaExceeded`].
    pub fn extend(&mut self, size: u64) -> Result<()> {
        Self::check_end(size, 0)?;
        if size <= self.size {
            return Ok(());
        }
        self.admit(size)?;
        self.lengthen(size);
        Ok(())
    }

    fn lengthen(&mut self, size: u64) {
        if let Some(running) = self.running.as_mut().filter(|running| running.at == self.size) {
            let zeros = size - self.size;
            running.crc = Crc64::resume(crc64_combine(running.crc.value(), crc64_zeros(zeros), zeros));
            running.at = size;
        } else {
            self.running = None;
        }
        self.size = size;
        self.changed();
    }

    /// Makes `[at, at + len)` zeros without storing them; the length stays.
    ///
    /// # Errors
    /// [`Kind::QuotaExceeded`] when that makes a version; the disk is not touched.
    pub fn punch(&mut self, at: u64, len: u64) -> Result<()> {
        let end = at.saturating_add(len).min(self.size);
        if at < end {
            self.admit(self.size)?;
            self.carve(at, end);
            self.pieces.insert(at, Piece::Zeros(end - at));
            self.running = None;
            self.changed();
        }
        Ok(())
    }

    /// Takes `[from, from + len)` of a content over to `at`; shared bytes are not copied. Returns the bytes taken,
    /// fewer when the content ends.
    ///
    /// # Errors
    /// As [`Draft::write_at`].
    pub fn copy_from(&mut self, at: u64, source: &Arc<Content>, from: u64, len: u64) -> Result<u64> {
        let len = len.min(source.size().saturating_sub(from));
        let end = Self::check_end(at, len)?;
        if len == 0 {
            return Ok(0);
        }
        if source.inline().is_some() {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            source.read_at(from, &mut bytes)?;
            self.write_at(at, &bytes)?;
            return Ok(len);
        }
        self.store.writable()?;
        self.shares = true;
        self.admit(self.size.max(end))?;
        if at > self.size {
            self.lengthen(at);
        }
        let sum = source.crc64().filter(|_| self.size <= end && from == 0 && len == source.size());
        self.carve(at, end);
        for (start, extent) in source.extents(from, len)? {
            self.share(at + (start - from), source, start, &extent);
        }
        self.running = match (self.running.take(), sum) {
            (_, Some(sum)) if at == 0 => Some(Running { crc: Crc64::resume(sum), at: end }),
            (Some(Running { crc, at: done }), Some(sum)) if done == at => {
                Some(Running { crc: Crc64::resume(crc64_combine(crc.value(), sum, len)), at: end })
            }
            _ => None,
        };
        self.size = self.size.max(end);
        self.changed();
        Ok(len)
    }

    /// Lays what `source` has at `from` over `at`.
    fn share(&mut self, at: u64, source: &Arc<Content>, from: u64, extent: &Extent) {
        if super::content::is_hole(extent) {
            self.pieces.insert(at, Piece::Zeros(extent.len));
            return;
        }
        if let Some((start, Piece::Shared { content, at: begin, len })) = self.pieces.range_mut(..at).next_back()
            && Arc::ptr_eq(content, source)
            && *start + *len == at
            && *begin + *len == from
        {
            *len += extent.len;
            return;
        }
        self.pieces.insert(at, Piece::Shared { content: Arc::clone(source), at: from, len: extent.len });
    }

    /// Reads from `at` until `buf` is full or the bytes end; returns the bytes read.
    ///
    /// # Errors
    /// As [`Content::read_at`].
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> Result<usize> {
        let len = buf.len().min(usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX));
        let buf = &mut buf[..len];
        let end = at + len as u64;
        let mut done = at;
        let first = self.pieces.range(..=at).next_back().map_or(at, |(start, _)| *start);
        for (start, piece) in self.pieces.range(first..end) {
            let (low, high) = ((*start).max(at), (start + piece.len()).min(end));
            if low >= high {
                continue;
            }
            self.read_base(done, &mut buf[span(at, done, low)])?;
            let (from, to) = (low - start, high - start);
            let out = &mut buf[span(at, low, high)];
            match piece {
                Piece::Buffer(bytes) => out.copy_from_slice(&bytes[span(0, from, to)]),
                Piece::Fresh(extent) => self.store.read_source(part(*extent, from, to).source, out)?,
                Piece::Shared { content, at, .. } => content.read_at(at + from, out).map(drop)?,
                Piece::Zeros(_) => out.fill(0),
            }
            done = high;
        }
        self.read_base(done, &mut buf[span(at, done, end)])?;
        Ok(len)
    }

    fn read_base(&self, at: u64, buf: &mut [u8]) -> Result<()> {
        let visible = usize::try_from(self.base_len.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        let (shown, zeros) = buf.split_at_mut(visible);
        zeros.fill(0);
        match &self.base {
            Some(content) if !shown.is_empty() => content.read_at(at, shown).map(drop),
            _ => {
                shown.fill(0);
                Ok(())
            }
        }
    }

    /// The first byte at or after `at` that is no hole.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn seek_data(&self, at: u64) -> Result<Option<u64>> {
        let mut at = at;
        while at < self.size {
            match self.piece_at(at) {
                Some((_, _, true)) => return Ok(Some(at)),
                Some((_, end, false)) => at = end,
                None => {
                    let next = self.pieces.range(at..).next().map_or(self.size, |(start, _)| *start);
                    let base = match &self.base {
                        Some(content) if at < self.base_len => content.seek_data(at)?,
                        _ => None,
                    };
                    match base.filter(|found| *found < next.min(self.base_len)) {
                        Some(found) => return Ok(Some(found)),
                        None => at = next,
                    }
                }
            }
        }
        Ok(None)
    }

    /// The first byte at or after `at` that is a hole; the end counts as one.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn seek_hole(&self, at: u64) -> Result<u64> {
        let mut at = at;
        while at < self.size {
            match self.piece_at(at) {
                Some((_, _, false)) => return Ok(at),
                Some((_, end, true)) => at = end,
                None => {
                    let next = self.pieces.range(at..).next().map_or(self.size, |(start, _)| *start);
                    let hole = match &self.base {
                        Some(content) if at < self.base_len => content.seek_hole(at)?.min(self.base_len),
                        _ => at,
                    };
                    if hole < next {
                        return Ok(hole);
                    }
                    at = next;
                }
            }
        }
        Ok(self.size)
    }

    /// The piece over `at`: its beginning, its end, and whether it stores bytes.
    fn piece_at(&self, at: u64) -> Option<(u64, u64, bool)> {
        let (start, piece) = self.pieces.range(..=at).next_back()?;
        let end = start + piece.len();
        (at < end).then_some((*start, end, !matches!(piece, Piece::Zeros(_))))
    }

    /// Everything into the log and the file of its own complete, so that what was written can be published.
    pub(super) fn settle(&mut self) -> Result<()> {
        if let Some((id, kind, why)) = &self.lost {
            // Until all of it is overwritten or cut off, publishing would name bytes that are nowhere.
            let names = |piece: &Piece| match piece {
                Piece::Fresh(Extent { source: Source::Solo { id: solo, .. }, .. }) => *solo == id.0,
                _ => false,
            };
            if self.pieces.values().any(names) {
                return Err(Error::new(*kind, "cannot publish the file: a part of it could not be stored")
                    .why(why.clone())
                    .mend("write the file again"));
            }
        }
        let told = self.solo.is_some() || self.buffered.bytes > 0;
        self.spill(false)?;
        let elsewhere = self.elsewhere();
        // What was told before holds no more.
        if !self.noted && (!told || !elsewhere.is_empty() || self.told) {
            // The checksums of a file of its own come last.
            let (state, order) = (self.state(self.solo.is_none()), self.origin.next());
            self.store.note_stretches(&self.origin.owner(&self.store, state, order), &elsewhere);
            self.told = !elsewhere.is_empty();
        }
        self.noted = true;
        if let Some(writer) = self.solo.take() {
            let id = writer.id();
            let (state, (logical, order)) = (self.state(true), self.solo_from);
            let owner = Owner { logical, ..self.origin.owner(&self.store, state, order) };
            if let Err(error) = writer.finish(&owner) {
                self.lost = Some((id, error.kind(), error.to_string()));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The edits over the base that make up the bytes; everything is in the log.
    pub(super) fn edits(&self, staying: &Staying<'_>) -> Result<Vec<Edit>> {
        let mut edits = Vec::with_capacity(self.pieces.len());
        for (start, piece) in &self.pieces {
            match piece {
                Piece::Fresh(extent) => edits.push(Edit { at: *start, extent: *extent, fresh: true }),
                Piece::Shared { content, at, len } => {
                    let shared = content.extents_now(*at, *len, staying)?.into_iter();
                    edits.extend(shared.map(|(from, extent)| Edit { at: start + (from - at), extent, fresh: false }));
                }
                Piece::Buffer(_) | Piece::Zeros(_) => {
                    let extent = Extent { len: piece.len(), source: Source::Hole };
                    edits.push(Edit { at: *start, extent, fresh: false });
                }
            }
        }
        Ok(edits)
    }

    fn changed(&mut self) {
        (self.dirty, self.noted) = (true, false);
    }

    /// The base and how much of it shows.
    pub(super) fn base(&self) -> Option<(&Arc<Content>, u64)> {
        self.base.as_ref().map(|content| (content, self.base_len))
    }

    /// Checksum of all bytes, when it is known.
    pub(super) fn crc64(&self) -> Option<u64> {
        self.running.as_ref().filter(|running| running.at == self.size).map(|running| running.crc.value())
    }
}

impl Draft {
    /// Its bytes are those of a content now: nothing is to be cleaned up when it is dropped.
    pub(super) fn published(&mut self, content: ContentId) {
        // What it has put into the log may be of no use, as when it was cut to what the index has room for.
        let useless = self.origin.in_log().filter(|id| *id != content);
        self.store.forget(0, useless.into_iter());
        self.origin.renew();
        self.pieces.clear();
        (self.spilled, self.shares) = (0, false);
        self.buffered.set(0);
        self.pending.clear();
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(writer) = self.solo.take() {
            writer.abandon();
        }
        // Complete or not, it was never published.
        self.store.forget(0, self.origin.in_log().into_iter());
        if self.lent {
            return;
        }
        let finished: Vec<SoloId> = self
            .pieces
            .values()
            .filter_map(|piece| match piece {
                Piece::Fresh(Extent { source: Source::Solo { id, .. }, .. }) => Some(SoloId(*id)),
                _ => None,
            })
            .collect();
        for id in finished {
            // Finished for a publish that was then refused: nobody names it.
            if let Err(error) = self.store.log.delete_solo(id) {
                tracing::debug!(%error, "an abandoned file stays until the next opening");
            }
        }
    }
}

fn span(origin: u64, from: u64, to: u64) -> std::ops::Range<usize> {
    let index = |at: u64| usize::try_from(at - origin).unwrap_or(usize::MAX);
    index(from)..index(to)
}
