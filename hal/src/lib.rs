//! The hardware layer of Starkwright: what a prover asks of a device, and the CPU reference that every device must
//! agree with, bit for bit.
//!
//! ```text
//!                    prover (generic over Backend)
//!                               │
//!      Backend<F> = LdeOps + MerkleOps + FriOps  (over Buffers, over Device)
//!                               │
//!        ┌───────────────┬──────┴────────┬──────────────────┐
//!      Cpu<F>      starkwright-      Fallback<P, C>    Shadow<A, B>
//!   p3's own code    kernels       P, and C for what   A and B, every
//!   (reference)     (OpenCL)        P does not offer   result compared
//! ```
//!
//! - **Device-resident**: a [`Buffers::Matrix`] lives where its back end put it, in the layout that back end likes.
//!   Operations take and return such matrices, and only enqueue. The calls that hand anything to the host wait:
//!   [`download`](Buffers::download), [`rows`](Buffers::rows), [`commit`](MerkleOps::commit) for its cap,
//!   [`open`](MerkleOps::open), [`evaluate`](FriOps::evaluate), [`grind`](FriOps::grind).
//! - **Two row orders**: *natural*, where row `i` belongs to the point `shift · g^i`, and *bit-reversed*, where it
//!   belongs to the point with index `rev(i)`. Extended matrices are bit-reversed.
//! - **p3's own types** at the border: [`RowMajorMatrix`](p3_matrix::dense::RowMajorMatrix) in, p3's commitments and
//!   multi-proofs out ([`MerkleScheme`]), Montgomery words as p3 stores them ([`HalField`]).
//! - **Errors, never panics**: [`HalError`] says what failed and what to do. Only [`Fallback`] acts on one of them,
//!   [`HalError::Unsupported`].
//! - **Chosen in a few words**: [`Selector`], [`DeviceConfig`], [`pick`]. [`check_device`] tries a device out before it
//!   is trusted with a proof.
//!
//! # Example
//!
//! Extend a trace on the reference, commit to it, open two rows, and verify with stock p3:
//!
//! ```
//! use p3_commit::Mmcs;
//! use p3_field::{Field, PrimeCharacteristicRing};
//! use p3_koala_bear::KoalaBear;
//! use p3_matrix::Dimensions;
//! use p3_matrix::dense::RowMajorMatrix;
//! use starkwright_hal::{Buffers, Cpu, LdeOps, MerkleOps, MerkleScheme, Poseidon2Merkle};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Cpu::<KoalaBear>::new();
//! let trace = RowMajorMatrix::new((0..64).map(KoalaBear::from_u32).collect(), 4);
//!
//! // 16 rows become 32, over the coset that p3's FRI uses, in bit-reversed order.
//! let trace = device.upload(trace)?;
//! let extended = device.coset_lde(trace, 1, KoalaBear::GENERATOR)?;
//! let (commitment, tree) = device.commit::<Poseidon2Merkle>(vec![extended], 0)?;
//! let (rows, proof) = device.open::<Poseidon2Merkle>(&tree, &[3, 17])?;
//!
//! let mmcs = <Poseidon2Merkle as MerkleScheme<KoalaBear>>::mmcs(0);
//! let shape = [Dimensions { width: 4, height: 32 }];
//! mmcs.verify_multi_batch(&commitment, &shape, &[3, 17], &rows, &proof)?;
//! # Ok(())
//! # }
//! ```

mod backend;
mod check;
mod config;
mod cpu;
mod device;
mod error;
mod fallback;
mod field;
mod held;
mod merkle;
mod request;
mod select;
mod shadow;

pub use backend::*;
pub use check::check_device;
pub use config::{ByteSize, DeviceConfig, Variant};
pub use cpu::{Cpu, CpuCommitted};
pub use device::*;
pub use error::HalError;
pub use fallback::{Fallback, FallbackCommitted, FallbackMatrix};
pub use field::*;
pub use merkle::*;
pub use request::{Evaluation, PointOpening, Puzzle, Reduction};
pub use select::{Candidate, Selector, Target, pick};
pub use shadow::{Shadow, ShadowCommitted, ShadowMatrix, replay};
