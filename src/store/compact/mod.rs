//! Compaction: what is alive in segments that are mostly dead moves to new ones, so that whole files can go.
//!
//! Contents and nodes keep their numbers; their extents get other sources, in small transactions. A segment goes as any
//! other: when the count of its live bytes comes to nothing, by the reaper. Whatever a pass did not know of keeps its
//! run counted, and so its segment.

mod background;
mod choose;
mod gc;
mod holders;
mod placement;
mod relocate;

pub(super) use self::background::Brakes;
use self::choose::{Limits, Use};
pub(super) use self::placement::{Asking, Placement};
use self::relocate::Relocation;
use super::Store;
use super::publish::segment_key;
use super::reap::gone_file;
use crate::chunklog::{Fill, SegmentId};
use crate::index::{Family, Read, RefKey, SegRecord, decode, id_of};
use crate::model::{Kind, Result, Timestamp};
use serde::Serialize;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

/// Live bytes that one pass copies at most.
const PASS_BYTES: u64 = 1 << 30;
/// Walks of a pass: the second and third find what was made of others' extents meanwhile.
const WALKS: usize = 3;
/// Seconds after which a segment that could not be emptied, or something that could not be read, is tried again.
const STUCK_SECONDS: i64 = 3600;

/// What passes remember. Whoever holds it compacts.
#[derive(Default)]
pub(super) struct Compactor {
    /// Of closed segments, which do not change, and whether copies of what is in them are compressed.
    fills: HashMap<SegmentId, (Fill, bool)>,
    /// Segments that hold notes.
    notes: HashSet<SegmentId>,
    /// Segments that a pass did not empty, and when that was.
    stuck: HashMap<u64, Timestamp>,
    /// Runs and files that could not be read, and when that was.
    unread: HashMap<RefKey, Timestamp>,
    /// Of which tier files are.
    known: placement::Known,
}

/// What a pass did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Compacted {
    /// Segments it meant to empty; when there were none, those it sealed for the next pass.
    pub segments: u64,
    /// Plain bytes it copied.
    pub copied: u64,
    /// Records that refer to other places now.
    pub records: u64,
    /// Things it meant to move to other tiers: runs, and files of their own.
    pub moved: u64,
}

impl Compacted {
    /// Whether there was nothing to do.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.segments == 0 && self.moved == 0
    }
}

/// What the segments hold, as far as they can be compacted.
struct Survey {
    closed: Vec<Use>,
    /// Open ones without bytes that are still to be published.
    open: Vec<Use>,
    limits: Limits,
}

impl Survey {
    /// Open segments in which more is dead than is borne: sealed, they can be compacted.
    fn wasted(&self) -> impl Iterator<Item = &Use> {
        self.open.iter().filter(|open| open.dead() > self.limits.borne)
    }
}

