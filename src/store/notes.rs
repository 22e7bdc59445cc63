//! Notes in the log: written once the commits they tell of are durable, and kept for as long as they tell anything.
//!
//! They lie in segments of their own, which no data keeps and no data takes along. Now and then these are gone through:
//! what is told of contents that are there stays, and the newest of the rest.

use super::Store;
use super::publish::segment_key;
use crate::chunklog::format::note::Note;
use crate::chunklog::{Class, Owned, Owner, Run, SegmentId, Written};
use crate::index::{Family, Read, content_key};
use crate::model::{ContentId, Error, Result};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering};

/// Files and bytes of notes beyond which they are gone through.
const FILES_MAX: usize = 16;
const BYTES_MIN: u64 = 4 << 20;
/// Bytes of names that moved and contents that went, of which nobody knows for how long they matter: the newest are kept.
const RECENT_BYTES: u64 = 32 << 20;
/// Contents that one note tells of, at most.
const GONE_MAX: usize = 1 << 18;
/// Bytes of notes that are moved at once.
const BATCH_BYTES: usize = 1 << 20;
/// More than a note takes beside its payload.
const HEAD: u64 = 2048;

/// What waits to be written, and how much was.
#[derive(Default)]
pub(super) struct Notes {
    untold: Mutex<Untold>,
    /// Held by who writes down what waited: a snapshot is to have none that its index knows nothing of.
    telling: Mutex<()>,
    /// Bytes since the files were looked at.
    written: AtomicU64,
    /// Bytes in the files then, and how many there may be before they are gone through.
    looked: Mutex<Option<(u64, u64)>>,
}

/// Each with the commit that it is to follow.
#[derive(Default)]
struct Untold {
    gone: Vec<(u64, u64)>,
    notes: Vec<(u64, Owned, Note)>,
}

impl Untold {
    fn is_any(&self, gone_too: bool) -> bool {
        !self.notes.is_empty() || gone_too && !self.gone.is_empty()
    }

    /// Takes out what commits up to `done` have made true.
    fn take(&mut self, done: u64, gone_too: bool) -> (Vec<u64>, Vec<(Owned, Note)>) {
        let (told, rest) = std::mem::take(&mut self.notes).into_iter().partition(|(commit, ..)| *commit <= done);
        self.notes = rest;
        let told: Vec<_> = told;
        let mut gone = Vec::new();
        if gone_too {
            self.gone.retain(|(commit, number)| {
                if *commit <= done {
                    gone.push(*number);
                }
                *commit > done
            });
        }
        (gone, told.into_iter().map(|(_, owner, note)| (owner, note)).collect())
    }
}

impl Store {
    /// Contents of which nothing is named any more once `commit` is durable. Those that lie in the index are none of the
    /// log's.
    pub(super) fn forget(&self, commit: u64, contents: impl Iterator<Item = ContentId>) {
        let logged = contents.filter(|id| *id != ContentId::EMPTY && *id < ContentId::FIRST_INLINE);
        self.notes.untold.lock().gone.extend(logged.map(|id| (commit, id.0)));
    }

    /// Has a note written when `commit` is durable.
    pub(super) fn note_later(&self, commit: u64, owner: &Owner<'_>, note: Note) {
        let Owner { ino, seq, logical, written, key_tail } = *owner;
        let owner = Owned { ino, seq, logical, written, key_tail: key_tail.to_vec() };
        self.notes.untold.lock().notes.push((commit, owner, note));
    }

    /// Writes down what waited, as far as it is durable; of contents that went only when `gone_too`, as they come one by
    /// one and have time. Nothing is waited for but the writes.
    pub(super) fn tell_log(&self, gone_too: bool) {
        if self.stopped.get().is_some() || self.is_read_only() {
            return;
        }
        let Some(_telling) = self.notes.telling.try_lock() else { return };
        if !self.notes.untold.lock().is_any(gone_too) || !self.room_for_note(1 << 16) {
            return;
        }
        let (gone, notes) = self.notes.untold.lock().take(self.rounds.done(), gone_too);
        for (owner, note) in notes {
            self.note(&owner.as_owner(), &note);
        }
        for gone in gone.chunks(GONE_MAX) {
            self.note(&self.notice(&[]), &Note::Gone(gone.to_vec()));
        }
    }

