//! A disk in memory that crashes, fails and rots on command. For tests and the simulator only.

use super::{Access, DirEntry, Disk, DiskFile, Space};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SECTOR: usize = 512;
const ENOSPC: i32 = 28;
const ENODEV: i32 = 19;

/// Kinds of call that can be told to fail.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "each bears the name of its call")]
pub enum DiskCall {
    Create,
    Open,
    Remove,
    Rename,
    Mkdir,
    SyncDir,
    Read,
    Write,
    Sync,
    Allocate,
    SetLen,
}

/// A disk in memory. It knows which bytes and names were synced, so that [`MemDisk::crash`] can show what a power
/// cut could leave. A sync that is made to fail forgets its bytes as Linux does: the next one succeeds and the
/// bytes are gone.
#[derive(Clone, Default)]
pub struct MemDisk(Arc<Mutex<State>>);

/// How long a write waits before it looks again whether the disk goes on.
const HANG_PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

#[derive(Default)]
struct State {
    hangs: bool,
    away: bool,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    inodes: Vec<Inode>,
    faults: Vec<Fault>,
    calls: HashMap<DiskCall, u64>,
    room: Option<u64>,
    cuts: Option<Cuts>,
}

/// Power cuts that are looked at while the disk goes on.
struct Cuts {
    dice: Dice,
    one_in: u64,
    left: Vec<MemDisk>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Clone, Default)]
struct Inode {
    now: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<Change>,
    /// Whether a sync failed: `now` shows more than the disk has or will have.
    deceives: bool,
}

#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

struct Fault {
    call: DiskCall,
    skip: u64,
    times: u64,
    what: Mishap,
    /// Only calls on files below.
    within: PathBuf,
}

#[derive(Clone, Copy)]
enum Mishap {
    /// It fails with this errno.
    Fail(i32),
    /// It reads or writes so many bytes away from where it should, in the same file, and says nothing.
    Astray(i64),
}

impl MemDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `skip` calls of the kind pass, then fails `times` of them with `errno`.
    pub fn fail(&self, call: DiskCall, skip: u64, times: u64, errno: i32) {
        self.0.lock().faults.push(Fault { call, skip, times, what: Mishap::Fail(errno), within: PathBuf::new() });
    }

    /// Lets `skip` reads or writes of files below `within` pass, then does one `by` bytes away from where it should be.
    pub fn misdirect(&self, call: DiskCall, within: &Path, skip: u64, by: i64) {
        self.0.lock().faults.push(Fault { call, skip, times: 1, what: Mishap::Astray(by), within: within.into() });
    }

    /// From now on, before one in `one_in` calls that change something, a power cut is imagined; what it could leave is
    /// kept for [`MemDisk::take_cuts`].
    pub fn imagine_cuts(&self, seed: u64, one_in: u64) {
        self.0.lock().cuts = Some(Cuts { dice: Dice(seed), one_in, left: Vec::new() });
    }

    /// In which part of the calls power cuts are imagined, if they are.
    #[must_use]
    pub fn imagines_cuts(&self) -> Option<u64> {
        self.0.lock().cuts.as_ref().map(|cuts| cuts.one_in)
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.lock().used()
    }

    /// What power cuts since the last call could have left.
    #[must_use]
    pub fn take_cuts(&self) -> Vec<Self> {
        self.0.lock().cuts.as_mut().map(|cuts| std::mem::take(&mut cuts.left)).unwrap_or_default()
    }

    /// A number for all names and bytes: equal disks have equal ones.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let state = self.0.lock();
        let mut sum = DefaultHasher::new();
        for (path, node) in &state.names {
            path.hash(&mut sum);
            if let Node::File(inode) = node {
                state.inodes[*inode].now.hash(&mut sum);
            }
        }
        sum.finish()
    }

    /// Whether some order to fail has not been carried out yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.0.lock().faults.iter().any(|fault| fault.times > 0)
    }

    /// Takes back every order to fail.
    pub fn heal(&self) {
        self.0.lock().faults.clear();
    }

    /// While it is away, every call fails as with a disk that was pulled out.
    pub fn take_away(&self, away: bool) {
        self.0.lock().away = away;
    }

    /// Whether it is away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.0.lock().away
    }

    /// While it hangs, writes wait.
    pub fn hang(&self, hangs: bool) {
        self.0.lock().hangs = hangs;
    }

    /// Limits the bytes of all files together.
    pub fn set_room(&self, room: Option<u64>) {
        self.0.lock().room = room;
    }

    /// How many calls of a kind were made.
    #[must_use]
    pub fn calls(&self, call: DiskCall) -> u64 {
        self.0.lock().calls.get(&call).copied().unwrap_or(0)
    }

    /// The disk as a power cut at this moment could leave it: each unsynced write, size and name is there, torn or
    /// gone, chosen by `seed`. This disk is left as it is.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        self.0.lock().after_cut(&mut Dice(seed))
    }

    /// All bytes of a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn contents(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.0.lock();
        let file = state.file(path)?;
        Ok(state.inodes[file].now.to_vec())
    }

    /// Changes the bytes of a file behind everyone's back, as rot or a misplaced write does.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.file(path)?;
        let inode = &mut state.inodes[file];
        change(Arc::make_mut(&mut inode.now));
        inode.durable.clone_from(&inode.now);
        inode.pending.clear();
        Ok(())
    }

    fn handle(&self, inode: usize, direct: bool) -> Arc<dyn DiskFile> {
        Arc::new(MemFile { disk: self.clone(), inode, direct })
    }
}

