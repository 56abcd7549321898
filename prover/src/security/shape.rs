//! The shape of a table, read off its AIR by p3's symbolic evaluation.

use p3_air::Air;
use p3_air::symbolic::{AirLayout, SymbolicExpressionExt};
use p3_batch_stark::symbolic::{
    get_log_num_quotient_chunks, get_max_constraint_degree, get_symbolic_constraints,
};
use p3_field::{Algebra, ExtensionField, Field};
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookups};
use serde::{Deserialize, Serialize};

/// What the security of a proof depends on, for one table of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableShape {
    /// `log2` of the number of rows.
    pub log_height: usize,
    /// Columns of the main trace.
    pub width: usize,
    /// Whether a constraint reads the next row of the main trace.
    pub next_row: bool,
    /// Preprocessed columns.
    pub preprocessed_width: usize,
    /// Whether a constraint reads the next row of the preprocessed trace.
    pub preprocessed_next_row: bool,
    /// Constraints combined by one challenge, those of the lookups included.
    pub num_constraints: usize,
    /// The largest degree of a constraint, as a multiple of the trace's degree.
    pub max_constraint_degree: usize,
    /// Committed quotient chunks.
    pub num_quotient_chunks: usize,
    /// Fraction columns of the lookup argument, after packing.
    pub num_lookups: usize,
    /// Messages sent or received per row: the denominators of the lookup argument.
    pub num_interactions: usize,
    /// Field elements in the widest message.
    pub max_message_width: usize,
}

impl TableShape {
    /// The shape of `air` at `2^log_height` rows.
    ///
    /// `lookups` are the packed ones of p3's `CommonData`. Before those exist, use [`Self::from_air`].
    pub fn new<F, EF, A>(air: &A, log_height: usize, lookups: &Lookups<F>) -> Self
    where
        F: Field,
        EF: ExtensionField<F>,
        A: Air<InteractionSymbolicBuilder<F, EF>>,
        SymbolicExpressionExt<F, EF>: Algebra<EF>,
    {
        let layout = AirLayout::from_air(air);
        let gadget = LogUpGadget::new();
        let height = 1usize << log_height;
        let (base, extension) =
            get_symbolic_constraints::<F, EF, A, _>(air, layout, lookups, &gadget);
        let degree =
            get_max_constraint_degree::<F, EF, A, _>(air, layout, height, lookups, &gadget);
        let log_chunks =
            get_log_num_quotient_chunks::<F, EF, A, _>(air, layout, height, lookups, 0, &gadget);
        Self {
            log_height,
            width: layout.main_width,
            next_row: !air.main_next_row_columns().is_empty(),
            preprocessed_width: layout.preprocessed_width,
            preprocessed_next_row: !air.preprocessed_next_row_columns().is_empty(),
            num_constraints: base.len() + extension.len(),
            max_constraint_degree: degree.max(air.max_constraint_degree().unwrap_or(0)).max(1),
            num_quotient_chunks: 1 << log_chunks,
            num_lookups: lookups.len(),
            num_interactions: lookups.iter().map(|lookup| lookup.elements.len()).sum(),
            max_message_width: lookups
                .iter()
                .flat_map(|lookup| lookup.elements.iter().map(Vec::len))
                .max()
                .unwrap_or(0),
        }
    }

    /// The shape of `air` at `2^log_height` rows, with its lookups packed as `ProverData::from_airs_and_degrees` does:
    /// several messages of one bus share a fraction column as long as the quotient keeps its number of chunks.
    pub fn from_air<F, EF, A>(air: &A, log_height: usize) -> Self
    where
        F: Field,
        EF: ExtensionField<F>,
        A: Air<InteractionSymbolicBuilder<F, EF>>,
        SymbolicExpressionExt<F, EF>: Algebra<EF>,
    {
        let (packed, _) = pack_lookups::<F, EF, A>(air, log_height);
        Self::new::<F, EF, A>(air, log_height, &packed)
    }
}

/// An AIR's lookups, packed as p3's `CommonData::from_airs_and_degrees` does, and the base-2 logarithm of the number of
/// quotient chunks.
pub fn pack_lookups<F, EF, A>(air: &A, log_height: usize) -> (Lookups<F>, usize)
where
    F: Field,
    EF: ExtensionField<F>,
    A: Air<InteractionSymbolicBuilder<F, EF>>,
    SymbolicExpressionExt<F, EF>: Algebra<EF>,
{
    let gadget = LogUpGadget::new();
    let unpacked = Lookups::from_air::<EF, A>(air);
    let log_chunks = get_log_num_quotient_chunks::<F, EF, A, _>(
        air,
        AirLayout::from_air(air),
        1 << log_height,
        &unpacked,
        0,
        &gadget,
    );
    let packed = unpacked.pack_same_bus(&gadget, (1 << log_chunks) + 1);
    (packed, log_chunks)
}
