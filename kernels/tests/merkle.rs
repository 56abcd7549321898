//! Permutations, Merkle trees, openings and grinding on every device found, in both variants, word for word against p3.
//! Debug builds poison fresh memory, so a digest that no kernel wrote differs too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod found;

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use p3_baby_bear::BabyBear;
use p3_challenger::{CanObserve, DuplexChallenger, GrindingChallenger, SerializingChallenger32};
use p3_commit::Mmcs;
use p3_field::PrimeCharacteristicRing;
use p3_keccak::{Keccak256Hash, KeccakF};
use p3_koala_bear::KoalaBear;
use p3_matrix::Matrix as _;
use p3_matrix::dense::RowMajorMatrix;
use p3_symmetric::{CryptographicHasher, Permutation};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use starkwright_hal::{
    Cpu, DigestWords, FriOps, HalError, HalField, HashKind, Keccak256Merkle, MerkleScheme,
    Poseidon2Merkle, Poseidon2WideMerkle, Puzzle,
};
use starkwright_kernels::ops::grind::grind;
use starkwright_kernels::ops::merkle::{build, keccak_f, open, poseidon2};
use starkwright_kernels::{Matrix, Options, Runtime, Variant, Word};

/// One device in one variant, with its own largest allocation and with a small one.
struct Bench {
    whole: Runtime,
    pieces: Runtime,
}

/// Bytes of the small largest allocation: a few rows of the widest matrix drawn here.
const SMALL: u64 = 4096;

static BENCHES: LazyLock<Vec<Bench>> = LazyLock::new(|| {
    let devices = found::devices();
    let open = |info, variant, max_alloc| {
        let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("programs"));
        let options = Options {
            variant: Some(variant),
            max_alloc,
            cache_dir,
            ..Options::default()
        };
        Runtime::open(info, options).expect("a listed device opens")
    };
    let variants = [Variant::Vector, Variant::Scalar];
    let both = devices
        .iter()
        .flat_map(|info| variants.map(|variant| (info, variant)));
    both.map(|(info, variant)| Bench {
        whole: open(info, variant, None),
        pieces: open(info, variant, Some(SMALL)),
    })
    .collect()
});

fn describe(rt: &Runtime) -> String {
    format!("{}, {}", rt.info().platform, rt.variant().name())
}

/// Cases to draw: a third of these, and eight times as many in `make test-long`. The conformance tests draw more of them.
fn cases(these: u32) -> u32 {
    match std::env::var_os("STARKWRIGHT_LONG") {
        Some(_) => 8 * these,
        None => these / 3,
    }
}

