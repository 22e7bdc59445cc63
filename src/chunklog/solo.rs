//! One-object files: bytes from offset 0, so that the kernel can serve them, and checksums beside them.
//!
//! Locks: the table of a file being written, never held during I/O.

use super::durable::Tracked;
use super::format::sum::{self, SOLO_BYTES_MAX, SUM_HEAD_BYTES_MAX, Sum};
use super::format::{Binder, FRAME_BYTES};
use super::frames::{Framed, read, with_scratch};
use super::id::{Class, FileKey, Owned, Owner, SoloId};
use super::log::{ChunkLog, Inner};
use super::read::beyond;
use super::segment::Room;
use super::tier::Tier;
use crate::model::{Error, Kind, Result, StorageClass};
use crate::sys::disk::{Access, DiskFile};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::Ordering::Relaxed;
use crc32fast::Hasher;
use std::sync::Arc;

const FRAME: u64 = FRAME_BYTES as u64;
/// Bytes with which the disk may begin before anybody asks for a sync: enough for it to write them in one go.
const WRITE_BACK: u64 = 8 << 20;
/// Bytes of a `.sum` file at most.
const SUM_BYTES_MAX: u64 = SUM_HEAD_BYTES_MAX as u64 + SOLO_BYTES_MAX / FRAME * 4;

/// A frame of a one-object file that does not verify.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadFrame {
    /// Its number.
    pub frame: u64,
    /// The first byte of the object in it.
    pub at: u64,
    /// Bytes of the object in it.
    pub len: u32,
}

/// A finished file as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoloFound {
    /// Its bytes.
    pub len: u64,
    /// The class of storage whose tier it was made for.
    pub storage: StorageClass,
    /// Whose they are.
    pub owner: Owned,
}

/// The checksums of a finished file.
pub(super) struct SoloTable {
    id: SoloId,
    bind: Binder,
    pub(super) len: u64,
    pub(super) crcs: Box<[u32]>,
}

impl Framed for SoloTable {
    fn len(&self) -> u64 {
        self.len
    }

    fn base(&self) -> u64 {
        0
    }

    fn check(&self, frame: u64) -> Option<(u32, Hasher)> {
        let crc = *self.crcs.get(usize::try_from(frame).ok()?)?;
        Some((crc, sum::frame_hasher(&self.bind, frame)))
    }

    fn place(&self) -> (FileKey, u64) {
        (FileKey::Solo(self.id), 0)
    }
}

/// A file being written: what its readers need.
pub(super) struct Live {
    tracked: Arc<Tracked>,
    bind: Binder,
    sums: Mutex<Growing>,
}

struct Growing {
    len: u64,
    crcs: Vec<u32>,
    /// Of the frame that is not full yet.
    tail: Hasher,
}

/// The checksums of a file being written, frames `from` and on, as they were when asked for.
struct Glimpse {
    id: SoloId,
    bind: Binder,
    len: u64,
    from: u64,
    crcs: Vec<u32>,
}

impl Framed for Glimpse {
    fn len(&self) -> u64 {
        self.len
    }

    fn base(&self) -> u64 {
        0
    }

    fn check(&self, frame: u64) -> Option<(u32, Hasher)> {
        let crc = *self.crcs.get(usize::try_from(frame.checked_sub(self.from)?).ok()?)?;
        Some((crc, sum::frame_hasher(&self.bind, frame)))
    }

    fn place(&self) -> (FileKey, u64) {
        (FileKey::Solo(self.id), 0)
    }
}

impl Growing {
    fn take(&mut self, bind: &Binder, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = (FRAME - self.len % FRAME) as usize;
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.tail.update(now);
            self.len += now.len() as u64;
            if now.len() == room {
                let next = sum::frame_hasher(bind, self.len / FRAME);
                self.crcs.push(std::mem::replace(&mut self.tail, next).finalize());
            }
            bytes = rest;
        }
    }

    fn finished(&self) -> Box<[u32]> {
        let mut crcs = self.crcs.clone();
        if !self.len.is_multiple_of(FRAME) {
            crcs.push(self.tail.clone().finalize());
        }
        crcs.into()
    }
}

/// Writes one object in sequence. Dropped before [`SoloWriter::finish`], it removes what it wrote.
pub struct SoloWriter {
    inner: Arc<Inner>,
    id: SoloId,
    tier: Tier,
    class: Class,
    live: Arc<Live>,
    room: Room,
    len: u64,
    /// Up to where the disk was let begin.
    begun: u64,
    open: bool,
}

