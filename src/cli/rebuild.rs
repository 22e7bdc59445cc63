//! `keyfold fsck --rebuild`: a new index from the data alone.

use super::arguments::Global;
use super::failure::{Done, Failed};
use super::output::{Printer, View, size};
use crate::control::{FindingRow, Reply, Row, TallyRow};
use crate::store::Rebuilt;
use std::path::Path;

/// Builds the index anew and tells what came of it.
pub(super) fn run(store: &Path, dry_run: bool, global: &Global) -> Done {
    let mut printer = Printer::new(global, View { header: &["WHAT", ">COUNT", ""], lines });
    let mut last = std::time::Instant::now();
    let done = crate::node::rebuild(store, dry_run, &mut |progress| {
        // One line a second: a store has many files.
        if last.elapsed() >= std::time::Duration::from_secs(1) {
            last = std::time::Instant::now();
            eprintln!("{progress}");
        }
    });
    let rebuilt = match done {
        Ok(rebuilt) => rebuilt,
        Err(error) => return printer.finish(Err(error)),
    };
    let told = rows(&rebuilt).into_iter().try_for_each(|row| printer.row(row));
    printer.finish(told)?;
    if let Some(quarantine) = &rebuilt.quarantine {
        eprintln!("the old index lies in {}; delete it when you miss nothing", quarantine.display());
    }
    let damage = rebuilt.findings.len();
    if damage > 0 {
        eprintln!("{damage} {}", if damage == 1 { "finding" } else { "findings" });
        return Err(Failed::DAMAGE);
    }
    Ok(())
}

fn rows(rebuilt: &Rebuilt) -> Vec<Row> {
    let tally = |what: &str, count: u64, note: &str| {
        Row::Tally(TallyRow { what: what.to_owned(), count, note: note.to_owned() })
    };
    let bytes = |what: &str, count: u64, note: &str| {
        let note = if note.is_empty() { size(count) } else { format!("{}: {note}", size(count)) };
        Row::Tally(TallyRow { what: what.to_owned(), count, note })
    };
    let mut rows = vec![
        tally("buckets", rebuilt.buckets, "settings are lost; one with older versions is versioned"),
        tally("users and access keys", 0, "lost where there were any: make them again"),
        tally("files", rebuilt.files, "modes, tags and metadata are lost, deleted ones may be back"),
        tally("older versions", rebuilt.versions, ""),
        bytes("bytes", rebuilt.bytes, ""),
        bytes("empty bytes", rebuilt.empty, "holes, or lost"),
        tally("unnamed files", rebuilt.unnamed, "in the bucket lost-found"),
        tally("versions left out", rebuilt.left_out, "not complete, and another is there: in lost-found"),
        tally("loose contents", rebuilt.unclaimed, "parts of uploads, interrupted writes: in lost-found"),
        tally("files cut off", rebuilt.unfinished, "interrupted writes"),
        tally("files of data read", rebuilt.log_files, ""),
        tally("runs read", rebuilt.runs, ""),
        tally("files set aside", rebuilt.moved, "nothing in them is in use"),
        tally("findings", rebuilt.findings.len() as u64, ""),
    ];
    rows.extend(rebuilt.findings.iter().map(|finding| {
        Row::Finding(FindingRow { invariant: finding.invariant.to_owned(), what: finding.what.clone(), outcome: None })
    }));
    rows
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    match row {
        Row::Tally(row) => vec![vec![row.what.clone(), row.count.to_string(), row.note.clone()]],
        Row::Finding(row) => vec![vec![row.invariant.clone(), String::new(), row.what.clone()]],
        _ => vec![],
    }
}
