//! Rules for pages of other origins: the document `cors`, what makes it valid, and which rule is a request's (CORS-2 to
//! CORS-4, CORS-10).

use crate::model::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// Most rules of a bucket (CORS-2).
const RULES_MAX: usize = 100;
/// Longest name of a rule, in characters.
const ID_CHARS_MAX: usize = 255;
/// A document that is valid.
pub(super) const EXAMPLE: &str =
    r#"{"CORSRules":[{"AllowedMethods":["GET"],"AllowedOrigins":["https://example.com"]}]}"#;
/// What a rule may allow (CORS-3).
const METHODS: &[&str] = &["GET", "PUT", "POST", "DELETE", "HEAD"];

/// A bucket's rules, the first that matches decides (CORS-2). As `aws s3api get-bucket-cors` prints them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsRules {
    /// The rules, in order.
    #[serde(rename = "CORSRules")]
    pub rules: Vec<CorsRule>,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct CorsRule {
    /// Its name, which means nothing.
    #[serde(rename = "ID", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Headers that requests may have, each with one `*` at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_headers: Vec<String>,
    /// Methods that requests may have.
    pub allowed_methods: Vec<String>,
    /// Origins that requests may come from, each with one `*` at most.
    pub allowed_origins: Vec<String>,
    /// Headers of answers that a page may read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// Seconds for which the answer to a preflight holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<i32>,
}

impl CorsRules {
    /// Checks them.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`] for what a rule cannot say (CORS-10).
    pub fn check(&self) -> Result<()> {
        if self.rules.is_empty() || self.rules.len() > RULES_MAX {
            return Err(bad(format!("a bucket has 1 to {RULES_MAX} rules, not {} (CORS-2)", self.rules.len())));
        }
        self.rules.iter().try_for_each(CorsRule::check)
    }

    /// The rule of a request, and how its answer names the origin (CORS-2, CORS-3, CORS-7).
    #[must_use]
    pub fn matching(&self, origin: &str, method: &str, headers: &[&str]) -> Option<(&CorsRule, Allowed)> {
        self.rules.iter().find_map(|rule| {
            let from = rule.allowed_origins.iter().find(|allowed| matches(allowed, origin))?;
            let asks = rule.allowed_methods.iter().any(|allowed| allowed == method)
                && headers.iter().all(|header| rule.allows_header(header));
            asks.then_some((rule, if from == "*" { Allowed::Everyone } else { Allowed::TheOrigin }))
        })
    }
}

/// Whom a rule's origin allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allowed {
    /// `*`
    Everyone,
    /// The one that asks.
    TheOrigin,
}

impl CorsRule {
    fn check(&self) -> Result<()> {
        if self.id.as_ref().is_some_and(|id| id.chars().count() > ID_CHARS_MAX) {
            return Err(bad(format!("the ID of a rule has at most {ID_CHARS_MAX} characters")));
        }
        if self.allowed_methods.is_empty() || self.allowed_origins.is_empty() {
            return Err(bad("a rule has AllowedMethods and AllowedOrigins"));
        }
        if let Some(method) = self.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            let known = METHODS.join(", ");
            return Err(bad(format!("AllowedMethods has {method:?}, which is none of {known}")));
        }
        for (name, values) in [("AllowedOrigins", &self.allowed_origins), ("AllowedHeaders", &self.allowed_headers)] {
            if let Some(value) = values.iter().find(|value| value.matches('*').count() > 1) {
                return Err(bad(format!("{name} has {value:?}, with more than one `*`")));
            }
        }
        if let Some(header) = self.expose_headers.iter().find(|header| header.contains('*')) {
            return Err(bad(format!("ExposeHeaders has {header:?}: headers are named there, without `*`")));
        }
        let told = self.allowed_methods.iter().chain(&self.allowed_origins).chain(&self.allowed_headers);
        if told.chain(&self.expose_headers).any(|text| text.is_empty() || !is_visible(text)) {
            return Err(bad("origins and headers are printable ASCII, and not empty"));
        }
        if self.max_age_seconds.is_some_and(i32::is_negative) {
            return Err(bad("MaxAgeSeconds is not negative"));
        }
        Ok(())
    }

    /// Names of headers are the same in any case.
    fn allows_header(&self, header: &str) -> bool {
        let header = header.to_ascii_lowercase();
        self.allowed_headers.iter().any(|allowed| matches(&allowed.to_ascii_lowercase(), &header))
    }
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// Whether a text is as a pattern, whose `*` stands for anything (CORS-4: nothing else is equal).
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, end)) => text.len() >= begin.len() + end.len() && text.starts_with(begin) && text.ends_with(end),
    }
}

