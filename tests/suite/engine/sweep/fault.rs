//! A disk that fails one call, or all from one on, and that knows which bytes a failed sync has cost.

use crate::engine::calls::{Call, Kind, Watcher, fail, unseen};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

/// How long a fault lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lasts {
    /// One call.
    Once,
    /// That call and all later ones of its kind for so long.
    For(Duration),
    /// That call and all later ones of its kind, until it is healed.
    Stuck,
}

/// The `nth` call of a kind on files whose path below the store contains `only` fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub only: &'static str,
    pub nth: u64,
    pub errno: i32,
    pub lasts: Lasts,
}

/// Bytes of a file from and up to which.
type Range = (u64, u64);

#[derive(Default)]
struct Unsafe {
    /// Written and covered by no sync yet.
    fresh: Vec<Range>,
    /// Covered by a sync that failed, and not written since: no later sync brings them to the disk.
    lost: Vec<Range>,
}

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    seen: u64,
    hit: Option<Instant>,
    is_final: bool,
    /// By number of the inode.
    files: HashMap<u64, Unsafe>,
}

pub struct Disk {
    /// What fails.
    pub kind: Kind,
    dir: PathBuf,
    state: Mutex<State>,
    /// Held by each call, so that a copy shows one moment.
    gate: RwLock<()>,
}

fn cut(ranges: &mut Vec<Range>, (from, to): Range) {
    let parts = ranges.drain(..).flat_map(|(a, b)| [(a, b.min(from)), (a.max(to), b)]);
    let left: Vec<_> = parts.filter(|(a, b)| a < b).collect();
    *ranges = left;
}

fn inode(fd: i32) -> u64 {
    // SAFETY: the caller of the watched call holds it open.
    nix::sys::stat::fstat(unsafe { BorrowedFd::borrow_raw(fd) }).map_or(0, |stat| stat.st_ino)
}

impl Disk {
    pub fn new(dir: &Path, fault: Fault) -> Self {
        let state = State { fault: Some(fault), ..State::default() };
        Self { kind: fault.kind, dir: dir.to_owned(), state: Mutex::new(state), gate: RwLock::default() }
    }

    fn file<T>(&self, fd: i32, act: impl FnOnce(&mut Unsafe) -> T) -> T {
        act(self.state.lock().unwrap().files.entry(inode(fd)).or_default())
    }

    /// The error this call shall end with.
    fn errno(&self, call: &Call<'_>) -> Option<i32> {
        let mut state = self.state.lock().unwrap();
        let path = call.path.strip_prefix(&self.dir).unwrap_or(call.path).to_string_lossy();
        let fault = state.fault.filter(|fault| fault.kind == call.kind && path.contains(fault.only))?;
        state.seen += 1;
        let fails = match fault.lasts {
            Lasts::Once => state.seen == fault.nth,
            Lasts::Stuck => state.seen >= fault.nth,
            Lasts::For(time) => state.seen >= fault.nth && state.hit.is_none_or(|hit| hit.elapsed() < time),
        };
        if fails && state.hit.is_none() {
            state.hit = Some(Instant::now());
        }
        let is_log = call.path.extension().is_some_and(|end| end == "log");
        state.is_final |= fails && (call.kind == Kind::Sync || call.kind == Kind::Create && is_log);
        fails.then_some(fault.errno)
    }

    pub fn heal(&self) {
        self.state.lock().unwrap().fault = None;
    }

    pub fn was_hit(&self) -> bool {
        self.state.lock().unwrap().hit.is_some()
    }

    /// Whether something failed that nobody gets over, not even where the disk was only full: a sync, or the making of
    /// a log of the index.
    pub fn is_final(&self) -> bool {
        self.state.lock().unwrap().is_final
    }

    /// Whether a failed sync has cost bytes of a file that is still there.
    pub fn lost_any(&self) -> bool {
        self.state.lock().unwrap().files.values().any(|file| !file.lost.is_empty())
    }

    /// The store as it is at this moment, without the bytes that a failed sync has cost.
    pub fn image(&self, to: &Path) -> io::Result<()> {
        let _still = self.gate.write().unwrap();
        unseen(|| copy_tree(&self.dir, to, &|from, copied| self.lose(from, copied)))
    }

    fn lose(&self, from: &File, copied: &File) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let len = copied.metadata()?.len();
        for (at, end) in state.files.get(&from.metadata()?.ino()).into_iter().flat_map(|file| &file.lost) {
            let end = len.min(*end);
            copied.write_all_at(&vec![0; end.saturating_sub(*at) as usize], *at)?;
        }
        Ok(())
    }
}

impl Watcher for Disk {
    fn call(&self, call: &Call<'_>, go: &mut dyn FnMut(u64) -> isize) -> isize {
        let _running = self.gate.read().unwrap();
        let errno = self.errno(call);
        match call.kind {
            Kind::Write => {
                // A disk that fails has often taken some of it.
                let done = go(if errno.is_some() { call.len / 2 } else { u64::MAX });
                if let Ok(done) = u64::try_from(done) {
                    let range = (call.at, call.at + done);
                    self.file(call.fd, |file| {
                        cut(&mut file.lost, range);
                        file.fresh.push(range);
                    });
                }
                errno.map_or(done, fail)
            }
            Kind::Sync => {
                let fresh = self.file(call.fd, |file| std::mem::take(&mut file.fresh));
                let done = errno.map_or_else(|| go(u64::MAX), fail);
                if done < 0 {
                    self.file(call.fd, |file| file.lost.extend(fresh));
                }
                done
            }
            _ if errno.is_some() => errno.map_or(0, fail),
            Kind::Create => {
                let new = !call.path.exists();
                let fd = go(u64::MAX);
                if new && fd >= 0 {
                    // The number may have been another file's.
                    self.file(fd as i32, |file| *file = Unsafe::default());
                }
                fd
            }
            _ => go(u64::MAX),
        }
    }
}

/// Copies what is in a directory; `mend` is shown each file and its copy.
pub fn copy_tree(from: &Path, to: &Path, mend: &dyn Fn(&File, &File) -> io::Result<()>) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, mend)?;
        } else {
            fs::copy(entry.path(), &target)?;
            mend(&File::open(entry.path())?, &File::options().write(true).open(target)?)?;
        }
    }
    Ok(())
}
