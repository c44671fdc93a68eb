//! The reducer: vectors, folding, memory.

pub mod damaged;
pub mod folding;
pub mod memory;
pub mod random;
pub mod reducer;
pub mod vectors;
pub mod vectors_random;
