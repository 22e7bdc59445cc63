//! What `retention` and `legal-hold` share: the protection of one version.

use super::arguments::Global;
use super::failure::Done;
use super::output::{View, show};
use super::target;
use crate::control::{LockEdit, Protection, Request, Row};
use std::path::Path;

/// Reads or changes the protection of the object that `path` names.
pub(super) fn run(
    global: &Global,
    path: &Path,
    protection: Protection,
    version: Option<&String>,
    edit: LockEdit,
    bypass_governance: bool,
) -> Done {
    let (store, target) = target::target(global, path)?;
    let view = if edit == LockEdit::Get { View { header: &[], lines } } else { View::ACTS };
    let request = Request::Lock { target, version: version.cloned(), protection, edit, bypass_governance };
    show(global, &store, &request, view)
}

fn lines(row: &Row) -> Vec<Vec<String>> {
    let Row::Pair(row) = row else { return vec![] };
    vec![vec![row.value.clone()]]
}
