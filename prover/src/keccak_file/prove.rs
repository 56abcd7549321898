//! Proving a file, segment by segment.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::{Algebra, Field, PrimeCharacteristicRing};
use p3_matrix::dense::RowMajorMatrix;
use serde::Serialize;
use starkwright_hal::{Backend, Caps, Extension, KoalaBear4, KoalaBear5, Statistics};

use super::stack::Provers;
use super::{LIMITS, MACHINE, Merkle, Val, tables};
use crate::ProverError;
use crate::machine::keccak::{
    Chain, ChainError, FileStatement, RATE_BYTES, SegmentShape, Segmenter,
};
use crate::phases::PhaseSeconds;
use crate::profile::Profile;
use crate::proof_file::{Header, ProofWriter, Segment as Record};
use crate::proof_size::expected_proof_bytes;
use crate::security::{CommitmentHash, Security, require_count};

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
    /// Segments in all, those kept from an interrupted run included.
    pub segments: u64,
    /// Cells of all tables that are still to be proven, the measure of work.
    pub cells: u64,
    /// Expected size of the whole proof file.
    pub proof_bytes: u64,
    /// Expected time of what is still to be proven, from a small commitment on this device.
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
    /// What was expected when it began.
    pub estimate: Estimate,
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
/// run, [`ProverError::Security`] where the file needs more segments than the profile covers, device failures, and
/// what the proof file's writer says. In every case but success nothing appears under `output`, and finished segments
/// stay in the partial file beside it.
pub fn prove<B: Backend<Val>>(
    device: &B,
    input: &Path,
    output: &Path,
    options: &ProveOptions,
    progress: &mut dyn Progress,
) -> Result<ProveReport, ProverError> {
    let source = open(input)?;
    match options.profile {
        Profile::Proven100 => run::<KoalaBear5, B, _>(device, source, output, options, progress),
        Profile::Conjectured100 => {
            run::<KoalaBear4, B, _>(device, source, output, options, progress)
        }
    }
}

/// The bytes to be proven, how many there should be, and their name.
struct Source<'a, R> {
    bytes: R,
    length: u64,
    path: &'a Path,
}

fn run<E, B, R>(
    device: &B,
    source: Source<'_, R>,
    output: &Path,
    options: &ProveOptions,
    progress: &mut dyn Progress,
) -> Result<ProveReport, ProverError>
where
    E: Extension<Val>,
    B: Backend<Val>,
    R: Read,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let start = Instant::now();
    device.reset_statistics();
    let plan = plan(source.length, options.shape);
    require_count(options.profile, plan.segments)?;
    let mut provers = Provers::<E, B>::new(device.clone(), options.profile);
    // The shape with the fewest bits speaks for the file.
    let mut security = provers.verifiers().security(plan.last)?;
    if plan.segments > 1 {
        let full = provers.verifiers().security(plan.full)?;
        if full.bits < security.bits {
            security = full;
        }
    }

    let mut segments = Segmenter::new(source.bytes, options.shape, options.context);
    let mut chain = Chain::default();
    let mut next = || -> Result<_, ProverError> {
        segments
            .next()
            .transpose()
            .map_err(|error| ProverError::Input {
                path: source.path.to_owned(),
                why: error.to_string(),
            })
    };

    let header = Header {
        machine: MACHINE,
        profile: options.profile,
    };
    let mut pending = next()?;
    let mut writer = if options.resume {
        // A kept segment must be what this input gives at its place, and its proof must verify.
        let verifiers = provers.verifiers();
        let (writer, _) = ProofWriter::resume(output, header, LIMITS, |record| {
            let Some(segment) = &pending else {
                return Ok(false);
            };
            let same = record.statement == segment.statement.to_bytes()
                && usize::from(record.log_height) == segment.shape.log_height();
            if !same {
                return Ok(false);
            }
            match verifiers.verify(segment.shape, &segment.statement, &record.proof) {
                Err(ProverError::Rejected { .. } | ProverError::ProofFile(_)) => return Ok(false),
                verified => verified?,
            }
            chain.push(segment.statement.clone()).map_err(broken)?;
            pending = next()?;
            Ok::<_, ProverError>(true)
        })?;
        writer
    } else {
        ProofWriter::create(output, header)?
    };
    let resumed = writer.segments();
    let estimate = plan.estimate::<E>(options.profile, resumed, seconds_per_cell(device)?);
    progress.begins(&estimate, &security);
    let stopped = |segments: u64| ProverError::Interrupted {
        segments,
        partial: crate::proof_file::partial_path(output),
    };
    for index in 0..resumed {
        progress
            .segment(index, true)
            .map_err(|Interrupted| stopped(resumed))?;
    }

    while let Some(segment) = pending.take() {
        let index = segment.statement.index;
        // A file may be longer than it said.
        require_count(options.profile, index + 1)?;
        let proof = provers.prove(&segment)?;
        writer.append(&Record {
            // A listed height is below 2^8.
            log_height: segment.shape.log_height() as u8,
            statement: segment.statement.to_bytes().to_vec(),
            proof,
        })?;
        chain.push(segment.statement).map_err(broken)?;
        pending = next()?;
        if progress.segment(index, false).is_err() && pending.is_some() {
            return Err(stopped(index + 1));
        }
    }
    let statement = chain.finish().map_err(broken)?;
    let proof_bytes = writer.finish()?;
    Ok(ProveReport {
        statement,
        resumed,
        estimate,
        device: device.caps(),
        profile: options.profile,
        security,
        proof_bytes,
        seconds: start.elapsed().as_secs_f64(),
        phases: provers.take_phases(),
        statistics: device.statistics(),
    })
}

