//! The verifier circuit against p3's verifier, on small proofs at tiny parameters that exist only here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod deleted;
mod deletion;
mod machine;
mod mutations;

use std::time::Instant;

use p3_air::BaseAir;
use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::circuit::{Assignment, Builder, Circuit, Source};
use starkwright_aggregator::verify::{ProofParts, ProofShape, ProofWords, verify};
use starkwright_hal::{Extension, KoalaBear4, KoalaBear5};
use starkwright_prover::machine::check::{TableWitness, Violation, check_tables};

use machine::{Proven, Val, prove};

/// A circuit that verifies one proof, whose preprocessed commitment and public values are its input.
struct Verifier {
    circuit: Circuit,
    shape: ProofShape,
    parts: ProofParts,
}

impl Verifier {
    fn new<E: Extension<Val>>(proven: &Proven<E>, log_height: usize) -> Self
    where
        SymbolicExpressionExt<Val, E>: Algebra<E>,
    {
        let shape = proven.shape();
        let mut builder = Builder::new(E::RULE, &shape.tails());
        let cap = builder.input_cap(proven.preprocessed.len());
        let values = proven.public_values[0].len();
        let words: Vec<_> = (0..values.div_ceil(8))
            .flat_map(|_| builder.input_words().0)
            .collect();
        let parts = verify(
            &mut builder,
            &shape,
            0,
            &[words[..values].to_vec()],
            Some(&cap),
        );
        let statement = cap[0].1;
        builder.publish(statement);
        println!("{:?}: {:?}", builder.cost(), builder.sections());
        let circuit = builder.compile(log_height).unwrap();
        Self {
            circuit,
            shape,
            parts,
        }
    }

    fn check<E: Extension<Val>>(&self, proven: &Proven<E>) -> Result<(), String> {
        self.judge(proven).map_err(|refusal| match refusal {
            Refusal::Host(error) => error.to_string(),
            Refusal::Circuit(violation) => violation.to_string(),
        })
    }

    fn judge<E: Extension<Val>>(&self, proven: &Proven<E>) -> Result<(), Refusal> {
        let source = Words {
            verifier: self,
            proven,
            words: ProofWords::new(&self.shape, &proven.proof),
        };
        let assignment = self.circuit.assign::<E>(source).map_err(Refusal::Host)?;
        self.evaluate(&assignment).map_err(Refusal::Circuit)
    }

    fn evaluate(&self, assignment: &Assignment) -> Result<(), Violation> {
        let preprocessed = self.circuit.air().preprocessed_trace();
        let table = TableWitness {
            air: self.circuit.air(),
            preprocessed: preprocessed.as_ref(),
            trace: &assignment.trace,
            public_values: &assignment.public_values,
        };
        check_tables::<Val, _>(&[table])
    }
}

/// Who refuses a proof.
#[derive(Debug)]
enum Refusal {
    /// It has not the declared shape, so the circuit never sees it.
    Host(AggregatorError),
    /// A constraint, or the memory.
    Circuit(Violation),
}

struct Words<'a, E: Extension<Val>> {
    verifier: &'a Verifier,
    proven: &'a Proven<E>,
    words: ProofWords<'a, E>,
}

impl<E: Extension<Val>> Source for Words<'_, E> {
    fn part(&mut self, part: usize, known: &[[Val; 8]]) -> Result<Vec<Val>, AggregatorError> {
        if part >= self.verifier.parts.first {
            return self.words.part(part - self.verifier.parts.first, known);
        }
        let mut words: Vec<Val> = self.proven.preprocessed.iter().flatten().copied().collect();
        words.extend(&self.proven.public_values[0]);
        words.resize(words.len().next_multiple_of(8), Val::ZERO);
        Ok(words)
    }
}

fn accepts<E: Extension<Val>>()
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    for cap_height in [0, 2] {
        let proven = prove::<E>(cap_height);
        proven.verify_natively().unwrap();
        let start = Instant::now();
        let verifier = Verifier::new(&proven, 13);
        println!("built in {:?}", start.elapsed());
        verifier.check(&proven).unwrap();
    }
}

#[test]
fn accepts_what_p3_accepts() {
    accepts::<KoalaBear4>();
    accepts::<KoalaBear5>();
}

#[test]
fn notices_every_wrong_public_value() {
    let proven = prove::<KoalaBear5>(1);
    let verifier = Verifier::new(&proven, 13);
    verifier.check(&proven).unwrap();
    for value in [0, 7, 8, 50] {
        let mut wrong = prove::<KoalaBear5>(1);
        wrong.public_values[0][value] += KoalaBear::ONE;
        assert!(wrong.verify_natively().is_err());
        verifier.check(&wrong).unwrap_err();
    }
}
