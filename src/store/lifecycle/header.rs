//! The header `x-amz-expiration`, which `user.s3.expiration` shows too.

use super::decide::Due;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is written as `%XX`: all but letters, digits and these.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Due<'_> {
    /// `expiry-date="Fri, 23 Dec 2012 00:00:00 GMT", rule-id="picture-deletion-rule"`, for what
    /// [`super::Lifecycle::expiration`] tells.
    #[must_use]
    pub fn header(&self) -> String {
        let rule = utf8_percent_encode(self.rule, ENCODED);
        format!("expiry-date=\"{}\", rule-id=\"{rule}\"", self.at.http_date())
    }
}
