//! A thread for work that nobody waits for.
//!
//! Owns how what a worker computes stays out of the way of requests: one thread, which the system prefers all others to.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use tokio::sync::{mpsc, oneshot};

/// The distance by which the priority of a worker's thread lies below that of requests, as `nice` counts it.
const BACKGROUND_NICE: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it ends with the last of its handles. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Background(mpsc::Sender<Job>);

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start() -> io::Result<Self> {
        // One job at a time; whoever comes meanwhile waits for a place.
        let (jobs, mut waiting) = mpsc::channel::<Job>(1);
        thread::Builder::new().name("background".to_owned()).spawn(move || {
            // On Linux this holds for the thread alone. If it is not permitted, the thread works all the same.
            let _ = rustix::process::nice(BACKGROUND_NICE);
            while let Some(job) = waiting.blocking_recv() {
                job();
            }
        })?;
        Ok(Self(jobs))
    }

    /// Runs `work` there, to its end even if nobody waits any more.
    ///
    /// # Errors
    /// What it panicked with.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> thread::Result<T> {
        let (done, outcome) = oneshot::channel();
        let job = Box::new(move || drop(done.send(catch_unwind(AssertUnwindSafe(work)))));
        // The thread lives as long as this handle does, and answers whatever happens.
        let gone = || -> thread::Result<T> { Err(Box::new("the background thread is gone")) };
        match self.0.send(job).await {
            Ok(()) => outcome.await.unwrap_or_else(|_| gone()),
            Err(_) => gone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_one_after_the_other_and_a_panic_ends_nothing_else() {
        let background = Background::start().unwrap();
        let own = thread::current().id();
        assert_ne!(background.run(move || thread::current().id()).await.unwrap(), own);
        assert!(background.run(|| panic!("on purpose")).await.is_err());
        let sums = (0..10).map(|n| background.run(move || n * 2));
        let sums: Vec<u32> =
            futures_util::future::join_all(sums).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(sums.iter().sum::<u32>(), 90);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_comes_after_everybody_else() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let background = Background::start().unwrap();
        assert_eq!(background.run(nice).await.unwrap(), before + BACKGROUND_NICE);
        assert_eq!(nice(), before);
    }
}
