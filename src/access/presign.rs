//! Presigned URLs: a request that whoever holds it may make until it expires (AUTH-4 to AUTH-7). Pure.

use super::Credential;
use super::signature::{ALGORITHM, SigningKey};
use crate::crypto::{hex, sha256};
use crate::model::{Error, Kind, Result, Timestamp};
use std::time::Duration;

/// Longest life of a presigned URL: seven days (AUTH-4).
pub const EXPIRES_MAX: Duration = Duration::from_secs(604_800);

/// Where the S3 API is served: `http://HOST[:PORT]` or `https://...`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    scheme: &'static str,
    /// As clients send it: the scheme's own port left out.
    host: String,
}

impl Endpoint {
    /// Reads an endpoint's URL.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] unless it is `http` or `https`, a host, perhaps a port, and nothing else.
    pub fn parse(url: &str) -> Result<Self> {
        let bad = |why: &'static str| {
            Error::new(Kind::InvalidArgument, format!("cannot use the endpoint {url:?}"))
                .why(why)
                .mend("write it like http://127.0.0.1:9000 or https://s3.example.org")
        };
        let (scheme, port, rest) = match url.split_once("://") {
            Some(("http", rest)) => ("http", ":80", rest),
            Some(("https", rest)) => ("https", ":443", rest),
            _ => return Err(bad("it begins with neither http:// nor https://")),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        let host = host.strip_suffix(port).unwrap_or(host);
        // The brackets are those of an IPv6 address.
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)) {
            return Err(bad("what follows is no host, or more than host and port"));
        }
        Ok(Self { scheme, host: host.to_ascii_lowercase() })
    }
}

/// A request to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Presign<'a> {
    /// `GET`, `PUT`, ...
    pub method: &'a str,
    /// Where it is sent.
    pub endpoint: &'a Endpoint,
    /// The region the endpoint has.
    pub region: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// One version instead of the current one.
    pub version: Option<&'a str>,
    /// How long it holds, in whole seconds.
    pub expires: Duration,
}

impl Presign<'_> {
    /// The URL, with the bucket in its path, signed at `now`.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] unless it holds for 1 s to seven days (AUTH-4).
    pub fn url(&self, credential: &Credential, now: Timestamp) -> Result<String> {
        if self.expires < Duration::from_secs(1) || self.expires > EXPIRES_MAX || self.expires.subsec_nanos() != 0 {
            return Err(Error::new(Kind::InvalidArgument, "cannot presign the request")
                .why("a presigned URL holds for 1 second to 7 days, in whole seconds (AUTH-4)")
                .mend("name a shorter time, such as 1h or 7d"));
        }
        let path = format!("/{}/{}", escaped(self.bucket, false), escaped(self.key, true));
        let query = self.query(credential, &path, now);
        Ok(format!("{}://{}{path}?{query}", self.endpoint.scheme, self.endpoint.host))
    }

    /// The query string for a request of `path`, the signature at its end.
    fn query(&self, credential: &Credential, path: &str, now: Timestamp) -> String {
        // `20261122T020555Z` of `20261122T020555.123456789Z`.
        let stamp = now.sortable();
        let (stamp, date) = (format!("{}Z", stamp.get(..15).unwrap_or_default()), stamp.get(..8).unwrap_or_default());
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let mut pairs = vec![
            ("X-Amz-Algorithm", ALGORITHM.to_owned()),
            ("X-Amz-Credential", format!("{}/{scope}", credential.id)),
            ("X-Amz-Date", stamp.clone()),
            ("X-Amz-Expires", self.expires.as_secs().to_string()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ];
        // Behind the others also by its bytes, as the rules want them.
        pairs.extend(self.version.map(|version| ("versionId", version.to_owned())));
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value, false))).collect();
        let query = pairs.join("&");
        let host = &self.endpoint.host;
        let request = format!("{}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", self.method);
        let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", hex(&sha256(request.as_bytes())));
        let key = SigningKey::new(&credential.secret, date, self.region);
        format!("{query}&X-Amz-Signature={}", key.sign(text.as_bytes()))
    }
}

