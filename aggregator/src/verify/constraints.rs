//! Constraints at the out-of-domain point: an AIR's expression graph as gates.
//!
//! A gate adds three multiples, or a product of two affine terms and a third. So a product or a sum that only one other
//! node uses waits for that node, and both become one gate.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_prover::constraints::{ConstraintGraph, Input, Node};

use crate::circuit::{Builder, Ext, Gate};

/// `c x + k`; a constant without `x`.
#[derive(Clone, Copy, Debug)]
struct Affine {
    x: Option<(KoalaBear, Ext)>,
    k: KoalaBear,
}

/// What is known of a node.
#[derive(Clone, Copy, Debug)]
enum Value {
    Affine(Affine),
    /// A sum that waits for a third term.
    Sum([(KoalaBear, Ext); 2], KoalaBear),
    /// A product, times a constant, that waits for a term.
    Product(KoalaBear, Affine, Affine),
}

const ZERO: KoalaBear = KoalaBear::ZERO;
const ONE: KoalaBear = KoalaBear::ONE;

fn constant(k: KoalaBear) -> Affine {
    Affine { x: None, k }
}

fn element(x: Ext) -> Affine {
    Affine {
        x: Some((ONE, x)),
        k: ZERO,
    }
}

impl Affine {
    fn scaled(self, by: KoalaBear) -> Self {
        Self {
            x: self.x.map(|(c, x)| (c * by, x)),
            k: self.k * by,
        }
    }
}

impl Value {
    fn scaled(self, by: KoalaBear) -> Self {
        match self {
            Self::Affine(affine) => Self::Affine(affine.scaled(by)),
            Self::Sum([(a, x), (b, y)], k) => Self::Sum([(a * by, x), (b * by, y)], k * by),
            Self::Product(c, x, y) => Self::Product(c * by, x, y),
        }
    }
}

/// The value folded with powers of `alpha` of all constraints, as the verifier of p3-batch-stark folds them.
pub(super) fn fold_constraints(
    builder: &mut Builder,
    graph: &ConstraintGraph<KoalaBear>,
    alpha: Ext,
    mut input: impl FnMut(&mut Builder, Input) -> Ext,
) -> Ext {
    let mut uses = vec![0_u32; graph.nodes().len()];
    for node in graph.nodes() {
        for operand in node.operands() {
            uses[operand.index()] += 1;
        }
    }
    for constraint in graph.constraints() {
        uses[constraint.index()] += 1;
    }
    let mut values: Vec<Value> = Vec::with_capacity(graph.nodes().len());
    for (node, &uses) in graph.nodes().iter().zip(&uses) {
        let value = match *node {
            Node::Constant(k) => Value::Affine(constant(k)),
            Node::Input(asked) => Value::Affine(element(input(builder, asked))),
            Node::Neg(x) => values[x.index()].scaled(-ONE),
            Node::Add(x, y) => add(builder, values[x.index()], values[y.index()]),
            Node::Sub(x, y) => add(builder, values[x.index()], values[y.index()].scaled(-ONE)),
            Node::Mul(x, y) => {
                let [x, y] = [x, y].map(|operand| affine(builder, values[operand.index()]));
                multiply(x, y)
            }
        };
        // What several nodes use is computed once.
        values.push(if uses > 1 {
            Value::Affine(affine(builder, value))
        } else {
            value
        });
    }
    let mut folded: Option<Ext> = None;
    for constraint in graph.constraints() {
        let next = affine(builder, values[constraint.index()]);
        folded = Some(match folded {
            None => materialise(builder, next),
            Some(sum) => {
                let (lb, b) = next.x.unwrap_or((ZERO, sum));
                let gate = Gate {
                    qa: ONE,
                    lb,
                    k: next.k,
                    ..Gate::default()
                };
                builder.gate(gate, sum, b, alpha)
            }
        });
    }
    folded.unwrap_or_else(|| builder.constant(ZERO))
}

fn multiply(x: Affine, y: Affine) -> Value {
    match (x.x, y.x) {
        (None, _) => Value::Affine(y.scaled(x.k)),
        (_, None) => Value::Affine(x.scaled(y.k)),
        _ => Value::Product(ONE, x, y),
    }
}

fn add(builder: &mut Builder, x: Value, y: Value) -> Value {
    match (x, y) {
        (Value::Affine(x), Value::Affine(y)) => match (x.x, y.x) {
            (Some(a), Some(b)) => Value::Sum([a, b], x.k + y.k),
            _ => Value::Affine(Affine {
                x: x.x.or(y.x),
                k: x.k + y.k,
            }),
        },
        (Value::Affine(term), Value::Sum([a, b], k))
        | (Value::Sum([a, b], k), Value::Affine(term)) => match term.x {
            None => Value::Sum([a, b], k + term.k),
            Some(c) => Value::Affine(element(builder.linear([a, b, c], k + term.k))),
        },
        (Value::Affine(term), Value::Product(c, a, d))
        | (Value::Product(c, a, d), Value::Affine(term)) => {
            Value::Affine(element(product(builder, c, a, d, term)))
        }
        // Two that wait: the first does not.
        (x, y) => {
            let x = Value::Affine(affine(builder, x));
            add(builder, x, y)
        }
    }
}

/// `c a d + b`.
fn product(builder: &mut Builder, c: KoalaBear, a: Affine, d: Affine, b: Affine) -> Ext {
    let (Some((ca, xa)), Some((cd, xd))) = (a.x, d.x) else {
        // Not reached: products of constants are no products.
        return materialise(builder, b);
    };
    let (lb, xb) = b.x.unwrap_or((ZERO, xa));
    let gate = Gate {
        qa: c * ca * cd,
        la: c * ca * d.k,
        ld: c * a.k * cd,
        lb,
        k: c * a.k * d.k + b.k,
        ..Gate::default()
    };
    builder.gate(gate, xa, xb, xd)
}

fn affine(builder: &mut Builder, value: Value) -> Affine {
    match value {
        Value::Affine(affine) => affine,
        Value::Sum([a, b], k) => element(builder.linear([a, b, (ZERO, a.1)], k)),
        Value::Product(c, a, d) => element(product(builder, c, a, d, constant(ZERO))),
    }
}

fn materialise(builder: &mut Builder, affine: Affine) -> Ext {
    match affine.x {
        None => builder.constant(affine.k),
        Some((c, x)) if c == ONE && affine.k == ZERO => x,
        Some((c, x)) => builder.linear([(c, x), (ZERO, x), (ZERO, x)], affine.k),
    }
}
