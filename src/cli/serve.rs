//! `keyfold serve`: serves a store over the S3 API, without a mount.

use super::arguments::Global;
use super::failure::Done;
use crate::config::{EndpointSettings, parse_address, parse_local_address};
use std::io::Write;
use std::path::PathBuf;

/// Serve a store over S3's HTTP API.
///
/// Stays until SIGTERM or SIGINT, lets requests that run end, and logs to stderr. A store that is absent is made first.
/// Requests are signed with access keys: `keyfold access-key create`. With a certificate the endpoint speaks TLS; the
/// files are read anew when they change. To serve a store that is mounted, mount it with `-o s3=IP:PORT`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold serve ~/.local/share/keyfold/store
  keyfold serve /srv/keyfold --s3 0.0.0.0:9000 --s3-cert cert.pem --s3-key key.pem
  keyfold serve /srv/keyfold --admin 127.0.0.1:9001   # curl 127.0.0.1:9001/-/metrics, /-/health, /-/ready")]
pub(super) struct Args {
    /// The store's directory
    #[arg(value_name = "STORE")]
    dir: PathBuf,
    /// Where to listen; port 0 is any that is free
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9000")]
    s3: String,
    /// The endpoint's certificate in PEM, and those up to its authority
    #[arg(long, value_name = "FILE", requires = "s3_key")]
    s3_cert: Option<PathBuf>,
    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "s3_cert")]
    s3_key: Option<PathBuf>,
    /// Where to tell metrics, health and readiness, on this machine only
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<String>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let settings = EndpointSettings {
        s3: Some(parse_address(&args.s3)?),
        certificate: args.s3_cert.clone(),
        key: args.s3_key.clone(),
        admin: args.admin.as_deref().map(parse_local_address).transpose()?,
    };
    crate::node::serve_s3(&args.dir, &settings, |served| {
        let endpoint = served.s3.clone().unwrap_or_default();
        let line = if global.json {
            serde_json::json!({ "store": args.dir, "endpoint": endpoint, "admin": served.admin }).to_string()
        } else {
            let admin = served.admin.as_ref().map(|admin| format!(", tells of itself at {admin}")).unwrap_or_default();
            format!("serving {} at {endpoint}{admin}", args.dir.display())
        };
        // It serves whether or not anybody reads this.
        let _ = writeln!(std::io::stdout(), "{line}");
    })?;
    Ok(())
}