fn check<S: Strategy>(
    most: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases: cases(most),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(strategy, test).unwrap();
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Elements from a seed, often at the edges of the range of words.
fn elements<F: HalField>(mut seed: u64, count: usize) -> Vec<F> {
    let mut word = || {
        let z = next(&mut seed);
        match z >> 60 {
            0 => 0,
            1 => 1,
            2..=4 => F::ORDER_U32 - 1,
            _ => (z as u32) % F::ORDER_U32,
        }
    };
    (0..count)
        .map(|_| F::from_montgomery_word(word()).expect("a word below the prime"))
        .collect()
}

// ---- permutations ----

/// Log2 of the number of states, and the data.
fn states() -> impl Strategy<Value = (u32, u64)> {
    (0..8u32, any::<u64>())
}

fn permutes_like_p3<F: HalField + Word, const WIDTH: usize>(
    p3: &impl Permutation<[F; WIDTH]>,
    log_count: u32,
    seed: u64,
) -> Result<(), TestCaseError> {
    let input: Vec<F> = elements(seed, WIDTH << log_count);
    let mut expected = input.clone();
    let (states, _) = expected.as_chunks_mut::<WIDTH>();
    states.iter_mut().for_each(|state| p3.permute_mut(state));
    for Bench { whole: rt, .. } in BENCHES.iter() {
        let buffer = rt.upload(&input).unwrap();
        poseidon2::<F>(rt, WIDTH, &buffer).unwrap();
        let got: Vec<F> = rt.read_vec(&buffer, 0, input.len()).unwrap();
        prop_assert_eq!(&got, &expected, "{}, width {}", describe(rt), WIDTH);
    }
    Ok(())
}

#[test]
fn poseidon2_permutes_like_p3() {
    check(12, &states(), |(log_count, seed)| {
        permutes_like_p3::<KoalaBear, 16>(&KoalaBear::poseidon2_16(), log_count, seed)?;
        permutes_like_p3::<KoalaBear, 24>(&KoalaBear::poseidon2_24(), log_count, seed)?;
        permutes_like_p3::<BabyBear, 16>(&BabyBear::poseidon2_16(), log_count, seed)?;
        permutes_like_p3::<BabyBear, 24>(&BabyBear::poseidon2_24(), log_count, seed)
    });
}

fn words(lanes: &[u64]) -> Vec<u32> {
    lanes
        .iter()
        .flat_map(|&lane| [lane as u32, (lane >> 32) as u32])
        .collect()
}

#[test]
fn keccak_f_permutes_like_p3() {
    check(12, &states(), |(log_count, mut seed)| {
        let mut lanes: Vec<u64> = (0..25 << log_count).map(|_| next(&mut seed)).collect();
        let input = words(&lanes);
        let (states, _) = lanes.as_chunks_mut::<25>();
        states
            .iter_mut()
            .for_each(|state| KeccakF.permute_mut(state));
        let expected = words(&lanes);
        for Bench { whole: rt, .. } in BENCHES.iter() {
            let buffer = rt.upload(&input).unwrap();
            keccak_f(rt, &buffer).unwrap();
            let got: Vec<u32> = rt.read_vec(&buffer, 0, input.len()).unwrap();
            prop_assert_eq!(&got, &expected, "{}", describe(rt));
        }
        Ok(())
    });
}

/// The first two lanes of Keccak-f[1600] of the zero state, from the Keccak team's `KeccakF-1600-IntermediateValues`.
#[test]
fn keccak_f_of_zeros() {
    for Bench { whole: rt, .. } in BENCHES.iter() {
        let buffer = rt.upload(&[0u32; 50]).unwrap();
        keccak_f(rt, &buffer).unwrap();
        let got: Vec<u32> = rt.read_vec(&buffer, 0, 4).unwrap();
        assert_eq!(
            got,
            words(&[0xf125_8f79_40e1_dde7, 0x84d5_ccf9_33c0_478a]),
            "{}",
            describe(rt)
        );
    }
}

/// Keccak-256 of nothing (the Ethereum yellow paper's KEC(())), of "test", and of 64 zero bytes (the first zero hash of
/// Ethereum's sparse Merkle trees).
#[test]
fn keccak_256_known_answers() {
    let cases: [(&[u8], &str); 3] = [
        (
            b"",
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        ),
        (
            b"test",
            "9c22ff5f21f0b81b113e63f7db6da94fedef11b2119b4088b89664fb9a3cb658",
        ),
        (
            &[0; 64],
            "ad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5",
        ),
    ];
    for Bench { whole: rt, .. } in BENCHES.iter() {
        for (message, digest) in cases {
            let row: Vec<u32> = message
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&w| u32::from_le_bytes(w))
                .collect();
            let matrix = Matrix {
                chunks: vec![Arc::new(rt.upload(&row).unwrap())],
                rows_per_chunk: 1,
                width: row.len(),
                height: 1,
            };
            let tree = build::<KoalaBear>(rt, HashKind::Keccak256, &[&matrix]).unwrap();
            let cap = tree.cap(rt, 0).unwrap();
            let bytes = cap[0].iter().flat_map(|word| word.to_le_bytes());
            let hex: String = bytes.map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, digest, "{}, {message:?}", describe(rt));
        }
    }
}

// ---- trees ----

#[derive(Clone, Debug)]
struct Commit {
    /// Log2 of the height, and the width, of each matrix.
    shapes: Vec<(u32, usize)>,
    cap_height: usize,
    /// Each modulo the tallest height.
    indices: Vec<usize>,
    in_pieces: bool,
    hash: HashKind,
    baby_bear: bool,
    seed: u64,
}

