//! A signed body in chunks of its own (`aws-chunked`) on its way to the protocol's library, which holds each chunk in memory
//! whole to compare its signature: a long one goes on as short ones, which are signed here as its client would have signed
//! them, and is compared with its own signature where it ends. No byte is copied.

use super::auth::Proved;
use super::body::{BAD_CHUNK, BAD_SIGNATURE};
use super::guard;
use crate::access::{SigningKey, is_signature};
use crate::crypto::{Summer, hex, sha256};
use crate::model::ChecksumAlgorithm;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::http::request::Parts;
use s3s::StdError;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Longest chunk that goes on as it is, in bytes. Clients send 64 KiB to 1 MiB.
const CHUNK_BYTES_MAX: u64 = 1 << 20;
/// Digits of a chunk's length at most: of more the library reads these alone.
const DIGITS_MAX: usize = 8;
/// Longest line before a chunk, in bytes.
const LINE_BYTES_MAX: usize = 128;
/// Longest trailers, in bytes; the library's limit.
const TRAILERS_BYTES_MAX: usize = 16 * 1024;
const SIGNATURE: &str = ";chunk-signature=";
const SIGNATURE_BYTES: usize = 64;
const TRAILER_SIGNATURE: &[u8] = b"x-amz-trailer-signature";
/// What is wrong with a body that ends before its last chunk, which is empty.
const CUT_OFF: &str = "the body ended before its last chunk";

/// Where in the chunks a body is: `LENGTH;chunk-signature=SIGNATURE CR LF BYTES CR LF`, the length in hexadecimal digits.
enum At {
    /// In the line before a chunk, of which this has come.
    Line(Vec<u8>),
    /// So many bytes of the chunk are to come; of one that goes on as others, its sum so far and its signature.
    Bytes(u64, Option<Box<(Summer, String)>>),
    /// In the line's end behind them.
    End(&'static [u8]),
    /// Behind the last chunk, where trailers are; of such as are signed anew this has come.
    Rest(Vec<u8>),
}

/// What a body is signed with, from its head.
struct Seed {
    /// When, and for what.
    scope: String,
    date: String,
    region: String,
    signature: String,
}

/// Two chains of signatures over the same bytes: as the client cut them, and as they go on.
struct Chains {
    key: SigningKey,
    scope: String,
    theirs: String,
    ours: String,
}

impl Chains {
    /// The signature of a chunk with that sum, behind `before`.
    fn chunk(&self, before: &str, sum: &[u8]) -> String {
        let (scope, none) = (&self.scope, hex(&sha256(b"")));
        self.key.sign(format!("AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{before}\n{none}\n{}", hex(sum)).as_bytes())
    }

    fn trailers(&self, before: &str, canonical: &[u8]) -> String {
        let (scope, sum) = (&self.scope, hex(&sha256(canonical)));
        self.key.sign(format!("AWS4-HMAC-SHA256-TRAILER\n{scope}\n{before}\n{sum}").as_bytes())
    }

    /// A chunk has come to its end.
    fn compare(&mut self, sum: &[u8], signature: &str) -> Result<(), &'static str> {
        self.theirs = self.chunk(&self.theirs, sum);
        if is_signature(&self.theirs, signature.as_bytes()) { Ok(()) } else { Err(BAD_SIGNATURE) }
    }

    /// The line before a chunk of these bytes that goes on.
    fn line(&mut self, bytes: &[u8]) -> Bytes {
        self.ours = self.chunk(&self.ours, &sha256(bytes));
        Bytes::from(format!("{:x}{SIGNATURE}{}\r\n", bytes.len(), self.ours))
    }

    /// Trailers that came behind the last chunk, signed for those who read on. What is not signed is left to the library, which
    /// refuses it.
    fn sign_anew(&mut self, came: &[u8]) -> Result<Bytes, &'static str> {
        let mut signature = None;
        let mut lines: Vec<(Vec<u8>, &[u8])> = Vec::new();
        for line in came.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':').ok_or(BAD_CHUNK)?;
            let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
            if name == TRAILER_SIGNATURE {
                signature = Some(value);
            } else {
                lines.push((name, value));
            }
        }
        let Some(signature) = signature else { return Ok(Bytes::copy_from_slice(came)) };
        lines.sort_by(|one, other| one.0.cmp(&other.0));
        let canonical: Vec<u8> =
            lines.iter().flat_map(|(name, value)| [name, &b":"[..], value, b"\n"].concat()).collect();
        if !is_signature(&self.trailers(&self.theirs, &canonical), signature) {
            return Err(BAD_SIGNATURE);
        }
        let ours = self.trailers(&self.ours, &canonical);
        Ok([&canonical[..], TRAILER_SIGNATURE, b":", ours.as_bytes(), b"\r\n\r\n"].concat().into())
    }
}

