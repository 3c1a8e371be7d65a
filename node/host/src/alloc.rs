//! The allocator: mimalloc, asked in the way that it answers quickest.
//!
//! Every block of mimalloc is aligned to 16 bytes, or to its size if that is less. Its crate asks for an alignment
//! nevertheless, each time; for a size that is no power of two mimalloc then takes a larger block and cuts it, and
//! frees every block of that page the slow way. Here only what is aligned to more is asked for so.
#![allow(unsafe_code)]

use libmimalloc_sys as mi;
use std::alloc::{GlobalAlloc, Layout};

/// See the module's head.
pub struct Allocator;

/// What a block of any size from there on is aligned to (`MI_MAX_ALIGN_SIZE` in mimalloc's `types.h`).
const ALIGNED: usize = 16;

fn plain(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

// SAFETY: each function hands its arguments to mimalloc's of the same meaning, which keeps the contract of
// `GlobalAlloc`: blocks of the size asked for, aligned as asked for (see `plain`), null when there is no memory.
// mimalloc frees and moves a block without being told how it was asked for.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: it takes numbers.
        unsafe { if plain(size, align) { mi::mi_malloc(size) } else { mi::mi_malloc_aligned(size, align) } }
            .cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: it takes numbers.
        unsafe { if plain(size, align) { mi::mi_zalloc(size) } else { mi::mi_zalloc_aligned(size, align) } }
            .cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller got the block from here and uses it no more.
        unsafe { mi::mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: the caller got the block from here; if null comes back it is still there.
        unsafe {
            if plain(size, align) {
                mi::mi_realloc(block.cast(), size)
            } else {
                mi::mi_realloc_aligned(block.cast(), size, align)
            }
        }
        .cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked_for_and_keep_what_they_hold() {
        for align in [1, 2, 4, 8, 16, 32, 128, 4096] {
            for size in [1, 3, 8, 9, 15, 16, 17, 24, 40, 100, 1000, 5000, 70_000, 3 << 20] {
                let layout = Layout::from_size_align(size, align).expect("a power of two");
                // SAFETY: the layouts are of some size; what is written lies in its block, which is freed once.
                unsafe {
                    let mut block = Allocator.alloc(layout);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align), "{size} {align}");
                    block.write_bytes(0x5a, size);
                    let zeros = Allocator.alloc_zeroed(layout);
                    assert!(zeros.addr().is_multiple_of(align) && zeros.add(size - 1).read() == 0);
                    Allocator.dealloc(zeros, layout);
                    for more in [size + 1, size * 3 / 2 + 7, size * 5] {
                        let before = Layout::from_size_align(size, align).expect("a power of two");
                        block = Allocator.realloc(block, before, more);
                        assert!(block.addr().is_multiple_of(align), "{size} {more} {align}");
                        assert_eq!((block.read(), block.add(size - 1).read()), (0x5a, 0x5a));
                    }
                    Allocator.dealloc(block, layout);
                }
            }
        }
    }
}
