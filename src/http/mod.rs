//! HTTP below the interface: from a connection to a request that a handler takes, and from its error to the answer.
//!
//! Owns the accept loop, slow clients, the layers around all routes, extractors, problem bodies, and the limits of users and
//! addresses. It knows no resource.

pub mod accept;
mod address;
pub(crate) mod body;
pub mod client_stream;
mod connection;
pub mod descriptors;
pub(crate) mod documented;
mod errors;
pub mod extract;
mod framing;
mod layers;
mod origin;
mod parameters;
pub(crate) mod position_headers;
pub mod problem;
mod rate;
pub(crate) mod whole;

pub use address::AddressLimits;
pub use connection::{ConnectionPlace, serve_connection};
pub(crate) use layers::with_timeout;
pub use layers::{CorsOrigins, UnreadBody, with_layers};
pub use origin::{Peer, TrustedProxies};
pub use parameters::QueryParameters;
pub use rate::{WriteLimits, WriteRates};
