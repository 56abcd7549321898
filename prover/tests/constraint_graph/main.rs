//! The lowered constraints are p3's constraints: both folded on the same random openings.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod airs;
mod oracle;
mod refusals;

use std::collections::HashSet;
use std::fmt::Write;

use airs::{Periodic, Program, Step, TALKATIVE_LOG_HEIGHT, Talkative, poseidon2};
use oracle::{Folder, Openings, lookups};
use p3_air::symbolic::SymbolicExpressionExt;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_blake3_air::Blake3Air;
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_keccak_air::KeccakAir;
use p3_koala_bear::KoalaBear;
use p3_lookup::InteractionSymbolicBuilder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use starkwright_hal::{Extension, KoalaBear4, KoalaBear5};
use starkwright_prover::constraints::{ConstraintGraph, Input, Node};
use starkwright_prover::machine::keccak::{KeccakTable, LOG_HEIGHTS};

type Graph = ConstraintGraph<KoalaBear>;

fn lower<E, A>(air: &A, log_height: usize) -> Graph
where
    E: Extension<KoalaBear>,
    A: Air<InteractionSymbolicBuilder<KoalaBear, E>>,
    SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
{
    Graph::lower::<E, A>(air, &lookups::<E, A>(air, log_height)).unwrap()
}

/// Folds by p3 and by the graph on random openings; the number of cases suits wide tables.
fn agrees<E, A>(air: &A, log_height: usize)
where
    E: Extension<KoalaBear>,
    A: Air<InteractionSymbolicBuilder<KoalaBear, E>> + for<'a> Air<Folder<'a, E>>,
    SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
{
    let lookups = lookups::<E, A>(air, log_height);
    let graph = Graph::lower::<E, A>(air, &lookups).unwrap();
    assert_well_formed(&graph);
    let mut runner = TestRunner::new(Config::with_cases(16));
    let agreement = runner.run(&any::<u64>(), |seed| {
        let openings = Openings::<E>::random(graph.layout(), seed);
        let folded = graph.evaluate_folded(&openings.alpha, |input| openings.get(input));
        prop_assert_eq!(folded, openings.folded_by_p3(air, &lookups));
        // Random values satisfy nothing: zeros on both sides would show nothing.
        prop_assert!(!folded.is_zero());
        Ok(())
    });
    agreement.unwrap();
}

/// What the module promises of every graph.
fn assert_well_formed(graph: &Graph) {
    let nodes = graph.nodes();
    let constant = |id: usize| match nodes[id] {
        Node::Constant(value) => Some(value),
        _ => None,
    };
    let mut needed: HashSet<usize> = graph.constraints().iter().map(|id| id.index()).collect();
    let mut distinct = HashSet::new();
    for (index, node) in nodes.iter().enumerate().rev() {
        assert!(distinct.insert(node), "{node:?} occurs twice");
        assert!(needed.contains(&index), "{node:?} is needed by nothing");
        let operands: Vec<usize> = node.operands().map(|id| id.index()).collect();
        assert!(operands.iter().all(|&operand| operand < index));
        needed.extend(&operands);
        let constants: Vec<KoalaBear> = operands.iter().filter_map(|&id| constant(id)).collect();
        let all_constant = constants.len() == operands.len() && !operands.is_empty();
        assert!(!all_constant, "{node:?} computes a constant");
        match node {
            Node::Input(input) => assert!(graph.layout().has(*input)),
            Node::Constant(_) | Node::Neg(_) => {}
            Node::Add(x, y) => assert!(x <= y && !constants.contains(&KoalaBear::ZERO)),
            Node::Sub(x, y) => assert!(x != y && !constants.contains(&KoalaBear::ZERO)),
            Node::Mul(x, y) => {
                let trivial = [KoalaBear::ZERO, KoalaBear::ONE, KoalaBear::NEG_ONE];
                assert!(x <= y && !trivial.iter().any(|value| constants.contains(value)));
            }
        }
        let negated = |id: &usize| matches!(nodes[*id], Node::Neg(_));
        if matches!(node, Node::Add(..) | Node::Neg(_)) {
            assert!(!operands.iter().any(negated), "{node:?} takes a negation");
        }
    }
}

macro_rules! agreement {
    ($($name:ident: $air:expr, $log_height:expr;)+) => {$(
        #[test]
        fn $name() {
            let air = $air;
            agrees::<KoalaBear4, _>(&air, $log_height);
            agrees::<KoalaBear5, _>(&air, $log_height);
            assert_eq!(
                lower::<KoalaBear4, _>(&air, $log_height),
                lower::<KoalaBear5, _>(&air, $log_height),
                "a graph depends on no extension"
            );
        }
    )+};
}

