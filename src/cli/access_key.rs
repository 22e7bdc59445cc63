//! `keyfold access-key`: what requests to the S3 API are signed with.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};

/// Make, list, disable, enable and delete access keys of the S3 API.
///
/// A key is an id and a secret. The secret is shown once, when the key is made.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Make an access key and show its secret, once
    #[command(after_help = "Examples:
  keyfold access-key create
  keyfold access-key create --user anna --json >anna.json")]
    Create {
        /// Whose; without, the store's owner's
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// List access keys
    #[command(after_help = "Examples:
  keyfold access-key list
  keyfold access-key list --user anna")]
    List {
        /// Only this user's
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Refuse what is signed with an access key, presigned URLs too
    #[command(after_help = "Examples:
  keyfold access-key disable KF3X7QDB2ZK5JVNAMCHU
  keyfold access-key disable --store /srv/keyfold KF3X7QDB2ZK5JVNAMCHU")]
    Disable {
        /// The key's id
        #[arg(value_name = "ID")]
        access_key: String,
    },
    /// Take again what is signed with an access key
    #[command(after_help = "Examples:
  keyfold access-key enable KF3X7QDB2ZK5JVNAMCHU
  keyfold access-key enable --store /srv/keyfold KF3X7QDB2ZK5JVNAMCHU")]
    Enable {
        /// The key's id
        #[arg(value_name = "ID")]
        access_key: String,
    },
    /// Delete an access key for good
    #[command(after_help = "Examples:
  keyfold access-key delete --dry-run KF3X7QDB2ZK5JVNAMCHU
  keyfold access-key delete KF3X7QDB2ZK5JVNAMCHU")]
    Delete {
        /// The key's id
        #[arg(value_name = "ID")]
        access_key: String,
        /// Only say whether it could be deleted
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, None)?;
    match &args.verb {
        Verb::Create { user } => {
            let request = Request::AccessKeyCreate { user: user.clone() };
            show(global, &store, &request, View { header: &[], lines: made })
        }
        Verb::List { user } => {
            let view = View { header: &["CREATED", "ACCESS KEY", "STATE", "USER"], lines: listed };
            show(global, &store, &Request::AccessKeys { user: user.clone() }, view)
        }
        Verb::Disable { access_key } => {
            let request = Request::AccessKeyEnable { access_key: access_key.clone(), enabled: false };
            show(global, &store, &request, View::ACTS)
        }
        Verb::Enable { access_key } => {
            let request = Request::AccessKeyEnable { access_key: access_key.clone(), enabled: true };
            show(global, &store, &request, View::ACTS)
        }
        Verb::Delete { access_key, dry_run } => {
            let request = Request::AccessKeyDelete { access_key: access_key.clone(), dry_run: *dry_run };
            show(global, &store, &request, View::ACTS)
        }
    }
}

/// An access key that was made, its secret with it.
pub(super) fn made(row: &Row) -> Vec<Vec<String>> {
    let Row::AccessKey(row) = row else { return vec![] };
    let line = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let secret = row.secret.as_ref().map(|secret| line("secret access key:", secret.expose()));
    [line("access key id:", &row.access_key)].into_iter().chain(secret).collect()
}

fn listed(row: &Row) -> Vec<Vec<String>> {
    let Row::AccessKey(row) = row else { return vec![] };
    vec![vec![
        row.created.clone(),
        row.access_key.clone(),
        if row.enabled { "enabled" } else { "disabled" }.to_owned(),
        row.user.clone().unwrap_or_else(|| "(owner)".to_owned()),
    ]]
}
