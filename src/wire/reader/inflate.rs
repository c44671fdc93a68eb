//! Inflates one compressed message of a client (RFC 7692 §7.2.2).
//!
//! Owns the bound on what a message may inflate to. It never keeps an inflater or a window for the next
//! message: taking those over is never agreed to.

use flate2::{Decompress, FlushDecompress, Status};

use crate::{limits, wire::ReadError};

/// The end that a sender cuts off each compressed message (RFC 7692 §7.2.2), and an empty last block behind it.
/// An inflater says that it is at an end only after a last block, so that a message which was cut short shows.
const DEFLATE_TAIL: [u8; 6] = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00];
/// Room that a compressed message gets at first; it doubles up to the limit.
const FIRST_INFLATED_BYTES: usize = 512;

/// Inflates one message, no further than the limit. The inflater lives no longer than this call: an idle
/// connection pays nothing for having negotiated compression.
pub(super) fn inflate(compressed: &[u8]) -> Result<Vec<u8>, ReadError> {
    const BAD: ReadError = ReadError::Protocol("compressed data that is none");
    let mut inflater = Decompress::new(false);
    let mut inflated = Vec::with_capacity(FIRST_INFLATED_BYTES);
    let mut is_at_end = false;
    for mut rest in [compressed, &DEFLATE_TAIL] {
        while !rest.is_empty() || inflated.len() == inflated.capacity() {
            if inflated.len() == inflated.capacity() {
                // One byte over the limit tells a message that just fits from one that goes on.
                let most = limits::MAX_CLIENT_FRAME_BYTES + 1;
                inflated.reserve_exact(inflated.len().min(most - inflated.len()));
            }
            let (taken_before, length_before) = (inflater.total_in(), inflated.len());
            let status =
                inflater.decompress_vec(rest, &mut inflated, FlushDecompress::None).map_err(|_| BAD)?;
            let taken = usize::try_from(inflater.total_in() - taken_before).map_err(|_| BAD)?;
            rest = rest.get(taken..).ok_or(BAD)?;
            if inflated.len() > limits::MAX_CLIENT_FRAME_BYTES {
                return Err(ReadError::TooLarge);
            }
            if status == Status::StreamEnd {
                // A sender may flush with a last block; further ones follow it (RFC 7692 §7.2.3.5).
                is_at_end = true;
                inflater.reset(false);
            } else if taken != 0 || inflated.len() != length_before {
                is_at_end = false;
            } else if !rest.is_empty() {
                return Err(BAD);
            }
        }
    }
    if is_at_end { Ok(inflated) } else { Err(BAD) }
}
