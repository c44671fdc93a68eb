//! The HTTP upgrade of a reader.

use anyhow::{Context, bail, ensure};

use super::{Encoding, Plan};

/// The text of the request that opens a reader's socket.
pub(super) fn request(plan: &Plan, reader: usize) -> String {
    let (host, token) = (plan.address_of(reader), plan.token_of(reader));
    let protocol = plan.encoding.subprotocol();
    let extensions = match plan.deflate {
        true => "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
        false => "",
    };
    // The key only guards against caches; one for all does.
    format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
         Sec-WebSocket-Protocol: {protocol}\r\n{extensions}\r\n"
    )
}

/// The terms that the server has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upgraded {
    /// The index at which the head of the response ends, and frames begin.
    pub(super) end: usize,
    /// True if frames may be deflated.
    pub(super) is_deflated: bool,
}

/// Reads the response; nothing while its head is cut off.
pub(super) fn response(bytes: &[u8], encoding: Encoding) -> anyhow::Result<Option<Upgraded>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().context("no status")?;
    ensure!(status.starts_with("http/1.1 101"), "the handshake was answered {status}");
    let (mut protocol, mut extensions) = ("", "");
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name {
            "sec-websocket-protocol" => protocol = value.trim(),
            "sec-websocket-extensions" => extensions = value.trim(),
            _ => (),
        }
    }
    if protocol != encoding.subprotocol() {
        bail!("the server does not speak {}", encoding.subprotocol());
    }
    let is_deflated = extensions.contains("permessage-deflate");
    // Without it each socket would have a window of its own, and no frame could be shared.
    ensure!(
        !is_deflated || extensions.contains("server_no_context_takeover"),
        "the server compresses with a context: {extensions}"
    );
    Ok(Some(Upgraded { end: end + 4, is_deflated }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> anyhow::Result<Option<Upgraded>> {
        response(text.as_bytes(), Encoding::Json)
    }

    #[test]
    fn only_an_upgrade_to_the_protocol_asked_for_is_taken() {
        let upgrade = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: revcast.v1.json\r\n";
        assert_eq!(answer(upgrade).unwrap(), None);
        let end = upgrade.len() + 2;
        assert_eq!(answer(&format!("{upgrade}\r\nxyz")).unwrap(), Some(Upgraded { end, is_deflated: false }));
        let deflate = "sec-websocket-extensions: permessage-deflate; server_no_context_takeover\r\n";
        assert!(answer(&format!("{upgrade}{deflate}\r\n")).unwrap().unwrap().is_deflated);
        assert!(answer(&format!("{upgrade}sec-websocket-extensions: permessage-deflate\r\n\r\n")).is_err());
        assert!(answer("HTTP/1.1 101 Switching Protocols\r\n\r\n").is_err());
        assert!(answer("HTTP/1.1 401 Unauthorized\r\n\r\n").is_err());
    }
}