/// Such a body.
pub(super) struct Resigned<B> {
    body: B,
    seed: Option<Seed>,
    proved: Proved,
    at: At,
    /// From the first long chunk on.
    chains: Option<Chains>,
    /// The signature before the next chunk.
    last: String,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl<B> Resigned<B> {
    /// The body of a request with this head; `proved` will have the secret that its head was proved with.
    pub(super) fn new(body: B, parts: &Parts, proved: &Proved) -> Self {
        let seed = Seed::of(parts);
        let last = seed.as_ref().map(|seed| seed.signature.clone()).unwrap_or_default();
        let (at, ready) = (At::Line(Vec::new()), VecDeque::new());
        Self { body, seed, proved: proved.clone(), at, chains: None, last, ready, ended: false }
    }

    /// Takes what has come, or says what is wrong with it.
    fn take(&mut self, mut data: Bytes) -> Result<(), &'static str> {
        while !data.is_empty() {
            match &mut self.at {
                At::Line(line) => {
                    let end = data.iter().position(|byte| *byte == b'\n').map_or(data.len(), |at| at + 1);
                    line.extend_from_slice(&data.split_to(end));
                    if line.len() > LINE_BYTES_MAX {
                        return Err(BAD_CHUNK);
                    }
                    if line.ends_with(b"\n") {
                        let line = std::mem::take(line);
                        self.at = self.begins(line)?;
                    }
                }
                At::Bytes(left, long) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(data.len());
                    *left -= taken as u64;
                    let (over, piece) = (*left == 0, data.split_to(taken));
                    match (&mut self.chains, long) {
                        (Some(chains), Some(long)) => {
                            long.0.update(&piece);
                            let line = chains.line(&piece);
                            self.ready.extend([line, piece, Bytes::from_static(b"\r\n")]);
                        }
                        _ => self.ready.push_back(piece),
                    }
                    if over
                        && let At::Bytes(_, Some(long)) = std::mem::replace(&mut self.at, At::End(b"\r\n"))
                        && let Some(chains) = &mut self.chains
                    {
                        let (sum, signature) = *long;
                        chains.compare(sum.finish().bytes(), &signature)?;
                    }
                }
                At::End(left) => {
                    let (byte, rest) = left.split_first().ok_or(BAD_CHUNK)?;
                    if data.split_to(1)[0] != *byte {
                        return Err(BAD_CHUNK);
                    }
                    *left = rest;
                    if rest.is_empty() {
                        if self.chains.is_none() {
                            self.ready.push_back(Bytes::from_static(b"\r\n"));
                        }
                        self.at = At::Line(Vec::new());
                    }
                }
                At::Rest(came) => {
                    let data = std::mem::take(&mut data);
                    if self.chains.is_none() {
                        self.ready.push_back(data);
                    } else if came.len() + data.len() > TRAILERS_BYTES_MAX {
                        return Err(BAD_CHUNK);
                    } else {
                        came.extend_from_slice(&data);
                    }
                }
            }
        }
        Ok(())
    }

    /// Where it is behind the line before a chunk.
    fn begins(&mut self, line: Vec<u8>) -> Result<At, &'static str> {
        let (length, signature) = chunk_of(&line).ok_or(BAD_CHUNK)?;
        if length > CHUNK_BYTES_MAX && self.chains.is_none() {
            let seed = self.seed.as_ref().ok_or(BAD_CHUNK)?;
            let secret = self.proved.secret().ok_or(BAD_SIGNATURE)?;
            let key = SigningKey::new(secret, &seed.date, &seed.region);
            let (theirs, ours) = (self.last.clone(), self.last.clone());
            self.chains = Some(Chains { key, scope: seed.scope.clone(), theirs, ours });
        }
        let signature = signature.to_owned();
        Ok(match &mut self.chains {
            None => {
                self.ready.push_back(line.into());
                self.last = signature;
                if length == 0 { At::Rest(Vec::new()) } else { At::Bytes(length, None) }
            }
            Some(chains) if length == 0 => {
                chains.compare(&sha256(b""), &signature)?;
                self.ready.push_back(chains.line(b""));
                At::Rest(Vec::new())
            }
            Some(_) => At::Bytes(length, Some(Box::new((Summer::new(ChecksumAlgorithm::Sha256), signature)))),
        })
    }

    /// The body has come to its end. What goes on of a long chunk is signed before that is compared, so none may end within one.
    fn end(&mut self) -> Result<(), &'static str> {
        self.ended = true;
        let At::Rest(came) = &self.at else { return Err(CUT_OFF) };
        if let Some(chains) = &mut self.chains {
            self.ready.push_back(chains.sign_anew(came)?);
        }
        Ok(())
    }
}

