//! Fiat–Shamir challengers: p3's own, with grinding that every device agrees on.
//!
//! Stock p3 takes any witness that passes, so two runs of stock p3 differ. Ours is the smallest passing canonical
//! element, found on the host or on a device: [`Grinding`] wraps a challenger and changes nothing else. The verifier
//! needs no wrapper, since it accepts any witness that passes.

mod bytes;

use std::sync::{Arc, Mutex, PoisonError};

use p3_challenger::{
    CanObserve, CanSample, CanSampleBits, DuplexChallenger, FieldChallenger, GrindingChallenger,
    HashChallenger, SerializingChallenger32,
};
use p3_field::PrimeCharacteristicRing;
use p3_keccak::Keccak256Hash;
use starkwright_hal::{
    Commitment, Extension, FriOps, HalError, HalField, Keccak256Merkle, MerkleScheme,
    Poseidon2Merkle, Poseidon2WideMerkle, Puzzle,
};

pub use bytes::ByteTranscript;

use crate::phases::{Phase, Phases};

/// A Merkle scheme with the challengers that go with it.
pub trait Protocol<F: HalField, E: Extension<F>>: MerkleScheme<F> {
    /// p3's challenger, which the stock verifier runs.
    type Challenger: FieldChallenger<F>
        + CanSample<E>
        + CanObserve<Commitment<F, Self>>
        + GrindingChallenger<Witness = F>
        + Clone
        + Send
        + Sync;

    /// The prover's challenger: the same sponge, whose state can be made a puzzle for a device.
    type Transcript: PuzzleChallenger<Field = F>
        + FieldChallenger<F>
        + CanSample<E>
        + CanObserve<Commitment<F, Self>>
        + CanSampleBits<usize>
        + Clone
        + Send
        + Sync;

    /// A fresh verifier's challenger.
    fn challenger() -> Self::Challenger;
    /// A fresh prover's challenger.
    fn transcript() -> Self::Transcript;
}

/// A challenger whose proof-of-work search can be handed to a device.
pub trait PuzzleChallenger {
    /// The field of the witness.
    type Field: HalField;

    /// The search that the next grind has to solve.
    fn puzzle(&self) -> Puzzle<Self::Field>;

    /// Absorbs a witness as a verifier does, and says whether it passes.
    fn accept(&mut self, bits: usize, witness: Self::Field) -> bool;
}

type Duplex<F> = DuplexChallenger<F, <F as HalField>::Perm16, 16, 8>;

impl<F: HalField> PuzzleChallenger for Duplex<F> {
    type Field = F;

    fn puzzle(&self) -> Puzzle<F> {
        // What `observe(witness)` and the permutation before the next sample do (p3-challenger, duplex_challenger.rs):
        // the buffered inputs and the witness overwrite the rate, the rest of the rate is cleared, and the number of
        // absorbed elements is added to the first element of the capacity.
        let slot = self.input_buffer.len();
        let mut state = self.sponge_state;
        state[..slot].copy_from_slice(&self.input_buffer);
        state[slot..8].fill(F::ZERO);
        state[8] += F::from_usize(slot + 1);
        Puzzle::Poseidon2 {
            state,
            slot,
            output: 7,
        }
    }

    fn accept(&mut self, bits: usize, witness: F) -> bool {
        self.check_witness(bits, witness)
    }
}

impl<F: HalField, E: Extension<F>> Protocol<F, E> for Poseidon2Merkle {
    type Challenger = Duplex<F>;
    type Transcript = Duplex<F>;

    fn challenger() -> Self::Challenger {
        Duplex::new(F::poseidon2_16())
    }

    fn transcript() -> Self::Transcript {
        Duplex::new(F::poseidon2_16())
    }
}

impl<F: HalField, E: Extension<F>> Protocol<F, E> for Poseidon2WideMerkle {
    type Challenger = Duplex<F>;
    type Transcript = Duplex<F>;

