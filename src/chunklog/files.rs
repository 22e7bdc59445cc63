//! The log's files by their names: creating, opening and deleting them, in the store's own directory or in several zones.

use super::durable::Tracked;
use super::id::FileKey;
use super::log::{Inner, Unnamed};
use super::tier::Tier;
use super::zones::number;
use crate::model::{Error, Result};
use crate::sys::disk::{Access, DiskFile};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

type File = Arc<dyn DiskFile>;

impl Inner {
    /// Creates a file of the log and follows it until it is durable.
    pub(super) fn create(&self, key: FileKey, tier: Tier) -> Result<Arc<Tracked>> {
        let file = match key {
            _ if self.zones.alone() => self.zones.create_at(0, &key.path()),
            FileKey::Sum(_) => self.zones.create_beside(key),
            FileKey::Segment(_) | FileKey::Solo(_) => self.zones.create(key, tier, self.tier(tier)),
        };
        let outcome = self.follow(key, file);
        if !self.zones.alone() {
            self.beginning.lock().remove(&number(key));
        }
        outcome
    }

    fn follow(&self, key: FileKey, file: io::Result<File>) -> Result<Arc<Tracked>> {
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Error::io(format!("cannot create {key}"), error)
                .why("it exists: this opening of the store was given a number that an earlier one had")
                .mend("open the store again; if this repeats, run `keyfold fsck`"),
            _ => Error::io(format!("cannot create {key}"), error),
        })?;
        let tracked = Arc::new(Tracked::new(key, file, !self.zones.alone()));
        self.tracked.lock().insert(key, Arc::clone(&tracked));
        Ok(tracked)
    }

    /// Takes back a file that holds nothing of value.
    pub(super) fn discard(&self, tracked: &Tracked) {
        tracked.forget();
        self.tracked.lock().remove(&tracked.key);
        if !self.zones.alone() {
            return drop(self.zones.delete(tracked.key));
        }
        let own = self.zones.own();
        // A file that stays is an orphan, and removed as such.
        let _ = own.disk.remove(&tracked.key.path());
        own.handles.removed(tracked.key);
    }

    pub(super) fn unname(&self, key: FileKey) -> Result<Unnamed> {
        if !self.zones.alone() {
            let files = self.zones.delete(key);
            self.untrack(key);
            return Ok(Unnamed(files));
        }
        let file = self.zones.own().disk.open(&key.path(), Access::Write).ok();
        self.delete(key)?;
        Ok(Unnamed(file.into_iter().collect()))
    }

    pub(super) fn delete(&self, key: FileKey) -> Result<()> {
        if !self.zones.alone() {
            drop(self.zones.delete(key));
            self.untrack(key);
            return Ok(());
        }
        let own = self.zones.own();
        match own.disk.remove(&key.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io(format!("cannot delete {key}"), error));
            }
            _ => own.handles.removed(key),
        }
        self.untrack(key);
        Ok(())
    }

    fn untrack(&self, key: FileKey) {
        let tracked = self.tracked.lock().remove(&key);
        if let Some(tracked) = tracked {
            tracked.forget();
        }
    }

    /// Reads the file of `key` from one copy after another, until `read` is content with one; its absence is damage.
    pub(super) fn read_copies<T>(
        &self,
        key: FileKey,
        access: Access,
        read: &mut dyn FnMut(&Arc<dyn DiskFile>) -> Result<T>,
    ) -> Result<T> {
        if self.zones.alone() {
            let file = self.zones.own().disk.open(&key.path(), access).map_err(|error| unopened(key, error))?;
            return read(&file);
        }
        let open = |zone| self.zones.member(zone).disk.open(&key.path(), access);
        self.zones.read(key, &open, &mut |_, file| read(file))
    }

    /// The same by files that stay open. `read` hears as well whether the copy is whole, as far as anybody knows.
    pub(super) fn read_open<T>(&self, key: FileKey, read: &mut dyn FnMut(&File, bool) -> Result<T>) -> Result<T> {
        if self.zones.alone() {
            return read(&self.zones.own().handles.get(key).map_err(|error| unopened(key, error))?, true);
        }
        let open = |zone: usize| self.zones.member(zone).handles.get(key);
        self.zones.read(key, &open, &mut |zone, file| read(file, self.zones.trusts(key, zone)))
    }

    /// A file of `key` that can be opened, for this caller alone.
    pub(super) fn reopen(&self, key: FileKey) -> Result<Arc<dyn DiskFile>> {
        self.read_copies(key, Access::Read, &mut |file| Ok(Arc::clone(file)))
    }

    /// Names and lengths of the files in the 256 directories below `top`. Of a file's copies the longest counts.
    pub(super) fn walk(&self, top: &str, visit: &mut dyn FnMut(&str, u64) -> Result<()>) -> Result<()> {
        if self.zones.alone() {
            return self.walk_in(0, top, visit);
        }
        let mut found: HashMap<String, u64> = HashMap::new();
        for (zone, _) in self.zones.each().filter(|(_, member)| member.is_there()) {
            let listed = self.walk_in(zone, top, &mut |name, bytes| {
                let longest = found.entry(name.to_owned()).or_default();
                *longest = bytes.max(*longest);
                Ok(())
            });
            match listed {
                Err(error) if zone == 0 => return Err(error),
                Err(error) => self.zones.lose(zone, error.reason()),
                Ok(()) => {}
            }
        }
        found.iter().try_for_each(|(name, bytes)| visit(name, *bytes))
    }

    fn walk_in(&self, zone: usize, top: &str, visit: &mut dyn FnMut(&str, u64) -> Result<()>) -> Result<()> {
        let list = |dir: &Path| match self.zones.member(zone).disk.list(dir) {
            // A zone has the directories that it needs.
            Err(error) if zone > 0 && error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(|e| Error::io(format!("cannot list the directory {}", dir.display()), e)),
        };
        for shard in list(Path::new(top))?.iter().filter(|entry| entry.is_dir) {
            for file in list(&Path::new(top).join(&shard.name))?.iter().filter(|entry| entry.is_file) {
                visit(&file.name, file.len)?;
            }
        }
        Ok(())
    }

    /// Bytes of a file, of its longest copy.
    pub(super) fn file_len(&self, key: FileKey) -> Result<Option<u64>> {
        let mut longest = None;
        for (zone, member) in self.zones.each().filter(|(_, member)| member.is_there()) {
            match member.disk.file_len(&key.path()) {
                Ok(len) => longest = longest.max(len),
                Err(error) if self.zones.alone() => return Err(Error::io(format!("cannot look at {key}"), error)),
                Err(error) => self.zones.lose(zone, &error.to_string()),
            }
        }
        Ok(longest)
    }
}

/// What it means that a file cannot be opened.
pub(super) fn unopened(key: FileKey, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => Error::corrupt(format!("cannot read {key}"), "its file is missing"),
        _ => Error::io(format!("cannot open {key}"), error),
    }
}
