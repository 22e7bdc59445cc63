//! Which bytes lie in another tier than those who hold them want: found by a walk over all names, contents and nodes.
//!
//! What several versions hold lies where the one wants it that asks for most copies, the first of these in the order of tiers: no
//! holder has it less safe than its class says. What somebody holds who is no version known stays where it is.

use super::super::Store;
use super::super::locks::FAMILIES;
use super::holders::shown;
use super::relocate::SPARE_BYTES;
use super::{Compactor, STUCK_SECONDS};
use crate::chunklog::{SegmentId, SoloId, Tier, TierSettings};
use crate::index::{
    Body, ContentRecord, DentRecord, DirRecord, Extent, Family, InodeRecord, Node, PartRecord, Read, RefKey,
    UploadRecord, VerRecord, View, decode, id_key, id_of,
};
use crate::model::{ContentId, Kind, Object, Result, StorageClass, Timestamp};
use crate::sys::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

/// Contents whose holders are remembered in one look, some 30 bytes each; the others wait for the next.
const CONTENTS_MAX: usize = 1 << 20;
/// Runs and files that one look finds.
const SPOTS_MAX: usize = 1 << 20;
/// Bytes that one pass moves: then others have their turn.
const MOVED_MAX: u64 = 16 << 30;
/// Records after which it is asked whether the walk goes on.
const STEP: usize = 4096;

/// Tiers that the holders of something want, a bit each.
type Wanted = u8;
/// Somebody holds it whose class is not known.
const UNKNOWN: Wanted = 1 << 7;

/// Whether there is something to look for. Whoever changes what a class or a content holds asks for a look.
pub(in crate::store) struct Placement {
    /// Without a second tier everything is where it belongs.
    several: bool,
    asked: AtomicU64,
    answered: AtomicU64,
    /// Bytes that the last look found elsewhere and that were not moved since.
    waiting: AtomicU64,
    /// Microseconds that the looks of the last pass took.
    looked: AtomicU64,
    /// The second from which on what could not be read is tried again.
    again: AtomicI64,
}

impl Placement {
    /// The first look is one for what happened before the store was opened.
    pub(in crate::store) const fn new(tiers: &[TierSettings]) -> Self {
        let several = tiers.len() > 1;
        let (asked, answered) = (AtomicU64::new(1), AtomicU64::new(if several { 0 } else { 1 }));
        Self {
            several,
            asked,
            answered,
            waiting: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            again: AtomicI64::new(i64::MAX),
        }
    }

    /// Whether files of their own may move.
    pub(in crate::store) const fn is_several(&self) -> bool {
        self.several
    }

