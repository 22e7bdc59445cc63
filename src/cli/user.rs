//! `keyfold user`: who besides the owner may use the S3 API.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};

/// Add, list and remove users of the S3 API.
///
/// The store's owner needs none. A user may do everything with buckets of the user's own, which a mount shows by their
/// uid and `chown` gives away, and nothing with others.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Add a user
    #[command(after_help = "Examples:
  keyfold user add anna
  keyfold user add backup --uid 7001 --create-buckets")]
    Add {
        /// The name: 1 to 64 letters, digits and + = , . @ _ -
        #[arg(value_name = "NAME")]
        user: String,
        /// The uid that owns what the user makes; without, that of the machine's user of that name
        #[arg(long)]
        uid: Option<u32>,
        /// The gid; without, that of the machine's user of that name, or the same as --uid
        #[arg(long)]
        gid: Option<u32>,
        /// Let the user make buckets
        #[arg(long)]
        create_buckets: bool,
    },
    /// List users
    #[command(after_help = "Examples:
  keyfold user list
  keyfold user list --json --store /srv/keyfold")]
    List,
    /// Remove a user and the user's access keys; buckets and objects stay
    #[command(after_help = "Examples:
  keyfold user remove --dry-run anna
  keyfold user remove anna")]
    Remove {
        /// The name
        #[arg(value_name = "NAME")]
        user: String,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, None)?;
    let users = View { header: &["CREATED", ">UID", ">GID", "MAKES BUCKETS", ">ACCESS KEYS", "USER"], lines };
    match &args.verb {
        Verb::Add { user, uid, gid, create_buckets } => {
            let (user, create_buckets) = (user.clone(), *create_buckets);
            show(global, &store, &Request::UserAdd { user, uid: *uid, gid: *gid, create_buckets }, users)
        }
        Verb::List => show(global, &store, &Request::Users, users),
        Verb::Remove { user, dry_run } => {
            show(global, &store, &Request::UserRemove { user: user.clone(), dry_run: *dry_run }, View::ACTS)
        }
    }
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::User(row) = row else { return vec![] };
    vec![vec![
        row.created.clone(),
        row.uid.to_string(),
        row.gid.to_string(),
        if row.create_buckets { "yes" } else { "no" }.to_owned(),
        row.access_keys.to_string(),
        row.user.clone(),
    ]]
}
