//! Types that a device buffer can hold, one 32-bit word each.
#![allow(unsafe_code)]

use p3_baby_bear::BabyBear;
use p3_koala_bear::KoalaBear;

/// A 4-byte value whose memory is one device word.
///
/// # Safety
///
/// The type has the size and the alignment of `u32`, no padding, and every bit pattern is memory-safe to hold. (A field
/// element above its prime is wrong, and is caught by the tests' range checks, but it is not undefined behaviour.)
pub unsafe trait Word: Copy + Send + Sync + 'static {}

// SAFETY: trivially.
unsafe impl Word for u32 {}
// SAFETY: p3's `MontyField31` is a transparent wrapper of one `u32`.
unsafe impl Word for KoalaBear {}
// SAFETY: as above.
unsafe impl Word for BabyBear {}

// A change of p3's representation must not compile.
const _: () = {
    assert!(size_of::<KoalaBear>() == 4 && align_of::<KoalaBear>() == 4);
    assert!(size_of::<BabyBear>() == 4 && align_of::<BabyBear>() == 4);
};

/// The words behind a slice.
pub(super) fn as_words<T: Word>(data: &[T]) -> &[u32] {
    // SAFETY: `Word` promises size, alignment and no padding.
    unsafe { std::slice::from_raw_parts(data.as_ptr().cast(), data.len()) }
}

/// The words behind a slice, for writing.
pub(super) fn as_words_mut<T: Word>(data: &mut [T]) -> &mut [u32] {
    // SAFETY: `Word` promises size, alignment, no padding, and that every word is a value.
    unsafe { std::slice::from_raw_parts_mut(data.as_mut_ptr().cast(), data.len()) }
}

/// A slice of `T` over the same words.
pub(super) fn from_words<T: Word>(words: &[u32]) -> &[T] {
    // SAFETY: as in `as_words_mut`.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len()) }
}

/// A vector of `len` zero words.
pub(super) fn zeroed_vec<T: Word>(len: usize) -> Vec<T> {
    // SAFETY: the all-zero word is a value of every `Word`.
    vec![unsafe { std::mem::zeroed() }; len]
}
