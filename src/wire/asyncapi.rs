//! The AsyncAPI 3 document: what is said on sockets and event streams.
//!
//! Made from the types of the messages, so that it says what the server does. It owns the words around
//! them; the messages themselves belong to `client_message` and `server_message`, and the ops to `op_schema`.

mod examples;

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    ClientMessage, CloseCode, JSON_SUBPROTOCOL, Limits, MESSAGE_PACK_SUBPROTOCOL, SOCKET_ERRORS,
    SealedMessage, ServerMessage, op_schema::CommittedOp, presence_schema::PresenceView,
};
use crate::limits;

/// The version of the specification that the document keeps to; tools that read 3.1 read it too.
const ASYNCAPI: &str = "3.0.0";
/// Messages of the server that an event stream has as well.
const EVENTS: [&str; 7] = ["subscribed", "ops", "presence", "head", "role", "reset", "goaway"];
/// The answers of the server to messages of a client; it may also refuse each with `error`.
const ANSWERS: [(&str, &[&str]); 2] = [("subscribe", &["subscribed", "reset"]), ("ping", &["pong"])];

const INFO: &str = "\
The messages of Revcast on sockets and event streams. Ops are written with plain HTTP, which the OpenAPI document \
describes (`/openapi.json`); here every reader gets the committed ones, in order, each once, and without a \
hole, or is told with `reset` to read over REST.

A position in the log of a drawing is a pair: the epoch, which names the history of the database, and the \
revision, which counts the ops of the drawing from 1.";

const EVENTS_DESCRIPTION: &str = "\
Server-sent events (`text/event-stream`) about one drawing, for browsers without a socket and for `curl -N`. \
The `event` is the `type` of a message, and the `data` is the message that a socket has for it. The `id` is \
`<epoch>/<revision>`, where there is one: a client that comes back with it in `Last-Event-ID`, as browsers do \
by themselves, goes on from there. The stream ends after `reset`, after `role` with null, after `goaway`, and \
with the identity of the client. `retry` says how soon to come back, first of all and again with `goaway`. \
Something comes every `heartbeat_ms` of `subscribed`, a comment where there is nothing else to tell: a client that \
misses three may take the stream for dead.";

/// One message.
struct Message {
    /// Its name in the document: two messages of one type go in two directions.
    key: String,
    /// Its `type`.
    name: String,
    schema: Value,
    example: Value,
}

/// The document.
#[must_use]
pub fn asyncapi_document() -> Value {
    let client = messages("client", &ClientMessage::schema(), &examples::client());
    let mut server = messages("server", &ServerMessage::schema(), &examples::server());
    server.extend(messages("server", &SealedMessage::schema(), &examples::sealed()));
    // Unknown fields of a client are ignored; what the server says is all that it says.
    server.iter_mut().for_each(|message| close(&mut message.schema));
    let events: Vec<_> = server.iter().filter(|message| EVENTS.contains(&&*message.name)).collect();
    let all: Vec<_> = client.iter().chain(&server).collect();
    json!({
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "Revcast, live",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INFO,
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "socket": server_of("ws", "WebSocket (RFC 6455). Behind a load balancer with TLS, `wss`."),
            "events": server_of("http", "HTTP/1.1. Behind a load balancer with TLS, `https`."),
        },
        "channels": {
            "socket": {
                "address": "/v1/ws",
                "title": "The socket",
                "description": socket_description(),
                "servers": [{"$ref": "#/servers/socket"}],
                "messages": references(&all, "#/components/messages/"),
                "bindings": {"ws": handshake()},
            },
            "events": {
                "address": "/v1/drawings/{drawing_id}/events",
                "title": "The event stream",
                "description": EVENTS_DESCRIPTION,
                "servers": [{"$ref": "#/servers/events"}],
                "parameters": {"drawing_id": {"description": "The drawing, a UUID."}},
                "messages": references(&events, "#/components/messages/"),
            },
        },
        "operations": operations(&client, &server, &events),
        "components": {
            "messages": all.iter().map(|message| (message.key.clone(), message.describe())).collect::<Map<_, _>>(),
            "schemas": schemas(&all),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "ticket": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "ticket",
                    "description": "From `POST /v1/tickets`, for browsers, which cannot set headers here.",
                },
            },
        },
    })
}

