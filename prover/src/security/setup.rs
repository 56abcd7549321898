//! Checks on the lookups of a set of AIRs, made once when keys are set up.
//!
//! The lookup argument proves an identity of multisets in which counts are field elements. That means what it says
//! only if messages of one bus are equally wide (a shorter one is a longer one padded with zeros), if the counts of all
//! rows together stay below the characteristic, and if the per-row bound that each count declares is enforced by
//! constraints. p3 offers the first as `check_bus_widths`, which p3-batch-stark does not call, and enforces the second
//! in prover and verifier; the third is left to the author of the AIR and checked here ([`bounds`](super::bounds)).

use std::fmt;

use p3_air::symbolic::{AirLayout, SymbolicExpression};
use p3_air::{Air, BaseAir};
use p3_field::{ExtensionField, PrimeField64};
use p3_lookup::{
    InteractionSymbolicBuilder, LookupError, Lookups, check_bus_widths,
    check_multiplicity_height_bound,
};

use super::bounds::Ranges;

/// Why the lookups of a set of AIRs are refused.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// One of p3's own checks failed: unequal widths on a bus, or counts that could wrap around the field.
    #[error("lookups are not sound: {0}")]
    Lookup(#[from] LookupError),

    /// The tuples of one local lookup have unequal widths.
    #[error("table {table}: the tuples of a local lookup have widths {first} and {other}")]
    LocalWidths {
        /// Index of the AIR.
        table: usize,
        /// Width of the first tuple.
        first: usize,
        /// A width that differs from it.
        other: usize,
    },

    /// Counts whose declared bounds no constraint enforces, as far as can be seen here.
    #[error(
        "{}; where the bounds follow from constraints together, set up with open counts",
        open.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    OpenCounts {
        /// What is open.
        open: Vec<OpenCount>,
    },

    /// The lists handed in do not match.
    #[error("{airs} AIRs but {heights} heights")]
    Mismatch {
        /// Number of AIRs.
        airs: usize,
        /// Number of heights.
        heights: usize,
    },
}

/// A count whose declared bound was not found among the constraints.
///
/// Either a constraint is missing and the lookup is unsound, or the bound follows from constraints together (flags that
/// rotate from row to row, say) and its author must argue it. Our own machines have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCount {
    /// Index of the AIR.
    pub table: usize,
    /// The bus, or `local`.
    pub bus: String,
    /// The bound declared: at most this much per row, in magnitude.
    pub weight: u32,
    /// What was found instead.
    pub why: String,
}

impl fmt::Display for OpenCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "table {}, bus {:?}: a count is declared to be at most {} per row, but {}; constrain it on every row, for \
             example by assert_bool",
            self.table, self.bus, self.weight, self.why
        )
    }
}

/// Checks the lookups of `airs`, proven together at `2^log_heights[i]` rows each.
///
/// Refuses unequal widths on a bus or in a local lookup, and counts whose sum reaches the characteristic. Returns the
/// bounded counts for which no constraint was found: none for a machine of ours; a foreign AIR with one is refused unless
/// its author answers for it ([`BatchProver::setup_with_open_counts`](crate::prove::BatchProver::setup_with_open_counts)).
/// A provided entry (weight 0) needs no bound: its count may be any number, and the sum of what is asked of it is
/// what the height bound limits.
pub fn check_setup<F, EF, A>(
    airs: &[A],
    log_heights: &[usize],
) -> Result<Vec<OpenCount>, SetupError>
where
    F: PrimeField64,
    EF: ExtensionField<F>,
    A: Air<InteractionSymbolicBuilder<F, EF>>,
{
    if airs.len() != log_heights.len() {
        return Err(SetupError::Mismatch {
            airs: airs.len(),
            heights: log_heights.len(),
        });
    }
    let mut lookups = Vec::with_capacity(airs.len());
    let mut open = Vec::new();
    for (table, air) in airs.iter().enumerate() {
        let symbolic = InteractionSymbolicBuilder::<F, EF>::from_air(air, AirLayout::from_air(air));
        check_local_widths(table, &symbolic)?;
        open.extend(open_counts(table, air, &symbolic));
        lookups.push(Lookups::from_air::<EF, A>(air));
    }
    check_bus_widths(&lookups)?;
    let heights: Vec<usize> = log_heights
        .iter()
        .map(|&log| 1usize.checked_shl(log as u32).unwrap_or(usize::MAX))
        .collect();
    check_multiplicity_height_bound(&lookups, &heights)?;
    Ok(open)
}