    /// Bytes may be wanted elsewhere than they are: to be called when that can be seen.
    pub(in crate::store) fn ask(&self) {
        if self.several {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks when the answer is dropped.
    pub(in crate::store) const fn asking(&self) -> Asking<'_> {
        Asking(self)
    }

    /// Something could not be read: it is asked for once more then, in seconds since 1970.
    pub(super) fn ask_again(&self, then: i64) {
        self.again.fetch_min(then, Ordering::Relaxed);
    }

    /// Whether anybody has asked since the last look.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        if now.secs >= self.again.load(Ordering::Relaxed) {
            self.again.store(i64::MAX, Ordering::Relaxed);
            self.ask();
        }
        self.asked.load(Ordering::Relaxed) != self.answered.load(Ordering::Relaxed)
    }

    /// Whether a transaction changes who wants bytes where: a version has another class, a content another number of holders, or
    /// something else that is shared fewer.
    pub(in crate::store) fn concerns(&self, tx: &crate::index::Tx<'_>) -> Result<bool> {
        if !self.several {
            return Ok(false);
        }
        for key in tx.touched(Family::Refs) {
            let count = |value: Option<bytes::Bytes>| value.and_then(|value| decode::<u64>(&value).ok()).unwrap_or(1);
            let is_content = matches!(RefKey::parse(&key), Some(RefKey::Content(_)));
            let (before, after) = (count(tx.before(Family::Refs, &key)?), count(tx.get(Family::Refs, &key)?));
            if after < before || (is_content && after != before) {
                return Ok(true);
            }
        }
        for family in FAMILIES {
            for key in tx.touched(family) {
                let (before, after) = (tx.before(family, &key)?, tx.get(family, &key)?);
                let object =
                    |value: Option<bytes::Bytes>| value.and_then(|value| object_in(family, &value).ok().flatten());
                if let (Some(before), Some(after)) = (object(before), object(after))
                    && before.content == after.content
                    && before.class != after.class
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    pub(in crate::store) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Notes how long the looks of a pass have taken so far.
    pub(super) fn looked(&self, long: Duration) {
        self.looked.store(u64::try_from(long.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long those took that nobody has asked for before.
    pub(super) fn take_looked(&self) -> Duration {
        Duration::from_micros(self.looked.swap(0, Ordering::Relaxed))
    }
}

/// Held until a commit can be seen after which bytes may be wanted elsewhere than they are.
pub(in crate::store) struct Asking<'a>(&'a Placement);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// What passes remember of files and of where they ended.
#[derive(Default)]
pub(super) struct Known {
    /// The tier of each file that the last look met, which never changes.
    tiers: HashMap<RefKey, Tier>,
    /// The content with which the next look begins.
    from: u64,
    /// What was asked for when the first of the looks began that go through all contents.
    asked: u64,
    /// Whether one of these left something for which there was no room.
    left: bool,
}

impl Known {
    /// A look begins. What is asked for from the first of several on may concern what that one has seen.
    const fn begin(&mut self, asked: u64) -> u64 {
        if self.from == 0 {
            (self.asked, self.left) = (asked, false);
        }
        self.from
    }

    /// What a look found that ended before `next` is moved, but for what was `left`. What is answered now, if that was the last.
    fn end(&mut self, next: Option<u64>, left: bool) -> Option<u64> {
        self.left |= left;
        self.from = next.unwrap_or(0);
        (next.is_none() && !self.left).then_some(self.asked)
    }
}

/// What is to be moved.
pub(super) struct Misplaced {
    pub targets: HashMap<RefKey, Tier>,
    /// Bytes of these, and of what is left for the next look.
    bytes: u64,
    /// Where the next look goes on, unless this one came to the end.
    next: Option<u64>,
    /// Whether more was found than one pass moves.
    more: bool,
    /// Whether something was found that there is no room for.
    left: bool,
}

/// Of things of so many bytes those that one pass moves, in their order: as many as are no more than `most` together, or else
/// the first that is no larger than `room`. Says as well whether there are more of those.
fn chosen<K: Copy>(found: &[(K, u64)], most: u64, room: u64) -> (Vec<K>, bool) {
    let (mut chosen, mut sum) = (Vec::new(), 0_u64);
    for (key, bytes) in found {
        if sum.saturating_add(*bytes) <= most {
            chosen.push(*key);
            sum += bytes;
        }
    }
    if chosen.is_empty() {
        chosen.extend(found.iter().find(|(_, bytes)| *bytes <= room).map(|(key, _)| *key));
    }
    let fitting = found.iter().filter(|(_, bytes)| *bytes <= room).count();
    let more = fitting > chosen.len();
    (chosen, more)
}

/// The version that a record tells of.
fn object_in(family: Family, value: &[u8]) -> Result<Option<Object>> {
    Ok(match family {
        Family::Dent => match decode(value)? {
            DentRecord::Object { object, .. } => Some(object),
            DentRecord::Link(_) | DentRecord::Dir(_) => None,
        },
        Family::Ver => match decode(value)? {
            VerRecord::Object(object) => Some(object),
            VerRecord::Ghost { .. } => None,
        },
        Family::Ino => Some(decode::<InodeRecord>(value)?.object),
        Family::Dir => decode::<DirRecord>(value)?.marker,
        _ => None,
    })
}

/// The tier that all who hold something are content with; none when one of them is not known.
fn best(tiers: &[TierSettings], wanted: Wanted) -> Option<Tier> {
    if wanted & UNKNOWN != 0 {
        return None;
    }
    let asked = tiers.iter().enumerate().filter(|(n, _)| wanted & 1 << n != 0);
    // Of several with as many copies the last is taken, so the order is turned round.
    asked.rev().max_by_key(|(_, tier)| tier.copies).map(|(n, _)| Tier(n as u8))
}

struct Look<'a> {
    store: &'a Store,
    view: View<'a>,
    /// What the holders of contents want, of those between two numbers, and how many these are.
    contents: HashMap<u64, (Wanted, u64)>,
    goes_on: RefCell<&'a mut dyn FnMut() -> bool>,
}

impl Look<'_> {
    /// Shows `visit` the keys and values of a family; whether it came to the end.
    fn each(
        &self,
        family: Family,
        (from, to): (&[u8], &[u8]),
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<bool> {
        for (n, found) in self.view.scan(family, from, to)?.enumerate() {
            if n % STEP == STEP - 1 && !(self.goes_on.borrow_mut())() {
                return Ok(false);
            }
            let (key, value) = found?;
            visit(&key, &value)?;
        }
        Ok(true)
    }

    /// The number behind the contents that one look deals with; whether these are all.
    fn window(&self, from: u64) -> Result<(u64, bool)> {
        let mut scan = self.view.scan(Family::Content, &id_key(from), &id_key(ContentId::FIRST_INLINE.0))?;
        match scan.nth(CONTENTS_MAX).transpose()? {
            Some((key, _)) => Ok((id_of(&key).unwrap_or(u64::MAX), false)),
            None => Ok((ContentId::FIRST_INLINE.0, true)),
        }
    }

    /// Who holds the contents within a window; whether all names were looked at.
    fn names(&mut self, window: &Range<u64>) -> Result<bool> {
        let mut contents = std::mem::take(&mut self.contents);
        let log = &self.store.log;
        let mut hold = |content: ContentId, class: StorageClass| {
            if window.contains(&content.0) {
                let (wanted, holders) = contents.entry(content.0).or_default();
                *wanted |= 1 << log.tier_of(class).0;
                *holders += 1;
            }
        };
        let damaged = Cell::new(false);
        let all = (&[][..], &[0xff; 1100][..]);
        for family in FAMILIES {
            let whole = self.each(family, all, |_, value| {
                match object_in(family, value) {
                    Ok(Some(object)) => hold(object.content, object.class),
                    Ok(None) => {}
                    Err(_) => damaged.set(true),
                }
                Ok(())
            })?;
            if !whole {
                return Ok(false);
            }
        }
        let mut uploads: HashMap<u64, StorageClass> = HashMap::new();
        let whole = self.each(Family::Part, all, |key, value| {
            let (Some(upload), Ok(part)) = (key.get(..8).and_then(id_of), decode::<PartRecord>(value)) else {
                damaged.set(true);
                return Ok(());
            };
            let class = match uploads.get(&upload) {
                Some(class) => *class,
                None => {
                    let record = match self.view.record::<UploadRecord>(Family::Upload, &id_key(upload)) {
                        Err(error) if error.kind() == Kind::Corrupt => {
                            damaged.set(true);
                            return Ok(());
                        }
                        record => record?,
                    };
                    let class = record.map(|record| record.class).unwrap_or_default();
                    uploads.insert(upload, class);
                    class
                }
            };
            hold(part.content, class);
            Ok(())
        })?;
        if !whole || !damaged.get() {
            // Contents on their way out are nobody's, and what they share is another's as well.
            self.contents = contents;
            return Ok(whole);
        }
        // Whoever holds something by a record that cannot be read is only counted.
        let whole = self.each(Family::Refs, all, |key, value| {
            if let (Some(RefKey::Content(id)), Ok(held)) = (RefKey::parse(key), decode::<u64>(value))
                && let Some((wanted, _)) = contents.get_mut(&id).filter(|(_, holders)| *holders < held)
            {
                *wanted |= UNKNOWN;
            }
            Ok(())
        })?;
        self.contents = contents;
        Ok(whole)
    }

    /// Shows `look` the extents of all contents, and what their holders want. Those of nodes are shown once for each such wish.
    fn extents(&self, look: &mut dyn FnMut(u64, Wanted, &[Extent])) -> Result<bool> {
        let mut nodes: HashMap<u64, Wanted> = HashMap::new();
        let all = (&id_key(0)[..], &id_key(ContentId::FIRST_INLINE.0)[..]);
        self.each(Family::Content, all, |key, value| {
            // A record that is damaged keeps what it holds.
            let (Some(content), Ok(record)) = (id_of(key), decode::<ContentRecord>(value)) else { return Ok(()) };
            let wanted = self.contents.get(&content).map_or(UNKNOWN, |(wanted, _)| *wanted);
            let root = match &record.body {
                Body::Inline(_) => return Ok(()),
                Body::Extents(extents) => {
                    look(content, wanted, extents);
                    return Ok(());
                }
                Body::Tree(root) => *root,
            };
            let mut open = vec![root];
            while let Some(id) = open.pop() {
                let seen = nodes.entry(id).or_insert(0);
                if *seen & wanted == wanted {
                    continue;
                }
                *seen |= wanted;
                match self.view.record(Family::Node, &id_key(id)) {
                    Ok(Some(Node::Leaf(extents))) => look(content, wanted, &extents),
                    Ok(Some(Node::Inner(children))) => open.extend(children.iter().map(|(_, child)| *child)),
                    Ok(None) => {}
                    Err(error) if error.kind() == crate::model::Kind::Corrupt => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }
}

/// The tiers of files, of which those that a look meets are remembered for the next.
struct Files<'a> {
    store: &'a Store,
    before: &'a HashMap<RefKey, Tier>,
    met: HashMap<RefKey, Tier>,
}

impl Files<'_> {
    /// The tier of the file that something lies in; the first where it does not say.
    fn tier_of(&mut self, key: RefKey) -> Tier {
        let file = if let RefKey::Run(segment, _) = key { RefKey::Run(segment, 0) } else { key };
        let (log, before) = (&self.store.log, self.before);
        let asked = || match file {
            RefKey::Run(segment, _) => log.tier_of_segment(SegmentId(segment)),
            RefKey::Solo(id) => log.find_solo(SoloId(id)).map(|found| log.tier_of(found.storage)).unwrap_or_default(),
            RefKey::Content(_) | RefKey::Node(_) => Tier::default(),
        };
        *self.met.entry(file).or_insert_with(|| before.get(&file).copied().unwrap_or_else(asked))
    }
}

impl Store {
    /// What lies in another tier than it should; `None` when the look was ended.
    pub(super) fn misplaced(
        &self,
        compactor: &mut Compactor,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Misplaced>> {
        let Compactor { known, unread, .. } = compactor;
        let from = known.begin(self.placement.asked.load(Ordering::Relaxed));
        let goes_on = RefCell::new(goes_on);
        let mut look = Look { store: self, view: self.index.frozen(), contents: HashMap::new(), goes_on };
        let (to, last) = look.window(from)?;
        if !look.names(&(from..to))? {
            return Ok(None);
        }
        let tiers = self.log.tiers();
        // What some holder wants elsewhere, and then what the others say to that.
        let mut spots: BTreeMap<RefKey, (Wanted, Range<u64>)> = BTreeMap::new();
        let mut files = Files { store: self, before: &known.tiers, met: HashMap::new() };
        // The content from which on there was no more room for them.
        let mut full = None;
        let whole = look.extents(&mut |content, wanted, extents| {
            let Some(best) = best(tiers, wanted).filter(|_| full.is_none()) else { return };
            for (key, part) in extents.iter().filter_map(shown) {
                if files.tier_of(key) != best {
                    spots.entry(key).or_insert((0, part));
                }
            }
            full = (spots.len() >= SPOTS_MAX).then_some(content);
        })?;
        let whole = whole
            && (spots.is_empty()
                || look.extents(&mut |_, wanted, extents| {
                    for (key, part) in extents.iter().filter_map(shown) {
                        if let Some((all, shown)) = spots.get_mut(&key) {
                            *all |= wanted;
                            *shown = shown.start.min(part.start)..shown.end.max(part.end);
                        }
                    }
                })?);
        if !whole {
            return Ok(None);
        }
        let now = self.now();
        let was_read =
            |key: &RefKey| unread.get(key).is_none_or(|when| now.secs.saturating_sub(when.secs) >= STUCK_SECONDS);
        let (mut wanted, mut found, mut bytes) = (HashMap::new(), Vec::new(), 0_u64);
        for (key, (all, part)) in spots {
            let Some(best) = best(tiers, all).filter(|best| *best != files.tier_of(key)) else { continue };
            let len = part.end - part.start;
            bytes = bytes.saturating_add(len);
            if was_read(&key) {
                wanted.insert(key, best);
                found.push((key, len));
            }
        }
        let available = self.space()?.available;
        let (chosen, more) = chosen(&found, MOVED_MAX.min(available / 4), available.saturating_sub(SPARE_BYTES));
        let left = found.len() > chosen.len() && !more;
        let targets: HashMap<RefKey, Tier> =
            chosen.into_iter().filter_map(|key| Some((key, *wanted.get(&key)?))).collect();
        known.tiers = files.met;
        let more = more || (full.is_some() && !targets.is_empty());
        let next = full.map(|content| content.max(from + 1)).or_else(|| (!last).then_some(to));
        self.placement.waiting.store(bytes, Ordering::Relaxed);
        Ok(Some(Misplaced { targets, bytes, next, more, left }))
    }

    /// Notes that a pass moved so many bytes of what a look found, and whether it came to its end. Whether another look is to
    /// follow for what has not been looked at.
    pub(super) fn placed(&self, known: &mut Known, found: &Misplaced, moved: u64, ended: bool) -> bool {
        let waiting = found.bytes.saturating_sub(moved);
        self.placement.waiting.store(waiting, Ordering::Relaxed);
        if !ended || found.more {
            return false;
        }
        if let Some(answered) = known.end(found.next, found.left) {
            self.placement.answered.store(answered, Ordering::Relaxed);
        }
        found.next.is_some()
    }

    /// Bytes that lie in another tier than they should.
    ///
    /// # Errors
    /// When index or disk cannot be read.
    pub fn misplaced_bytes(&self) -> Result<u64> {
        if !self.placement.several {
            return Ok(0);
        }
        let _held = self.brakes.hold();
        let mut compactor = self.compactor.lock();
        let (begun, mut sum) = (std::mem::take(&mut compactor.known), 0_u64);
        // What all looks find together is known of none of them alone.
        while let Some(found) = self.misplaced(&mut compactor, &mut || !self.rounds.stopping())? {
            sum = sum.saturating_add(found.bytes);
            compactor.known.from = found.next.unwrap_or(0);
            if found.next.is_none() {
                break;
            }
        }
        compactor.known = Known { tiers: std::mem::take(&mut compactor.known.tiers), ..begun };
        self.placement.waiting.store(sum, Ordering::Relaxed);
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, UNKNOWN, best, chosen};
    use crate::chunklog::{Tier, TierSettings};

    #[test]
    fn what_is_asked_while_looks_follow_each_other_is_not_answered_by_the_last() {
        let mut known = Known::default();
        assert_eq!(known.begin(7), 0);
        assert_eq!(known.end(Some(100), false), None);
        assert_eq!(known.begin(8), 100);
        assert_eq!(known.end(None, false), Some(7));
        // What there was no room for is looked for again.
        assert_eq!((known.begin(8), known.end(Some(100), true)), (0, None));
        assert_eq!((known.begin(8), known.end(None, false)), (100, None));
        assert_eq!((known.begin(9), known.end(None, false)), (0, Some(9)));
    }

    #[test]
    fn what_has_no_room_keeps_nothing_else_from_moving() {
        let found = [(1, 50), (2, 3), (3, 4), (4, 20), (5, 2)];
        assert_eq!(chosen(&found, 10, 40), (vec![2, 3, 5], true));
        assert_eq!(chosen(&found[..4], 10, 15), (vec![2, 3], false), "the others wait for room");
        assert_eq!(chosen(&[(1, 50), (4, 20)], 10, 40), (vec![4], false), "more than a pass moves, alone");
        assert_eq!(chosen(&[(1, 50)], 10, 40), (vec![], false));
    }

    #[test]
    fn sc_1_what_classes_share_is_as_safe_as_the_safest_wants_it() {
        let tier = |copies| TierSettings { copies, ..TierSettings::default() };
        let tiers = [tier(2), tier(1), tier(2), tier(3)];
        for (wanted, want) in [
            (0b0001, Some(Tier(0))),
            (0b0010, Some(Tier(1))),
            (0b0011, Some(Tier(0))),
            (0b0110, Some(Tier(2))),
            (0b0101, Some(Tier(0))),
            (0b1111, Some(Tier(3))),
            (0b0001 | UNKNOWN, None),
            (0, None),
        ] {
            assert_eq!(best(&tiers, wanted), want, "{wanted:b}");
        }
    }
}
