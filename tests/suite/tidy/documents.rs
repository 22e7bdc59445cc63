//! Documents name tests and modules of tests: each of them is there.

use super::source::{Finding, Source};
use std::collections::BTreeSet;

/// Stands for any part of a name.
const ANY: &str = "...";
/// From so many underscores on, a word without a module before it is a test's name too.
const UNDERSCORES: usize = 2;

/// Tests and modules that a document names in backquotes, also within a command, and that no source has. A name may begin
/// at any module, as filters of tests do.
pub fn missing_tests(document: &Source, sources: &[Source]) -> Vec<Finding> {
    let there: BTreeSet<String> = sources.iter().flat_map(Source::places).collect();
    let mut findings = vec![];
    for (line, text) in (1..).zip(document.text.lines()) {
        let quoted = text.split('`').skip(1).step_by(2);
        for word in quoted.flat_map(str::split_whitespace).filter(|word| is_name(word)) {
            if !there.iter().any(|place| is_of(word, place)) {
                findings.push(document.finding(line, format!("no test and no module is called `{word}`")));
            }
        }
    }
    findings
}

fn is_name(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:.".contains(c));
    plain && (word.contains("::") || word.matches('_').count() >= UNDERSCORES)
}

/// Whether a name is that of a place, from any of its modules on.
fn is_of(name: &str, place: &str) -> bool {
    let (name, mut rest) = (name.trim_end_matches("::"), place);
    loop {
        let same = match name.split_once(ANY) {
            Some((first, last)) => {
                rest.len() >= first.len() + last.len() && rest.starts_with(first) && rest.ends_with(last)
            }
            None => rest == name,
        };
        match rest.split_once("::") {
            _ if same => return true,
            Some((_, below)) => rest = below,
            None => return false,
        }
    }
}
