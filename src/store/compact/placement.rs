//! Which bytes lie in another tier than those who hold them want: found by a walk over all names, contents and nodes.
//!
//! What several versions hold lies where the one wants it that asks for most copies, the first of these in the order of tiers: no
//! holder has it less safe than its class says. What somebody holds who is no version known stays where it is.

use super::super::Store;
use super::super::locks::FAMILIES;
use super::holders::shown;
use crate::chunklog::{SegmentId, SoloId, Tier, TierSettings};
use crate::index::{
    Body, ContentRecord, DentRecord, DirRecord, Extent, Family, InodeRecord, Node, PartRecord, Read, RefKey,
    UploadRecord, VerRecord, View, decode, id_key, id_of,
};
use crate::model::{ContentId, Object, Result, StorageClass};
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

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
}

impl Placement {
    /// The first look is one for what happened before the store was opened.
    pub(in crate::store) const fn new(tiers: &[TierSettings]) -> Self {
        let several = tiers.len() > 1;
        let (asked, answered) = (AtomicU64::new(1), AtomicU64::new(if several { 0 } else { 1 }));
        Self { several, asked, answered, waiting: AtomicU64::new(0) }
    }

    /// Bytes may be wanted elsewhere than they are.
    pub(in crate::store) fn ask(&self) {
        if self.several {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether anybody has asked since the last look.
    pub(super) fn is_due(&self) -> bool {
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
                let object = |value: Option<bytes::Bytes>| value.and_then(|value| object_in(family, &value));
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
}

/// What passes remember of files and of where they ended.
#[derive(Default)]
pub(super) struct Known {
    /// The tier of each file that the last look met, which never changes.
    tiers: HashMap<RefKey, Tier>,
    /// The content with which the next look begins.
    from: u64,
}

/// What is to be moved.
pub(super) struct Misplaced {
    pub targets: HashMap<RefKey, Tier>,
    /// Bytes of these, and of what is left for the next look.
    bytes: u64,
    /// What was asked for when the look began.
    asked: u64,
    /// Where the next look goes on, unless this one came to the end.
    next: Option<u64>,
    /// Whether more was found than one pass moves.
    more: bool,
}

/// The version that a record tells of.
fn object_in(family: Family, value: &[u8]) -> Option<Object> {
    match family {
        Family::Dent => match decode(value).ok()? {
            DentRecord::Object { object, .. } => Some(object),
            DentRecord::Link(_) | DentRecord::Dir(_) => None,
        },
        Family::Ver => match decode(value).ok()? {
            VerRecord::Object(object) => Some(object),
            VerRecord::Ghost { .. } => None,
        },
        Family::Ino => Some(decode::<InodeRecord>(value).ok()?.object),
        Family::Dir => decode::<DirRecord>(value).ok()?.marker,
        _ => None,
    }
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
    /// What the holders of contents want, of those between two numbers.
    contents: HashMap<u64, Wanted>,
    goes_on: &'a dyn Fn() -> bool,
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
            if n % STEP == STEP - 1 && !(self.goes_on)() {
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
                *contents.entry(content.0).or_insert(0) |= 1 << log.tier_of(class).0;
            }
        };
        let all = (&[][..], &[0xff; 1100][..]);
        for family in FAMILIES {
            let whole = self.each(family, all, |_, value| {
                if let Some(object) = object_in(family, value) {
                    hold(object.content, object.class);
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
                return Ok(());
            };
            let class = match uploads.get(&upload) {
                Some(class) => *class,
                None => {
                    let record: Option<UploadRecord> = self.view.record(Family::Upload, &id_key(upload))?;
                    let class = record.map(|record| record.class).unwrap_or_default();
                    uploads.insert(upload, class);
                    class
                }
            };
            hold(part.content, class);
            Ok(())
        })?;
        // Contents on their way out are nobody's, and what they share is another's as well.
        self.contents = contents;
        Ok(whole)
    }

    /// Shows `look` the extents of all contents, and what their holders want. Those of nodes are shown once for each such wish.
    fn extents(&self, look: &mut dyn FnMut(Wanted, &[Extent])) -> Result<bool> {
        let mut nodes: HashMap<u64, Wanted> = HashMap::new();
        let all = (&id_key(0)[..], &id_key(ContentId::FIRST_INLINE.0)[..]);
        self.each(Family::Content, all, |key, value| {
            // A record that is damaged keeps what it holds.
            let (Some(id), Ok(record)) = (id_of(key), decode::<ContentRecord>(value)) else { return Ok(()) };
            let wanted = self.contents.get(&id).copied().unwrap_or(UNKNOWN);
            let root = match &record.body {
                Body::Inline(_) => return Ok(()),
                Body::Extents(extents) => {
                    look(wanted, extents);
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
                    Ok(Some(Node::Leaf(extents))) => look(wanted, &extents),
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
    pub(super) fn misplaced(&self, known: &mut Known, goes_on: &dyn Fn() -> bool) -> Result<Option<Misplaced>> {
        let asked = self.placement.asked.load(Ordering::Relaxed);
        let from = known.from;
        let mut look = Look { store: self, view: self.index.frozen(), contents: HashMap::new(), goes_on };
        let (to, last) = look.window(from)?;
        if !look.names(&(from..to))? {
            return Ok(None);
        }
        let tiers = self.log.tiers();
        // What some holder wants elsewhere, and then what the others say to that.
        let mut spots: BTreeMap<RefKey, (Wanted, Range<u64>)> = BTreeMap::new();
        let mut files = Files { store: self, before: &known.tiers, met: HashMap::new() };
        let whole = look.extents(&mut |wanted, extents| {
            let Some(best) = best(tiers, wanted) else { return };
            for (key, part) in extents.iter().filter_map(shown) {
                if files.tier_of(key) != best && spots.len() < SPOTS_MAX {
                    spots.entry(key).or_insert((0, part));
                }
            }
        })?;
        let full = spots.len() >= SPOTS_MAX;
        let whole = whole
            && (spots.is_empty()
                || look.extents(&mut |wanted, extents| {
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
        let (mut targets, mut bytes, mut more) = (HashMap::new(), 0, full);
        let most = MOVED_MAX.min(self.space()?.free / 4);
        for (key, (wanted, part)) in spots {
            let Some(best) = best(tiers, wanted).filter(|best| *best != files.tier_of(key)) else {
                continue;
            };
            if bytes < most {
                targets.insert(key, best);
            } else {
                more = true;
            }
            bytes += part.end - part.start;
        }
        known.tiers = files.met;
        let next = (!last).then_some(to);
        Ok(Some(Misplaced { targets, bytes, asked, next, more }))
    }

    /// Notes what a look found.
    pub(super) fn found_misplaced(&self, found: &Misplaced) {
        self.placement.waiting.store(found.bytes, Ordering::Relaxed);
    }

    /// Notes that a pass moved so many bytes, and whether it came to its end.
    pub(super) fn placed(&self, known: &mut Known, found: &Misplaced, moved: u64, ended: bool) {
        let left = self.placement.waiting().saturating_sub(moved);
        self.placement.waiting.store(left, Ordering::Relaxed);
        if !ended || found.more {
            return;
        }
        known.from = found.next.unwrap_or(0);
        if found.next.is_none() {
            self.placement.answered.store(found.asked, Ordering::Relaxed);
        }
    }

    /// Bytes that lie in another tier than they should.
    ///
    /// # Errors
    /// When index or disk cannot be read.
    pub fn misplaced_bytes(&self) -> Result<u64> {
        let _held = self.brakes.hold();
        self.placement.ask();
        let mut compactor = self.compactor.lock();
        if self.placement.is_due()
            && let Some(found) = self.misplaced(&mut compactor.known, &|| !self.rounds.stopping())?
        {
            self.found_misplaced(&found);
        }
        Ok(self.placement.waiting())
    }
}

#[cfg(test)]
mod tests {
    use super::{UNKNOWN, best};
    use crate::chunklog::{Tier, TierSettings};

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
