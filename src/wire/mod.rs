//! The bytes of the protocol: its messages, their encodings, and their description.
//!
//! Owns what is said on sockets and event streams, how it is written and read, and how it looks in the documents. It knows
//! neither rooms nor sockets, and never waits.

mod advertised;
mod asyncapi;
mod client_message;
mod close_code;
mod deflate;
pub(crate) mod encode;
mod encoding;
mod frame;
mod item;
pub(crate) mod op_schema;
pub(crate) mod presence_schema;
mod reader;
mod server_message;

pub use asyncapi::{asyncapi_document, asyncapi_yaml};
pub use client_message::ClientMessage;
pub use close_code::CloseCode;
pub use deflate::negotiate;
pub use encoding::{Encoding, Encodings};
pub use frame::Frame;
pub use item::{Item, News};
pub use reader::{FrameReader, Incoming, ReadError};
pub use server_message::ResetReason;

pub(crate) use advertised::Limits;
pub(crate) use frame::seal_all;
pub(crate) use server_message::{
    JSON_SUBPROTOCOL, MESSAGE_PACK_SUBPROTOCOL, PROTOCOL, SOCKET_ERRORS, SealedMessage, ServerMessage,
};
