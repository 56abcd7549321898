//! p3's byte challenger over Keccak-256, with its pending input in the open.
//!
//! `SerializingChallenger32<F, HashChallenger<u8, Keccak256Hash, 32>>` hides the bytes a proof-of-work search needs.
//! This one computes the same challenges from the same observations (p3-challenger, `serializing_challenger.rs` and
//! `hash_challenger.rs`) and can state its search as a [`Puzzle`].

use std::marker::PhantomData;

use p3_challenger::{CanObserve, CanSample, CanSampleBits, FieldChallenger};
use p3_field::BasedVectorSpace;
use p3_keccak::Keccak256Hash;
use p3_symmetric::{CryptographicHasher, MerkleCap};
use starkwright_hal::{HalField, Puzzle};

use super::PuzzleChallenger;

/// A transcript of bytes under Keccak-256: elements are absorbed as their Montgomery words in little-endian bytes.
#[derive(Clone, Debug)]
pub struct ByteTranscript<F> {
    /// Absorbed since the last hash, after that hash's digest.
    input: Vec<u8>,
    /// Bytes of the last digest not yet sampled; sampling takes them from the end.
    output: Vec<u8>,
    field: PhantomData<F>,
}

impl<F> Default for ByteTranscript<F> {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            output: Vec::new(),
            field: PhantomData,
        }
    }
}

impl<F: HalField> ByteTranscript<F> {
    fn absorb(&mut self, bytes: &[u8]) {
        self.output.clear();
        self.input.extend_from_slice(bytes);
    }

    /// Hashes what is pending; the digest starts the next input and is what is sampled from.
    fn flush(&mut self) {
        let digest: [u8; 32] = Keccak256Hash.hash_iter(self.input.drain(..));
        self.input.extend_from_slice(&digest);
        self.output.clear();
        self.output.extend_from_slice(&digest);
    }

    fn sample_byte(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.output.pop() {
                return byte;
            }
            self.flush();
        }
    }

    fn sample_word(&mut self) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|_| self.sample_byte()))
    }

    /// A grind starts on a digest of the transcript, so that every candidate costs one short hash.
    fn squeeze(&mut self) {
        self.sample_byte();
    }

    /// Rejection sampling over 31 bits: uniform in the field.
    fn sample_element(&mut self) -> F {
        loop {
            let word = self.sample_word() & (u32::MAX >> 1);
            if word < F::ORDER_U32 {
                return F::from_u32(word);
            }
        }
    }
}

impl<F: HalField> PuzzleChallenger for ByteTranscript<F> {
    type Field = F;

    fn puzzle(&self) -> Puzzle<F> {
        let mut squeezed = self.clone();
        squeezed.squeeze();
        Puzzle::Keccak256 {
            prefix: squeezed.input,
        }
    }

    fn accept(&mut self, bits: usize, witness: F) -> bool {
        if bits == 0 {
            return true;
        }
        self.squeeze();
        self.observe(witness);
        let sampled: usize = self.sample_bits(bits);
        sampled == 0
    }
}

impl<F: HalField> CanObserve<F> for ByteTranscript<F> {
    fn observe(&mut self, value: F) {
        self.absorb(&value.montgomery_word().to_le_bytes());
    }
}

impl<F: HalField, const N: usize> CanObserve<MerkleCap<F, [u8; N]>> for ByteTranscript<F> {
    fn observe(&mut self, cap: MerkleCap<F, [u8; N]>) {
        for digest in cap.roots() {
            self.absorb(digest);
        }
    }
}

impl<F: HalField, E: BasedVectorSpace<F>> CanSample<E> for ByteTranscript<F> {
    fn sample(&mut self) -> E {
        E::from_basis_coefficients_fn(|_| self.sample_element())
    }
}

impl<F: HalField> CanSampleBits<usize> for ByteTranscript<F> {
    fn sample_bits(&mut self, bits: usize) -> usize {
        // p3 asks for fewer bits than the field has.
        self.sample_word() as usize & ((1usize << bits.min(31)) - 1)
    }
}

impl<F: HalField> FieldChallenger<F> for ByteTranscript<F> {}

#[cfg(test)]
mod tests {
    use p3_challenger::{GrindingChallenger, HashChallenger, SerializingChallenger32};
    use p3_field::{PrimeCharacteristicRing, PrimeField32};
    use p3_koala_bear::KoalaBear;
    use proptest::prelude::*;
    use starkwright_hal::KoalaBear5;

    use super::*;

    type Stock = SerializingChallenger32<KoalaBear, HashChallenger<u8, Keccak256Hash, 32>>;

    #[derive(Clone, Debug)]
    enum Step {
        Observe(u32),
        Cap(Vec<[u8; 32]>),
        Element,
        Extension,
        Bits(usize),
        Grind(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..KoalaBear::ORDER_U32).prop_map(Step::Observe),
            (0u32..3).prop_flat_map(|log| {
                prop::collection::vec(any::<[u8; 32]>(), 1 << log).prop_map(Step::Cap)
            }),
            Just(Step::Element),
            Just(Step::Extension),
            (0usize..31).prop_map(Step::Bits),
            (0usize..6).prop_map(Step::Grind),
        ]
    }

    proptest! {
        #[test]
        fn samples_what_p3_samples(steps in prop::collection::vec(step(), 0..40)) {
            let mut ours = ByteTranscript::<KoalaBear>::default();
            let mut stock = Stock::from_hasher(vec![], Keccak256Hash);
            for step in steps {
                match step {
                    Step::Observe(x) => {
                        ours.observe(KoalaBear::from_u32(x));
                        stock.observe(KoalaBear::from_u32(x));
                    }
                    Step::Cap(digests) => {
                        let cap = MerkleCap::<KoalaBear, [u8; 32]>::new(digests);
                        ours.observe(cap.clone());
                        stock.observe(cap);
                    }
                    Step::Element => {
                        let (a, b): (KoalaBear, KoalaBear) = (ours.sample(), stock.sample());
                        prop_assert_eq!(a, b);
                    }
                    Step::Extension => {
                        let (a, b): (KoalaBear5, KoalaBear5) = (ours.sample(), stock.sample());
                        prop_assert_eq!(a, b);
                    }
                    Step::Bits(bits) => prop_assert_eq!(ours.sample_bits(bits), stock.sample_bits(bits)),
                    Step::Grind(bits) => {
                        let witness = stock.clone().grind(bits);
                        prop_assert_eq!(ours.accept(bits, witness), stock.check_witness(bits, witness));
                    }
                }
            }
        }
    }
}
