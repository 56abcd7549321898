//! Whole proofs: the same bytes as stock p3's, which stock p3 verifies.
//!
//! For breadth, every AIR with small parameters; for depth, a segment of the Keccak machine with the parameters of the
//! default profile, under each hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use p3_baby_bear::{BabyBear, GenericPoseidon2LinearLayersBabyBear};
use p3_keccak_air::KeccakAir;
use p3_koala_bear::{GenericPoseidon2LinearLayersKoalaBear, KoalaBear};
use p3_matrix::dense::RowMajorMatrix;
use p3_poseidon2_air::{Poseidon2Air, RoundConstants};
use starkwright_hal::{
    BabyBear4, BabyBear5, HalField, Keccak256Merkle, KoalaBear4, KoalaBear5, Poseidon2Merkle,
    Poseidon2WideMerkle,
};
use starkwright_hw_tests::conformance::{Effort, Random};
use starkwright_hw_tests::proofs::{
    QUICK, device_batch, device_uni, lookup_tables, stock_batch, stock_uni,
};
use starkwright_hw_tests::runtimes::{self, Opened};
use starkwright_prover::machine::Machine;
use starkwright_prover::machine::keccak::{
    KeccakMachine, KeccakTable, SegmentShape, SegmentTrace, Segmenter,
};
use starkwright_prover::profile::Profile;

/// A proof by name, on one device: makes it, and stock p3's. Each field is proven under each hash by the small tables or the
/// machine, each AIR over both fields and under both hashes. (All combinations would be minutes of compilation.)
type Case = (&'static str, fn(&Opened) -> Result<(), String>);

#[test]
fn proof() {
    runtimes::each("proof", |opened| {
        for (name, check) in CASES {
            let start = std::time::Instant::now();
            check(opened).map_err(|why| format!("{name}: {why}"))?;
            println!(
                "{}: proof: {name}: {:.1} s",
                opened.target.row,
                start.elapsed().as_secs_f64()
            );
        }
        Ok(CASES.len() as u64)
    })
    .unwrap();
}

const CASES: [Case; 15] = [
    (
        "lookups, koalabear/5, poseidon2",
        lookups_koalabear5_poseidon2,
    ),
    (
        "lookups, koalabear/4, poseidon2-wide",
        lookups_koalabear4_poseidon2_wide,
    ),
    (
        "lookups, babybear/4, poseidon2",
        lookups_babybear4_poseidon2,
    ),
    ("lookups, babybear/5, keccak", lookups_babybear5_keccak),
    (
        "keccak machine, koalabear/5, poseidon2",
        machine_koalabear5_poseidon2,
    ),
    (
        "keccak machine, koalabear/5, keccak",
        machine_koalabear5_keccak,
    ),
    (
        "keccak machine, babybear/4, keccak",
        machine_babybear4_keccak,
    ),
    (
        "p3-keccak-air, koalabear/5, poseidon2",
        keccak_air_koalabear,
    ),
    ("p3-keccak-air, babybear/4, keccak", keccak_air_babybear),
    (
        "p3-poseidon2-air, koalabear/4, keccak",
        poseidon2_air_koalabear,
    ),
    (
        "p3-poseidon2-air, babybear/5, poseidon2",
        poseidon2_air_babybear,
    ),
    ("p3-blake3-air, koalabear/5, keccak", blake3_air_koalabear),
    ("p3-blake3-air, babybear/4, poseidon2", blake3_air_babybear),
    ("proven100, poseidon2", depth_poseidon2),
    ("proven100, keccak", depth_keccak),
];

/// Log2 of the rows of most proofs.
fn log_rows(opened: &Opened) -> usize {
    match opened.target.effort {
        Effort::Modest | Effort::Traced => 8,
        Effort::Normal | Effort::Long => 10,
    }
}

/// Stock p3's proof, made once for all devices and variants.
fn stock(
    name: String,
    prove: impl FnOnce() -> Result<Vec<u8>, String>,
) -> Result<Arc<Vec<u8>>, String> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<Vec<u8>>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(bytes) = known.get(&name) {
        return Ok(Arc::clone(bytes));
    }
    let bytes = Arc::new(prove()?);
    known.insert(name, Arc::clone(&bytes));
    Ok(bytes)
}

