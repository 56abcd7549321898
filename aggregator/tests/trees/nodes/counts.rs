//! The final proof does not show how many leaves it is of, but in its statement: the same key, the same shape, the same number
//! of opened values. Only the siblings of pruned paths vary, with the places of the queries.
//!
//! How much that is with as many queries as a profile has, `finals.rs` measures.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// What is left of a proof without its values: lists by their lengths, but for siblings.
fn shape_of(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(shape_of).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "sibling_hashes")
            .map(|(name, field)| (name.clone(), shape_of(field)))
            .collect(),
        _ => Value::Null,
    }
}

fn siblings(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(siblings).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| match (name.as_str(), field) {
                ("sibling_hashes", Value::Array(digests)) => digests.len(),
                _ => siblings(field),
            })
            .sum(),
        _ => 0,
    }
}

/// What final proofs have been like so far.
#[derive(Default)]
pub(crate) struct Finals {
    /// Shapes of a root, its seal and its wrap, and their bytes without siblings.
    seen: BTreeSet<(String, [usize; 3])>,
}

impl Finals {
    /// Takes a root, whose key is the join's, and seals and wraps it.
    pub(crate) fn add(&mut self, world: &World, root: &Node) {
        world.verifies(world.join_key(), root);
        let seal = world.circuits.seal().unwrap();
        let wrap = world.circuits.wrap().unwrap();
        let top = (world.join_key(), root);
        let sealed = seal.prove(top, world.allowed()).unwrap();
        let wrapped = wrap.prove(&seal, &sealed).unwrap();
        let verifier = world.verifiers.wrap::<E>(world.circuits.keys()).unwrap();
        wrapped.verify(&verifier).unwrap();

        let profile = Profile::Conjectured100;
        let shape = world.verifiers.wrap_shape::<E>().unwrap();
        let node = |node| NodeFile::of_node(profile, Kind::Join, node).unwrap();
        let files = [
            node(root),
            node(&sealed),
            NodeFile::of_wrap(profile, &shape, &wrapped).unwrap(),
        ];
        let proofs = [
            serde_json::to_value(&root.proof).unwrap(),
            serde_json::to_value(&sealed.proof).unwrap(),
            serde_json::to_value(&wrapped.proof).unwrap(),
        ];
        let bytes = core::array::from_fn(|i| files[i].proof_bytes() - 32 * siblings(&proofs[i]));
        assert_eq!(
            bytes[2],
            shape.fixed_bytes() + 4 * (4 + shape.log_arities.len())
        );
        assert!(files[2].proof_bytes() <= shape.max_bytes());
        let shapes: Vec<Value> = proofs.iter().map(shape_of).collect();
        let shapes = serde_json::to_string(&shapes).unwrap();
        self.seen.insert((shapes, bytes));
    }

    /// Asserts that all were alike.
    pub(crate) fn agree(&self) {
        assert_eq!(self.seen.len(), 1, "{:?}", self.seen);
    }
}