impl State {
    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn is_there(&self) -> io::Result<()> {
        if self.away { Err(io::Error::from_raw_os_error(ENODEV)) } else { Ok(()) }
    }

    fn call(&mut self, call: DiskCall) -> io::Result<()> {
        self.call_at(call, None, 0).map(|_| ())
    }

    /// Where a call to read or write at `at` goes.
    fn call_at(&mut self, call: DiskCall, inode: Option<usize>, at: u64) -> io::Result<u64> {
        self.is_there()?;
        if !matches!(call, DiskCall::Open | DiskCall::Read)
            && let Some(mut cuts) = self.cuts.take()
        {
            if cuts.dice.roll(cuts.one_in) == 0 {
                cuts.left.push(self.after_cut(&mut cuts.dice));
            }
            self.cuts = Some(cuts);
        }
        *self.calls.entry(call).or_default() += 1;
        let names = &self.names;
        let lies_in = |dir: &Path| {
            dir.as_os_str().is_empty()
                || names
                    .iter()
                    .any(|(path, node)| path.starts_with(dir) && inode.is_some_and(|inode| *node == Node::File(inode)))
        };
        for fault in self.faults.iter_mut().filter(|fault| fault.call == call && lies_in(&fault.within)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                return match fault.what {
                    Mishap::Fail(errno) => Err(io::Error::from_raw_os_error(errno)),
                    Mishap::Astray(by) => Ok(at.saturating_add_signed(by)),
                };
            }
        }
        Ok(at)
    }

    /// See [`MemDisk::crash`].
    fn after_cut(&self, dice: &mut Dice) -> MemDisk {
        let mut after = Self { room: self.room, ..Self::default() };
        for inode in &self.inodes {
            let mut image = Arc::clone(&inode.durable);
            for change in &inode.pending {
                change.survive(&mut image, dice);
            }
            after.inodes.push(Inode { now: Arc::clone(&image), durable: image, pending: Vec::new(), deceives: false });
        }
        let mut names = self.durable_names.clone();
        for path in self.names.keys().chain(self.durable_names.keys()) {
            let (now, durable) = (self.names.get(path), self.durable_names.get(path));
            if now != durable && dice.roll(2) == 0 {
                match now {
                    Some(node) => names.insert(path.clone(), *node),
                    None => names.remove(path),
                };
            }
        }
        let dirs = names.clone();
        names.retain(|path, _| path.ancestors().skip(1).all(|up| up.as_os_str().is_empty() || dirs.contains_key(up)));
        after.durable_names.clone_from(&names);
        after.names = names;
        MemDisk(Arc::new(Mutex::new(after)))
    }

    fn parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(up) if !up.as_os_str().is_empty() && self.names.get(up) != Some(&Node::Dir) => {
                Err(ErrorKind::NotFound.into())
            }
            _ => Ok(()),
        }
    }

    /// Moves a directory with all that is below it to a name that is free; durable at once.
    fn move_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        if self.names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        for names in [&mut self.names, &mut self.durable_names] {
            let moved: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                if let (Ok(below), Some(node)) = (path.strip_prefix(from), names.remove(&path)) {
                    names.insert(to.join(below).components().collect(), node);
                }
            }
        }
        Ok(())
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(inode) => Some(self.inodes[*inode].now.len() as u64),
            Node::Dir => None,
        });
        files.sum()
    }

    /// Grows a file, within the disk's room.
    fn grow(&mut self, inode: usize, len: usize) -> io::Result<()> {
        let more = len.saturating_sub(self.inodes[inode].now.len());
        if more == 0 {
            return Ok(());
        }
        if self.room.is_some_and(|room| self.used() + more as u64 > room) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.change(inode, Change::Len(len));
        Ok(())
    }

    fn change(&mut self, inode: usize, change: Change) {
        let inode = &mut self.inodes[inode];
        change.apply(Arc::make_mut(&mut inode.now));
        inode.pending.push(change);
    }
}

