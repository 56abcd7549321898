//! Host memory for buffers of devices that share the host's memory.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Word;
use super::cl::{ClResult, Context, Mem};

/// From this size on a block is aligned to huge pages and asks for them: the first touch of 4 KiB pages would cost
/// more than many kernels.
const HUGE_PAGE: usize = 2 << 20;
/// The usual size of a page, and the least. From a page on blocks are aligned to one: what integrated GPUs ask for to
/// share memory without a copy.
const PAGE: usize = 4096;
/// Alignment of small blocks: a cache line, and a `uint16`.
const LINE: usize = 64;

/// Uninitialised host memory, given back when dropped.
#[derive(Debug)]
pub(super) struct HostBlock {
    start: NonNull<u8>,
    layout: Layout,
    /// Sum of the bytes of all blocks of one runtime.
    held: Arc<AtomicU64>,
}

// SAFETY: an owned allocation.
unsafe impl Send for HostBlock {}

impl HostBlock {
    /// A block of at least `bytes` bytes, rounded up to whole lines; `None` where the host has no memory.
    pub(super) fn new(bytes: usize, held: &Arc<AtomicU64>) -> Option<Self> {
        let page = pages::size();
        let (align, unit) = match bytes {
            HUGE_PAGE.. => (HUGE_PAGE, page),
            bytes if bytes >= page => (page, LINE),
            _ => (LINE, LINE),
        };
        let size = bytes.max(1).checked_next_multiple_of(unit)?;
        let layout = Layout::from_size_align(size, align).ok()?;
        let start = if align == HUGE_PAGE {
            pages::allocate(layout)?
        } else {
            // SAFETY: the size is not zero.
            NonNull::new(unsafe { std::alloc::alloc(layout) })?
        };
        held.fetch_add(size as u64, Ordering::Relaxed);
        Some(Self {
            start,
            layout,
            held: Arc::clone(held),
        })
    }

    /// Copies words to the start of the block, which holds at least as many.
    pub(super) fn fill(&mut self, words: &[u32]) {
        assert!(
            size_of_val(words) <= self.layout.size(),
            "block is too small"
        );
        // SAFETY: the block is ours alone, aligned, and large enough by the line above.
        unsafe {
            let to = self.start.as_ptr().cast::<u32>();
            to.copy_from_nonoverlapping(words.as_ptr(), words.len());
        }
    }
}

impl HostBlock {
    /// A buffer over the block's first `bytes` bytes, which holds the block until the driver is done with it.
    pub(super) fn into_mem(self, context: &Context, bytes: usize) -> ClResult<Mem> {
        assert!(bytes <= self.layout.size(), "block is too small");
        let start = self.start;
        // SAFETY: the block owns its memory, frees it when dropped only, and moves into the owner.
        unsafe { Mem::over_host(context, start, bytes, Box::new(self)) }
    }
}

impl Drop for HostBlock {
    fn drop(&mut self) {
        if self.layout.align() == HUGE_PAGE {
            // SAFETY: allocated in `new` with this layout.
            unsafe { pages::free(self.start, self.layout) };
        } else {
            // SAFETY: allocated in `new` with this layout.
            unsafe { std::alloc::dealloc(self.start.as_ptr(), self.layout) };
        }
        self.held
            .fetch_sub(self.layout.size() as u64, Ordering::Relaxed);
    }
}

/// Large blocks straight from the system: they go back to it when freed, and never fragment the heap.
#[cfg(target_os = "linux")]
mod pages {
    use std::alloc::Layout;
    use std::ptr::{self, NonNull};

    use super::{HUGE_PAGE, PAGE};

    /// Bytes of a page: 4 KiB, on some ARM and POWER systems more.
    pub(super) fn size() -> usize {
        // SAFETY: a question without arguments of ours.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let size = usize::try_from(size).unwrap_or(PAGE);
        size.clamp(PAGE, HUGE_PAGE)
    }