impl SoloWriter {
    /// The file's name.
    #[must_use]
    pub const fn id(&self) -> SoloId {
        self.id
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes. They can be read with [`ChunkLog::read_solo`] when it returns, and are durable after a sync.
    ///
    /// # Errors
    /// [`Kind::Full`], after which the same bytes may be written again; [`Kind::EntityTooLarge`]; or what the disk
    /// says, after which the file takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let what = || format!("cannot write to solo file {}", self.id);
        let end = self.len + bytes.len() as u64;
        if end > SOLO_BYTES_MAX {
            return Err(Error::new(Kind::EntityTooLarge, what())
                .why(format!("a one-object file holds at most {SOLO_BYTES_MAX} bytes")));
        }
        let file = &self.live.tracked.file;
        if self.live.tracked.is_dead() {
            return Err(Error::new(Kind::Io, what()).why("an earlier write or sync of it failed"));
        }
        self.room.reach(&**file, end, u64::MAX).map_err(|e| Error::io(what(), e))?;
        if let Err(error) = file.write_at(self.len, bytes) {
            // Bytes beyond the length are not part of the file, and a plain rewrite mends them.
            if !super::durable::is_full(&error) {
                self.live.tracked.give_up();
            }
            return Err(Error::io(what(), error));
        }
        self.live.sums.lock().take(&self.live.bind, bytes);
        self.len = end;
        if end - self.begun >= WRITE_BACK {
            file.begin_write_back(self.begun, end - self.begun);
            self.begun = end;
        }
        self.inner.counts.appended.fetch_add(bytes.len() as u64, Relaxed);
        if self.live.tracked.wrote([0]) {
            return Ok(());
        }
        Err(Error::new(Kind::Io, what()).why("a sync of it failed meanwhile"))
    }

    /// Completes the file and writes its checksums and its owner; returns its name and length. Durable after the next
    /// sync.
    ///
    /// # Errors
    /// [`Kind::Full`], or what the disk says; the file is then removed.
    pub fn finish(mut self, owner: &Owner<'_>) -> Result<(SoloId, u64)> {
        let (id, len) = (self.id, self.len);
        let what = || format!("cannot complete solo file {id}");
        let tracked = &self.live.tracked;
        tracked.verdict(None)?;
        if tracked.is_dead() {
            return Err(Error::new(Kind::Io, what()).why("an earlier write or sync of it failed"));
        }
        tracked.file.set_len(len).map_err(|e| Error::io(what(), e))?;
        if !tracked.wrote([0]) {
            return Err(Error::new(Kind::Io, what()).why("a sync of it failed meanwhile"));
        }
        let crcs = self.live.sums.lock().finished();
        let kind = (self.inner.tier(self.tier).name(), self.class);
        let bytes = sum::encode(&self.live.bind, &self.inner.settings.store, id, kind, len, owner, &crcs);
        let beside = self.inner.create(FileKey::Sum(id), self.tier)?;
        if let Err(error) = beside.file.write_at(0, &bytes) {
            self.inner.discard(&beside);
            return Err(Error::io(what(), error));
        }
        beside.wrote([0]);
        beside.finish();
        tracked.finish();
        let weight = crcs.len() * 4 + 256;
        let table = SoloTable { id, bind: self.live.bind.clone(), len, crcs };
        self.inner.sums.put(id, Arc::new(table), weight);
        self.inner.live.lock().remove(&id);
        self.open = false;
        Ok((id, len))
    }

    /// Gives the file up and removes it.
    pub fn abandon(self) {
        drop(self);
    }
}

impl Drop for SoloWriter {
    fn drop(&mut self) {
        if self.open {
            self.inner.live.lock().remove(&self.id);
            self.inner.discard(&self.live.tracked);
        }
    }
}

impl ChunkLog {
    /// Begins a one-object file.
    ///
    /// # Errors
    /// [`Kind::Full`], or what the disk says.
    pub fn solo(&self, tier: Tier, class: Class) -> Result<SoloWriter> {
        let inner = &self.0;
        let id = SoloId(inner.number()?);
        let tracked = inner.create(FileKey::Solo(id), tier)?;
        let bind = Binder::solo(&inner.settings.store, id);
        let sums = Mutex::new(Growing { len: 0, crcs: Vec::new(), tail: sum::frame_hasher(&bind, 0) });
        let live = Arc::new(Live { tracked, bind, sums });
        inner.live.lock().insert(id, Arc::clone(&live));
        let inner = Arc::clone(inner);
        Ok(SoloWriter { inner, id, tier, class, live, room: Room::none(), len: 0, begun: 0, open: true })
    }

