//! A stand-in for RocksDB in simulations: records in memory, a log of batches and now and then a table on a [`Disk`].
//!
//! It promises what RocksDB does and no more. A batch is there whole or not at all. Unsynced, it may be lost, also when
//! a later one is kept: where one log follows another, the first may lose its end. A failed sync is final. On the disk:
//! `meta/N.log`, frames of length, CRC-64 and batch; `meta/N.table`, a frame with all records from before log N;
//! `meta/CURRENT`, the number of the table that counts.

use super::family::Family;
use super::unjournaled::CURRENT;
use crate::crypto::Crc64;
use crate::model::{Error, Kind, Result};
use crate::sys::disk::{Access, Disk, DiskFile};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound::Excluded;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "meta";
/// Logs that are full when a table is written instead of them.
const FULL_LOGS: usize = 2;
/// Bytes before a frame's batch.
const FRAME: usize = 12;
/// Bytes before a change's key: family, whether there is a value, lengths of key and value.
const CHANGE: usize = 10;

pub(super) type Records = BTreeMap<(Family, Bytes), Bytes>;

/// A batch.
#[derive(Default)]
pub(super) struct Changes(Vec<u8>);

impl Changes {
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        let changes = Self(bytes.to_vec());
        changes.apply(&mut Records::new())?;
        Ok(changes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn put(&mut self, family: Family, key: &[u8], value: Option<&[u8]>) {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.0.extend([family as u8, u8::from(value.is_some())]);
        self.0.extend(len(key));
        self.0.extend(len(value.unwrap_or_default()));
        self.0.extend(key);
        self.0.extend(value.unwrap_or_default());
    }

    fn apply(&self, records: &mut Records) -> Result<()> {
        let damaged = || Error::corrupt("cannot read a batch of the index", "it is cut off or names no family");
        let mut rest = &self.0[..];
        while !rest.is_empty() {
            let (head, body) = rest.split_at_checked(CHANGE).ok_or_else(damaged)?;
            let family = *Family::ALL.get(usize::from(head[0])).ok_or_else(damaged)?;
            let (key, value) = (number(&head[2..6]), number(&head[6..10]));
            let (key, body) = body.split_at_checked(key).ok_or_else(damaged)?;
            let (value, body) = body.split_at_checked(value).ok_or_else(damaged)?;
            let key = (family, Bytes::copy_from_slice(key));
            match head[1] {
                0 => drop(records.remove(&key)),
                _ => drop(records.insert(key, Bytes::copy_from_slice(value))),
            }
            rest = body;
        }
        Ok(())
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

fn frame(batch: &[u8]) -> Vec<u8> {
    let len = u32::try_from(batch.len()).unwrap_or(u32::MAX);
    [&len.to_le_bytes()[..], &Crc64::of(batch).to_le_bytes(), batch].concat()
}

/// The batch of the frame that `bytes` begins with, unless it is damaged.
fn unframe(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_at_checked(FRAME)?;
    let batch = rest.get(..number(&head[..4]))?;
    (!batch.is_empty() && Crc64::of(batch).to_le_bytes() == head[4..]).then_some(batch)
}

struct Log {
    number: u64,
    file: Arc<dyn DiskFile>,
    len: u64,
    synced: bool,
}

struct State {
    records: Arc<Records>,
    /// In order; batches go to the last one.
    logs: Vec<Log>,
    next: u64,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

pub(super) struct Memory {
    disk: Arc<dyn Disk>,
    log_bytes: u64,
    state: Mutex<State>,
}

/// See [`super::backend::Walk`].
pub(super) struct MemoryWalk {
    records: Arc<Records>,
    family: Family,
    upper: Bytes,
    at: Option<(Bytes, Bytes)>,
}

impl MemoryWalk {
    pub(super) fn new(records: Arc<Records>, family: Family, lower: &[u8], upper: &[u8]) -> Self {
        let (lower, upper) = (Bytes::copy_from_slice(lower), Bytes::copy_from_slice(upper));
        let at = (lower < upper)
            .then(|| records.range((family, lower)..(family, upper.clone())).next())
            .flatten()
            .map(|((_, key), value)| (key.clone(), value.clone()));
        Self { records, family, upper, at }
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        self.at.as_ref().map(|(key, _)| key.as_ref())
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        self.at.as_ref().map(|(_, value)| value.as_ref())
    }

    pub(super) fn next(&mut self) {
        let Some((key, _)) = self.at.take() else { return };
        let bounds = (Excluded((self.family, key)), Excluded((self.family, self.upper.clone())));
        self.at = self.records.range(bounds).next().map(|((_, key), value)| (key.clone(), value.clone()));
    }
}

fn path(number: u64, kind: &str) -> PathBuf {
    Path::new(DIR).join(format!("{number:06}.{kind}"))
}

fn read(disk: &dyn Disk, path: &Path) -> std::io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
    let len = file.read_at(0, &mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

impl Memory {
    /// Opens what is on `disk`; a log is full at `log_bytes`.
    pub(super) fn open(disk: Arc<dyn Disk>, log_bytes: u64) -> Result<Self> {
        let state = State { records: Arc::default(), logs: Vec::new(), next: 1, broken: None };
        let memory = Self { disk, log_bytes, state: Mutex::new(state) };
        memory.recover()?;
        memory.compact()?;
        Ok(memory)
    }

    fn recover(&self) -> Result<()> {
        let failed = |error| Error::io("cannot read the index", error);
        let disk = &*self.disk;
        disk.create_dir_all(Path::new(DIR)).and_then(|()| disk.sync_dir(Path::new(""))).map_err(failed)?;
        let mut state = self.state.lock();
        let mut records = Records::new();
        let current = match read(disk, &Path::new(DIR).join(CURRENT)) {
            Ok(bytes) => Some(number(&bytes) as u64),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if let Some(current) = current {
            let table = read(disk, &path(current, "table")).map_err(failed)?;
            let damaged = || Error::corrupt("cannot read the index", format!("its table {current} is damaged"));
            Changes(unframe(&table).ok_or_else(damaged)?.to_vec()).apply(&mut records)?;
        }
        let mut logs: Vec<u64> = Vec::new();
        for entry in disk.list(Path::new(DIR)).map_err(failed)? {
            let Some((stem, kind)) = entry.name.split_once('.') else { continue };
            let Ok(number) = stem.parse() else { continue };
            state.next = state.next.max(number + 1);
            if kind == "log" && current.is_some_and(|current| number >= current) {
                logs.push(number);
            }
        }
        logs.sort_unstable();
        for number in logs {
            let bytes = read(disk, &path(number, "log")).map_err(failed)?;
            let mut rest = &bytes[..];
            while let Some(batch) = unframe(rest) {
                Changes(batch.to_vec()).apply(&mut records)?;
                rest = &rest[FRAME + batch.len()..];
            }
        }
        state.records = Arc::new(records);
        Ok(())
    }

    pub(super) fn get(&self, family: Family, key: &[u8]) -> Option<Bytes> {
        self.state.lock().records.get(&(family, Bytes::copy_from_slice(key))).cloned()
    }

    pub(super) fn freeze(&self) -> Arc<Records> {
        Arc::clone(&self.state.lock().records)
    }

    pub(super) fn write(&self, changes: &Changes, sync: bool) -> Result<()> {
        if !changes.0.is_empty() {
            self.append(changes)?;
        }
        if sync { self.sync_logs() } else { Ok(()) }
    }

    fn append(&self, changes: &Changes) -> Result<()> {
        let full = self.state.lock().logs.iter().filter(|log| log.len >= self.log_bytes).count();
        if full >= FULL_LOGS {
            self.compact()?;
        }
        let mut state = self.state.lock();
        state.usable()?;
        if state.logs.last().is_none_or(|log| log.len >= self.log_bytes) {
            let log = self.new_log(state.next)?;
            state.next += 1;
            state.logs.push(log);
        }
        let Some(log) = state.logs.last_mut() else { return Ok(()) };
        let bytes = frame(&changes.0);
        if let Err(error) = log.file.write_at(log.len, &bytes) {
            // What follows a torn frame is not found: the next batch begins another log.
            log.len = self.log_bytes;
            if error.kind() != std::io::ErrorKind::StorageFull {
                state.broken = Some(error.to_string());
            }
            return Err(Error::io("cannot write the index", error));
        }
        log.len += bytes.len() as u64;
        log.synced = false;
        changes.apply(Arc::make_mut(&mut state.records))
    }

    fn new_log(&self, number: u64) -> Result<Log> {
        let file = self.disk.create_new(&path(number, "log"));
        let file = file.map_err(|error| Error::io("cannot begin a log of the index", error))?;
        Ok(Log { number, file, len: 0, synced: false })
    }

    pub(super) fn sync_logs(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.usable()?;
        let sync = |log: &mut Log| {
            if !log.synced {
                log.file.sync_data()?;
                self.disk.sync_dir(Path::new(DIR))?;
                log.synced = true;
            }
            Ok(())
        };
        let synced = state.logs.iter_mut().try_for_each(sync);
        synced.map_err(|error: std::io::Error| {
            state.broken = Some(error.to_string());
            // Whatever the reason, RocksDB does not go on either.
            Error::new(Kind::Io, "cannot sync the index").why(error.to_string())
        })
    }

    /// Writes all records to a table and lets the logs go.
    pub(super) fn compact(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.usable()?;
        let number = state.next;
        let mut all = Changes::default();
        // Never empty, so that its frame holds.
        all.put(Family::Sys, b"table", Some(&number.to_le_bytes()));
        for ((family, key), value) in
            state.records.iter().filter(|((family, key), _)| (*family, &key[..]) != (Family::Sys, b"table"))
        {
            all.put(*family, key, Some(value));
        }
        state.next += 1;
        self.install(number, &all).map_err(|error| Error::io("cannot write the index", error))?;
        let old = std::mem::take(&mut state.logs);
        state.logs.push(self.new_log(number)?);
        // What stays by a failure is not read again.
        for log in old {
            let _ = self.disk.remove(&path(log.number, "log"));
        }
        for entry in self.disk.list(Path::new(DIR)).unwrap_or_default() {
            if entry
                .name
                .strip_suffix(".table")
                .and_then(|stem| stem.parse().ok())
                .is_some_and(|found: u64| found < number)
            {
                let _ = self.disk.remove(&Path::new(DIR).join(&entry.name));
            }
        }
        Ok(())
    }

    fn install(&self, number: u64, all: &Changes) -> std::io::Result<()> {
        let (new, current) = (path(number, "new"), Path::new(DIR).join(CURRENT));
        let table = self.disk.create_new(&path(number, "table"))?;
        table.write_at(0, &frame(&all.0))?;
        table.sync_data()?;
        let pointer = self.disk.create_new(&new)?;
        pointer.write_at(0, &number.to_le_bytes())?;
        pointer.sync_data()?;
        self.disk.sync_dir(Path::new(DIR))?;
        self.disk.rename(&new, &current)?;
        self.disk.sync_dir(Path::new(DIR))
    }
}

impl State {
    fn usable(&self) -> Result<()> {
        match &self.broken {
            None => Ok(()),
            Some(why) => Err(Error::new(Kind::Io, "cannot write the index").why(why.clone())),
        }
    }
}
