//! What a commit changed, told to the doors that keep what they showed of it: read off the commit itself, so that no
//! change can be forgotten.

use super::Store;
use crate::index::{
    DentRecord, DirRecord, Family, InodeRecord, Read, Tx, component_of, decode, dir_of, id_of, ver_parts,
};
use crate::model::{ContentId, DirId, Ino, Result};
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use crate::sys::sync::{RwLock, thread_local};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Something that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Changed {
    /// A name came, went or leads elsewhere.
    Name {
        /// The directory.
        dir: DirId,
        /// The name in it, as a component; empty for the object of the directory's own key.
        component: String,
    },
    /// A name lost an older version or delete marker: its past is another.
    History {
        /// The directory.
        dir: DirId,
        /// The name in it, as a component.
        component: String,
    },
    /// A file or directory is another.
    Inode {
        /// Its number.
        ino: Ino,
        /// Whether its bytes may be others too.
        data: bool,
    },
    /// A bucket came or went.
    Bucket(String),
}

/// A door that keeps what it showed.
pub trait Listener: Send + Sync {
    /// A commit that can be seen changed this. Called on the thread that made it, which may hold locks of its own door: to
    /// wait here for a lock that is held while the store is called would be a deadlock.
    fn changed(&self, changed: &[Changed]);

    /// Waits, at most until `end`, until all that was told before is done with; whether it is.
    fn wait_told(&self, end: Instant) -> bool;
}

/// Who makes a change: a listener that hears of all changes but its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin(u64);

thread_local! {
    /// Whose changes this thread makes; 0 is nobody's who listens.
    static ACTING: Cell<u64> = const { Cell::new(0) };
}

impl Origin {
    /// What this thread changes from here on is this door's own, until the answer is dropped.
    #[must_use]
    pub fn acts(self) -> Acting {
        Acting { before: ACTING.with(|acting| acting.replace(self.0)), of_this_thread: PhantomData }
    }
}

/// A door at work on this thread.
pub struct Acting {
    before: u64,
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for Acting {
    fn drop(&mut self) {
        ACTING.with(|acting| acting.set(self.before));
    }
}

type Known = (u64, Arc<dyn Listener>);

/// Everybody who listens.
#[derive(Default)]
pub(super) struct Listeners {
    all: RwLock<Arc<[Known]>>,
    last: AtomicU64,
}

impl Listeners {
    /// Those who are to hear of what this thread changes.
    fn others(&self) -> Option<Others> {
        let all = self.all.read();
        let me = ACTING.with(Cell::get);
        all.iter().any(|(origin, _)| *origin != me).then(|| Others { all: Arc::clone(&all), me })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Known>)) {
        let mut all = self.all.write();
        let mut new = all.to_vec();
        change(&mut new);
        // A listener that goes with the old list may call the store.
        let old = std::mem::replace(&mut *all, new.into());
        drop(all);
        drop(old);
    }
}

struct Others {
    all: Arc<[Known]>,
    me: u64,
}

impl Others {
    fn each(&self) -> impl Iterator<Item = &Arc<dyn Listener>> {
        self.all.iter().filter(|(origin, _)| *origin != self.me).map(|(_, listener)| listener)
    }
}

/// What a transaction is about to change, for those who are to hear of it.
pub(super) struct Told {
    to: Others,
    changed: Vec<Changed>,
}

impl Told {
    /// `None` when nobody is to hear of anything. Called at the transaction's end.
    pub(super) fn of(listeners: &Listeners, tx: &Tx<'_>) -> Option<Self> {
        let to = listeners.others()?;
        let changed = changes(tx);
        (!changed.is_empty()).then_some(Self { to, changed })
    }

    /// The commit can be seen.
    pub(super) fn tell(self) {
        self.to.each().for_each(|listener| listener.changed(&self.changed));
    }
}

impl Store {
    /// Has a door hear of every change that is not its own. What was committed before the call it may read.
    #[must_use]
    pub fn listen(&self, listener: Arc<dyn Listener>) -> Origin {
        let origin = self.listeners.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.listeners.change(|all| all.push((origin, listener)));
        // A transaction that did not see the listener is over when this one runs.
        let _ = self.index.transact(|_| Ok(()));
        Origin(origin)
    }

    /// The door of that origin hears of nothing any more.
    pub fn unlisten(&self, origin: Origin) {
        self.listeners.change(|all| all.retain(|(known, _)| *known != origin.0));
    }

