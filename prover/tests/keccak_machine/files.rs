//! Files against an independent Keccak-256, statements, and chains of them.

use p3_baby_bear::BabyBear;
use p3_field::PrimeField32;
use p3_koala_bear::KoalaBear;
use proptest::prelude::*;
use starkwright_prover::machine::keccak::{
    ChainError, FileStatement, LOG_HEIGHTS, RATE_BYTES, STATEMENT_BYTES, SegmentError,
    SegmentShape, SegmentStatement, Segmenter, StatementError, chain, check_segment, public_values,
};
use tiny_keccak::{Hasher, Keccak};

use crate::{bytes, segments, small, trace};

fn keccak_256(file: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let mut hasher = Keccak::v256();
    hasher.update(file);
    hasher.finalize(&mut digest);
    digest
}

fn statements(file: &[u8]) -> Vec<SegmentStatement> {
    segments(file)
        .into_iter()
        .map(|segment| segment.statement)
        .collect()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keccak-256 of "" and "abc": the Keccak team's test vectors for the original padding (ShortMsgKAT
/// of the third-round submission), as every Ethereum client has them.
#[test]
fn known_answers() {
    for (message, digest) in [
        (
            "",
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        ),
        (
            "abc",
            "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
        ),
    ] {
        let file = chain(&statements(message.as_bytes())).unwrap();
        assert_eq!(hex(&file.digest), digest);
        assert_eq!((file.length, file.segments), (message.len() as u64, 1));
        let segment = &segments(message.as_bytes())[0];
        assert_eq!(segment.blocks.len(), 1);
        check_segment(&trace::<KoalaBear>(segment)).unwrap();
        check_segment(&trace::<BabyBear>(segment)).unwrap();
    }
}

/// Every trace of a file satisfies its constraints, and the chain states tiny-keccak's digest.
fn holds<F: PrimeField32>(file: &[u8]) {
    let segments = segments(file);
    for segment in &segments {
        check_segment(&trace::<F>(segment)).unwrap();
    }
    let statements: Vec<_> = segments
        .into_iter()
        .map(|segment| segment.statement)
        .collect();
    let expected = FileStatement {
        context: [0; 8],
        digest: keccak_256(file),
        length: file.len() as u64,
        segments: (file.len() / (85 * RATE_BYTES)) as u64 + 1,
    };
    assert_eq!(chain(&statements).unwrap(), expected);
}

#[test]
fn lengths_around_block_and_segment_borders() {
    for len in [0, 1, 7, 8, 127, 128, 134, 135, 136, 137, 271, 272, 273] {
        holds::<KoalaBear>(&bytes(len as u64, len));
    }
    for len in [85 * 136 - 1, 85 * 136, 85 * 136 + 1, 170 * 136] {
        holds::<BabyBear>(&bytes(len as u64, len));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_files(
        blocks in 0_usize..100,
        rest in prop_oneof![Just(0_usize), Just(1), Just(134), Just(135), 0_usize..136],
        seed in any::<u64>(),
    ) {
        holds::<KoalaBear>(&bytes(seed, blocks * RATE_BYTES + rest));
    }

    /// Digests of many files, without traces.
    #[test]
    fn digests(len in 0_usize..40_000, seed in any::<u64>()) {
        let file = bytes(seed, len);
        prop_assert_eq!(chain(&statements(&file)).unwrap().digest, keccak_256(&file));
    }
}

/// A reader that yields a few bytes at a time, and interrupts in between.
struct Trickle<'a>(&'a [u8], bool);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let len = self.0.len().min(buffer.len()).min(41);
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

struct Broken;

impl std::io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("gone"))
    }
}

#[test]
fn readers_that_are_slow_or_fail() {
    let file = bytes(5, 85 * 136 * 2 + 3);
    let slow: Vec<_> = Segmenter::new(Trickle(&file, false), small(), [0; 8])
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(slow, segments(&file));

    let mut broken = Segmenter::new(Broken, small(), [0; 8]);
    assert!(matches!(broken.next(), Some(Err(SegmentError::Read(_)))));
    assert!(broken.next().is_none());
}

