//! A request without a body, and an answer whose end is known from its head, on one connection: what most exchanges are.
//!
//! hyper's client hands each of them through two channels and a second state machine, which costs more than to write the head and to read the
//! answer. Invariant: whatever is not certain is left to hyper. An answer of another form than `HTTP/1.1`, a final status, no body
//! or one Content-Length, and a connection that stays open, is [`Heard::Other`]: hyper reads it from its first byte.

use crate::message::body::Outgoing;
use crate::upstream::failure::Fault;
use crate::upstream::line::Held;
use crate::upstream::stream::Stream;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use httparse::{ParserConfig, Status};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite};

/// How much is read at once: it follows what comes, within these bounds.
const LEAST: usize = 8 * 1024;
const MOST: usize = 64 * 1024;
/// A connection at rest keeps no more memory than this for what it sends, and none for what it reads.
const KEPT: usize = 1024;
/// More fields than this are hyper's to read.
const FIELDS: usize = 64;
/// hyper's server takes a hundred fields, and the proxy adds some.
const SENT_FIELDS: usize = 128;

/// A connection that is spoken to without hyper.
#[derive(Debug)]
pub(super) struct Plain {
    stream: Stream,
    held: Held,
    read: BytesMut,
    /// How much is read at once.
    want: usize,
    /// The head of the request under way, or of the last one, and how much of it was sent.
    head: Vec<u8>,
    sent: usize,
    /// Some of that may not have left.
    kept_back: bool,
    method: Method,
    /// Bytes of the answer's body that have not come.
    owed: u64,
    /// It can take no further request.
    spent: bool,
}

/// A body whose length is known.
#[derive(Debug, Default)]
pub(super) struct Sized {
    /// What has come and was not passed on.
    ready: Bytes,
    /// What was not passed on, with that.
    pub(super) left: u64,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Heard {
    Answer(Response<Sized>),
    Broke(Fault),
    /// hyper is to read it, from these bytes on.
    Other(Bytes),
}

impl Plain {
    pub(super) fn new(stream: Stream, held: Held) -> Self {
        Self {
            stream,
            held,
            read: BytesMut::new(),
            want: LEAST,
            head: Vec::new(),
            sent: 0,
            kept_back: false,
            method: Method::GET,
            owed: 0,
            spent: false,
        }
    }

    pub(super) fn into_parts(self) -> (Stream, Held) {
        (self.stream, self.held)
    }

    /// Takes a request to be sent, if it has no body and the form of one to an origin.
    pub(super) fn take(&mut self, request: &mut Option<Request<Outgoing>>) -> bool {
        let Some(taken) = request
            .take_if(|request| request.body().is_empty() && request.uri().authority().is_none())
        else {
            return false;
        };
        self.head.clear();
        self.sent = 0;
        self.kept_back = self.stream.keeps_back();
        write_head(&taken, &mut self.head);
        if self.head.len() > KEPT {
            // It stays until it is answered.
            self.head.shrink_to_fit();
        }
        self.method.clone_from(taken.method());
        true
    }

    /// Why there is nothing more to be said: the connection has been closed, or speaks without having been asked. For a connection at rest.
    pub(super) fn ending(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        if !self.spent && self.read.is_empty() {
            match self.poll_read(cx, 1) {
                Poll::Pending => return None,
                Poll::Ready(Err(error)) => return Some(error),
                Poll::Ready(Ok(_)) => {}
            }
        }
        Some(io::ErrorKind::UnexpectedEof.into())
    }

    /// Whether it takes another request.
    pub(super) fn is_ready(&mut self) -> bool {
        self.read = BytesMut::new();
        if self.head.capacity() > KEPT {
            self.head = Vec::new();
        }
        !self.spent && self.owed == 0
    }

    /// The method of the request that was taken last.
    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// Whether nothing of the request was sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.sent == 0
    }

    /// Whether all of the request was sent.
    pub(super) fn has_sent(&self) -> bool {
        self.sent == self.head.len() && !self.kept_back
    }

    /// The request that was taken last, made anew from what was sent.
    pub(super) fn request(&self) -> Option<Request<Outgoing>> {
        read_head(&self.method, &self.head)
    }