    fn challenger() -> Self::Challenger {
        Duplex::new(F::poseidon2_16())
    }

    fn transcript() -> Self::Transcript {
        Duplex::new(F::poseidon2_16())
    }
}

impl<F: HalField, E: Extension<F>> Protocol<F, E> for Keccak256Merkle {
    type Challenger = SerializingChallenger32<F, HashChallenger<u8, Keccak256Hash, 32>>;
    type Transcript = ByteTranscript<F>;

    fn challenger() -> Self::Challenger {
        SerializingChallenger32::from_hasher(vec![], Keccak256Hash)
    }

    fn transcript() -> Self::Transcript {
        ByteTranscript::default()
    }
}

/// The first failure of a device at a place where p3's traits allow no error.
///
/// It is reported by the next call that can fail; until then nothing that was computed counts.
#[derive(Clone, Debug, Default)]
pub struct Failure(Arc<Mutex<Option<HalError>>>);

impl Failure {
    /// Keeps the first failure.
    pub fn record(&self, error: HalError) {
        // A poisoned lock still holds a plain value.
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
    }

    /// Whether something failed.
    #[must_use]
    pub fn occurred(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Forgets what an earlier proof left behind: one that ended by another error had no chance to report it.
    pub(crate) fn forget(&self) {
        let _ = self.check();
    }

    /// The failure, if any, which is then forgotten.
    ///
    /// # Errors
    /// The recorded failure.
    pub fn check(&self) -> Result<(), HalError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map_or(Ok(()), Err)
    }
}

/// A challenger that grinds on a device, for the smallest witness.
#[derive(Clone, Debug)]
pub struct Grinding<C, B> {
    inner: C,
    device: B,
    failure: Failure,
    phases: Phases,
}

impl<C, B> Grinding<C, B> {
    /// Wraps a challenger. What fails while grinding goes to `failure`, its time to `phases`.
    pub const fn new(inner: C, device: B, failure: Failure, phases: Phases) -> Self {
        Self {
            inner,
            device,
            failure,
            phases,
        }
    }
}

impl<T, C: CanObserve<T>, B> CanObserve<T> for Grinding<C, B> {
    fn observe(&mut self, value: T) {
        self.inner.observe(value);
    }
}

impl<T, C: CanSample<T>, B> CanSample<T> for Grinding<C, B> {
    fn sample(&mut self) -> T {
        self.inner.sample()
    }
}

impl<T, C: CanSampleBits<T>, B> CanSampleBits<T> for Grinding<C, B> {
    fn sample_bits(&mut self, bits: usize) -> T {
        self.inner.sample_bits(bits)
    }
}

impl<F: HalField, C: FieldChallenger<F>, B: Clone + Send + Sync> FieldChallenger<F>
    for Grinding<C, B>
{
}

impl<C, B> GrindingChallenger for Grinding<C, B>
where
    C: PuzzleChallenger + CanObserve<C::Field> + CanSampleBits<usize>,
    B: FriOps<C::Field>,
{
    type Witness = C::Field;

    fn grind(&mut self, bits: usize) -> C::Field {
        // After a failure nothing counts, so nothing is searched for.
        if bits == 0 || self.failure.occurred() {
            return C::Field::ZERO;
        }
        self.phases.lap(Phase::Other);
        let found = self
            .device
            .grind(&self.inner.puzzle(), bits)
            .and_then(|witness| {
                if self.inner.accept(bits, witness) {
                    Ok(witness)
                } else {
                    Err(HalError::Mismatch {
                        device: self.device.caps().selector,
                        op: "grind",
                        detail: "a witness that does not pass".to_owned(),
                    })
                }
            });
        self.phases.lap(Phase::Grind);
        found.unwrap_or_else(|error| {
            self.failure.record(error);
            C::Field::ZERO
        })
    }

    fn check_witness(&mut self, bits: usize, witness: C::Field) -> bool {
        bits == 0 || self.inner.accept(bits, witness)
    }
}
