//! A join alone: its peak memory, and what it costs on a device beside the CPU back end.
//!
//! ```text
//! cargo build --release -p starkwright --example join
//! target/release/examples/join leaves FOLDER                     two leaves of each profile
//! target/release/examples/join memory FOLDER PROFILE             one join in a process of its own
//! target/release/examples/join compare FOLDER PROFILE DEVICE     both back ends in turn, medians of five
//! ```
//!
//! A device is a part of its platform's or its own name. `scripts/runtimes.sh exec pocl COMMAND` gives OpenCL's.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use rustix::time::{ClockId, clock_gettime};
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::node::{Circuits, NodeProof};
use starkwright_aggregator::node_file::{Kind, NodeFile};
use starkwright_hal::{
    Backend, Cpu, Extension, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
};
use starkwright_kernels::{OpenCl, Options};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::BatchProver;

type F = KoalaBear;
type Anything<T> = Result<T, Box<dyn Error>>;

const BLOCKS: usize = 85;
const REPETITIONS: usize = 5;

fn main() -> Anything<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["leaves", folder] => {
            leaves::<KoalaBear5>(Profile::Proven100, folder.as_ref())?;
            leaves::<KoalaBear4>(Profile::Conjectured100, folder.as_ref())
        }
        ["memory", folder, profile] => match profile.parse()? {
            profile @ Profile::Proven100 => memory::<KoalaBear5>(profile, folder.as_ref()),
            profile @ Profile::Conjectured100 => memory::<KoalaBear4>(profile, folder.as_ref()),
        },
        ["compare", folder, profile, device] => match profile.parse()? {
            profile @ Profile::Proven100 => compare::<KoalaBear5>(profile, folder.as_ref(), device),
            profile @ Profile::Conjectured100 => {
                compare::<KoalaBear4>(profile, folder.as_ref(), device)
            }
        },
        _ => {
            Err("join leaves FOLDER | memory FOLDER PROFILE | compare FOLDER PROFILE DEVICE".into())
        }
    }
}

fn shape() -> Anything<SegmentShape> {
    Ok(SegmentShape::from_capacity(BLOCKS).ok_or("no such shape")?)
}

/// Proves two neighbouring segments, and brings them to the shape that joins verify.
fn leaves<E>(profile: Profile, folder: &Path) -> Anything<()>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let (device, shape) = (Cpu::<F>::new(), shape()?);
    let circuits = Circuits::<E, _>::new(&device, profile)?;
    let entrance = circuits.entrance(shape.log_height())?;
    let prover = BatchProver::<F, E, Poseidon2Merkle, _, _>::setup(
        &device,
        &profile.leaf(),
        KeccakMachine::tables(),
        vec![shape.log_height(); 2],
    )?;
    let file = vec![7; (2 * BLOCKS - 1) * 136];
    for (place, segment) in Segmenter::new(file.as_slice(), shape, [0; 8]).enumerate() {
        let segment = segment?;
        let trace = SegmentTrace::<F>::generate(&segment)?;
        let values = [Vec::new(), trace.public_values];
        let proof = prover.prove(&[&trace.permutation, &trace.sponge], &values)?;
        let root = circuits.allowed().root();
        let lifted = entrance.lift.prove(&segment.statement, &proof, &root)?;
        let shrunk = entrance.shrink.prove(entrance.lift.node(), &lifted)?;
        let kind = Kind::Shrink {
            log_leaf: shape.log_height() as u8,
        };
        let path = folder.join(format!("{profile}-{place}.node"));
        NodeFile::of_node(profile, kind, &shrunk)?.write(&path)?;
    }
    Ok(())
}

fn read<E>(profile: Profile, folder: &Path, place: usize) -> Anything<NodeProof<E>>
where
    E: Extension<F>,
    Poseidon2Merkle: Protocol<F, E>,
{
    let path = folder.join(format!("{profile}-{place}.node"));
    Ok(NodeFile::read(&path)?.node()?)
}

/// Something that joins the two leaves.
type Joiner<'a, E> = Box<dyn Fn() -> Result<NodeProof<E>, AggregatorError> + 'a>;

/// Joins on a device, whose circuit alone is set up.
fn joiner<'a, E, B>(
    device: &B,
    profile: Profile,
    leaves: &'a [NodeProof<E>; 2],
) -> Anything<Joiner<'a, E>>
where
    E: Extension<F>,
    B: Backend<F> + 'a,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let circuits = Circuits::<E, B>::new(device, profile)?;
    let join = circuits.join()?;
    let key = circuits
        .keys()
        .shrinks
        .get(&shape()?.log_height())
        .ok_or("no key of such leaves")?
        .clone();
    Ok(Box::new(move || {
        let [left, right] = leaves.each_ref().map(|leaf| (&key, leaf));
        join.prove(left, Some(right), circuits.allowed())
    }))
}

/// A line of the process's status, in MiB.
fn status(name: &str) -> Anything<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kibibytes.ok_or("no such line")?.parse::<u64>()? / 1024)
}

fn memory<E>(profile: Profile, folder: &Path) -> Anything<()>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let leaves = [read(profile, folder, 0)?, read(profile, folder, 1)?];
    let join = joiner::<E, _>(&Cpu::new(), profile, &leaves)?;
    let (held, of_setup) = (status("VmRSS")?, status("VmHWM")?);
    // The peak from here on.
    fs::write("/proc/self/clear_refs", "5")?;
    join()?;
    println!(
        "{profile}: set up {of_setup} MiB at its peak, {held} MiB held; join {} MiB",
        status("VmHWM")?
    );
    Ok(())
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn compare<E>(profile: Profile, folder: &Path, device: &str) -> Anything<()>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    let found = OpenCl::list()?;
    let named = |name: &str| name.to_lowercase().contains(&device.to_lowercase());
    let info = found
        .iter()
        .find(|info| named(&info.name) || named(&info.platform))
        .ok_or("no such device")?;
    let opencl = OpenCl::open(info, Options::default())?;
    let leaves = [read(profile, folder, 0)?, read(profile, folder, 1)?];
    let joins = [
        joiner::<E, _>(&Cpu::new(), profile, &leaves)?,
        joiner::<E, _>(&opencl, profile, &leaves)?,
    ];
    let bytes = |node: &NodeProof<E>| NodeFile::of_node(profile, Kind::Join, node)?.to_bytes();
    // Once to warm up: both make the same bytes.
    if bytes(&joins[0]()?)? != bytes(&joins[1]()?)? {
        return Err("the device's proof is another".into());
    }
    let mut seconds = [[(); 2]; 2].map(|row| row.map(|()| Vec::new()));
    for _ in 0..REPETITIONS {
        for (join, [cpu, wall]) in joins.iter().zip(&mut seconds) {
            let (start, instant) = (cpu_seconds(), Instant::now());
            join()?;
            cpu.push(cpu_seconds() - start);
            wall.push(instant.elapsed().as_secs_f64());
        }
    }
    let medians = seconds.map(|row| {
        row.map(|mut values| {
            values.sort_by(f64::total_cmp);
            values[REPETITIONS / 2]
        })
    });
    let [[cpu, wall], [device_cpu, device_wall]] = medians;
    println!(
        "{profile} on {}: {device_cpu:.2} CPU-s, {device_wall:.2} s; CPU back end {cpu:.2} CPU-s, {wall:.2} s; \
         ratios {:.2} and {:.2}",
        info.name,
        device_cpu / cpu,
        device_wall / wall
    );
    Ok(())
}
