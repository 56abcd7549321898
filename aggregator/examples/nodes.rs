//! What each step of a tree costs on the CPU: CPU seconds, wall seconds and bytes, medians of five.
//!
//! ```text
//! cargo run --release -p starkwright-aggregator --example nodes
//! ```

use std::error::Error;
use std::time::Instant;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use rustix::time::{ClockId, clock_gettime};
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::node::{Circuits, Layers, NodeProof, Verifiers, derive_keys};
use starkwright_aggregator::node_file::{Kind, NodeFile};
use starkwright_aggregator::statement::KeccakOpening;
use starkwright_hal::{Cpu, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchProver;

type F = KoalaBear;

const BLOCKS: usize = 1365;
const REPETITIONS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    steps::<KoalaBear5>(Profile::Proven100)?;
    steps::<KoalaBear4>(Profile::Conjectured100)
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

/// Runs a step once to warm up, then for the medians.
fn measured<R>(
    name: &str,
    mut run: impl FnMut() -> Result<R, AggregatorError>,
    bytes: impl Fn(&R) -> Result<usize, AggregatorError>,
) -> Result<R, Box<dyn Error>> {
    let mut result = run()?;
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let (start, instant) = (cpu_seconds(), Instant::now());
        result = run()?;
        cpu.push(cpu_seconds() - start);
        wall.push(instant.elapsed().as_secs_f64());
    }
    cpu.sort_by(f64::total_cmp);
    wall.sort_by(f64::total_cmp);
    println!(
        "  {name:8} {:6.2} CPU-s  {:6.2} s  {:7} bytes",
        cpu[REPETITIONS / 2],
        wall[REPETITIONS / 2],
        bytes(&result)?
    );
    Ok(result)
}

fn steps<E>(profile: Profile) -> Result<(), Box<dyn Error>>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    println!("{profile}");
    let device = Cpu::<F>::new();
    let shape = SegmentShape::from_capacity(BLOCKS).ok_or("no such shape")?;
    let layers = Layers::of(profile);
    let heights = [shape.log_height()];
    let keys = derive_keys::<E, _>(&device, &layers, &heights, |_, _| {})?;
    let allowed = keys.allowed(profile)?;
    let circuits = Circuits::<E, _>::with_keys(&device, &layers, &heights, keys, allowed)?;
    let allowed = circuits.allowed();

    let file: Vec<u8> = (0..(2 * BLOCKS - 1) * 136)
        .map(|i| (i * 7 % 251) as u8)
        .collect();
    let segments: Vec<_> =
        Segmenter::new(file.as_slice(), shape, [0; 8]).collect::<Result<_, _>>()?;
    let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
        &device,
        &layers.leaf,
        KeccakMachine::tables(),
        vec![shape.log_height(); 2],
    )?;
    let node_bytes =
        |kind| move |node: &NodeProof<E>| Ok(NodeFile::of_node(profile, kind, node)?.proof_bytes());
    let entrance = circuits.entrance(shape.log_height())?;
    let shrink_kind = Kind::Shrink {
        log_leaf: shape.log_height() as u8,
    };
    let mut leaves = Vec::new();
    for (place, segment) in segments.iter().enumerate() {
        let trace = SegmentTrace::<F>::generate(segment)?;
        let values = [Vec::new(), trace.public_values];
        let proof = prover.prove(&[&trace.permutation, &trace.sponge], &values)?;
        let lift = || {
            entrance
                .lift
                .prove(&segment.statement, &proof, &allowed.root())
        };
        if place > 0 {
            let lifted = lift()?;
            leaves.push(entrance.shrink.prove(entrance.lift.node(), &lifted)?);
            continue;
        }
        let lifted = measured("lift", lift, node_bytes(shrink_kind))?;
        leaves.push(measured(
            "shrink",
            || entrance.shrink.prove(entrance.lift.node(), &lifted),
            node_bytes(shrink_kind),
        )?);
    }
    let [left, right] = leaves.as_slice() else {
        return Err("two segments".into());
    };
    let key = entrance.shrink.node().key();
    let join = circuits.join()?;
    let joined = measured(
        "join",
        || join.prove((key, left), Some((key, right)), allowed),
        node_bytes(Kind::Join),
    )?;
    let close = circuits.close()?;
    let opening = KeccakOpening::after(&segments[1].statement);
    let old = [F::ZERO; 8];
    let closed = measured(
        "close",
        || close.prove((join.node().key(), &joined), &opening, (0, &old), allowed),
        node_bytes(Kind::Close),
    )?;
    let seal = circuits.seal()?;
    let sealed = measured(
        "seal",
        || seal.prove((close.node().key(), &closed), allowed),
        node_bytes(Kind::Close),
    )?;
    let wrap_shape = Verifiers::new::<E>(&layers, &heights)?.wrap_shape::<E>()?;
    let wrap = circuits.wrap()?;
    let wrapped = measured(
        "wrap",
        || wrap.prove(&seal, &sealed),
        |wrap| Ok(NodeFile::of_wrap(profile, &wrap_shape, wrap)?.proof_bytes()),
    )?;
    wrapped.verify(&wrap.verifier())?;
    Ok(())
}