fn same(ours: &[u8], theirs: &[u8]) -> Result<(), String> {
    if ours == theirs {
        return Ok(());
    }
    let place = ours.iter().zip(theirs).position(|(a, b)| a != b);
    Err(format!(
        "bytes {} and {}, the first difference at {place:?}",
        ours.len(),
        theirs.len()
    ))
}

/// A proof of several tables by both.
macro_rules! batch {
    ($name:ident, $F:ty, $E:ty, $S:ty, $parameters:expr, $tables:expr) => {
        fn $name(opened: &Opened) -> Result<(), String> {
            let (airs, traces, public_values) = $tables(opened);
            let traces: Vec<&RowMajorMatrix<$F>> = traces.iter().collect();
            let name = format!(
                "{} of {} elements",
                stringify!($name),
                traces[0].values.len()
            );
            let parameters = $parameters;
            let theirs = stock(name, || {
                stock_batch::<$F, $E, $S, _>(&parameters, &airs, &traces, &public_values)
            })?;
            let ours = device_batch::<$F, $E, $S, _, _>(
                &opened.device,
                &parameters,
                &airs,
                &traces,
                &public_values,
            );
            same(&ours.map_err(|error| error.to_string())?, &theirs)
        }
    };
}

macro_rules! lookups {
    ($name:ident, $F:ty, $E:ty, $S:ty) => {
        batch!($name, $F, $E, $S, QUICK, |opened: &Opened| {
            let tables = lookup_tables::<$F>(log_rows(opened), 3);
            (tables.airs, tables.traces, tables.public_values)
        });
    };
}

lookups!(
    lookups_koalabear5_poseidon2,
    KoalaBear,
    KoalaBear5,
    Poseidon2Merkle
);
lookups!(
    lookups_koalabear4_poseidon2_wide,
    KoalaBear,
    KoalaBear4,
    Poseidon2WideMerkle
);
lookups!(
    lookups_babybear4_poseidon2,
    BabyBear,
    BabyBear4,
    Poseidon2Merkle
);
lookups!(
    lookups_babybear5_keccak,
    BabyBear,
    BabyBear5,
    Keccak256Merkle
);

/// One segment of the Keccak machine, of the smallest shape (2^11 rows): 50 blocks of a file, with its end.
fn segment<F: HalField>(_: &Opened) -> (Vec<KeccakTable>, Vec<RowMajorMatrix<F>>, Vec<Vec<F>>) {
    let mut random = Random::new(15);
    let file: Vec<u8> = (0..50 * 136 - 7).map(|_| random.bits() as u8).collect();
    let shape = SegmentShape::from_capacity(85).unwrap();
    let segment = Segmenter::new(file.as_slice(), shape, [7; 8])
        .next()
        .unwrap()
        .unwrap();
    let trace = SegmentTrace::<F>::generate(&segment).unwrap();
    let public_values = KeccakMachine::public_values::<F>(&segment.statement).unwrap();
    // The sponge's first: it is the one with public values, which the proof must be bound to.
    (
        KeccakMachine::tables(),
        vec![trace.permutation, trace.sponge],
        public_values,
    )
}

batch!(
    machine_koalabear5_poseidon2,
    KoalaBear,
    KoalaBear5,
    Poseidon2Merkle,
    QUICK,
    segment
);
batch!(
    machine_koalabear5_keccak,
    KoalaBear,
    KoalaBear5,
    Keccak256Merkle,
    QUICK,
    segment
);
batch!(
    machine_babybear4_keccak,
    BabyBear,
    BabyBear4,
    Keccak256Merkle,
    QUICK,
    segment
);
batch!(
    depth_poseidon2,
    KoalaBear,
    KoalaBear5,
    Poseidon2Merkle,
    Profile::Proven100.leaf(),
    segment
);
batch!(
    depth_keccak,
    KoalaBear,
    KoalaBear5,
    Keccak256Merkle,
    Profile::Proven100.leaf(),
    segment
);