impl Inode {
    /// What reads past the cache show: they wait for what is to be written.
    fn on_disk(&self) -> Arc<Vec<u8>> {
        let mut image = Arc::clone(&self.durable);
        self.pending.iter().for_each(|change| change.apply(Arc::make_mut(&mut image)));
        image
    }
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Len(len) => image.resize(*len, 0),
            Self::Write(at, bytes) => put(image, *at, bytes),
        }
    }

    /// Applies all of the change, some sectors of it, or none.
    fn survive(&self, image: &mut Arc<Vec<u8>>, dice: &mut Dice) {
        match (dice.roll(4), self) {
            (0, _) => {}
            (1, Self::Write(at, bytes)) => {
                let image = Arc::make_mut(image);
                let mut from = 0;
                while from < bytes.len() {
                    let to = (from + SECTOR - (at + from) % SECTOR).min(bytes.len());
                    if dice.roll(2) == 0 {
                        put(image, at + from, &bytes[from..to]);
                    }
                    from = to;
                }
            }
            _ => self.apply(Arc::make_mut(image)),
        }
    }
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if image.len() < at + bytes.len() {
        image.resize(at + bytes.len(), 0);
    }
    image[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Numbers that follow from a seed, by `SplitMix64`: for disks and histories that are made up.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// One of `sides` numbers, 0 the first of them.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % sides
    }
}

impl Disk for MemDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.call(DiskCall::Create)?;
        state.parent(path)?;
        if state.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(path.into(), Node::File(inode));
        Ok(self.handle(inode, false))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.call(DiskCall::Open)?;
        let inode = state.file(path)?;
        Ok(self.handle(inode, access == Access::Direct))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call(DiskCall::Remove)?;
        state.file(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call(DiskCall::Rename)?;
        state.parent(to)?;
        if state.names.get(from) == Some(&Node::Dir) {
            return state.move_dir(from, to);
        }
        let inode = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.into(), Node::File(inode));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.0.lock();
        state.is_there()?;
        if !dir.as_os_str().is_empty() && !state.names.contains_key(dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Node)| {
            let name = path.file_name()?.to_str()?.to_owned();
            let (is_dir, len) = match node {
                Node::Dir => (true, 0),
                Node::File(inode) => (false, state.inodes[*inode].now.len() as u64),
            };
            Some(DirEntry { name, is_dir, is_file: !is_dir, len, stored: len })
        };
        Ok(inside.filter_map(entry).collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call(DiskCall::Mkdir)?;
        for up in dir.ancestors().filter(|up| !up.as_os_str().is_empty()) {
            state.names.entry(up.into()).or_insert(Node::Dir);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.call(DiskCall::SyncDir)?;
        state.durable_names.retain(|path, _| path.parent() != Some(dir));
        let inside: Vec<_> =
            state.names.iter().filter(|(path, _)| path.parent() == Some(dir)).map(|(p, n)| (p.clone(), *n)).collect();
        state.durable_names.extend(inside);
        Ok(())
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.0.lock();
        state.is_there()?;
        Ok(state.file(path).ok().map(|inode| state.inodes[inode].now.len() as u64))
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.0.lock();
        state.is_there()?;
        let total = state.room.unwrap_or(1 << 50);
        Ok(Space { total, free: total.saturating_sub(state.used()), inodes: 0, inodes_free: 0 })
    }
}

