//! Puzzles as their documentation says to build them, solved, and judged by p3's challengers.

use p3_baby_bear::BabyBear;
use p3_challenger::{
    CanObserve, DuplexChallenger, GrindingChallenger, HashChallenger, SerializingChallenger32,
};
use p3_keccak::Keccak256Hash;
use p3_koala_bear::KoalaBear;
use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{Cpu, FriOps, HalError, HalField, Puzzle};
use tiny_keccak::{Hasher, Keccak};

use crate::draw::element;

const RATE: usize = 8;

/// The witness passes, and no smaller one does.
fn is_smallest<F: HalField, C>(challenger: &C, bits: usize, witness: F)
where
    C: GrindingChallenger<Witness = F> + Clone,
{
    assert!(challenger.clone().check_witness(bits, witness));
    for smaller in 0..witness.as_canonical_u32() {
        assert!(!challenger.clone().check_witness(bits, F::from_u32(smaller)));
    }
}

fn check_poseidon2<F: HalField>(observed: &[F], bits: usize) {
    let mut challenger = DuplexChallenger::<F, F::Perm16, 16, RATE>::new(F::poseidon2_16());
    challenger.observe_slice(observed);

    let slot = challenger.input_buffer.len();
    let mut state = challenger.sponge_state;
    state[..slot].copy_from_slice(&challenger.input_buffer);
    state[slot..RATE].fill(F::ZERO);
    state[RATE] += F::from_usize(slot + 1);
    let puzzle = Puzzle::Poseidon2 {
        state,
        slot,
        output: RATE - 1,
    };
    let witness = Cpu::<F>::new().grind(&puzzle, bits).unwrap();
    is_smallest(&challenger, bits, witness);
}

fn check_keccak<F: HalField>(observed: &[F], bits: usize) {
    let inner = HashChallenger::<u8, _, 32>::new(vec![], Keccak256Hash);
    let mut challenger = SerializingChallenger32::<F, _>::new(inner);
    challenger.observe_slice(observed);

    // p3 squeezes before a witness: what precedes it is the digest of all that was observed.
    let words: Vec<_> = observed
        .iter()
        .map(|x| x.montgomery_word().to_le_bytes())
        .collect();
    let mut hasher = Keccak::v256();
    let mut prefix = vec![0; 32];
    hasher.update(words.as_flattened());
    hasher.finalize(&mut prefix);
    let witness = Cpu::<F>::new()
        .grind(&Puzzle::Keccak256 { prefix }, bits)
        .unwrap();
    is_smallest(&challenger, bits, witness);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn witnesses_are_the_smallest_that_p3_accepts(
        koala in vec(element::<KoalaBear>(), 0..20),
        baby in vec(element::<BabyBear>(), 0..20),
        bits in 0usize..9,
    ) {
        check_poseidon2(&koala, bits);
        check_poseidon2(&baby, bits);
        check_keccak(&koala, bits);
        check_keccak(&baby, bits);
    }
}

#[test]
fn a_search_beyond_one_batch_finds_the_smallest() {
    // 2^18 candidates on average: several batches of all threads.
    check_poseidon2(&[KoalaBear::new(5)], 17);
}

#[test]
fn impossible_difficulties_and_slots_are_refused() {
    let cpu = Cpu::<KoalaBear>::new();
    let puzzle = Puzzle::Keccak256 { prefix: vec![] };
    for bits in [31, 32, 64, usize::MAX] {
        assert!(matches!(
            cpu.grind(&puzzle, bits),
            Err(HalError::InvalidArgument { .. })
        ));
    }
    let state = [KoalaBear::new(1); 16];
    for (slot, output) in [(16, 0), (0, 16), (usize::MAX, 0)] {
        let puzzle = Puzzle::Poseidon2 {
            state,
            slot,
            output,
        };
        assert!(matches!(
            cpu.grind(&puzzle, 4),
            Err(HalError::InvalidArgument { .. })
        ));
    }
}
