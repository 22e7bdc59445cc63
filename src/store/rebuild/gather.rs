//! Reading the whole log: which contents there were, and where their bytes are.

use crate::chunklog::format::FRAME_BYTES;
use crate::chunklog::format::note::{Note, Stretch};
use crate::chunklog::{ChunkLog, Owned, RUN_BYTES_MAX, RunFound, SegmentId, SoloId, SoloState, Written};
use crate::index::Source;
use crate::model::{Error, Kind, NUMBER_IN_USE_MAX, Result};
use crate::store::ids;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const FRAME: u64 = FRAME_BYTES as u64;
/// Over all other writes of a content: what is lost there must not show what was there before.
const ORDER_TOP: u32 = u32::MAX;

/// Which content. Those whose number nobody wrote down come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Id {
    /// Of nobody that is known: the file, and where in it the bytes begin.
    Alone(u64, u32),
    /// All that is known of an inode in a store of an earlier release.
    Inode(u64),
    /// By its number.
    Numbered(u64),
}

/// A run or file of a content.
pub(super) struct Part {
    pub at: u64,
    pub len: u64,
    pub source: Source,
    order: u32,
    /// Bytes of it that do not verify, each stretch from its beginning.
    pub bad: Box<[(u64, u64)]>,
}

/// What the log tells of a content.
#[derive(Default)]
pub(super) struct Found {
    pub ino: u64,
    /// Bucket and key, or the end of them; empty when unknown.
    pub key: Vec<u8>,
    pub written: Written,
    /// In the order in which they were written.
    pub parts: Vec<Part>,
    /// What its last note of them tells, which lies over the parts that were written before that.
    pub stretches: Vec<Stretch>,
    stretches_order: u32,
    /// Its number among those of all that happened, when another one than its own.
    pub placed: u64,
    /// What it was written over is not in the log: that is what the file had before.
    pub guessed: bool,
    /// It has no bytes of its own: the one below has one more name.
    pub name_only: bool,
}

/// Names that moved: bucket and key, or with a `/` at the end all that begins so.
pub(super) struct Move {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
}

impl Found {
    /// Bytes of the object.
    pub(super) fn length(&self, id: Id) -> u64 {
        match id {
            // Writes are counted from 1: somebody has told it.
            Id::Numbered(_) if self.written.order > 0 => self.written.length,
            _ => self.parts.iter().map(|part| part.at.saturating_add(part.len)).max().unwrap_or(0),
        }
    }

    /// Whether nothing of what it was written over shows.
    pub(super) fn covers(&self, length: u64) -> bool {
        let parts = self.parts.iter().map(|part| (part.at, part.len));
        let stretches = self.stretches.iter().map(|stretch| (stretch.at, stretch.len));
        let mut own: Vec<(u64, u64)> = parts.chain(stretches).collect();
        own.sort_unstable();
        let reach = |end: u64, (at, len): (u64, u64)| if at <= end { end.max(at.saturating_add(len)) } else { end };
        own.into_iter().fold(0, reach) >= length
    }

    /// The parts that lie below the stretches, and those above.
    pub(super) fn layers(&self) -> (&[Part], &[Part]) {
        let below = self.parts.partition_point(|part| part.order <= self.stretches_order);
        self.parts.split_at(if self.stretches.is_empty() { 0 } else { below })
    }

    fn hear(&mut self, owner: Owned) {
        let rank = |written: &Written| (written.last, written.order);
        self.ino = self.ino.max(owner.ino);
        if rank(&owner.written) >= rank(&self.written) {
            self.written = owner.written;
            if !owner.key_tail.is_empty() {
                self.key = owner.key_tail;
            }
        }
    }
}

/// Everything the log tells.
#[derive(Default)]
pub(super) struct Gathered {
    pub contents: BTreeMap<Id, Found>,
    /// By their numbers, which are of one counter with those of contents.
    pub moves: BTreeMap<u64, Move>,
    /// Contents that lost their last name.
    pub gone: HashSet<u64>,
    /// The largest number of anything seen.
    pub number: u64,
    pub runs: u64,
    pub files: u64,
    /// Files of their own without checksums, cut off by a crash.
    pub unfinished: u64,
    /// What is not as it was written.
    pub flaws: Vec<String>,
    /// Files of the log in which something is not as it was written.
    pub flawed: HashSet<u64>,
    anonymous: Option<(Id, SegmentId, u64)>,
    /// By contents: the number and key that each got.
    places: HashMap<u64, (u64, Vec<u8>)>,
}