    /// Sends the request that was taken, and reads the head of its answer.
    pub(super) fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        let mut broken = None;
        while self.sent < self.head.len() && broken.is_none() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.head[self.sent..]) {
                Poll::Ready(Ok(0)) => broken = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.sent += written,
                // Who does not take the whole of it may have said why.
                Poll::Ready(Err(error)) => broken = Some(error),
                Poll::Pending => break,
            }
        }
        if self.kept_back && broken.is_none() {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.kept_back = self.sent < self.head.len(),
                Poll::Ready(Err(error)) => broken = Some(error),
                Poll::Pending => {}
            }
        }
        loop {
            match (self.poll_read(cx, self.want), broken.take()) {
                (Poll::Ready(Ok(0)), _) => return self.broke(io::ErrorKind::UnexpectedEof.into()),
                (Poll::Ready(Ok(_)), kept) => broken = kept,
                (Poll::Ready(Err(error)), _) | (Poll::Pending, Some(error)) => {
                    return self.broke(error);
                }
                (Poll::Pending, None) => return Poll::Pending,
            }
            if !self.has_sent() {
                // An answer to a request that is not all sent: the rest would be taken for the next one.
                self.spent = true;
            }
            if let Some(heard) = self.hear() {
                return Poll::Ready(heard);
            }
        }
    }

    fn broke(&mut self, error: io::Error) -> Poll<Heard> {
        self.spent = true;
        Poll::Ready(Heard::Broke(Fault::broken(error)))
    }

    /// The answer, as far as it has come. `None` if more is needed to tell.
    fn hear(&mut self) -> Option<Heard> {
        let come = self.read.split().freeze();
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS];
        let mut answer = httparse::Response::new(&mut []);
        let parsed = ParserConfig::default().parse_response_with_uninit_headers(
            &mut answer,
            &come,
            &mut fields,
        );
        let length = match parsed {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) if come.len() < LEAST => {
                self.read = come
                    .try_into_mut()
                    .unwrap_or_else(|come| BytesMut::from(&*come));
                return None;
            }
            Ok(Status::Partial) | Err(_) => return Some(Heard::Other(come)),
        };
        let Some((status, headers, left)) = head(&self.method, &answer, &come) else {
            return Some(Heard::Other(come));
        };
        let after = (come.len() - length) as u64;
        // Bytes that nobody has asked for: whose they are can't be told.
        self.spent |= after > left;
        let ready = come.slice(length..length + usize::try_from(after.min(left)).unwrap_or(0));
        self.owed = left - ready.len() as u64;
        let mut response = Response::new(Sized { ready, left });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Some(Heard::Answer(response))
    }

    /// The next bytes of an answer's body.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Sized,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        if body.left == 0 {
            return Poll::Ready(None);
        }
        if body.ready.is_empty() {
            let owed = usize::try_from(self.owed).unwrap_or(MOST);
            let come = match ready!(self.poll_read(cx, owed.clamp(self.want, MOST))) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                other => other,
            };
            match come {
                Ok(come) => {
                    self.spent |= come > owed;
                    body.ready = self.read.split().freeze();
                    body.ready.truncate(owed);
                    self.owed -= body.ready.len() as u64;
                }
                Err(error) => {
                    self.spent = true;
                    return Poll::Ready(Some(Err(Fault::broken(error))));
                }
            }
        }
        body.left -= body.ready.len() as u64;
        Poll::Ready(Some(Ok(std::mem::take(&mut body.ready))))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<usize>> {
        // There is room when there is something to read: who waits for an answer needs none.
        ready!(self.stream.poll_read_ready(cx))?;
        self.read.reserve(most);
        // The buffer may have more room than was asked for.
        let mut room = (&mut self.read).limit(most);
        let come = ready!(pin!(self.stream.read_buf(&mut room)).poll(cx))?;
        if come == most {
            self.want = (self.want * 2).min(MOST);
        } else if come < self.want / 4 {
            self.want = (self.want / 2).max(LEAST);
        }
        Poll::Ready(Ok(come))
    }
}

/// The request as it goes out: like hyper, fields in the order of their names' first lines, without a transfer coding where there is no body.
fn write_head(request: &Request<Outgoing>, head: &mut Vec<u8>) {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", PathAndQuery::as_str);
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(target.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        if name == TRANSFER_ENCODING {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    if let Outgoing::Stamped(lines) = request.body() {
        lines.write(head);
    }
    head.extend_from_slice(b"\r\n");
}

/// What [`write_head`] has written. `None` if there are more fields than may be read.
fn read_head(method: &Method, text: &[u8]) -> Option<Request<Outgoing>> {
    let mut fields = [const { MaybeUninit::uninit() }; SENT_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    head.parse_with_uninit_headers(text, &mut fields).ok()?;
    let mut request = Request::new(Outgoing::Empty);
    request.method_mut().clone_from(method);
    *request.uri_mut() = head.path?.parse().ok()?;
    for field in head.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(field.value).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}

/// Status and fields of an answer, and the length of its body. `None` if anything of it is not as expected.
fn head(
    asked: &Method,
    answer: &httparse::Response<'_, '_>,
    come: &Bytes,
) -> Option<(StatusCode, HeaderMap, u64)> {
    let status = StatusCode::from_u16(answer.code?).ok()?;
    if answer.version != Some(1) || status.is_informational() {
        return None;
    }
    let mut headers = HeaderMap::with_capacity(answer.headers.len());
    let mut length = None;
    for field in answer.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if name == CONTENT_LENGTH {
            if length.is_some() {
                return None;
            }
            length = Some(number(field.value)?);
        } else if name == CONNECTION {
            if !field.value.eq_ignore_ascii_case(b"keep-alive") {
                return None;
            }
            // It is said to this connection: put in, it would be searched for and taken out again.
            continue;
        } else if name == TRANSFER_ENCODING {
            return None;
        }
        let value = come.slice_ref(field.value);
        headers.append(name, HeaderValue::from_maybe_shared(value).ok()?);
    }
    let has_no_body = asked == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let left = if has_no_body { 0 } else { length? };
    Some((status, headers, left))
}

/// `1*DIGIT`, as far as it is a length at all.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests;
