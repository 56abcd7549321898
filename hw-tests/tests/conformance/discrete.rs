//! The device as one with its own memory, behind a bus: nothing is shared with the host, large uploads go through pinned
//! memory on a second queue, and every result is copied back.

use p3_koala_bear::KoalaBear;
use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{Buffers, Device, HalError};
use starkwright_hw_tests::conformance::{Fill, same_matrix, transfer};
use starkwright_hw_tests::runtimes;
use starkwright_kernels::{OpenCl, Options};

use crate::offline;

/// Log2 of the rows of a table of four columns that is uploaded through pinned memory.
const PIPED: usize = 14;

#[test]
fn discrete() {
    runtimes::each("discrete", |opened| {
        let options = Options {
            assume_discrete: true,
            ..opened.target.options()
        };
        let device = OpenCl::open(&opened.target.info, options).map_err(|e| e.to_string())?;
        if device.caps().host_memory {
            return Err("the device is still one in the host's memory".to_owned());
        }
        let transfers = transfer::<KoalaBear, _>(&device, opened.target.effort)?;
        round_trip(&device)?;
        let proof = |device| offline::one_proof(device, PIPED).map_err(|e| e.to_string());
        if proof(&opened.device)? != proof(&device)? {
            return Err("a proof differs from the one of shared memory".to_owned());
        }
        let statistics = device.runtime().statistics();
        if statistics.command("wait").is_none() || statistics.command("map").is_some() {
            return Err("the second queue was not used, or memory was mapped".to_owned());
        }
        Ok(transfers + 1)
    })
    .unwrap();
}

/// More than the pinned memory holds.
fn round_trip(device: &OpenCl) -> Result<(), String> {
    let failed = |error: HalError| error.to_string();
    let matrix = Fill::Random(21).matrix::<KoalaBear>(1 << 18, 37);
    let there = device.upload(matrix.clone()).map_err(failed)?;
    let back: RowMajorMatrix<KoalaBear> = device.download(&there).map_err(failed)?;
    same_matrix(&back, &matrix)
}
