//! Memory, of which nobody gets much at once: what a length claims that somebody has sent is no reason to.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    process::abort,
};

/// More than any input can have a use for.
const MOST: usize = 64 << 20;

struct Bounded;

#[global_allocator]
static BOUNDED: Bounded = Bounded;

fn check(size: usize) {
    if size > MOST {
        eprintln!("{size} bytes are wanted at once");
        abort();
    }
}

// SAFETY: Each request is passed on to `System` unchanged.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: By the contract of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: By the contract of this function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: By the contract of this function.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: By the contract of this function.
        unsafe { System.dealloc(block, layout) }
    }
}
