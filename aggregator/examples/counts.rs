//! Final proofs of several numbers of leaves under a profile: bytes, and permutations in their verification, as a table.
//!
//! ```text
//! cargo run --release -p starkwright-aggregator --example counts -- PROFILE COUNT...
//! ```
#![allow(clippy::unwrap_used, reason = "counting is a module of the tests")]

#[path = "../tests/trees/nodes/counting.rs"]
mod counting;
#[path = "../tests/trees/nodes/finals.rs"]
mod finals;

use std::error::Error;

use starkwright_hal::{KoalaBear4, KoalaBear5};
use starkwright_prover::profile::Profile;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let profile: Profile = arguments.next().ok_or("PROFILE COUNT...")?.parse()?;
    let counts: Vec<u64> = arguments
        .map(|count| count.parse())
        .collect::<Result<_, _>>()?;
    println!("| profile | leaves | join | seal | wrap | Poseidon2: join | seal | Keccak-f: wrap |");
    println!("|---|---|---|---|---|---|---|---|");
    let row = |count, figures: finals::Figures| {
        let figures = figures.map(|figure| figure.to_string()).join(" | ");
        println!("| `{profile}` | {count} | {figures} |");
    };
    match profile {
        Profile::Proven100 => finals::figures::<KoalaBear5>(profile, &counts, row),
        Profile::Conjectured100 => finals::figures::<KoalaBear4>(profile, &counts, row),
    }
}