/// The document as it is served and as it stands in the repository.
///
/// # Errors
/// None is known: the document holds text, numbers, lists and maps.
pub fn asyncapi_yaml() -> anyhow::Result<String> {
    let yaml = serde_saphyr::to_string(&asyncapi_document())?;
    // Blank lines inside of texts come out indented.
    Ok(yaml.lines().map(|line| format!("{}\n", line.trim_end())).collect())
}

fn server_of(protocol: &str, description: &str) -> Value {
    json!({
        "host": "localhost:8080",
        "protocol": protocol,
        "description": description,
        "security": [
            {"$ref": "#/components/securitySchemes/ticket"},
            {"$ref": "#/components/securitySchemes/bearer"},
        ],
    })
}

fn socket_description() -> String {
    let codes = CloseCode::ALL.map(|code| {
        let number = code as u16;
        let then = code.reaction();
        let reason = if code == CloseCode::Normal { "the client closed" } else { code.reason() };
        format!("| {number} | {reason} | {then} |")
    });
    format!(
        "One socket follows up to {} drawings. Its messages are JSON in text frames with the subprotocol \
         `{JSON_SUBPROTOCOL}`, and without one; with `{MESSAGE_PACK_SUBPROTOCOL}` they are the same in \
         MessagePack in binary frames, ids as strings. `permessage-deflate` is agreed on when it is offered, \
         without context takeover. A client names a ticket in the address or bears a token; the socket ends \
         with its identity, unless `auth` renews it in place. Unknown types and fields are ignored. The \
         server pings every {} s, and closes when it hears nothing for {} s.\n\n\
         The code with which the server closes tells the client what to do:\n\n\
         | Code | Reason | The client |\n|---|---|---|\n{}\n",
        limits::MAX_SUBSCRIPTIONS,
        limits::PING_INTERVAL.as_secs(),
        (limits::PING_INTERVAL + limits::PONG_TIMEOUT).as_secs(),
        codes.join("\n"),
    )
}

/// The handshake, in the words of the WebSocket binding.
fn handshake() -> Value {
    json!({
        "bindingVersion": "0.1.0",
        "method": "GET",
        "query": {
            "type": "object",
            "properties": {"ticket": {"type": "string", "description": "From `POST /v1/tickets`."}},
        },
        "headers": {
            "type": "object",
            "properties": {
                "Authorization": {"type": "string", "description": "`Bearer` and a token, instead of a ticket."},
                "Sec-WebSocket-Protocol": {"type": "string", "enum": [JSON_SUBPROTOCOL, MESSAGE_PACK_SUBPROTOCOL]},
                "Sec-WebSocket-Extensions": {"type": "string", "examples": ["permessage-deflate"]},
            },
        },
    })
}

/// The operations of the server: it takes each message of a client, and sends its own.
fn operations(client: &[Message], server: &[Message], events: &[&Message]) -> Map<String, Value> {
    let named = |names: &[&str]| {
        let has = |message: &&Message| names.contains(&&*message.name);
        refer(&server.iter().filter(has).collect::<Vec<_>>(), "socket")
    };
    let mut operations = Map::new();
    for message in client {
        let answers = ANSWERS.iter().find(|(name, _)| *name == message.name).map_or(&[][..], |found| found.1);
        let reply = json!({
            "channel": {"$ref": "#/channels/socket"},
            "messages": named(&[answers, &["error"]].concat()),
        });
        let operation = json!({
            "action": "receive",
            "channel": {"$ref": "#/channels/socket"},
            "summary": message.description(),
            "messages": refer(&[message], "socket"),
            "reply": reply,
        });
        operations.insert(message.name.clone(), operation);
    }
    let all: Vec<_> = server.iter().collect();
    for (key, channel, messages, summary) in [
        ("tellSocket", "socket", &all[..], "Tell a socket what happens in the drawings that it follows"),
        ("tellEvents", "events", events, "Tell an event stream what happens in its drawing"),
    ] {
        let operation = json!({
            "action": "send",
            "channel": {"$ref": format!("#/channels/{channel}")},
            "summary": summary,
            "messages": refer(messages, channel),
        });
        operations.insert(key.to_owned(), operation);
    }
    operations
}

