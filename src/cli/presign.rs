//! `keyfold presign`: a URL that lets whoever holds it read or write one object.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Request, Row};
use crate::model::parse_duration;
use crate::model::{Error, Kind, Result};
use std::path::PathBuf;

/// Print a URL that reads or writes one object over the S3 API, without further proof, until it expires.
///
/// Whoever holds it may do what its signer may at the time of use, as often as they like. It ends to hold before its time
/// when its access key is disabled or deleted.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold presign photos/cat.jpg --endpoint http://127.0.0.1:9000
  keyfold presign --put --expires 7d --access-key KF3X7QDB2ZK5JVNAMCHU photos/new.jpg --endpoint https://s3.example.org")]
pub(super) struct Args {
    /// A path on a mount, or bucket/key; the object need not be there
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Write the object instead of reading it
    #[arg(long)]
    put: bool,
    /// How long it holds, up to 7d: seconds, or a number and m, h or d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    expires: String,
    /// Read this version instead of the current one
    #[arg(long, value_name = "ID", conflicts_with = "put")]
    version: Option<String>,
    /// Sign with this access key instead of the owner's oldest
    #[arg(long, value_name = "ID")]
    access_key: Option<String>,
    /// Where the S3 API is served: http://HOST:PORT or https://HOST
    #[arg(long, value_name = "URL", env = "KEYFOLD_ENDPOINT")]
    endpoint: String,
    /// The region that clients sign for
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    region: String,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let (store, target) = target::target(global, &args.path)?;
    let request = Request::Presign {
        target,
        version: args.version.clone(),
        put: args.put,
        expires: seconds(&args.expires)?,
        endpoint: args.endpoint.clone(),
        region: args.region.clone(),
        access_key: args.access_key.clone(),
    };
    show(global, &store, &request, View { header: &[], lines })
}

/// `3600`, as other tools have it, or `1h`.
fn seconds(text: &str) -> Result<u64> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let time = parse_duration(text)?;
    if time.subsec_nanos() == 0 {
        return Ok(time.as_secs());
    }
    Err(Error::new(Kind::InvalidArgument, format!("cannot use the time {text:?}"))
        .why("a URL holds for whole seconds")
        .mend("write it like 90s or 1h"))
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Url(row) = row else { return vec![] };
    vec![vec![row.url.clone()]]
}
