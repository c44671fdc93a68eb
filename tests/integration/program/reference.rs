//! The generated reference of codes, limits, flags, metrics and roles.

use crate::support::program;

#[tokio::test]
async fn the_reference_in_the_repository_is_that_of_the_program() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference.md");
    let written = std::fs::read_to_string(file).expect("docs/reference.md can be read");
    let printed = program::run(&["reference"]).await;
    assert!(printed.succeeded, "{printed:?}");
    assert!(written == printed.stdout + "\n", "docs/reference.md is out of date: run `make openapi`");
}
