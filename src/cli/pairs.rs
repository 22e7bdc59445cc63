//! What `tag` and `meta` share: name-value pairs of an object.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{Attribute, Edit, Request, Row};
use std::path::Path;

/// Reads `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write it as NAME=VALUE".to_owned())?;
    if name.is_empty() { Err("the name is empty".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// The edit of a removal: of the names, or of everything.
pub(super) fn removal(names: &[String]) -> Edit {
    if names.is_empty() { Edit::Clear } else { Edit::Remove(names.to_vec()) }
}

/// Reads or changes pairs of the object that `path` names.
pub(super) fn run(global: &Global, path: &Path, attribute: Attribute, version: Option<&String>, edit: Edit) -> Done {
    let (store, target) = target::target(global, path)?;
    let view = if matches!(edit, Edit::Get(_)) { View { header: &["NAME", "VALUE"], lines } } else { View::ACTS };
    show(global, &store, &Request::Pairs { target, attribute, version: version.cloned(), edit }, view)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Pair(row) = row else { return vec![] };
    vec![vec![row.name.clone(), row.value.clone()]]
}
