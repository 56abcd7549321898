//! The bit machine: numbers taken apart from the top, one bit a row, and the product of the factors of the bits that are 1.
//!
//! A number takes a row in which it is 0, and a row for each of its bits. An element of the field has 31 bits and exactly
//! one canonical decomposition: with `p = 2^31 − 2^24 + 1`, 31 bits stand for a number below `p` unless the top seven are
//! all 1 and some lower one is 1 too.
//!
//! | constraints | exclude |
//! |---|---|
//! | bit | a bit that is no bit |
//! | number | a number that its bits do not make |
//! | product | a product over other factors than those of its bits |
//! | top | another number than the top seven bits, another product than theirs |
//! | canonical | the second decomposition of a small number |

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use p3_lookup::InteractionBuilder;

use super::air::{Row, port};
use super::layout::{bits, fixed};

/// Bits of an element.
pub const ELEMENT_BITS: usize = 31;
/// Bits at the top that, all 1, leave room for no other: `p − 1 = (2^7 − 1) 2^24`.
pub const TOP_BITS: usize = 7;

/// The groups of constraints, in order.
pub(super) fn groups() -> Vec<(&'static str, usize)> {
    vec![
        ("bit", 1),
        ("number", 2),
        ("product", 2),
        ("top", 5),
        ("canonical", 1),
    ]
}

/// Asserts the constraints and opens the ports.
pub(super) fn eval<AB: InteractionBuilder<F = KoalaBear>>(row: &Row<'_, AB>, builder: &mut AB) {
    let at = |column| row.at(row.layout.bits(column));
    let next = |column| row.next(row.layout.bits(column));
    let flag = |column| row.fixed(column);

    builder.assert_zero(at(bits::BIT) * (at(bits::BIT) - AB::Expr::ONE));
    builder.assert_zero(flag(fixed::RESET) * at(bits::NUMBER));
    builder.assert_zero(
        flag(fixed::STEP) * (next(bits::NUMBER) - at(bits::NUMBER).double() - next(bits::BIT)),
    );
    builder.assert_zero(flag(fixed::RESET) * (at(bits::PRODUCT) - AB::Expr::ONE));
    builder.assert_zero(
        flag(fixed::STEP) * (next(bits::PRODUCT) - at(bits::PRODUCT))
            - flag(fixed::FACTOR) * next(bits::BIT) * at(bits::PRODUCT),
    );
    builder.assert_zero(flag(fixed::NOTE) * (at(bits::TOP) - at(bits::NUMBER)));
    builder.assert_zero(flag(fixed::KEEP) * (next(bits::TOP) - at(bits::TOP)));
    builder.assert_zero(flag(fixed::ONES_START) * (at(bits::ALL_ONES) - at(bits::BIT)));
    builder.assert_zero(
        flag(fixed::ONES_STEP) * (next(bits::ALL_ONES) - at(bits::ALL_ONES) * next(bits::BIT)),
    );
    builder.assert_zero(flag(fixed::KEEP) * (next(bits::ALL_ONES) - at(bits::ALL_ONES)));
    let low =
        at(bits::NUMBER) - at(bits::TOP) * KoalaBear::from_u32(1 << (ELEMENT_BITS - TOP_BITS));
    builder.assert_zero(flag(fixed::CANONICAL) * at(bits::ALL_ONES) * low);

    for (ports, column) in [
        (fixed::NUMBER, bits::NUMBER),
        (fixed::PRODUCT, bits::PRODUCT),
    ] {
        let [number, count] = ports.map(|column| row.fixed(column));
        port(builder, Row::<'_, AB>::cell(number, [at(column)]), count);
    }
}
