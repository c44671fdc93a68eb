//! Several nodes over one store and one bus, in one process and in virtual time, under faults that follow from a seed.
//!
//! The nodes are those of the server, from the bytes of a request to those of a socket. Everything around them is
//! simulated: the network, the bus, the database, the clock, chance itself. The clients write what they see into a
//! history, which the checker judges. The same seed gives the same history, byte for byte.
//!
//! | Module | Owns |
//! |---|---|
//! | [`os`], [`chance`] | the clock and the chance of the system, and copies of a process; numbers that follow from a seed |
//! | [`plan`], [`weather`] | who takes part and what may go wrong; what goes wrong now |
//! | [`gate`], [`store`], [`bus`] | the life of a node; its way to the store and to the bus |
//! | [`world`] | the nodes, and connections to them |
//! | [`wire`], [`record`], [`hand`] | the client's end of a connection; the history; one request |
//! | [`owner`], [`writer`], [`reader`] | the clients |
//! | [`storm`] | crashes, outages, cuts, promotions |
//! | [`judge`], [`run`](mod@run) | the verdict; one run |
//!
//! docs/simulation.md says how to use it.

pub mod bus;
pub mod chance;
pub mod gate;
pub mod hand;
pub mod judge;
pub mod os;
pub mod owner;
pub mod plan;
pub mod reader;
pub mod record;
pub mod run;
pub mod store;
pub mod storm;
pub mod weather;
pub mod wire;
pub mod world;
pub mod writer;

pub use judge::Report;
pub use run::{prepare, run};
