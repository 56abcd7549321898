//! A machine to verify: a small circuit's own table, which has preprocessed columns, lookups of every kind, public values
//! and a next row.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use starkwright_aggregator::circuit::{Builder, Circuit};
use starkwright_aggregator::verify::ProofShape;
use starkwright_hal::{Cpu, Extension, Poseidon2Merkle};
use starkwright_prover::ProverError;
use starkwright_prover::challenger::Protocol;
use starkwright_prover::profile::LeafParameters;
use starkwright_prover::prove::{BatchProver, BatchVerifier, StockBatchProof};

pub(crate) type Val = KoalaBear;

const LOG_HEIGHT: usize = 5;

fn parameters(degree: usize, cap_height: usize) -> LeafParameters {
    LeafParameters {
        extension_degree: degree,
        log_blowup: 1,
        num_queries: 3,
        log_final_poly_len: 1,
        max_log_arity: 2,
        cap_height,
        lookup_pow_bits: 7,
        ood_pow_bits: 0,
        batch_pow_bits: 8,
        commit_pow_bits: 7,
        query_pow_bits: 8,
    }
}

pub(crate) struct Proven<E: Extension<Val>>
where
    Poseidon2Merkle: Protocol<Val, E>,
{
    circuit: Circuit,
    parameters: LeafParameters,
    pub(crate) proof: StockBatchProof<Val, E, Poseidon2Merkle>,
    pub(crate) public_values: Vec<Vec<Val>>,
    pub(crate) preprocessed: Vec<[Val; 8]>,
}

fn circuit<E: Extension<Val>>() -> Circuit {
    let mut builder = Builder::new(E::RULE, &[]);
    let (words, octet) = builder.input_words();
    let (elements, octets) = builder.input_elements(3);
    let product = builder.mul_add(elements[0], elements[1], elements[2]);
    let digest = builder.hash_cells(&octets);
    builder.spell(digest);
    builder.decompose(words[3], Vec::new());
    builder.set_challenge(0, product);
    builder.set_challenge(1, elements[0]);
    builder.publish(octet);
    builder.compile(LOG_HEIGHT).unwrap()
}

pub(crate) fn prove<E: Extension<Val>>(cap_height: usize) -> Proven<E>
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let circuit = circuit::<E>();
    let input: Vec<Val> = (0..circuit.inputs())
        .map(|i| Val::from_usize(1000 + i * i))
        .collect();
    let assignment = circuit.assign::<E>(input.as_slice()).unwrap();
    let parameters = parameters(E::DIMENSION, cap_height);
    let device = Cpu::<Val>::new();
    let airs = vec![circuit.air().clone()];
    let prover = BatchProver::<Val, E, Poseidon2Merkle, _, _>::setup(
        &device,
        &parameters,
        airs,
        vec![LOG_HEIGHT],
    )
    .unwrap();
    let public_values = vec![assignment.public_values];
    let proof = prover.prove(&[&assignment.trace], &public_values).unwrap();
    let preprocessed = prover.preprocessed().unwrap().roots().to_vec();
    Proven {
        circuit,
        parameters,
        proof,
        public_values,
        preprocessed,
    }
}

impl<E: Extension<Val>> Proven<E>
where
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    pub(crate) fn shape(&self) -> ProofShape {
        ProofShape::new::<E, _>(
            &[self.circuit.air().clone()],
            &[LOG_HEIGHT],
            &self.parameters,
        )
        .unwrap()
    }

    pub(crate) fn verify_natively(&self) -> Result<(), ProverError> {
        let airs = vec![self.circuit.air().clone()];
        BatchVerifier::<Val, E, Poseidon2Merkle, _>::setup(
            &self.parameters,
            airs,
            vec![LOG_HEIGHT],
        )?
        .verify(&self.proof, &self.public_values)
    }
}
