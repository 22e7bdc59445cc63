//! A disk that nobody waits for longer than a bound: one that hangs answers with an error then.
//!
//! Every call runs in a thread of the disk's own, and whoever asks waits for that. A call that was given up goes on, since
//! nothing can stop it; until the last of these has come to its end all others fail at once, so that none overtakes it.
//!
//! Locks: the queue, or one call's answer; neither is held while the disk works.

use super::{Access, DirEntry, Disk, DiskFile, LockFile, Space};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How much longer a sync may take than anything else: it may have much to write.
const SYNC_FACTOR: u32 = 6;
/// How often whoever waits looks whether others have given up.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a thread without work stays, and how many threads there are at most.
const IDLE: Duration = Duration::from_secs(10);
const THREADS_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A disk whose calls end within a bound. Its files have no descriptor: nobody may read past this.
pub struct TimedDisk {
    disk: Arc<dyn Disk>,
    desk: Arc<Desk>,
}

struct Desk {
    bound: Duration,
    queue: Mutex<Queue>,
    work: Condvar,
    /// Calls that were given up and go on.
    overdue: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Of these, those without work.
    idle: usize,
}

/// What became of a call.
enum Answer<T> {
    Awaited,
    Here(io::Result<T>),
    GivenUp,
}

struct Call<T> {
    answer: Mutex<Answer<T>>,
    told: Condvar,
}

impl TimedDisk {
    /// The disk, which is waited for so long, and six times as long when it syncs.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, bound: Duration) -> Self {
        let desk = Desk { bound, queue: Mutex::default(), work: Condvar::new(), overdue: AtomicUsize::new(0) };
        Self { disk, desk: Arc::new(desk) }
    }

    fn ask<T: Send + 'static>(
        &self,
        path: &Path,
        factor: u32,
        call: impl FnOnce(&dyn Disk, &Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (disk, path) = (Arc::clone(&self.disk), path.to_owned());
        self.desk.ask(factor, move || call(&*disk, &path))
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(TimedFile { desk: Arc::clone(&self.desk), file: Some(file) })
    }
}

fn no_answer() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "its disk does not answer")
}

impl Desk {
    fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        factor: u32,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        if self.overdue.load(Ordering::Acquire) > 0 {
            return Err(no_answer());
        }
        let end = Instant::now() + self.bound * factor;
        let asked = Arc::new(Call { answer: Mutex::new(Answer::Awaited), told: Condvar::new() });
        let (desk, asking) = (Arc::clone(self), Arc::clone(&asked));
        self.hand_over(Box::new(move || {
            let outcome = call();
            let mut answer = asking.answer.lock();
            if matches!(*answer, Answer::GivenUp) {
                drop(answer);
                drop(outcome);
                desk.overdue.fetch_sub(1, Ordering::Release);
            } else {
                *answer = Answer::Here(outcome);
                asking.told.notify_one();
            }
        }))?;
        let mut answer = asked.answer.lock();
        loop {
            if let Answer::Here(outcome) = std::mem::replace(&mut *answer, Answer::Awaited) {
                return outcome;
            }
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() || self.overdue.load(Ordering::Acquire) > 0 {
                self.overdue.fetch_add(1, Ordering::AcqRel);
                *answer = Answer::GivenUp;
                return Err(no_answer());
            }
            asked.told.wait_for(&mut answer, rest.min(GLANCE));
        }
    }

    /// Gives work to a thread that has none, or to a new one.
    fn hand_over(self: &Arc<Self>, job: Job) -> io::Result<()> {
        let mut queue = self.queue.lock();
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() || queue.threads == THREADS_MAX {
            self.work.notify_one();
            return Ok(());
        }
        let desk = Arc::clone(self);
        let started = std::thread::Builder::new().name("keyfold-disk".to_owned()).spawn(move || desk.serve());
        match started {
            Ok(_) => queue.threads += 1,
            // Those that are there come to it.
            Err(_) if queue.threads > 0 => {}
            Err(error) => {
                drop(queue.jobs.pop_back());
                return Err(error);
            }
        }
        Ok(())
    }

    fn serve(&self) {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.queue.lock();
                continue;
            }
            queue.idle += 1;
            let late = self.work.wait_for(&mut queue, IDLE).timed_out();
            queue.idle -= 1;
            if late && queue.jobs.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