    /// Pages aligned as the layout says, with a request for huge ones.
    pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
        let (size, align) = (layout.size(), layout.align());
        let reserved = size.checked_add(align)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the system's choice.
        let base = unsafe { libc::mmap(ptr::null_mut(), reserved, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = base.cast::<u8>();
        let before = base.align_offset(align);
        let after = reserved - before - size;
        // SAFETY: all three ranges lie in the mapping and start on pages, since `size` is whole pages. The ends are cut
        // off; the advice is about the middle, and its refusal is harmless.
        unsafe {
            let start = base.add(before);
            if before > 0 {
                libc::munmap(base.cast(), before);
            }
            if after > 0 {
                libc::munmap(start.add(size).cast(), after);
            }
            libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE);
            NonNull::new(start)
        }
    }

    /// Gives pages back.
    ///
    /// # Safety
    ///
    /// `start` came from [`allocate`] with this layout and is not used any more.
    pub(super) unsafe fn free(start: NonNull<u8>, layout: Layout) {
        // SAFETY: the mapping is the caller's.
        unsafe { libc::munmap(start.as_ptr().cast(), layout.size()) };
    }
}

/// Large blocks from the allocator, where the system's own calls are not used.
#[cfg(not(target_os = "linux"))]
mod pages {
    use std::alloc::Layout;
    use std::ptr::NonNull;

    /// Bytes that blocks are aligned to.
    pub(super) const fn size() -> usize {
        super::PAGE
    }

    pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the size is not zero.
        NonNull::new(unsafe { std::alloc::alloc(layout) })
    }

    /// Gives memory back.
    ///
    /// # Safety
    ///
    /// `start` came from [`allocate`] with this layout and is not used any more.
    pub(super) unsafe fn free(start: NonNull<u8>, layout: Layout) {
        // SAFETY: the allocation is the caller's.
        unsafe { std::alloc::dealloc(start.as_ptr(), layout) };
    }
}

/// A caller's vector as host memory. Freed when the last buffer over it is gone.
#[derive(Debug)]
pub(super) struct Adopted<T: Word> {
    start: NonNull<u8>,
    owner: Arc<Owner<T>>,
}

#[derive(Debug)]
struct Owner<T> {
    data: Vec<T>,
    held: Arc<AtomicU64>,
}

impl<T: Word> Adopted<T> {
    pub(super) fn new(mut data: Vec<T>, held: &Arc<AtomicU64>) -> Self {
        held.fetch_add(size_of_val(data.as_slice()) as u64, Ordering::Relaxed);
        Self {
            start: NonNull::from(data.as_mut_slice()).cast(),
            owner: Arc::new(Owner {
                data,
                held: Arc::clone(held),
            }),
        }
    }

    /// A buffer over `words` words from `at`, which lie in the vector. No two buffers may overlap.
    pub(super) fn mem(&self, context: &Context, at: usize, words: usize) -> ClResult<Mem> {
        assert!(
            at.checked_add(words)
                .is_some_and(|end| end <= self.owner.data.len()),
            "range is outside the vector"
        );
        let owner: Box<dyn Send> = Box::new(Arc::clone(&self.owner));
        // SAFETY: the range is inside the vector's allocation by the line above. Nothing but buffers looks at the
        // vector again, and `owner` keeps it.
        unsafe { Mem::over_host(context, self.start.add(at * 4), words * 4, owner) }
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        let bytes = size_of_val(self.data.as_slice()) as u64;
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_counted_and_given_back() {
        let held = Arc::new(AtomicU64::new(0));
        let page = pages::size();
        assert!(page.is_power_of_two() && HUGE_PAGE.is_multiple_of(page));
        for (bytes, align) in [
            (1, LINE),
            (page - 1, LINE),
            (page, page),
            (HUGE_PAGE - 1, page),
            (HUGE_PAGE, HUGE_PAGE),
            (3 * HUGE_PAGE + 12_345, HUGE_PAGE),
        ] {
            let mut block = HostBlock::new(bytes, &held).unwrap();
            assert_eq!(block.start.as_ptr().align_offset(align), 0);
            let size = held.load(Ordering::Relaxed) as usize;
            assert!((bytes..bytes + page).contains(&size));
            // Every word can be written.
            block.fill(&vec![7; size / 4]);
            drop(block);
            assert_eq!(held.load(Ordering::Relaxed), 0);
        }
        assert!(HostBlock::new(usize::MAX, &held).is_none());
        assert!(HostBlock::new(1 << 60, &held).is_none());
    }
}
