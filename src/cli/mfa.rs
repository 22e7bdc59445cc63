//! `keyfold mfa`: devices that show one-time codes, the second factor of the account's root.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};

/// Register, list and remove devices that show one-time codes (TOTP).
///
/// In a bucket with MFA delete, versions are deleted for good with such a code only: `keyfold purge --mfa`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Register a device and show its secret, once
    #[command(after_help = "Examples:
  keyfold mfa add phone
  keyfold mfa add phone --json >phone.json")]
    Add {
        /// What to call it
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List devices
    #[command(after_help = "Examples:
  keyfold mfa ls
  keyfold mfa ls --json --store /srv/keyfold")]
    Ls,
    /// Remove a device
    #[command(after_help = "Examples:
  keyfold mfa rm --dry-run phone
  keyfold mfa rm phone")]
    Rm {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Only say whether it could be removed
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, None)?;
    match &args.verb {
        Verb::Add { name } => {
            show(global, &store, &Request::MfaAdd { name: name.clone() }, View { header: &[], lines: made })
        }
        Verb::Ls => {
            let view = View { header: &["CREATED", "NAME", "SERIAL"], lines: listed };
            show(global, &store, &Request::MfaDevices, view)
        }
        Verb::Rm { name, dry_run } => {
            let request = Request::MfaRemove { name: name.clone(), dry_run: *dry_run };
            show(global, &store, &request, View::ACTS)
        }
    }
}

fn made(row: &Row) -> Vec<Vec<String>> {
    let Row::Mfa(row) = row else { return vec![] };
    let line = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let secret = row.secret.as_ref().map(|secret| line("secret:", secret.expose()));
    let uri = row.uri.as_ref().map(|uri| line("uri:", uri.expose()));
    [line("serial:", &row.serial)].into_iter().chain(secret).chain(uri).collect()
}

fn listed(row: &Row) -> Vec<Vec<String>> {
    let Row::Mfa(row) = row else { return vec![] };
    vec![vec![row.created.clone(), row.name.clone(), row.serial.clone()]]
}
