//! The Keccak-f table: the constraints of `p3-keccak-air`, and the bus on which it answers.
//!
//! A permutation takes 24 rows, one per round. `p3-keccak-air` constrains each row's round, carries
//! the input (`preimage`) through all 24 rows, and ties each round's output to the next one's input.
//! On row 23 of a permutation the table therefore holds input and output side by side, and answers
//! with **one** tuple of 200 limbs. Two tuples, one for the input and one for the output, would let
//! a prover join the input of one permutation to the output of another.
//!
//! What the constraints of p3 give, checked in its source (`air.rs` of version 0.8.0):
//!
//! - `preimage` equals `a` on the first round and is constant up to row 23; `a` is a sum of bits
//!   (each the XOR of three constrained bits), so every input limb is below 2^16;
//! - every output limb is a sum of bits on row 23, so it is below 2^16 too, and it is the round
//!   function's value: there is one output for an input;
//! - `export` is 0 or 1, and 0 except on row 23.
//!
//! **The exports are free witness bits, and cannot help a prover.** The bus balances when, for each
//! tuple, the sponge rows that look it up are as many as the rows that export it, modulo the field.
//! Sponge counts are bits on at most 2^20 rows, so a tuple that is looked up has a count between 1
//! and 2^20 < p, not zero modulo p; some row then exports exactly this tuple, and by the above it is
//! an input with its true output. Exporting fewer, more or other permutations unbalances the bus.
//! Order and repetition are the sponge table's business: each block's tuple begins with the state
//! that the chain has at that row. A permutation exported twice serves two blocks that really have
//! equal inputs, and no others.

use core::borrow::Borrow;

use p3_air::{Air, WindowAccess};
use p3_keccak_air::{KeccakAir, KeccakCols};
use p3_lookup::{Count, InteractionBuilder};

use super::BUS;
use super::sponge_columns::{LIMBS, STATE_LIMBS};

/// Asserts the constraints of `p3-keccak-air` and answers on the bus with input and output, in lane
/// order `x + 5y`.
pub(super) fn eval<AB: InteractionBuilder>(builder: &mut AB) {
    KeccakAir {}.eval(builder);
    let main = builder.main();
    let local: &KeccakCols<AB::Var> = main.current_slice().borrow();
    let mut tuple: Vec<AB::Expr> = Vec::with_capacity(2 * STATE_LIMBS);
    for lane in 0..25 {
        tuple.extend(
            local.preimage[lane / 5][lane % 5]
                .iter()
                .map(|&limb| limb.into()),
        );
    }
    for lane in 0..25 {
        tuple.extend(
            (0..LIMBS).map(|limb| local.a_prime_prime_prime(lane / 5, lane % 5, limb).into()),
        );
    }
    let export: AB::Expr = local.export.into();
    builder.push_interaction(BUS, tuple, Count::provided(-export));
}
