//! Bit-for-bit comparison, with the range of every word.
//!
//! p3's `==` on elements compares the words behind them, so equality is equality of bits; but two back ends may agree
//! on a word that is no field element, which is why the range is checked besides.

use p3_matrix::dense::RowMajorMatrix;

use crate::{DigestWords, Extension, HalField, HashKind, MerkleScheme, MultiProof};

/// `Err` with the first place where the device's elements differ from the reference's or are out of range.
///
/// The elements are row-major, `what` names the part of a result that they are.
pub(super) fn elements<F: HalField>(
    what: &str,
    width: usize,
    device: &[F],
    reference: &[F],
) -> Result<(), String> {
    same_count(what, "elements", device.len(), reference.len())?;
    let wrong = |(got, wanted): (&F, &F)| got != wanted || !got.is_canonical();
    let Some(index) = device.iter().zip(reference).position(wrong) else {
        return Ok(());
    };
    let (got, wanted) = (device[index], reference[index]);
    let range = if got.is_canonical() {
        ""
    } else {
        ", a word that is not below the prime"
    };
    Err(format!(
        "{what}, row {}, column {}: word {:#010x} instead of {:#010x}{range}",
        index / width.max(1),
        index % width.max(1),
        got.to_unique_u32(),
        wanted.to_unique_u32(),
    ))
}

/// `Err` unless a part of the result has as many parts as it should.
pub(super) fn same_count(
    what: &str,
    parts: &str,
    device: usize,
    reference: usize,
) -> Result<(), String> {
    if device == reference {
        Ok(())
    } else {
        Err(format!("{what}: {device} {parts} instead of {reference}"))
    }
}

/// [`elements`] for whole matrices, shapes included.
pub(super) fn matrices<F: HalField>(
    device: &RowMajorMatrix<F>,
    reference: &RowMajorMatrix<F>,
) -> Result<(), String> {
    same_count("result", "columns", device.width, reference.width)?;
    elements("result", device.width, &device.values, &reference.values)
}

/// [`elements`] for the values of columns at points: a row for each column, a column for each coefficient.
pub(super) fn evaluations<F: HalField, E: Extension<F>>(
    device: &[Vec<Vec<E>>],
    reference: &[Vec<Vec<E>>],
) -> Result<(), String> {
    let flat = |values: &[E]| -> Vec<F> {
        let coefficients = values.iter().map(|v| v.as_basis_coefficients_slice());
        coefficients.flatten().copied().collect()
    };
    same_count("result", "matrices", device.len(), reference.len())?;
    for (i, (device, reference)) in device.iter().zip(reference).enumerate() {
        let what = format!("matrix {i}");
        same_count(&what, "points", device.len(), reference.len())?;
        for (j, (device, reference)) in device.iter().zip(reference).enumerate() {
            let what = format!("matrix {i}, point {j}");
            elements(&what, E::DIMENSION, &flat(device), &flat(reference))?;
        }
    }
    Ok(())
}

/// What [`crate::MerkleOps::open`] returns.
type Opening<F, S> = (Vec<Vec<Vec<F>>>, MultiProof<F, S>);

/// [`elements`] for opened rows, a row for each matrix, and [`digests`] for their proof.
pub(super) fn openings<F: HalField, S: MerkleScheme<F>>(
    device: &Opening<F, S>,
    reference: &Opening<F, S>,
) -> Result<(), String> {
    same_count("result", "openings", device.0.len(), reference.0.len())?;
    for (i, (device, reference)) in device.0.iter().zip(&reference.0).enumerate() {
        let what = format!("opening {i}");
        same_count(&what, "rows", device.len(), reference.len())?;
        for (j, (device, reference)) in device.iter().zip(reference).enumerate() {
            let what = format!("opening {i}, matrix {j}");
            elements(&what, reference.len(), device, reference)?;
        }
    }
    let (got, wanted) = (S::sibling_words(&device.1), S::sibling_words(&reference.1));
    digests::<F>("proof", S::HASH, &got, &wanted)
}

/// `Err` with the first digest that differs, or whose words are out of range where they stand for field elements.
pub(super) fn digests<F: HalField>(
    what: &str,
    hash: HashKind,
    device: &[DigestWords],
    reference: &[DigestWords],
) -> Result<(), String> {
    same_count(what, "digests", device.len(), reference.len())?;
    let in_range = |digest: &DigestWords| match hash {
        HashKind::Poseidon2 | HashKind::Poseidon2Wide => {
            digest.iter().all(|&word| word < F::ORDER_U32)
        }
        HashKind::Keccak256 => true,
    };
    let wrong = |(a, b): (&DigestWords, &DigestWords)| a != b || !in_range(a);
    match device.iter().zip(reference).position(wrong) {
        None => Ok(()),
        Some(i) => Err(format!(
            "{what}, digest {i}: words {:08x?} instead of {:08x?}{}",
            device[i],
            reference[i],
            if in_range(&device[i]) {
                ""
            } else {
                ", not all below the prime"
            }
        )),
    }
}