fn commits() -> impl Strategy<Value = Commit> {
    // Around the block lengths of the three sponges, and wide.
    let width = || prop_oneof![6 => 1..20usize, 3 => 30..72usize, 1 => 1..=300usize];
    let shapes = (0..=10u32).prop_flat_map(move |tallest| {
        // A third of the matrices has the tallest height, so that several are often hashed together.
        let height = prop_oneof![1 => Just(tallest), 2 => 0..=tallest];
        let others = proptest::collection::vec((height, width()), 0..9);
        (others, width(), any::<prop::sample::Index>()).prop_map(move |(mut shapes, w, at)| {
            shapes.insert(at.index(shapes.len() + 1), (tallest, w));
            shapes
        })
    });
    let hash = select(vec![
        HashKind::Poseidon2,
        HashKind::Poseidon2Wide,
        HashKind::Keccak256,
    ]);
    let indices = proptest::collection::vec(0..1usize << 10, 0..24);
    let flags = (any::<bool>(), any::<bool>());
    (shapes, 0..4usize, indices, hash, flags, any::<u64>()).prop_map(
        |(shapes, cap_height, indices, hash, (in_pieces, baby_bear), seed)| Commit {
            shapes,
            cap_height,
            indices,
            in_pieces,
            hash,
            baby_bear,
            seed,
        },
    )
}

fn commits_like_p3<F: HalField + Word, S: MerkleScheme<F>>(
    case: &Commit,
) -> Result<(), TestCaseError>
where
    <S::Mmcs as Mmcs<F>>::MultiProof: serde::Serialize,
{
    let data: Vec<RowMajorMatrix<F>> = (case.seed..)
        .zip(&case.shapes)
        .map(|(seed, &(log_height, width))| {
            RowMajorMatrix::new(elements(seed, width << log_height), width)
        })
        .collect();
    let tallest = data.iter().map(|m| m.height()).max().unwrap_or(1);
    let indices: Vec<usize> = case.indices.iter().map(|i| i % tallest).collect();
    let dimensions: Vec<_> = data.iter().map(|m| m.dimensions()).collect();
    let mmcs = S::mmcs(case.cap_height);
    let (commitment, tree) = mmcs.commit(data.clone());
    let (rows, proof) = mmcs.open_multi_batch::<RowMajorMatrix<F>>(&indices, &tree);
    let proof = serde_json::to_string(&proof).unwrap();

    for bench in BENCHES.iter() {
        let rt = if case.in_pieces {
            &bench.pieces
        } else {
            &bench.whole
        };
        let matrices: Vec<Matrix> = data
            .iter()
            .map(|m| Matrix::adopt(rt, m.values.clone(), m.width()).unwrap())
            .collect();
        let matrices: Vec<&Matrix> = matrices.iter().collect();
        let tree = build::<F>(rt, S::HASH, &matrices).unwrap();
        let cap: Vec<DigestWords> = tree.cap(rt, case.cap_height).unwrap();
        let got = S::commitment(&cap).unwrap();
        prop_assert_eq!(&got, &commitment, "{}", describe(rt));
        let (got_rows, siblings) =
            open::<F>(rt, &tree, &matrices, &indices, case.cap_height).unwrap();
        prop_assert_eq!(&got_rows, &rows, "{}", describe(rt));
        let got_proof = S::multi_proof(&siblings).unwrap();
        prop_assert_eq!(
            &serde_json::to_string(&got_proof).unwrap(),
            &proof,
            "{}",
            describe(rt)
        );
        let verified = mmcs.verify_multi_batch(&got, &dimensions, &indices, &got_rows, &got_proof);
        prop_assert!(verified.is_ok(), "{}", describe(rt));
    }
    Ok(())
}

fn commit_case<F: HalField + Word>(case: &Commit) -> Result<(), TestCaseError> {
    match case.hash {
        HashKind::Poseidon2 => commits_like_p3::<F, Poseidon2Merkle>(case),
        HashKind::Poseidon2Wide => commits_like_p3::<F, Poseidon2WideMerkle>(case),
        HashKind::Keccak256 => commits_like_p3::<F, Keccak256Merkle>(case),
    }
}

