//! Each machine against p3's own function.

use p3_commit::{BatchOpeningRef, Mmcs};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32, TwoAdicField};
use p3_koala_bear::KoalaBear;
use p3_matrix::Dimensions;
use p3_matrix::dense::RowMajorMatrix;
use p3_symmetric::CryptographicHasher;
use p3_util::reverse_bits_len;
use starkwright_aggregator::circuit::{Builder, Ext, Octet, PathIndex, inverse_point_factors};
use starkwright_hal::{Extension, KoalaBear4, KoalaBear5, MerkleScheme, Poseidon2Merkle};

use super::check;

type F = KoalaBear;

fn f(x: u32) -> F {
    F::from_u32(x)
}

/// A circuit that only needs public values because every circuit has some.
fn publish(builder: &mut Builder) {
    let word = builder.base_constant(F::ZERO);
    let octet = builder.unspell([word; 8]);
    builder.publish(octet);
}

/// Runs a circuit whose input starts with `inputs`, and checks it.
fn run<E: Extension<F>>(builder: Builder, log_height: usize, inputs: &[F]) -> Result<(), String> {
    let circuit = builder.compile(log_height).unwrap();
    let assignment = circuit.assign::<E>(inputs).unwrap();
    check(&circuit, &assignment).map_err(|violation| violation.to_string())
}

fn words<E: Extension<F>>(element: E) -> Vec<F> {
    element.as_basis_coefficients_slice().to_vec()
}

fn gates_compute_in_the_challenge_field<E: Extension<F>>() {
    let a = E::from_basis_coefficients_fn(|i| f(3 + i as u32));
    let b = E::from_basis_coefficients_fn(|i| f(1 << (5 * i)));
    let expected = [a * b + a, a - b, a.inverse(), (a + b).exp_u64(13), a * b];
    let inputs: Vec<F> = [a, b].into_iter().chain(expected).flat_map(words).collect();
    for wrong in 0..=expected.len() {
        let mut builder = Builder::new(E::RULE, &[]);
        let (values, _) = builder.input_elements(2 + expected.len());
        let (a, b) = (values[0], values[1]);
        let sum = builder.add(a, b);
        let results = [
            builder.mul_add(a, b, a),
            builder.sub(a, b),
            builder.inverse(a),
            builder.power(sum, 13),
            builder.mul(b, a),
        ];
        for (result, &expected) in results.into_iter().zip(&values[2..]) {
            builder.assert_equal(result, expected);
        }
        publish(&mut builder);
        let mut inputs = inputs.clone();
        if wrong < expected.len() {
            inputs[(2 + wrong) * E::RULE.degree() + 1] += F::ONE;
            assert!(run::<E>(builder, 6, &inputs).unwrap_err().contains("gate"));
        } else {
            run::<E>(builder, 6, &inputs).unwrap();
        }
    }
}

#[test]
fn gates() {
    gates_compute_in_the_challenge_field::<KoalaBear4>();
    gates_compute_in_the_challenge_field::<KoalaBear5>();
}

fn zero_has_no_inverse<E: Extension<F>>() {
    let mut builder = Builder::new(E::RULE, &[]);
    let (values, _) = builder.input_elements(1);
    builder.inverse(values[0]);
    publish(&mut builder);
    let error = run::<E>(
        builder,
        5,
        &E::zero_vec(1)
            .into_iter()
            .flat_map(words)
            .collect::<Vec<_>>(),
    );
    assert!(error.unwrap_err().contains("gate"));
}

#[test]
fn a_quotient_by_zero_is_unsatisfiable() {
    zero_has_no_inverse::<KoalaBear4>();
    zero_has_no_inverse::<KoalaBear5>();
}

