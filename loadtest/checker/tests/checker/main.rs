//! The checker itself is judged: it finds nothing in correct histories, and each fault in doctored ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod clocks;
mod correct;
mod doctor;
mod doctored;

mod support;
