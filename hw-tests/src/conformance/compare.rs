//! Comparing results word for word.

use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{DigestWords, Extension, HalField, HashKind};

/// Whether two sequences are equal word for word, and every word of `got` is below the prime.
///
/// # Errors
/// The first element that is not, with both words. `place` says where an index is.
pub fn same_elements<F: HalField>(
    got: &[F],
    wanted: &[F],
    place: impl Fn(usize) -> String,
) -> Result<(), String> {
    if got.len() != wanted.len() {
        return Err(format!(
            "{} elements instead of {}",
            got.len(),
            wanted.len()
        ));
    }
    let differs = |(got, wanted): (&F, &F)| !got.is_canonical() || got != wanted;
    let Some(index) = got.iter().zip(wanted).position(differs) else {
        return Ok(());
    };
    let (got, wanted) = (got[index], wanted[index]);
    let range = if got.is_canonical() {
        ""
    } else {
        ", which is not below the prime"
    };
    Err(format!(
        "{}: the word {:#010x} instead of {:#010x}{range}",
        place(index),
        got.to_unique_u32(),
        wanted.to_unique_u32()
    ))
}

/// As [`same_elements`], for matrices.
///
/// # Errors
/// A difference of shape, or the first element that differs.
pub fn same_matrix<F: HalField>(
    got: &RowMajorMatrix<F>,
    wanted: &RowMajorMatrix<F>,
) -> Result<(), String> {
    if got.width != wanted.width || got.values.len() != wanted.values.len() {
        return Err(format!(
            "{} rows of {} instead of {} of {}",
            got.height(),
            got.width,
            wanted.height(),
            wanted.width
        ));
    }
    let width = wanted.width.max(1);
    same_elements(&got.values, &wanted.values, |index| {
        format!("row {}, column {}", index / width, index % width)
    })
}

/// As [`same_elements`], for extension elements.
pub(super) fn same_extension<F: HalField, E: Extension<F>>(
    got: &[E],
    wanted: &[E],
    place: impl Fn(usize) -> String,
) -> Result<(), String> {
    if got.len() != wanted.len() {
        return Err(format!(
            "{} elements instead of {}",
            got.len(),
            wanted.len()
        ));
    }
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let (got, wanted): (&[F], &[F]) = (
            got.as_basis_coefficients_slice(),
            wanted.as_basis_coefficients_slice(),
        );
        same_elements(got, wanted, |k| {
            format!("{}, coefficient {k}", place(index))
        })?;
    }
    Ok(())
}

/// Whether digests are equal, and their words below the prime where they are field elements.
pub(super) fn same_digests<F: HalField>(
    hash: HashKind,
    got: &[DigestWords],
    wanted: &[DigestWords],
) -> Result<(), String> {
    if got.len() != wanted.len() {
        return Err(format!("{} digests instead of {}", got.len(), wanted.len()));
    }
    for (index, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let bounded = hash != HashKind::Keccak256;
        if got != wanted || bounded && got.iter().any(|&word| word >= F::ORDER_U32) {
            return Err(format!(
                "digest {index}: {got:08x?} instead of {wanted:08x?}"
            ));
        }
    }
    Ok(())
}