fn refer(messages: &[&Message], channel: &str) -> Vec<Value> {
    let reference =
        |message: &&Message| json!({"$ref": format!("#/channels/{channel}/messages/{}", message.key)});
    messages.iter().map(reference).collect()
}

fn references(messages: &[&Message], to: &str) -> Map<String, Value> {
    let reference =
        |message: &&Message| (message.key.clone(), json!({"$ref": format!("{to}{}", message.key)}));
    messages.iter().map(reference).collect()
}

/// The variants of an enum that `type` tells apart, each with its example.
fn messages(side: &str, schema: &RefOr<Schema>, examples: &[Value]) -> Vec<Message> {
    let schema = as_json(schema);
    let variants = schema["oneOf"].as_array().cloned().unwrap_or_default();
    let variants = variants.into_iter().filter_map(|schema| {
        let name = schema["properties"]["type"]["enum"][0].as_str()?.to_owned();
        // Without an example it is no message, but how others are read.
        let example = examples.iter().find(|example| example["type"] == name.as_str())?.clone();
        let key = format!("{side}{}{}", name[..1].to_ascii_uppercase(), &name[1..]);
        Some(Message { key, name, schema, example })
    });
    variants.collect()
}

impl Message {
    fn description(&self) -> &str {
        self.schema["description"].as_str().unwrap_or_default()
    }

    fn describe(&self) -> Value {
        let mut description = self.description().to_owned();
        if self.key == "serverError" {
            description.push_str("\n\n| `code` | Meaning | Retry |\n|---|---|---|\n");
            for code in SOCKET_ERRORS {
                let retry = if code.retryable() { "later" } else { "no" };
                description.push_str(&format!("| `{}` | {} | {retry} |\n", code.as_str(), code.title()));
            }
        }
        json!({
            "name": self.name,
            "title": self.name,
            "description": description,
            "payload": {"$ref": format!("#/components/schemas/{}", self.key)},
            "examples": [{"name": self.name, "payload": self.example}],
        })
    }
}

/// The payloads of messages, and what they refer to.
fn schemas(messages: &[&Message]) -> Map<String, Value> {
    let mut own = vec![("Limits".into(), Limits::schema()), ("PresenceView".into(), PresenceView::schema())];
    Limits::schemas(&mut own);
    ServerMessage::schemas(&mut own);
    own.push(("CommittedOp".into(), CommittedOp::schema()));
    CommittedOp::schemas(&mut own);
    let mut schemas: Map<String, Value> =
        own.iter().map(|(name, schema)| (name.clone(), as_json(schema))).collect();
    schemas.values_mut().for_each(close);
    schemas.extend(messages.iter().map(|message| (message.key.clone(), message.schema.clone())));
    schemas
}

fn as_json(schema: &RefOr<Schema>) -> Value {
    // Schemas are text, numbers, lists and maps: they always serialize.
    let mut schema = serde_json::to_value(schema).unwrap_or_default();
    use_json_schema_words(&mut schema);
    schema
}

/// OpenAPI says `example` where JSON Schema says `examples`, and has discriminators, which JSON Schema has not.
fn use_json_schema_words(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(example) = map.get("type").is_some().then(|| map.remove("example")).flatten() {
                map.insert("examples".to_owned(), json!([example]));
            }
            if map.get("oneOf").is_some() {
                map.remove("discriminator");
            }
            map.values_mut().for_each(use_json_schema_words);
        }
        Value::Array(items) => items.iter_mut().for_each(use_json_schema_words),
        _ => (),
    }
}

/// Allows no fields but those that are named.
fn close(schema: &mut Value) {
    if schema["properties"].is_object() {
        schema["additionalProperties"] = false.into();
    }
}
