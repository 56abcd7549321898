//! Steps as bytes: a version, then postcard in its canonical form.

use p3_field::{PrimeCharacteristicRing, PrimeField32};
use serde::{Deserialize, Serialize};
use starkwright_prover::keccak_file::Val;
use starkwright_prover::machine::keccak::{SegmentShape, SegmentStatement};
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::{decode, encode};

use super::step::{Child, Step, Work};
use crate::AggregatorError;
use crate::statement::{KeccakOpening, STATEMENT_LEN, TreeStatement};

/// The version that is written and read: the first byte.
pub(super) const VERSION: u8 = 1;
/// Most bytes that are read: five times what the longest step takes.
pub const MAX_STEP_BYTES: usize = 4096;

/// A statement's elements, canonical.
type Elements = Vec<u32>;

#[derive(Serialize, Deserialize)]
struct Wire {
    profile: Profile,
    work: WireWork,
}

#[derive(Serialize, Deserialize)]
enum WireWork {
    Leaf {
        log_height: u8,
        segment: Vec<u8>,
    },
    Lift {
        log_height: u8,
        segment: Vec<u8>,
    },
    Shrink {
        log_height: u8,
        statement: Elements,
    },
    Join {
        left: Child,
        right: Option<Child>,
        statement: Elements,
    },
    Close {
        child: Child,
        state: Box<[u64; 25]>,
        blocks: u64,
        bytes: u64,
        statement: Elements,
    },
    Wrap {
        child: Child,
        statement: Elements,
    },
}

fn no_step(why: impl Into<String>) -> AggregatorError {
    AggregatorError::Step { why: why.into() }
}

impl Step {
    /// The step's bytes: each step has exactly one encoding.
    ///
    /// # Errors
    /// [`AggregatorError::Step`] where postcard has none.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AggregatorError> {
        let wire = Wire {
            profile: self.profile(),
            work: WireWork::of(self.work()),
        };
        let mut bytes = vec![VERSION];
        bytes.extend(encode(&wire).map_err(|error| no_step(error.to_string()))?);
        Ok(bytes)
    }

    /// Reads a step. Total: any bytes are read or refused.
    ///
    /// # Errors
    /// [`AggregatorError::Step`] for more than [`MAX_STEP_BYTES`], another version, and what is no encoding or not the
    /// one; [`Step::new`]'s.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AggregatorError> {
        if bytes.len() > MAX_STEP_BYTES {
            return Err(no_step(format!(
                "{} bytes, at most {MAX_STEP_BYTES} are read",
                bytes.len()
            )));
        }
        let Some((&version, rest)) = bytes.split_first() else {
            return Err(no_step("it is empty"));
        };
        if version != VERSION {
            return Err(no_step(format!(
                "version {version}, and {VERSION} is known"
            )));
        }
        let wire: Wire = decode(rest).map_err(|error| no_step(error.to_string()))?;
        Self::new(wire.profile, wire.work.work()?)
    }
}

impl WireWork {
    fn of(work: &Work) -> Self {
        // Listed heights are below 2^8.
        let log = |shape: &SegmentShape| shape.log_height() as u8;
        match work {
            Work::Leaf { shape, segment } => Self::Leaf {
                log_height: log(shape),
                segment: segment.to_bytes().to_vec(),
            },
            Work::Lift { shape, segment } => Self::Lift {
                log_height: log(shape),
                segment: segment.to_bytes().to_vec(),
            },
            Work::Shrink { shape, statement } => Self::Shrink {
                log_height: log(shape),
                statement: elements(statement),
            },
            Work::Join {
                left,
                right,
                statement,
            } => Self::Join {
                left: *left,
                right: *right,
                statement: elements(statement),
            },
            Work::Close {
                child,
                opening,
                statement,
            } => Self::Close {
                child: *child,
                state: Box::new(opening.state),
                blocks: opening.blocks,
                bytes: opening.bytes,
                statement: elements(statement),
            },
            Work::Wrap { child, statement } => Self::Wrap {
                child: *child,
                statement: elements(statement),
            },
        }
    }

