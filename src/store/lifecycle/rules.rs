//! Many rules, found by keys: of a thousand only those are looked at whose prefix a key has.

use super::rule::Rule;
use std::collections::HashMap;

/// Rules in the order of their document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rules {
    all: Vec<Rule>,
    /// Their places by prefix.
    places: HashMap<String, Vec<usize>>,
    /// How long prefixes are, in bytes, each length once, ascending.
    lengths: Vec<usize>,
}

impl Rules {
    pub(super) fn new(all: Vec<Rule>) -> Self {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, rule) in all.iter().enumerate() {
            places.entry(rule.selection.prefix.clone()).or_default().push(place);
        }
        let mut lengths: Vec<_> = places.keys().map(String::len).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self { all, places, lengths }
    }

    pub(super) fn all(&self) -> &[Rule] {
        &self.all
    }

    /// Those whose prefix the key has, in order.
    pub(super) fn of(&self, key: &str) -> impl Iterator<Item = &Rule> {
        let prefixes = self.lengths.iter().map_while(|length| key.as_bytes().get(..*length));
        let prefixes = prefixes.filter_map(|prefix| std::str::from_utf8(prefix).ok());
        let mut found: Vec<usize> = prefixes.filter_map(|prefix| self.places.get(prefix)).flatten().copied().collect();
        found.sort_unstable();
        found.into_iter().filter_map(|place| self.all.get(place))
    }

    /// The prefixes of the rules that are meant, without those that have another as their own: in order, and no key has
    /// two of them.
    pub(super) fn prefixes(&self, is_meant: impl Fn(&Rule) -> bool) -> Vec<&str> {
        let meant = self.all.iter().filter(|rule| is_meant(rule));
        let mut prefixes: Vec<&str> = meant.map(|rule| rule.selection.prefix.as_str()).collect();
        prefixes.sort_unstable();
        let mut widest: Vec<&str> = Vec::new();
        for prefix in prefixes {
            if !widest.last().is_some_and(|wide| prefix.starts_with(wide)) {
                widest.push(prefix);
            }
        }
        widest
    }
}
