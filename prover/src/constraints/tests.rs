//! Simplification, and that every node counts.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_lookup::Lookups;
use starkwright_hal::KoalaBear5;

use super::node::Arena;
use super::{ConstraintGraph, Input, Node, NodeId};
use crate::machine::keccak::KeccakTable;

type F = KoalaBear;

fn arena() -> (Arena<F>, [NodeId; 5]) {
    let mut arena = Arena::new();
    let ids = [
        arena.constant(F::ZERO),
        arena.constant(F::ONE),
        arena.constant(F::NEG_ONE),
        arena.input(Input::Public(0)),
        arena.input(Input::Public(1)),
    ];
    (arena, ids.map(Result::unwrap))
}

#[test]
fn trivial_operations_are_no_nodes() {
    let (mut arena, [zero, one, minus_one, x, y]) = arena();
    let minus_x = arena.neg(x).unwrap();
    let difference = arena.sub(y, x).unwrap();
    let sum = arena.add(x, y).unwrap();
    let trivial = [
        (arena.add(x, zero), x),
        (arena.add(zero, x), x),
        (arena.add(one, minus_one), zero),
        (arena.add(y, minus_x), difference),
        (arena.add(minus_x, y), difference),
        (arena.sub(x, zero), x),
        (arena.sub(zero, x), minus_x),
        (arena.sub(x, x), zero),
        (arena.sub(one, one), zero),
        (arena.sub(y, minus_x), sum),
        (arena.neg(minus_x), x),
        (arena.neg(one), minus_one),
        (arena.mul(x, zero), zero),
        (arena.mul(zero, x), zero),
        (arena.mul(x, one), x),
        (arena.mul(one, x), x),
        (arena.mul(minus_one, x), minus_x),
        (arena.mul(x, minus_one), minus_x),
        (arena.mul(minus_one, minus_one), one),
    ];
    for (index, (got, expected)) in trivial.into_iter().enumerate() {
        assert_eq!(got, Ok(expected), "number {index}");
    }
}

#[test]
fn equal_nodes_are_one() {
    let (mut arena, [_, _, _, x, y]) = arena();
    assert_eq!(arena.add(x, y), arena.add(y, x));
    assert_eq!(arena.mul(x, y), arena.mul(y, x));
    assert_ne!(arena.sub(x, y), arena.sub(y, x));
    assert_ne!(arena.add(x, y), arena.mul(x, y));
    assert_eq!(arena.input(Input::Public(0)), Ok(x));
}

#[test]
fn doublings_stay() {
    let (mut arena, [.., x, _]) = arena();
    let two = arena.constant(F::TWO).unwrap();
    let (sum, product) = (arena.add(x, x).unwrap(), arena.mul(x, two).unwrap());
    let (nodes, roots) = arena.needed_by(vec![sum, product, sum]);
    assert_eq!(nodes.len(), 4, "{nodes:?}");
    assert!(matches!(nodes[roots[0].index()], Node::Add(x, y) if x == y));
    assert!(matches!(nodes[roots[1].index()], Node::Mul(..)));
    assert_eq!(roots[0], roots[2]);
}

/// An arbitrary value for each input.
fn value(input: Input) -> F {
    let number = match input {
        Input::Main { column, next } => 4 * column + 2 * usize::from(next),
        Input::Preprocessed { column, next } => 4001 * column + usize::from(next),
        Input::Permutation { column, next } => 4003 * column + usize::from(next) + 11,
        Input::Periodic(index) | Input::Public(index) => 4005 * index + 3,
        Input::Challenge(index) => 4007 * index + 5,
        Input::Terminal(index) => 4009 * index + 7,
        Input::IsFirstRow => 1009,
        Input::IsLastRow => 2003,
        Input::IsTransition => 3001,
    };
    F::from_usize(number + 1).exp_u64(5)
}

/// Every constant and every operation of the machine's tables matters to the folded value.
#[test]
fn no_node_can_change_unnoticed() {
    let table = KeccakTable::Sponge;
    let lookups = Lookups::from_air::<KoalaBear5, _>(&table);
    let graph = ConstraintGraph::<F>::lower::<KoalaBear5, _>(&table, &lookups).unwrap();
    let alpha = F::from_u32(123_456_789);
    let folded = graph.evaluate_folded(&alpha, value);
    for index in 0..graph.nodes.len() {
        let mut changed = graph.clone();
        changed.nodes[index] = match changed.nodes[index] {
            Node::Constant(value) => Node::Constant(value + F::ONE),
            Node::Input(Input::IsTransition) => Node::Input(Input::IsLastRow),
            Node::Input(_) => Node::Input(Input::IsTransition),
            Node::Add(x, y) => Node::Sub(x, y),
            Node::Sub(x, y) => Node::Add(x, y),
            Node::Neg(x) => Node::Add(x, x),
            Node::Mul(x, y) => Node::Add(x, y),
        };
        let what = graph.nodes[index];
        assert_ne!(changed.evaluate_folded(&alpha, value), folded, "{what:?}");
    }
}
