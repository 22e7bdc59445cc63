//! A form's fields, which are read up to its file, and the file as a body that is put.

use super::super::body::failed;
use super::super::error::{invalid, refused};
use bytes::Bytes;
use futures_core::Stream;
use hyper::StatusCode;
use hyper::body::Body;
use multer::{Field, Multipart};
use parking_lot::Mutex;
use s3s::stream::ByteStream;
use s3s::{S3Error, S3Result, StdError};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Longest form in bytes but for its file: fields, their heads and boundaries.
pub(in super::super) const FIELDS_BYTES_MAX: u64 = 20 * 1024;
/// Stands in values for the name that the file has with whoever sends it.
const FILENAME: &str = "${filename}";
/// What user metadata is sent as.
const USER_METADATA: &str = "x-amz-meta-";

fn malformed() -> S3Error {
    let message = "The body of your POST request is not well-formed multipart/form-data.";
    refused(StatusCode::BAD_REQUEST, "MalformedPOSTRequest", message)
}

fn too_long() -> S3Error {
    let message = "Your POST request fields preceding the upload file were too large.";
    refused(StatusCode::BAD_REQUEST, "MaxPostPreDataLengthExceeded", message)
}

/// What is wrong with a form: its body, or how it is written.
fn unread(error: multer::Error) -> S3Error {
    match error {
        multer::Error::StreamReadFailed(error) => failed(&error),
        _ => malformed(),
    }
}

/// The fields before a form's file, their names in lower case.
#[derive(Debug, Default)]
pub(super) struct Fields(pub(super) BTreeMap<String, String>);

impl Fields {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// The user metadata, without what their names begin with.
    pub(super) fn take_metadata(&mut self) -> Option<s3s::dto::Metadata> {
        let taken = self.0.extract_if(.., |name, _| name.starts_with(USER_METADATA));
        let named = taken.map(|(name, value)| (name[USER_METADATA.len()..].to_owned(), value));
        Some(named.collect()).filter(|metadata: &s3s::dto::Metadata| !metadata.is_empty())
    }

    /// Metadata that is sent twice is one value (META-7); of anything else nobody could say which was meant.
    fn add(&mut self, name: String, value: String) -> S3Result<()> {
        match self.0.get_mut(&name) {
            None => drop(self.0.insert(name, value)),
            Some(first) if name.starts_with(USER_METADATA) => {
                first.push(',');
                first.push_str(&value);
            }
            Some(_) => return Err(invalid(format!("the form has the field {name:?} twice"))),
        }
        Ok(())
    }

    /// Replaces what stands for the file's name, of which only what is behind its directories is taken.
    fn fill_in(&mut self, name: &str) -> S3Result<()> {
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let times = |value: &String| value.matches(FILENAME).count();
        let longer = self.0.values().map(times).sum::<usize>() * name.len();
        if longer as u64 > FIELDS_BYTES_MAX {
            return Err(too_long());
        }
        for value in self.0.values_mut().filter(|value| value.contains(FILENAME)) {
            *value = value.replace(FILENAME, name);
        }
        Ok(())
    }
}

/// A body on its way to the parser, which takes all that is there at once, and of a head as much as comes: it is given piece
/// by piece, and no more than it may have.
struct Pieces<B> {
    body: B,
    rest: Bytes,
    left: u64,
    gave: bool,
}

struct Shared<B>(Arc<Mutex<Pieces<B>>>);

impl<B> Clone for Shared<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Pieces<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StdError>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(frame) => self.rest = frame?.into_data().unwrap_or_default(),
                None => return Poll::Ready(None),
            }
        }
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.rest.len());
        self.left -= len as u64;
        Poll::Ready(Some(Ok(self.rest.split_to(len))))
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Stream for Shared<B> {
    type Item = Result<Bytes, StdError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pieces = self.0.lock();
        if pieces.left == 0 {
            // Whoever parses sees that it has no more to come.
            return Poll::Pending;
        }
        if std::mem::take(&mut pieces.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = ready!(pieces.poll(cx));
        pieces.gave = true;
        Poll::Ready(piece)
    }
}

