//! The mount helper: `/sbin/mount.keyfold`, and `keyfold STORE DIR -o ...` as mount.fuse3 calls it.

use super::arguments::Cli;
use super::failure::in_words;
use crate::model::{Error, Kind, Result};
use crate::node::{Plan, Replace, Start, check_options};
use clap::CommandFactory;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

/// Statuses of mount(8).
const USAGE: u8 = 1;
const SYSTEM: u8 = 2;
const FAILED: u8 = 32;

/// What mount(8) said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Call {
    store: OsString,
    dir: OsString,
    options: Vec<String>,
    fake: bool,
    verbose: bool,
}

/// Mounts when the program is called as a mount helper; nothing otherwise.
pub(super) fn main(args: &[OsString]) -> Option<ExitCode> {
    let (name, rest) = args.split_first()?;
    let name = Path::new(name).file_name().unwrap_or_default().to_string_lossy();
    if !name.starts_with("mount.") && !is_bare(rest) {
        return None;
    }
    let call = match parse(rest) {
        Ok(call) => call,
        Err(error) => {
            eprintln!("{}", in_words(&error));
            return Some(ExitCode::from(USAGE));
        }
    };
    Some(match mount(&call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", in_words(&error));
            ExitCode::from(match error.kind() {
                Kind::InvalidArgument | Kind::Unsupported => USAGE,
                Kind::Io | Kind::Full => SYSTEM,
                _ => FAILED,
            })
        }
    })
}

fn mount(call: &Call) -> Result<()> {
    if call.fake {
        return check_options(&call.options).map(|_| ());
    }
    let plan = Plan::new(Path::new(&call.store), Path::new(&call.dir), call.options.clone(), Some(Replace::Dead))?;
    crate::node::mount(&plan, Start::Background, |row| {
        if call.verbose {
            println!("mounted {} at {}", plan.store.display(), row.mountpoint.display());
        }
    })
}

/// `STORE DIR ...`: two names, the first a path and no command.
fn is_bare(rest: &[OsString]) -> bool {
    let [first, second, ..] = rest else { return false };
    let dashed = |arg: &OsStr| arg.as_encoded_bytes().starts_with(b"-");
    let is_command =
        first.to_str().is_some_and(|name| Cli::command().find_subcommand(name).is_some() || name == "help");
    let is_path = first.as_encoded_bytes().contains(&b'/') || Path::new(first).is_dir();
    !dashed(first) && !dashed(second) && !is_command && is_path
}

/// `STORE DIR [-sfnv] [-N NS] [-o OPTIONS] [-t TYPE]`; `-f` is mount(8)'s `--fake`.
fn parse(rest: &[OsString]) -> Result<Call> {
    let mut call = Call::default();
    let mut places = Vec::new();
    let mut args = rest.iter();
    while let Some(arg) = args.next() {
        let text = arg.to_str();
        match text.and_then(|text| text.strip_prefix('-')).filter(|flags| !flags.is_empty()) {
            Some(flags) if flags.starts_with(['o', 'N', 't']) => {
                let (flag, attached) = flags.split_at(1);
                let value =
                    if attached.is_empty() { args.next().and_then(|next| next.to_str()) } else { Some(attached) };
                let value = value.ok_or_else(|| usage(format!("-{flag} needs a value")))?;
                if flag == "o" {
                    call.options.push(value.to_owned());
                }
            }
            Some(flags) => {
                for flag in flags.chars() {
                    match flag {
                        'f' => call.fake = true,
                        'v' => call.verbose = true,
                        // No mtab to write; unknown options are always an error, sloppy or not.
                        's' | 'n' => {}
                        _ => return Err(usage(format!("-{flag} is not known"))),
                    }
                }
            }
            None => places.push(arg.clone()),
        }
    }
    let [store, dir] = <[OsString; 2]>::try_from(places)
        .map_err(|places| usage(format!("{} names are given, a store and a directory are needed", places.len())))?;
    (call.store, call.dir) = (store, dir);
    Ok(call)
}

fn usage(why: String) -> Error {
    Error::new(Kind::InvalidArgument, "cannot mount").why(why).mend("mount -t fuse.keyfold STORE DIR -o OPTIONS")
}

#[cfg(test)]
mod tests {
    use super::{Call, is_bare, parse};
    use std::ffi::OsString;

    fn args(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn mount_8_is_understood() {
        let call = parse(&args("/srv/store /mnt/x -sn -v -o rw,noatime -o bucket=abc -t fuse.keyfold -N 7")).unwrap();
        let options = vec!["rw,noatime".to_owned(), "bucket=abc".to_owned()];
        let want = Call { store: "/srv/store".into(), dir: "/mnt/x".into(), options, fake: false, verbose: true };
        assert_eq!(call, want);
        assert!(parse(&args("-f /srv/store /mnt/x")).unwrap().fake);
        assert_eq!(parse(&args("/srv/store -oro /mnt/x")).unwrap().options, ["ro"]);
        for bad in ["/srv/store", "/srv/store /mnt/x /mnt/y", "/srv/store /mnt/x -o", "/srv/store /mnt/x -q"] {
            assert!(parse(&args(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_bare_form_is_told_from_commands() {
        assert!(is_bare(&args("/srv/store /mnt/x -o ro")));
        assert!(is_bare(&args("./store x")));
        for command in ["ls /mnt/x", "help ls", "--store /x", "/srv/store", "lss /mnt/x", "/srv/store --help"] {
            assert!(!is_bare(&args(command)), "{command}");
        }
    }
}
