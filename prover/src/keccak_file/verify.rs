//! Checking a proof file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use starkwright_hal::{Extension, KoalaBear4, KoalaBear5};

use super::stack::SegmentVerifiers;
use super::{LIMITS, Val};
use crate::ProverError;
use crate::machine::keccak::{
    Chain, ChainError, FileStatement, SegmentShape, SegmentStatement, Segmenter,
};
use crate::profile::Profile;
use crate::proof_file::ProofReader;
use crate::security::{Security, require_count};

/// What a verifier asks for.
#[derive(Clone, Copy, Debug)]
pub struct VerifyOptions<'a> {
    /// The least profile accepted.
    pub least: Profile,
    /// The context expected.
    pub context: [u32; 8],
    /// A file whose digest and length the proof must state.
    pub input: Option<&'a Path>,
}

/// What a proof file was found to say.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// The profile of its proofs.
    pub profile: Profile,
    /// Security of the weakest segment.
    pub security: Security,
    /// Segments whose proofs hold.
    pub segments: u64,
    /// Bytes of the file.
    pub proof_bytes: u64,
    /// Digest, length and context where the segments are a whole file; else why they are only its beginning.
    pub statement: Result<FileStatement, ChainError>,
}

/// Verifies the proof file at `path`: that each statement goes on where the one before ended, and its proof by stock p3.
/// One segment is in memory at a time.
///
/// # Errors
/// [`ProverError::Input`] where a file cannot be read; [`ProverError::ProofFile`] where it is damaged or of another
/// machine; [`ProverError::Rejected`] where a proof is invalid, weaker than asked for, about something else, or not
/// the next in its chain, or where there are more than its profile covers.
pub fn verify(path: &Path, options: &VerifyOptions<'_>) -> Result<VerifyReport, ProverError> {
    let unreadable = |error: std::io::Error| ProverError::Input {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    let reader = ProofReader::new(BufReader::new(file), LIMITS)?;
    let profile = reader.header().profile;
    if !profile.satisfies(options.least) {
        return Err(ProverError::Rejected {
            why: format!(
                "its profile is {profile}, at least {} is asked for; prove again with --profile {}, or accept less",
                options.least, options.least
            ),
        });
    }
    let report = match profile {
        Profile::Proven100 => check::<KoalaBear5, _>(reader, profile, metadata.len(), options)?,
        Profile::Conjectured100 => {
            check::<KoalaBear4, _>(reader, profile, metadata.len(), options)?
        }
    };
    if let (Some(input), Ok(statement)) = (options.input, &report.statement) {
        compare(input, statement)?;
    }
    Ok(report)
}

fn check<E, R>(
    mut reader: ProofReader<'_, R>,
    profile: Profile,
    proof_bytes: u64,
    options: &VerifyOptions<'_>,
) -> Result<VerifyReport, ProverError>
where
    E: Extension<Val>,
    R: Read,
    SymbolicExpressionExt<Val, E>: Algebra<E>,
{
    let rejected = |index: usize, why: String| ProverError::Rejected {
        why: format!("segment at position {index}: {why}"),
    };
    let mut verifiers = SegmentVerifiers::<E>::new(profile);
    let mut chain = Chain::default();
    let mut weakest: Option<Security> = None;
    while let Some(record) = reader.next_segment()? {
        let at = chain.segments();
        require_count(profile, reader.segments())
            .map_err(|error| rejected(at, error.to_string()))?;
        let shape = SegmentShape::from_log_height(usize::from(record.log_height))
            .ok_or_else(|| rejected(at, format!("height 2^{} is not listed", record.log_height)))?;
        let statement = SegmentStatement::from_bytes(&record.statement)
            .map_err(|error| rejected(at, error.to_string()))?;
        if statement.context != options.context {
            return Err(rejected(
                at,
                "its context is not the one expected (--context)".to_owned(),
            ));
        }
        // Cheap checks first: a proof that is not the next one is not looked at.
        chain
            .push(statement.clone())
            .map_err(|error| rejected(at, error.to_string()))?;
        verifiers
            .verify(shape, &statement, &record.proof)
            .map_err(|error| match error {
                ProverError::Rejected { why } => rejected(at, why),
                other => other,
            })?;
        let security = verifiers.security(shape)?;
        if weakest
            .as_ref()
            .is_none_or(|least| security.bits < least.bits)
        {
            weakest = Some(security);
        }
    }
    let security = weakest.ok_or_else(|| ProverError::Rejected {
        why: "it holds no segment".to_owned(),
    })?;
    Ok(VerifyReport {
        profile,
        security,
        segments: chain.segments() as u64,
        proof_bytes,
        statement: chain.finish(),
    })
}

/// The file at `input` has the digest and length that the proof states.
fn compare(input: &Path, statement: &FileStatement) -> Result<(), ProverError> {
    let (digest, length) = digest(input)?;
    if (digest, length) == (statement.digest, statement.length) {
        return Ok(());
    }
    Err(ProverError::Rejected {
        why: format!(
            "it is about {} bytes with digest {}, {} has {length} bytes with digest {}",
            statement.length,
            hex(&statement.digest),
            input.display(),
            hex(&digest),
        ),
    })
}

/// Keccak-256 and length of a file, streamed.
///
/// # Errors
/// [`ProverError::Input`] where it cannot be read.
pub fn digest(input: &Path) -> Result<([u8; 32], u64), ProverError> {
    let unreadable = |why: String| ProverError::Input {
        path: input.to_owned(),
        why,
    };
    let file = File::open(input).map_err(|error| unreadable(error.to_string()))?;
    let shape = SegmentShape::all()
        .next()
        .ok_or_else(|| unreadable("no segment shape is listed".to_owned()))?;
    let mut last = None;
    for segment in Segmenter::new(BufReader::new(file), shape, [0; 8]) {
        last = Some(
            segment
                .map_err(|error| unreadable(error.to_string()))?
                .statement,
        );
    }
    last.and_then(|last| last.digest().map(|digest| (digest, last.bytes_after)))
        .ok_or_else(|| unreadable("it ends nowhere".to_owned()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
