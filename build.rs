//! Has the crate built again when the whiteboard in `web/dist` has changed. Builds no whiteboard itself: that takes
//! Node.js, which this crate does without.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo takes a path that is not there for changed, every time. So the folder is watched in which it would appear.
    for folder in ["web/dist", "web"] {
        if Path::new(folder).exists() {
            println!("cargo::rerun-if-changed={folder}");
            break;
        }
    }
}
