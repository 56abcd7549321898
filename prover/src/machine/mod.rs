//! Machines: sets of tables that prove one kind of statement.
//!
//! A [`Machine`] is an identity (id and version), the tables that a `p3-batch-stark` proof of it
//! consists of, the few heights those tables may have, and the public values that a statement puts
//! on them. A verifier takes all of it from this code and nothing from a proof: a proof that
//! declares another height, width or id is refused by whoever compares with these constants.
//!
//! A long job is proven in *segments*: each proof covers one segment and its statement names the
//! state before and after, so that neighbours chain and an aggregator can join them.
//!
//! | module | holds |
//! |---|---|
//! | [`keccak`] | the Keccak-256 machine: bytes with a given digest and length |
//! | [`check`] | a row-by-row evaluator of constraints and lookups, for tests and diagnosis |

use p3_field::PrimeField32;

pub mod check;
pub mod keccak;

/// What proves one kind of statement: an identity, tables, heights, and the statement's form.
pub trait Machine {
    /// Name for people and for command lines.
    const NAME: &'static str;
    /// Identity of the machine: the first public value of its proofs, below every supported field's
    /// modulus.
    const ID: u32;
    /// Version of tables, constraints and statement together; any change to one of them raises it.
    const VERSION: u32;

    /// One table: an AIR that `p3-batch-stark` proves.
    type Table: ConstraintNames + Clone;
    /// What one proof states.
    type Statement;
    /// Why a statement cannot be stated.
    type StatementError: core::error::Error;

    /// The tables, in the order in which a proof holds them.
    fn tables() -> Vec<Self::Table>;

    /// Base-2 logarithms of the heights a table may have, ascending. All tables of one proof have
    /// the same height.
    fn log_heights() -> &'static [usize];

    /// Public values per table, in the order of [`Machine::tables`].
    ///
    /// # Errors
    /// When the statement contradicts itself or does not fit the field.
    fn public_values<F: PrimeField32>(
        statement: &Self::Statement,
    ) -> Result<Vec<Vec<F>>, Self::StatementError>;
}

/// A table that can name its constraints, so that a violation can be read.
pub trait ConstraintNames {
    /// Name of the table.
    fn table_name(&self) -> &'static str;

    /// Name of the group that holds the constraint with this index, counted from 0 in the order in
    /// which the AIR asserts them.
    fn constraint_name(&self, index: usize) -> &'static str;
}
