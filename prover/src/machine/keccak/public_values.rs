//! Layout of the sponge table's public values: the statement of one segment.
//!
//! Every 64-bit quantity is four 16-bit limbs, least significant first; a state is its 25 lanes in
//! order `x + 5y`, each of four limbs. Limbs are field elements below 2^16, which the constraints
//! enforce. The Keccak-f table has no public values.
//!
//! | index | value |
//! |---|---|
//! | 0, 1 | machine id, version |
//! | 2..10 | context |
//! | 10..14 | index of the segment |
//! | 14..114 | state before |
//! | 114..214 | state after |
//! | 214..218, 218..222 | blocks absorbed before, after |
//! | 222..226, 226..230 | bytes absorbed before, after |
//! | 230, 231 | first, last |
//!
//! When `last` is 1 the digest is the first four lanes of the state after: limbs 114..130.

use super::sponge_columns::{LIMBS, STATE_LIMBS};

/// Elements of a context.
pub const CONTEXT_LEN: usize = 8;

/// Machine id.
pub const ID: usize = 0;
/// Machine version.
pub const VERSION: usize = 1;
/// Context, [`CONTEXT_LEN`] elements.
pub const CONTEXT: usize = 2;
/// Index of the segment.
pub const INDEX: usize = CONTEXT + CONTEXT_LEN;
/// State before the segment.
pub const STATE_BEFORE: usize = INDEX + LIMBS;
/// State after the segment.
pub const STATE_AFTER: usize = STATE_BEFORE + STATE_LIMBS;
/// Blocks absorbed before the segment.
pub const BLOCKS_BEFORE: usize = STATE_AFTER + STATE_LIMBS;
/// Blocks absorbed after the segment.
pub const BLOCKS_AFTER: usize = BLOCKS_BEFORE + LIMBS;
/// Message bytes absorbed before the segment.
pub const BYTES_BEFORE: usize = BLOCKS_AFTER + LIMBS;
/// Message bytes absorbed after the segment.
pub const BYTES_AFTER: usize = BYTES_BEFORE + LIMBS;
/// 1 when the segment begins the file.
pub const FIRST: usize = BYTES_AFTER + LIMBS;
/// 1 when the segment ends the file.
pub const LAST: usize = FIRST + 1;
/// Number of public values of the sponge table.
pub const NUM_PUBLIC_VALUES: usize = LAST + 1;
