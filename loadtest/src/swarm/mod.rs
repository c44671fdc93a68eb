//! Thousands of readers for the price of one thread.
//!
//! A task, two buffers and a timer for each reader would cost more than the server under measurement
//! does. Here one thread waits in epoll for all sockets, reads them into one buffer, and decodes a
//! frame once for all who get the same bytes. Every reader is still checked: its revisions must be
//! contiguous, and whatever the server refuses or closes is a failure of the swarm.
//!
//! - `plan`: what a swarm is asked to do, and what it tells afterwards
//! - `engine`: the thread; `connection`: one socket; `room`: the readers of one drawing
//! - `handshake`, `frame`, `message`: the bytes on the wire, outermost first
//! - `handle`: a swarm as a thread of this process; `apart`: one as a process of its own
//! - `histogram`: latencies of millions of deliveries in a few kilobytes; `timeline`: the same by the second
//! - `ids`: which op stands at which revision

mod apart;
mod connection;
mod engine;
pub(crate) mod frame;
mod handle;
mod handshake;
mod histogram;
mod ids;
mod message;
mod plan;
mod room;
#[cfg(test)]
mod tests;
mod timeline;

pub use apart::{Apart, COMMAND, serve};
pub use handle::{Counts, Swarm};
pub use histogram::{Histogram, as_f64, now_ms};
pub use ids::Digest;
pub use plan::{Encoding, Latency, Outcome, Plan, Started};
pub use timeline::{Second, Timeline};
