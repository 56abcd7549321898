//! Circuits of statements alone, run on given words: for tests.

use p3_air::BaseAir;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Extension, KoalaBear4};
use starkwright_prover::machine::check::{TableWitness, check_tables};

use crate::circuit::layout::CELL_WORDS;
use crate::circuit::{Builder, Circuit, Octet};
use crate::statement::Digest;

/// A circuit of `2^log_height` rows that publishes one digest.
pub(in crate::node) fn circuit(
    log_height: usize,
    write: impl FnOnce(&mut Builder) -> Octet,
) -> Circuit {
    let mut builder = Builder::new(KoalaBear4::RULE, &[]);
    let digest = write(&mut builder);
    builder.publish(digest);
    builder.compile(log_height).unwrap()
}

/// Runs a circuit.
pub(in crate::node) struct Run<'a>(pub(in crate::node) &'a Circuit);

impl Run<'_> {
    /// The digest that the circuit publishes for these words, or the constraint or bus that they break.
    pub(in crate::node) fn on(&self, words: &[KoalaBear]) -> Result<Digest, String> {
        let circuit = self.0;
        let assignment = circuit.assign::<KoalaBear4>(words).unwrap();
        let preprocessed = circuit.air().preprocessed_trace();
        let table = TableWitness {
            air: circuit.air(),
            preprocessed: preprocessed.as_ref(),
            trace: &assignment.trace,
            public_values: &assignment.public_values,
        };
        check_tables(&[table]).map_err(|violation| violation.to_string())?;
        let mut digest = Digest::default();
        digest.copy_from_slice(&assignment.public_values[..CELL_WORDS]);
        Ok(digest)
    }
}
