//! What the module's documentation says of widths, degrees, counts and the bus.

use p3_air::BaseAir;
use p3_air::symbolic::AirLayout;
use p3_batch_stark::symbolic::get_symbolic_constraints;
use p3_field::extension::BinomialExtensionField;
use p3_koala_bear::KoalaBear;
use p3_lookup::logup::LogUpGadget;
use p3_lookup::{
    InteractionSymbolicBuilder, Kind, LookupProtocol, Lookups, check_bus_widths,
    check_multiplicity_height_bound,
};
use starkwright_prover::machine::check::evaluate_row;
use starkwright_prover::machine::keccak::sponge_air::CONSTRAINTS;
use starkwright_prover::machine::keccak::sponge_columns::{SPONGE_COLUMNS, SPONGE_WIDTH};
use starkwright_prover::machine::keccak::{BUS, KeccakMachine, KeccakTable, LOG_HEIGHTS};
use starkwright_prover::machine::{ConstraintNames, Machine};

use crate::{segments, trace};

type F = KoalaBear;
type EF = BinomialExtensionField<F, 4>;

fn lookups(table: KeccakTable) -> Lookups<F> {
    Lookups::from_air::<EF, _>(&table)
}

#[test]
fn widths_and_columns() {
    let width = |table: KeccakTable| BaseAir::<F>::width(&table);
    assert_eq!(width(KeccakTable::Permutation), 2633);
    assert_eq!(width(KeccakTable::Sponge), 266);
    let mut end = 0;
    for group in SPONGE_COLUMNS {
        assert_eq!(group.columns.start, end, "{}", group.name);
        end = group.columns.end;
    }
    assert_eq!(end, SPONGE_WIDTH);
    assert_eq!(KeccakMachine::tables(), KeccakTable::ALL);
}

#[test]
fn constraints_have_degree_three_at_most() {
    for (table, count) in [(KeccakTable::Permutation, 3182), (KeccakTable::Sponge, 728)] {
        let lookups = lookups(table);
        let layout = AirLayout::from_air::<F>(&table);
        let (base, _) =
            get_symbolic_constraints::<F, EF, _, _>(&table, layout, &lookups, &LogUpGadget::new());
        let degree = base
            .iter()
            .map(|constraint| constraint.degree_multiple())
            .max();
        assert_eq!(degree, Some(3), "{table:?}");
        assert_eq!(base.len(), count, "{table:?}");
        assert_eq!(lookups.len(), 1);
        assert_eq!(
            LogUpGadget::new().constraint_degree(&lookups[0]),
            2,
            "{table:?}"
        );
    }
}

#[test]
fn constraint_names_cover_the_sponge_table() {
    let size: usize = CONSTRAINTS.iter().map(|(_, size)| size).sum();
    let trace = trace::<F>(&segments(b"abc")[0]);
    assert_eq!(evaluate_row(&trace.tables()[1], 0).constraints, size);
    assert_eq!(KeccakTable::Sponge.constraint_name(0), "row in block");
    assert_eq!(KeccakTable::Sponge.constraint_name(size - 1), "totals");
    assert_eq!(
        KeccakTable::Sponge.constraint_name(size),
        "no such constraint"
    );
}

/// One bus, tuples of 200 plain columns, and the query side alone bounded, to one a row.
#[test]
fn one_bus_of_equal_width() {
    let all = KeccakTable::ALL.map(lookups);
    assert_eq!(check_bus_widths(&all).unwrap(), 200);
    for (lookups, weight) in all.iter().zip([0, 1]) {
        assert_eq!(lookups[0].kind, Kind::Global(BUS.to_owned()));
        assert_eq!(lookups[0].count_weight, weight);
        assert!(
            lookups[0].elements[0]
                .iter()
                .all(|field| field.degree_multiple() == 1)
        );
    }
    for log_height in LOG_HEIGHTS {
        check_multiplicity_height_bound(&all, &[1 << log_height; 2]).unwrap();
    }
    // The builder that records interactions is the one p3 uses for its keys.
    let mut builder =
        InteractionSymbolicBuilder::<F, EF>::new(AirLayout::from_air::<F>(&KeccakTable::Sponge));
    p3_air::Air::eval(&KeccakTable::Sponge, &mut builder);
    assert_eq!(builder.global_interactions().len(), 1);
}