/// Reads all of the log, every byte.
pub(super) fn gather(log: &ChunkLog, progress: &mut dyn FnMut(&str)) -> Result<Gathered> {
    let mut all = Gathered::default();
    for segment in log.segments()? {
        progress(&format!("reading segment {}", segment.id));
        all.files += 1;
        let mut notes = Vec::new();
        let scanned = log.scan(segment.id, &mut |run| all.run(run, &mut notes));
        let mut flaws = Vec::new();
        match scanned {
            Ok(scanned) => {
                scanned.headless.into_iter().for_each(|run| all.headless(run));
                flaws.extend(scanned.flaws.iter().map(ToString::to_string));
            }
            Err(error) => flaws.push(error.to_string()),
        }
        if !flaws.is_empty() {
            all.flawed.insert(segment.id.0);
            all.flaws.append(&mut flaws);
        }
        notes.into_iter().for_each(|run| all.note(log, run));
    }
    for solo in log.solos()? {
        progress(&format!("reading file {}", solo.id));
        all.files += 1;
        if solo.state == SoloState::Finished {
            all.solo(log, solo.id);
        } else {
            all.unfinished += 1;
        }
    }
    for found in all.contents.values_mut() {
        // What is whole lies above what is not: two copies of one run may be there.
        found.parts.sort_by_key(|part| (part.order, part.bad.is_empty()));
        // A note may be there twice as well.
        found.stretches.sort_unstable_by_key(|stretch| (stretch.at, stretch.len, stretch.content, stretch.from));
        found.stretches.dedup();
    }
    for (content, (number, key)) in std::mem::take(&mut all.places) {
        if let Some(found) = all.contents.get_mut(&Id::Numbered(content)) {
            (found.placed, found.key) = (number, key);
        }
    }
    all.guess_bases();
    Ok(all)
}

impl Gathered {
    fn at(&mut self, id: Id) -> &mut Found {
        self.contents.entry(id).or_default()
    }

    /// A content that was written over one that is gone from the log, which all of its own bytes are: they show nowhere. What
    /// shows through it is what the file had before, in all likelihood.
    fn guess_bases(&mut self) {
        let ino_of = |(id, found): (&Id, &Found)| match id {
            Id::Numbered(number) if found.ino != 0 && !found.name_only => Some((found.ino, *number)),
            _ => None,
        };
        let of_inodes: BTreeSet<(u64, u64)> = self.contents.iter().filter_map(ino_of).collect();
        let lost = |found: &Found| found.written.base != 0 && !found.name_only;
        let missing: Vec<(Id, u64, u64)> = (self.contents.iter())
            .filter(|(_, found)| lost(found) && !self.contents.contains_key(&Id::Numbered(found.written.base)))
            .map(|(id, found)| (*id, found.ino, found.written.base))
            .collect();
        for (id, ino, base) in missing {
            let before = of_inodes.range((ino, 0)..(ino, base)).next_back();
            if let (Some((_, before)), Some(found)) = (before, self.contents.get_mut(&id)) {
                (found.written.base, found.guessed) = (*before, true);
            }
        }
    }

    /// Takes note of the numbers, and drops those that no store has given out.
    fn counted(&mut self, mut owner: Owned) -> Owned {
        // The mount's own numbers are no files'.
        owner.ino = Some(owner.ino).filter(|ino| *ino >= ids::FIRST).unwrap_or(0);
        for number in [&mut owner.ino, &mut owner.seq, &mut owner.written.base] {
            *number = Some(*number).filter(|number| *number <= NUMBER_IN_USE_MAX).unwrap_or(0);
            self.number = self.number.max(*number);
        }
        owner
    }

    /// Whose bytes without a content's number are: of the inode, or else of a file that begins at its beginning.
    fn unnumbered(&mut self, owner: &Owned, run: (SegmentId, u32), len: u64) -> Id {
        if owner.ino != 0 {
            return Id::Inode(owner.ino);
        }
        let id = match self.anonymous {
            Some((id, segment, end)) if segment == run.0 && end == owner.logical && end != 0 => id,
            _ => Id::Alone(run.0.0, run.1),
        };
        self.anonymous = Some((id, run.0, owner.logical.saturating_add(len)));
        id
    }