/// The segmenter's statements chain by construction.
fn broken(error: ChainError) -> ProverError {
    ProverError::Shape {
        why: error.to_string(),
    }
}

fn open(input: &Path) -> Result<Source<'_, BufReader<File>>, ProverError> {
    let unreadable = |error: std::io::Error| ProverError::Input {
        path: PathBuf::from(input),
        why: error.to_string(),
    };
    let file = File::open(input).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok(Source {
        bytes: BufReader::new(file),
        length: metadata.len(),
        path: input,
    })
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
    /// What to expect where the first `kept` segments are proven already.
    fn estimate<E>(&self, profile: Profile, kept: u64, seconds_per_cell: f64) -> Estimate
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
        let last_left = if kept < self.segments { last_cells } else { 0 };
        let cells = full_cells
            .saturating_mul(before.saturating_sub(kept))
            .saturating_add(last_left);
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
    use std::fs;
    use std::io;

    use starkwright_hal::Cpu;

    use super::*;
    use crate::proof_file::{ProofFileError, partial_path};

    /// Gives `left` bytes, then fails.
    struct Failing {
        left: usize,
    }

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Err(io::Error::other("the disk is gone"));
            }
            let given = buffer.len().min(self.left);
            self.left -= given;
            buffer[..given].fill(7);
            Ok(given)
        }
    }

    struct Stop {
        after: u64,
    }

    impl Progress for Stop {
        fn begins(&mut self, _: &Estimate, _: &Security) {}

        fn segment(&mut self, index: u64, _: bool) -> Result<(), Interrupted> {
            if index + 1 == self.after {
                Err(Interrupted)
            } else {
                Ok(())
            }
        }
    }

    fn options(resume: bool) -> ProveOptions {
        ProveOptions {
            profile: Profile::Conjectured100,
            context: [0; 8],
            shape: SegmentShape::from_capacity(85).unwrap(),
            resume,
        }
    }

    #[test]
    fn an_input_that_fails_while_resuming_costs_no_segment() {
        const LENGTH: usize = 3 * 85 * 136;
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("proof");
        let device = Cpu::new();
        let attempt = |bytes: &mut dyn Read, resume, after| {
            let source = Source {
                bytes,
                length: LENGTH as u64,
                path: Path::new("input"),
            };
            let mut progress = Stop { after };
            run::<KoalaBear4, _, _>(&device, source, &output, &options(resume), &mut progress)
        };
        let stopped = attempt(&mut &[7; LENGTH][..], false, 2);
        assert!(
            matches!(stopped, Err(ProverError::Interrupted { segments: 2, .. })),
            "{stopped:?}"
        );
        let kept = fs::read(partial_path(&output)).unwrap();

        // In the first segment, in the second, and in the third, which is not kept.
        for left in [100, LENGTH / 3 + 100, LENGTH - 100] {
            let failed = attempt(&mut Failing { left }, true, u64::MAX);
            assert!(
                matches!(failed, Err(ProverError::Input { .. })),
                "{failed:?}"
            );
            assert!(
                fs::read(partial_path(&output)).unwrap() == kept,
                "after {left} bytes"
            );
        }
        // Another input.
        let other = attempt(&mut &[8; LENGTH][..], true, u64::MAX);
        assert!(
            matches!(
                other,
                Err(ProverError::ProofFile(ProofFileError::OtherInput { .. }))
            ),
            "{other:?}"
        );
        assert!(fs::read(partial_path(&output)).unwrap() == kept);

        let report = attempt(&mut &[7; LENGTH][..], true, u64::MAX).unwrap();
        assert_eq!((report.resumed, report.statement.segments), (2, 4));
        assert!(report.estimate.cells > 0);
    }

    #[test]
    fn the_estimate_leaves_out_what_is_kept() {
        let plan = plan(3 * 85 * 136, SegmentShape::from_capacity(85).unwrap());
        let estimate = |kept| plan.estimate::<KoalaBear4>(Profile::Conjectured100, kept, 1.0);
        let all = estimate(0);
        for kept in 0..=4 {
            let rest = estimate(kept);
            assert_eq!(rest.cells, all.cells / 4 * (4 - kept), "{kept}");
            assert_eq!(rest.seconds, rest.cells as f64);
            assert_eq!((rest.proof_bytes, rest.segments), (all.proof_bytes, 4));
        }
    }

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
