//! Reads any bytes as the message of a client: it is read or refused, and neither white space, nor a field of another
//! version, nor the encoding changes its meaning. The first byte chooses the encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use revcast::wire::ClientMessage;
use serde_json::Value;

// With it comes the bound to memory.
use revcast_fuzz as _;

fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((b'm', packed)) => check_packed(packed),
        Some((_, text)) => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            check(text);
        }
        None => (),
    }
});

fn check(text: &str) {
    let message = ClientMessage::parse(text);
    let named = ClientMessage::named_drawing(text);
    let _ = ClientMessage::names_an_op(text);
    let Some(message) = message else { return };
    match &message {
        ClientMessage::Subscribe { drawing_id, .. }
        | ClientMessage::Unsubscribe { drawing_id }
        | ClientMessage::Presence { drawing_id, .. } => assert_eq!(named, Some(*drawing_id)),
        _ => (),
    }
    assert_eq!(ClientMessage::parse(&format!(" {text}\n")).as_ref(), Some(&message));
    let fields = text.trim_start().strip_prefix('{').expect("a message is an object");
    assert_eq!(ClientMessage::parse(&format!(r#"{{"_":[{{}}],{fields}"#)).as_ref(), Some(&message));
    // No document says which of two fields of one name counts.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    if ClientMessage::parse(&value.to_string()).as_ref() == Some(&message) {
        let packed = rmp_serde::to_vec_named(&value).expect("JSON can be packed");
        let unpacked = ClientMessage::unpack(&packed).expect("what was packed can be unpacked");
        assert_eq!(ClientMessage::parse(&unpacked), Some(message));
    }
}

fn check_packed(packed: &[u8]) {
    let Some(json) = ClientMessage::unpack(packed) else { return };
    // It may be nested more deeply than JSON is read.
    if serde_json::from_str::<Value>(&json).is_ok() {
        check(&json);
    }
}