impl Disk for TimedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.ask(path, 1, |disk, path| disk.create_new(path)).map(|file| self.file(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.ask(path, 1, move |disk, path| disk.open(path, access)).map(|file| self.file(file))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(path, 1, |disk, path| disk.remove(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let to = to.to_owned();
        self.ask(from, 1, move |disk, from| disk.rename(from, &to))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.ask(dir, 1, |disk, dir| disk.list(dir))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.ask(dir, 1, |disk, dir| disk.create_dir_all(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.ask(dir, SYNC_FACTOR, |disk, dir| disk.sync_dir(dir))
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.ask(path, 1, |disk, path| disk.file_len(path))
    }

    fn space(&self) -> io::Result<Space> {
        self.ask(Path::new(""), 1, |disk, _| disk.space())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<LockFile>> {
        self.ask(path, 1, |disk, path| disk.lock(path))
    }
}

struct TimedFile {
    desk: Arc<Desk>,
    /// Always there until it is dropped.
    file: Option<Arc<dyn DiskFile>>,
}

impl TimedFile {
    fn ask<T: Send + 'static>(
        &self,
        factor: u32,
        call: impl FnOnce(&dyn DiskFile) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let file = self.file.clone().ok_or_else(no_answer)?;
        self.desk.ask(factor, move || call(&*file))
    }
}

/// Closing a file may wait for its disk as well.
impl Drop for TimedFile {
    fn drop(&mut self) {
        let file = self.file.take();
        // Without a thread it is closed here.
        let _ = self.desk.hand_over(Box::new(move || drop(file)));
    }
}

impl DiskFile for TimedFile {
    fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut bytes = vec![0; buf.len()];
        let bytes = self.ask(1, move |file| {
            let got = file.read_at(at, &mut bytes)?;
            bytes.truncate(got);
            Ok(bytes)
        })?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.ask(1, move |file| file.write_at(at, &bytes))
    }

    fn write_vectored_at(&self, at: u64, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.ask(1, move |file| file.write_at(at, &bytes))
    }

    fn begin_write_back(&self, at: u64, len: u64) {
        let file = self.file.clone();
        // A hint that nobody waits for.
        let begin = move || file.iter().for_each(|file| file.begin_write_back(at, len));
        let _ = self.desk.hand_over(Box::new(begin));
    }

    fn sync_data(&self) -> io::Result<()> {
        self.ask(SYNC_FACTOR, |file| file.sync_data())
    }

    fn allocate(&self, at: u64, len: u64) -> io::Result<()> {
        self.ask(1, move |file| file.allocate(at, len))
    }

    fn size(&self) -> io::Result<u64> {
        self.ask(1, |file| file.size())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.ask(1, move |file| file.set_len(len))
    }

    fn punch_hole(&self, at: u64, len: u64) -> io::Result<()> {
        self.ask(1, move |file| file.punch_hole(at, len))
    }

    fn has_name(&self) -> io::Result<bool> {
        self.ask(1, |file| file.has_name())
    }

    fn waits(&self) -> bool {
        true
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::TimedDisk;
    use crate::sys::disk::{Access, Disk, MemDisk};
    use std::io::ErrorKind;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    const FILE: &str = "f";

    #[test]
    fn a_disk_that_hangs_fails_until_it_has_done_all_it_was_asked() {
        let below = MemDisk::new();
        let disk = TimedDisk::new(Arc::new(below.clone()), Duration::from_millis(100));
        let file = disk.create_new(Path::new(FILE)).unwrap();
        file.write_at(0, b"before").unwrap();
        below.hang(true);
        assert_eq!(file.write_at(6, b" and after").unwrap_err().kind(), ErrorKind::TimedOut);
        // At once, though these would not hang.
        assert_eq!(file.size().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(disk.list(Path::new("")).unwrap_err().kind(), ErrorKind::TimedOut);
        below.hang(false);
        let mut bytes = [0; 16];
        let read = loop {
            match disk.open(Path::new(FILE), Access::Read).and_then(|file| file.read_at(0, &mut bytes)) {
                Ok(read) => break read,
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(&bytes[..read], b"before and after");
    }
}
