//! False witnesses of the Keccak machine, proven as a cheating prover would and refused by stock p3's verifier.
//!
//! With debug assertions p3's prover refuses a false trace itself, so this runs in the release profile. The evaluator of
//! constraints and lookups goes through every column of both tables (`prover/tests/keccak_machine`); here a stated sample
//! is taken all the way: that the verifier refuses exactly what the evaluator refuses. The FRI parameters are for speed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics"
)]

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix;
use starkwright_hal::{Cpu, KoalaBear4, Poseidon2Merkle};
use starkwright_hw_tests::conformance::Random;
use starkwright_hw_tests::proofs::QUICK;
use starkwright_hw_tests::runtimes::long;
use starkwright_prover::ProverError;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::sponge_columns::{SPONGE_COLUMNS, SPONGE_WIDTH};
use starkwright_prover::machine::keccak::{
    Block, KeccakMachine, KeccakTable, RATE_BYTES, Segment, SegmentShape, SegmentStatement,
    SegmentTrace, State, check_segment, public_values as pv,
};
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{BatchProver, BatchVerifier};

type F = KoalaBear;
type E = KoalaBear4;
type Trace = SegmentTrace<F>;

/// Rows of a block.
const BLOCK: usize = 24;

const PARAMETERS: LeafParameters = LeafParameters {
    extension_degree: 4,
    log_blowup: 1,
    ..QUICK
};

fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..length).map(|_| random.bits() as u8).collect()
}

fn full(seed: u64) -> Block {
    Block::full(random_bytes(seed, RATE_BYTES).try_into().unwrap())
}

fn closing(seed: u64, length: usize) -> Block {
    Block::closing(&random_bytes(seed, length)).unwrap()
}

fn some_state() -> State {
    let mut random = Random::new(20);
    std::array::from_fn(|_| random.bits())
}

/// A true segment: these blocks absorbed after `blocks_before` full ones, from this state.
fn segment(state_before: State, blocks_before: u64, blocks: Vec<Block>) -> Segment {
    let mut state_after = state_before;
    for block in &blocks {
        for (lane, word) in state_after.iter_mut().zip(block.lanes()) {
            *lane ^= word;
        }
        tiny_keccak::keccakf(&mut state_after);
    }
    let bytes_before = blocks_before * RATE_BYTES as u64;
    let absorbed: usize = blocks.iter().map(|block| block.message_len).sum();
    let first = blocks_before == 0;
    let statement = SegmentStatement {
        context: [0; 8],
        index: u64::from(!first),
        state_before,
        state_after,
        blocks_before,
        blocks_after: blocks_before + blocks.len() as u64,
        bytes_before,
        bytes_after: bytes_before + absorbed as u64,
        first,
        last: blocks.last().is_some_and(|block| block.closing),
    };
    Segment {
        shape: SegmentShape::from_capacity(85).unwrap(),
        statement,
        blocks,
    }
}

fn trace(segment: &Segment) -> Trace {
    Trace::generate(segment).unwrap()
}

fn two_blocks() -> Trace {
    trace(&segment(some_state(), 10, vec![full(1), full(2)]))
}

/// A prover that proves anything, and the stock verifier.
struct Court {
    prover: BatchProver<F, E, Poseidon2Merkle, Cpu<F>, KeccakTable>,
    verifier: BatchVerifier<F, E, Poseidon2Merkle, KeccakTable>,
}

impl Court {
    fn new() -> Self {
        let (tables, heights) = (KeccakMachine::tables(), vec![11; 2]);
        let prover =
            BatchProver::setup(&Cpu::new(), &PARAMETERS, tables.clone(), heights.clone()).unwrap();
        let verifier = BatchVerifier::setup(&PARAMETERS, tables, heights).unwrap();
        Self { prover, verifier }
    }