fn packing_keeps_words<E: Extension<F>>(count: usize) {
    let degree = E::RULE.degree();
    let inputs: Vec<F> = (0..count * degree).map(|i| f(100 + i as u32)).collect();
    let mut builder = Builder::new(E::RULE, &[]);
    let (elements, octets) = builder.input_elements(count);
    assert_eq!(octets.len(), (count * degree).div_ceil(8));
    // Every word of every cell is the input's, and zero behind it.
    for (place, &octet) in octets.iter().enumerate() {
        for (i, word) in builder.spell(octet).into_iter().enumerate() {
            let expected = inputs.get(8 * place + i).copied().unwrap_or(F::ZERO);
            let expected = builder.constant(expected);
            builder.assert_equal(word.into(), expected);
        }
    }
    // Elements that are known give the same cells.
    let again = builder.pack_elements(&elements);
    for (a, b) in octets.iter().zip(&again) {
        let (a, b) = (builder.spell(*a), builder.spell(*b));
        for (a, b) in a.into_iter().zip(b) {
            builder.assert_equal(a.into(), b.into());
        }
    }
    // An element composed of its words is the element.
    let spelled: Vec<_> = octets
        .iter()
        .flat_map(|&octet| builder.spell(octet))
        .collect();
    for (words, &element) in spelled.chunks(degree).zip(&elements) {
        let composed = builder.compose(words);
        builder.assert_equal(composed, element);
    }
    publish(&mut builder);
    run::<E>(builder, 10, &inputs).unwrap();
}

#[test]
fn packing() {
    for count in [1, 2, 7, 8, 9, 17] {
        packing_keeps_words::<KoalaBear4>(count);
        packing_keeps_words::<KoalaBear5>(count);
    }
}

#[test]
fn numbers_have_one_decomposition() {
    let p = F::ORDER_U32;
    for number in [
        0,
        1,
        2,
        12345,
        (1 << 24) - 1,
        1 << 24,
        p - 1,
        p - 2,
        0x7e00_0000,
    ] {
        let mut builder = Builder::new(KoalaBear5::RULE, &[]);
        let (words, _) = builder.input_words();
        let bits = builder.decompose(words[0], inverse_point_factors(10));
        let high = builder.without_low_bits(bits, 4);
        let expected = builder.constant(f(number >> 4));
        builder.assert_equal(high.into(), expected);
        // The inverse of the point with this index in a bit-reversed domain of size 2^10.
        let index = number as usize & 1023;
        let point = F::two_adic_generator(10).exp_u64(reverse_bits_len(index, 10) as u64);
        let expected = builder.constant(point.inverse());
        let product = builder.product_above(bits, 0);
        builder.assert_equal(product.into(), expected);
        publish(&mut builder);
        let mut inputs = vec![F::ZERO; 8];
        inputs[0] = f(number);
        run::<KoalaBear5>(builder, 6, &inputs).unwrap();
    }
}

#[test]
fn ranges_end_where_they_say() {
    for (number, fits) in [
        (0, true),
        (65535, true),
        (65536, false),
        (F::ORDER_U32 - 1, false),
    ] {
        let mut builder = Builder::new(KoalaBear5::RULE, &[]);
        let (words, _) = builder.input_words();
        builder.assert_bits(words[0], 16);
        publish(&mut builder);
        let mut inputs = vec![F::ZERO; 8];
        inputs[0] = f(number);
        assert_eq!(
            run::<KoalaBear5>(builder, 5, &inputs).is_ok(),
            fits,
            "{number}"
        );
    }
}

/// A sponge, its sum, and a path to a cap, against p3's own tree.
fn opening<E: Extension<F>>(
    width: usize,
    cap_height: usize,
    wrong: Option<usize>,
) -> Result<(), String> {
    let (builder, mut inputs) = opening_circuit::<E>(width, cap_height);
    if let Some(wrong) = wrong {
        inputs[wrong] += F::ONE;
    }
    run::<E>(builder, 7, &inputs)
}

