//! Plonky3 proofs from any device.
//!
//! ```text
//!  keccak_file   a file ──► segments ──► proof file            (the first real job)
//!     │   │
//!  machine  proof_file, profile, security                      (what is stated, stored, and how hard to forge)
//!     │
//!  prove         BatchProver, UniProver: any AIR               (p3's prove loops, p3's proof types)
//!     │
//!  pcs, challenger   p3's FRI scheme on a device ──► hal       (same bytes as stock p3)
//!
//!  constraints   any AIR's constraints as a graph              (for circuits and kernels)
//! ```
//!
//! Everything that is committed, folded or searched for runs on the back end given; what comes out are p3's own proof
//! types, byte for byte those of stock p3, and stock p3 verifies them.
//!
//! # A foreign AIR on a named device
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use p3_keccak_air::{KeccakAir, generate_trace_rows};
//! use p3_koala_bear::KoalaBear;
//! use starkwright_hal::{Cpu, KoalaBear5, Poseidon2Merkle};
//! use starkwright_prover::profile::Profile;
//! use starkwright_prover::prove::{UniProver, UniVerifier};
//!
//! let device = Cpu::<KoalaBear>::new(); // or starkwright_kernels::OpenCl::open(&info, Options::default())?
//! let parameters = Profile::Proven100.leaf();
//! let trace = generate_trace_rows::<KoalaBear>(vec![[7; 25]; 2], 0); // 2^6 rows
//! let prover = UniProver::<_, KoalaBear5, Poseidon2Merkle, _, _>::setup(&device, &parameters, KeccakAir {}, 6)?;
//! let proof = prover.prove(trace, &[])?; // p3_uni_stark::Proof
//! UniVerifier::<_, KoalaBear5, Poseidon2Merkle, _>::setup(&parameters, KeccakAir {}, 6)?.verify(&proof, &[])?;
//! # Ok(())
//! # }
//! ```
//!
//! Tables that talk through lookups, with or without preprocessed columns, go through
//! [`prove::BatchProver`] in the same way. The security that `parameters` give a shape is computed by
//! [`security::rate`].

pub mod challenger;
pub mod config;
pub mod constraints;
pub mod error;
pub mod keccak_file;
pub mod machine;
pub mod pcs;
pub mod phases;
pub mod profile;
pub mod proof_file;
pub mod proof_size;
pub mod prove;
pub mod security;

pub use error::ProverError;
