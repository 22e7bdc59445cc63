//! The commands and the options they share.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// An object store with S3's semantics that you mount.
///
/// A store is a directory; mounted, its buckets are directories and its objects files. Every command takes paths on a
/// mount or `bucket/key`, and talks to the process that serves the store, or opens the store itself when none does.
///
/// Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 denied or locked, 5 conflict, 6 store not available,
/// 7 damage found.
#[derive(Parser, Debug)]
#[command(
    name = "keyfold",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  keyfold mount ~/.local/share/keyfold/store ~/keyfold
  keyfold versions ~/keyfold/photos/cat.jpg"
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Args, Debug, Clone)]
pub(super) struct Global {
    /// The store's directory; then names are bucket/key. [env: KEYFOLD_STORE]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) store: Option<PathBuf>,
    /// Print JSON: one object a line.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    Init(super::init::Args),
    Mount(super::mount::Args),
    #[command(alias = "unmount")]
    Umount(super::umount::Args),
    Serve(super::serve::Args),
    Status(super::status::Args),
    Doctor(super::doctor::Args),
    Errors(super::errors::Args),
    Bucket(super::bucket::Args),
    Ls(super::ls::Args),
    Stat(super::stat::Args),
    Du(super::du::Args),
    Versions(super::versions::Args),
    Restore(super::restore::Args),
    Undelete(super::undelete::Args),
    Purge(super::purge::Args),
    Retention(super::retention::Args),
    LegalHold(super::legal_hold::Args),
    Tag(super::tag::Args),
    Meta(super::meta::Args),
    Lifecycle(super::lifecycle::Args),
    Analyze(super::analyze::Args),
    Bill(super::bill::Args),
    Class(super::class::Args),
    Classes(super::classes::Args),
    Thaw(super::thaw::Args),
    Events(super::events::Args),
    Export(super::export::Args),
    Fsck(super::fsck::Args),
    Backup(super::backup::Args),
    Gc(super::gc::Args),
    Scrub(super::scrub::Args),
    Zones(super::zones::Args),
    User(super::user::Args),
    AccessKey(super::access_key::Args),
    Mfa(super::mfa::Args),
    Vault(super::vault::Args),
    Presign(super::presign::Args),
    Completions(super::completions::Args),
    Man(super::man::Args),
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed_and_each_shows_two_examples() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        let mut open: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
        while let Some(command) = open.pop() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let below: Vec<_> = command.get_subcommands().filter(|command| command.get_name() != "help").collect();
            if below.is_empty() {
                let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(examples.matches("\n  keyfold ").count() >= 2, "{}: {examples}", command.get_name());
            }
            open.extend(below);
        }
    }
}