/// `Lookups::from_air` panics on unequal widths within a local lookup; this comes first and returns an error.
fn check_local_widths<F, EF>(
    table: usize,
    symbolic: &InteractionSymbolicBuilder<F, EF>,
) -> Result<(), SetupError>
where
    F: PrimeField64,
    EF: ExtensionField<F>,
{
    for local in symbolic.local_interactions() {
        let mut widths = local.tuples.iter().map(|(fields, _)| fields.len());
        let first = widths.next().unwrap_or(0);
        if let Some(other) = widths.find(|&width| width != first) {
            return Err(SetupError::LocalWidths {
                table,
                first,
                other,
            });
        }
    }
    Ok(())
}

fn open_counts<F, EF, A>(
    table: usize,
    air: &A,
    symbolic: &InteractionSymbolicBuilder<F, EF>,
) -> Vec<OpenCount>
where
    F: PrimeField64,
    EF: ExtensionField<F>,
    A: BaseAir<F>,
{
    let constraints = symbolic.base_constraints();
    let locals: Vec<(SymbolicExpression<F>, u32)> = symbolic
        .local_interactions()
        .iter()
        .flat_map(|local| {
            local
                .tuples
                .iter()
                .map(|(_, count)| count.clone().into_parts())
        })
        .collect();
    // A flag sum is a new expression; it lives as long as the ranges that look at it.
    let flag_sums: Vec<SymbolicExpression<F>> = symbolic
        .exclusive_interactions()
        .iter()
        .map(|group| {
            group
                .branches
                .iter()
                .map(|branch| branch.flag.clone())
                .sum()
        })
        .collect();
    let mut ranges = Ranges::new(air, &constraints);
    let mut open = Vec::new();

    for global in symbolic.global_interactions() {
        let why = unbounded(&mut ranges, &global.count, global.count_weight);
        open.extend(why.map(|why| (global.bus_name.as_str(), global.count_weight, why)));
    }
    for (count, weight) in &locals {
        open.extend(unbounded(&mut ranges, count, *weight).map(|why| ("local", *weight, why)));
    }
    for (group, sum) in symbolic.exclusive_interactions().iter().zip(&flag_sums) {
        // One branch fires per row at most, so its own count is what a row contributes.
        let flags = group
            .branches
            .iter()
            .map(|branch| &branch.flag)
            .chain([sum]);
        for flag in flags {
            let why = unbounded(&mut ranges, flag, 1);
            open.extend(why.map(|why| {
                (
                    group.bus_name.as_str(),
                    1,
                    format!("as a flag or sum of flags {why}"),
                )
            }));
        }
        for branch in &group.branches {
            let why = unbounded(&mut ranges, &branch.count, branch.count_weight);
            open.extend(why.map(|why| (group.bus_name.as_str(), branch.count_weight, why)));
        }
    }
    open.into_iter()
        .map(|(bus, weight, why)| OpenCount {
            table,
            bus: bus.to_owned(),
            weight,
            why,
        })
        .collect()
}

/// Why `count` is not seen to be at most `weight` in magnitude, or `None` where it is.
fn unbounded<'a, F: PrimeField64>(
    ranges: &mut Ranges<'a, F>,
    count: &'a SymbolicExpression<F>,
    weight: u32,
) -> Option<String> {
    if weight == 0 {
        return None;
    }
    match ranges.interval(count) {
        Some((low, high)) if low.unsigned_abs().max(high.unsigned_abs()) <= u64::from(weight) => {
            None
        }
        Some((low, high)) => Some(format!("its constraints allow {low}..={high}")),
        None => Some("no constraint that bounds it on every row was found".to_owned()),
    }
}
