//! Work that would keep other tasks of a thread waiting.
//!
//! A request of usual size is worked on where it is. Work that takes a millisecond or more makes room first:
//! the other tasks of the thread go on elsewhere meanwhile.

mod background;

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    task::JoinHandle,
};

pub use background::Background;

/// Work on more bytes than that, such as parsing them, makes room for other tasks first.
const INLINE_WORK_BYTES: usize = 32 * 1024;

/// Does `work` on so many bytes.
pub(crate) fn on_bytes<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let is_long = bytes > INLINE_WORK_BYTES;
    if is_long && has_threads() { tokio::task::block_in_place(work) } else { work() }
}

/// Does `work` on a thread for what takes long.
pub(crate) fn on_another_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    if has_threads() { tokio::task::spawn_blocking(work) } else { tokio::spawn(async move { work() }) }
}

/// Returns `true` if there is another thread: a runtime of one, as tests have, has nowhere else.
fn has_threads() -> bool {
    Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}