    /// Reads bytes `at..at + buf.len()` of a one-object file, verified like runs, while it is written too. On an
    /// error `buf` is all zeros.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], naming file and frame, when the bytes are not the ones written or the file or its checksums
    /// are missing; [`Kind::InvalidArgument`] for bytes beyond the end; or what the disk says.
    pub fn read_solo(&self, id: SoloId, at: u64, buf: &mut [u8]) -> Result<()> {
        let outcome = self.read_any_solo(id, at, buf);
        self.0.count_read(buf, &outcome);
        outcome
    }

    fn read_any_solo(&self, id: SoloId, at: u64, buf: &mut [u8]) -> Result<()> {
        let key = FileKey::Solo(id);
        let within = |len: u64| match at.checked_add(buf.len() as u64) {
            Some(end) if end <= len => Ok(()),
            _ => Err(beyond(key, len, at, buf.len())),
        };
        let live = self.0.live.lock().get(&id).cloned();
        if let Some(live) = live {
            let sums = live.sums.lock();
            within(sums.len)?;
            let from = at / FRAME;
            let to = (at + buf.len() as u64).div_ceil(FRAME);
            let full = sums.crcs.len() as u64;
            let mut crcs = sums.crcs[from.min(full) as usize..to.min(full) as usize].to_vec();
            if to > full {
                crcs.push(sums.tail.clone().finalize());
            }
            let glimpse = Glimpse { id, bind: live.bind.clone(), len: sums.len, from, crcs };
            drop(sums);
            if self.0.zones.alone() {
                return read(&glimpse, &*live.tracked.file, at, buf);
            }
            return self.0.whole_or_by_frames(at, buf, &|at, buf| {
                self.0.read_open(key, &mut |file, _| read(&glimpse, &**file, at, buf))
            });
        }
        let table = self.0.solo_table(id)?;
        within(table.len)?;
        self.0.whole_or_by_frames(at, buf, &|at, buf| {
            self.0.read_open(key, &mut |file, whole| {
                if whole && self.0.maps.read(id, &*table, &**file, at, buf).inspect_err(|_| self.0.maps.removed(id))? {
                    return Ok(());
                }
                read(&*table, &**file, at, buf)
            })
        })
    }

    /// Whose a finished one-object file is.
    ///
    /// # Errors
    /// When its checksums cannot be read or trusted.
    pub fn find_solo(&self, id: SoloId) -> Result<SoloFound> {
        let sum = self.0.read_copies(FileKey::Sum(id), Access::Read, &mut |file| self.0.read_sum(id, &**file))?;
        Ok(SoloFound { len: sum.len, storage: sum.storage, owner: sum.owner })
    }

    /// The file and its length, for the kernel to read past this process: unverified, so a scrub must cover it.
    ///
    /// # Errors
    /// As [`ChunkLog::read_solo`]; [`Kind::Conflict`] while the file is being written.
    pub fn solo_file(&self, id: SoloId) -> Result<(Arc<dyn DiskFile>, u64)> {
        if self.0.live.lock().contains_key(&id) {
            return Err(
                Error::new(Kind::Conflict, format!("cannot hand out solo file {id}")).why("it is being written")
            );
        }
        let len = self.0.solo_table(id)?.len;
        let what = || format!("cannot hand out solo file {id}");
        let mut check = |file: &Arc<dyn DiskFile>, whole: bool| match file.size() {
            // Nobody checks what the kernel reads: a copy must be known to be whole.
            Ok(_) if !whole => Err(Error::corrupt(what(), "its copy may not be whole")),
            Ok(size) if size == len => Ok((Arc::clone(file), len)),
            Ok(size) => Err(Error::corrupt(what(), format!("it has {size} bytes where {len} were written"))),
            Err(error) => Err(Error::io(what(), error)),
        };
        let (key, zones) = (FileKey::Solo(id), &self.0.zones);
        // The kernel reads by itself in the store's own directory alone.
        if !zones.alone()
            && zones.trusts(key, 0)
            && let Ok(file) = zones.own().handles.get(key)
            && let Ok(found) = check(&file, true)
        {
            return Ok(found);
        }
        self.0.read_open(key, &mut check)
    }