/// A proof of one table by both.
macro_rules! uni {
    ($name:ident, $F:ty, $E:ty, $S:ty, $air:expr, $trace:expr) => {
        fn $name(opened: &Opened) -> Result<(), String> {
            let trace: RowMajorMatrix<$F> = $trace(log_rows(opened));
            let name = format!("{} of {} elements", stringify!($name), trace.values.len());
            let theirs = stock(name, || {
                stock_uni::<$F, $E, $S, _>(&QUICK, &$air(), trace.clone(), &[])
            })?;
            let ours = device_uni::<$F, $E, $S, _, _>(&opened.device, &QUICK, $air, trace, &[]);
            same(&ours.map_err(|error| error.to_string())?, &theirs)
        }
    };
}

fn keccak_air() -> KeccakAir {
    KeccakAir {}
}

fn keccak_trace<F: HalField>(log_rows: usize) -> RowMajorMatrix<F> {
    let mut random = Random::new(16);
    let permutations = (1 << log_rows) / p3_keccak_air::NUM_ROUNDS;
    let inputs = (0..permutations)
        .map(|_| std::array::from_fn(|_| random.bits()))
        .collect();
    p3_keccak_air::generate_trace_rows(inputs, 0)
}

uni!(
    keccak_air_koalabear,
    KoalaBear,
    KoalaBear5,
    Poseidon2Merkle,
    keccak_air,
    keccak_trace
);
uni!(
    keccak_air_babybear,
    BabyBear,
    BabyBear4,
    Keccak256Merkle,
    keccak_air,
    keccak_trace
);

/// Over KoalaBear x^3 needs no register; over BabyBear x^7 takes one.
type Poseidon2Koala =
    Poseidon2Air<KoalaBear, GenericPoseidon2LinearLayersKoalaBear, 16, 3, 0, 4, 20>;
type Poseidon2Baby = Poseidon2Air<BabyBear, GenericPoseidon2LinearLayersBabyBear, 16, 7, 1, 4, 13>;

fn constants<F: HalField, const P: usize>() -> RoundConstants<F, 16, 4, P> {
    let mut random = Random::new(17);
    let mut full = || std::array::from_fn(|_| std::array::from_fn(|_| random.element()));
    let (first, last) = (full(), full());
    RoundConstants::new(first, std::array::from_fn(|_| random.element()), last)
}

fn states<F: HalField>(log_rows: usize) -> Vec<[F; 16]> {
    let mut random = Random::new(18);
    (0..1 << log_rows)
        .map(|_| std::array::from_fn(|_| random.element()))
        .collect()
}

uni!(
    poseidon2_air_koalabear,
    KoalaBear,
    KoalaBear4,
    Keccak256Merkle,
    || Poseidon2Koala::new(constants()),
    |log_rows| p3_poseidon2_air::generate_trace_rows::<
        KoalaBear,
        GenericPoseidon2LinearLayersKoalaBear,
        16,
        3,
        0,
        4,
        20,
    >(states(log_rows), &constants(), 0)
);
uni!(
    poseidon2_air_babybear,
    BabyBear,
    BabyBear5,
    Poseidon2Merkle,
    || Poseidon2Baby::new(constants()),
    |log_rows| p3_poseidon2_air::generate_trace_rows::<
        BabyBear,
        GenericPoseidon2LinearLayersBabyBear,
        16,
        7,
        1,
        4,
        13,
    >(states(log_rows), &constants(), 0)
);

fn blake3_air() -> p3_blake3_air::Blake3Air {
    p3_blake3_air::Blake3Air {}
}

/// A row is a whole compression of some nine thousand columns: fewer rows.
fn blake3_trace<F: HalField>(log_rows: usize) -> RowMajorMatrix<F> {
    let mut random = Random::new(19);
    let inputs = (0..1 << (log_rows - 4)).map(|_| std::array::from_fn(|_| random.bits() as u32));
    p3_blake3_air::generate_trace_rows(inputs.collect(), 0)
}

uni!(
    blake3_air_koalabear,
    KoalaBear,
    KoalaBear5,
    Keccak256Merkle,
    blake3_air,
    blake3_trace
);
uni!(
    blake3_air_babybear,
    BabyBear,
    BabyBear4,
    Poseidon2Merkle,
    blake3_air,
    blake3_trace
);