/// The circuit of an opening, and its honest inputs.
pub(super) fn opening_circuit<E: Extension<F>>(
    width: usize,
    cap_height: usize,
) -> (Builder, Vec<F>) {
    const LOG_HEIGHT: usize = 5;
    let mmcs = <Poseidon2Merkle as MerkleScheme<F>>::mmcs(cap_height);
    let matrix = RowMajorMatrix::new(
        (0..width << LOG_HEIGHT)
            .map(|i| f(i as u32 * 7 + 1))
            .collect(),
        width,
    );
    let (cap, tree) = mmcs.commit(vec![matrix]);
    let index = 0b10110;
    let opening = mmcs.open_batch(index, &tree);
    let dimensions = [Dimensions {
        width,
        height: 1 << LOG_HEIGHT,
    }];
    mmcs.verify_batch(
        &cap,
        &dimensions,
        index,
        BatchOpeningRef::new(&opening.opened_values, &opening.opening_proof),
    )
    .unwrap();

    let mut builder = Builder::new(E::RULE, &[(width % 8) as u8]);
    let (challenge, _) = builder.input_elements(1);
    builder.set_challenge(0, challenge[0]);
    let digests: Vec<Octet> = builder
        .input_cap(1 << cap_height)
        .into_iter()
        .map(|(_, octet)| octet)
        .collect();
    let (number, _) = builder.input_words();
    let bits = builder.decompose(number[0], Vec::new());
    let (low, high) = (
        builder.without_low_bits(bits, 0),
        builder.without_low_bits(bits, LOG_HEIGHT - cap_height),
    );
    let x = builder.x();
    let shift = F::from_u32(1 << (LOG_HEIGHT - cap_height));
    let path = builder.linear(
        [(F::ONE, low.into()), (-shift, high.into()), (F::ZERO, x)],
        F::ZERO,
    );
    let end = builder.mul_add(high.into(), x, path);
    let rows = builder.hash_input(width, Some(0));
    let sum = builder.sum(*rows.last().unwrap());
    let path = PathIndex {
        number: number[0],
        first_bit: 0,
        end,
    };
    let last = builder.climb(*rows.last().unwrap(), LOG_HEIGHT - cap_height, path);
    builder.assert_in_cap(last, &digests);
    let (expected, _) = builder.input_elements(1);
    builder.assert_equal(sum, expected[0]);
    let zero = builder.base_constant(F::ZERO);
    let statement = builder.unspell([zero; 8]);
    builder.publish(statement);

    let challenge = E::from_basis_coefficients_fn(|i| f(11 + i as u32));
    let row = &opening.opened_values[0];
    let padded = width.next_multiple_of(8);
    let sum: E = row
        .iter()
        .enumerate()
        .map(|(i, &word)| challenge.exp_u64((padded - 1 - i) as u64) * word)
        .sum();
    let mut inputs = words(challenge);
    inputs.extend(cap.roots().iter().flatten());
    inputs.extend([
        f(index as u32),
        F::ZERO,
        F::ZERO,
        F::ZERO,
        F::ZERO,
        F::ZERO,
        F::ZERO,
        F::ZERO,
    ]);
    inputs.extend(row);
    inputs.extend(opening.opening_proof.iter().flatten());
    inputs.extend(words(sum));
    (builder, inputs)
}

#[test]
fn openings_are_those_of_p3() {
    for width in [1, 7, 8, 10, 16, 23] {
        for cap_height in [0, 1, 3] {
            opening::<KoalaBear5>(width, cap_height, None).unwrap();
            opening::<KoalaBear4>(width, cap_height, None).unwrap();
        }
    }
}

#[test]
fn every_wrong_word_of_an_opening_is_noticed() {
    // Challenge, cap of two, index (only its first word is looked at), row, path, sum.
    let (degree, width, cap, path) = (5, 10, 16, 4 * 8);
    let index = degree + cap;
    let all = index + 8 + width + path + degree;
    for wrong in (0..all).filter(|&i| i <= index || i >= index + 8) {
        // The digest of the cap that this path does not meet is nobody's business here.
        let unused = degree..degree + 8;
        let result = opening::<KoalaBear5>(width, 1, Some(wrong));
        assert_eq!(
            result.is_ok(),
            unused.contains(&wrong),
            "{wrong}: {result:?}"
        );
    }
}

#[test]
fn hashes_of_cells_are_those_of_p3() {
    let mut builder = Builder::new(KoalaBear5::RULE, &[]);
    let octets: Vec<Octet> = (0..3).map(|_| builder.input_words().1).collect();
    let digest = builder.hash_cells(&octets);
    let (_, expected) = builder.input_words();
    let (a, b) = (builder.spell(digest), builder.spell(expected));
    for (a, b) in a.into_iter().zip(b) {
        builder.assert_equal(Ext::from(a), b.into());
    }
    publish(&mut builder);
    let mut inputs: Vec<F> = (0..24).map(|i| f(i + 1)).collect();
    let sponge = p3_symmetric::PaddingFreeSponge::<_, 16, 8, 8>::new(
        <F as starkwright_hal::HalField>::poseidon2_16(),
    );
    let digest: [F; 8] = sponge.hash_iter(inputs.clone());
    inputs.extend(digest);
    run::<KoalaBear5>(builder, 6, &inputs).unwrap();
}