    /// Proves the witness; whether stock p3 accepts the proof.
    fn accepts(&self, trace: &Trace) -> bool {
        let public_values = [vec![], trace.public_values.clone()];
        let proof = self
            .prover
            .prove(&[&trace.permutation, &trace.sponge], &public_values)
            .unwrap();
        match self.verifier.verify(&proof, &public_values) {
            Ok(()) => true,
            Err(ProverError::Rejected { why }) => {
                // Because of what the tables hold, not of the proof's form.
                let reasons = [
                    "out-of-domain evaluation mismatch",
                    "cross-AIR lookup terminal sum",
                ];
                assert!(reasons.iter().any(|reason| why.contains(reason)), "{why}");
                false
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// A false witness, which the evaluator refuses.
    fn refuses(&self, name: &str, trace: &Trace) {
        check_segment(trace).expect_err(name);
        assert!(!self.accepts(trace), "{name} is accepted");
    }
}

/// First column of a group of the sponge table.
fn column(name: &str) -> usize {
    SPONGE_COLUMNS
        .iter()
        .find(|group| group.name == name)
        .unwrap()
        .columns
        .start
}

fn state_on(trace: &Trace, row: usize) -> Vec<F> {
    let start = row * SPONGE_WIDTH + column("state");
    trace.sponge.values[start..start + 100].to_vec()
}

/// From `row` on the sponge's state is this one, and so is the state that is claimed.
fn continue_with(trace: &mut Trace, row: usize, state: &[F]) {
    for row in row..trace.sponge.height() {
        let start = row * SPONGE_WIDTH + column("state");
        trace.sponge.values[start..start + 100].copy_from_slice(state);
    }
    trace.public_values[pv::STATE_AFTER..pv::STATE_AFTER + 100].copy_from_slice(state);
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "with debug assertions p3 proves no false trace"
)]
fn true_witnesses_are_accepted() {
    let court = Court::new();
    for blocks in [vec![closing(1, 0)], vec![full(1), full(2), closing(3, 100)]] {
        let trace = trace(&segment(some_state(), 1000, blocks));
        check_segment(&trace).unwrap();
        assert!(court.accepts(&trace));
    }
    // A cell that may hold either bit: rows 20 to 23 of a block have no use for the block bits.
    let mut trace = two_blocks();
    let cell = 20 * SPONGE_WIDTH + column("block_bits");
    trace.sponge.values[cell] = F::ONE - trace.sponge.values[cell];
    check_segment(&trace).unwrap();
    assert!(court.accepts(&trace));
}

/// The sample: 10 seeded cells of each table in CI, 300 in the long tests.
#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "with debug assertions p3 proves no false trace"
)]
fn changed_cells() {
    let court = Court::new();
    let honest = trace(&segment(
        some_state(),
        1000,
        vec![full(1), full(2), closing(3, 100)],
    ));
    let mut random = Random::new(21);
    let each = if long() { 300 } else { 10 };
    let mut refused = 0;
    for table in 0..2 {
        for _ in 0..each {
            let mut trace = honest.clone();
            let matrix = if table == 0 {
                &mut trace.permutation
            } else {
                &mut trace.sponge
            };
            let cell = random.below(matrix.values.len());
            let (row, column) = (cell / matrix.width, cell % matrix.width);
            matrix.values[cell] += random.unit::<F>();
            let allowed = check_segment(&trace).is_ok();
            refused += usize::from(!allowed);
            assert_eq!(
                court.accepts(&trace),
                allowed,
                "table {table}, row {row}, column {column}"
            );
        }
    }
    assert!(refused > each, "the sample holds too few cells that matter");
}