#[test]
fn commits_and_opens_like_p3() {
    check(96, &commits(), |case| {
        if case.baby_bear {
            commit_case::<BabyBear>(&case)
        } else {
            commit_case::<KoalaBear>(&case)
        }
    });
}

/// Seven matrices of one height, whose rows together end inside a block of every sponge, in one tree with a shorter one.
#[test]
fn many_matrices_of_one_height() {
    for hash in [
        HashKind::Poseidon2,
        HashKind::Poseidon2Wide,
        HashKind::Keccak256,
    ] {
        for in_pieces in [false, true] {
            let widths = [3, 34, 1, 8, 5, 40, 2];
            let mut shapes: Vec<_> = widths.map(|width| (5, width)).to_vec();
            shapes.insert(2, (3, 17));
            let case = Commit {
                shapes,
                cap_height: 2,
                indices: vec![31, 0, 7, 7, 30],
                in_pieces,
                hash,
                baby_bear: false,
                seed: 1,
            };
            commit_case::<KoalaBear>(&case).unwrap();
        }
    }
}

#[test]
fn arguments_that_fit_nothing_are_refused() {
    let invalid = |result: Result<(), HalError>| {
        assert!(
            matches!(result, Err(HalError::InvalidArgument { .. })),
            "{result:?}"
        );
    };
    for Bench { whole: rt, .. } in BENCHES.iter() {
        let commit = |matrices: &[&Matrix]| {
            build::<KoalaBear>(rt, HashKind::Keccak256, matrices).map(|_| ())
        };
        let four = Matrix::adopt(rt, vec![KoalaBear::ONE; 8], 2).unwrap();
        let three = Matrix::adopt(rt, vec![KoalaBear::ONE; 6], 2).unwrap();
        invalid(commit(&[]));
        invalid(commit(&[&three]));
        invalid(commit(&[&four, &three]));
        let longer = Matrix {
            height: 8,
            ..four.clone()
        };
        invalid(commit(&[&longer]));
        let wider = Matrix {
            width: 3,
            ..four.clone()
        };
        invalid(commit(&[&wider]));
        let no_chunks = Matrix {
            chunks: Vec::new(),
            ..four.clone()
        };
        invalid(commit(&[&no_chunks]));

        let tree = build::<KoalaBear>(rt, HashKind::Keccak256, &[&four]).unwrap();
        let opened = |matrices: &[&Matrix], indices: &[usize]| {
            open::<KoalaBear>(rt, &tree, matrices, indices, 0).map(|_| ())
        };
        invalid(opened(&[&four], &[1, 4]));
        invalid(opened(&[], &[]));
        invalid(opened(&[&longer], &[0]));
        let two = Matrix::adopt(rt, vec![KoalaBear::ONE; 4], 2).unwrap();
        invalid(opened(&[&two], &[0]));
        assert!(opened(&[&four], &[]).is_ok());
        let states = rt.alloc(48).unwrap();
        invalid(poseidon2::<KoalaBear>(rt, 16, &states));
        invalid(keccak_f(rt, &states));
    }
}

// ---- grinding ----

/// Bits small enough for a search of a few thousand candidates.
const MOST_BITS: usize = 9;

fn grinds_like_the_reference<F: HalField>(
    puzzle: &Puzzle<F>,
    bits: usize,
) -> Result<F, TestCaseError> {
    let expected = FriOps::<F>::grind(&Cpu::default(), puzzle, bits).unwrap();
    for Bench { whole: rt, .. } in BENCHES.iter() {
        let got = grind(rt, puzzle, bits).unwrap();
        prop_assert_eq!(got, expected, "{}, {} bits", describe(rt), bits);
    }
    Ok(expected)
}

