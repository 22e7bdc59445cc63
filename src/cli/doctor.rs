//! `keyfold doctor`: what this machine or a store lacks, each with its mend.

mod classes;
mod machine;
mod places;

use super::arguments::Global;
use super::failure::{Done, Failed};
use super::output::plain;
use super::target;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Look for what keeps mounts from working, and say how to mend it.
///
/// Looks at FUSE, limits, the clock, mounts that died, and the store when one is named or mounted. Changes nothing and
/// does not open the store. Exit status 1 when something is wrong.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold doctor
  keyfold doctor --json /srv/keyfold")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
}

/// How one check went.
#[derive(Serialize)]
struct Finding {
    /// `ok`, `note` or `wrong`.
    state: &'static str,
    /// What was looked at.
    check: &'static str,
    /// What was seen.
    what: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self { state: "ok", check, what: what.into(), mend: None }
    }

    /// Works, but less well than it could.
    fn note(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state: "note", check, what: what.into(), mend: Some(mend.into()) }
    }

    fn wrong(check: &'static str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state: "wrong", check, what: what.into(), mend: Some(mend.into()) }
    }
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let mut findings =
        vec![machine::device(), machine::fusermount(), machine::allow_other(), machine::open_files(), machine::clock()];
    findings.extend(places::mounts());
    let store = match &args.place {
        Some(place) => Some(target::store(global, Some(place))?),
        None => target::named(global)?.or_else(|| target::mounted().ok()?.into_iter().next()),
    };
    if let Some(store) = store {
        findings.extend(places::store(&store));
    }
    let mut out = std::io::stdout().lock();
    let mut wrong = false;
    for finding in &findings {
        wrong |= finding.state == "wrong";
        let line = if global.json {
            serde_json::to_string(finding).unwrap_or_default()
        } else {
            let mend = finding.mend.as_ref().map(|mend| format!("\n       mend: {mend}")).unwrap_or_default();
            format!("{:<6} {}: {}", finding.state, finding.check, plain(&finding.what)) + &mend
        };
        if writeln!(out, "{line}").is_err() {
            return Err(Failed::Gone);
        }
    }
    if wrong { Err(Failed::FINDINGS) } else { Ok(()) }
}
