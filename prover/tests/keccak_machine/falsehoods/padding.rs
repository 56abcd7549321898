//! Padding in the wrong place, of the wrong form, twice, or not at all.

use starkwright_prover::machine::keccak::{RATE_BYTES, check_segment};

use super::{F, column, refused, set};
use crate::{closing_block, full_block, segment_at, some_state, trace, violated_on_row};

#[test]
fn padding_in_the_middle() {
    // The file goes on after a block that is padded and says so.
    let blocks = vec![
        full_block(1),
        closing_block(2, 50),
        full_block(3),
        closing_block(4, 7),
    ];
    assert_eq!(
        refused(&segment_at(some_state(), 10, blocks)),
        "closing block"
    );
    // It does not say so: its message just ends early.
    let mut hidden = closing_block(2, 50);
    hidden.closing = false;
    let blocks = vec![full_block(1), hidden, full_block(3), closing_block(4, 7)];
    assert_eq!(
        refused(&segment_at(some_state(), 10, blocks)),
        "message end"
    );
}

#[test]
fn two_paddings() {
    let blocks = vec![closing_block(1, 50), closing_block(2, 60)];
    assert_eq!(
        refused(&segment_at(some_state(), 10, blocks)),
        "closing block"
    );
    let blocks = vec![closing_block(1, 50), closing_block(1, 50)];
    assert_eq!(refused(&segment_at([0; 25], 0, blocks)), "closing block");
}

/// In one block: the message ends at byte 5, and again at byte 40.
#[test]
fn a_message_that_goes_on_after_its_end() {
    let mut block = closing_block(1, 40);
    block.bytes[5] = 0x01;
    for byte in 6..40 {
        block.bytes[byte] = 0;
    }
    let mut trace = trace::<F>(&segment_at(some_state(), 10, vec![block]));
    check_segment(&trace).unwrap();
    let open = column("open");
    for byte in 6..=8 {
        set(&mut trace, 0, open + byte, 0);
    }
    // Reopened at once in the next lane: the link between lanes breaks.
    assert_eq!(violated_on_row(&trace, 0), Some("message end"));
    // Reopened within a lane.
    for byte in 6..=7 {
        set(&mut trace, 0, open + byte, 0);
    }
    set(&mut trace, 0, open + 8, 1);
    assert_eq!(violated_on_row(&trace, 0), Some("message end"));
}

#[test]
fn a_last_segment_without_padding() {
    let mut segment = segment_at(some_state(), 10, vec![full_block(1), full_block(2)]);
    segment.statement.last = true;
    assert_eq!(refused(&segment), "closing block");
    // The last block calls itself closing, but is all message.
    segment.blocks[1].closing = true;
    assert_eq!(refused(&segment), "message end");
}

#[test]
fn padding_in_a_segment_that_is_not_the_last() {
    let mut segment = segment_at(some_state(), 10, vec![full_block(1), closing_block(2, 30)]);
    segment.statement.last = false;
    assert_eq!(refused(&segment), "closing block");
    segment.blocks[1].closing = false;
    assert_eq!(refused(&segment), "message end");
}

/// The padding must stand where the counted bytes end, and be Keccak's.
#[test]
fn paddings_of_the_wrong_form() {
    let with = |change: &dyn Fn(&mut [u8; RATE_BYTES])| {
        let mut block = closing_block(1, 100);
        change(&mut block.bytes);
        refused(&segment_at(some_state(), 10, vec![full_block(2), block]))
    };
    assert_eq!(with(&|_| {}), "nothing");
    // SHA3-256's domain byte; a bit too many; none; the final bit missing; hidden bytes.
    assert_eq!(with(&|bytes| bytes[100] = 0x06), "padding");
    assert_eq!(with(&|bytes| bytes[100] = 0x81), "padding");
    assert_eq!(with(&|bytes| bytes[100] = 0x00), "padding");
    assert_eq!(with(&|bytes| bytes[135] = 0x00), "padding");
    assert_eq!(with(&|bytes| bytes[135] = 0x81), "padding");
    assert_eq!(with(&|bytes| bytes[101] = 0x01), "padding");
    assert_eq!(with(&|bytes| bytes[134] = 0x40), "padding");
    // At byte 135 both ends of the padding meet.
    let mut block = closing_block(1, 135);
    assert_eq!(block.bytes[135], 0x81);
    block.bytes[135] = 0x80;
    assert_eq!(
        refused(&segment_at(some_state(), 10, vec![block])),
        "padding"
    );
    block.bytes[135] = 0x01;
    assert_eq!(
        refused(&segment_at(some_state(), 10, vec![block])),
        "padding"
    );
}

/// The digest of a file with the length of a shorter or longer one: the bytes are the same, the
/// message is said to end elsewhere.
#[test]
fn a_length_other_than_the_padding_says() {
    for len in [0, 99, 101, 135] {
        let mut block = closing_block(1, 100);
        block.message_len = len;
        assert_eq!(
            refused(&segment_at(some_state(), 10, vec![block])),
            "padding"
        );
    }
}
