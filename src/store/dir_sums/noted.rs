//! Directories in which something is noted that has not climbed, kept in memory: in the index a walk would go over every
//! note that was ever taken away.

use crate::model::DirId;
use std::collections::BTreeMap;

/// Directories that are in memory at most; of others the index knows.
const DIRS_MAX: usize = 1 << 16;

/// When notes of a directory were made that have not climbed: how many climbs had begun before the first and the last.
#[derive(Clone, Copy, Default)]
struct Since {
    first: u64,
    last: u64,
}

/// Who climbs begins within a transaction and says at its end which directories are done, once readers see that. So a directory
/// is here until what was noted in it shows above, and one that is noted again meanwhile stays.
pub(super) struct Noted {
    /// Climbs that have begun.
    climbs: u64,
    dirs: BTreeMap<DirId, Since>,
    /// From this one on, the index may have directories that are not here.
    unread: Option<DirId>,
}

impl Default for Noted {
    /// When a store is opened: what the index has was not looked at.
    fn default() -> Self {
        Self { climbs: 0, dirs: BTreeMap::new(), unread: Some(DirId(0)) }
    }
}

impl Noted {
    /// Something is noted in a directory, by a transaction that may come to nothing.
    pub fn add(&mut self, dir: DirId) {
        if let Some(since) = self.dirs.get_mut(&dir) {
            since.last = self.climbs;
        } else if self.dirs.len() < DIRS_MAX {
            self.dirs.insert(dir, Since { first: self.climbs, last: self.climbs });
        } else {
            self.unread = Some(self.unread.map_or(dir, |unread| unread.min(dir)));
        }
    }

    /// The index has no notes.
    pub fn clear(&mut self) {
        self.dirs.clear();
        self.unread = None;
    }

    /// What is noted by now is noted before this.
    pub const fn by_now(&self) -> u64 {
        self.climbs
    }

    /// Whether something may be noted by then that does not show above yet.
    pub fn waits(&self, until: u64) -> bool {
        self.unread.is_some() || self.dirs.values().any(|since| since.first <= until)
    }

    /// Begins a climb, within its transaction: its number, some directories that were noted by then, and when there are
    /// none from where on the index is to be read.
    pub fn begin(&mut self, until: u64, most: usize) -> (u64, Vec<DirId>, Option<DirId>) {
        self.climbs += 1;
        let dirs = self.dirs.iter().filter(|(_, since)| since.first <= until).take(most);
        let dirs: Vec<DirId> = dirs.map(|(dir, _)| *dir).collect();
        let unread = self.unread.filter(|_| dirs.is_empty());
        (self.climbs, dirs, unread)
    }

    /// The index was read: it has these, and may have more from `unread` on.
    pub fn read(&mut self, found: &[DirId], unread: Option<DirId>) {
        for dir in found {
            self.dirs.entry(*dir).or_default().first = 0;
        }
        self.unread = unread;
    }

    /// What was noted in these before that climb shows above now.
    pub fn end(&mut self, climb: u64, dirs: &[DirId]) {
        for dir in dirs {
            match self.dirs.get_mut(dir) {
                Some(since) if since.last >= climb => since.first = since.first.max(climb),
                _ => drop(self.dirs.remove(dir)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DIRS_MAX, DirId, Noted};

    fn dirs(ids: impl IntoIterator<Item = u64>) -> Vec<DirId> {
        ids.into_iter().map(DirId).collect()
    }

    fn opened() -> Noted {
        let mut noted = Noted::default();
        assert!(noted.waits(noted.by_now()));
        noted.read(&[], None);
        assert!(!noted.waits(noted.by_now()));
        noted
    }

    #[test]
    fn a_directory_waits_until_what_was_noted_shows() {
        let mut noted = opened();
        noted.add(DirId(7));
        let asked = noted.by_now();
        let (climb, taken, unread) = noted.begin(asked, 10);
        assert_eq!((taken.as_slice(), unread), (dirs([7]).as_slice(), None));
        assert!(noted.waits(asked), "nobody sees that commit yet");
        noted.add(DirId(7));
        noted.end(climb, &taken);
        assert!(!noted.waits(asked), "what came later is for those who ask later");
        let later = noted.by_now();
        assert!(noted.waits(later));
        let (climb, taken, _) = noted.begin(later, 10);
        noted.end(climb, &taken);
        assert!(!noted.waits(noted.by_now()));
    }

    #[test]
    fn an_earlier_note_is_not_hidden_by_a_later_one() {
        let mut noted = opened();
        noted.add(DirId(1));
        noted.add(DirId(2));
        let asked = noted.by_now();
        let (climb, taken, _) = noted.begin(asked, 1);
        noted.add(DirId(2));
        noted.end(climb, &taken);
        assert!(noted.waits(asked));
    }

    #[test]
    fn of_two_climbs_at_once_the_later_one_counts() {
        for order in [[0, 1], [1, 0]] {
            let mut noted = opened();
            noted.add(DirId(1));
            let (first, taken, _) = noted.begin(0, 1);
            noted.add(DirId(1));
            let (second, again, _) = noted.begin(noted.by_now(), 1);
            assert_eq!(taken, again);
            order.iter().for_each(|n| noted.end([first, second][*n], &taken));
            assert!(!noted.waits(noted.by_now()), "{order:?}");
        }
    }

    #[test]
    fn what_has_no_room_is_read_from_the_index() {
        let mut noted = opened();
        let all = DIRS_MAX as u64;
        (0..all).for_each(|n| noted.add(DirId(n * 2)));
        noted.add(DirId(9));
        noted.add(DirId(5));
        noted.add(DirId(11));
        let until = noted.by_now();
        let (climb, taken, unread) = noted.begin(until, DIRS_MAX);
        assert_eq!((taken.len(), unread), (DIRS_MAX, None), "what is here comes first");
        noted.end(climb, &taken);
        assert!(noted.waits(until));
        let (climb, taken, unread) = noted.begin(until, DIRS_MAX);
        assert_eq!((taken, unread), (vec![], Some(DirId(5))));
        noted.read(&dirs([5, 9, 11]), None);
        noted.end(climb, &dirs([5, 9, 11]));
        assert!(!noted.waits(until));
    }
}
