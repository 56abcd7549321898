//! Constraints of the sponge table, in the groups that [`CONSTRAINTS`] names.
//!
//! Notation: `'` is the next row, `step(r)` the flag of row `r` in a block, `perm` the product
//! `step(23) * active`. Every constraint has degree at most 3 in the trace's columns.
//!
//! | group | what it says | what it excludes |
//! |---|---|---|
//! | row in block | first row: `step` is the unit vector of row 0; `step'` is `step` rotated by one | a row that plays two roles, a lane left out or absorbed twice |
//! | identity | id and version are this machine's | a proof of another machine or version |
//! | flags | `first`, `last` are 0 or 1 | fractional flags, which would weaken what they gate |
//! | first segment | `first` ⇒ index, counters, and state before are zero | beginning from a chosen state, or with bytes already counted |
//! | bits | every bit column, `open`, `active`, `closing` is 0 or 1 | XOR, range checks and selectors on values that are no bits |
//! | activity | `absorbing = active * (lane row)`; active from the first row, constant in a block, never again after an inactive block, not on the last row | absorbing outside a block, gaps, a block after the end, a segment of no block, a block cut off by the table's end |
//! | closing block | constant in a block; only active; nothing active follows it; the last active block is closing exactly when `last` | padding in another block or in a segment that is not the last, two padded blocks, a last segment without padding |
//! | message end | the message is open at a block's first byte, never reopens, carries over to the next lane; it is open at a block's end unless the block is closing, then it is closed | padding before a block's end in any block but the closing one, two paddings in a block, a closing block without a padding byte |
//! | padding | a byte after the end is `0x01` at the end, `0x80` at byte 135, their sum where both meet, else 0 | another domain byte (SHA-3's `0x06`), a missing final bit, bytes hidden after the end |
//! | absorption | the state bits are the lane at the front; the rate rotates by a lane and takes in `block XOR state`; the capacity stays; without absorption and permutation nothing changes | a capacity that is written, a lane that skips the XOR, a state that changes between blocks or on inactive rows |
//! | boundary states | first row: `state` is the state before; last row: the state after | a statement about another state |
//! | counts | `blocks` and `bytes` start at 0 and count what is absorbed | a block or byte that is not counted, or counted twice |
//! | limbs | rows 17, 18, 19: every counter's and the index's limbs are sums of 16 bits | two encodings of one number, wrap-around at the field's modulus |
//! | alignment | `136 * blocks_before = bytes_before`, limb by limb with carries | byte and block counters that tell different lengths |
//! | totals | last row: after = before + count, limb by limb with carries, none out of the top | a length that is wrong by a carry, by 2^31, 2^32, the modulus or 2^64 |
//!
//! What a permutation does is not here: on row 23 of an active block the pair (`state`, `state'`) is
//! looked up in the Keccak-f table (`permutation_air`), which also bounds every limb of both to
//! 16 bits. The lookup's count is `perm`, boolean by the groups *row in block* and *bits*.

use p3_air::{AirBuilder, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};

use super::public_values as pv;
use super::sponge_columns::{
    ALIGN_CARRIES, BLOCKS_ROW, BYTES_ROW, INDEX_ROW, LAST_LANE_ROW, LIMBS, PERMUTE_ROW, RATE_LANES,
    RATE_LIMBS, ROWS_PER_BLOCK, STATE_LIMBS, SpongeRow, carry_bits, limb_bits,
};
use super::{BUS, KeccakMachine, RATE_BYTES};
use crate::machine::Machine;

/// Groups of constraints in the order in which they are asserted, with their sizes.
pub const CONSTRAINTS: [(&str, usize); 15] = [
    ("row in block", 2 * ROWS_PER_BLOCK),
    ("identity", 2),
    ("flags", 2),
    ("first segment", 3 * LIMBS + STATE_LIMBS),
    ("bits", 64 + 64 + 9 + 2),
    ("activity", 5),
    ("closing block", 4),
    ("message end", 8 + 4),
    ("padding", 64),
    ("absorption", LIMBS + STATE_LIMBS),
    ("boundary states", 2 * STATE_LIMBS),
    ("counts", 4),
    ("limbs", 5 * LIMBS),
    ("alignment", LIMBS),
    ("totals", 2 * LIMBS),
];