impl<B> Shared<B> {
    /// What is parsed may be so long from here on, in bytes.
    fn allow(&self, bytes: u64) {
        self.0.lock().left = bytes;
    }

    fn is_over(&self) -> bool {
        self.0.lock().left == 0
    }

    /// What `poll` comes to within what is allowed.
    async fn within<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> S3Result<T> {
        std::future::poll_fn(|cx| match poll(cx) {
            Poll::Pending if self.is_over() => Poll::Ready(Err(too_long())),
            polled => polled.map(Ok),
        })
        .await
    }
}

/// Reads a form up to its file. What comes behind that is ignored.
///
/// # Errors
/// `MalformedPOSTRequest`, `MaxPostPreDataLengthExceeded` for more than 20 KiB before the file, `InvalidArgument` for a field
/// twice, one that is not UTF-8 or no file at all; what is wrong with the body.
pub(super) async fn read<B>(body: B, boundary: String) -> S3Result<(Fields, File<B>)>
where
    B: Body<Data = Bytes, Error = StdError> + Send + Unpin + 'static,
{
    let pieces = Pieces { body, rest: Bytes::new(), left: FIELDS_BYTES_MAX, gave: false };
    let pieces = Shared(Arc::new(Mutex::new(pieces)));
    let mut multipart = Multipart::new(pieces.clone(), boundary);
    let mut fields = Fields::default();
    loop {
        let field = pieces.within(|cx| multipart.poll_next_field(cx)).await?.map_err(unread)?;
        let mut field = field.ok_or_else(|| invalid("POST requires exactly one file upload per request."))?;
        let name = field.name().ok_or_else(malformed)?.to_ascii_lowercase();
        if name == "file" {
            fields.fill_in(field.file_name().unwrap_or_default())?;
            pieces.allow(u64::MAX);
            return Ok((
                fields,
                File { pieces, multipart, at: At::Bytes(Box::new(field)), sizes: 0..=u64::MAX, len: 0 },
            ));
        }
        let mut value = Vec::new();
        while let Some(data) = pieces.within(|cx| Pin::new(&mut field).poll_next(cx)).await? {
            value.extend_from_slice(&data.map_err(unread)?);
        }
        drop(field);
        let value = String::from_utf8(value).map_err(|_| invalid(format!("the field {name:?} is not UTF-8")))?;
        fields.add(name, value)?;
    }
}

/// A form's file: a body that ends when the form has.
pub(super) struct File<B> {
    pieces: Shared<B>,
    multipart: Multipart<'static>,
    at: At,
    /// Bytes that it may have.
    sizes: RangeInclusive<u64>,
    len: u64,
}

enum At {
    Bytes(Box<Field<'static>>),
    /// In the boundary behind it.
    Boundary,
    /// In what is ignored.
    Rest,
}

impl<B> File<B> {
    /// The same file, which fails when it has fewer or more bytes.
    pub(super) fn of(self, sizes: RangeInclusive<u64>) -> Self {
        Self { sizes, ..self }
    }

    fn add(&mut self, data: Bytes) -> S3Result<Bytes> {
        self.len += data.len() as u64;
        if self.len <= *self.sizes.end() {
            return Ok(data);
        }
        let message = "Your proposed upload exceeds the maximum allowed size";
        Err(refused(StatusCode::BAD_REQUEST, "EntityTooLarge", message))
    }

