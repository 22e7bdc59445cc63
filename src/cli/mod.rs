//! The command line: one file a command, each an `Args` and what to do with them.
//!
//! Only here are terminals, the environment and exit statuses known. Data goes to stdout, everything else to stderr.

mod access_key;
mod analyze;
mod arguments;
mod backup;
mod bill;
mod bucket;
mod class;
mod classes;
mod completions;
mod doctor;
mod du;
mod errors;
mod events;
mod export;
mod failure;
mod fsck;
mod gc;
mod helper;
mod init;
mod legal_hold;
mod lifecycle;
mod ls;
mod man;
mod meta;
mod mfa;
mod mount;
mod output;
mod pairs;
mod presign;
mod progress;
mod protect;
mod purge;
mod rebuild;
mod restore;
mod retention;
mod scrub;
mod serve;
mod stat;
mod status;
mod tag;
mod target;
mod thaw;
mod umount;
mod undelete;
mod user;
mod vault;
mod versions;
mod zones;

use crate::sys::allocator::Allocator;
use arguments::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Runs what the command line asks for and gives the process's exit status.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if let Some(code) = helper::main(&args) {
        return code;
    }
    let Cli { global, command } = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with status 0, usage errors to stderr with 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    let done = match &command {
        Command::Init(args) => init::run(args, &global),
        Command::Mount(args) => mount::run(args, &global),
        Command::Umount(args) => umount::run(args, &global),
        Command::Serve(args) => serve::run(args, &global),
        Command::Status(args) => status::run(args, &global),
        Command::Doctor(args) => doctor::run(args, &global),
        Command::Errors(args) => errors::run(args, &global),
        Command::Bucket(args) => bucket::run(args, &global),
        Command::Ls(args) => ls::run(args, &global),
        Command::Stat(args) => stat::run(args, &global),
        Command::Du(args) => du::run(args, &global),
        Command::Versions(args) => versions::run(args, &global),
        Command::Restore(args) => restore::run(args, &global),
        Command::Undelete(args) => undelete::run(args, &global),
        Command::Purge(args) => purge::run(args, &global),
        Command::Retention(args) => retention::run(args, &global),
        Command::LegalHold(args) => legal_hold::run(args, &global),
        Command::Tag(args) => tag::run(args, &global),
        Command::Meta(args) => meta::run(args, &global),
        Command::Lifecycle(args) => lifecycle::run(args, &global),
        Command::Analyze(args) => analyze::run(args, &global),
        Command::Bill(args) => bill::run(args, &global),
        Command::Class(args) => class::run(args, &global),
        Command::Classes(args) => classes::run(args, &global),
        Command::Thaw(args) => thaw::run(args, &global),
        Command::Events(args) => events::run(args, &global),
        Command::Export(args) => export::run(args, &global),
        Command::Fsck(args) => fsck::run(args, &global),
        Command::Backup(args) => backup::run(args, &global),
        Command::Gc(args) => gc::run(args, &global),
        Command::Scrub(args) => scrub::run(args, &global),
        Command::Zones(args) => zones::run(args, &global),
        Command::User(args) => user::run(args, &global),
        Command::AccessKey(args) => access_key::run(args, &global),
        Command::Mfa(args) => mfa::run(args, &global),
        Command::Vault(args) => vault::run(args, &global),
        Command::Presign(args) => presign::run(args, &global),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => ExitCode::from(failed.tell(global.json)),
    }
}