/// Name of the group that holds constraint `index`.
pub(super) fn constraint_name(index: usize) -> &'static str {
    let mut end = 0;
    CONSTRAINTS
        .iter()
        .find(|(_, size)| {
            end += size;
            index < end
        })
        .map_or("no such constraint", |(name, _)| name)
}

/// Two neighbouring rows and the public values.
struct Window<'a, AB: AirBuilder> {
    local: SpongeRow<'a, AB::Var>,
    next: SpongeRow<'a, AB::Var>,
    public: &'a [AB::PublicVar],
}

impl<AB: AirBuilder> Window<'_, AB> {
    fn public(&self, index: usize) -> AB::Expr {
        self.public[index].into()
    }

    /// `step(23) * active`: this row sends its state through the permutation.
    fn perm(&self) -> AB::Expr {
        self.local.step[PERMUTE_ROW] * self.local.active
    }
}

/// Asserts all constraints and sends the permutation lookup.
pub(super) fn eval<AB: InteractionBuilder>(builder: &mut AB) {
    let main = builder.main();
    let public = builder.public_values().to_vec();
    let window = Window::<AB> {
        local: SpongeRow::new(main.current_slice()),
        next: SpongeRow::new(main.next_slice()),
        public: &public,
    };
    row_in_block(builder, &window);
    statement_flags(builder, &window);
    bits(builder, &window.local);
    activity(builder, &window);
    closing_block(builder, &window);
    message_end(builder, &window);
    padding(builder, &window.local);
    absorption(builder, &window);
    boundary_states(builder, &window);
    counts(builder, &window);
    limbs(builder, &window);
    alignment(builder, &window);
    totals(builder, &window);

    let tuple = window.local.state.iter().chain(window.next.state).copied();
    builder.push_interaction(BUS, tuple, Count::bounded(window.perm(), 1));
}

/// `Σ 2^i bit_i`.
fn sum_bits<AB: AirBuilder>(bits: &[AB::Var]) -> AB::Expr {
    bits.iter()
        .enumerate()
        .fold(AB::Expr::ZERO, |sum, (i, &bit)| {
            sum + bit * AB::F::from_u32(1 << i)
        })
}

/// Groups *row in block*.
fn row_in_block<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let (step, next_step) = (window.local.step, window.next.step);
    let mut first_row = builder.when_first_row();
    first_row.assert_one(step[0]);
    for &flag in &step[1..] {
        first_row.assert_zero(flag);
    }
    let mut transition = builder.when_transition();
    for (row, &flag) in step.iter().enumerate() {
        transition.assert_eq(flag, next_step[(row + 1) % ROWS_PER_BLOCK]);
    }
}

/// Groups *identity*, *flags* and *first segment*: constraints on public values alone.
fn statement_flags<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    builder.assert_eq(window.public(pv::ID), AB::F::from_u32(KeccakMachine::ID));
    builder.assert_eq(
        window.public(pv::VERSION),
        AB::F::from_u32(KeccakMachine::VERSION),
    );
    builder.assert_bool(window.public(pv::FIRST));
    builder.assert_bool(window.public(pv::LAST));

    let mut first_segment = builder.when(window.public(pv::FIRST));
    for start in [pv::INDEX, pv::BLOCKS_BEFORE, pv::BYTES_BEFORE] {
        for limb in 0..LIMBS {
            first_segment.assert_zero(window.public(start + limb));
        }
    }
    for limb in 0..STATE_LIMBS {
        first_segment.assert_zero(window.public(pv::STATE_BEFORE + limb));
    }
}

/// Group *bits*.
fn bits<AB: AirBuilder>(builder: &mut AB, local: &SpongeRow<'_, AB::Var>) {
    for &bit in local
        .block_bits
        .iter()
        .chain(local.state_bits)
        .chain(local.open)
    {
        builder.assert_bool(bit);
    }
    builder.assert_bool(local.active);
    builder.assert_bool(local.closing);
}

