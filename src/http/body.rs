//! Bodies of answers that want care: secrets, and large ones.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError, Json,
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use crate::{limits, snapshot::PictureText};

/// An answer that holds a secret, as JSON: nobody on the way keeps it.
#[derive(Debug)]
pub(crate) struct SecretJson<T>(pub T);

impl<T: Serialize> IntoResponse for SecretJson<T> {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self.0)).into_response()
    }
}

/// A body of what is compressed already, or of its text if the client does not take it so.
pub(crate) fn gzipped_or_not(answer: PictureText, request: &HeaderMap, headers: &mut HeaderMap) -> Body {
    if accepts_gzip(request) {
        let (parts, held) = answer.gzip();
        let length: usize = parts.iter().map(Bytes::len).sum();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        return of_parts(parts, held);
    }
    let (text, length) = answer.text();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    of_pieces(text)
}

/// Returns `true` if the client takes gzip (RFC 9110, 12.5.3). `*` stands for codings that are not named.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let accepted = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = accepted.flat_map(|value| value.split(',')).map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().unwrap_or(0.0))
        });
        (name, weight.unwrap_or(1.0) > 0.0)
    });
    let codings: Vec<(String, bool)> = codings.collect();
    let named = codings.iter().find(|(name, _)| name == "gzip" || name == "x-gzip");
    let any = || codings.iter().find(|(name, _)| name == "*");
    named.or_else(any).is_some_and(|(_, is_accepted)| *is_accepted)
}

/// A body of parts that are at hand. It keeps `held` until it has been sent.
fn of_parts(parts: Vec<Bytes>, held: impl Send + 'static) -> Body {
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    of_pieces(parts.map(move |part| {
        let _ = &held;
        Ok::<_, Infallible>(part)
    }))
}

/// A body of pieces that are made as they are sent.
fn of_pieces<E: Into<BoxError> + Send + 'static>(
    pieces: impl Iterator<Item = Result<Bytes, E>> + Send + 'static,
) -> Body {
    // Compression asks once more after the end.
    Body::from_stream(stream::iter(pieces).fuse())
}

/// A body in slices with a rest after each, however large the pieces are that it is made of: to write a slice, or to
/// compress it, takes a fraction of a millisecond.
pub(crate) fn in_slices(body: Body) -> Body {
    let hint = body.size_hint();
    // Most bodies are small.
    if hint.exact().is_some_and(|bytes| bytes <= limits::ANSWER_SLICE_BYTES as u64) {
        return body;
    }
    let sliced = Body::new(Sliced { body, rest: Bytes::new() });
    Body::new(Resting { body: sliced, from: limits::ANSWER_SLICE_BYTES, rests: false })
}

/// A body that lets other tasks run between its frames, as long as it is one whose length is not known. A compressor keeps
/// the rests of a sliced body to itself: it gives out what it has instead, and is asked again at once.
pub(crate) fn with_rests(body: Body) -> Body {
    if body.size_hint().exact().is_some() { body } else { Body::new(Resting { body, from: 0, rests: false }) }
}

struct Resting {
    body: Body,
    /// Other tasks are to run after frames from so many bytes on.
    from: usize,
    /// `true` if other tasks are to run before the next frame.
    rests: bool,
}

impl HttpBody for Resting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if std::mem::take(&mut self.rests) {
            // It is woken at once, behind the others.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.rests = data.is_some_and(|data| data.len() >= self.from);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Sliced {
    body: Body,
    /// The rest of its last piece.
    rest: Bytes,
}

impl HttpBody for Sliced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let slice = self.rest.len().min(limits::ANSWER_SLICE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(slice)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint() + SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_name_it_or_take_anything() {
        for (value, is_accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("x-gzip", true),
            ("*", true),
            ("br, *;q=0.1", true),
            ("", false),
            ("br", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip; Q = 0.000", false),
            ("gzip;q=0, *", false),
            ("*, gzip;q=0", false),
            ("*;q=0", false),
            ("*;q=0, gzip", true),
            ("gzip;q=x", false),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&request), is_accepted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn parts_make_the_whole_and_hold_what_they_are_of() {
        let held = std::sync::Arc::new(());
        let parts = vec![Bytes::new(), Bytes::from("ab"), Bytes::from(vec![7; 100])];
        let whole = parts.concat();
        let body = of_parts(parts, held.clone());
        assert_eq!(std::sync::Arc::strong_count(&held), 2);
        assert!(axum::body::to_bytes(body, usize::MAX).await.unwrap() == whole);
        assert_eq!(std::sync::Arc::strong_count(&held), 1);
        assert!(axum::body::to_bytes(of_parts(Vec::new(), ()), 1).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn slices_make_the_whole_and_let_others_run_in_between() {
        let parts: Vec<usize> = vec![0, 1, limits::ANSWER_SLICE_BYTES, 5 * limits::ANSWER_SLICE_BYTES + 3, 7];
        let pieces: Vec<_> = parts.iter().zip(0..).map(|(len, byte)| Bytes::from(vec![byte; *len])).collect();
        let whole = pieces.concat();
        let stream = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
        let mut body = in_slices(Body::from_stream(stream));
        let (mut read, mut pauses) = (Vec::new(), 0);
        let waker = std::task::Waker::noop();
        loop {
            match Pin::new(&mut body).poll_frame(&mut Context::from_waker(waker)) {
                Poll::Pending => pauses += 1,
                Poll::Ready(None) => break,
                Poll::Ready(Some(frame)) => {
                    let slice = frame.unwrap().into_data().unwrap();
                    assert!(slice.len() <= limits::ANSWER_SLICE_BYTES);
                    read.extend_from_slice(&slice);
                }
            }
        }
        assert!(read == whole);
        assert_eq!(pauses, 6, "one after each full slice");
        let mut sized = in_slices(Body::from(whole.clone()));
        assert_eq!(sized.size_hint().exact(), Some(whole.len() as u64));
        let _ = Pin::new(&mut sized).poll_frame(&mut Context::from_waker(waker));
        assert_eq!(sized.size_hint().exact(), Some((whole.len() - limits::ANSWER_SLICE_BYTES) as u64));
        assert!(axum::body::to_bytes(sized, usize::MAX).await.unwrap().len() < whole.len());
    }
}