agreement! {
    keccak: KeccakAir {}, 5;
    poseidon2_width_16: poseidon2(), 5;
    blake3: Blake3Air {}, 5;
    keccak_machine_permutations: KeccakTable::Permutation, LOG_HEIGHTS[0];
    keccak_machine_sponge: KeccakTable::Sponge, LOG_HEIGHTS[0];
    all_kinds_of_lookups: Talkative, TALKATIVE_LOG_HEIGHT;
    periodic_columns: Periodic, 4;
}

/// The AIR for lookups holds what it is meant to test.
#[test]
fn every_kind_of_input_is_tested() {
    let lookups = lookups::<KoalaBear5, _>(&Talkative, TALKATIVE_LOG_HEIGHT);
    assert!(lookups.iter().any(|lookup| lookup.flags.is_some()));
    assert!(lookups.iter().any(|lookup| lookup.elements.len() > 1));
    let mut kinds = HashSet::new();
    for graph in [
        lower::<KoalaBear5, _>(&Talkative, TALKATIVE_LOG_HEIGHT),
        lower::<KoalaBear5, _>(&Periodic, 4),
    ] {
        for node in graph.nodes() {
            if let Node::Input(input) = node {
                let next = match input {
                    Input::Main { next, .. }
                    | Input::Preprocessed { next, .. }
                    | Input::Permutation { next, .. } => *next,
                    _ => false,
                };
                kinds.insert((std::mem::discriminant(input), next));
            }
        }
    }
    assert_eq!(kinds.len(), 13, "ten kinds, three of them on two rows");
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0..64_usize;
    let pair = (index.clone(), index.clone());
    prop_oneof![
        pair.clone().prop_map(|(x, y)| Step::Add(x, y)),
        pair.clone().prop_map(|(x, y)| Step::Sub(x, y)),
        index.prop_map(Step::Neg),
        pair.prop_map(|(x, y)| Step::Mul(x, y)),
    ]
}

proptest! {
    /// Whatever an AIR computes. p3 counts degrees, which at most double in a step, in 64 bits.
    #[test]
    fn any_program(steps in prop::collection::vec(step(), 1..48), seed: u64) {
        let program = Program(steps);
        let graph = Graph::lower::<KoalaBear5, _>(&program, &[]).unwrap();
        assert_well_formed(&graph);
        prop_assert_eq!(graph.constraints().len(), program.0.len());
        let openings = Openings::<KoalaBear5>::random(graph.layout(), seed);
        let folded = graph.evaluate_folded(&openings.alpha, |input| openings.get(input));
        prop_assert_eq!(folded, openings.folded_by_p3(&program, &[]));
    }
}

/// A shared subtree is lowered once: this one has 2^60 leaves.
#[test]
fn sharing_is_kept() {
    let steps = (6..66).map(|last| Step::Add(last, last)).collect();
    let graph = Graph::lower::<KoalaBear5, _>(&Program(steps), &[]).unwrap();
    assert_eq!((graph.nodes().len(), graph.counts().depth), (61, 60));
    let values = graph.evaluate(|_| KoalaBear::ONE);
    assert_eq!(values[59], KoalaBear::TWO.exp_u64(60));
}

/// A deep expression needs no deep stack, neither to lower nor to drop.
#[test]
fn a_long_chain_does_not_overflow() {
    let length = 200_000;
    let lowering = move || Graph::lower::<KoalaBear5, _>(&Chain(length), &[]).unwrap();
    let thread = std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(lowering);
    let graph = thread.unwrap().join().unwrap();
    assert_eq!(graph.counts().depth, 2 * length);
}

/// A single constraint: Horner's rule over so many terms.
struct Chain(usize);

impl BaseAir<KoalaBear> for Chain {
    fn width(&self) -> usize {
        2
    }
}

impl<AB: AirBuilder<F = KoalaBear>> Air<AB> for Chain {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let [x, y]: [AB::Expr; 2] = std::array::from_fn(|i| main.current(i).unwrap().into());
        let horner = |sum: AB::Expr, _| sum * x.clone() + y.clone();
        builder.assert_zero((0..self.0).fold(y.clone(), horner));
    }
}

/// The table in the module's documentation.
#[test]
fn the_documented_counts_are_the_counted_ones() {
    let graphs = [
        (
            "Keccak-f",
            lower::<KoalaBear5, _>(&KeccakTable::Permutation, LOG_HEIGHTS[0]),
        ),
        (
            "sponge",
            lower::<KoalaBear5, _>(&KeccakTable::Sponge, LOG_HEIGHTS[0]),
        ),
        ("Poseidon2", lower::<KoalaBear5, _>(&poseidon2(), 5)),
    ];
    let mut table = String::new();
    for (name, graph) in graphs {
        let c = graph.counts();
        writeln!(
            table,
            "//! | {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            c.constraints,
            c.inputs,
            c.constants,
            c.adds,
            c.subs,
            c.negs,
            c.muls,
            c.scalings,
            c.depth
        )
        .unwrap();
    }
    let docs = include_str!("../../src/constraints/mod.rs");
    assert!(docs.contains(&table), "the table should be\n{table}");
}
