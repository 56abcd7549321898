//! Rows of every circuit of a tree, by part, and the security of their proofs; with `--prove`, what they cost.
//!
//! ```text
//! cargo run --release -p starkwright-aggregator --example circuits [-- --prove]
//! ```

use std::error::Error;
use std::time::Instant;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_aggregator::circuit::{Circuit, CircuitAir};
use starkwright_aggregator::node::{AllowedKeys, Join, Lift, Shrink, Uniform};
use starkwright_hal::{Cpu, Extension, KoalaBear4, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchProver;
use starkwright_prover::security::{Arithmetic, CommitmentHash, TableShape, rate};

type F = KoalaBear;

fn main() -> Result<(), Box<dyn Error>> {
    let prove = std::env::args().any(|argument| argument == "--prove");
    tree::<KoalaBear4>(Profile::Conjectured100, (16, 14), prove)?;
    tree::<KoalaBear5>(Profile::Proven100, (17, 15), prove)
}

fn report(name: &str, circuit: &Circuit) {
    println!(
        "{name}: 2^{} rows, {:?}",
        circuit.log_height(),
        circuit.cost()
    );
    for (section, cost) in circuit.sections() {
        println!("    {section:16} {cost:?}");
    }
}

fn security<E>(profile: Profile, air: &CircuitAir, log_height: usize) -> Result<(), Box<dyn Error>>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let shape = TableShape::from_air::<F, E, _>(air, log_height);
    let arithmetic = Arithmetic::new::<F>(CommitmentHash::Poseidon2);
    let (analysis, margin) = (profile.analysis(), profile.margin_bits());
    let security = rate(&profile.node(), analysis, margin, &arithmetic, &[shape])?;
    println!(
        "    {shape:?}\n    {:.2} bits, limited by {}",
        security.bits, security.binding_term
    );
    Ok(())
}

fn timed<R>(
    what: &str,
    run: impl FnOnce() -> Result<R, starkwright_aggregator::AggregatorError>,
) -> Result<R, Box<dyn Error>> {
    let start = Instant::now();
    let result = run()?;
    println!("    {what}: {:.2} s", start.elapsed().as_secs_f64());
    Ok(result)
}

fn tree<E>(
    profile: Profile,
    (log_lift, log_uniform): (usize, usize),
    prove: bool,
) -> Result<(), Box<dyn Error>>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
{
    println!("{profile}");
    let device = Cpu::<F>::new();
    let (leaf, node) = (profile.leaf(), profile.node());
    let shape = SegmentShape::from_capacity(85).ok_or("no shape")?;
    let lift = timed("set up lift", || {
        Lift::<E, _>::setup(&device, (shape.log_height(), &leaf), (log_lift, &node))
    })?;
    report("lift", lift.node().circuit());
    security::<E>(profile, lift.node().circuit().air(), log_lift)?;
    let uniform = Uniform::new::<E>(log_uniform, &node, lift.tails())?;
    let shrink = timed("set up shrink", || {
        Shrink::setup(&device, lift.node(), &node, &uniform)
    })?;
    report("shrink", shrink.node().circuit());
    let join = timed("set up join", || Join::setup(&device, &uniform))?;
    report("join", join.node().circuit());
    security::<E>(profile, join.node().circuit().air(), log_uniform)?;
    if !prove {
        return Ok(());
    }
    let keys = [shrink.node().key().clone(), join.node().key().clone()];
    let allowed = AllowedKeys::new(&keys).ok_or("too many keys")?;
    let file = vec![7u8; 2 * 85 * 136 - 9];
    let segments: Vec<_> =
        Segmenter::new(file.as_slice(), shape, [0; 8]).collect::<Result<_, _>>()?;
    let heights = vec![shape.log_height(); 2];
    let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
        &device,
        &leaf,
        KeccakMachine::tables(),
        heights,
    )?;
    let mut nodes = Vec::new();
    for segment in &segments {
        let trace = SegmentTrace::<F>::generate(segment)?;
        let proof = prover.prove(
            &[&trace.permutation, &trace.sponge],
            &[Vec::new(), trace.public_values],
        )?;
        let lifted = timed("lift", || {
            lift.prove(&segment.statement, &proof, &allowed.root())
        })?;
        lift.node()
            .verifier()
            .verify(&lifted.proof, &[lifted.public_values()])?;
        let shrunk = timed("shrink", || shrink.prove(lift.node(), &lifted))?;
        shrink
            .node()
            .verifier()
            .verify(&shrunk.proof, &[shrunk.public_values()])?;
        nodes.push(shrunk);
    }
    let key = shrink.node().key();
    for _ in 0..3 {
        let joined = timed("join", || {
            join.prove((key, &nodes[0]), Some((key, &nodes[1])), &allowed)
        })?;
        join.node()
            .verifier()
            .verify(&joined.proof, &[joined.public_values()])?;
    }
    Ok(())
}
