//! Ratings against p3's own composition, refusals, and the set-up checks on small AIRs.

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_baby_bear::BabyBear;
use p3_field::PrimeCharacteristicRing;
use p3_field::extension::QuinticTrinomialExtensionField;
use p3_koala_bear::KoalaBear;
use p3_lookup::{Count, InteractionBuilder, LookupError};
use p3_matrix::dense::RowMajorMatrix;
use p3_security::logup::{self, LOGUP_LABEL, LogUpAir};
use p3_security::report::{
    ALI_LABEL, BATCH_LABEL, COLLISION_LABEL, DEEP_LABEL, LDT_COMMIT_LABEL, LDT_QUERY_LABEL,
};
use p3_security::stark::{conjectured_security_report, proven_security_report};
use proptest::prelude::*;

use super::*;

type F = KoalaBear;
type EF = QuinticTrinomialExtensionField<F>;

fn poseidon2() -> Arithmetic {
    Arithmetic::new::<F>(CommitmentHash::Poseidon2)
}

/// A table about as wide as one Keccak-f permutation.
fn wide(log_height: usize) -> TableShape {
    TableShape {
        log_height,
        width: 2633,
        next_row: true,
        preprocessed_width: 0,
        preprocessed_next_row: false,
        num_constraints: 3200,
        max_constraint_degree: 3,
        num_quotient_chunks: 2,
        num_lookups: 1,
        num_interactions: 1,
        max_message_width: 200,
    }
}

fn arbitrary_table() -> impl Strategy<Value = TableShape> {
    (
        4usize..20,
        1usize..3000,
        any::<bool>(),
        0usize..50,
        1usize..4000,
        1usize..6,
        0usize..6,
        1usize..200,
    )
        .prop_map(
            |(
                log_height,
                width,
                next_row,
                preprocessed_width,
                num_constraints,
                degree,
                lookups,
                message,
            )| TableShape {
                log_height,
                width,
                next_row,
                preprocessed_width,
                preprocessed_next_row: next_row,
                num_constraints,
                max_constraint_degree: degree,
                num_quotient_chunks: (degree.max(2) - 1).next_power_of_two(),
                num_lookups: lookups,
                num_interactions: lookups,
                max_message_width: if lookups == 0 { 0 } else { message },
            },
        )
}

fn arbitrary_parameters() -> impl Strategy<Value = LeafParameters> {
    let bits = || 0usize..24;
    (
        prop_oneof![Just(4usize), Just(5)],
        2usize..5,
        1usize..250,
        1usize..5,
        [bits(), bits(), bits(), bits(), bits()],
    )
        .prop_map(
            |(extension_degree, log_blowup, num_queries, max_log_arity, pow)| LeafParameters {
                extension_degree,
                log_blowup,
                num_queries,
                log_final_poly_len: 3,
                max_log_arity,
                cap_height: 0,
                lookup_pow_bits: pow[0],
                ood_pow_bits: pow[1],
                batch_pow_bits: pow[2],
                commit_pow_bits: pow[3],
                query_pow_bits: pow[4],
            },
        )
}

