//! Freeing by hand, at once, all that can be freed.

use super::super::Store;
use super::super::open::META_DIR;
use super::choose::{Use, victims};
use crate::model::{Error, Result};
use std::path::Path;

/// Passes after which what is left is left: others make garbage meanwhile.
const PASSES_MAX: usize = 1000;

impl Store {
    /// Frees what nobody refers to, moves what lies in another tier than it should, compacts without pause until there is nothing to gain, and has the index give back
    /// what was deleted from it. `go_on` is asked before each step. Returns how many bytes shorter the store's files
    /// are.
    ///
    /// # Errors
    /// As [`Store::reap`] and [`Store::compact`].
    pub fn gc(&self, go_on: &mut dyn FnMut() -> bool) -> Result<u64> {
        self.writable()?;
        let _held = self.brakes.hold();
        let before = self.file_bytes()?;
        self.placement.ask();
        let freed = |store: &Self| Ok(before.saturating_sub(store.file_bytes()?));
        for _ in 0..PASSES_MAX {
            while self.reap()? {
                if !go_on() {
                    return freed(self);
                }
            }
            let done = self.pass(true, true, &mut |_| go_on())?;
            if !go_on() {
                return freed(self);
            }
            if done.is_idle() {
                break;
            }
        }
        self.sync()?;
        self.index.compact()?;
        freed(self)
    }

    /// Bytes that [`Store::gc`] would win in segments, roughly: what versions deleted just now held is not yet among
    /// them.
    ///
    /// # Errors
    /// When index or disk cannot be read.
    pub fn garbage(&self) -> Result<u64> {
        let _held = self.brakes.hold();
        let survey = self.survey(&mut self.compactor.lock(), true)?;
        let chosen = victims(&survey.closed, &survey.limits);
        let closed = survey.closed.iter().filter(|closed| chosen.contains(&closed.id));
        Ok(survey.wasted().chain(closed).map(Use::dead).sum())
    }

    /// Bytes of the files of log and index.
    fn file_bytes(&self) -> Result<u64> {
        let segments: u64 = self.log.segment_files()?.iter().map(|(_, bytes)| bytes).sum();
        let solos: u64 = self.log.solos()?.iter().map(|solo| solo.bytes).sum();
        let index: u64 = match self.disk.list(Path::new(META_DIR)) {
            Ok(files) => files.iter().map(|file| file.len).sum(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(Error::io("cannot list the index's files", error)),
        };
        Ok(segments + solos + index)
    }
}
