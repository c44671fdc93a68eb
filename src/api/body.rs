//! Bodies of answers that want care: secrets, and large ones.

use std::convert::Infallible;

use axum::{
    BoxError, Json,
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
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
}
