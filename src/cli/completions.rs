//! `keyfold completions`: for shells.

use super::arguments::Cli;
use super::failure::{Done, Failed};
use crate::model::Error;
use clap::CommandFactory;
use std::io::Write;

/// Print completions for a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold completions bash >~/.local/share/bash-completion/completions/keyfold
  keyfold completions fish >~/.config/fish/completions/keyfold.fish")]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args) -> Done {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keyfold", &mut text);
    print(&text)
}

/// Writes a whole text to stdout.
pub(super) fn print(text: &[u8]) -> Done {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failed::Gone),
        done => Ok(done.map_err(|error| Error::io("cannot write to stdout", error))?),
    }
}
