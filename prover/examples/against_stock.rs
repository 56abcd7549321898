//! The CPU back end against stock p3 on one Keccak segment of 1,365 blocks: CPU time in one process, or peak memory in one
//! process each.
//!
//! ```text
//! GLIBC_TUNABLES=glibc.malloc.hugetlb=1 cargo run --release -p starkwright-prover --example against_stock -- ratio
//! cargo run --release -p starkwright-prover --example against_stock -- stock
//! cargo run --release -p starkwright-prover --example against_stock -- cpu
//! ```

use std::error::Error;

use p3_koala_bear::KoalaBear;
use rustix::time::{ClockId, clock_gettime};
use starkwright_hal::{Cpu, KoalaBear5, Poseidon2Merkle};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{KeccakMachine, SegmentShape, SegmentTrace, Segmenter};
use starkwright_prover::profile::Profile;
use starkwright_prover::prove::{BatchProver, StockBatchProver};

type Done = Result<(), Box<dyn Error>>;

const BLOCKS: usize = 1365;
const REPETITIONS: usize = 7;

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let shape = SegmentShape::from_capacity(BLOCKS).ok_or("no such shape")?;
    let bytes: Vec<u8> = (0..BLOCKS * 136 - 1)
        .map(|i| ((i * 131) >> 3) as u8)
        .collect();
    let mut segments = Segmenter::new(bytes.as_slice(), shape, [0; 8]);
    let segment = segments.next().ok_or("no segment")??;
    let parameters = Profile::Proven100.leaf();
    let heights = vec![shape.log_height(); 2];
    let tables = KeccakMachine::tables;

    let stock = || {
        StockBatchProver::<KoalaBear, KoalaBear5, Poseidon2Merkle, _>::setup(
            &parameters,
            tables(),
            &heights,
        )
    };
    let ours = || {
        let device = Cpu::<KoalaBear>::new();
        BatchProver::<KoalaBear, KoalaBear5, Poseidon2Merkle, _, _>::setup(
            &device,
            &parameters,
            tables(),
            heights.clone(),
        )
    };
    let prove = |prover: &dyn Fn(&SegmentTrace<KoalaBear>) -> Done| {
        let trace = SegmentTrace::<KoalaBear>::generate(&segment)?;
        let start = cpu_seconds();
        prover(&trace)?;
        Ok::<f64, Box<dyn Error>>(cpu_seconds() - start)
    };
    match mode.as_str() {
        "stock" => {
            let prover = stock()?;
            prove(&|trace| {
                let values = [Vec::new(), trace.public_values.clone()];
                prover.prove(&[&trace.permutation, &trace.sponge], &values)?;
                Ok(())
            })?;
        }
        "cpu" => {
            let prover = ours()?;
            prove(&|trace| {
                let values = [Vec::new(), trace.public_values.clone()];
                prover.prove(&[&trace.permutation, &trace.sponge], &values)?;
                Ok(())
            })?;
        }
        "ratio" => {
            let (stock, ours) = (stock()?, ours()?);
            let mut ratios = Vec::new();
            for repetition in 0..=REPETITIONS {
                let p3 = prove(&|trace| {
                    let values = [Vec::new(), trace.public_values.clone()];
                    stock.prove(&[&trace.permutation, &trace.sponge], &values)?;
                    Ok(())
                })?;
                let cpu = prove(&|trace| {
                    let values = [Vec::new(), trace.public_values.clone()];
                    ours.prove(&[&trace.permutation, &trace.sponge], &values)?;
                    Ok(())
                })?;
                // The first ones warm up.
                if repetition > 0 {
                    ratios.push(p3 / cpu);
                }
            }
            ratios.sort_by(f64::total_cmp);
            println!(
                "CPU time of p3 over ours: {:.3} (from {:.3} to {:.3})",
                ratios[REPETITIONS / 2],
                ratios[0],
                ratios[REPETITIONS - 1]
            );
        }
        _ => return Err("say what to run: stock, cpu or ratio".into()),
    }
    if let Some(peak) = peak_mib() {
        println!("peak {peak:.0} MiB");
    }
    Ok(())
}
