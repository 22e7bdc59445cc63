//! The fault sweep: one call to the system fails, the n-th of its kind, for every kind, error and n.
//!
//! After each fault the running store must show all or nothing of what it was asked, say why, and go on or take no more
//! changes; a copy of the moment, without what a failed sync has cost, and the store itself must open again with all
//! that was promised. `KEYFOLD_LONG=1` tries every n, else a few of them.

mod fault;
mod found;
mod hindered;
mod judge;
mod work;

use super::calls::{Kind, Watching};
use super::harness::{Home, make_bucket};
use super::model::Bucket;
use crate::long;
use fault::{Disk, Fault, Lasts};
use judge::{Run, copied, reopens};
use keyfold::model::Versioning;
use keyfold::store::{Options, Store};
use nix::libc::{EIO, ENOSPC};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// After so many faults that are not borne, the rest is of no interest.
const WRONG_MAX: usize = 20;

/// A place in memory where there is one: the disk that fails is ours, the real one need not work.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

struct Template {
    dir: tempfile::TempDir,
    options: Options,
    model: Bucket,
    past: Vec<Bucket>,
}

impl Template {
    fn new() -> Self {
        let dir = scratch();
        let mut options = Home::new().options();
        options.settings.segment_bytes = 512 << 10;
        options.settings.memtable_bytes = 64 << 10;
        Store::init(dir.path(), &options).unwrap();
        let store = Store::open(dir.path(), options.clone()).unwrap();
        make_bucket(&store, super::harness::B);
        store.set_versioning(super::harness::B, Versioning::Enabled).unwrap();
        let mut model = Bucket::new();
        model.versioning = Versioning::Enabled;
        let mut run = Run::new(Some(store), model, Vec::new());
        work::before(&mut run);
        let (model, past) = (run.model.clone(), run.past.clone());
        drop(run);
        Self { dir, options, model, past }
    }

    /// Runs the workload over a copy; whether it met the fault.
    fn case(&self, fault: Fault) -> bool {
        let home = copied(self.dir.path());
        let disk = Arc::new(Disk::new(home.path(), fault));
        let _watching = Watching::new(home.path(), Arc::<Disk>::clone(&disk));
        let store = Store::open(home.path(), self.options.clone()).ok();
        let mut run = Run::new(store, self.model.clone(), self.past.clone());
        run.disk = Some((Arc::clone(&disk), fault.errno));
        work::during(&mut run);
        disk.heal();
        if (fault.errno, fault.lasts) == (EIO, Lasts::Once) {
            assert!(run.told <= 1, "{} steps were told of one failure", run.told);
        }
        run.serves_again();
        run.close();
        let hit = disk.was_hit();
        if hit && let Some((image, allowed)) = &run.image {
            reopens(image.path(), &self.options, allowed, "a copy of that moment");
        }
        if disk.lost_any() {
            let cut = scratch();
            disk.image(cut.path()).unwrap();
            reopens(cut.path(), &self.options, &run.past, "without what failed syncs have cost");
        }
        reopens(home.path(), &self.options, &run.past, "opened again");
        hit
    }
}

/// Tries every `stride`th call, in the long form every one, until the workload ends without having met the fault.
fn sweep(kind: Kind, stride: usize) {
    let template = Template::new();
    let (mut cases, mut last, mut wrong) = (0, 0, Vec::new());
    let passing = Lasts::For(Duration::from_millis(60));
    let forms = [(EIO, Lasts::Once), (EIO, Lasts::Stuck), (ENOSPC, Lasts::Once), (ENOSPC, passing)];
    for (first, (errno, lasts)) in (1..).zip(forms) {
        for nth in (first..).step_by(if long() { 1 } else { stride }) {
            let fault = Fault { kind, only: "", nth, errno, lasts };
            match catch_unwind(AssertUnwindSafe(|| template.case(fault))) {
                Ok(false) => break,
                Ok(true) => {}
                Err(panic) => {
                    let why = panic.downcast_ref::<String>().map(String::as_str);
                    let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
                    wrong.push(format!("{fault:?}: {}", why.unwrap_or_default()));
                }
            }
            (cases, last) = (cases + 1, last.max(nth));
            assert!(wrong.len() < WRONG_MAX, "{}", wrong.join("\n"));
        }
    }
    println!("{kind:?}: {cases} faults, of up to {last} calls");
    assert!(cases > 3, "the workload makes no such call");
    assert!(wrong.is_empty(), "{} of {cases} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn syncs() {
    sweep(Kind::Sync, 23);
}

#[test]
fn writes() {
    sweep(Kind::Write, 37);
}

#[test]
fn allocations() {
    sweep(Kind::Allocate, 5);
}

#[test]
fn cuts() {
    sweep(Kind::Cut, 3);
}

#[test]
fn renames() {
    sweep(Kind::Rename, 2);
}

#[test]
fn removals() {
    sweep(Kind::Unlink, 3);
}

#[test]
fn creations() {
    sweep(Kind::Create, 9);
}

#[test]
fn directories() {
    sweep(Kind::Mkdir, 5);
}
