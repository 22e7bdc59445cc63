//! Notes in the log: written once the commits they tell of are durable, and kept for as long as they tell anything.
//!
//! They lie in segments of their own, which no data keeps and no data takes along. Now and then these are gone through:
//! what is told of contents that are there stays, and the newest of the rest.

use super::Store;
use super::publish::segment_key;
use super::rebuild::make_quarantine;
use crate::chunklog::format::note::Note;
use crate::chunklog::{Class, Owned, Owner, Run, SegmentId, Tier, Written};
use crate::index::{Family, Read, content_key};
use crate::model::{ContentId, Error, Kind, Result};
use crate::sys::sync::Mutex;
use crate::sys::sync::atomic::{AtomicU64, Ordering};

/// Files and bytes of notes beyond which they are gone through.
const FILES_MAX: usize = 16;
const BYTES_MIN: u64 = 4 << 20;
/// Bytes of names that moved, contents that went, and stretches of contents in whose place others came: nobody knows for how
/// long they matter, and the newest are kept.
const RECENT_BYTES: u64 = 32 << 20;
/// Contents that one note tells of, at most.
const GONE_MAX: usize = 1 << 18;
/// Bytes of a file of notes that are moved at once.
const BATCH_BYTES: u32 = 1 << 20;
/// Bytes of memory that what waits takes at most: the disk may hang, or have no room but its reserve, for as long as it likes.
const WAITING_MAX: usize = 8 << 20;
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
    /// What they take.
    bytes: usize,
}

impl Untold {
    fn is_any(&self, gone_too: bool) -> bool {
        !self.notes.is_empty() || gone_too && !self.gone.is_empty()
    }

    /// Whether so many bytes more may wait; what came before them tells of what came before.
    fn has_room(&mut self, bytes: usize) -> bool {
        let room = self.bytes + bytes <= WAITING_MAX;
        self.bytes += if room { bytes } else { 0 };
        room
    }

    fn forget(&mut self, commit: u64, content: u64) {
        if self.has_room(size_of::<(u64, u64)>()) {
            self.gone.push((commit, content));
        }
    }

    fn note(&mut self, commit: u64, owner: Owned, note: Note) {
        if self.has_room(note_bytes(&owner, &note)) {
            self.notes.push((commit, owner, note));
        }
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
        let notes = self.notes.iter().map(|(_, owner, note)| note_bytes(owner, note));
        self.bytes = notes.sum::<usize>() + self.gone.len() * size_of::<(u64, u64)>();
        (gone, told.into_iter().map(|(_, owner, note)| (owner, note)).collect())
    }
}

fn note_bytes(owner: &Owned, note: &Note) -> usize {
    let from = if let Note::Moved(from) = note { from.len() } else { 0 };
    size_of::<(u64, Owned, Note)>() + owner.key_tail.len() + from
}

impl Store {
    /// Contents of which nothing is named any more once `commit` is durable. Those that lie in the index are none of the
    /// log's.
    pub(super) fn forget(&self, commit: u64, contents: impl Iterator<Item = ContentId>) {
        let logged = contents.filter(|id| *id != ContentId::EMPTY && *id < ContentId::FIRST_INLINE);
        let mut untold = self.notes.untold.lock();
        logged.for_each(|id| untold.forget(commit, id.0));
    }

    /// Has a note written when `commit` is durable.
    pub(super) fn note_later(&self, commit: u64, owner: &Owner<'_>, note: Note) {
        let Owner { ino, seq, logical, written, key_tail } = *owner;
        let owner = Owned { ino, seq, logical, written, key_tail: key_tail.to_vec() };
        self.notes.untold.lock().note(commit, owner, note);
    }

