//! Reading runs by their address, verified frame by frame.

use super::format::run::{FramePlaces, HEAD_BYTES_MAX, RUN_BYTES_MAX, RunHead, SMALL_HEAD_BYTES_MAX};
use super::format::{Binder, FRAME_BYTES};
use super::frames::{Framed, read, unpack_frame, with_scratch};
use super::id::{FileKey, Run};
use super::log::{ChunkLog, Inner};
use crate::model::{Error, Kind, Result};
use crate::sys::disk::DiskFile;
use crate::sys::sync::atomic::Ordering::Relaxed;
use crc32fast::Hasher;
use std::sync::Arc;

const FRAME: u64 = FRAME_BYTES as u64;

/// What is remembered of a run once its head was read and verified.
pub(super) struct RunTable {
    run: Run,
    payload_at: u64,
    bind: Binder,
    crcs: Box<[u32]>,
    places: FramePlaces,
}

impl Framed for RunTable {
    fn len(&self) -> u64 {
        u64::from(self.run.len)
    }

    fn base(&self) -> u64 {
        self.payload_at
    }

    fn check(&self, frame: u64) -> Option<(u32, Hasher)> {
        let crc = *self.crcs.get(frame as usize)?;
        Some((crc, self.bind.hasher(self.run.offset, frame as u32)))
    }

    fn place(&self) -> (FileKey, u64) {
        (FileKey::Segment(self.run.segment), u64::from(self.run.offset))
    }

    fn packed(&self) -> Option<&FramePlaces> {
        Some(&self.places).filter(|places| places.is_packed())
    }
}

impl ChunkLog {
    /// Reads plain bytes `at..at + buf.len()` of a run. Frames are verified whenever they are read. On an
    /// error `buf` is all zeros.
    ///
    /// # Errors
    /// [`Kind::Corrupt`], naming segment, offset and frame, when the bytes are not the ones written there, or their
    /// file is missing; [`Kind::InvalidArgument`] for bytes beyond the run; or what the disk says.
    pub fn read(&self, run: Run, at: u32, buf: &mut [u8]) -> Result<()> {
        if run.len > RUN_BYTES_MAX || u64::from(at) + buf.len() as u64 > u64::from(run.len) {
            return Err(beyond(FileKey::Segment(run.segment), u64::from(run.len), u64::from(at), buf.len()));
        }
        if buf.is_empty() {
            return Ok(());
        }
        let outcome = self.0.read_run_of_copies(run, at, buf);
        self.0.count_read(buf, &outcome);
        outcome
    }
}

impl ChunkLog {
    /// Bytes that a run's payload takes in its file.
    ///
    /// # Errors
    /// As [`ChunkLog::read`].
    pub fn stored_bytes(&self, run: Run) -> Result<u32> {
        match self.0.tables.get(&(run.segment, run.offset)) {
            Some(table) if table.run == run => Ok(table.places.stored()),
            _ => self.0.run_head(run).map(|head| head.places.stored()),
        }
    }
}

/// The error for bytes asked for beyond an end.
pub(super) fn beyond(key: FileKey, len: u64, at: u64, count: usize) -> Error {
    Error::new(Kind::InvalidArgument, format!("cannot read {count} bytes at {at} from {key}"))
        .why(format!("only {len} bytes are there"))
}

impl Inner {
    /// Counts a read; wrong bytes do not leave the log even beside an error.
    pub(super) fn count_read(&self, buf: &mut [u8], outcome: &Result<()>) {
        match outcome {
            Ok(()) => self.counts.read.fetch_add(buf.len() as u64, Relaxed),
            Err(error) => {
                buf.fill(0);
                self.counts.bad_frames.fetch_add(u64::from(error.kind() == Kind::Corrupt), Relaxed)
            }
        };
    }

    fn read_run_of_copies(&self, run: Run, at: u32, buf: &mut [u8]) -> Result<()> {
        let key = FileKey::Segment(run.segment);
        let read =
            |at: u64, buf: &mut [u8]| self.read_open(key, &mut |file, _| self.read_run(run, at as u32, buf, &**file));
        self.whole_or_by_frames(u64::from(at), buf, &read)
    }

    /// Reads with `read`, and frame by frame where no copy has all of it.
    pub(super) fn whole_or_by_frames(
        &self,
        at: u64,
        buf: &mut [u8],
        read: &dyn Fn(u64, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let outcome = read(at, buf);
        let one_frame = at / FRAME == (at + buf.len() as u64).saturating_sub(1) / FRAME;
        match &outcome {
            Err(error) if !self.zones.alone() && !one_frame && error.kind() == Kind::Corrupt => {}
            _ => return outcome,
        }
        let mut pos = at;
        while pos < at + buf.len() as u64 {
            let stop = (pos / FRAME + 1) * FRAME;
            let stop = stop.min(at + buf.len() as u64);
            read(pos, &mut buf[(pos - at) as usize..(stop - at) as usize])?;
            pos = stop;
        }
        Ok(())
    }

    fn read_run(&self, run: Run, at: u32, buf: &mut [u8], file: &dyn DiskFile) -> Result<()> {
        if let Some(table) = self.tables.get(&(run.segment, run.offset)) {
            if table.run != run {
                return Err(self.stranger(run));
            }
            return read(&*table, file, u64::from(at), buf);
        }
        // A run of one frame comes with its head in a single read.
        let single = run.len <= FRAME_BYTES;
        let ahead = match run.len {
            FRAME_BYTES => HEAD_BYTES_MAX + FRAME_BYTES as usize,
            len if single => SMALL_HEAD_BYTES_MAX + len as usize,
            _ => HEAD_BYTES_MAX,
        };
        let (table, done) = with_scratch(ahead, |bytes| -> Result<_> {
            let (table, head, got) = self.load(run, file, bytes)?;
            let from = head as usize;
            let frame = from..from + table.places.stored() as usize;
            let done = single
                && frame.end <= got
                && unpack_frame(&table, 0, &bytes[frame], run.len as usize, at as usize, buf).is_ok();
            Ok((table, done))
        })?;
        let table = Arc::new(table);
        self.tables.put((run.segment, run.offset), Arc::clone(&table));
        if done { Ok(()) } else { read(&*table, file, u64::from(at), buf) }
    }

    /// Reads and verifies the head of a run; returns its table, its length and how many bytes were read.
    fn load(&self, run: Run, file: &dyn DiskFile, bytes: &mut [u8]) -> Result<(RunTable, u32, usize)> {
        let what = || format!("cannot read segment {} at offset {}", run.segment, run.offset);
        let got = file.read_at(u64::from(run.offset), bytes).map_err(|e| Error::io(what(), e))?;
        let bind = Binder::segment(&self.settings.store, run.segment);
        let head = RunHead::decode(&bytes[..got], &bind, run.segment, run.offset).map_err(|flaw| flaw.on(what()))?;
        if head.len != run.len {
            return Err(self.stranger(run));
        }
        let payload_at = u64::from(run.offset) + u64::from(head.head);
        Ok((RunTable { run, payload_at, bind, crcs: head.frames, places: head.places }, head.head, got))
    }

    fn stranger(&self, run: Run) -> Error {
        Error::corrupt(
            format!("cannot read segment {} at offset {}", run.segment, run.offset),
            format!("the run there is not one of {} bytes", run.len),
        )
    }
}
