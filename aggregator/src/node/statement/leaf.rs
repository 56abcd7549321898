//! The statement of a leaf.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_prover::machine::keccak::public_values as pv;

use super::{ONE, ZERO, cells};
use crate::circuit::{Base, Builder, Octet};
use crate::statement::hash::{SEGMENT_TAG, STATE_TAG, STATEMENT_TAG};

/// The digest of a leaf's statement, from the machine's public values:
/// [`leaf_of_keccak`](crate::statement::leaf_of_keccak) in a circuit.
pub(in crate::node) fn leaf(builder: &mut Builder, values: &[Base], root: Octet) -> Octet {
    let zero = builder.base_constant(ZERO);
    let [state, segment, tree, one] = [STATE_TAG, SEGMENT_TAG, STATEMENT_TAG, 1]
        .map(|k| builder.base_constant(KoalaBear::from_u32(k)));
    let identity = [values[pv::ID], values[pv::VERSION]];
    let state_digest = |builder: &mut Builder, lanes: usize, blocks: usize, bytes: usize| {
        let mut words = vec![state, identity[0], identity[1], zero];
        words.extend(&values[blocks..blocks + 4]);
        words.extend(&values[lanes..lanes + 100]);
        words.extend(&values[bytes..bytes + 4]);
        let cells = cells(builder, &words);
        builder.hash_cells(&cells)
    };
    let begin = state_digest(
        builder,
        pv::STATE_BEFORE,
        pv::BLOCKS_BEFORE,
        pv::BYTES_BEFORE,
    );
    let end = state_digest(builder, pv::STATE_AFTER, pv::BLOCKS_AFTER, pv::BYTES_AFTER);
    let (first, last) = (values[pv::FIRST], values[pv::LAST]);
    let flags = builder.sum_base([(ONE, first), (KoalaBear::TWO, last)]);
    let index = &values[pv::INDEX..pv::INDEX + 4];
    let head = core::array::from_fn(|i| match i {
        0 => segment,
        1 | 2 => identity[i - 1],
        3 => flags,
        _ => index[i - 4],
    });
    let head = builder.unspell(head);
    let list = builder.hash_cells(&[head, begin, end]);
    let head = core::array::from_fn(|i| match i {
        0 => tree,
        1 => zero,
        2 => first,
        3 => last,
        _ => index[i - 4],
    });
    let head = builder.unspell(head);
    let context = builder.unspell(core::array::from_fn(|i| values[pv::CONTEXT + i]));
    let count = builder.unspell(core::array::from_fn(|i| if i == 0 { one } else { zero }));
    builder.hash_cells(&[head, context, begin, end, list, root, count])
}
