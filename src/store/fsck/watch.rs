//! Whether a check goes on: not when nobody waits for it any more, nor when the process is ending. Whoever closes the
//! store waits for locks that a check holds.

use crate::index::{Family, Read, Scan};
use crate::model::Result;
use crate::store::Store;
use bytes::Bytes;
use std::cell::RefCell;

/// An error when a check is to end. Asked every few thousand records and every few megabytes.
pub(super) type GoesOn<'a> = &'a dyn Fn() -> Result<()>;

impl Store {
    /// A check goes on while somebody `waits` for it and the process is not ending.
    pub(super) fn check_goes_on<'a>(
        &'a self,
        waits: &'a mut dyn FnMut() -> Result<()>,
    ) -> impl Fn() -> Result<()> + 'a {
        let waits = RefCell::new(waits);
        move || {
            self.checks_go_on("fsck")?;
            (waits.borrow_mut())()
        }
    }
}

/// Records, for walks that are long.
pub(super) struct Reading<'a, R> {
    pub read: &'a R,
    pub goes_on: GoesOn<'a>,
}

impl<R: Read> Read for Reading<'_, R> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>> {
        self.read.get(family, key)
    }

    fn scan(&self, family: Family, lower: &[u8], upper: &[u8]) -> Result<Scan<'_>> {
        self.read.scan(family, lower, upper)
    }
}
