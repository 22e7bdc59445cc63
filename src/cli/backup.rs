//! `keyfold backup`: makes backups, lists and verifies them, and makes stores of them again.

use super::arguments::Global;
use super::failure::{Done, Failed};
use super::output::{Printer, View, plain, size};
use super::progress::ProgressLine;
use super::target;
use crate::control::{Reply, Request, Row, list_backups, restore_backup};
use crate::model::{Error, Kind, Result};
use crate::store::ACCESS_KEY_FILE;
use std::path::{Path, PathBuf};

/// Back up a store while it is in use; list, verify and restore backups.
///
/// Each backup is one moment of the whole store: versions, tags, settings and uploads in progress. It is a directory of its own in
/// DEST, and itself a store that can be mounted, listed and searched, but not changed. What is unchanged since the last one is shared
/// with it by hard links, so a backup costs what is new, and `rm -r` of any leaves the others whole. Every byte is verified
/// when it is copied; damage in the store is told, and the rest is backed up (exit status 7).
///
/// To get single files back, mount a backup and copy them. A backup that was interrupted shows nowhere, and the next one
/// goes on from it. Keep DEST on another disk: on the store's own it does not outlive that disk.
#[derive(clap::Args, Debug)]
#[command(
    override_usage = "keyfold backup [OPTIONS] [STORE] DEST
       keyfold backup --list DEST
       keyfold backup --verify DEST[/BACKUP]
       keyfold backup --restore DEST/BACKUP NEWSTORE",
    after_help = "Examples:
  keyfold backup /srv/keyfold /mnt/disk2/keyfold --keep 14
  keyfold backup --list /mnt/disk2/keyfold
  keyfold mount /mnt/disk2/keyfold/20261122T020000Z /mnt/then    # then cp what you need
  keyfold backup --restore /mnt/disk2/keyfold/20261122T020000Z /srv/keyfold-again"
)]
pub(super) struct Args {
    /// A store's directory or a path on a mount, and the directory that holds its backups
    #[arg(value_name = "STORE DEST", num_args = 1..=2, required = true)]
    places: Vec<PathBuf>,
    /// Show the backups in DEST
    #[arg(long, group = "what")]
    list: bool,
    /// Check every invariant and every byte of a backup, or of all in DEST
    #[arg(long, group = "what")]
    verify: bool,
    /// Make a store of a backup, in a directory that is absent or empty
    #[arg(long, group = "what")]
    restore: bool,
    /// Share files with the store by hard links instead of copying: quick, on the same disk only, and damage to a file
    /// is in both
    #[arg(long, conflicts_with = "what")]
    link: bool,
    /// Afterwards remove the oldest backups beyond N; none when damage was met
    #[arg(long, value_name = "N", conflicts_with = "what", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Only say what would be copied and removed
    #[arg(long, conflicts_with = "what")]
    dry_run: bool,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let places: Vec<PathBuf> = args.places.iter().map(|place| target::absolute(place)).collect::<Result<_>>()?;
    match (places.as_slice(), args.list, args.verify, args.restore) {
        ([dest], true, _, _) => listing(dest, global),
        ([dest], _, true, _) => verify(dest, global),
        ([backup, to], _, _, true) => {
            let done = ended(global, |reply| restore_backup(backup, to, &crate::node::options(backup)?, reply));
            let made = done.is_ok() || matches!(done, Err(Failed::Status(_)));
            if made && to.join(ACCESS_KEY_FILE).exists() {
                eprintln!(
                    "note: access keys are those of the backup: what was disabled or deleted since works again \
                     (`keyfold access-key list --store {}`)",
                    plain(&to.display().to_string())
                );
            }
            done
        }
        ([dest], false, false, false) => make(args, None, dest, global),
        ([_, dest], false, false, false) => make(args, args.places.first().map(PathBuf::as_path), dest, global),
        _ => Err(Failed::from(
            Error::new(Kind::InvalidArgument, "cannot tell what to do")
                .why("--list and --verify take one place, --restore takes a backup and a new directory")
                .mend("`keyfold backup --help` shows all forms"),
        )),
    }
}

fn make(args: &Args, store: Option<&Path>, dest: &Path, global: &Global) -> Done {
    let store = target::store(global, store)?;
    let request = Request::Backup { to: dest.to_owned(), link: args.link, keep: args.keep, dry_run: args.dry_run };
    ended(global, |reply| crate::node::ask(&store, &request, reply))
}