/// Group *activity*.
fn activity<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let (local, next) = (&window.local, &window.next);
    let lane_row: AB::Expr = local.step[..RATE_LANES]
        .iter()
        .map(|&flag| flag.into())
        .sum();
    builder.assert_eq(local.absorbing, lane_row * local.active);
    builder.when_first_row().assert_one(local.active);
    builder.when_last_row().assert_zero(local.active);
    let inside = AB::Expr::ONE - local.step[PERMUTE_ROW];
    let mut transition = builder.when_transition();
    transition.assert_zero(inside * (next.active - local.active));
    transition.assert_zero((AB::Expr::ONE - local.active) * next.active);
}

/// Group *closing block*. `active - active'` is 1 exactly where the last active block ends.
fn closing_block<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let (local, next) = (&window.local, &window.next);
    builder.assert_zero((AB::Expr::ONE - local.active) * local.closing);
    let inside = AB::Expr::ONE - local.step[PERMUTE_ROW];
    let mut transition = builder.when_transition();
    transition.assert_zero(inside * (next.closing - local.closing));
    transition.assert_zero(local.step[PERMUTE_ROW] * local.closing * next.active);
    let segment_end = local.active - next.active;
    transition.assert_zero(segment_end * (window.public(pv::LAST) - local.closing));
}

/// Group *message end*. Rows 17 to 23 and the table's tail are open too, so that *padding* asks
/// nothing of their bits.
fn message_end<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let (local, next) = (&window.local, &window.next);
    for byte in 0..8 {
        builder.assert_zero((AB::Expr::ONE - local.open[byte]) * local.open[byte + 1]);
    }
    builder.when(local.step[0]).assert_one(local.open[0]);
    let lane_follows: AB::Expr = local.step[..LAST_LANE_ROW]
        .iter()
        .map(|&flag| flag.into())
        .sum();
    builder
        .when_transition()
        .assert_zero(lane_follows * (next.open[0] - local.open[8]));
    let no_lane_follows: AB::Expr = local.step[LAST_LANE_ROW..]
        .iter()
        .map(|&flag| flag.into())
        .sum();
    let closed = AB::Expr::ONE - local.open[8];
    builder.assert_eq(
        no_lane_follows * closed,
        local.step[LAST_LANE_ROW] * local.closing,
    );
    builder.when_last_row().assert_one(local.open[8]);
}

/// Group *padding*: `pad10*1` after Keccak's empty domain suffix, so `0x01 0x00* 0x80`.
fn padding<AB: AirBuilder>(builder: &mut AB, local: &SpongeRow<'_, AB::Var>) {
    for byte in 0..8 {
        let bits = &local.block_bits[8 * byte..8 * (byte + 1)];
        let mut after_end = builder.when(AB::Expr::ONE - local.open[byte + 1]);
        // The message reaches this byte but not the next one: this is where it ends.
        after_end.assert_eq(bits[0], local.open[byte]);
        for &bit in &bits[1..7] {
            after_end.assert_zero(bit);
        }
        let last_byte = if byte == 7 {
            local.step[LAST_LANE_ROW].into()
        } else {
            AB::Expr::ZERO
        };
        after_end.assert_eq(bits[7], last_byte);
    }
}

/// Group *absorption*.
fn absorption<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let (local, next) = (&window.local, &window.next);
    for limb in 0..LIMBS {
        let lane = sum_bits::<AB>(limb_bits(local.state_bits, limb));
        builder
            .when(local.absorbing)
            .assert_eq(local.state[limb], lane);
    }
    let xor_limb = |limb: usize| -> AB::Expr {
        let pairs = limb_bits(local.block_bits, limb)
            .iter()
            .zip(limb_bits(local.state_bits, limb));
        pairs
            .enumerate()
            .fold(AB::Expr::ZERO, |sum, (i, (&a, &b))| {
                let xor = a + b - (a * b).double();
                sum + xor * AB::F::from_u32(1 << i)
            })
    };
    let keeps = AB::Expr::ONE - window.perm();
    let mut transition = builder.when_transition();
    for limb in 0..STATE_LIMBS {
        let change = keeps.clone() * (next.state[limb] - local.state[limb]);
        let absorbed = if limb >= RATE_LIMBS {
            transition.assert_zero(change);
            continue;
        } else if limb + LIMBS < RATE_LIMBS {
            local.state[limb + LIMBS].into()
        } else {
            xor_limb(limb + LIMBS - RATE_LIMBS)
        };
        // No row both absorbs and permutes, so one of the two terms is all that changes the limb.
        transition.assert_eq(change, (absorbed - local.state[limb]) * local.absorbing);
    }
}

