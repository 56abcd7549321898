//! The encoding of a tree statement as field elements: also its public values.
//!
//! Numbers are four 16-bit limbs, least significant first. Digests fill whole blocks of eight.
//!
//! | index | value |
//! |---|---|
//! | 0 | the tag `TREE` |
//! | 1 | level: 0 segments, 1 items |
//! | 2, 3 | first, last |
//! | 4..8 | first index |
//! | 8..16 | context |
//! | 16..24 | begin |
//! | 24..32 | end |
//! | 32..40 | list digest |
//! | 40..48 | root of allowed keys |
//! | 48..52 | count |
//! | 52..56 | zeros, so that whole blocks are hashed |

/// The tag.
pub const TAG: usize = 0;
/// Level.
pub const LEVEL: usize = 1;
/// First flag.
pub const FIRST: usize = 2;
/// Last flag.
pub const LAST: usize = 3;
/// First index.
pub const FIRST_INDEX: usize = 4;
/// Context.
pub const CONTEXT: usize = 8;
/// Begin.
pub const BEGIN: usize = 16;
/// End.
pub const END: usize = 24;
/// List digest.
pub const LIST: usize = 32;
/// Root of allowed keys.
pub const ALLOWED_ROOT: usize = 40;
/// Count.
pub const COUNT: usize = 48;
/// Zeros up to the end.
pub const PADDING: usize = 52;
/// Number of elements.
pub const STATEMENT_LEN: usize = 56;