/// What SigV4 calls `UriEncode`: every byte but letters, digits and `-._~` as `%XX`; a path keeps its `/`.
fn escaped(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Presign, escaped};
    use crate::access::{Credential, Principal, Secret};
    use crate::model::{Timestamp, parse_rfc3339};
    use std::time::Duration;

    fn published() -> (Credential, Timestamp) {
        let credential = Credential {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            principal: Principal::Owner,
        };
        (credential, parse_rfc3339("2013-05-24T00:00:00Z").unwrap())
    }

    fn presign<'a>(endpoint: &'a Endpoint, key: &'a str) -> Presign<'a> {
        Presign {
            method: "GET",
            endpoint,
            region: "us-east-1",
            bucket: "examplebucket",
            key,
            version: None,
            expires: Duration::from_secs(86_400),
        }
    }

    /// The example of "Authenticating Requests: Using Query Parameters" in S3's reference.
    #[test]
    fn auth_1_the_published_signature() {
        let endpoint = Endpoint::parse("https://examplebucket.s3.amazonaws.com").unwrap();
        let (credential, now) = published();
        assert_eq!(
            presign(&endpoint, "test.txt").query(&credential, "/test.txt", now),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    /// As botocore 1.43 signs them, which puts the version in front of the query instead of where it is signed.
    #[test]
    fn auth_1_the_signatures_that_clients_make() {
        let endpoint = Endpoint::parse("http://127.0.0.1:9000").unwrap();
        let (credential, _) = published();
        let now = parse_rfc3339("2026-11-23T06:30:00Z").unwrap();
        let url = |method, version, seconds| {
            let (region, bucket, key) = ("eu-central-1", "photos", "a cat+é/..x~'(1)*!.jpg");
            let expires = Duration::from_secs(seconds);
            Presign { method, endpoint: &endpoint, region, bucket, key, version, expires }
                .url(&credential, now)
                .unwrap()
        };
        let start = |url: &str| url.split_once('?').unwrap().0.to_owned();
        let signature = |url: &str| url.rsplit_once("X-Amz-Signature=").unwrap().1.to_owned();
        let (delete, put) = (url("DELETE", Some("null"), 604_800), url("PUT", None, 1));
        assert_eq!(start(&put), "http://127.0.0.1:9000/photos/a%20cat%2B%C3%A9/..x~%27%281%29%2A%21.jpg");
        assert_eq!(signature(&delete), "8c4a93c81756f66b0ab69b223a8a3aa5277efae82dcdf96fb34c2e348e3b2e3a");
        assert_eq!(signature(&put), "97e4a3695ea472314b53fa1dec31aedac1efb90f3848e00587662c5d236de56a");
    }

    #[test]
    fn auth_4_a_url_holds_for_a_second_to_seven_days() {
        let endpoint = Endpoint::parse("http://localhost:9000").unwrap();
        let (credential, now) = published();
        for (millis, allowed) in
            [(0, false), (999, false), (1000, true), (1500, false), (604_800_000, true), (604_801_000, false)]
        {
            let one = Presign { expires: Duration::from_millis(millis), ..presign(&endpoint, "k") };
            assert_eq!(one.url(&credential, now).is_ok(), allowed, "{millis} ms");
        }
    }

    #[test]
    fn auth_9_the_host_is_signed_as_clients_send_it() {
        let url = |endpoint: &str| {
            let (credential, now) = published();
            presign(&Endpoint::parse(endpoint).unwrap(), "a").url(&credential, now).unwrap()
        };
        assert_eq!(url("http://S3.example.org:80/"), url("http://s3.example.org"));
        assert_eq!(url("https://s3.example.org:443"), url("https://s3.example.org"));
        assert!(url("http://[::1]:9000").starts_with("http://[::1]:9000/examplebucket/a?X-Amz-Algorithm="));
        for bad in ["", "s3.example.org", "ftp://s3", "http://", "http:///", "http://a/b", "http://a?b", "http://u@a"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn any_key_is_escaped_by_its_bytes() {
        assert_eq!(escaped("a b/ä+~.%\n", true), "a%20b/%C3%A4%2B~.%25%0A");
        assert_eq!(escaped("a/b", false), "a%2Fb");
    }
}