    fn end(&mut self) -> S3Result<()> {
        self.at = At::Boundary;
        self.pieces.allow(FIELDS_BYTES_MAX);
        if self.len >= *self.sizes.start() {
            return Ok(());
        }
        let message = "Your proposed upload is smaller than the minimum allowed size";
        Err(refused(StatusCode::BAD_REQUEST, "EntityTooSmall", message))
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> Stream for File<B> {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.at {
                At::Bytes(field) => match ready!(Pin::new(field).poll_next(cx)) {
                    Some(data) => {
                        let data = data.map_err(unread).and_then(|data| self.add(data));
                        return Poll::Ready(Some(data.map_err(StdError::from)));
                    }
                    None => self.end()?,
                },
                At::Boundary => {
                    // A line that only begins like the boundary has cut the file.
                    match self.multipart.poll_next_field(cx) {
                        Poll::Pending if !self.pieces.is_over() => return Poll::Pending,
                        Poll::Pending => return Poll::Ready(Some(Err(malformed().into()))),
                        Poll::Ready(field) => drop(field.map_err(unread)?),
                    }
                    self.pieces.allow(u64::MAX);
                    self.at = At::Rest;
                }
                At::Rest => {
                    if ready!(self.pieces.0.lock().poll(cx)).transpose()?.is_none() {
                        return Poll::Ready(None);
                    }
                }
            }
        }
    }
}

impl<B: Body<Data = Bytes, Error = StdError> + Unpin> ByteStream for File<B> {}

#[cfg(test)]
mod tests {
    use super::{Body, Bytes, FIELDS_BYTES_MAX, Fields, Pin, Poll, RangeInclusive, StdError, Stream, read};
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::task::Context;

    /// A body that comes in pieces, and perhaps fails in the end.
    struct Sent(VecDeque<Result<Bytes, StdError>>);

    impl Body for Sent {
        type Data = Bytes;
        type Error = StdError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
            Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
        }
    }

    fn sent(form: &[u8], step: usize) -> Sent {
        Sent(form.chunks(step).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect())
    }

