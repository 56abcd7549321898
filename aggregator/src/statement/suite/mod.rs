//! Cases of every rule, as data, for native code and circuits alike.
//!
//! A case has the inputs of one operation, as the field elements that a circuit takes, and what must
//! come of it: a statement, or the broken [`Rule`](super::Rule). Whoever runs them, natively or by a circuit's
//! constraints, must agree with all of them; a circuit may leave out cases whose rule
//! [`Rule::is_inductive`](super::Rule::is_inductive).
//!
//! Cases of equality exist for every element compared, since a circuit compares each on its own, and
//! cases of the canonical tree for every size.

mod close;
mod join;

pub use close::{CloseCase, close_cases};
pub use join::{JoinCase, join_cases};

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;

use super::hash::{hash, limbs};
use super::{Digest, Level, STATEMENT_LEN, TreeStatement};
use crate::tree::Interval;

/// The elements of a statement, true or not.
pub type Elements = [KoalaBear; STATEMENT_LEN];

/// A statement about these segments in a job without a beginning or an end: those of neighbours
/// chain. Its digests are the hashes of nothing.
#[must_use]
pub fn sample(leaves: Interval) -> TreeStatement {
    let state = |index: u64| digest(1, index);
    TreeStatement {
        level: Level::Segments,
        context: digest(2, 0),
        begin: state(leaves.first()),
        end: state(leaves.first().wrapping_add(leaves.count())),
        list: digest(3, leaves.first()),
        first_index: leaves.first(),
        count: leaves.count(),
        first: false,
        last: false,
        allowed_root: digest(4, 0),
    }
}

fn set(elements: &mut Elements, index: usize, value: u32) {
    elements[index] = KoalaBear::from_u32(value);
}

/// Some digest for a purpose and an index.
fn digest(purpose: u32, index: u64) -> Digest {
    let [a, b, c, d] = limbs(index);
    hash(&[KoalaBear::from_u32(purpose), a, b, c, d])
}
