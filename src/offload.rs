//! Work that would keep other tasks of a thread waiting.
//!
//! A request of usual size is worked on where it is. What takes a millisecond or more makes room first: the other tasks of
//! the thread go on elsewhere meanwhile.

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::limits;

/// Does `work` on so many bytes.
pub(crate) fn on_bytes<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let is_long = bytes > limits::INLINE_WORK_BYTES;
    // A runtime of one thread, as tests have, has nowhere else.
    let can_make_room =
        || Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_long && can_make_room() { tokio::task::block_in_place(work) } else { work() }
}
