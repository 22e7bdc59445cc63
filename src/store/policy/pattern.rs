//! Patterns with `*` and `?`, which mean any characters, `/` and `:` among them (IAM-8).

/// Whether a pattern means a text as a whole. Takes time in proportion to the product of both at most.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last star, and the text it has taken up to.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some('*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(one), _) if *one == '?' || *one == text[t] => (p, t) = (p + 1, t + 1),
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

/// Parts of an ARN, the last of which may have colons.
pub(super) const ARN_PARTS: usize = 6;

/// Whether a pattern means an ARN, each of the six parts for itself (IAM-13).
pub(super) fn arn(pattern: &str, text: &str) -> bool {
    let (parts, pattern): (Vec<&str>, Vec<&str>) =
        (text.splitn(ARN_PARTS, ':').collect(), pattern.splitn(ARN_PARTS, ':').collect());
    parts.len() == pattern.len() && pattern.iter().zip(parts).all(|(pattern, part)| glob(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        for (pattern, text, means) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("a?c", "a/c", true),
            ("a?c", "ac", false),
            ("é*", "été", true),
            ("**", "x", true),
            ("a*bc", "abcbc", true),
        ] {
            assert_eq!(glob(pattern, text), means, "{pattern:?} {text:?}");
        }
        assert!(!glob(&"*a".repeat(500), &"a".repeat(499)));
    }
}