fn duplex_grinds<F: HalField>(
    observed: usize,
    bits: usize,
    seed: u64,
) -> Result<(), TestCaseError> {
    let mut challenger = DuplexChallenger::<F, F::Perm16, 16, 8>::new(F::poseidon2_16());
    challenger.observe_slice(&elements::<F>(seed, observed));
    // The state as the challenger's absorb will make it (`duplexing` of p3's duplex_challenger.rs).
    let slot = challenger.input_buffer.len();
    let mut state = challenger.sponge_state;
    state[..slot].copy_from_slice(&challenger.input_buffer);
    state[slot..8].fill(F::ZERO);
    state[8] += F::from_u8(slot as u8 + 1);
    let puzzle = Puzzle::Poseidon2 {
        state,
        slot,
        output: 7,
    };
    let witness = grinds_like_the_reference(&puzzle, bits)?;
    for smaller in 0..witness.as_canonical_u32() {
        prop_assert!(!challenger.clone().check_witness(bits, F::from_u32(smaller)));
    }
    prop_assert!(challenger.check_witness(bits, witness));
    Ok(())
}

#[test]
fn duplex_puzzles_have_the_smallest_witness() {
    check(
        12,
        &(0..20usize, 1..=MOST_BITS, any::<u64>()),
        |(observed, bits, seed)| {
            duplex_grinds::<KoalaBear>(observed, bits, seed)?;
            duplex_grinds::<BabyBear>(observed, bits, seed)
        },
    );
}

fn keccak_grinds<F: HalField>(
    observed: usize,
    bits: usize,
    seed: u64,
) -> Result<(), TestCaseError> {
    let elements = elements::<F>(seed, observed);
    let mut challenger = SerializingChallenger32::<F, _>::from_hasher(vec![1, 2, 3], Keccak256Hash);
    challenger.observe_slice(&elements);
    // Grinding starts by hashing all that was observed.
    let bytes = elements
        .iter()
        .flat_map(|x| x.montgomery_word().to_le_bytes());
    let prefix: [u8; 32] = Keccak256Hash.hash_iter([1, 2, 3].into_iter().chain(bytes));
    let puzzle = Puzzle::Keccak256 {
        prefix: prefix.to_vec(),
    };
    let witness = grinds_like_the_reference::<F>(&puzzle, bits)?;
    for smaller in 0..witness.as_canonical_u32() {
        prop_assert!(!challenger.clone().check_witness(bits, F::from_u32(smaller)));
    }
    prop_assert!(challenger.check_witness(bits, witness));
    Ok(())
}

#[test]
fn keccak_puzzles_have_the_smallest_witness() {
    check(
        12,
        &(0..20usize, 1..=MOST_BITS, any::<u64>()),
        |(observed, bits, seed)| {
            keccak_grinds::<KoalaBear>(observed, bits, seed)?;
            keccak_grinds::<BabyBear>(observed, bits, seed)
        },
    );
}

/// The candidate at every place in the block, across lanes and across blocks.
#[test]
fn keccak_puzzles_over_any_prefix() {
    let lengths = prop_oneof![0..=267usize, 125..=137usize];
    check(
        24,
        &(lengths, 1..=6usize, any::<u8>()),
        |(length, bits, fill)| {
            let puzzle = Puzzle::Keccak256 {
                prefix: vec![fill; length],
            };
            grinds_like_the_reference::<KoalaBear>(&puzzle, bits).map(|_| ())
        },
    );
}

#[test]
fn puzzles_that_cannot_be_searched_are_refused() {
    for Bench { whole: rt, .. } in BENCHES.iter() {
        let state = [KoalaBear::ONE; 16];
        let duplex = |slot, output| Puzzle::Poseidon2 {
            state,
            slot,
            output,
        };
        assert_eq!(grind(rt, &duplex(0, 0), 0), Ok(KoalaBear::ZERO));
        for (puzzle, bits) in [(duplex(16, 0), 1), (duplex(0, 16), 1), (duplex(0, 0), 31)] {
            let result = grind(rt, &puzzle, bits);
            assert!(
                matches!(result, Err(HalError::InvalidArgument { .. })),
                "{result:?}"
            );
        }
        let long = Puzzle::<KoalaBear>::Keccak256 {
            prefix: vec![0; 268],
        };
        let result = grind(rt, &long, 1);
        assert!(
            matches!(result, Err(HalError::Unsupported { .. })),
            "{result:?}"
        );
    }
}
