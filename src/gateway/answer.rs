//! What every request gets, whatever it asks for: ids, a refusal by its head, a line in the log, metrics (GEN-3, GEN-4).

use super::auth::{self, Proved, place_of};
use super::bridge::Bridge;
use super::collect::Room;
use super::connections::{Activity, client_of};
use super::cors::{self, CrossOrigin};
use super::form::{Forms, is_form};
use super::guard::WIRE_BYTES_MAX;
use super::metered::{Billed, Written, class_in};
use super::operations::archive::Accepted;
use super::operations::versions::Order;
use super::pace::{Paced, Unread};
use super::rates::Rates;
use super::sent::Sent;
use super::{error, guard};
use crate::access::Principal;
use crate::model::{Kind, REGION, Result};
use crate::sys::entropy::Entropy;
use crate::telemetry::{MetricId, Metrics};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use s3s::service::S3Service;
use s3s::{Body, S3Error};
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What an operation is called that was not come to.
const NONE: &str = "None";
/// What a preflight is called, which is no operation of the protocol's.
const PREFLIGHT: &str = "Preflight";
/// A body of XML that is completed here is an error's: some lines.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// What is found out about a request while it is served: who asks, and for which operation.
#[derive(Clone, Default)]
pub(super) struct Trace(Arc<Found>);

#[derive(Default)]
struct Found {
    /// Operation and principal.
    asked: OnceLock<(String, String)>,
    /// The client that holds what somebody else signed, a form or a URL; none for one on this machine: a proxy speaks for many.
    holder: OnceLock<Option<String>>,
}

tokio::task_local! {
    /// That of the request which the protocol's library serves.
    static TRACE: Trace;
}

impl Trace {
    /// That of the request which is served here; none in a task that was started for one.
    pub(super) fn current() -> Option<Self> {
        TRACE.try_with(Self::clone).ok()
    }

    /// Operation and principal, once they are known.
    pub(super) fn told(&self) -> Option<(&str, &str)> {
        self.0.asked.get().map(|(operation, principal)| (operation.as_str(), principal.as_str()))
    }

    /// Told once, by the check of access.
    pub(super) fn tell(&self, operation: String, principal: String) {
        let _ = self.0.asked.set((operation, principal));
    }

    /// Is there of what the principal signed and may have given away: the client that holds it, where that is known.
    pub(super) fn holder(&self) -> Option<Option<&str>> {
        self.0.holder.get().map(Option::as_deref)
    }

    fn is_held_by(&self, client: IpAddr) {
        let client = Some(client_of(client)).filter(|client| !client.is_loopback());
        let _ = self.0.holder.set(client.map(|client| client.to_string()));
    }
}

/// Whom a signature proved that a second look at the same request goes without, and the access key.
#[derive(Clone, Default)]
pub(super) struct Vouched(Arc<OnceLock<(Principal, String)>>);

impl Vouched {
    pub(super) fn tell(&self, principal: Principal, key: &str) {
        let _ = self.0.set((principal, key.to_owned()));
    }

    pub(super) fn principal(&self) -> Principal {
        self.0.get().map_or(Principal::Anonymous, |(principal, _)| principal.clone())
    }

    pub(super) fn key(&self) -> Option<String> {
        self.0.get().map(|(_, key)| key.clone())
    }

    fn is_told(&self) -> bool {
        self.0.get().is_some()
    }
}

/// The door behind the listener.
pub(super) struct Door {
    served: Served,
    metrics: Arc<Metrics>,
    entropy: Arc<dyn Entropy>,
    room: Room,
}

/// What requests are served by.
pub(super) struct Served {
    pub(super) service: S3Service,
    pub(super) bridge: Bridge,
    pub(super) rates: Arc<Rates>,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
}

/// A request as the log tells of it.
struct Asked {
    method: Method,
    path: String,
    peer: SocketAddr,
    begun: Instant,
    trace: Trace,
    id: String,
    host_id: String,
}