impl Seed {
    /// From a head that is signed in its `Authorization`.
    fn of(parts: &Parts) -> Option<Self> {
        let (credential, signature) = guard::signature(parts)?;
        let (_, scope) = credential.split_once('/')?;
        let mut members = scope.split('/');
        let (date, region) = (members.next()?.to_owned(), members.next()?.to_owned());
        let stamp = parts.headers.get("x-amz-date")?.to_str().ok()?;
        Some(Self { scope: format!("{stamp}\n{scope}"), date, region, signature: signature.to_owned() })
    }
}

/// Length and signature in the line before a chunk.
fn chunk_of(line: &[u8]) -> Option<(u64, &str)> {
    let (digits, signature) = str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?.split_once(SIGNATURE)?;
    let is_length = (1..=DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_whole = signature.len() == SIGNATURE_BYTES;
    (is_length && is_whole).then(|| Some((u64::from_str_radix(digits, 16).ok()?, signature))).flatten()
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Body for Resigned<B> {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        loop {
            if let Some(data) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let wrong = match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => self.end(),
                Some(frame) => match frame?.into_data() {
                    Ok(data) => self.take(data),
                    Err(_) => Ok(()),
                },
            };
            if let Err(wrong) = wrong {
                self.ended = true;
                self.ready.clear();
                return Poll::Ready(Some(Err(wrong.into())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        BAD_CHUNK, BAD_SIGNATURE, Bytes, CHUNK_BYTES_MAX, CUT_OFF, Chains, Proved, Resigned, SIGNATURE, chunk_of,
        sha256,
    };
    use crate::access::{Secret, SigningKey};
    use hyper::Request;
    use hyper::http::request::Parts;

    const SEED: &str = "00ab";
    const STAMP: &str = "20261123T090000Z";
    const SCOPE: &str = "20261123/us-east-1/s3/aws4_request";

    fn head() -> Parts {
        let authorization = format!("AWS4-HMAC-SHA256 Credential=AK/{SCOPE}, SignedHeaders=host, Signature={SEED}");
        let request = Request::builder().header("authorization", authorization).header("x-amz-date", STAMP);
        request.body(()).unwrap().into_parts().0
    }

    fn secret() -> Secret {
        Secret::new("hunter2".to_owned())
    }

    fn chains() -> Chains {
        let key = SigningKey::new(&secret(), "20261123", "us-east-1");
        Chains { key, scope: format!("{STAMP}\n{SCOPE}"), theirs: SEED.to_owned(), ours: SEED.to_owned() }
    }

    /// A body of these chunks, as a client signs it.
    fn signed(chunks: &[&[u8]], trailers: &str) -> Vec<u8> {
        let mut chains = chains();
        let mut body = Vec::new();
        for chunk in chunks {
            body.extend([&chains.line(chunk)[..], chunk, b"\r\n"].concat());
        }
        body.extend_from_slice(&chains.line(b""));
        let signature = chains.trailers(&chains.ours, trailers.replace("\r\n", "\n").as_bytes());
        match trailers {
            "" => body.extend_from_slice(b"\r\n"),
            _ => body.extend(format!("{trailers}x-amz-trailer-signature:{signature}\r\n\r\n").into_bytes()),
        }
        body
    }

    /// What comes out of a body that comes in pieces of so many bytes.
    fn out(body: &[u8], step: usize) -> Result<Vec<u8>, &'static str> {
        let proved = Proved::default();
        proved.tell(secret());
        let mut resigned = Resigned::new((), &head(), &proved);
        for piece in body.chunks(step) {
            resigned.take(Bytes::copy_from_slice(piece))?;
        }
        resigned.end()?;
        Ok(resigned.ready.into_iter().flatten().collect())
    }

    /// Reads a body as the library does: its bytes, its longest chunk, and what is behind the last one.
    fn read(mut body: &[u8]) -> (Vec<u8>, usize, Vec<u8>) {
        let (mut chains, mut bytes, mut longest) = (chains(), Vec::new(), 0);
        loop {
            let end = body.iter().position(|byte| *byte == b'\n').unwrap() + 1;
            let (line, rest) = body.split_at(end);
            let (length, signature) = chunk_of(line).unwrap();
            let (chunk, rest) = rest.split_at(usize::try_from(length).unwrap());
            chains.compare(&sha256(chunk), signature).unwrap();
            longest = longest.max(chunk.len());
            if chunk.is_empty() {
                chains.sign_anew(rest).unwrap();
                return (bytes, longest, rest.to_vec());
            }
            bytes.extend_from_slice(chunk);
            body = rest.strip_prefix(b"\r\n").unwrap();
        }
    }

    #[test]
    fn short_chunks_go_on_as_they_are() {
        let body = signed(&[b"hello", b"abc"], "x-amz-checksum-crc32:AAAA\r\n");
        for step in 1..body.len() {
            assert_eq!(out(&body, step).unwrap(), body, "{step}");
        }
    }

    #[test]
    fn auth_3_a_body_that_is_cut_off_is_refused_wherever_it_is() {
        let long = vec![b'x'; usize::try_from(CHUNK_BYTES_MAX + 1).unwrap()];
        for chunks in [&[&b"hello"[..], &b"abc"[..]][..], &[&long[..]][..]] {
            let body = signed(chunks, "");
            // Up to the last chunk's line, whose end is no more than a line's.
            let last = body.len() - 2;
            for cut in (0..last).filter(|cut| cut % 9973 < 200 || cut + 400 > last) {
                assert_eq!(out(&body[..cut], body.len()).err(), Some(CUT_OFF), "{cut}");
            }
            assert!(out(&body, body.len()).is_ok());
        }
        // Bytes that nobody signed, in a chunk that never ends.
        let forged = format!("100001{SIGNATURE}{}\r\nEVIL!", "0".repeat(64));
        assert_eq!(out(forged.as_bytes(), forged.len()).err(), Some(CUT_OFF));
    }

    #[test]
    fn auth_3_a_long_chunk_goes_on_as_short_ones_that_are_signed() {
        let long: Vec<u8> = (0..CHUNK_BYTES_MAX + 9).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for trailers in ["", "x-amz-checksum-crc32:AAAA\r\n"] {
            let body = signed(&[b"hello", &long, b"short", &long[1..]], trailers);
            for step in [9_999, 65_536, body.len()] {
                let (bytes, longest, rest) = read(&out(&body, step).unwrap());
                assert!(bytes == [b"hello", &long[..], b"short", &long[1..]].concat(), "{step}");
                assert!(longest <= step.min(long.len()), "{longest} of {step}");
                assert_eq!(rest.starts_with(b"x-amz-checksum-crc32:AAAA"), !trailers.is_empty());
            }
        }
    }

    /// AUTH-3: what is not as it was signed does not come to its end.
    #[test]
    fn auth_3_a_long_chunk_is_compared_with_its_signature() {
        let long = vec![7; usize::try_from(CHUNK_BYTES_MAX).unwrap() + 1];
        let body = signed(&[&long, b"short"], "x-amz-checksum-crc32:AAAA\r\n");
        let at = |text: &[u8]| body.windows(text.len()).rposition(|found| found == text).unwrap();
        for changed in [500, at(b"short"), at(SIGNATURE.as_bytes()) + 20, at(b"AAAA"), at(b"-signature:") + 15] {
            let mut body = body.clone();
            body[changed] ^= 1;
            assert_eq!(out(&body, 65_536), Err(BAD_SIGNATURE), "{changed}");
        }
        let mut unproved = Resigned::new((), &head(), &Proved::default());
        assert_eq!(unproved.take(Bytes::from(body)), Err(BAD_SIGNATURE));
    }

    /// No line is read as one length here and as another by the library.
    #[test]
    fn a_line_that_can_be_read_in_two_ways_is_refused() {
        let signature = "ab".repeat(32);
        let good = format!("0000000f{SIGNATURE}{signature}\r\n");
        assert_eq!(chunk_of(good.as_bytes()), Some((15, signature.as_str())));
        for bad in [
            format!("0000000f0{SIGNATURE}{signature}\r\n"),
            format!("+5{SIGNATURE}{signature}\r\n"),
            format!("5x{SIGNATURE}{signature}\r\n"),
            format!("{SIGNATURE}{signature}\r\n"),
            format!("5{SIGNATURE}{signature}\n"),
            format!("5{SIGNATURE}ab\r\n"),
            "5\r\n".to_owned(),
        ] {
            assert_eq!(out(bad.as_bytes(), 1), Err(BAD_CHUNK), "{bad:?}");
        }
        assert_eq!(out(&[b'0'; 200], 7), Err(BAD_CHUNK));
    }
}