/// Lengths other than the blocks say, around 2^31 and 2^32 and by a multiple of the field's modulus.
#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "with debug assertions p3 proves no false trace"
)]
fn wrong_lengths() {
    let court = Court::new();
    for (blocks_before, power) in [(15_790_320_u64, 1_u64 << 31), (31_580_641, 1 << 32)] {
        let honest = segment(some_state(), blocks_before, vec![full(1), closing(2, 9)]);
        let truth = honest.statement.bytes_after;
        assert!(honest.statement.bytes_before < power && truth > power);
        let modulus = u64::from(<F as p3_field::PrimeField32>::ORDER_U32);
        for wrong in [truth - power, truth + power, truth + modulus, truth + 1] {
            let mut claim = honest.clone();
            claim.statement.bytes_after = wrong;
            court.refuses(&format!("{wrong} bytes instead of {truth}"), &trace(&claim));
        }
    }
    let mut claim = segment(some_state(), 65_535, vec![full(1), full(2)]);
    claim.statement.blocks_after -= 1;
    court.refuses("a block too few", &trace(&claim));
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "with debug assertions p3 proves no false trace"
)]
fn wrong_paddings() {
    let court = Court::new();
    let refuses = |name: &str, segment: &Segment| court.refuses(name, &trace(segment));
    let at = |blocks| segment(some_state(), 10, blocks);
    let middle = || vec![full(1), closing(2, 50), full(3), closing(4, 7)];
    refuses("padding in the middle", &at(middle()));
    let mut hidden = middle();
    hidden[1].closing = false;
    refuses("padding in the middle, not said", &at(hidden));
    refuses("two paddings", &at(vec![closing(1, 50), closing(2, 60)]));
    let mut last = at(vec![full(1), full(2)]);
    last.statement.last = true;
    refuses("a last segment without padding", &last);
    let mut inner = at(vec![full(1), closing(2, 30)]);
    inner.statement.last = false;
    refuses("padding in a segment that is not the last", &inner);
    for (name, byte, value) in [
        ("SHA3's padding", 100, 0x06),
        ("no final bit", 135, 0),
        ("a hidden byte", 101, 1),
    ] {
        let mut block = closing(1, 100);
        block.bytes[byte] = value;
        refuses(name, &at(vec![full(2), block]));
    }
    let mut longer = closing(1, 100);
    longer.message_len = 101;
    refuses("a byte more than the padding says", &at(vec![longer]));
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "with debug assertions p3 proves no false trace"
)]
fn wrong_permutations() {
    let court = Court::new();
    let mut replayed = two_blocks();
    let output = state_on(&replayed, BLOCK);
    continue_with(&mut replayed, 2 * BLOCK, &output);
    court.refuses("a replayed permutation", &replayed);
    // Exporting the first permutation a second time in place of the second does not help.
    let rows = BLOCK * replayed.permutation.width;
    replayed.permutation.values.copy_within(0..rows, rows);
    court.refuses("a permutation exported twice", &replayed);

    let mut skipped = two_blocks();
    let input = state_on(&skipped, 2 * BLOCK - 1);
    continue_with(&mut skipped, 2 * BLOCK, &input);
    court.refuses("a skipped permutation", &skipped);

    let mut wrong = two_blocks();
    let mut state = state_on(&wrong, 2 * BLOCK);
    state[99] += F::ONE;
    continue_with(&mut wrong, 2 * BLOCK, &state);
    court.refuses("a wrong result", &wrong);
    let mut honest = segment(some_state(), 10, vec![full(1), full(2)]);
    honest.blocks.swap(0, 1);
    court.refuses("blocks in another order", &trace(&honest));
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "with debug assertions p3 proves no false trace"
)]
fn wrong_beginnings() {
    let court = Court::new();
    let chosen = segment(some_state(), 0, vec![full(1)]);
    assert!(chosen.statement.first);
    court.refuses("first, with a state that is not zero", &trace(&chosen));
    let mut later = segment(some_state(), 10, vec![full(1)]);
    later.statement.first = true;
    court.refuses("first, after ten blocks", &trace(&later));
    let mut second = segment([0; 25], 0, vec![full(1)]);
    second.statement.index = 1;
    court.refuses("first, with index 1", &trace(&second));
    let mut counted = segment([0; 25], 0, vec![full(1)]);
    (
        counted.statement.blocks_before,
        counted.statement.blocks_after,
    ) = (1, 2);
    court.refuses("first, with a block before it", &trace(&counted));
    court.refuses(
        "no block at all",
        &trace(&segment(some_state(), 10, vec![])),
    );
}