    /// Waits until every other door shows what this thread has changed, at most so long; whether all do. For doors that
    /// answer a request outside of the kernel; one that answers the kernel would wait for itself.
    #[must_use]
    pub fn wait_told(&self, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        self.listeners.others().is_none_or(|others| others.each().all(|listener| listener.wait_told(end)))
    }
}

/// What a name leads to, and the bytes of that where the name's record tells.
fn leads(record: Option<DentRecord>) -> Option<(Ino, Option<ContentId>)> {
    Some(match record? {
        DentRecord::Object { object, .. } => (object.ino, Some(object.content)),
        DentRecord::Link(ino) => (ino, None),
        DentRecord::Dir(id) => (id.into(), None),
    })
}

/// What was there before, and what is there now; of damaged records nothing.
fn both<R: crate::index::Record>(tx: &Tx<'_>, family: Family, key: &[u8]) -> (Option<R>, Option<R>) {
    let read = |bytes: Result<Option<bytes::Bytes>>| decode(&bytes.ok()??).ok();
    (read(tx.before(family, key)), read(tx.get(family, key)))
}

/// Files and directories that are others now, with the bytes they had and have.
#[derive(Default)]
struct Inodes(BTreeMap<u64, (Option<ContentId>, Option<ContentId>)>);

impl Inodes {
    fn was(&mut self, ino: Ino, content: Option<ContentId>) {
        let known = self.0.entry(ino.0).or_default();
        known.0 = known.0.or(content);
    }

    fn is(&mut self, ino: Ino, content: Option<ContentId>) {
        let known = self.0.entry(ino.0).or_default();
        known.1 = known.1.or(content);
    }
}

fn changes(tx: &Tx<'_>) -> Vec<Changed> {
    let mut changed = Vec::new();
    let mut inodes = Inodes::default();
    for key in tx.touched(Family::Dent) {
        let (Some(dir), Some(component)) = (dir_of(&key), component_of(&key)) else { continue };
        let (old, new) = both(tx, Family::Dent, &key);
        let (old, new) = (leads(old), leads(new));
        if old.map(|(ino, _)| ino) != new.map(|(ino, _)| ino) || old.is_none() {
            changed.push(Changed::Name { dir, component: component.to_owned() });
        }
        if let Some((ino, content)) = old {
            inodes.was(ino, content);
        }
        if let Some((ino, content)) = new {
            inodes.is(ino, content);
        }
    }
    for key in tx.touched(Family::Ver) {
        // What only came was current before, or came along with its name.
        if !matches!(tx.get(Family::Ver, &key), Ok(None)) {
            continue;
        }
        if let Some((dir, component, _)) = ver_parts(&key) {
            changed.push(Changed::History { dir, component });
        }
    }
    for key in tx.touched(Family::Ino) {
        let Some(ino) = id_of(&key).map(Ino) else { continue };
        let (old, new) = both::<InodeRecord>(tx, Family::Ino, &key);
        inodes.was(ino, old.map(|record| record.object.content));
        inodes.is(ino, new.map(|record| record.object.content));
    }
    for key in tx.touched(Family::Dir) {
        let Some(dir) = id_of(&key).map(DirId) else { continue };
        inodes.was(dir.into(), None);
        let (old, new) = both::<DirRecord>(tx, Family::Dir, &key);
        let body = |record: Option<DirRecord>| record.and_then(|record| record.marker).map(|marker| marker.content);
        if body(old) != body(new) {
            changed.push(Changed::Name { dir, component: String::new() });
        }
    }
    for key in tx.touched(Family::DirStat) {
        if let Some(ino) = id_of(&key).map(Ino) {
            inodes.was(ino, None);
        }
    }
    for key in tx.touched(Family::Bucket) {
        if let Some(name) = key.strip_prefix(b"n").and_then(|name| str::from_utf8(name).ok()) {
            changed.push(Changed::Bucket(name.to_owned()));
        }
    }
    // Bytes of a file that is only gone are nobody's; those that came need not be those that are remembered.
    let data = |(was, is): (Option<ContentId>, Option<ContentId>)| is.is_some() && was != is;
    changed.extend(inodes.0.into_iter().map(|(ino, contents)| Changed::Inode { ino: Ino(ino), data: data(contents) }));
    changed
}