    fn run(&mut self, run: RunFound, notes: &mut Vec<RunFound>) {
        self.runs += 1;
        let RunFound { run: place, owner, bad_frames, .. } = run;
        let owner = self.counted(owner);
        if owner.written.note {
            notes.push(RunFound { run: place, owner, bad_frames, searched: false });
            return;
        }
        let len = u64::from(place.len);
        let id = match owner.seq {
            0 => self.unnumbered(&owner, (place.segment, place.offset), len),
            seq => Id::Numbered(seq),
        };
        let source = Source::Run { segment: place.segment.0, offset: place.offset, len: place.len, skip: 0 };
        let bad = bad_frames.iter().map(|frame| {
            let at = u64::from(*frame) * FRAME;
            (at, (len - at.min(len)).min(FRAME))
        });
        let part = Part { at: owner.logical, len, source, order: owner.written.order, bad: bad.collect() };
        let found = self.at(id);
        found.parts.push(part);
        found.hear(owner);
    }

    /// A run of which only the directory of its segment tells: reading its range is an error, not other bytes.
    fn headless(&mut self, mut run: RunFound) {
        if (1..=RUN_BYTES_MAX).contains(&run.run.len) {
            run.owner.written.order = ORDER_TOP;
            let written = run.owner.written;
            let id = Id::Numbered(run.owner.seq);
            let before = self.contents.get(&id).map(|found| found.written);
            self.run(run, &mut Vec::new());
            // It knows nothing of the state.
            if let Some(found) = self.contents.get_mut(&id)
                && found.written == written
            {
                found.written = before.unwrap_or_default();
            }
        }
    }

    fn note(&mut self, log: &ChunkLog, run: RunFound) {
        let mut payload = vec![0; run.run.len as usize];
        let read = log.read(run.run, 0, &mut payload);
        let told = read.and_then(|()| {
            Note::decode(&payload).map_err(|flaw| Error::new(Kind::Corrupt, "cannot read a note").why(flaw.to_string()))
        });
        let owner = run.owner;
        match told {
            Err(error) => self.flaws.push(error.to_string()),
            Ok(Note::Gone(gone)) => self.gone.extend(gone),
            Ok(_) if owner.seq == 0 => {}
            Ok(Note::Moved(from)) => {
                self.moves.insert(owner.seq, Move { from, to: owner.key_tail });
            }
            Ok(Note::Name) => {
                let found = self.at(Id::Numbered(owner.seq));
                found.name_only = true;
                found.hear(owner);
            }
            Ok(Note::Placed) => {
                let (number, key) = self.places.entry(owner.written.base).or_default();
                if owner.seq > *number {
                    (*number, *key) = (owner.seq, owner.key_tail);
                }
            }
            Ok(Note::Stretches(stretches)) => {
                let found = self.at(Id::Numbered(owner.seq));
                let order = owner.written.order;
                if order > found.stretches_order {
                    (found.stretches, found.stretches_order) = (Vec::new(), order);
                }
                if order == found.stretches_order {
                    found.stretches.extend(stretches.into_iter().filter(|stretch| stretch.len > 0));
                }
                found.hear(owner);
            }
        }
    }

    fn solo(&mut self, log: &ChunkLog, id: SoloId) {
        let source = Source::Solo { id: id.0, at: 0 };
        let whole = log.find_solo(id).and_then(|found| Ok((found, log.verify_solo(id)?)));
        let (found, bad) = match whole {
            Ok(whole) => whole,
            Err(error) => {
                self.flawed.insert(id.0);
                return self.flaws.push(error.to_string());
            }
        };
        let owner = self.counted(found.owner);
        let at = match owner.seq {
            0 => Id::Alone(id.0, u32::MAX),
            seq => Id::Numbered(seq),
        };
        let bad = bad.iter().filter(|bad| bad.at < found.len).map(|bad| (bad.at, u64::from(bad.len)));
        let part = Part { at: owner.logical, len: found.len, source, order: owner.written.order, bad: bad.collect() };
        let content = self.at(at);
        if part.len > 0 {
            content.parts.push(part);
        }
        content.hear(owner);
    }
}
