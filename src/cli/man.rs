//! `keyfold man`: manual pages.

use super::arguments::Cli;
use super::completions::print;
use super::failure::Done;
use crate::model::{Error, Kind};
use clap::CommandFactory;
use std::path::PathBuf;

/// Print the manual page of a command, or write all pages.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold man mount | man -l -
  keyfold man --dir ~/.local/share/man/man1")]
pub(super) struct Args {
    /// The command: `mount`, `bucket set`; without one: keyfold itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Vec<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Done {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    if let Some(dir) = &args.dir {
        let failed = |error| Error::io(format!("cannot write manual pages to {}", dir.display()), error);
        std::fs::create_dir_all(dir).map_err(failed)?;
        clap_mangen::generate_to(root, dir).map_err(failed)?;
        return Ok(());
    }
    let mut command = &root;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Error::new(Kind::InvalidArgument, format!("there is no command {:?}", args.command.join(" ")))
                .mend("`keyfold help` lists the commands")
        })?;
    }
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone());
    page.render(&mut text).map_err(|error| Error::io("cannot render the manual page", error))?;
    print(&text)
}
