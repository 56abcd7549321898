//! Small AIRs that have between them everything that constraints can read.

use std::borrow::Cow;

use p3_air::{Air, AirBuilder, BaseAir, ExtensionBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::{
    GenericPoseidon2LinearLayersKoalaBear, KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL, KOALABEAR_POSEIDON2_RC_16_INTERNAL, KoalaBear,
};
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2_air::{Poseidon2Air, RoundConstants};

/// p3's Poseidon2 AIR of width 16 with p3's constants.
pub(crate) type Poseidon2 =
    Poseidon2Air<KoalaBear, GenericPoseidon2LinearLayersKoalaBear, 16, 3, 0, 4, 20>;

pub(crate) fn poseidon2() -> Poseidon2 {
    Poseidon2::new(RoundConstants::new(
        KOALABEAR_POSEIDON2_RC_16_EXTERNAL_INITIAL,
        KOALABEAR_POSEIDON2_RC_16_INTERNAL,
        KOALABEAR_POSEIDON2_RC_16_EXTERNAL_FINAL,
    ))
}

/// Lookups of every kind, preprocessed columns, public values, and extension constraints among base
/// ones.
#[derive(Clone, Copy)]
pub(crate) struct Talkative;

pub(crate) const TALKATIVE_LOG_HEIGHT: usize = 4;

impl BaseAir<KoalaBear> for Talkative {
    fn width(&self) -> usize {
        6
    }

    fn num_public_values(&self) -> usize {
        2
    }

    fn preprocessed_width(&self) -> usize {
        2
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<KoalaBear>> {
        let cells = 2 << TALKATIVE_LOG_HEIGHT;
        Some(RowMajorMatrix::new(
            (0..cells).map(KoalaBear::from_u32).collect(),
            2,
        ))
    }
}

impl<AB: InteractionBuilder<F = KoalaBear> + ExtensionBuilder> Air<AB> for Talkative {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let local: [AB::Expr; 6] = std::array::from_fn(|i| main.current(i).unwrap().into());
        let next: [AB::Expr; 6] = std::array::from_fn(|i| main.next(i).unwrap().into());
        let fixed = builder.preprocessed().clone();
        let [first, second]: [AB::Expr; 2] =
            std::array::from_fn(|i| fixed.current(i).unwrap().into());
        let fixed_next: AB::Expr = fixed.next(1).unwrap().into();
        let public: [AB::Expr; 2] = std::array::from_fn(|i| builder.public_values()[i].into());
        let [a, b, c, d, p, q] = local;

        builder.assert_bools([p.clone(), q.clone()]);
        builder.assert_bool(p.clone() + q.clone());
        builder.assert_zero_ext(AB::ExprEF::from(a.clone() * b.clone() - c.clone()));
        builder
            .when_first_row()
            .assert_eq(a.clone(), public[0].clone());
        builder
            .when_last_row()
            .assert_eq(b.clone(), public[1].clone());
        let mut transition = builder.when_transition();
        transition.assert_eq(
            next[0].clone(),
            a.clone() * first.clone() + fixed_next.clone(),
        );
        builder.assert_zero_ext(AB::ExprEF::from(next[1].clone()) * AB::ExprEF::from_u32(9));
        builder.assert_zero(d.clone() * (second.clone() - d.clone()));

        builder.push_local_interaction([
            (vec![a.clone(), b.clone()], Count::from(1)),
            (vec![first, second], Count::provided(-c.clone())),
        ]);
        let plain = [
            a.clone() + fixed_next,
            b.clone() * KoalaBear::TWO,
            c.clone(),
        ];
        builder.push_interaction("bus", plain, Count::from(1));
        let tuple = [next[2].clone(), d.clone(), public[0].clone()];
        builder.push_interaction("bus", tuple, Count::from(-1));
        builder.push_exclusive_interaction(
            "bus",
            [
                (p.clone(), Count::from(1), vec![a, b.clone(), c]),
                (q.clone(), Count::bounded(-p, 1), vec![d.clone(), d, q]),
            ],
        );
        builder.push_interaction("other", [b], Count::from(1));
    }
}

/// Two periodic columns.
#[derive(Clone, Copy)]
pub(crate) struct Periodic;

impl BaseAir<KoalaBear> for Periodic {
    fn width(&self) -> usize {
        2
    }

    fn num_periodic_columns(&self) -> usize {
        2
    }

    fn periodic_columns(&self) -> Cow<'_, [Vec<KoalaBear>]> {
        let column = |period| (0..period).map(KoalaBear::from_u32).collect();
        Cow::Owned(vec![column(2), column(4)])
    }
}

impl<AB: AirBuilder<F = KoalaBear>> Air<AB> for Periodic {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let [a, b]: [AB::Expr; 2] = std::array::from_fn(|i| main.current(i).unwrap().into());
        let next: AB::Expr = main.next(0).unwrap().into();
        let [p, q]: [AB::Expr; 2] = std::array::from_fn(|i| builder.periodic_values()[i].into());
        builder.assert_zero(a.clone() * p.clone() - b.clone() * q.clone());
        builder.when_transition().assert_eq(next, a * p + q * b);
    }
}

/// One step of a [`Program`]: an operation on earlier values, taken modulo their number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Add(usize, usize),
    Sub(usize, usize),
    Neg(usize),
    Mul(usize, usize),
}

/// An AIR that asserts whatever its steps compute.
#[derive(Clone, Debug)]
pub(crate) struct Program(pub(crate) Vec<Step>);

impl BaseAir<KoalaBear> for Program {
    fn width(&self) -> usize {
        2
    }
}

impl<AB: AirBuilder<F = KoalaBear>> Air<AB> for Program {
    fn eval(&self, builder: &mut AB) {
        let main = builder.main();
        let mut values: Vec<AB::Expr> = vec![
            AB::Expr::ZERO,
            AB::Expr::ONE,
            AB::Expr::NEG_ONE,
            AB::Expr::TWO,
            main.current(0).unwrap().into(),
            main.next(1).unwrap().into(),
            builder.is_transition(),
        ];
        for &step in &self.0 {
            let at = |i: usize| values[i % values.len()].clone();
            let value = match step {
                Step::Add(x, y) => at(x) + at(y),
                Step::Sub(x, y) => at(x) - at(y),
                Step::Neg(x) => -at(x),
                Step::Mul(x, y) => at(x) * at(y),
            };
            builder.assert_zero(value.clone());
            values.push(value);
        }
    }
}
