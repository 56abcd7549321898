//! Proving a file, segment by segment.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use serde::Serialize;
use starkwright_hal::{Backend, Caps, Extension, KoalaBear4, KoalaBear5, Statistics};

use super::stack::Provers;
use super::{MACHINES, Merkle, Val, tables};
use crate::ProverError;
use crate::machine::keccak::{
    FileStatement, RATE_BYTES, SegmentShape, SegmentStatement, Segmenter, chain,
};
use crate::phases::PhaseSeconds;
use crate::profile::Profile;
use crate::proof_file::{Header, Limits, ProofWriter, Segment as Record};
use crate::proof_size::expected_proof_bytes;
use crate::security::{CommitmentHash, Security};

/// How to prove a file.
#[derive(Clone, Copy, Debug)]
pub struct ProveOptions {
    /// Security profile.
    pub profile: Profile,
    /// Context bound into every proof: eight canonical field elements.
    pub context: [u32; 8],
    /// Height of full segments; a short last one takes a smaller listed shape.
    pub shape: SegmentShape,
    /// Whether to go on with the partial file of an interrupted run.
    pub resume: bool,
}

/// What to expect, before the first segment is proven.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Segments in all.
    pub segments: u64,
    /// Cells of all tables, the measure of work.
    pub cells: u64,
    /// Expected size of the proof file.
    pub proof_bytes: u64,
    /// Expected time, from a small commitment on this device.
    pub seconds: f64,
}

/// The run was stopped between two segments; those before are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Watches a run, and may stop it between two segments.
pub trait Progress {
    /// Called once, before the first segment.
    fn begins(&mut self, estimate: &Estimate, security: &Security);

    /// Called when a segment is on disk; `kept` says that an earlier run had proven it.
    ///
    /// # Errors
    /// [`Interrupted`] stops the run.
    fn segment(&mut self, index: u64, kept: bool) -> Result<(), Interrupted>;
}

/// What was proven, and what it cost.
#[derive(Clone, Debug)]
pub struct ProveReport {
    /// Digest, length and number of segments.
    pub statement: FileStatement,
    /// Segments taken over from an interrupted run.
    pub resumed: u64,
    /// The device.
    pub device: Caps,
    /// The profile.
    pub profile: Profile,
    /// Security of the weakest segment.
    pub security: Security,
    /// Bytes of the proof file.
    pub proof_bytes: u64,
    /// Seconds from start to end.
    pub seconds: f64,
    /// Seconds by phase.
    pub phases: PhaseSeconds,
    /// What the device did.
    pub statistics: Statistics,
}

/// Proves the file at `input` into `output`.
///
/// # Errors
/// [`ProverError::Input`] where the file cannot be read, [`ProverError::Interrupted`] where `progress` stopped the
/// run, device failures, and what the proof file's writer says. In every case but success nothing appears under
/// `output`, and finished segments stay in the partial file beside it.
pub fn prove<B: Backend<Val>>(
    device: &B,
    input: &Path,
    output: &Path,
    options: &ProveOptions,
    progress: &mut dyn Progress,
) -> Result<ProveReport, ProverError> {
    match options.profile {
        Profile::Proven100 => run::<KoalaBear5, B>(device, input, output, options, progress),
        Profile::Conjectured100 => run::<KoalaBear4, B>(device, input, output, options, progress),
    }
}

fn run<E, B>(
    device: &B,
    input: &Path,
    output: &Path,
    options: &ProveOptions,
    progress: &mut dyn Progress,
) -> Result<ProveReport, ProverError>
where
    E: Extension<Val>,
    B: Backend<Val>,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let start = Instant::now();
    device.reset_statistics();
    let (file, length) = open(input)?;
    let plan = plan(length, options.shape);
    let mut provers = Provers::<E, B>::new(device.clone(), options.profile);
    // The shape with the fewest bits speaks for the file.
    let mut security = provers.verifiers().security(plan.last)?;
    if plan.segments > 1 {
        let full = provers.verifiers().security(plan.full)?;
        if full.bits < security.bits {
            security = full;
        }
    }

    let mut segments = Segmenter::new(BufReader::new(file), options.shape, options.context);
    let mut statements: Vec<SegmentStatement> = Vec::new();
    let mut next = || -> Result<_, ProverError> {
        segments
            .next()
            .transpose()
            .map_err(|error| ProverError::Input {
                path: input.to_owned(),
                why: error.to_string(),
            })
    };

    let header = Header {
        machine: MACHINES[0],
        profile: options.profile,
    };
    let mut kept_error = None;
    let (mut writer, pending) = if options.resume {
        // A kept segment must be what this input gives at its place, and its proof must verify.
        let mut pending = next()?;
        let verifiers = provers.verifiers();
        let (writer, _) = ProofWriter::resume(output, header, Limits::new(&MACHINES), |record| {
            let Some(segment) = pending.take() else {
                return false;
            };
            let same = record.statement == segment.statement.to_bytes()
                && usize::from(record.log_height) == segment.shape.log_height()
                && verifiers
                    .verify(segment.shape, &segment.statement, &record.proof)
                    .is_ok();
            if !same {
                pending = Some(segment);
                return false;
            }
            statements.push(segment.statement);
            match next() {
                Ok(segment) => pending = segment,
                Err(error) => kept_error = Some(error),
            }
            true
        })?;
        (writer, pending)
    } else {
        (ProofWriter::create(output, header)?, next()?)
    };
    if let Some(error) = kept_error {
        return Err(error);
    }
    let resumed = statements.len() as u64;
    progress.begins(
        &plan.estimate::<E>(options.profile, seconds_per_cell(device)?),
        &security,
    );
    let stopped = |segments: u64| ProverError::Interrupted {
        segments,
        partial: crate::proof_file::partial_path(output),
    };
    for index in 0..resumed {
        progress
            .segment(index, true)
            .map_err(|Interrupted| stopped(resumed))?;
    }

    let mut pending = pending;
    while let Some(segment) = pending.take() {
        let proof = provers.prove(&segment)?;
        let index = segment.statement.index;
        writer.append(&Record {
            // A listed height is below 2^8.
            log_height: segment.shape.log_height() as u8,
            statement: segment.statement.to_bytes().to_vec(),
            proof,
        })?;
        statements.push(segment.statement);
        pending = next()?;
        if progress.segment(index, false).is_err() && pending.is_some() {
            return Err(stopped(index + 1));
        }
    }
    let statement = chain(&statements).map_err(|error| ProverError::Shape {
        why: error.to_string(),
    })?;
    let proof_bytes = writer.finish()?;
    Ok(ProveReport {
        statement,
        resumed,
        device: device.caps(),
        profile: options.profile,
        security,
        proof_bytes,
        seconds: start.elapsed().as_secs_f64(),
        phases: provers.take_phases(),
        statistics: device.statistics(),
    })
}

