//! `keyfold vault`: archives that nobody can overwrite, under policies that can be locked for good.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row, VaultRequest, VaultRow};
use crate::model::Error;
use std::path::{Path, PathBuf};

/// Keep archives in vaults, whose policies can be locked for good.
///
/// An archive has an id and no name, is never overwritten, and is deleted only as the policies of its vault allow. No mount and no S3
/// client sees it.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Make a vault
    #[command(after_help = "Examples:
  keyfold vault create ledgers
  keyfold vault create ledgers --store /srv/keyfold")]
    Create {
        /// What to call it: as buckets are named, 57 characters at most
        #[arg(value_name = "VAULT")]
        vault: String,
    },
    /// Delete a vault that is empty, and was at the last midnight (UTC)
    #[command(after_help = "Examples:
  keyfold vault rm --dry-run ledgers
  keyfold vault rm ledgers")]
    Rm {
        /// Its name
        #[arg(value_name = "VAULT")]
        vault: String,
        /// Only say whether it could be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// List vaults, or the archives of one
    #[command(after_help = "Examples:
  keyfold vault ls
  keyfold vault ls ledgers --json")]
    Ls {
        /// The vault whose archives to list
        #[arg(value_name = "VAULT")]
        vault: Option<String>,
    },
    /// Show a vault with its policies
    #[command(after_help = "Examples:
  keyfold vault show ledgers
  keyfold vault show ledgers --json | jq -r .lock_policy")]
    Show {
        /// Its name
        #[arg(value_name = "VAULT")]
        vault: String,
    },
    /// Put a file into a vault as an archive
    #[command(after_help = "Examples:
  keyfold vault put ledgers 2026.tar.zst
  keyfold vault put ledgers 2026.tar.zst --description 'books of 2026'")]
    Put {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What to say of it: 1,024 printable ASCII characters at most
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// Write an archive into a new file
    #[command(after_help = "Examples:
  keyfold vault get ledgers ARCHIVE /tmp/2026.tar.zst
  keyfold vault get ledgers ARCHIVE /tmp/2026.tar.zst --json")]
    Get {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// The archive's id
        #[arg(value_name = "ARCHIVE")]
        archive: String,
        /// The file to make
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Delete an archive, if the vault's policies let that be
    #[command(after_help = "Examples:
  keyfold vault delete --dry-run ledgers ARCHIVE
  keyfold vault delete ledgers ARCHIVE")]
    Delete {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// The archive's id
        #[arg(value_name = "ARCHIVE")]
        archive: String,
        /// Only say whether it could be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// Set and remove tags of a vault, which its policies may look at
    #[command(after_help = "Examples:
  keyfold vault tag ledgers LegalHold=true
  keyfold vault tag ledgers --rm LegalHold")]
    Tag {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// Tags to set
        #[arg(value_name = "KEY=VALUE", value_parser = super::pairs::pair)]
        set: Vec<(String, String)>,
        /// Keys of tags to remove
        #[arg(long = "rm", value_name = "KEY")]
        remove: Vec<String>,
    },
    /// Set or remove a vault's access policy, which can be changed at any time
    #[command(after_help = "Examples:
  keyfold vault policy ledgers policy.json
  keyfold vault policy ledgers --rm")]
    Policy {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// The policy; `-` for stdin
        #[arg(value_name = "FILE", required_unless_present = "remove", conflicts_with = "remove")]
        file: Option<PathBuf>,
        /// Remove it
        #[arg(long = "rm")]
        remove: bool,
    },
    /// Lock a vault under a policy for good, in two steps
    Lock(LockArgs),
}

#[derive(clap::Args, Debug)]
struct LockArgs {
    #[command(subcommand)]
    verb: LockVerb,
}

#[derive(clap::Subcommand, Debug)]
enum LockVerb {
    /// Put a lock's policy in force for a trial of 24 hours, and print the id that completes it
    #[command(after_help = "Examples:
  keyfold vault lock init ledgers --policy worm.json
  keyfold vault lock init ledgers --policy worm.json --json | jq -r .lock_id")]
    Init {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// The policy; `-` for stdin
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
    },
    /// Complete a lock: from then on nobody can change or remove its policy
    #[command(after_help = "Examples:
  keyfold vault lock complete ledgers ID
  keyfold vault lock complete ledgers ID --store /srv/keyfold")]
    Complete {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
        /// What `lock init` printed
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Give up a lock that is not complete
    #[command(after_help = "Examples:
  keyfold vault lock abort ledgers
  keyfold vault lock abort ledgers --store /srv/keyfold")]
    Abort {
        /// The vault
        #[arg(value_name = "VAULT")]
        vault: String,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let store = target::store(global, None)?;
    let (request, view) = request(&args.verb)?;
    show(global, &store, &Request::Vault(request), view)
}

fn request(verb: &Verb) -> Result<(VaultRequest, View), Error> {
    const ARCHIVES: View = View { header: &["CREATED", ">BYTES", "ARCHIVE", "DESCRIPTION"], lines: archive };
    const LINES: View = View { header: &[], lines };
    Ok(match verb {
        Verb::Create { vault } => (VaultRequest::Create { vault: vault.clone() }, View::ACTS),
        Verb::Rm { vault, dry_run } => (VaultRequest::Delete { vault: vault.clone(), dry_run: *dry_run }, View::ACTS),
        Verb::Ls { vault: None } => {
            let view = View { header: &["CREATED", ">ARCHIVES", ">BYTES", "LOCK", "VAULT"], lines: listed };
            (VaultRequest::List, view)
        }
        Verb::Ls { vault: Some(vault) } => (VaultRequest::Archives { vault: vault.clone() }, ARCHIVES),
        Verb::Show { vault } => (VaultRequest::Show { vault: vault.clone() }, LINES),
        Verb::Put { vault, file, description } => {
            let (vault, description) = (vault.clone(), description.clone());
            (VaultRequest::Upload { vault, from: whole(file)?, description }, ARCHIVES)
        }
        Verb::Get { vault, archive, file } => {
            let (vault, archive) = (vault.clone(), archive.clone());
            (VaultRequest::Download { vault, archive, to: target::absolute(file)? }, ARCHIVES)
        }
        Verb::Delete { vault, archive, dry_run } => {
            let (vault, archive) = (vault.clone(), archive.clone());
            (VaultRequest::DeleteArchive { vault, archive, dry_run: *dry_run }, View::ACTS)
        }
        Verb::Tag { vault, set, remove } => {
            (VaultRequest::Tag { vault: vault.clone(), set: set.clone(), remove: remove.clone() }, LINES)
        }
        Verb::Policy { vault, file, .. } => {
            let policy = file.as_deref().map(text).transpose()?;
            (VaultRequest::Policy { vault: vault.clone(), policy }, View::ACTS)
        }
        Verb::Lock(LockArgs { verb }) => match verb {
            LockVerb::Init { vault, policy } => {
                (VaultRequest::LockInitiate { vault: vault.clone(), policy: text(policy)? }, LINES)
            }
            LockVerb::Complete { vault, id } => {
                (VaultRequest::LockComplete { vault: vault.clone(), id: id.clone() }, View::ACTS)
            }
            LockVerb::Abort { vault } => (VaultRequest::LockAbort { vault: vault.clone() }, View::ACTS),
        },
    })
}

/// A file that is there, by a path that means the same to another process.
fn whole(path: &Path) -> Result<PathBuf, Error> {
    std::fs::canonicalize(path).map_err(|error| Error::io(format!("cannot find {}", path.display()), error))
}

/// A document from a file, or from stdin.
fn text(path: &Path) -> Result<String, Error> {
    let read =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.map_err(|error| Error::io(format!("cannot read {}", path.display()), error))
}

fn listed(row: &Row) -> Vec<Vec<String>> {
    let Row::Vault(row) = row else { return vec![] };
    let lock = row.lock.clone().unwrap_or_else(|| "-".to_owned());
    vec![vec![row.created.clone(), row.archives.to_string(), row.bytes.to_string(), lock, row.vault.clone()]]
}

fn archive(row: &Row) -> Vec<Vec<String>> {
    let Row::VaultArchive(row) = row else { return vec![] };
    vec![vec![row.created.clone(), row.bytes.to_string(), row.archive.clone(), row.description.clone()]]
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let line = |name: &str, value: String| vec![format!("{name}:"), value];
    match row {
        Row::VaultLock(row) => {
            vec![
                line("vault", row.vault.clone()),
                line("lock id", row.lock_id.clone()),
                line("expires", row.expires.clone()),
            ]
        }
        Row::Vault(row) => shown(row),
        _ => vec![],
    }
}

fn shown(row: &VaultRow) -> Vec<Vec<String>> {
    let line = |name: &str, value: String| vec![format!("{name}:"), value];
    let mut lines = vec![
        line("vault", row.vault.clone()),
        line("arn", row.arn.clone()),
        line("created", row.created.clone()),
        line("archives", row.archives.to_string()),
        line("bytes", row.bytes.to_string()),
    ];
    let inventory = row.inventory.as_ref();
    lines.extend(
        inventory.map(|(at, archives, bytes)| line("inventory", format!("{at}: {archives} archives, {bytes} bytes"))),
    );
    let tag = |(key, value): (&String, &String)| line("tag", format!("{key}={value}"));
    lines.extend(row.tags.iter().map(tag));
    lines.extend(row.lock.as_ref().map(|lock| line("lock", lock.clone())));
    lines.extend(row.lock_expires.as_ref().map(|expires| line("lock expires", expires.clone())));
    lines.extend(row.lock_policy.as_ref().map(|policy| line("lock policy", policy.trim().to_owned())));
    lines.extend(row.policy.as_ref().map(|policy| line("access policy", policy.trim().to_owned())));
    lines
}