/// p3's composition for one table: conjectured bits, proven bits.
fn by_p3(params: &LeafParameters, arithmetic: &Arithmetic, table: &TableShape) -> (f64, f64) {
    let tables = [*table];
    let batch = Batch::new(params, arithmetic, &tables);
    let air = batch.air_params(0);
    let sites = params.grinding_sites();
    let lookup = LogUpAir {
        num_interactions: table.num_interactions,
        max_message_width: table.max_message_width,
    };
    let extras: Vec<_> = logup::security_term(&lookup, &batch.tallest, &sites)
        .into_iter()
        .collect();
    let fri = params.fri_regime();
    (
        conjectured_security_report(&fri, &air, &batch.tallest, &extras, &sites).security_bits(),
        proven_security_report(&fri, &air, &batch.tallest, &extras, &sites).security_bits(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// For one table we are p3's composition, apart from the fraction of a bit of collision resistance that p3 cuts
    /// off, and from the list size of the lookups and its square out of the domain, which can only lower a proven rating.
    #[test]
    fn one_table_is_rated_as_p3_does(params in arbitrary_parameters(), table in arbitrary_table()) {
        let arithmetic = Arithmetic { collision_bits: 123.0, ..poseidon2() };
        let rated = |analysis| rate(&params, analysis, 0.0, &arithmetic, &[table]);
        let (conjectured, proven) = by_p3(&params, &arithmetic, &table);
        if let Ok(ours) = rated(Analysis::Conjectured) {
            prop_assert!((ours.bits - conjectured).abs() < 1e-9, "{} {conjectured}", ours.bits);
        }
        if let Ok(ours) = rated(Analysis::Proven) {
            prop_assert!(ours.bits < proven + 1e-9, "{} {proven}", ours.bits);
        }
        // With those two terms out of the way nothing is left that we charge and p3 does not.
        let params = LeafParameters { ood_pow_bits: 100, lookup_pow_bits: 100, ..params };
        let (_, proven) = by_p3(&params, &arithmetic, &table);
        if let Ok(ours) = rate(&params, Analysis::Proven, 0.0, &arithmetic, &[table]) {
            prop_assert!((ours.bits - proven).abs() < 1e-9, "{} {proven}", ours.bits);
        }
    }

    /// Adding a table, a column or a message never raises a rating; a query or a bit of grinding never lowers it.
    #[test]
    fn ratings_are_monotone(
        params in arbitrary_parameters(),
        table in arbitrary_table(),
        other in arbitrary_table(),
        proven in any::<bool>(),
    ) {
        let analysis = if proven { Analysis::Proven } else { Analysis::Conjectured };
        let bits = |params: &LeafParameters, tables: &[TableShape]| {
            rate(params, analysis, 0.0, &poseidon2(), tables).map(|security| security.bits)
        };
        if let (Ok(alone), Ok(together)) = (bits(&params, &[table]), bits(&params, &[table, other])) {
            prop_assert!(together <= alone + 1e-9);
            for stronger in [
                LeafParameters { num_queries: params.num_queries + 1, ..params },
                LeafParameters { batch_pow_bits: params.batch_pow_bits + 1, ..params },
                LeafParameters { commit_pow_bits: params.commit_pow_bits + 1, ..params },
                LeafParameters { query_pow_bits: params.query_pow_bits + 1, ..params },
                LeafParameters { ood_pow_bits: params.ood_pow_bits + 1, ..params },
                LeafParameters { lookup_pow_bits: params.lookup_pow_bits + 1, ..params },
            ] {
                prop_assert!(bits(&stronger, &[table, other]).unwrap() >= together - 1e-9);
            }
            let wider = TableShape { width: table.width + 100, ..table };
            prop_assert!(bits(&params, &[wider]).unwrap() <= alone + 1e-9);
        }
    }
}

/// The design's table of queries (degree 5, 16 bits of query grinding only, one proof): 85 at blow-up 4 and 57 at
/// blow-up 8 for about 9,900 openings. It counted 155 bits for the field where we count 154.
#[test]
fn queries_agree_with_the_designs_figures() {
    let table = TableShape {
        width: 4900,
        num_lookups: 2,
        num_interactions: 2,
        ..wide(11)
    };
    for (log_blowup, queries) in [(2, 85), (3, 57)] {
        let bits = |num_queries| {
            let params = LeafParameters {
                log_blowup,
                num_queries,
                batch_pow_bits: 0,
                commit_pow_bits: 0,
                ..Profile::Proven100.leaf()
            };
            rate(&params, Analysis::Proven, 0.0, &poseidon2(), &[table])
                .unwrap()
                .bits
        };
        assert!(bits(queries) >= 100.0, "{}", bits(queries));
        assert!(bits(queries - 1) < 100.0, "{}", bits(queries - 1));
    }
}

/// Terms of one batch computed by hand from the formulas in the documentation of `p3-security`.
#[test]
fn conjectured_terms_are_the_documented_formulas() {
    let params = Profile::Conjectured100.leaf();
    let tables = [
        wide(15),
        TableShape {
            width: 300,
            num_constraints: 800,
            ..wide(15)
        },
    ];
    let security = rate(&params, Analysis::Conjectured, 0.0, &poseidon2(), &tables).unwrap();
    // Two points for the trace (2933 columns) and the lookups (2 of degree 4 each), one for 2 chunks of degree 4 each.
    let openings = 2.0 * 2933.0 + 2.0 * 2.0 * 2.0 * 4.0 + 2.0 * 2.0 * 4.0;
    let n = 2f64.powi(15);
    let expected = [
        (LOGUP_LABEL, 123.0 - (2.0 * n * 202.0).log2() + 8.0),
        (ALI_LABEL, 123.0 - 4000f64.log2()),
        (
            DEEP_LABEL,
            123.0 - (2.0 * (3.0 * (n + 1.0) + n - 1.0)).log2(),
        ),
        (
            BATCH_LABEL,
            123.0 - (4.0 * n * (openings - 1.0)).log2() + 12.0,
        ),
        (
            LDT_QUERY_LABEL,
            16.0 - 43.0 * (0.25 + (4.0 * std::f64::consts::E).log2() * 0.25 / 123.0).log2(),
        ),
        (
            LDT_COMMIT_LABEL,
            123.0 - (7.0 * (4.0 * n + 1.0)).log2() + 4.0,
        ),
        (COLLISION_LABEL, 4.0 * 2_130_706_433f64.log2()),
    ];
    assert_eq!(security.terms.len(), expected.len());
    for (term, (label, bits)) in security.terms.iter().zip(expected) {
        assert_eq!(term.label, label);
        assert!(
            (term.bits - bits).abs() < 1e-6,
            "{label}: {} {bits}",
            term.bits
        );
    }
}

/// In every regime lookups and constraints pay the same list: relative to unique decoding both lose its logarithm.
#[test]
fn lookups_pay_the_list_size() {
    let params = Profile::Proven100.leaf();
    let tables = [wide(11), wide(13)];
    let arithmetic = poseidon2();
    let batch = Batch::new(&params, &arithmetic, &tables);
    let bits = |terms: &[Term], label: &str| {
        let term = terms.iter().find(|term| term.label == label).unwrap();
        term.bits
    };
    let regimes = batch.proven();
    let (_, unique) = regimes
        .iter()
        .find(|(regime, _)| *regime == Regime::UniqueDecoding)
        .unwrap();
    let mut lists = 0;
    for (regime, terms) in &regimes {
        let Regime::ListDecoding { m } = regime else {
            continue;
        };
        // L = (m + 1/2) / sqrt(rho), with rate 1/4.
        let list = (2.0 * (*m as f64 + 0.5)).log2();
        for label in [LOGUP_LABEL, ALI_LABEL] {
            let lost = bits(unique, label) - bits(terms, label);
            assert!(
                (lost - list).abs() < 1e-9,
                "{label}, m = {m}: {lost} {list}"
            );
        }
        lists += 1;
    }
    assert!(lists > 0);
}

/// A synthetic count: nobody proves 2^16 segments here.
#[test]
fn the_margin_covers_2_to_the_16_proofs_and_no_more() {
    require_count(Profile::Proven100, 1 << 16).unwrap();
    match require_count(Profile::Proven100, (1 << 16) + 1) {
        Err(error @ SecurityError::TooManyProofs { .. }) => {
            assert!(error.to_string().contains("longer segments"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    // Its bits are those of each proof alone.
    require_count(Profile::Conjectured100, u64::MAX).unwrap();
}

#[test]
fn bits_are_printed_rounded_down() {
    for (bits, printed) in [
        (99.99, "99.9"),
        (100.0, "100.0"),
        (100.06, "100.0"),
        (-0.01, "-0.1"),
    ] {
        assert_eq!(Bits(bits).to_string(), printed);
    }
    let error = SecurityError::BelowProfile {
        profile: Profile::Proven100,
        bits: 99.96,
        needed: 100.0,
        binding_term: "x",
    };
    assert!(error.to_string().contains("99.9 of 100"), "{error}");
}

#[test]
fn the_margin_is_taken_off_and_reported() {
    let tables = [wide(11)];
    let security = require(Profile::Proven100, &poseidon2(), &tables).unwrap();
    assert_eq!(security.margin_bits, 16.0);
    let weakest = security
        .terms
        .iter()
        .map(|term| term.bits)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(security.bits, weakest - 16.0);
    let binding = security
        .terms
        .iter()
        .find(|term| term.label == security.binding_term)
        .unwrap();
    assert_eq!(binding.bits, weakest);
}

#[test]
fn keccak_digests_collide_at_128_bits_and_baby_bear_is_the_smaller_field() {
    let keccak = Arithmetic::new::<F>(CommitmentHash::Keccak256);
    assert_eq!(keccak.collision_bits, 128.0);
    let baby = Arithmetic::new::<BabyBear>(CommitmentHash::Poseidon2);
    assert!(baby.collision_bits < poseidon2().collision_bits);
    assert_eq!((baby.challenge_bits(5), baby.challenge_bits(4)), (154, 123));
    assert_eq!(
        (poseidon2().challenge_bits(5), poseidon2().challenge_bits(4)),
        (154, 123)
    );
    assert_eq!((baby.two_adicity, keccak.two_adicity), (27, 24));
}

#[test]
fn a_shape_below_its_profile_is_refused_with_the_reason() {
    let tables = [TableShape {
        width: 1 << 20,
        ..wide(22)
    }];
    match require(Profile::Proven100, &poseidon2(), &tables) {
        Err(SecurityError::BelowProfile {
            profile,
            bits,
            needed,
            binding_term,
        }) => {
            assert_eq!((profile, needed), (Profile::Proven100, 100.0));
            assert!(bits < 100.0);
            assert!(!binding_term.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

/// Two openings per column raise the rate of a short table's quotients noticeably: `proven100` needs 128 rows.
#[test]
fn the_shortest_table_limits_the_proximity_parameter() {
    let with = |log_height| {
        require(
            Profile::Proven100,
            &poseidon2(),
            &[wide(13), wide(log_height)],
        )
    };
    assert!(with(7).is_ok());
    match with(6) {
        Err(SecurityError::BelowProfile { binding_term, .. }) => {
            assert_eq!(binding_term, LDT_QUERY_LABEL)
        }
        other => panic!("{other:?}"),
    }
    assert!(require(Profile::Conjectured100, &poseidon2(), &[wide(13), wide(4)]).is_ok());
}

/// The query above the least leaves room for a machine twice as wide as the Keccak machine at its tallest.
#[test]
fn proven100_leaves_room_to_grow() {
    let twice = TableShape {
        width: 2 * 2900,
        num_constraints: 8000,
        ..wide(17)
    };
    assert!(require(Profile::Proven100, &poseidon2(), &[twice]).is_ok());
}

#[test]
fn shapes_that_the_protocol_cannot_carry_are_refused() {
    let params = Profile::Proven100.leaf();
    let refused =
        |tables: &[TableShape]| match rate(&params, Analysis::Proven, 0.0, &poseidon2(), tables) {
            Err(SecurityError::Shape { table, why }) => (table, why),
            other => panic!("{other:?}"),
        };
    assert_eq!(refused(&[]).0, 0);
    let (table, why) = refused(&[wide(11), wide(23)]);
    assert!(table == 1 && why.contains("largest domain"), "{why}");
    assert!(refused(&[wide(usize::MAX)]).1.contains("largest domain"));
    assert!(refused(&[wide(3)]).1.contains("too few"));
    let steep = TableShape {
        num_quotient_chunks: 8,
        max_constraint_degree: 9,
        ..wide(11)
    };
    assert!(refused(&[steep]).1.contains("quotient chunks"));
}

/// A table of four columns with one message per row, in variants that are sound and variants that are not.
#[derive(Clone, Copy, Debug)]
enum Lookups {
    /// Count = column 0, asserted boolean.
    Boolean,
    /// Count = column 0, asserted boolean as `1 - x` and scaled.
    BooleanScaled,
    /// Count = column 0, no constraint.
    Free,
    /// Count = column 0, boolean on transitions only.
    TransitionOnly,
    /// Count = columns 0 + 1, both boolean, declared at most the given number.
    Sum(u32),
    /// Count = 2 x0 x1 - x0, both boolean, declared at most 2.
    Product,
    /// Count in 0..=3 by one constraint of degree 4, declared at most the given number.
    Range(u32),
    /// A constant count.
    Constant,
    /// A provided entry with a free count.
    Provided,
    /// Two messages on one bus with unequal widths.
    Widths,
    /// A local lookup with unequal widths.
    LocalWidths,
    /// A local lookup with a free count on the asking side.
    LocalFree,
    /// A local lookup as it should be.
    Local,
    /// Two exclusive branches; the flags boolean, their sum boolean only if told so.
    Exclusive(bool),
    /// A count of nearly p / 2 per row.
    Heavy,
    /// Count = column 0 of three flags that rotate; one link or start can be left out.
    Rotation { starts: bool, closes: bool },
    /// A preprocessed count between -3 and 3, declared at most the given number.
    Preprocessed(u32),
}

impl BaseAir<F> for Lookups {
    fn width(&self) -> usize {
        4
    }

    fn preprocessed_width(&self) -> usize {
        usize::from(matches!(self, Self::Preprocessed(_)))
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<F>> {
        let column = (0..16).map(|row| F::from_i32(row % 7 - 3)).collect();
        matches!(self, Self::Preprocessed(_)).then(|| RowMajorMatrix::new_col(column))
    }
}

impl<AB: InteractionBuilder<F = F>> Air<AB> for Lookups {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let [x, y, z, _]: [AB::Expr; 4] = std::array::from_fn(|i| main.current(i).unwrap().into());
        let bounded = |e: &AB::Expr, weight| Count::bounded(e.clone(), weight);
        match *self {
            Self::Boolean => {
                builder.assert_bool(x.clone());
                builder.push_interaction("bus", [z], bounded(&x, 1));
            }
            Self::BooleanScaled => {
                builder.assert_zero((AB::Expr::ONE - x.clone()) * x.clone() * F::from_u32(77));
                builder.push_interaction("bus", [z], bounded(&-x, 1));
            }
            Self::Free => builder.push_interaction("bus", [z], bounded(&x, 1)),
            Self::TransitionOnly => {
                builder.when_transition().assert_bool(x.clone());
                builder.push_interaction("bus", [z], bounded(&x, 1));
            }
            Self::Sum(weight) => {
                builder.assert_bool(x.clone());
                builder.assert_bool(y.clone());
                builder.push_interaction("bus", [z], bounded(&(x + y), weight));
            }
            Self::Product => {
                builder.assert_bool(x.clone());
                builder.assert_bool(y.clone());
                builder.push_interaction("bus", [z], bounded(&(x.clone() * y.double() - x), 2));
            }
            Self::Range(weight) => {
                let shifted = |n| x.clone() - F::from_u32(n);
                builder.assert_zero(shifted(2) * shifted(0) * shifted(1) * shifted(3));
                builder.push_interaction("bus", [z], bounded(&x, weight));
            }
            Self::Constant => builder.push_interaction("bus", [z], -3),
            Self::Provided => builder.push_interaction("bus", [z], Count::provided(x)),
            Self::Widths => {
                builder.push_interaction("bus", [z.clone()], 1);
                builder.push_interaction("bus", [z, y], 1);
            }
            Self::LocalWidths => builder.push_local_interaction([
                (vec![z.clone()], Count::from(1)),
                (vec![z, y], Count::provided(x)),
            ]),
            Self::LocalFree => builder.push_local_interaction([
                (vec![z.clone()], bounded(&x, 1)),
                (vec![y], Count::provided(z)),
            ]),
            Self::Local => {
                builder.assert_bool(x.clone());
                builder.push_local_interaction([
                    (vec![z.clone()], bounded(&x, 1)),
                    (vec![y], Count::provided(z)),
                ]);
            }
            Self::Exclusive(asserted) => {
                builder.assert_bool(x.clone());
                builder.assert_bool(y.clone());
                if asserted {
                    builder.assert_bool(x.clone() + y.clone());
                }
                builder.push_exclusive_interaction(
                    "bus",
                    [
                        (x, Count::from(1), vec![z.clone()]),
                        (y, Count::from(1), vec![z]),
                    ],
                );
            }
            Self::Rotation { starts, closes } => {
                let next: [AB::Expr; 3] = std::array::from_fn(|i| main.next(i).unwrap().into());
                builder.when_first_row().assert_one(x.clone());
                builder.when_first_row().assert_zero(y.clone());
                if starts {
                    builder.when_first_row().assert_zero(z.clone());
                }
                let [next_x, next_y, next_z] = next;
                let mut transition = builder.when_transition();
                transition.assert_eq(x.clone(), next_y);
                transition.assert_eq(next_z, y);
                if closes {
                    transition.assert_eq(next_x, z.clone());
                }
                builder.push_interaction("bus", [z], bounded(&x, 1));
            }
            Self::Preprocessed(weight) => {
                let count: AB::Expr = builder.preprocessed().current(0).unwrap().into();
                builder.push_interaction("bus", [z], bounded(&count, weight));
            }
            Self::Heavy => builder.push_interaction("bus", [z], 1 << 29),
        }
    }
}

fn checked(air: Lookups) -> Result<Vec<OpenCount>, SetupError> {
    check_setup::<F, EF, _>(&[air], &[4])
}

#[test]
fn sound_lookups_pass() {
    for air in [
        Lookups::Boolean,
        Lookups::BooleanScaled,
        Lookups::Sum(2),
        Lookups::Product,
        Lookups::Range(3),
        Lookups::Constant,
        Lookups::Provided,
        Lookups::Local,
        Lookups::Exclusive(true),
        Lookups::Preprocessed(3),
        Lookups::Rotation {
            starts: true,
            closes: true,
        },
    ] {
        assert_eq!(checked(air).unwrap(), [], "{air:?}");
    }
}

#[test]
fn counts_without_their_constraint_are_found() {
    for air in [
        Lookups::Free,
        Lookups::TransitionOnly,
        Lookups::Sum(1),
        Lookups::Range(2),
        Lookups::LocalFree,
        Lookups::Exclusive(false),
        Lookups::Preprocessed(2),
        Lookups::Rotation {
            starts: false,
            closes: true,
        },
        Lookups::Rotation {
            starts: true,
            closes: false,
        },
    ] {
        let open = checked(air).unwrap();
        assert_eq!(open.len(), 1, "{air:?}: {open:?}");
        assert!(open[0].to_string().contains("assert_bool"));
    }
    // Only the table at fault is named.
    let open = check_setup::<F, EF, _>(&[Lookups::Boolean, Lookups::Free], &[4, 4]).unwrap();
    assert_eq!(
        open.iter().map(|count| count.table).collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn unequal_widths_and_counts_that_wrap_are_refused() {
    assert!(matches!(
        checked(Lookups::Widths),
        Err(SetupError::Lookup(LookupError::BusWidthMismatch { .. }))
    ));
    assert!(matches!(
        checked(Lookups::LocalWidths),
        Err(SetupError::LocalWidths {
            first: 1,
            other: 2,
            ..
        })
    ));
    assert!(matches!(
        checked(Lookups::Heavy),
        Err(SetupError::Lookup(
            LookupError::MultiplicityHeightBoundExceeded { .. }
        ))
    ));
    // Two AIRs that are fine alone and share a bus with different widths.
    assert!(check_setup::<F, EF, _>(&[Lookups::Boolean, Lookups::Boolean], &[4, 4]).is_ok());
    assert!(matches!(
        check_setup::<F, EF, _>(&[Lookups::Boolean], &[4, 4]),
        Err(SetupError::Mismatch {
            airs: 1,
            heights: 2
        })
    ));
}

#[test]
fn a_shape_is_read_off_the_air() {
    let shape = TableShape::from_air::<F, EF, _>(&Lookups::Boolean, 6);
    // One boolean constraint, one fraction and three of the accumulator (first, transition, last row).
    assert_eq!(
        shape,
        TableShape {
            log_height: 6,
            width: 4,
            next_row: true,
            preprocessed_width: 0,
            preprocessed_next_row: false,
            num_constraints: 5,
            max_constraint_degree: 2,
            num_quotient_chunks: 1,
            num_lookups: 1,
            num_interactions: 1,
            max_message_width: 1,
        }
    );
}