fn open(input: &Path) -> Result<(File, u64), ProverError> {
    let unreadable = |error: std::io::Error| ProverError::Input {
        path: PathBuf::from(input),
        why: error.to_string(),
    };
    let file = File::open(input).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok((file, metadata.len()))
}

/// How a file of this length is cut.
struct Plan {
    full: SegmentShape,
    last: SegmentShape,
    segments: u64,
}

fn plan(length: u64, full: SegmentShape) -> Plan {
    // One block more than the message fills: the padding needs at least a byte.
    let blocks = length / RATE_BYTES as u64 + 1;
    let capacity = full.capacity() as u64;
    let segments = blocks.div_ceil(capacity);
    // At most a capacity, which fits the machine.
    let rest = (blocks - (segments - 1) * capacity) as usize;
    let last = SegmentShape::smallest_for(rest).unwrap_or(full).min(full);
    Plan {
        full,
        last,
        segments,
    }
}

impl Plan {
    fn estimate<E>(&self, profile: Profile, seconds_per_cell: f64) -> Estimate
    where
        E: Extension<Val>,
        SymbolicExpressionExt<Val, E>: Algebra<E>,
    {
        let of = |shape| {
            let tables = tables::<E>(shape);
            let cells: u64 = tables
                .iter()
                .map(|table| (table.width as u64) << table.log_height)
                .sum();
            let bytes = expected_proof_bytes(&profile.leaf(), CommitmentHash::Poseidon2, &tables);
            (cells, bytes as u64)
        };
        let ((full_cells, full_bytes), (last_cells, last_bytes)) = (of(self.full), of(self.last));
        let before = self.segments - 1;
        let cells = full_cells.saturating_mul(before).saturating_add(last_cells);
        Estimate {
            segments: self.segments,
            cells,
            seconds: cells as f64 * seconds_per_cell,
            proof_bytes: full_bytes.saturating_mul(before).saturating_add(last_bytes),
        }
    }
}

/// Time of a whole proof over time of its commitment to the trace, on the devices measured.
const PROOF_OVER_COMMIT: f64 = 1.9;

/// What a cell of a trace costs on this device: a commitment to a small matrix, made twice, the second one timed.
fn seconds_per_cell<B: Backend<Val>>(device: &B) -> Result<f64, ProverError> {
    const WIDTH: usize = 128;
    const HEIGHT: usize = 1 << 11;
    let mut seconds = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        let matrix = device.upload(RowMajorMatrix::new(Val::zero_vec(WIDTH * HEIGHT), WIDTH))?;
        let lde = device.coset_lde(matrix, Profile::Proven100.leaf().log_blowup, Val::GENERATOR)?;
        device.commit::<Merkle>(vec![lde], 0)?;
        seconds = start.elapsed().as_secs_f64();
    }
    Ok(seconds * PROOF_OVER_COMMIT / (WIDTH * HEIGHT) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_is_what_the_segmenter_does() {
        let shape = SegmentShape::from_capacity(85).unwrap();
        for length in [
            0usize,
            1,
            135,
            136,
            137,
            85 * 136 - 1,
            85 * 136,
            85 * 136 + 1,
            200 * 136,
        ] {
            let data = vec![7u8; length];
            let cut: Vec<_> = Segmenter::new(data.as_slice(), shape, [0; 8])
                .collect::<Result<_, _>>()
                .unwrap();
            let plan = plan(length as u64, shape);
            assert_eq!(plan.segments, cut.len() as u64, "length {length}");
            assert_eq!(plan.last, cut.last().unwrap().shape, "length {length}");
        }
    }
}