    fn work(self) -> Result<Work, AggregatorError> {
        Ok(match self {
            Self::Leaf {
                log_height,
                segment,
            } => Work::Leaf {
                shape: shape(log_height)?,
                segment: read_segment(&segment)?,
            },
            Self::Lift {
                log_height,
                segment,
            } => Work::Lift {
                shape: shape(log_height)?,
                segment: read_segment(&segment)?,
            },
            Self::Shrink {
                log_height,
                statement,
            } => Work::Shrink {
                shape: shape(log_height)?,
                statement: read_statement(&statement)?,
            },
            Self::Join {
                left,
                right,
                statement,
            } => Work::Join {
                left,
                right,
                statement: read_statement(&statement)?,
            },
            Self::Close {
                child,
                state,
                blocks,
                bytes,
                statement,
            } => Work::Close {
                child,
                opening: KeccakOpening {
                    state: *state,
                    blocks,
                    bytes,
                },
                statement: read_statement(&statement)?,
            },
            Self::Wrap { child, statement } => Work::Wrap {
                child,
                statement: read_statement(&statement)?,
            },
        })
    }
}

fn shape(log_height: u8) -> Result<SegmentShape, AggregatorError> {
    SegmentShape::from_log_height(usize::from(log_height))
        .ok_or_else(|| no_step(format!("height 2^{log_height} is not listed")))
}

fn read_segment(bytes: &[u8]) -> Result<SegmentStatement, AggregatorError> {
    SegmentStatement::from_bytes(bytes).map_err(|error| no_step(error.to_string()))
}

fn elements(statement: &TreeStatement) -> Elements {
    let elements = statement.to_elements();
    elements.iter().map(Val::as_canonical_u32).collect()
}