impl Store {
    /// Moves what is alive out of segments that are mostly dead, if dead bytes are more than is borne (a sixteenth of the
    /// live ones); the room comes back when the reaper has deleted the segments. `go_on` hears of the bytes it is about
    /// to copy, may wait, and ends the pass by answering false. Does nothing when there is nothing to gain.
    ///
    /// # Errors
    /// [`crate::model::Kind::Full`] without room to copy anything to, or what index and disk say. Nothing is lost, and
    /// the next pass goes on.
    pub fn compact(&self, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Compacted> {
        self.pass(self.is_scarce(), true, go_on)
    }

    /// A pass; a `thorough` one bears next to nothing, and one that `moves` looks for what lies in another tier than it should.
    fn pass(&self, thorough: bool, moves: bool, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Compacted> {
        if self.writable().is_err() {
            return Ok(Compacted::default());
        }
        let mut compactor = self.compactor.lock();
        let stopped = Cell::new(false);
        let mut go_on = |bytes| {
            let goes_on = go_on(bytes);
            stopped.set(!goes_on);
            goes_on
        };
        let moved = if moves { self.put_in_place(&mut compactor, &mut go_on) } else { Ok(Compacted::default()) };
        if stopped.get() {
            return moved;
        }
        // Whatever came of moving: that keeps nothing from being freed.
        let freed = self.empty(&mut compactor, thorough, &mut go_on)?;
        let moved = match moved {
            Err(error) if error.kind() == Kind::Full => Compacted::default(),
            moved => moved?,
        };
        Ok(Compacted {
            segments: freed.segments,
            copied: moved.copied + freed.copied,
            records: moved.records + freed.records,
            moved: moved.moved,
        })
    }

    /// Moves what is alive out of segments that are mostly dead.
    fn empty(
        &self,
        compactor: &mut Compactor,
        thorough: bool,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Compacted> {
        let survey = self.survey(compactor, thorough)?;
        let mut sealed = 0;
        for wasted in survey.wasted() {
            // What is dead in it counts from now on.
            self.log.retire(SegmentId(wasted.id));
            sealed += 1;
        }
        let victims: HashSet<u64> = choose::victims(&survey.closed, &survey.limits).into_iter().collect();
        if victims.is_empty() {
            return Ok(Compacted { segments: sealed, ..Compacted::default() });
        }
        let nowhere = HashMap::new();
        let mut relocation = Relocation::new(self, &nowhere);
        let wants = |key| matches!(key, RefKey::Run(segment, _) if victims.contains(&segment));
        let outcome = self.relocate(&mut relocation, &wants, go_on);
        let done = Compacted { segments: victims.len() as u64, ..relocation.done };
        self.tell_unread(compactor, relocation);
        let (ended, complete) = outcome?;
        // One that was stopped says nothing about what cannot be emptied.
        if ended && (complete || done.records == 0) {
            let now = self.now();
            for id in &victims {
                if self.live_of(&segment_key(*id))? > 0 {
                    compactor.stuck.insert(*id, now);
                }
            }
        }
        Ok(done)
    }

    /// Whether there is something to move to other tiers, and room for it: nothing is freed while a backup is made, and what is
    /// scarce is for those who delete.
    fn may_move(&self) -> bool {
        self.placement.is_due(self.now()) && !self.holds.files() && !self.is_scarce()
    }

    /// Moves what lies in another tier than its holders want, if anybody has asked.
    fn put_in_place(&self, compactor: &mut Compactor, go_on: &mut dyn FnMut(u64) -> bool) -> Result<Compacted> {
        let idle = Compacted::default();
        let mut go_on = |bytes| self.may_move() && go_on(bytes);
        let began = Instant::now();
        let found = loop {
            if !self.may_move() {
                return Ok(idle);
            }
            let found = self.misplaced(compactor, &mut || !self.rounds.stopping() && go_on(0));
            self.placement.looked(began.elapsed());
            let Some(found) = found? else { return Ok(idle) };
            if !found.targets.is_empty() {
                break found;
            }
            if !self.placed(&mut compactor.known, &found, 0, true) {
                return Ok(idle);
            }
        };
        let mut relocation = Relocation::new(self, &found.targets);
        let outcome = self.relocate(&mut relocation, &|key| found.targets.contains_key(&key), &mut go_on);
        let done = relocation.done;
        if self.tell_unread(compactor, relocation) {
            self.placement.ask_again(self.now().secs.saturating_add(STUCK_SECONDS));
        }
        let (ended, complete) = outcome?;
        self.placed(&mut compactor.known, &found, done.copied, ended && (complete || done.records == 0));
        // What stays all the same, since it cannot be read, is not tried again at once.
        Ok(if done.records > 0 { Compacted { moved: found.targets.len() as u64, ..done } } else { idle })
    }

    /// Tells of what could not be read, once: it is tried again and again. Whether there was anything.
    fn tell_unread(&self, compactor: &mut Compactor, relocation: Relocation<'_>) -> bool {
        let unread = relocation.into_unread();
        let any = !unread.is_empty();
        for (key, error) in unread {
            if compactor.unread.insert(key, self.now()).is_none() {
                self.complain("compact", None, "", &error);
            }
        }
        any
    }

    /// Copies what is wanted of contents and nodes and has these refer to the copies: whether that was not stopped, and whether it is
    /// all.
    fn relocate(
        &self,
        relocation: &mut Relocation<'_>,
        wants: &dyn Fn(RefKey) -> bool,
        go_on: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(bool, bool)> {
        let (mut from, mut complete, mut ended) = (0, true, true);
        for _ in 0..WALKS {
            // Of the numbers below this all are committed, or never will be, once those that keep things from moving have
            // come to their end.
            let next = self.ids.next();
            self.moves.settle();
            let holders = self.holders(wants, from, &|| !self.rounds.stopping())?;
            ended = relocation.run(&holders, go_on)?;
            complete = ended && holders.complete;
            if !complete || holders.records.is_empty() {
                break;
            }
            from = next;
        }
        Ok((ended, complete))
    }

    fn live_of(&self, seg_key: &[u8]) -> Result<u64> {
        let record: Option<SegRecord> = self.index.record(Family::Seg, seg_key)?;
        Ok(record.map_or(0, |record| u64::try_from(record.live_bytes).unwrap_or(0)))
    }

    /// Whether a segment without live bytes holds notes; one that cannot be read may.
    fn may_hold_notes(&self, compactor: &mut Compactor, id: SegmentId) -> bool {
        compactor.notes.contains(&id)
            || match self.log.holds_notes(id) {
                Ok(true) => compactor.notes.insert(id),
                Ok(false) => false,
                Err(_) => true,
            }
    }

    /// Gives up on segments from which nothing was ever published on the way.
    fn survey(&self, compactor: &mut Compactor, thorough: bool) -> Result<Survey> {
        let files = self.log.segment_files()?;
        // Before the counts: what was published since is pending no more.
        let pending: HashSet<u64> = files.iter().map(|(id, _)| id.0).filter(|id| self.pending.has(*id)).collect();
        let mut live = HashMap::new();
        for found in self.index.scan(Family::Seg, b"g", b"h")? {
            let (key, value) = found?;
            if let (Some(id), Ok(record)) = (key.get(1..).and_then(id_of), decode::<SegRecord>(&value)) {
                live.insert(id, u64::try_from(record.live_bytes).unwrap_or(0));
            }
        }
        let solos: u64 = self.log.solos()?.iter().map(|solo| solo.bytes).sum();
        let mut alive = live.values().fold(solos, |sum, live| sum.saturating_add(*live));
        let now = self.now();
        compactor.stuck.retain(|_, when| now.secs.saturating_sub(when.secs) < STUCK_SECONDS);
        let is_there = |id: &SegmentId| files.binary_search_by_key(id, |(id, _)| *id).is_ok();
        compactor.fills.retain(|id, _| is_there(id));
        compactor.notes.retain(is_there);
        let (mut closed, mut open, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for (id, _) in files {
            if pending.contains(&id.0) || compactor.stuck.contains_key(&id.0) {
                continue;
            }
            let in_use = live.get(&id.0).copied();
            // Those are gone through by themselves.
            if in_use.is_none() && self.may_hold_notes(compactor, id) {
                continue;
            }
            let is_open = self.log.is_open(id);
            let (fill, packs) = match compactor.fills.get(&id) {
                Some(known) => *known,
                None => match self.log.fill_of(id) {
                    Ok(fill) => {
                        let is_packed = fill.plain.is_some_and(|plain| plain > fill.bytes);
                        (fill, is_packed && self.log.packs(self.log.tier_of_segment(id)))
                    }
                    Err(error) => {
                        tracing::warn!(%error, segment = %id, "left out of compaction");
                        compactor.stuck.insert(id.0, now);
                        continue;
                    }
                },
            };
            let live = in_use.unwrap_or(0);
            // Heads that were not met hold more than those that were.
            let plain = fill.plain.filter(|plain| *plain >= live);
            let used = Use { id: id.0, bytes: fill.bytes, plain, live, packs };
            alive = alive.saturating_sub(used.live - used.kept());
            if is_open {
                open.push(used);
                continue;
            }
            // One of this opening may be about to be sealed.
            if fill.plain.is_some() || id.epoch() != self.epoch {
                compactor.fills.insert(id, (fill, packs));
            }
            match in_use {
                // The reaper has it, or will when that is durable.
                Some(0) => {}
                Some(_) => closed.push(used),
                None if self.may_have_been_known(&segment_key(id.0)) => {}
                None => unknown.push(gone_file(&segment_key(id.0))),
            }
        }
        if self.writable().is_ok() {
            self.give_up(unknown)?;
        }
        let copied = PASS_BYTES.min(self.space()?.free / 4);
        let limits = Limits::new(self.settings.segment_bytes, if thorough { 0 } else { alive }, copied);
        Ok(Survey { closed, open, limits })
    }

    /// Segments that nothing was ever published from, such as those of writers that gave up.
    fn give_up(&self, mut marks: Vec<Vec<u8>>) -> Result<()> {
        let mut asked = Ok(());
        marks.retain(|mark| match self.index.get(Family::Gone, mark) {
            Ok(found) => found.is_none(),
            Err(error) => {
                asked = Err(error);
                false
            }
        });
        asked?;
        if marks.is_empty() {
            return Ok(());
        }
        // That the index lost a segment's record must not cost the segment.
        let mut files: BTreeSet<Vec<u8>> = marks.iter().map(|mark| mark[1..].to_vec()).collect();
        if let Err(error) = self.spare_what_is_named(&mut files) {
            // Each look comes here again.
            self.spoiled((Family::Seg, b""), None, &error);
            return Ok(());
        }
        marks.retain(|mark| files.contains(&mark[1..]));
        if marks.is_empty() {
            return Ok(());
        }
        self.transact(|tx| {
            marks.iter().for_each(|mark| tx.put_bytes(Family::Gone, mark, Vec::new()));
            Ok(())
        })
    }
}