fn bad(why: impl Into<String>) -> Error {
    Error::new(Kind::InvalidRequest, "cannot set the bucket's cors")
        .why(why.into())
        .mend(format!("write it as `aws s3api` takes it, for example {EXAMPLE}"))
}

#[cfg(test)]
mod tests {
    use super::{Allowed, CorsRule, CorsRules, Kind, matches};

    fn rule(methods: &[&str], origins: &[&str], headers: &[&str]) -> CorsRule {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        CorsRule {
            allowed_methods: owned(methods),
            allowed_origins: owned(origins),
            allowed_headers: owned(headers),
            ..CorsRule::default()
        }
    }

    #[test]
    fn cors_1_and_cors_4_origins_are_equal_in_scheme_host_and_port() {
        for (pattern, origin, same) in [
            ("http://x.com", "http://x.com", true),
            ("http://x.com", "https://x.com", false),
            ("http://x.com", "http://x.com:80", false),
            ("http://*.x.com", "http://a.b.x.com", true),
            ("http://*.x.com", "http://x.com", false),
            ("start*end", "startend", true),
            ("start*tend", "startend", false),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(pattern, origin), same, "{pattern} {origin}");
        }
    }

    #[test]
    fn cors_2_cors_3_and_cors_7_the_first_matching_rule_decides() {
        let rules = CorsRules {
            rules: vec![
                rule(&["PUT"], &["http://a"], &["x-amz-*"]),
                rule(&["GET", "PUT"], &["http://a"], &[]),
                rule(&["GET"], &["*"], &["*"]),
            ],
        };
        let found = |origin, method, headers: &[&str]| {
            let (found, allowed) = rules.matching(origin, method, headers)?;
            Some((rules.rules.iter().position(|rule| rule == found)?, allowed))
        };
        assert_eq!(found("http://a", "PUT", &["X-Amz-Date"]), Some((0, Allowed::TheOrigin)));
        assert_eq!(found("http://a", "PUT", &["X-Amz-Date", "range"]), None);
        assert_eq!(found("http://a", "GET", &[]), Some((1, Allowed::TheOrigin)));
        assert_eq!(found("http://a", "GET", &["range"]), Some((2, Allowed::Everyone)));
        assert_eq!(found("http://b", "GET", &[]), Some((2, Allowed::Everyone)));
        assert_eq!(found("http://b", "DELETE", &[]), None);
    }

    #[test]
    fn cors_2_and_cors_10_what_a_rule_cannot_say_is_refused() {
        let good = || rule(&["GET", "HEAD"], &["https://*.example.com"], &["*"]);
        let refusal = |rules: Vec<CorsRule>| CorsRules { rules }.check().err().map(|error| error.kind());
        assert_eq!(refusal(vec![good()]), None);
        assert_eq!(refusal(vec![good(); 100]), None);
        for bad in [
            vec![],
            vec![good(); 101],
            vec![rule(&["*"], &["*"], &[])],
            vec![rule(&["PATCH"], &["*"], &[])],
            vec![rule(&["get"], &["*"], &[])],
            vec![rule(&[], &["*"], &[])],
            vec![rule(&["GET"], &[], &[])],
            vec![rule(&["GET"], &["http://*.*"], &[])],
            vec![rule(&["GET"], &["http://a\r\nx: y"], &[])],
            vec![rule(&["GET"], &[""], &[])],
            vec![rule(&["GET"], &["*"], &["*-*"])],
            vec![CorsRule { expose_headers: vec!["*".into()], ..good() }],
            vec![CorsRule { max_age_seconds: Some(-1), ..good() }],
            vec![CorsRule { id: Some("i".repeat(256)), ..good() }],
        ] {
            assert_eq!(refusal(bad.clone()), Some(Kind::InvalidRequest), "{bad:?}");
        }
    }
}