    /// Fields and bytes of the file, or the code of the refusal.
    fn of(body: Sent, sizes: RangeInclusive<u64>) -> Result<(Fields, Vec<u8>), String> {
        let code = |error: s3s::S3Error| error.code().as_str().to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (fields, file) = read(body, "xyz".to_owned()).await.map_err(code)?;
            let (mut file, mut bytes) = (file.of(sizes), Vec::new());
            while let Some(data) = std::future::poll_fn(|cx| Pin::new(&mut file).poll_next(cx)).await {
                bytes.extend_from_slice(&data.map_err(|error| code(super::failed(&error)))?);
            }
            Ok((fields, bytes))
        })
    }

    const ANY: RangeInclusive<u64> = 0..=u64::MAX;

    fn field(name: &str, value: &str) -> String {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    fn file(name: &str, bytes: &str) -> String {
        format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: a/b\r\n\r\n{bytes}\r\n"
        )
    }

    fn refusal(form: &str) -> String {
        let found = of(sent(form.as_bytes(), 7), ANY).unwrap_err();
        assert_eq!(of(sent(form.as_bytes(), 1 << 20), ANY).unwrap_err(), found);
        found
    }

    #[test]
    fn a_form_is_read_however_it_comes() {
        let bytes = "a\r\n--xy\r\n-\r\r\n--x\r\n\r\n--yxz";
        let form = [&field("Key", "a/${filename}"), &field("b", ""), &file("c:\\d/e\\f.txt", bytes), "--xyz--\r\n"];
        let form = form.concat();
        for step in 1..form.len() {
            let (fields, found) = of(sent(form.as_bytes(), step), ANY).unwrap();
            assert_eq!((fields.get("key"), fields.get("b"), fields.0.len()), (Some("a/f.txt"), Some(""), 2));
            assert_eq!(found, bytes.as_bytes(), "{step}");
        }
    }

    #[test]
    fn what_comes_behind_the_file_is_ignored() {
        for behind in [
            field("key", "other"),
            file("other", "other"),
            format!("--xyz\r\nNonsense: {}\r\n\r\n\r\n", "n".repeat(9000)),
        ] {
            let form = [&field("key", "k"), &file("f", "data"), behind.as_str(), "--xyz--"].concat();
            let (fields, bytes) = of(sent(form.as_bytes(), 100), ANY).unwrap();
            assert_eq!((fields.get("key"), bytes.as_slice()), (Some("k"), &b"data"[..]));
        }
    }

    #[test]
    fn size_6_a_form_that_is_no_form_or_is_cut_off_is_refused() {
        let whole = [&field("key", "k"), &file("f", "data"), "--xyz--"].concat();
        for end in 0..whole.len() - 2 {
            assert!(of(sent(&whole.as_bytes()[..end], 5), ANY).is_err(), "{end}");
        }
        let mut broken = sent(whole.as_bytes(), 5);
        broken.0.push_back(Err("the connection is gone".into()));
        assert_eq!(of(broken, ANY).unwrap_err(), "IncompleteBody");
        assert_eq!(refusal(&[&field("key", "k"), "--xyz--"].concat()), "InvalidArgument");
        assert_eq!(refusal(&[field("key", "k"), field("KEY", "l"), file("f", "data")].concat()), "InvalidArgument");
        assert_eq!(refusal("nonsense"), "MalformedPOSTRequest");
        assert_eq!(refusal("--xyz\r\nContent-Type: text/plain\r\n\r\nnameless\r\n--xyz--"), "MalformedPOSTRequest");
        // The boundary inside the file.
        assert_eq!(refusal(&[&file("f", "da\r\n--xyzta"), "--xyz--"].concat()), "MalformedPOSTRequest");
        let flood: String = (0..40).map(|n| format!("H{n}: v\r\n")).collect();
        assert_eq!(refusal(&format!("--xyz\r\n{flood}\r\nvalue\r\n--xyz--")), "MalformedPOSTRequest");
        let odd = sent(b"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--xyz--", 9);
        assert_eq!(of(odd, ANY).unwrap_err(), "InvalidArgument");
    }

    #[test]
    fn what_precedes_the_file_is_bounded() {
        let head = |len: usize| [&field("key", &"k".repeat(len)), &file("f", ""), "--xyz--"].concat();
        let (most, behind) = (FIELDS_BYTES_MAX as usize, "\r\n--xyz--".len());
        let fits = most - (head(0).len() - behind);
        for step in [1000, 1 << 20] {
            assert!(of(sent(head(fits).as_bytes(), step), ANY).is_ok());
            let long = of(sent(head(fits + 1).as_bytes(), step), ANY).unwrap_err();
            assert_eq!(long, "MaxPostPreDataLengthExceeded");
        }
        for flood in [
            "n".repeat(1 << 20),
            format!("--xyz\r\nX: {}", "h".repeat(1 << 20)),
            field("x-amz-meta-a", "b").repeat(10_000),
            [field("a", &"${filename}".repeat(1000)), file(&"n".repeat(4000), "data")].concat(),
        ] {
            assert_eq!(refusal(&flood), "MaxPostPreDataLengthExceeded");
        }
        // Nor is what follows the file held.
        let behind = format!("{}--xyz\r\nX: {}", file("f", "data"), "h".repeat(1 << 20));
        assert_eq!(refusal(&behind), "MalformedPOSTRequest");
    }

    #[test]
    fn size_2_a_file_has_the_length_that_it_may_have() {
        let form = [&field("key", "k"), &file("f", "data"), "--xyz--"].concat();
        let of = |sizes| of(sent(form.as_bytes(), 9), sizes).map(|(_, bytes)| bytes);
        assert!(of(4..=4).is_ok() && of(0..=u64::MAX).is_ok());
        assert_eq!(of(5..=9), Err("EntityTooSmall".into()));
        assert_eq!(of(0..=3), Err("EntityTooLarge".into()));
    }

    #[test]
    fn meta_7_metadata_sent_twice_is_one_value() {
        let form = [&field("x-amz-meta-a", "1"), &field("X-Amz-Meta-A", "2"), &file("f", ""), "--xyz--"].concat();
        let (mut fields, _) = of(sent(form.as_bytes(), 50), ANY).unwrap();
        assert_eq!(fields.take_metadata().unwrap(), [("a".to_owned(), "1,2".to_owned())].into());
        assert!(fields.0.is_empty() && fields.take_metadata().is_none());
    }
}
