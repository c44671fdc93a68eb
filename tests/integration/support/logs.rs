//! The log of this process, as an operator sees it by default.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use revcast::telemetry::LOG_FILTER;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

/// The lines that this thread logs for as long as the handle lives: everything, in a test with one thread.
pub struct Logs {
    text: Text,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// As by default.
    pub fn start() -> Self {
        Self::with_filter(LOG_FILTER)
    }

    pub fn with_filter(filter: &str) -> Self {
        let text = Text::default();
        let writer = text.clone();
        let logs = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_ansi(false)
            .with_writer(move || writer.clone());
        Self { text, _guard: tracing::subscriber::set_default(logs.finish()) }
    }

    /// The lines so far that contain a text.
    pub fn with(&self, part: &str) -> Vec<String> {
        let text = self.text.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&text);
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
