//! Every path in a proof's type tree, at its first, middle and last index: each number another one and p − 1, each list one
//! longer and one shorter. What still is a proof goes to p3 and, as it is, into the circuit.
//!
//! A refusal counts for the circuit only where a constraint or the memory says it; what never reaches it is counted apart.
//! Much does not: another transcript asks for other rows than a pruned opening holds. So the words that the circuit reads, with
//! full paths, are changed one by one too.

use p3_field::PrimeField32;
use serde_json::Value;
use starkwright_hal::{KoalaBear4, KoalaBear5};

use super::*;
use crate::machine::prove;

/// A way to a value inside of another.
type Path = Vec<Step>;

#[derive(Clone, Debug)]
enum Step {
    Member(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Another,
    Largest,
    Longer,
    Shorter,
}

fn paths(value: &Value, here: &mut Path, found: &mut Vec<(Path, Change)>) {
    match value {
        Value::Number(_) => {
            found.extend([Change::Another, Change::Largest].map(|change| (here.clone(), change)));
        }
        Value::Array(list) => {
            found.extend([Change::Longer, Change::Shorter].map(|change| (here.clone(), change)));
            let mut places = vec![0, list.len() / 2, list.len().saturating_sub(1)];
            places.dedup();
            for place in places.into_iter().filter(|&place| place < list.len()) {
                here.push(Step::Index(place));
                paths(&list[place], here, found);
                here.pop();
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                here.push(Step::Member(name.clone()));
                paths(member, here, found);
                here.pop();
            }
        }
        _ => {}
    }
}

/// The value with one change, where the change is one.
fn changed(value: &Value, path: &Path, change: Change) -> Option<Value> {
    let mut copy = value.clone();
    let mut at = &mut copy;
    for step in path {
        at = match step {
            Step::Member(name) => at.get_mut(name)?,
            Step::Index(index) => at.get_mut(index)?,
        };
    }
    let p = u64::from(Val::ORDER_U32);
    match (change, &mut *at) {
        (Change::Another, Value::Number(number)) => *at = ((number.as_u64()? + 1) % p).into(),
        (Change::Largest, Value::Number(_)) => *at = (p - 1).into(),
        (Change::Longer, Value::Array(list)) => {
            let last = list.last()?.clone();
            list.push(last);
        }
        (Change::Shorter, Value::Array(list)) => {
            list.pop()?;
        }
        _ => return None,
    }
    (copy != *value).then_some(copy)
}

fn mutated<E: Extension<Val>>()
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let mut proven = prove::<E>(1);
    let verifier = Verifier::new(&proven, 13);
    let honest = serde_json::to_value(&proven.proof).unwrap();
    let mut all = Vec::new();
    paths(&honest, &mut Vec::new(), &mut all);
    let (mut tried, mut no_proof, mut no_shape, mut circuit) = (0, 0, 0, 0);
    for (path, change) in &all {
        let Some(value) = changed(&honest, path, *change) else {
            continue;
        };
        tried += 1;
        let Ok(proof) = serde_json::from_value(value) else {
            no_proof += 1;
            continue;
        };
        proven.proof = proof;
        assert!(
            proven.verify_natively().is_err(),
            "p3 accepts {change:?} at {path:?}"
        );
        match verifier.judge(&proven) {
            Err(Refusal::Host(_)) => no_shape += 1,
            Err(Refusal::Circuit(_)) => circuit += 1,
            Ok(()) => panic!("the circuit accepts {change:?} at {path:?}"),
        }
    }
    println!(
        "{} changes, {tried} tried: {circuit} refused by the circuit, {no_shape} of another shape, {no_proof} no proof",
        all.len()
    );
    assert!(circuit > 100, "{circuit} reach the circuit");
}

#[test]
fn no_change_of_a_proof_is_accepted_in_degree_4() {
    mutated::<KoalaBear4>();
}

#[test]
fn no_change_of_a_proof_is_accepted_in_degree_5() {
    mutated::<KoalaBear5>();
}

/// The words of an honest proof, full paths, with one word changed: whatever the transcript then asks for.
pub(crate) struct Replayed<'a> {
    pub(crate) parts: &'a [Vec<Val>],
    pub(crate) change: Option<(usize, usize, Val)>,
}

impl Source for Replayed<'_> {
    fn part(&mut self, part: usize, _: &[[Val; 8]]) -> Result<Vec<Val>, AggregatorError> {
        let mut words = self.parts[part].clone();
        if let Some((changed, at, value)) = self.change
            && changed == part
        {
            words[at] = value;
        }
        Ok(words)
    }
}

/// Notes every part that another source gives.
struct Recorded<S> {
    source: S,
    parts: Vec<Vec<Val>>,
}

/// The parts of an honest proof's words.
pub(crate) fn parts_of<E: Extension<Val>>(
    verifier: &Verifier,
    proven: &Proven<E>,
) -> Vec<Vec<Val>> {
    let mut recorded = Recorded {
        source: Words {
            verifier,
            proven,
            words: ProofWords::new(&verifier.shape, &proven.proof),
        },
        parts: Vec::new(),
    };
    verifier.circuit.assign::<E>(&mut recorded).unwrap();
    recorded.parts
}

impl<S: Source> Source for &mut Recorded<S> {
    fn part(&mut self, part: usize, known: &[[Val; 8]]) -> Result<Vec<Val>, AggregatorError> {
        let words = self.source.part(part, known)?;
        self.parts
            .resize(self.parts.len().max(part + 1), Vec::new());
        self.parts[part].clone_from(&words);
        Ok(words)
    }
}

/// Every `stride`-th word of the circuit's input, another one and p − 1: here nothing but the circuit refuses.
fn words<E: Extension<Val>>(stride: usize)
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let proven = prove::<E>(1);
    let verifier = Verifier::new(&proven, 13);
    let parts = parts_of(&verifier, &proven);
    let judge = |change| {
        let source = Replayed {
            parts: &parts,
            change,
        };
        let assignment = verifier.circuit.assign::<E>(source).unwrap();
        verifier.evaluate(&assignment)
    };
    judge(None).unwrap();
    let places = parts
        .iter()
        .enumerate()
        .flat_map(|(part, words)| (0..words.len()).map(move |at| (part, at)));
    let mut tried = 0;
    for (part, at) in places.skip(stride / 2).step_by(stride) {
        let honest = parts[part][at];
        for value in [honest + Val::ONE, Val::NEG_ONE] {
            if value != honest {
                tried += 1;
                assert!(
                    judge(Some((part, at, value))).is_err(),
                    "word {at} of part {part} may be {value}"
                );
            }
        }
    }
    println!("{tried} changes of words");
}

/// A sample, or all where there is time.
fn stride() -> usize {
    match std::env::var_os("STARKWRIGHT_LONG") {
        Some(_) => 1,
        None => 29,
    }
}

#[test]
fn no_word_of_a_proof_is_free_in_degree_4() {
    words::<KoalaBear4>(stride());
}

#[test]
fn no_word_of_a_proof_is_free_in_degree_5() {
    words::<KoalaBear5>(stride());
}
