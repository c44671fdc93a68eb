//! What a client says, from any text: it is read or refused, and neither white space nor a field of
//! another version changes what it means.

#![no_main]

use libfuzzer_sys::fuzz_target;
use revcast::gateway::ClientMessage;

fuzz_target!(|text: &str| {
    let Ok(message) = serde_json::from_str::<ClientMessage>(text) else { return };
    assert_eq!(serde_json::from_str(&format!(" {text}\n")).ok().as_ref(), Some(&message));
    // Other forms than objects are refused before they get here.
    let Some(fields) = text.trim_start().strip_prefix('{') else { return };
    let further = format!(r#"{{"_":[{{}}],{fields}"#);
    assert_eq!(serde_json::from_str(&further).ok(), Some(message));
});
