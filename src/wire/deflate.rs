//! Agrees with a client on permessage-deflate (RFC 7692 §7.1).
//!
//! Owns which offers the server can serve and what it answers. It never compresses, and never refuses a
//! handshake: a client whose offers do not fit, or make no sense, is served uncompressed.

use axum::http::{HeaderMap, HeaderValue, header::SEC_WEBSOCKET_EXTENSIONS};

/// Neither side keeps a window between messages: a frame is compressed once for all its readers, and an
/// idle connection holds no inflater. A server may say so whether or not the client offered it
/// (§7.1.1).
const AGREED: HeaderValue =
    HeaderValue::from_static("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
/// The same to a client that named the window that the server uses anyway.
const AGREED_WITH_WINDOW: HeaderValue = HeaderValue::from_static(
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15",
);

/// The answer to the first offer of permessage-deflate that can be served, for the header
/// `Sec-WebSocket-Extensions`; `None` when the connection goes uncompressed.
#[must_use]
pub fn negotiate(headers: &HeaderMap) -> Option<HeaderValue> {
    let offers = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    offers.flat_map(|header| split(header.as_bytes(), b',')).find_map(answer)
}

/// The answer to one offer.
fn answer(offer: &[u8]) -> Option<HeaderValue> {
    let mut parts = split(offer, b';');
    if !parts.next()?.eq_ignore_ascii_case(b"permessage-deflate") {
        return None;
    }
    let mut params = Params::default();
    for part in parts {
        params.read(part)?;
    }
    Some(if params.server_window { AGREED_WITH_WINDOW } else { AGREED })
}

/// The parameters of an offer that have been read.
#[derive(Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window: bool,
    client_window: bool,
}

impl Params {
    /// Reads one parameter; `None` when the offer that bears it is declined.
    fn read(&mut self, part: &[u8]) -> Option<()> {
        let (name, value) = match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (part[..at].trim_ascii_end(), Some(unquote(part[at + 1..].trim_ascii_start())?)),
            None => (part, None),
        };
        let (seen, is_valid) = match name.to_ascii_lowercase().as_slice() {
            b"server_no_context_takeover" => (&mut self.server_no_context_takeover, value.is_none()),
            b"client_no_context_takeover" => (&mut self.client_no_context_takeover, value.is_none()),
            // A frame is compressed once for all readers, in a window of 15 bits; whoever asks for a
            // smaller one could not read it.
            b"server_max_window_bits" => (&mut self.server_window, value.as_deref() == Some(b"15")),
            // A hint that needs no answer: the inflater takes any window.
            b"client_max_window_bits" => {
                (&mut self.client_window, value.is_none_or(|value| is_window(&value)))
            }
            _ => return None,
        };
        let is_first = !std::mem::replace(seen, true);
        (is_valid && is_first).then_some(())
    }
}

/// Returns `true` for a number of bits from 8 to 15, without leading zeros (§7.1.2).
fn is_window(value: &[u8]) -> bool {
    matches!(value, [b'8' | b'9'] | [b'1', b'0'..=b'5'])
}

/// Splits at a separator that stands outside quotes, and trims the parts.
fn split(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = list.split(move |byte| {
        let was_escaped = is_escaped;
        is_escaped = is_quoted && !was_escaped && *byte == b'\\';
        if *byte == b'"' && !was_escaped {
            is_quoted = !is_quoted;
        }
        !is_quoted && *byte == separator
    });
    parts.map(<[u8]>::trim_ascii)
}

/// The value of a parameter, out of its quotes if it has any; `None` when it is malformed.
fn unquote(value: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = value.strip_prefix(b"\"") else { return Some(value.to_vec()) };
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    loop {
        match bytes.next()? {
            b'"' => return bytes.as_slice().is_empty().then_some(plain),
            b'\\' => plain.push(*bytes.next()?),
            byte => plain.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Option<&str> =
        Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    const WITH_WINDOW: Option<&str> = Some(
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15",
    );

    #[track_caller]
    fn expect(offered: &[&[u8]], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in offered {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(value).unwrap());
        }
        let answer = negotiate(&headers);
        assert_eq!(answer.as_ref().map(|answer| answer.to_str().unwrap()), expected, "{offered:?}");
    }

    #[test]
    fn an_offer_that_can_be_served_is_accepted() {
        for offer in [
            "permessage-deflate",
            "  permessage-deflate\t;client_max_window_bits ",
            "Permessage-Deflate; Client_Max_Window_Bits",
            "permessage-deflate; client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=15",
            "permessage-deflate; client_max_window_bits = \"10\"",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
            "x; a=\"b, permessage-deflate; \\\"c\", permessage-deflate",
            ", ,permessage-deflate",
        ] {
            expect(&[offer.as_bytes()], PLAIN);
        }
    }

    #[test]
    fn an_offer_that_cannot_be_served_is_declined() {
        for offer in [
            "",
            "permessage-bzip2",
            "permessage-deflat",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=14",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=015",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=08",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"10",
            "permessage-deflate; client_max_window_bits=\"10\"0",
            "permessage-deflate; client_max_window_bits=\"10\\",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=\"\"",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
            "permessage-deflate; server_max_window_bits=15; server_max_window_bits=15",
            "permessage-deflate; unknown",
            "permessage-deflate;",
            "permessage-deflate=1",
            "\"permessage-deflate\"",
            "x; a=\"permessage-deflate, permessage-deflate",
        ] {
            expect(&[offer.as_bytes()], None);
        }
        expect(&[], None);
        expect(&[b"permessage-deflate; \xff"], None);
    }

    #[test]
    fn a_window_of_15_bits_is_confirmed() {
        expect(&[b"permessage-deflate; server_max_window_bits=15"], WITH_WINDOW);
        expect(
            &[b"permessage-deflate; client_max_window_bits; server_max_window_bits=\"1\\5\""],
            WITH_WINDOW,
        );
    }

    #[test]
    fn the_first_offer_that_fits_is_taken_from_whichever_header() {
        let small: &[u8] = b"permessage-deflate; server_max_window_bits=10";
        let large: &[u8] = b"permessage-deflate; server_max_window_bits=15";
        expect(&[small, b"permessage-deflate"], PLAIN);
        expect(&[small, large, b"permessage-deflate"], WITH_WINDOW);
        expect(&[&[small, large].join(&b", "[..])], WITH_WINDOW);
        expect(&[b"permessage-deflate", large], PLAIN);
    }
}
