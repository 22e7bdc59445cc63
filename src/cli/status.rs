//! `keyfold status`: how a store and its mounts are.

use super::arguments::Global;
use super::failure::Done;
use super::output::{Printer, View, size};
use super::target;
use crate::control::{Request, Row};
use serde_json::Value;
use std::path::PathBuf;

/// Show how a store and its mounts are.
///
/// Without a store: of every store that is mounted.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  keyfold status
  keyfold status --json /srv/keyfold")]
pub(super) struct Args {
    /// A store's directory, or a path on a mount
    #[arg(value_name = "STORE")]
    place: Option<PathBuf>,
}

pub(super) fn run(args: &Args, global: &Global) -> Done {
    let stores = match (&args.place, target::named(global)?) {
        (None, None) => target::mounted()?,
        (place, _) => vec![target::store(global, place.as_deref())?],
    };
    if stores.is_empty() {
        eprintln!("no store is mounted; `keyfold status STORE` looks at one that is not");
    }
    let mut printer = Printer::new(global, View { header: &["", ""], lines });
    let mut done = Ok(());
    for store in stores {
        done = done.and(crate::node::ask(&store, &Request::Status, &mut printer));
    }
    printer.finish(done)
}

/// One line a field; nested ones under their own names.
pub(super) fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Status(status) = row else { return vec![] };
    let mut lines = Vec::new();
    flatten("", status, &mut lines);
    lines
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, lines);
            }
        }
        Value::Array(items) if name == "hindered" => items.iter().for_each(|item| lines.push(hindrance(item))),
        Value::Array(items) if name == "endpoints" => items.iter().for_each(|item| lines.push(endpoint(item))),
        Value::Array(items) if name == "mounts" => items.iter().for_each(|item| lines.push(mount(item))),
        Value::Array(items) => items.iter().for_each(|item| flatten(name, item, lines)),
        Value::Null => {}
        // What rules have not done needs no line.
        Value::Number(number) if name.starts_with("lifecycle.") && number.as_u64() == Some(0) => {}
        Value::Number(number) if is_bytes(name) => {
            lines.push(vec![name.to_owned(), number.as_u64().map_or_else(|| number.to_string(), size)]);
        }
        Value::String(text) => lines.push(vec![name.to_owned(), text.clone()]),
        other => lines.push(vec![name.to_owned(), other.to_string()]),
    }
}

fn is_bytes(name: &str) -> bool {
    name.ends_with("bytes") || (name.starts_with("space.") && !name.contains("files"))
}

fn hindrance(hindrance: &Value) -> Vec<String> {
    let text = |field: &str| hindrance.get(field).and_then(Value::as_str).unwrap_or_default();
    vec!["hindered".to_owned(), format!("{} since {}: {}", text("work"), text("since"), text("why"))]
}

fn endpoint(endpoint: &Value) -> Vec<String> {
    let text = |field: &str| endpoint.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    vec![text("serves"), text("url")]
}

fn mount(mount: &Value) -> Vec<String> {
    let text = |field: &str| mount.get(field).and_then(Value::as_str);
    let mut line = text("mountpoint").unwrap_or_default().to_owned();
    if let Some(bucket) = text("bucket") {
        line.push_str(&format!(" ({bucket}/{})", text("prefix").unwrap_or_default()));
    }
    if let Some(at) = text("as_of") {
        line.push_str(&format!(" as of {at}"));
    } else if mount.get("read_only").and_then(Value::as_bool) == Some(true) {
        line.push_str(" read-only");
    }
    vec!["mount".to_owned(), line]
}
