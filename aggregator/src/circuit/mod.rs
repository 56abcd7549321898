//! Circuits over the challenge field, compiled to one table.
//!
//! ```text
//!  Builder ── values are cells, methods add rows ──► Program ── compile ──► Circuit
//!                                                                            │    │
//!  words of a proof ────────────── assign ──────────────► trace ◄────────────┘    │
//!                                                           │                     ▼
//!                                              BatchProver of `prover`  ◄──  CircuitAir
//! ```
//!
//! A row of the table holds a step of three machines side by side: a Poseidon2 permutation with a running sum over what it
//! absorbs ([`permutation`]), a gate over the challenge field ([`gates`]) and a bit of a number ([`bits`]). They talk through one
//! write-once memory ([`air`]). One table has one height, one quotient and one running sum of its lookups, which is what
//! keeps the *next* verification small: its cost grows with the number of columns opened.
//!
//! # Example
//!
//! A circuit that knows the square root of a public digest's first word:
//!
//! ```
//! use p3_field::PrimeCharacteristicRing;
//! use p3_koala_bear::KoalaBear;
//! use starkwright_aggregator::circuit::Builder;
//! use starkwright_hal::{Extension, KoalaBear5};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut builder = Builder::new(KoalaBear5::RULE, &[]);
//! let (words, octet) = builder.input_words();
//! let (secret, _) = builder.input_words();
//! let square = builder.mul(secret[0].into(), secret[0].into());
//! builder.assert_equal(square, words[0].into());
//! builder.publish(octet);
//! let circuit = builder.compile(4)?;
//!
//! let mut input = vec![KoalaBear::ZERO; circuit.inputs()];
//! input[0] = KoalaBear::from_u32(49);
//! input[8] = KoalaBear::from_u32(7);
//! let assignment = circuit.assign::<KoalaBear5>(input.as_slice())?;
//! assert_eq!(assignment.public_values[0], KoalaBear::from_u32(49));
//! # Ok(())
//! # }
//! ```

pub mod air;
mod assign;
pub mod bits;
mod builder;
mod compile;
pub mod gates;
pub mod layout;
pub mod permutation;
mod program;
mod sponge;

pub use air::CircuitAir;
pub use assign::{Assignment, Source};
pub use builder::{Builder, Decomposed, inverse_point_factors};
pub use compile::Circuit;
pub use layout::{Layout, fixed::Gate};
pub use program::{Base, Cell, Cost, Ext, Octet};
pub use sponge::{Block, PathIndex, Row};