    /// Has nothing written down that waits, until the answer is dropped.
    pub(super) fn hold_notes(&self) -> crate::sys::sync::MutexGuard<'_, ()> {
        self.notes.telling.lock()
    }

    fn room_for_note(&self, bytes: u64) -> bool {
        self.rounds.room(bytes, self.now(), &|| Ok(self.space()?.free)).is_ok()
    }

    /// Writes a note. Only a help: what cannot be written, or would take of the disk's reserve, is left out.
    pub(super) fn note(&self, owner: &Owner<'_>, note: &Note) {
        let owner = Owner { written: Written { note: true, ..owner.written }, ..*owner };
        let payload = note.encode();
        let bytes = payload.len() as u64 + HEAD;
        if !self.room_for_note(bytes) {
            return;
        }
        match self.log.append(Class::Notes, &[(owner, &payload)]) {
            Ok(_) => drop(self.notes.written.fetch_add(bytes, Ordering::Relaxed)),
            Err(error) => tracing::debug!(%error, "a note for an index built anew is missing"),
        }
    }

    /// Completes and syncs the log's files. That notes are lost is no failure of anything.
    pub(super) fn seal_log(&self) -> Result<()> {
        self.log.seal_open().or_else(|_| {
            let mut lost = self.log.lost();
            lost.solos.clear();
            lost.runs.retain(|(segment, _)| self.log.holds_notes(*segment));
            self.log.settle(&lost);
            self.log.sync()
        })
    }

    /// Files of notes, the newest first, with their bytes; of those that are appended to only when `open_too`.
    pub(super) fn note_files(&self, open_too: bool) -> Result<Vec<(SegmentId, u64)>> {
        let mut found = Vec::new();
        for (id, bytes) in self.log.segment_files()?.into_iter().rev() {
            let counted = self.index.get(Family::Seg, &segment_key(id.0))?.is_some();
            if !counted && (open_too || !self.log.is_open(id)) && self.log.holds_notes(id) {
                found.push((id, bytes));
            }
        }
        Ok(found)
    }

    /// Goes through the notes when they have become many. Called under the reaper's lock.
    pub(super) fn trim_notes(&self) -> Result<()> {
        let mut looked = self.notes.looked.lock();
        let written = self.notes.written.load(Ordering::Relaxed);
        if looked.is_some_and(|(bytes, limit)| bytes + written <= limit) || self.holds.files() {
            return Ok(());
        }
        let files = self.note_files(false)?;
        let bytes = files.iter().map(|(_, bytes)| bytes).sum::<u64>();
        if looked.is_none() && files.len() <= FILES_MAX && bytes <= BYTES_MIN {
            *looked = Some((bytes, BYTES_MIN));
            return Ok(());
        }
        self.log.retire_class(Class::Notes);
        self.notes.written.store(0, Ordering::Relaxed);
        // Contents below this are in the index, or never will be.
        let next = self.ids.next();
        self.moves.settle();
        let mut recent = RECENT_BYTES;
        for (id, _) in self.note_files(false)? {
            if let Err(error) = self.renew_notes(id, next, &mut recent) {
                tracing::warn!(%error, segment = %id, "notes stay where they are");
            }
        }
        let bytes = self.notes.written.swap(0, Ordering::Relaxed);
        *looked = Some((bytes, BYTES_MIN.max(2 * bytes)));
        Ok(())
    }

    /// Writes what is still needed of a file of notes once more, and deletes the file.
    fn renew_notes(&self, id: SegmentId, next: u64, recent: &mut u64) -> Result<()> {
        let mut found = Vec::new();
        let scanned = self.log.scan(id, &mut |run| found.push((run.run, run.owner, run.bad_frames.is_empty())))?;
        if !scanned.flaws.is_empty() || found.iter().any(|(.., whole)| !whole) {
            return Err(Error::corrupt("cannot go through notes", "the segment is damaged"));
        }
        let mut runs: Vec<Run> = Vec::new();
        let (mut batch, mut bytes): (Vec<(Owned, Vec<u8>)>, usize) = (Vec::new(), 0);
        // The newest come first.
        for (run, owner, _) in found.into_iter().rev() {
            let mut payload = vec![0; run.len as usize];
            self.log.read(run, 0, &mut payload)?;
            if self.is_needed(&owner, &payload, next, recent)? {
                bytes += payload.len();
                batch.push((owner, payload));
            }
            if bytes > BATCH_BYTES {
                runs.extend(self.append_notes(&mut batch)?);
                bytes = 0;
            }
        }
        runs.extend(self.append_notes(&mut batch)?);
        // What the index said must be so after a crash, too.
        self.sync()?;
        self.log.sync_of(&runs, &[])?;
        self.log.delete_segment(id)
    }

    fn append_notes(&self, batch: &mut Vec<(Owned, Vec<u8>)>) -> Result<Vec<Run>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let pieces: Vec<_> = batch.iter().map(|(owner, payload)| (owner.as_owner(), payload.as_slice())).collect();
        let bytes = pieces.iter().map(|(_, payload)| payload.len() as u64 + HEAD).sum();
        let runs = self.log.append(Class::Notes, &pieces)?;
        self.notes.written.fetch_add(bytes, Ordering::Relaxed);
        batch.clear();
        Ok(runs)
    }

    /// Whether a note still tells something; of `recent` the bytes are taken of one that nobody can say it of.
    fn is_needed(&self, owner: &Owned, payload: &[u8], next: u64, recent: &mut u64) -> Result<bool> {
        let is_there = |content: u64| -> Result<bool> {
            Ok(content >= next || self.index.get(Family::Content, &content_key(ContentId(content)))?.is_some())
        };
        match Note::decode(payload) {
            Ok(Note::Stretches(_)) => is_there(owner.seq),
            Ok(Note::Name | Note::Placed) => is_there(owner.written.base),
            Ok(Note::Moved(_) | Note::Gone(_)) => {
                let bytes = payload.len() as u64 + 256;
                let kept = *recent >= bytes;
                *recent = recent.saturating_sub(bytes);
                Ok(kept)
            }
            // Of a later release.
            Err(_) => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Untold;

    #[test]
    fn what_is_not_durable_waits() {
        let mut untold = Untold { gone: vec![(3, 30), (5, 50)], notes: vec![] };
        assert!(untold.take(4, false).0.is_empty());
        assert_eq!(untold.take(4, true).0, [30]);
        assert!(untold.take(4, true).0.is_empty());
        assert_eq!(untold.take(5, true).0, [50]);
    }
}
