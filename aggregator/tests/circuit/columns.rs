//! No column of the table is free: a lie in any one of them, in an otherwise honest trace, is refused.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use starkwright_aggregator::circuit::inverse_point_factors;
use starkwright_aggregator::circuit::layout::PERMUTATION;
use starkwright_hal::{Extension, KoalaBear4, KoalaBear5};

use super::check;
use super::machines::opening_circuit;

/// Columns in which a lie gets through, whatever the row.
fn free_columns<E: Extension<KoalaBear>>() -> Vec<usize> {
    let (mut builder, mut inputs) = opening_circuit::<E>(10, 1);
    let (number, _) = builder.input_words();
    let bits = builder.decompose(number[0], inverse_point_factors(10));
    let product = builder.product_above(bits, 0);
    let low = builder.without_low_bits(bits, 3);
    builder.mul(product.into(), low.into());
    // A pick makes the cells that it may meet count their readers: each of the four operands in turn.
    let (elements, _) = builder.input_elements(4);
    let octets = builder.pack_elements(&elements);
    let unpacked = builder.unpack_counted(&octets, 4);
    for (place, &value) in elements.iter().enumerate() {
        let place = builder.constant(KoalaBear::from_usize(place));
        builder.pick_is(&unpacked, place, value);
    }
    inputs.extend([KoalaBear::from_u32(1_234_567); 8]);
    inputs.extend((0..4 * E::RULE.degree()).map(|i| KoalaBear::from_usize(100 + i)));
    let circuit = builder.compile(8).unwrap();
    let mut assignment = circuit.assign::<E>(inputs.as_slice()).unwrap();
    check(&circuit, &assignment).unwrap();
    let (width, height) = (assignment.trace.width(), assignment.trace.height());
    let mut refused = |at: usize| {
        let honest = assignment.trace.values[at];
        assignment.trace.values[at] += KoalaBear::TWO;
        let result = check(&circuit, &assignment);
        assignment.trace.values[at] = honest;
        result.is_err()
    };
    // The permutation runs in every row; elsewhere rows have columns to spare, which nobody reads.
    for at in (0..height).flat_map(|row| [row * width, row * width + PERMUTATION - 1]) {
        assert!(refused(at), "row {}", at / width);
    }
    (0..width)
        .filter(|column| !(0..height).any(|row| refused(row * width + column)))
        .collect()
}

#[test]
fn a_lie_in_any_column_is_refused() {
    assert_eq!(free_columns::<KoalaBear4>(), Vec::<usize>::new());
    assert_eq!(free_columns::<KoalaBear5>(), Vec::<usize>::new());
}
