//! `backup`: a generation of the store in a backup directory, which ones there are, and making a store of one again.

use crate::backup::{self, Generation, Made, Plan, Watch};
use crate::control::{ActRow, BackupRow, FSTYPE, FindingRow, Reply, Row, all_mounts, mount_of};
use crate::model::{Error, Kind, Result};
use crate::store::{Finding, Options, Store};
use std::path::Path;
use std::time::Instant;

struct Told<'a>(&'a mut dyn Reply);

impl Watch for Told<'_> {
    fn progress(&mut self, text: &str) -> Result<()> {
        self.0.note(text)
    }

    fn damage(&mut self, finding: Finding) -> Result<()> {
        self.0.row(Row::Finding(FindingRow {
            invariant: finding.invariant.to_owned(),
            what: finding.what,
            outcome: None,
        }))
    }
}

pub(super) fn backup(store: &Store, plan: &Plan, reply: &mut dyn Reply) -> Result<()> {
    not_on_its_own_mount(store, &plan.to)?;
    let begun = Instant::now();
    let made = backup::make(store, plan, &mut Told(reply))?;
    let Made { generation, record, removed, in_use, .. } = made;
    let seconds = Some((begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
    reply.row(Row::Backup(BackupRow { backup: generation, record, seconds, dry_run: plan.dry_run }))?;
    for on in removed {
        reply.row(Row::Act(ActRow { act: "removed".to_owned(), on, dry_run: plan.dry_run, ..ActRow::default() }))?;
    }
    for on in in_use {
        reply.note(&format!("kept {on}: it is open"))?;
    }
    Ok(())
}

/// The generations in a backup directory.
///
/// # Errors
/// [`Kind::NotSet`] when it is none, or what the disk says.
pub fn list_backups(dir: &Path, reply: &mut dyn Reply) -> Result<()> {
    for generation in backup::generations(dir)? {
        let Generation { dir, record, .. } = generation;
        reply.row(Row::Backup(BackupRow { backup: dir, record, ..BackupRow::default() }))?;
    }
    Ok(())
}

/// Makes a store of a generation in a new directory; damage that is met is told in rows.
///
/// # Errors
/// What [`backup::restore`] says.
pub fn restore_backup(generation: &Path, to: &Path, options: &Options, reply: &mut dyn Reply) -> Result<()> {
    let bytes = backup::restore(generation, to, options, &mut Told(reply))?;
    reply.row(Row::Act(ActRow {
        act: "restored".to_owned(),
        on: to.display().to_string(),
        bytes: Some(bytes),
        ..ActRow::default()
    }))
}

/// A store that is written to while it is copied, by its own copy, has no end.
fn not_on_its_own_mount(store: &Store, to: &Path) -> Result<()> {
    let mounts = all_mounts()?;
    let nearest = to.ancestors().find_map(|path| path.canonicalize().ok());
    match nearest.as_deref().and_then(|path| mount_of(path, &mounts)) {
        Some((mount, _)) if mount.fstype == FSTYPE && mount.source == store.dir() => {
            Err(Error::new(Kind::InvalidArgument, format!("cannot write backups to {}", to.display()))
                .why("that is a mount of the store itself")
                .mend("choose a directory outside the store, better on another disk"))
        }
        _ => Ok(()),
    }
}