struct MemFile {
    disk: MemDisk,
    inode: usize,
    /// Whether it shows what the disk has.
    direct: bool,
}

impl DiskFile for MemFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        let at = state.call_at(DiskCall::Read, Some(self.inode), at)?;
        let inode = &state.inodes[self.inode];
        let bytes = if self.direct && inode.deceives { &inode.on_disk() } else { &inode.now };
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let count = buf.len().min(bytes.len() - from);
        buf[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    /// A write that is told to fail leaves its first half behind.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        while state.hangs {
            parking_lot::MutexGuard::unlocked(&mut state, || std::thread::sleep(HANG_PAUSE));
        }
        state.is_there()?;
        let went = state.call_at(DiskCall::Write, Some(self.inode), at);
        let at = usize::try_from(*went.as_ref().unwrap_or(&at)).map_err(|_| ErrorKind::InvalidInput)?;
        if let Err(error) = went {
            let half = bytes[..bytes.len() / 2].to_vec();
            state.change(self.inode, Change::Write(at, half));
            return Err(error);
        }
        state.grow(self.inode, at + bytes.len())?;
        state.change(self.inode, Change::Write(at, bytes.to_vec()));
        Ok(())
    }

    fn write_vectored_at(&self, at: u64, parts: &mut [io::IoSlice<'_>]) -> io::Result<()> {
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.write_at(at, &whole)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.is_there()?;
        let outcome = state.call(DiskCall::Sync);
        let inode = &mut state.inodes[self.inode];
        let pending = std::mem::take(&mut inode.pending);
        inode.deceives |= outcome.is_err();
        outcome?;
        pending.iter().for_each(|change| change.apply(Arc::make_mut(&mut inode.durable)));
        Ok(())
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.call(DiskCall::Allocate)?;
        let end = usize::try_from(at + len).map_err(|_| ErrorKind::InvalidInput)?;
        state.grow(self.inode, end)
    }

    fn size(&self) -> io::Result<u64> {
        let state = self.disk.0.lock();
        state.is_there()?;
        Ok(state.inodes[self.inode].now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.call(DiskCall::SetLen)?;
        let len = usize::try_from(len).map_err(|_| ErrorKind::InvalidInput)?;
        state.grow(self.inode, len)?;
        state.change(self.inode, Change::Len(len));
        Ok(())
    }

    fn punch_hole(&self, at: u64, len: u64) -> io::Result<()> {
        let size = self.size()?;
        let end = (at + len).min(size);
        let zeros = vec![0; usize::try_from(end.saturating_sub(at)).unwrap_or(0)];
        self.write_at(at, &zeros)
    }

    fn has_name(&self) -> io::Result<bool> {
        let state = self.disk.0.lock();
        state.is_there()?;
        Ok(state.names.values().any(|node| *node == Node::File(self.inode)))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, DiskCall, MemDisk};
    use std::path::Path;

    #[test]
    fn a_crash_keeps_what_was_synced_and_may_lose_the_rest() {
        let disk = MemDisk::new();
        let file = disk.create_new(Path::new("f")).unwrap();
        file.write_at(0, &[1; 2000]).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.write_at(2000, &[2; 2000]).unwrap();
        disk.create_new(Path::new("g")).unwrap();

        let (mut shorter, mut nameless) = (0, 0);
        for seed in 0..64 {
            let after = disk.crash(seed);
            let bytes = after.contents(Path::new("f")).unwrap();
            assert_eq!(bytes[..2000], [1; 2000]);
            shorter += u32::from(bytes != [[1; 2000], [2; 2000]].concat());
            nameless += u32::from(after.contents(Path::new("g")).is_err());
        }
        assert!((8..60).contains(&shorter) && (8..60).contains(&nameless), "{shorter} {nameless}");
    }

    #[test]
    fn a_failed_sync_forgets_its_bytes() {
        let disk = MemDisk::new();
        let file = disk.create_new(Path::new("f")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.write_at(0, b"gone").unwrap();
        disk.fail(DiskCall::Sync, 0, 1, 5);
        assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
        file.sync_data().unwrap();
        assert_eq!(disk.crash(1).contents(Path::new("f")).unwrap(), b"");
    }
}
