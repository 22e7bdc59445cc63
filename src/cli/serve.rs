//! `keyfold serve`: serves a store over the S3 API, without a mount.

use super::arguments::Global;
use super::failure::Done;
use crate::config::parse_address;
use std::io::Write;
use std::path::PathBuf;

/// Serve a store over S3's HTTP API.
///
/// Stays until SIGTERM or SIGINT, lets requests that run end, and logs to stderr. A store that is absent is made first.
/// Requests are signed with access keys: `keyfold access-key create`. To serve a store that is mounted, mount it with
/// `-o s3=IP:PORT`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold serve ~/.local/share/keyfold/store
  keyfold serve /srv/keyfold --s3 0.0.0.0:9000")]
pub(super) struct Args {
    /// The store's directory
    #[arg(value_name = "STORE")]
    dir: PathBuf,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9000")]
    s3: String,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let address = parse_address(&args.s3)?;
    crate::node::serve_s3(&args.dir, address, |address| {
        let endpoint = format!("http://{address}");
        let line = if global.json {
            serde_json::json!({ "store": args.dir, "endpoint": endpoint }).to_string()
        } else {
            format!("serving {} at {endpoint}", args.dir.display())
        };
        // It serves whether or not anybody reads this.
        let _ = writeln!(std::io::stdout(), "{line}");
    })?;
    Ok(())
}
