//! A circuit that would bind some value to nothing does not compile.

use p3_field::PrimeCharacteristicRing;
use p3_koala_bear::KoalaBear;
use starkwright_aggregator::AggregatorError;
use starkwright_aggregator::circuit::{Block, Builder, Octet, PathIndex};
use starkwright_hal::{Extension, KoalaBear5};

fn builder() -> Builder {
    let mut builder = Builder::new(KoalaBear5::RULE, &[]);
    let zero = builder.base_constant(KoalaBear::ZERO);
    let statement = builder.unspell([zero; 8]);
    builder.publish(statement);
    builder
}

fn compiles(write: impl FnOnce(&mut Builder)) -> bool {
    let mut builder = builder();
    write(&mut builder);
    match builder.compile(8) {
        Ok(_) => true,
        Err(AggregatorError::Unbound { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

fn cap(builder: &mut Builder, digests: usize) -> Vec<Octet> {
    let cap = builder.input_cap(digests);
    cap.into_iter().map(|(_, octet)| octet).collect()
}

#[test]
fn a_digest_that_is_compared_has_no_cell_of_its_own() {
    let compared = |builder: &mut Builder, take_first: bool, take_then: bool| {
        let (_, digest) = builder.input_words();
        let row = builder.duplex(None, Block::Input(8), 8);
        if take_first {
            builder.output(row);
        }
        builder.assert_digest(row, digest);
        if take_then {
            builder.output(row);
        }
    };
    assert!(compiles(|builder| compared(builder, false, false)));
    assert!(!compiles(|builder| compared(builder, true, false)));
    assert!(!compiles(|builder| compared(builder, false, true)));
    assert!(!compiles(|builder| {
        compared(builder, false, false);
        let row = builder.last_row();
        let (_, other) = builder.input_words();
        builder.assert_digest(row, other);
    }));
}

/// A path of so many steps to a cap.
fn path(builder: &mut Builder, steps: usize, cap: &[Octet]) {
    let (number, _) = builder.input_words();
    let end = builder.constant(KoalaBear::ZERO);
    let leaf = builder.duplex(None, Block::Input(8), 8);
    let index = PathIndex {
        number: number[0],
        first_bit: 0,
        end,
    };
    let last = builder.climb(leaf, steps, index);
    builder.assert_in_cap(last, cap);
}

#[test]
fn paths_end_in_caps_and_have_fewer_steps_than_the_modulus_has_bits() {
    let to_cap = |steps: usize, wanted: &dyn Fn(&mut Builder) -> Vec<Octet>| {
        compiles(|builder| {
            let cap = wanted(builder);
            path(builder, steps, &cap);
        })
    };
    assert!(to_cap(30, &|builder| cap(builder, 4)));
    assert!(!to_cap(31, &|builder| cap(builder, 4)));
    // No cap, cells that do not count their readers, and cells that are no neighbours.
    assert!(!to_cap(3, &|_| Vec::new()));
    assert!(!to_cap(3, &|builder| {
        (0..4).map(|_| builder.input_words().1).collect()
    }));
    assert!(!to_cap(3, &|builder| {
        let mut cap = cap(builder, 4);
        cap.swap(1, 2);
        cap
    }));
    assert!(!to_cap(3, &|builder| {
        let mut first = cap(builder, 2);
        first.extend(cap(builder, 2));
        first
    }));
}

#[test]
fn picks_are_among_elements_that_were_unpacked_for_it() {
    let picked = |count: usize, spoil: &dyn Fn(&mut Builder, &mut Vec<_>)| {
        compiles(|builder| {
            let (elements, _) = builder.input_elements(4);
            let octets = builder.pack_elements(&elements);
            let mut unpacked = builder.unpack_counted(&octets, count);
            spoil(builder, &mut unpacked);
            let place = builder.constant(KoalaBear::ZERO);
            builder.pick_is(&unpacked, place, elements[0]);
        })
    };
    assert!(picked(4, &|_, _| {}));
    assert!(!picked(100, &|_, _| {}));
    assert!(!picked(4, &|_, unpacked| unpacked.swap(0, 1)));
    assert!(!picked(4, &|builder, unpacked| {
        *unpacked = builder.input_elements(4).0;
    }));
    assert!(!picked(4, &|builder, unpacked| {
        unpacked.push(builder.input_elements(1).0[0]);
    }));
    assert!(!picked(4, &|_, unpacked| unpacked.clear()));
}
