//! Bodies of answers that want care: secrets, and large ones.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    BoxError, Json,
    body::{Body, HttpBody},
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use hyper::body::{Frame, SizeHint};
use serde::Serialize;

use crate::limits;

/// An answer that holds a secret, as JSON: nobody on the way keeps it.
#[derive(Debug)]
pub(super) struct SecretJson<T>(pub T);

impl<T: Serialize> IntoResponse for SecretJson<T> {
    fn into_response(self) -> Response {
        ([(header::CACHE_CONTROL, "no-store")], Json(self.0)).into_response()
    }
}

/// A body in small pieces, so that other tasks run while it is compressed. What is `held` is held until it has been sent.
pub(super) fn in_pieces(parts: Vec<Bytes>, held: impl Send + 'static) -> Body {
    let (mut parts, mut rest) = (parts.into_iter(), Bytes::new());
    one_by_one(std::iter::from_fn(move || {
        let _ = &held;
        while rest.is_empty() {
            rest = parts.next()?;
        }
        Some(Ok::<_, Infallible>(rest.split_to(rest.len().min(limits::ANSWER_PIECE_BYTES))))
    }))
}

/// A body of pieces that are made as they are sent; other tasks run between them.
pub(super) fn one_by_one<E: Into<BoxError> + Send + 'static>(
    pieces: impl Iterator<Item = Result<Bytes, E>> + Send + 'static,
) -> Body {
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.next()?;
        tokio::task::yield_now().await;
        Some((piece, pieces))
    });
    // Compression asks once more after the end.
    Body::from_stream(pieces.fuse())
}

/// A body in slices, so that other tasks run while it is compressed and written, however large the pieces are that it is
/// made of.
pub(super) fn in_slices(body: Body) -> Body {
    let hint = body.size_hint();
    // Most bodies are small.
    if hint.exact().is_some_and(|bytes| bytes <= limits::ANSWER_SLICE_BYTES as u64) {
        return body;
    }
    Body::new(Sliced { body, rest: Bytes::new(), rests: false })
}

struct Sliced {
    body: Body,
    /// What is left of its last piece.
    rest: Bytes,
    /// Whether other tasks are to run before the next slice.
    rests: bool,
}

impl HttpBody for Sliced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
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
        self.rests = slice == limits::ANSWER_SLICE_BYTES;
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

    #[tokio::test]
    async fn the_pieces_make_the_whole() {
        let parts =
            vec![Bytes::new(), Bytes::from("ab"), Bytes::from(vec![7; 3 * limits::ANSWER_PIECE_BYTES + 1])];
        let whole = parts.concat();
        let body = axum::body::to_bytes(in_pieces(parts, ()), usize::MAX).await.unwrap();
        assert!(body == whole);
        assert!(axum::body::to_bytes(in_pieces(Vec::new(), ()), 1).await.unwrap().is_empty());
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
