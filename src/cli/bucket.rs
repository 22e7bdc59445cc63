//! `keyfold bucket`: buckets, and every setting of theirs by one pattern.

mod edit;

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show, size};
use super::target;
use crate::control::{BucketRow, Request, Row};
use crate::model::{Error, Result};
use std::io::Read;
use std::path::PathBuf;

/// Longest value read from a file or stdin.
const VALUE_BYTES_MAX: u64 = 1 << 20;

/// Make, delete and look at buckets; show, set and edit their settings.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Make a bucket
    #[command(after_help = "Examples:
  keyfold bucket create photos
  keyfold bucket create --store /srv/keyfold photos
  keyfold bucket create books --object-lock")]
    Create {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// With object lock, and so with versioning, for good
        #[arg(long)]
        object_lock: bool,
    },
    /// Delete an empty bucket
    #[command(after_help = "Examples:
  keyfold bucket rm --dry-run photos
  keyfold bucket rm ~/keyfold/photos")]
    Rm {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// Only say whether it could be deleted
        #[arg(long)]
        dry_run: bool,
    },
    /// List buckets
    #[command(after_help = "Examples:
  keyfold bucket ls
  keyfold bucket ls --json --store /srv/keyfold")]
    Ls,
    /// Show a bucket with its usage and settings
    #[command(after_help = "Examples:
  keyfold bucket show photos
  keyfold bucket show --json ~/keyfold/photos")]
    Show {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
    },
    /// Print a setting
    #[command(after_help = "Examples:
  keyfold bucket get photos versioning
  keyfold bucket get photos tagging >tagging.json")]
    Get {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// The setting
        setting: String,
    },
    /// Set a setting
    #[command(after_help = "Examples:
  keyfold bucket set photos versioning Enabled
  keyfold bucket set photos tagging @tagging.json")]
    Set {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// The setting
        setting: String,
        /// A word or JSON; @FILE reads it from a file, - from stdin
        value: String,
        /// A device's serial number, a blank, and its code, for versioning with MFA delete
        #[arg(long, value_name = "SERIAL CODE")]
        mfa: Option<String>,
    },
    /// Edit a setting with $VISUAL or $EDITOR
    #[command(after_help = "Examples:
  keyfold bucket edit photos tagging
  EDITOR=nano keyfold bucket edit photos versioning
  keyfold bucket edit ~/keyfold/photos tagging")]
    Edit {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// The setting
        setting: String,
    },
    /// Remove a setting
    #[command(after_help = "Examples:
  keyfold bucket unset photos tagging
  keyfold bucket unset ~/keyfold/photos lifecycle")]
    Unset {
        /// Its name, or its path on a mount
        #[arg(value_name = "BUCKET")]
        bucket: PathBuf,
        /// The setting
        setting: String,
    },
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    match &args.verb {
        Verb::Create { bucket, object_lock } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            show(global, &store, &Request::BucketCreate { bucket, object_lock: *object_lock }, View::ACTS)
        }
        Verb::Rm { bucket, dry_run } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            show(global, &store, &Request::BucketDelete { bucket, dry_run: *dry_run }, View::ACTS)
        }
        Verb::Ls => {
            let header = &["CREATED", "VERSIONING", ">OBJECTS", ">SIZE", ">NONCURRENT", ">SIZE", "BUCKET"];
            show(global, &target::store(global, None)?, &Request::Buckets, View { header, lines: listed })
        }
        Verb::Show { bucket } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            show(global, &store, &Request::BucketShow { bucket }, View { header: &["", ""], lines: shown })
        }
        Verb::Get { bucket, setting } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            let request = Request::SettingGet { bucket, setting: setting.clone() };
            show(global, &store, &request, View { header: &[], lines: value })
        }
        Verb::Set { bucket, setting, value, mfa } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            let value = Some(read(value)?);
            let request = Request::SettingSet { bucket, setting: setting.clone(), value, mfa: mfa.clone() };
            show(global, &store, &request, View::ACTS)
        }
        Verb::Edit { bucket, setting } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            edit::run(global, &store, &bucket, setting)
        }
        Verb::Unset { bucket, setting } => {
            let (store, bucket) = target::bucket(global, bucket)?;
            let request = Request::SettingSet { bucket, setting: setting.clone(), value: None, mfa: None };
            show(global, &store, &request, View::ACTS)
        }
    }
}

/// A value as it stands, or from a file.
fn read(value: &str) -> Result<String> {
    let mut text = String::new();
    let (name, read) = match value.strip_prefix('@') {
        Some(file) => {
            (file, std::fs::File::open(file).and_then(|file| file.take(VALUE_BYTES_MAX).read_to_string(&mut text)))
        }
        None if value == "-" => ("stdin", std::io::stdin().take(VALUE_BYTES_MAX).read_to_string(&mut text)),
        None => return Ok(value.to_owned()),
    };
    read.map_err(|error| Error::io(format!("cannot read the value from {name}"), error))?;
    Ok(text)
}

fn listed(row: &Row) -> Vec<Vec<String>> {
    let Row::Bucket(row) = row else { return vec![] };
    let bytes = |bytes: i64| size(u64::try_from(bytes).unwrap_or(0));
    vec![vec![
        row.created.clone(),
        row.versioning.clone(),
        row.objects.to_string(),
        bytes(row.bytes),
        row.noncurrent.to_string(),
        bytes(row.noncurrent_bytes),
        row.bucket.clone(),
    ]]
}

fn shown(row: &Row) -> Vec<Vec<String>> {
    let Row::Bucket(row) = row else { return vec![] };
    let bytes = |bytes: i64| size(u64::try_from(bytes).unwrap_or(0));
    let line = |name: &str, value: String| vec![name.to_owned(), value];
    let mut lines = vec![
        line("bucket", row.bucket.clone()),
        line("created", row.created.clone()),
        line("versioning", row.versioning.clone()),
        line("objects", format!("{} ({})", row.objects, bytes(row.bytes))),
        line("noncurrent", format!("{} ({})", row.noncurrent, bytes(row.noncurrent_bytes))),
        line("delete markers", row.markers.to_string()),
        line("uploads", format!("{} ({})", row.uploads, bytes(row.upload_bytes))),
        line("quota", row.quota.map_or_else(|| "none".to_owned(), |quota| quota_line(row, quota))),
    ];
    for class in row.classes.iter().flatten() {
        let current = format!("{} ({})", class.objects, bytes(class.bytes));
        let older = format!(", noncurrent {} ({})", class.noncurrent, bytes(class.noncurrent_bytes));
        lines.push(line(&class.class, if class.noncurrent == 0 { current } else { current + &older }));
    }
    if row.classes.is_none() {
        lines.push(line("classes", "not counted yet".to_owned()));
    }
    lines.push(line("settings", if row.settings.is_empty() { "none".to_owned() } else { row.settings.join(", ") }));
    lines
}

/// The quota, and how much of it is used.
fn quota_line(row: &BucketRow, quota: u64) -> String {
    let held = [row.bytes, row.noncurrent_bytes, row.upload_bytes].map(|bytes| u64::try_from(bytes).unwrap_or(0));
    format!("{} ({} used)", size(quota), size(held.into_iter().fold(0, u64::saturating_add)))
}

/// A setting's value may have lines of its own, and goes out as it is.
fn value(row: &Row) -> Vec<Vec<String>> {
    let Row::Setting(row) = row else { return vec![] };
    row.value.trim_end().lines().map(|line| vec![line.to_owned()]).collect()
}