    /// Writes down what waited, as far as it is durable; of contents that went only when `gone_too` or when they are many, as
    /// they come one by one and have time. Nothing is waited for but the writes.
    pub(super) fn tell_log(&self, gone_too: bool) {
        if self.stopped.get().is_some() || self.is_read_only() {
            return;
        }
        let Some(_telling) = self.notes.telling.try_lock() else { return };
        let gone_too = {
            let untold = self.notes.untold.lock();
            let gone_too = gone_too || untold.gone.len() >= GONE_MAX;
            if !untold.is_any(gone_too) {
                return;
            }
            gone_too
        };
        if !self.room_for_note(1 << 16) {
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
        match self.log.append(Tier::default(), Class::Notes, &[(owner, &payload)]) {
            Ok(_) => drop(self.notes.written.fetch_add(bytes, Ordering::Relaxed)),
            Err(error) => tracing::debug!(%error, "a note for an index built anew is missing"),
        }
    }

    /// Completes and syncs the log's files. That notes are lost is no failure of anything.
    pub(super) fn seal_log(&self) -> Result<()> {
        self.log.seal_open().or_else(|_| {
            let mut lost = self.log.lost();
            lost.solos.clear();
            lost.runs.retain(|(segment, _)| matches!(self.log.holds_notes(*segment), Ok(true)));
            self.log.settle(&lost);
            self.log.sync()
        })
    }

    /// Files of notes, the newest first, with their bytes; when `all`, those too that are appended to or cannot be read.
    pub(super) fn note_files(&self, all: bool) -> Result<Vec<(SegmentId, u64)>> {
        let mut found = Vec::new();
        for (id, bytes) in self.log.segment_files()?.into_iter().rev() {
            let counted = self.index.get(Family::Seg, &segment_key(id.0))?.is_some();
            if !counted && (all || !self.log.is_open(id)) && self.log.holds_notes(id).unwrap_or(all) {
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
        // There may be more in it.
        if self.log.need_zones("go through notes").is_err() {
            return Ok(());
        }
        let files = self.note_files(false)?;
        let bytes = files.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let few = looked.is_none() && files.len() <= FILES_MAX && bytes <= BYTES_MIN;
        // What is kept is there twice for a while.
        if few || !self.room_for_note(bytes) {
            *looked = Some((bytes, BYTES_MIN.max(if few { 0 } else { 2 * bytes })));
            return Ok(());
        }
        self.log.retire_class(Tier::default(), Class::Notes);
        self.notes.written.store(0, Ordering::Relaxed);
        // Contents below this are in the index, or never will be.
        let next = self.ids.next();
        self.moves.settle();
        let mut files = Vec::new();
        // Also what is kept is in the order in which it was written.
        for (id, _) in self.note_files(false)?.into_iter().rev() {
            match self.sift_notes(id, next) {
                Ok(sifted) => files.push(sifted),
                Err(error) => tracing::warn!(%error, segment = %id, "notes stay where they are"),
            }
        }
        keep_newest(files.iter_mut().flat_map(|file| &mut file.notes), RECENT_BYTES);
        for file in files {
            if let Err(error) = self.renew_notes(&file) {
                tracing::warn!(%error, segment = %file.id, "notes stay where they are");
            }
        }
        let bytes = self.notes.written.swap(0, Ordering::Relaxed);
        *looked = Some((bytes, BYTES_MIN.max(2 * bytes)));
        Ok(())
    }

    /// What of a file of notes may still be needed. What cannot be read of it is lost: nobody else can read it either.
    fn sift_notes(&self, id: SegmentId, next: u64) -> Result<Sifted> {
        let mut found = Vec::new();
        let scanned = self.log.scan(id, &mut |run| found.push((run.run, run.owner)))?;
        if found.iter().any(|(_, owner)| !owner.written.note) {
            return Err(Error::corrupt("cannot go through notes", "the segment holds other runs as well"));
        }
        let mut damaged = !scanned.flaws.is_empty();
        let mut notes = Vec::new();
        for (run, owner) in found {
            let mut payload = vec![0; run.len as usize];
            match self.log.read(run, 0, &mut payload) {
                Ok(()) => {}
                Err(error) if error.kind() == Kind::Corrupt => {
                    damaged = true;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if let Some(kept) = self.is_needed(&owner, &payload, next)? {
                notes.push(Sifts { run, time: owner.written.time, kept });
            }
        }
        // What a crash cut off was never complete.
        let rotten = damaged && (scanned.sealed || scanned.class.is_none());
        Ok(Sifted { id, rotten, notes })
    }

    /// Writes what is still needed of a file of notes once more, and deletes the file; a damaged one goes to the quarantine.
    fn renew_notes(&self, file: &Sifted) -> Result<()> {
        let kept: Vec<_> = file.notes.iter().filter(|note| note.kept == Kept::Yes).map(|note| note.run).collect();
        let mut runs = Vec::new();
        // A run is at most a few times that.
        for batch in kept.chunk_by(|one, other| one.offset / BATCH_BYTES == other.offset / BATCH_BYTES) {
            let parts: Vec<_> = batch.iter().map(|run| (*run, 0..run.len)).collect();
            for copy in self.log.copy_runs(Tier::default(), Class::Notes, &parts)? {
                let run = copy?;
                self.notes.written.fetch_add(u64::from(run.len) + HEAD, Ordering::Relaxed);
                runs.push(run);
            }
        }
        // What the index said must be so after a crash, too.
        self.sync()?;
        self.log.sync_of(&runs, &[])?;
        if file.rotten {
            tracing::warn!(segment = %file.id, "notes that are damaged are lost, their file goes to the quarantine");
            let quarantine = make_quarantine(&*self.disk, self.now())?;
            self.move_copies_away(&file.id.path(), &quarantine)?;
        }
        self.log.delete_segment(file.id).map(drop)
    }

    /// Whether a note still tells something; nothing, when it surely does not.
    fn is_needed(&self, owner: &Owned, payload: &[u8], next: u64) -> Result<Option<Kept>> {
        let is_there = |content: u64| -> Result<bool> {
            Ok(content >= next || self.index.get(Family::Content, &content_key(ContentId(content)))?.is_some())
        };
        Ok(match Note::decode(payload) {
            // One that took its place may show them still.
            Ok(Note::Stretches(_)) => Some(if is_there(owner.seq)? { Kept::Yes } else { Kept::IfRecent }),
            Ok(Note::Name | Note::Placed) => is_there(owner.written.base)?.then_some(Kept::Yes),
            Ok(Note::Moved(_) | Note::Gone(_)) => Some(Kept::IfRecent),
            // Of a later release.
            Err(_) => Some(Kept::Yes),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    Yes,
    /// Nobody can say whether it still tells something.
    IfRecent,
    No,
}

/// A note that may still be needed.
struct Sifts {
    run: Run,
    /// When it was written, in seconds.
    time: u32,
    kept: Kept,
}

/// What may still be needed of a file.
struct Sifted {
    id: SegmentId,
    /// It was complete, and is not as it was written.
    rotten: bool,
    /// In the file's order.
    notes: Vec<Sifts>,
}

/// Decides which are recent: the newest up to `left` bytes, of notes in the order in which they were written.
fn keep_newest<'a>(notes: impl Iterator<Item = &'a mut Sifts>, mut left: u64) {
    let mut unsure: Vec<_> = notes.filter(|note| note.kept == Kept::IfRecent).collect();
    unsure.sort_by_key(|note| note.time);
    for note in unsure.into_iter().rev() {
        let bytes = u64::from(note.run.len) + 256;
        note.kept = if left >= bytes { Kept::Yes } else { Kept::No };
        left = left.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, Sifts, Untold, WAITING_MAX, keep_newest, note_bytes};
    use crate::chunklog::format::note::Note;
    use crate::chunklog::{Owned, Run, SegmentId};

    #[test]
    fn what_is_not_durable_waits() {
        let mut untold = Untold { gone: vec![(3, 30), (5, 50)], ..Untold::default() };
        assert!(untold.take(4, false).0.is_empty());
        assert_eq!(untold.take(4, true).0, [30]);
        assert!(untold.take(4, true).0.is_empty());
        assert_eq!(untold.take(5, true).0, [50]);
    }

    /// Nothing becomes durable while the disk hangs, and nothing is written while it is full.
    #[test]
    fn what_waits_takes_so_much_memory_at_most() {
        let mut untold = Untold::default();
        let owner = || Owned { key_tail: vec![b'k'; 1000], ..Owned::default() };
        let moved = || Note::Moved(vec![b'm'; 1000]);
        for n in 0..20_000 {
            untold.note(n, owner(), moved());
            untold.forget(n, n);
        }
        let notes = untold.notes.len() * note_bytes(&owner(), &moved());
        let bytes = notes + untold.gone.len() * 16;
        assert!(bytes <= WAITING_MAX && notes > WAITING_MAX / 2, "{bytes} {notes}");
        let first = untold.take(10, false).1.len();
        assert_eq!(first, 11, "those that came first are kept");
        (0..5).for_each(|n| untold.note(n, owner(), moved()));
        assert_eq!(untold.take(4, false).1.len(), 5, "there is room again");
        untold.take(u64::MAX, true);
        assert_eq!(untold.bytes, 0);
    }

    #[test]
    fn the_newest_notes_are_kept() {
        let note = |offset, time, kept| Sifts { run: Run { segment: SegmentId(1), offset, len: 744 }, time, kept };
        let mut notes = [
            note(0, 1, Kept::IfRecent),
            note(1, 7, Kept::IfRecent),
            note(2, 2, Kept::Yes),
            note(3, 3, Kept::IfRecent),
            note(4, 4, Kept::IfRecent),
            note(5, 4, Kept::IfRecent),
        ];
        keep_newest(notes.iter_mut(), 2500);
        let kept: Vec<_> = notes.iter().filter(|note| note.kept == Kept::Yes).map(|note| note.run.offset).collect();
        assert_eq!(kept, [1, 2, 5], "one was written later than its place says");
        assert!(notes.iter().all(|note| note.kept != Kept::IfRecent));
    }
}
