//! The program at the command line, and what it logs.

pub mod audit;
pub mod documents;
pub mod import;
pub mod import_failures;
pub mod logs;
pub mod reference;
pub mod verify;