#[test]
fn a_short_last_segment_takes_the_smallest_shape() {
    let shape = SegmentShape::from_capacity(341).unwrap();
    let shapes = |len: usize| -> Vec<usize> {
        Segmenter::new(&*bytes(1, len), shape, [0; 8])
            .map(|segment| segment.unwrap().shape.capacity())
            .collect()
    };
    assert_eq!(shapes(10), [85]);
    assert_eq!(shapes(85 * 136 - 1), [85]);
    assert_eq!(shapes(85 * 136), [341]);
    assert_eq!(shapes(341 * 136), [341, 85]);
    assert_eq!(
        SegmentShape::all()
            .map(SegmentShape::capacity)
            .collect::<Vec<_>>(),
        [85, 341, 1365, 5461]
    );
    assert_eq!(SegmentShape::from_capacity(84), None);
    assert_eq!(SegmentShape::smallest_for(5462), None);
    assert!(
        LOG_HEIGHTS
            .iter()
            .all(|&log| SegmentShape::from_log_height(log).is_some())
    );
    assert_eq!(SegmentShape::from_log_height(12), None);
}

#[test]
fn broken_chains_are_named() {
    let good = statements(&bytes(9, 85 * 136 * 4 + 20));
    assert_eq!(good.len(), 5);
    let order = |order: &[usize]| -> Result<FileStatement, ChainError> {
        chain(&order.iter().map(|&i| good[i].clone()).collect::<Vec<_>>())
    };
    order(&[0, 1, 2, 3, 4]).unwrap();
    assert_eq!(order(&[]), Err(ChainError::NoSegments));
    let missing = |position, index, found| {
        Err(ChainError::Missing {
            position,
            index,
            found,
        })
    };
    assert_eq!(order(&[0, 2, 3, 4]), missing(1, 1, 2));
    assert_eq!(order(&[1, 2, 3, 4]), missing(0, 0, 1));
    assert_eq!(
        order(&[0, 1, 2, 3]),
        Err(ChainError::NotLast { segments: 4 })
    );
    assert_eq!(
        order(&[0, 1, 1, 2, 3, 4]),
        Err(ChainError::Repeated {
            position: 2,
            index: 1
        })
    );
    assert_eq!(
        order(&[0, 1, 2, 3, 4, 4]),
        Err(ChainError::LastInside { position: 4 })
    );
    assert_eq!(
        order(&[0, 2, 1, 3, 4]),
        Err(ChainError::Swapped {
            position: 1,
            index: 1,
            found: 2
        })
    );

    let with = |change: &dyn Fn(&mut Vec<SegmentStatement>)| {
        let mut statements = good.clone();
        change(&mut statements);
        chain(&statements)
    };
    assert_eq!(
        with(&|s| s[2].context[7] = 1),
        Err(ChainError::Context { position: 2 })
    );
    assert_eq!(
        with(&|s| s[2].state_after[24] ^= 1),
        Err(ChainError::State { position: 3 })
    );
    let counters = with(&|s| {
        s[1].blocks_before += 1;
        s[1].bytes_before += 136;
    });
    assert_eq!(counters, Err(ChainError::Counters { position: 1 }));
    let flagged = with(&|s| s[0].first = false);
    let source = StatementError::FirstFlag {
        index: 0,
        first: false,
    };
    assert_eq!(
        flagged,
        Err(ChainError::Statement {
            position: 0,
            source
        })
    );
}

