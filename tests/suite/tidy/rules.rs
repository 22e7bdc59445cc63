//! The rule book: each rule has a test that names it, or a line in `tests/RULES.md` that says why none can.

use super::source::{Finding, Source};
use std::collections::{BTreeMap, BTreeSet};

type Rule = (String, u32);

/// Rules of `areas`, each an area and how many rules it has, that neither a test names nor the page explains; and lines of
/// the page that explain what has a test, what is no rule, or nothing.
pub fn unproven(areas: &[(&str, u32)], page: &Source, sources: &[Source]) -> Vec<Finding> {
    let proven: BTreeSet<Rule> = sources.iter().flat_map(|source| named(areas, &tests_of(source))).collect();
    let mut explained = BTreeMap::new();
    let mut findings = vec![];
    for (line, text) in (1..).zip(page.text.lines()) {
        let mut cells = text.split('|').map(str::trim).skip(1);
        let (Some(rule), Some(why)) = (cells.next(), cells.next()) else { continue };
        let rules = named(areas, rule);
        if rules.is_empty() {
            continue;
        }
        if why.is_empty() {
            findings.push(page.finding(line, format!("nothing is said of {rule}")));
        }
        for rule in rules {
            let (area, number) = &rule;
            if proven.contains(&rule) {
                findings.push(page.finding(line, format!("{area}-{number} has a test: take it out")));
            }
            explained.insert(rule, line);
        }
    }
    for (area, count) in areas {
        for number in 1..=*count {
            let rule = ((*area).to_owned(), number);
            if !proven.contains(&rule) && !explained.contains_key(&rule) {
                findings.push(page.finding(1, format!("{area}-{number} has no test that names it and no line here")));
            }
        }
    }
    findings
}

/// What of a file is tests: all of it where tests live, else what follows its tests' attribute.
fn tests_of(source: &Source) -> String {
    let path = source.path.to_string_lossy();
    let whole = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
    let text = match whole {
        _ if path.starts_with("tests/suite/tidy") => "",
        true => &source.text,
        false => source.text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests),
    };
    text.to_owned()
}

/// Rules that a text names: `LC-7`, `LC-1 to LC-6`, `fn lc_7_`, `fn lc_1_to_lc_6`.
fn named(areas: &[(&str, u32)], text: &str) -> BTreeSet<Rule> {
    let mut out = BTreeSet::new();
    for (area, count) in areas {
        let small = area.to_lowercase();
        for (start, dash, to) in [(*area, '-', " to "), (small.as_str(), '_', "_to_")] {
            let mut end: Option<(usize, u32)> = None;
            for (at, _) in text.match_indices(start) {
                let before = text[..at].chars().next_back();
                let apart = !before.is_some_and(|c| c.is_alphanumeric() || (dash == '-' && (c == '-' || c == '_')));
                let Some(rest) = text[at + start.len()..].strip_prefix(dash).filter(|_| apart) else { continue };
                let digits = rest.chars().take_while(char::is_ascii_digit).count();
                let Ok(number) = rest[..digits].parse::<u32>() else { continue };
                let from = match end {
                    Some((last, first)) if text[last..at] == *to => first,
                    _ => number,
                };
                out.extend(
                    (from..=number).filter(|number| (1..=*count).contains(number)).map(|n| ((*area).to_owned(), n)),
                );
                end = Some((at + start.len() + 1 + digits, number));
            }
        }
    }
    out
}
