//! The allocator of the whole program.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout, System};

/// From this many bytes on the system gives memory: in pages that take no room until they are written to. The FUSE library
/// has a buffer of 16 MiB, of which requests fill one.
const LARGE: usize = 8 << 20;

/// Requests make and drop many small records: the system's allocator takes half as much time again in the daemon, and keeps
/// what a burst left. For large blocks it is the better one.
pub struct Allocator;

// SAFETY: both answer as `GlobalAlloc` demands, and a block's size, which its layout says at the end as at the beginning,
// decides which of them has it.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { if layout.size() < LARGE { MiMalloc.alloc(layout) } else { System.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { if layout.size() < LARGE { MiMalloc.alloc_zeroed(layout) } else { System.alloc_zeroed(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { if layout.size() < LARGE { MiMalloc.dealloc(block, layout) } else { System.dealloc(block, layout) } }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises; a block that changes hands is copied as far as both reach.
        unsafe {
            match (layout.size() < LARGE, size < LARGE) {
                (true, true) => MiMalloc.realloc(block, layout, size),
                (false, false) => System.realloc(block, layout, size),
                _ => {
                    let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                    if !new.is_null() {
                        block.copy_to_nonoverlapping(new, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    new
                }
            }
        }
    }
}
