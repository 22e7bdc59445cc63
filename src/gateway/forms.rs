//! Forms that browsers send: their signatures are as old as their page, and hold for as long as their policy says.

use super::collect::is_form;
use crate::access::EXPIRES_MAX;
use hyper::Method;
use hyper::header::{self, HeaderMap};
use s3s::config::{S3Config, S3ConfigProvider};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

tokio::task_local! {
    /// Is there while a form is served.
    static FORM: ();
}

/// The protocol's settings: those of forms while one is served.
pub(super) struct Settings {
    all: Arc<S3Config>,
    forms: Arc<S3Config>,
}

impl Settings {
    /// A form's signature holds until its policy expires (AUTH-7), for as long as a presigned URL's can (AUTH-4). The
    /// protocol's library would hold it to the skew of clocks (AUTH-2).
    pub(super) fn new(all: S3Config) -> Self {
        let mut forms = all.clone();
        forms.presigned_url_max_skew_time_secs = seconds(EXPIRES_MAX);
        Self { all: Arc::new(all), forms: Arc::new(forms) }
    }
}

impl S3ConfigProvider for Settings {
    fn snapshot(&self) -> Arc<S3Config> {
        Arc::clone(if FORM.try_with(|()| ()).is_ok() { &self.forms } else { &self.all })
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// Whether the only signature that a request can have is that of a form.
pub(super) fn is_signed_within(method: &Method, headers: &HeaderMap, query: Option<&str>) -> bool {
    let signed_without = headers.contains_key(header::AUTHORIZATION) || query.is_some_and(|query| !query.is_empty());
    *method == Method::POST && is_form(headers) && !signed_without
}

/// Serves a form.
pub(super) async fn serve<T>(answer: impl Future<Output = T>) -> T {
    FORM.scope((), answer).await
}

#[cfg(test)]
mod tests {
    use super::{
        EXPIRES_MAX, HeaderMap, Method, S3Config, S3ConfigProvider, Settings, header, is_signed_within, seconds, serve,
    };
    use hyper::header::HeaderValue;

    /// AUTH-2: all other signatures are of now.
    #[test]
    fn auth_7_signatures_of_forms_alone_hold_for_long() {
        let settings = Settings::new(S3Config::default());
        let skew = || settings.snapshot().presigned_url_max_skew_time_secs;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(skew(), 900);
        assert_eq!(runtime.block_on(serve(async { skew() })), seconds(EXPIRES_MAX));
        assert_eq!(skew(), 900);
        let mut headers = HeaderMap::new();
        assert!(!is_signed_within(&Method::POST, &headers, None));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=x"));
        assert!(is_signed_within(&Method::POST, &headers, None));
        assert!(!is_signed_within(&Method::PUT, &headers, None));
        assert!(!is_signed_within(&Method::POST, &headers, Some("X-Amz-Signature=0")));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("AWS4-HMAC-SHA256"));
        assert!(!is_signed_within(&Method::POST, &headers, None));
    }
}