fn listing(dest: &Path, global: &Global) -> Done {
    let header = &["BACKUP", "CREATED", ">SIZE", ">NEW", ""];
    let mut printer = Printer::new(global, View { header, lines: columns });
    let done = list_backups(dest, &mut printer);
    let count = printer.count;
    printer.finish(done)?;
    if count == 0 {
        eprintln!("no backups in {}", dest.display());
    }
    Ok(())
}

fn verify(dest: &Path, global: &Global) -> Done {
    let mut backups = Backups(Vec::new());
    match list_backups(dest, &mut backups) {
        Err(error) if error.kind() == Kind::NotSet => backups.0.push(dest.to_owned()),
        listed => listed?,
    }
    let mut done = Ok(());
    for backup in backups.0 {
        eprintln!("verifying {}", backup.display());
        let asked = ended(global, |reply| crate::node::ask(&backup, &Request::Fsck, reply));
        if asked.is_ok() {
            eprintln!("no damage found");
        }
        done = done.and(asked);
    }
    done
}

/// Runs something that tells damage in rows; its end is the exit status for damage when there was any.
fn ended(global: &Global, work: impl FnOnce(&mut Progress) -> Result<()>) -> Done {
    let printer = Printer::new(global, View { header: &[], lines: sentences });
    let mut progress = Progress { printer, line: ProgressLine::new(), damage: 0 };
    let done = work(&mut progress);
    progress.line.clear();
    let damage = progress.damage;
    progress.printer.finish(done)?;
    if damage > 0 {
        eprintln!("{damage} {}", if damage == 1 { "finding" } else { "findings" });
        return Err(Failed::DAMAGE);
    }
    Ok(())
}

/// Prints rows, and shows progress in one line of a terminal.
struct Progress {
    printer: Printer,
    line: ProgressLine,
    damage: usize,
}

impl Reply for Progress {
    fn row(&mut self, row: Row) -> Result<()> {
        self.line.clear();
        self.damage += usize::from(matches!(row, Row::Finding(_)));
        self.printer.row(row)
    }

    fn note(&mut self, text: &str) -> Result<()> {
        self.line.show(text);
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        self.printer.alive()
    }
}

struct Backups(Vec<PathBuf>);

impl Reply for Backups {
    fn row(&mut self, row: Row) -> Result<()> {
        if let Row::Backup(row) = row {
            self.0.push(row.backup);
        }
        Ok(())
    }

    fn note(&mut self, _text: &str) -> Result<()> {
        Ok(())
    }

    fn alive(&mut self) -> Result<()> {
        Ok(())
    }
}

fn columns(row: &Row) -> Vec<Vec<String>> {
    let Row::Backup(row) = row else { return vec![] };
    let mut remarks = Vec::new();
    if row.record.linked {
        remarks.push("shares files with the store".to_owned());
    }
    if !row.record.damaged.is_empty() {
        remarks.push(format!("damage in {}", row.record.damaged.join(", ")));
    }
    let name = row.backup.file_name().unwrap_or_default().to_string_lossy().into_owned();
    vec![vec![name, row.record.created.clone(), size(row.record.bytes), size(row.record.new_bytes), remarks.join("; ")]]
}

fn sentences(row: &Row) -> Vec<Vec<String>> {
    let files = |count: u64| format!("{count} {}", if count == 1 { "file" } else { "files" });
    match row {
        Row::Backup(row) if row.dry_run => vec![vec![format!(
            "would copy {} in {} to {}, and share {}",
            size(row.record.new_bytes),
            files(row.record.new_files),
            row.backup.display(),
            size(row.record.bytes.saturating_sub(row.record.new_bytes))
        )]],
        Row::Backup(row) => vec![vec![format!(
            "{}: {} new in {}{}, {} shared with earlier ones, {:.1} s",
            row.backup.display(),
            size(row.record.new_bytes),
            files(row.record.new_files),
            if row.record.linked { ", linked to the store's" } else { "" },
            size(row.record.bytes.saturating_sub(row.record.new_bytes)),
            row.seconds.unwrap_or_default()
        )]],
        Row::Finding(row) => vec![vec!["damage:".to_owned(), row.what.clone()]],
        other => (View::ACTS.lines)(other),
    }
}
