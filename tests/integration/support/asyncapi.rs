//! Holds messages against the AsyncAPI document: what it does not know fails the test.

use std::{collections::HashMap, sync::LazyLock};

use jsonschema::Validator;
use loadtest::socket::Direction;
use serde_json::{Value, json};

/// A check for each message, by type, for each direction.
struct Checks {
    sent: HashMap<String, Validator>,
    received: HashMap<String, Validator>,
}

static CHECKS: LazyLock<Checks> = LazyLock::new(|| {
    let document = revcast::wire::asyncapi_document();
    // The action is that of the server.
    Checks { sent: checks(&document, "receive"), received: checks(&document, "send") }
});

/// Panics unless the document has the message, in this direction and in this form.
pub fn check_message(direction: Direction, message: &Value) {
    if let Some(fault) = fault_of(direction, message) {
        panic!("{direction:?} against the AsyncAPI document: {fault}\n{message}");
    }
}

/// The fault of a message; `None` when it is as documented.
pub fn fault_of(direction: Direction, message: &Value) -> Option<String> {
    let checks = match direction {
        Direction::Sent => &CHECKS.sent,
        Direction::Received => &CHECKS.received,
    };
    let Some(check) = message["type"].as_str().and_then(|name| checks.get(name)) else {
        return Some("there is no such message".to_owned());
    };
    let faults = check.iter_errors(message).map(|fault| format!("{}: {fault}", fault.instance_path()));
    faults.reduce(|all, fault| format!("{all}\n{fault}"))
}

/// The messages of all operations with this action.
fn checks(document: &Value, action: &str) -> HashMap<String, Validator> {
    let operations = document["operations"].as_object().unwrap().values();
    let operations = operations.filter(|operation| operation["action"] == action);
    let messages = operations.flat_map(|operation| operation["messages"].as_array().unwrap());
    let check = |message: &Value| {
        let message = follow(document, follow(document, message));
        // 2020-12 knows all words of the document, and its references begin at the root.
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": message["payload"]["$ref"],
            "components": document["components"],
        });
        let check = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        (message["name"].as_str().unwrap().to_owned(), check)
    };
    messages.map(check).collect()
}

/// The schema that a reference leads to.
fn follow<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let pointer = reference["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    document.pointer(pointer.expect("it is a reference")).expect("it leads somewhere")
}
