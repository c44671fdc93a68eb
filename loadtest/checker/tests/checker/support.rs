//! The helpers that the tests of the checker share: files in a folder of their own, and verdicts on lines.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicUsize, Ordering},
};

use revcast_checker::{Options, Verdict, format::Line, generate, judge};

/// A folder that is gone when it is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("revcast-checker-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn file(&self, name: &str, lines: &[Line]) -> PathBuf {
        let path = self.0.join(name);
        generate::write(lines, fs::File::create(&path).unwrap()).unwrap();
        path
    }

    pub(crate) fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The verdict on lines.
pub(crate) fn judged(lines: &[Line]) -> Verdict {
    let scratch = Scratch::new();
    judge(&[scratch.file("history.ndjson", lines)], Options::default()).unwrap()
}
