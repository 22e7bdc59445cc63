//! Whose a zone is: of stores with one id, one of which is a copy of the other, the first to open a zone has it from then on.
//!
//! A zone names the opening that last wrote to it, and the list of zones has what it names, written before the zone is:
//! whoever finds another there leaves the zone alone. That is known, and its lock is held, before anything is written to it.

use super::Zones;
use super::sign::{Found, LOCK, Sign, make};
use crate::sys::sync::atomic::Ordering;
use std::io;
use std::path::Path;

impl Zones {
    /// Locks a zone if it is ours, also after that; when nothing may be written it only looks.
    pub(super) fn claim(&self, zone: usize) -> Found {
        let found = self.look(zone);
        if self.fixed || !matches!(found, Found::Ours(_)) {
            return found;
        }
        let member = self.member(zone);
        // Held from before the zone was lost, it would be in the way.
        let before = member.state.lock().lock.take();
        drop(before);
        match member.disk.lock(Path::new(LOCK)) {
            Ok(lock) => {
                // What it names is announced as found: not what the power may take back.
                if let Err(error) = member.disk.sync_dir(Path::new("")) {
                    return Found::Unread(error);
                }
                let found = self.look(zone);
                if matches!(found, Found::Ours(_)) {
                    member.state.lock().lock = lock;
                }
                found
            }
            Err(error) => Found::Unread(error),
        }
    }

    /// This opening of the store is about to write itself into a zone that names `before`: the next list says so.
    pub(super) fn announce(&self, zone: usize, before: u32) {
        let signed = [before, self.epoch.load(Ordering::SeqCst)];
        let mut state = self.member(zone).state.lock();
        if state.signed != signed {
            state.signed = signed;
            self.changed.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Writes into a zone that this opening of the store uses it, as was announced.
    pub(super) fn sign(&self, zone: usize) -> io::Result<()> {
        self.save_doubts()?;
        let member = self.member(zone);
        let opened = self.epoch.load(Ordering::SeqCst);
        let disk = member.state.lock().disks.max(1);
        make(&*member.disk, &self.store, &member.name, Sign { disk, opened })?;
        member.state.lock().signed = [opened; 2];
        Ok(())
    }
}