/// Group *boundary states*.
fn boundary_states<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let state = window.local.state;
    for (limb, &value) in state.iter().enumerate() {
        builder
            .when_first_row()
            .assert_eq(value, window.public(pv::STATE_BEFORE + limb));
    }
    for (limb, &value) in state.iter().enumerate() {
        builder
            .when_last_row()
            .assert_eq(value, window.public(pv::STATE_AFTER + limb));
    }
}

/// Group *counts*. A row adds at most 8 bytes, so neither count reaches the modulus.
fn counts<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let (local, next) = (&window.local, &window.next);
    builder.when_first_row().assert_zero(local.blocks);
    builder.when_first_row().assert_zero(local.bytes);
    let message_bytes: AB::Expr = local.open[1..].iter().map(|&open| open.into()).sum();
    let mut transition = builder.when_transition();
    transition.assert_eq(next.blocks - local.blocks, window.perm());
    transition.assert_eq(next.bytes - local.bytes, message_bytes * local.absorbing);
}

/// Group *limbs*.
fn limbs<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let local = &window.local;
    for (row, bits, start) in [
        (BYTES_ROW, local.block_bits, pv::BYTES_BEFORE),
        (BYTES_ROW, local.state_bits, pv::BYTES_AFTER),
        (BLOCKS_ROW, local.block_bits, pv::BLOCKS_BEFORE),
        (BLOCKS_ROW, local.state_bits, pv::BLOCKS_AFTER),
        (INDEX_ROW, local.block_bits, pv::INDEX),
    ] {
        for limb in 0..LIMBS {
            let value = sum_bits::<AB>(limb_bits(bits, limb));
            builder
                .when(local.step[row])
                .assert_eq(value, window.public(start + limb));
        }
    }
}

/// Group *alignment*. Both sides stay below `136 * 2^16 + 2^8 < 2^24`, so the equations hold over
/// the integers.
fn alignment<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let local = &window.local;
    let carry = |limb: usize| sum_bits::<AB>(carry_bits(local.state_bits, limb));
    let rate = AB::F::from_usize(RATE_BYTES);
    for limb in 0..LIMBS {
        let mut left = window.public(pv::BLOCKS_BEFORE + limb) * rate.clone();
        let mut right = window.public(pv::BYTES_BEFORE + limb);
        if limb > 0 {
            left += carry(limb - 1);
        }
        if limb < ALIGN_CARRIES {
            right += carry(limb) * AB::F::from_u32(1 << 16);
        }
        builder.when(local.step[INDEX_ROW]).assert_eq(left, right);
    }
}

/// Group *totals*. The first carry of the bytes has 8 bits: a segment of up to 2^20 rows adds fewer
/// than 2^23 bytes. The other carries are bits. All sums stay below 2^25.
fn totals<AB: AirBuilder>(builder: &mut AB, window: &Window<'_, AB>) {
    let local = &window.local;
    let bit = |i: usize| local.state_bits[i].into();
    let byte_carries: [AB::Expr; LIMBS - 1] = [
        sum_bits::<AB>(carry_bits(local.block_bits, 0)),
        bit(0),
        bit(1),
    ];
    let block_carries: [AB::Expr; LIMBS - 1] = [bit(2), bit(3), bit(4)];
    for (count, carries, before, after) in [
        (local.bytes, byte_carries, pv::BYTES_BEFORE, pv::BYTES_AFTER),
        (
            local.blocks,
            block_carries,
            pv::BLOCKS_BEFORE,
            pv::BLOCKS_AFTER,
        ),
    ] {
        for limb in 0..LIMBS {
            let carry_in = if limb == 0 {
                count.into()
            } else {
                carries[limb - 1].clone()
            };
            let mut sum = window.public(after + limb);
            if limb < LIMBS - 1 {
                sum += carries[limb].clone() * AB::F::from_u32(1 << 16);
            }
            builder
                .when_last_row()
                .assert_eq(window.public(before + limb) + carry_in, sum);
        }
    }
}