impl Asked {
    fn operation(&self) -> &str {
        self.trace.told().map_or(NONE, |(operation, _)| operation)
    }
}

impl Door {
    pub(super) fn new(served: Served, metrics: Arc<Metrics>, entropy: Arc<dyn Entropy>) -> Self {
        Self { served, metrics, entropy, room: Room::new() }
    }

    /// Answers a request of a connection on which that goes on.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        activity: &Activity,
    ) -> Response<Sent> {
        let serving = activity.serve();
        let (operation, bill, response) = self.respond(request, peer, &Unread::new(activity)).await;
        response.map(|body| Sent::new(body, (operation, bill), &self.metrics, serving))
    }

    /// An answer, what it is one of, and its bill.
    async fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        unread: &Unread,
    ) -> (String, Option<Billed>, Response<Body>) {
        let (mut parts, body) = request.into_parts();
        let asked = match self.asked(&parts, peer) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::error!(%error, "a request has no id");
                return (NONE.to_owned(), None, plain(StatusCode::SERVICE_UNAVAILABLE));
            }
        };
        let waits = parts.headers.contains_key(header::EXPECT);
        // A length beside it was passed over, which a proxy may have gone by: what comes behind is nobody's.
        let in_chunks = parts.headers.contains_key(header::TRANSFER_ENCODING);
        let mut crossing = CrossOrigin::of(&parts);
        let form = is_form(&parts);
        let (bucket, _) = place_of(&parts);
        let writes = matches!(parts.method, Method::PUT | Method::POST);
        let class = class_in(&parts.headers).filter(|_| writes);
        let held = form || guard::is_presigned(&parts);
        if held {
            asked.trace.is_held_by(peer.ip());
        }
        let claims_key = parts.method != Method::OPTIONS && (held || guard::claims_key(&parts));
        let stranger = if claims_key { Ok(()) } else { self.served.rates.stranger(peer.ip()) };
        let mut response = match stranger.and_then(|()| guard::check(&parts, REGION)) {
            Err(refused) => {
                drop(Paced::new(body, unread, 0));
                response_of(refused)
            }
            Ok(()) if parts.method == Method::OPTIONS => {
                drop(Paced::new(body, unread, 0));
                asked.trace.tell(PREFLIGHT.to_owned(), Principal::Anonymous.to_string());
                cors::preflight(&self.served.bridge, crossing.take(), &parts).await.unwrap_or_else(response_of)
            }
            Ok(()) if form => {
                let Served { bridge, rates, scheme, .. } = &self.served;
                let body = Paced::new(body, unread, WIRE_BYTES_MAX);
                let forms = Forms { bridge, rates, scheme };
                let served = forms.serve((&parts, peer.ip()), body, &asked.trace);
                TRACE.scope(asked.trace.clone(), served).await.unwrap_or_else(response_of)
            }
            Ok(()) => {
                guard::date_of(&mut parts.headers);
                guard::join_twice_sent(&mut parts.headers);
                announce_trailer(&mut parts.headers);
                parts.extensions.insert(asked.trace.clone());
                let proved = Proved::default();
                match self.room.take(&parts, body, unread, (peer.ip(), &proved), &self.served.bridge).await {
                    Err(refused) => response_of(refused),
                    Ok((body, _held)) => self.serve_within(parts, body, (&asked.trace, proved)).await,
                }
            }
        };
        if claims_key
            && asked.trace.told().is_none()
            && let Err(refused) = self.served.rates.stranger(peer.ip())
        {
            response = response_of(refused);
        }
        if let Some(crossing) = crossing {
            crossing.allow(&self.served.bridge, &mut response).await;
        }
        // An answer's body may still be on its way, a request's is not.
        if !unread.drain(waits).await || in_chunks {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let written = response.extensions_mut().remove::<Written>();
        let class = written.map(|Written(class)| class).or(class);
        let response = self.complete(&asked, response, unread.came());
        let class = class.or_else(|| class_in(response.headers()));
        let of = (asked.operation(), bucket.as_str());
        let bill = Billed::of(&self.served.bridge.store(), of, response.status(), class);
        (asked.operation().to_owned(), bill, response)
    }

    /// Serves a request of this trace, a read again where it names no range and its signature covers that.
    async fn serve_within(&self, mut parts: Parts, body: Body, (trace, proved): (&Trace, Proved)) -> Response<Body> {
        let vouched = Vouched::default();
        parts.extensions.insert(vouched.clone());
        let again = guard::without_odd_range(&parts);
        TRACE
            .scope(trace.clone(), async {
                let response = self.serve(Request::from_parts(parts, body), proved).await;
                match again {
                    Some(parts) if response.status() == StatusCode::BAD_REQUEST && vouched.is_told() => {
                        self.serve(Request::from_parts(parts, Body::empty()), Proved::default()).await
                    }
                    _ => response,
                }
            })
            .await
    }

    async fn serve(&self, request: Request<Body>, proved: Proved) -> Response<Body> {
        let answer = auth::for_one_request(proved, self.served.service.call(request)).await;
        answer.unwrap_or_else(|error| {
            tracing::error!(?error, "an answer over HTTP could not be made");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    fn asked(&self, parts: &Parts, peer: SocketAddr) -> Result<Asked> {
        let mut random = [0u8; 32];
        self.entropy.fill(&mut random)?;
        let id = random[..8].iter().fold(String::with_capacity(16), |mut id, byte| {
            let _ = write!(id, "{byte:02X}");
            id
        });
        Ok(Asked {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            peer,
            begun: Instant::now(),
            trace: Trace::default(),
            id,
            host_id: STANDARD.encode(&random[8..]),
        })
    }

    /// Adds what every answer has, and tells of it.
    fn complete(&self, asked: &Asked, mut response: Response<Body>, received: u64) -> Response<Body> {
        if asked.method == Method::HEAD
            && response.headers().contains_key(header::CONTENT_RANGE)
            && response.status().is_success()
        {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        if response.extensions_mut().remove::<Accepted>().is_some() {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        let status = response.status();
        let mut code = None;
        if status.is_client_error() || status.is_server_error() || status == StatusCode::NOT_MODIFIED {
            code = Some(complete_error(asked, &mut response));
        }
        if code.is_none() && asked.operation() == "GetObjectAttributes" {
            unquote_tag(&mut response);
        }
        if let Some(order) = response.extensions_mut().remove::<Order>() {
            let body = std::mem::take(response.body_mut()).bytes().unwrap_or_default();
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = Body::from(order.weave(&String::from_utf8_lossy(&body)));
        }
        mend_text(&mut response);
        let headers = response.headers_mut();
        for (name, value) in [("x-amz-request-id", &asked.id), ("x-amz-id-2", &asked.host_id)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        headers.insert(header::SERVER, HeaderValue::from_static("Keyfold"));
        self.tell(asked, code.as_deref(), &response, received);
        response
    }

    fn tell(&self, asked: &Asked, code: Option<&str>, response: &Response<Body>, received: u64) {
        let (operation, principal) = (asked.operation(), asked.trace.told().map_or("", |(_, principal)| principal));
        let (seconds, sent) = (asked.begun.elapsed().as_secs_f64(), response.body().size_hint().exact());
        self.metrics.add(MetricId::S3Requests, &[operation], 1);
        self.metrics.observe(MetricId::S3Seconds, &[operation], seconds);
        self.metrics.add(MetricId::S3WriteBytes, &[operation], received);
        if let Some(code) = code {
            self.metrics.add(MetricId::S3Errors, &[operation, code], 1);
        }
        let (id, method, path, status) = (&asked.id, &asked.method, &asked.path, response.status().as_u16());
        tracing::debug!(
            target: "keyfold::access",
            %id, peer = %asked.peer, principal, operation, %method, path, status, code, seconds, received, sent, "s3"
        );
    }
}

/// A client need not announce the trailer of an unsigned stream; the protocol's library asks it to.
fn announce_trailer(headers: &mut HeaderMap) {
    let trailing =
        headers.get("x-amz-content-sha256").is_some_and(|value| value == "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    if trailing && !headers.contains_key("x-amz-trailer") {
        headers.insert("x-amz-trailer", HeaderValue::from_static(""));
    }
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn response_of(refused: S3Error) -> Response<Body> {
    refused.to_http_response().unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR))
}

/// GEN-3: an error names what it is about and its request; one of HEAD, and an unchanged object, have no body. Its code.
fn complete_error(asked: &Asked, response: &mut Response<Body>) -> String {
    let body = std::mem::take(response.body_mut()).bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(&body[..body.len().min(ERROR_BYTES_MAX)]).into_owned();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |(code, _)| code);
    let code = if code.is_empty() { Kind::Io.s3_code().to_owned() } else { code.to_owned() };
    response.headers_mut().remove(header::CONTENT_LENGTH);
    let facts = facts(response.headers_mut());
    if asked.method == Method::HEAD || response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
        return code;
    }
    let message =
        if text.contains("<Message>") { String::new() } else { format!("<Message>{}</Message>", error::reason(&code)) };
    let about = format!(
        "{message}{facts}<Resource>{}</Resource><RequestId>{}</RequestId><HostId>{}</HostId></Error>",
        escaped(&asked.path),
        asked.id,
        asked.host_id
    );
    let text = if text.contains("</Error>") {
        text.replace("</Error>", &about)
    } else {
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>{about}")
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    *response.body_mut() = Body::from(Bytes::from(text));
    code
}

/// Facts of a refusal as elements of its body.
fn facts(headers: &mut HeaderMap) -> String {
    let mut elements = String::new();
    for fact in headers.get_all(error::FACT) {
        if let Some((name, value)) = fact.to_str().ok().and_then(|fact| fact.split_once('=')) {
            let _ = write!(elements, "<{name}>{value}</{name}>");
        }
    }
    headers.remove(error::FACT);
    elements
}

/// SUM-15: attributes show the tag without the quotes that it has everywhere else.
fn unquote_tag(response: &mut Response<Body>) {
    let body = std::mem::take(response.body_mut()).bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(&body).replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>");
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(Bytes::from(text));
}

/// KEY-16, KEY-17: what a parser of XML 1.0 would change is written as a reference, what it cannot read as the character for
/// that. Only what is in memory whole: documents of ours, never an object's bytes.
fn mend_text(response: &mut Response<Body>) {
    let is_xml = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/xml");
    let is_lost = |c: char| (c < ' ' && !matches!(c, '\t' | '\n')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    let Some(body) = response.body().bytes().filter(|_| is_xml) else { return };
    let Ok(text) = str::from_utf8(&body) else { return };
    if !text.contains(is_lost) {
        return;
    }
    let mut mended = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => mended.push_str("&#xD;"),
            c if is_lost(c) => mended.push(char::REPLACEMENT_CHARACTER),
            c => mended.push(c),
        }
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = Body::from(Bytes::from(mended));
}

/// A path is percent-encoded, so only these can stand in it that XML takes for its own.
fn escaped(path: &str) -> String {
    path.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{Body, HeaderValue, Response, header, mend_text};

    #[test]
    fn key_16_and_key_17_answers_are_what_parsers_read() {
        let mended = |kind: &'static str, text: &'static str| {
            let mut response = Response::new(Body::from(text.to_owned()));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            mend_text(&mut response);
            String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap()
        };
        let text = "<Key>a\rb\u{1}c\td\ne\u{fffe}</Key>";
        assert_eq!(mended("application/xml", text), "<Key>a&#xD;b\u{fffd}c\td\ne\u{fffd}</Key>");
        assert_eq!(mended("text/plain", text), text);
    }
}
