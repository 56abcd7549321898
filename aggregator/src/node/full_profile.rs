//! Crafted witnesses at the parameters that are used: real proofs under a profile, a join's circuit in full, and words of its
//! input changed at random. A constraint or the memory refuses each.

use p3_air::BaseAir;
use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Cpu, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::check::{TableWitness, Violation, check_tables};
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchProver;

use super::{Circuits, NodeProof};
use crate::AggregatorError;
use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Circuit, Source};
use crate::statement::STATEMENT_LEN;

type F = KoalaBear;

const BLOCKS: usize = 85;

/// Takes parts from another source and keeps them.
struct Recorded<S> {
    source: S,
    parts: Vec<Vec<F>>,
}

impl<S: Source> Source for &mut Recorded<S> {
    fn part(&mut self, part: usize, known: &[[F; CELL_WORDS]]) -> Result<Vec<F>, AggregatorError> {
        let words = self.source.part(part, known)?;
        self.parts
            .resize(self.parts.len().max(part + 1), Vec::new());
        self.parts[part].clone_from(&words);
        Ok(words)
    }
}

/// The same words whatever the transcript asks for.
struct Replayed<'a>(&'a [Vec<F>]);

impl Source for Replayed<'_> {
    fn part(&mut self, part: usize, _: &[[F; CELL_WORDS]]) -> Result<Vec<F>, AggregatorError> {
        Ok(self.0[part].clone())
    }
}

/// A segment's proof, lifted and shrunk.
fn leaf<E>(circuits: &Circuits<E, Cpu<F>>, profile: Profile) -> NodeProof<E>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let shape = SegmentShape::from_capacity(BLOCKS).unwrap();
    let bytes = b"crafted witnesses".as_slice();
    let segment = Segmenter::new(bytes, shape, [0; 8])
        .next()
        .unwrap()
        .unwrap();
    let trace = SegmentTrace::<F>::generate(&segment).unwrap();
    let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
        circuits.device(),
        &profile.leaf(),
        KeccakMachine::tables(),
        vec![shape.log_height(); 2],
    )
    .unwrap();
    let values = [Vec::new(), trace.public_values];
    let proof = prover
        .prove(&[&trace.permutation, &trace.sponge], &values)
        .unwrap();
    let entrance = circuits.entrance(shape.log_height()).unwrap();
    let root = circuits.allowed().root();
    let lifted = entrance
        .lift
        .prove(&segment.statement, &proof, &root)
        .unwrap();
    entrance
        .shrink
        .prove(entrance.lift.node(), &lifted)
        .unwrap()
}

fn evaluate<E: Extension<F>>(circuit: &Circuit, words: &[Vec<F>]) -> Result<(), Violation> {
    let assignment = circuit.assign::<E>(Replayed(words)).unwrap();
    let preprocessed = circuit.air().preprocessed_trace();
    check_tables(&[TableWitness {
        air: circuit.air(),
        preprocessed: preprocessed.as_ref(),
        trace: &assignment.trace,
        public_values: &assignment.public_values,
    }])
}

/// Changes so many words of a join's input, one at a time, each part of it in turn.
fn every_change_is_refused<E>(profile: Profile, changes: usize)
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let circuits = Circuits::<E, _>::new(&Cpu::new(), profile).unwrap();
    let leaf = leaf(&circuits, profile);
    let join = circuits.join().unwrap();
    let height = SegmentShape::from_capacity(BLOCKS).unwrap().log_height();
    let key = &circuits.keys().shrinks[&height];
    // A leaf alone stands in the place of both children, and both are verified.
    let (_, source) = join.input((key, &leaf), None, circuits.allowed()).unwrap();
    let mut recorded = Recorded {
        source,
        parts: Vec::new(),
    };
    let circuit = join.node().circuit();
    circuit.assign::<E>(&mut recorded).unwrap();
    let mut parts = recorded.parts;
    evaluate::<E>(circuit, &parts).unwrap();

    let mut state = 100u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for change in 0..changes {
        // A part of the circuit may read nothing.
        let part = (change..)
            .map(|part| part % parts.len())
            .find(|&part| !parts[part].is_empty())
            .unwrap();
        // Behind the statements the first part has words that are nothing, beside a key's place.
        let words = if part == 0 {
            2 * STATEMENT_LEN
        } else {
            parts[part].len()
        };
        let place = random(words);
        let honest = parts[part][place];
        parts[part][place] += F::from_usize(1 + random(1 << 24));
        let refusal = evaluate::<E>(circuit, &parts).unwrap_err();
        println!("{profile}: part {part}, word {place}: {refusal}");
        parts[part][place] = honest;
    }
}

fn long() -> bool {
    std::env::var_os("STARKWRIGHT_LONG").is_some()
}

#[test]
fn changed_words_are_refused_under_conjectured100() {
    let changes = if long() { 30 } else { 12 };
    every_change_is_refused::<KoalaBear4>(Profile::Conjectured100, changes);
}

/// Minutes, so only where there is time.
#[test]
fn changed_words_are_refused_under_proven100() {
    if long() {
        every_change_is_refused::<KoalaBear5>(Profile::Proven100, 30);
    }
}
