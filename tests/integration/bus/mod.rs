//! The contract of the bus, and its outages.

pub mod access;
pub mod contract;
pub mod outages;
pub mod presence;