fn read_statement(found: &[u32]) -> Result<TreeStatement, AggregatorError> {
    let mut elements = [Val::ZERO; STATEMENT_LEN];
    if found.len() != STATEMENT_LEN {
        return Err(no_step("its statement has another length"));
    }
    for (index, (element, &value)) in elements.iter_mut().zip(found).enumerate() {
        if value >= Val::ORDER_U32 {
            return Err(AggregatorError::Encoding { index, value });
        }
        *element = Val::from_u32(value);
    }
    TreeStatement::from_elements(&elements)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use starkwright_prover::machine::keccak::Segmenter;

    use super::*;
    use crate::statement::{close_keccak, leaf_of_keccak};

    /// A step of each kind, for a file of one segment.
    fn steps() -> Vec<Step> {
        let full = SegmentShape::from_capacity(85).unwrap();
        let segment = Segmenter::new([7; 1000].as_slice(), full, [5; 8]).next();
        let segment = segment.unwrap().unwrap().statement;
        let statement = leaf_of_keccak(&segment, &[Val::TWO; 8]).unwrap();
        let opening = KeccakOpening::after(&segment);
        let closed = close_keccak(&statement, &opening, 3, &[Val::ONE; 8]).unwrap();
        let two = TreeStatement { count: 2, ..closed };
        let shape = full;
        let shrink = Child::Shrink { log_leaf: 11 };
        let work = [
            Work::Leaf {
                shape,
                segment: segment.clone(),
            },
            Work::Lift { shape, segment },
            Work::Shrink { shape, statement },
            Work::Join {
                left: shrink,
                right: None,
                statement,
            },
            Work::Join {
                left: Child::Join,
                right: Some(Child::Close),
                statement: two,
            },
            Work::Close {
                child: shrink,
                opening,
                statement: closed,
            },
            Work::Wrap {
                child: Child::Close,
                statement: closed,
            },
        ];
        let step = |work| Step::new(Profile::Proven100, work).unwrap();
        work.into_iter().map(step).collect()
    }

    #[test]
    fn steps_are_read_back() {
        for step in steps() {
            let bytes = step.to_bytes().unwrap();
            assert!(bytes.len() < MAX_STEP_BYTES / 5, "{}", bytes.len());
            assert_eq!(Step::from_bytes(&bytes).unwrap(), step);
            for end in 0..bytes.len() {
                Step::from_bytes(&bytes[..end]).unwrap_err();
            }
            let mut longer = bytes.clone();
            longer.push(0);
            Step::from_bytes(&longer).unwrap_err();
        }
        Step::from_bytes(&[VERSION; MAX_STEP_BYTES + 1]).unwrap_err();
    }

    /// There is one encoding: what is read from changed bytes is another step.
    #[test]
    fn bytes_have_one_meaning() {
        for step in steps() {
            let honest = step.to_bytes().unwrap();
            for at in 0..honest.len() {
                for bit in 0..8 {
                    let mut bytes = honest.clone();
                    bytes[at] ^= 1 << bit;
                    if let Ok(read) = Step::from_bytes(&bytes) {
                        assert_ne!(read, step);
                        assert_eq!(read.to_bytes().unwrap(), bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn a_step_that_contradicts_itself_is_none() {
        let refused = |work: Work| Step::new(Profile::Proven100, work).unwrap_err();
        for step in steps() {
            match step.work().clone() {
                Work::Leaf { shape, mut segment } => {
                    segment.context[3] = Val::ORDER_U32;
                    refused(Work::Leaf {
                        shape,
                        segment: segment.clone(),
                    });
                    segment.context[3] = 0;
                    segment.index = 1;
                    refused(Work::Lift { shape, segment });
                }
                Work::Lift { shape, mut segment } => {
                    segment.blocks_after += 80;
                    segment.bytes_after += 80 * 136;
                    refused(Work::Lift { shape, segment });
                }
                Work::Shrink { shape, statement } => {
                    let statement = TreeStatement {
                        count: 2,
                        ..statement
                    };
                    refused(Work::Shrink { shape, statement });
                }
                Work::Join {
                    left,
                    right: None,
                    statement,
                } => {
                    let child = |log_leaf| Child::Shrink { log_leaf };
                    for (left, right) in
                        [(left, Some(left)), (child(12), None), (Child::Close, None)]
                    {
                        refused(Work::Join {
                            left,
                            right,
                            statement,
                        });
                    }
                }
                Work::Join { statement, .. } => {
                    for (left, right) in [
                        (Child::Close, None),
                        (Child::Close, Some(Child::Shrink { log_leaf: 11 })),
                    ] {
                        refused(Work::Join {
                            left,
                            right,
                            statement,
                        });
                    }
                }
                Work::Close {
                    child,
                    opening,
                    statement,
                } => {
                    let mut other = opening;
                    other.bytes += 1;
                    refused(Work::Close {
                        child,
                        opening: other,
                        statement,
                    });
                    refused(Work::Close {
                        child: Child::Close,
                        opening,
                        statement,
                    });
                }
                Work::Wrap { statement, .. } => {
                    for (child, count) in [(Child::Shrink { log_leaf: 11 }, 1), (Child::Close, 2)] {
                        let statement = TreeStatement { count, ..statement };
                        refused(Work::Wrap { child, statement });
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>) {
            let _ = Step::from_bytes(&bytes);
            bytes.insert(0, VERSION);
            let _ = Step::from_bytes(&bytes);
        }

        /// Beginnings that are steps', so that parsing comes further.
        #[test]
        fn spliced_steps_are_read_or_refused(
            which in 0..7_usize, at in 0..600_usize, cut in 0..40_usize, with: Vec<u8>,
        ) {
            let mut bytes = steps()[which].to_bytes().unwrap();
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, with);
            if let Ok(step) = Step::from_bytes(&bytes) {
                prop_assert_eq!(step.to_bytes().unwrap(), bytes);
            }
        }
    }
}