#[test]
fn statements_that_contradict_themselves() {
    let good = statements(&bytes(9, 85 * 136 + 20));
    let broken = |i: usize, change: &dyn Fn(&mut SegmentStatement)| {
        let mut statement = good[i].clone();
        change(&mut statement);
        statement.validate().unwrap_err()
    };
    let first_flag = |index, first| StatementError::FirstFlag { index, first };
    assert_eq!(broken(0, &|s| s.index = 3), first_flag(3, true));
    assert_eq!(broken(1, &|s| s.first = true), first_flag(1, true));
    assert_eq!(
        broken(0, &|s| s.state_before[3] = 1),
        StatementError::FirstNotFresh
    );
    assert_eq!(
        broken(0, &|s| s.bytes_before = 136),
        StatementError::FirstNotFresh
    );
    assert_eq!(
        broken(1, &|s| s.blocks_after = s.blocks_before),
        StatementError::NoBlocks
    );
    assert!(matches!(
        broken(1, &|s| s.bytes_before += 1),
        StatementError::CountersBefore { .. }
    ));
    for change in [
        (|s| s.bytes_after += 116) as fn(&mut SegmentStatement),
        |s| s.bytes_after -= 21,
        |s| s.bytes_after = 0,
        |s| s.blocks_after = u64::MAX,
        |s| s.last = false,
    ] {
        assert!(matches!(
            broken(1, &change),
            StatementError::CountersAfter { .. }
        ));
    }
    let huge = broken(1, &|s| s.blocks_before = u64::MAX - 1);
    assert_eq!(huge, StatementError::NoBlocks);
}

#[test]
fn statements_survive_their_encodings() {
    for (i, mut statement) in statements(&bytes(9, 85 * 136 * 2 + 20))
        .into_iter()
        .enumerate()
    {
        statement.context = std::array::from_fn(|j| (1000 * i + j) as u32);
        let values: Vec<KoalaBear> = statement.to_public_values().unwrap();
        assert_eq!(values.len(), public_values::NUM_PUBLIC_VALUES);
        assert_eq!(
            SegmentStatement::from_public_values(&values).unwrap(),
            statement
        );
        assert_eq!(
            SegmentStatement::from_bytes(&statement.to_bytes()).unwrap(),
            statement
        );
    }
}

#[test]
fn malformed_encodings_are_refused() {
    let statement = statements(b"abc").remove(0);
    let values: Vec<BabyBear> = statement.to_public_values().unwrap();
    let refused = |index: usize, value: u32| {
        let mut values = values.clone();
        values[index] = p3_field::PrimeCharacteristicRing::from_u32(value);
        SegmentStatement::from_public_values(&values).unwrap_err()
    };
    assert!(matches!(
        refused(public_values::ID, 1),
        StatementError::Identity { id: 1, .. }
    ));
    assert!(matches!(
        refused(public_values::VERSION, 9),
        StatementError::Identity { .. }
    ));
    for index in public_values::INDEX..public_values::FIRST {
        let range = StatementError::Range {
            index,
            value: 1 << 16,
        };
        assert_eq!(refused(index, 1 << 16), range);
    }
    for index in [public_values::FIRST, public_values::LAST] {
        assert_eq!(refused(index, 2), StatementError::Range { index, value: 2 });
    }
    for len in [0, values.len() - 1] {
        let short = SegmentStatement::from_public_values(&values[..len]);
        assert!(matches!(short, Err(StatementError::Length { .. })));
    }

    let mut wide = statement.clone();
    wide.context[5] = BabyBear::ORDER_U32;
    let context = StatementError::Context {
        element: 5,
        value: BabyBear::ORDER_U32,
    };
    assert_eq!(wide.to_public_values::<BabyBear>(), Err(context));
    assert!(wide.to_public_values::<KoalaBear>().is_ok());

    let mut encoded = statement.to_bytes();
    encoded[STATEMENT_BYTES - 1] = 4;
    assert!(matches!(
        SegmentStatement::from_bytes(&encoded),
        Err(StatementError::Range { value: 4, .. })
    ));
    for len in 0..STATEMENT_BYTES {
        assert!(SegmentStatement::from_bytes(&encoded[..len]).is_err());
    }
}

proptest! {
    /// Any bytes are read or refused, and what is read writes the same bytes.
    #[test]
    fn decoding_is_total(encoded in proptest::collection::vec(any::<u8>(), STATEMENT_BYTES)) {
        if let Ok(statement) = SegmentStatement::from_bytes(&encoded) {
            prop_assert_eq!(statement.to_bytes().to_vec(), encoded);
        }
    }
}
