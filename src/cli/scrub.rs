//! `keyfold scrub`: reads everything that is stored against its checksums.

use super::arguments::Global;
use super::failure::{Done, Failed};
use super::output::{Printer, View, show, size};
use super::progress::ProgressLine;
use super::target;
use crate::control::{ProgressRow, Reply, Request, Row};
use crate::model::parse_size;
use crate::model::{Error, Kind, Result};
use std::path::PathBuf;

/// Read everything a store keeps against its checksums, past every cache.
///
/// Prints a line for each damaged place: the file, the bytes, what is wrong, and the objects it hurts. Exit status 7 when
/// there is any. A store that is served does this on its own every two weeks (`[care]` in its keyfold.toml); that
/// pauses while the command runs. Interrupting the command ends it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold scrub /srv/keyfold
  keyfold scrub --rate 50MiB --json
  keyfold scrub --pause")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
    /// Read at most so many bytes a second [default: as fast as the disk gives]
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    rate: Option<u64>,
    /// Pause the pass in the background, also for later processes
    #[arg(long, conflicts_with_all = ["rate", "resume"])]
    pause: bool,
    /// Let the pass in the background go on
    #[arg(long, conflicts_with = "rate")]
    resume: bool,
}

fn rate(text: &str) -> Result<u64> {
    match parse_size(text)? {
        0 => Err(Error::new(Kind::InvalidArgument, "cannot read nothing a second").mend("use --pause")),
        rate => Ok(rate),
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, args.place.as_deref())?;
    if args.pause || args.resume {
        return show(global, &store, &Request::ScrubPause { paused: args.pause }, View::ACTS);
    }
    let printer = Printer::new(global, View { header: &["FILE", ">BYTE", ">LENGTH", "WHAT", "OBJECTS"], lines });
    let mut watch = Watch { printer, line: ProgressLine::new(), last: ProgressRow::default() };
    let done = crate::node::ask(&store, &Request::Scrub { rate: args.rate }, &mut watch);
    watch.line.clear();
    let (found, read) = (watch.printer.count, watch.last.bytes);
    watch.printer.finish(done.map_err(in_use))?;
    if found > 0 {
        eprintln!("{found} damaged {} in {}", if found == 1 { "place" } else { "places" }, size(read));
        return Err(Failed::DAMAGE);
    }
    eprintln!("no damage found in {}", size(read));
    Ok(())
}

/// Nobody serves the store, and another command has it open.
fn in_use(error: Error) -> Error {
    if error.kind() != Kind::StoreBusy {
        return error;
    }
    Error::new(Kind::Conflict, "cannot scrub the store")
        .why("another command has it open, perhaps another scrub")
        .mend("wait for it to end, or mount the store: commands share one that is mounted")
}

/// Prints findings, and on a terminal how far it is.
struct Watch {
    printer: Printer,
    line: ProgressLine,
    last: ProgressRow,
}

impl Reply for Watch {
    fn row(&mut self, row: Row) -> Result<()> {
        let Row::Progress(progress) = row else {
            self.line.clear();
            return self.printer.row(row);
        };
        self.last = progress;
        self.printer.alive()?;
        let percent = progress.bytes.saturating_mul(100).checked_div(progress.total).unwrap_or(100);
        self.line.show(&format!("{percent}%, {} of {}", size(progress.bytes), size(progress.total)));
        Ok(())
    }

    fn note(&mut self, text: &str) -> Result<()> {
        self.line.clear();
        self.printer.note(text)
    }

    fn alive(&mut self) -> Result<()> {
        self.printer.alive()
    }
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Damage(row) = row else { return vec![] };
    let name = |hurt: &crate::control::HurtRow| format!("{}/{} ({})", hurt.bucket, hurt.key, hurt.version);
    let mut objects: Vec<String> = row.objects.iter().map(name).collect();
    if row.more > 0 {
        objects.push(format!("{} more", row.more));
    }
    if objects.is_empty() {
        objects.push("-".to_owned());
    }
    let len = if row.len == u64::MAX { "all".to_owned() } else { row.len.to_string() };
    let first = vec![row.file.clone(), row.at.to_string(), len, row.what.clone(), objects.remove(0)];
    let rest =
        objects.into_iter().map(|object| vec![String::new(), String::new(), String::new(), String::new(), object]);
    std::iter::once(first).chain(rest).collect()
}