    /// Reads a finished one-object file from disk and verifies all of it, whatever is remembered; returns the frames
    /// that fail. A frame that the file is too short for fails; bytes beyond the end are reported as one more frame.
    ///
    /// # Errors
    /// When its checksums cannot be read or trusted; frames that cannot be read count as bad.
    pub fn verify_solo(&self, id: SoloId) -> Result<Vec<BadFrame>> {
        self.verify_solo_while(id, &|| true)
    }

    /// The same of as many frames as are read while `goes_on` says yes.
    ///
    /// # Errors
    /// As [`ChunkLog::verify_solo`].
    pub fn verify_solo_while(&self, id: SoloId, goes_on: &dyn Fn() -> bool) -> Result<Vec<BadFrame>> {
        let table = self.0.load_sum(id)?;
        let mut left: Option<Vec<BadFrame>> = None;
        // Of several copies what is bad in all of them.
        let found = self.0.read_copies(FileKey::Solo(id), Access::Read, &mut |file| {
            let mut bad = verify_frames(id, &table, &**file, goes_on)?;
            if let Some(before) = &left {
                bad.retain(|frame| before.contains(frame));
            }
            let good = bad.is_empty();
            left = Some(bad);
            if good || self.0.zones.alone() { Ok(()) } else { Err(Error::corrupt("", "frames of it do not verify")) }
        });
        left.map_or_else(|| found.map(|()| Vec::new()), Ok)
    }
}

pub(super) fn verify_frames(
    id: SoloId,
    table: &SoloTable,
    file: &dyn DiskFile,
    goes_on: &dyn Fn() -> bool,
) -> Result<Vec<BadFrame>> {
    let mut bad = Vec::new();
    for frame in 0..table.crcs.len() as u64 {
        if !goes_on() {
            return Ok(bad);
        }
        let at = frame * FRAME;
        let len = (table.len - at).min(FRAME);
        let good = with_scratch(len as usize, |bytes| {
            matches!(file.read_at(at, bytes), Ok(got) if got == bytes.len()) && table.verify(frame, bytes)
        });
        if !good {
            bad.push(BadFrame { frame, at, len: len as u32 });
        }
    }
    let size = file.size().map_err(|e| Error::io(format!("cannot verify solo file {id}"), e))?;
    if size > table.len {
        let len = u32::try_from(size - table.len).unwrap_or(u32::MAX);
        bad.push(BadFrame { frame: table.crcs.len() as u64, at: table.len, len });
    }
    Ok(bad)
}

impl Inner {
    pub(super) fn solo_table(&self, id: SoloId) -> Result<Arc<SoloTable>> {
        if let Some(table) = self.sums.get(&id) {
            return Ok(table);
        }
        let table = Arc::new(self.load_sum(id)?);
        self.sums.put(id, Arc::clone(&table), table.crcs.len() * 4 + 256);
        Ok(table)
    }

    fn load_sum(&self, id: SoloId) -> Result<SoloTable> {
        self.read_copies(FileKey::Sum(id), Access::Read, &mut |file| self.read_table(id, &**file))
    }

    /// The checksums in an open `.sum` file.
    pub(super) fn read_table(&self, id: SoloId, file: &dyn DiskFile) -> Result<SoloTable> {
        let sum = self.read_sum(id, file)?;
        Ok(SoloTable { id, bind: Binder::solo(&self.settings.store, id), len: sum.len, crcs: sum.frames })
    }

    pub(super) fn read_sum(&self, id: SoloId, file: &dyn DiskFile) -> Result<Sum> {
        let what = || format!("cannot read the {}", FileKey::Sum(id));
        let size = file.size().map_err(|e| Error::io(what(), e))?;
        if size > SUM_BYTES_MAX {
            return Err(Error::corrupt(what(), format!("{size} bytes are too many")));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let got = file.read_at(0, &mut bytes).map_err(|e| Error::io(what(), e))?;
        let bind = Binder::solo(&self.settings.store, id);
        Sum::decode(&bytes[..got], &bind, &self.settings.store, id).map_err(|flaw| flaw.on(what()))
    }
}
