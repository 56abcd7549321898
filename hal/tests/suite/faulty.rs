//! A device with one planted fault: p3 underneath, and something wrong with one operation.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use p3_matrix::dense::RowMajorMatrix;
use starkwright_hal::{
    Buffers, Caps, Commitment, Cpu, CpuCommitted, Device, Evaluation, Extension, FriOps, HalError,
    HalField, LdeOps, MerkleOps, MerkleScheme, MultiProof, Operation, Placement, Puzzle, Reduction,
    Rows, Statistics,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Says beforehand that the operation is not supported.
    Unsupported,
    /// Breaks the contract: accepts the operation, and refuses it with the input in hand.
    LateUnsupported,
    OutOfMemory,
    DeviceLost,
    /// One element of the result is wrong.
    WrongElement,
    /// The word of one element of the result is not below the prime.
    UnreducedElement,
}

#[derive(Clone)]
pub(crate) struct Faulty<F> {
    inner: Cpu<F>,
    fault: Arc<Mutex<Option<(Fault, &'static str)>>>,
    log_limit: Arc<AtomicU32>,
    poison: Arc<AtomicBool>,
    placements: Arc<Mutex<Vec<Placement>>>,
}

/// An element equal to zero whose word is the prime.
#[allow(
    unsafe_code,
    reason = "p3 offers no safe way to build an element that breaks its rule"
)]
pub(crate) fn unreduced_zero<F: HalField>() -> F {
    assert_eq!(size_of::<F>(), size_of::<u32>());
    // SAFETY: p3's Montgomery fields are `repr(transparent)` around a `u32`, of which every value is valid. This is
    // what a buffer that a device has written to looks like.
    unsafe { std::mem::transmute_copy::<u32, F>(&F::ORDER_U32) }
}

impl<F: HalField> Faulty<F> {
    pub(crate) fn sound() -> Self {
        Self {
            inner: Cpu::new(),
            fault: Arc::default(),
            log_limit: Arc::new(AtomicU32::new(F::TWO_ADICITY as u32)),
            poison: Arc::default(),
            placements: Arc::default(),
        }
    }

    pub(crate) fn with(fault: Fault, op: &'static str) -> Self {
        let device = Self::sound();
        device.plant(fault, op);
        device
    }

    pub(crate) fn plant(&self, fault: Fault, op: &'static str) {
        *self.fault.lock().unwrap() = Some((fault, op));
    }

    pub(crate) fn limit_height(&self, log: u32) {
        self.log_limit.store(log, Ordering::Relaxed);
    }

    /// Where the uploads so far were wanted.
    pub(crate) fn placements(&self) -> Vec<Placement> {
        self.placements.lock().unwrap().clone()
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.load(Ordering::Relaxed)
    }

    fn fault(&self, op: &str) -> Option<Fault> {
        let fault = *self.fault.lock().unwrap();
        fault.filter(|(_, at)| *at == op).map(|(fault, _)| fault)
    }

    /// Fails as planted, before anything is done.
    fn enter(&self, op: &'static str) -> Result<(), HalError> {
        let device = || "faulty".to_owned();
        match self.fault(op) {
            Some(Fault::Unsupported | Fault::LateUnsupported) => {
                Err(HalError::unsupported(op, "planted"))
            }
            Some(Fault::OutOfMemory) => Err(HalError::OutOfMemory {
                device: device(),
                requested: 2,
                available: 1,
            }),
            Some(Fault::DeviceLost) => Err(HalError::DeviceLost {
                device: device(),
                why: "planted".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Spoils a result as planted, in its last word.
    fn spoil(&self, op: &str, values: &mut [F]) {
        let Some(last) = values.last_mut() else {
            return;
        };
        match self.fault(op) {
            Some(Fault::WrongElement) => *last += F::ONE,
            Some(Fault::UnreducedElement) => *last = unreduced_zero(),
            _ => {}
        }
    }

    fn spoilt(&self, op: &str, mut matrix: RowMajorMatrix<F>) -> RowMajorMatrix<F> {
        self.spoil(op, &mut matrix.values);
        matrix
    }
}

impl<F: HalField> Device for Faulty<F> {
    fn caps(&self) -> Caps {
        Caps {
            selector: "faulty:0".to_owned(),
            name: "faulty".to_owned(),
            max_log_height: self.log_limit.load(Ordering::Relaxed),
            ..self.inner.caps()
        }
    }

    fn finish(&self) -> Result<(), HalError> {
        self.enter("finish")
    }

    fn statistics(&self) -> Statistics {
        Statistics {
            bytes_up: 1,
            ..Statistics::default()
        }
    }

    fn reset_statistics(&self) {}

    fn set_poison(&self, on: bool) {
        self.poison.store(on, Ordering::Relaxed);
    }
}

impl<F: HalField> Buffers<F> for Faulty<F> {
    type Matrix = RowMajorMatrix<F>;

    fn upload(&self, matrix: RowMajorMatrix<F>) -> Result<Self::Matrix, HalError> {
        self.enter("upload")?;
        Ok(self.spoilt("upload", matrix))
    }

    fn upload_to(
        &self,
        matrix: RowMajorMatrix<F>,
        placement: Placement,
    ) -> Result<Self::Matrix, HalError> {
        self.placements.lock().unwrap().push(placement);
        self.upload(matrix)
    }

    fn download(&self, matrix: &Self::Matrix) -> Result<RowMajorMatrix<F>, HalError> {
        self.enter("download")?;
        Ok(self.spoilt("download", matrix.clone()))
    }

    fn rows<'a>(
        &self,
        matrix: &'a Self::Matrix,
        rows: Range<usize>,
    ) -> Result<Rows<'a, F>, HalError> {
        self.enter("rows")?;
        let mut values = self.inner.rows(matrix, rows)?.as_slice().to_vec();
        self.spoil("rows", &mut values);
        Ok(Rows::Copied(values))
    }

    fn reshape(&self, matrix: Self::Matrix, width: usize) -> Result<Self::Matrix, HalError> {
        self.enter("reshape")?;
        Ok(self.spoilt("reshape", self.inner.reshape(matrix, width)?))
    }

    fn supports(&self, operation: Operation) -> Result<(), HalError> {
        if self.fault(operation.name()) == Some(Fault::Unsupported) {
            return Err(HalError::unsupported(operation.name(), "planted"));
        }
        if let Operation::CosetLde {
            height, added_bits, ..
        } = operation
        {
            let log = height.ilog2() as usize + added_bits;
            if log > self.caps().max_log_height as usize {
                return Err(HalError::unsupported("coset_lde", "too tall"));
            }
        }
        Ok(())
    }
}

impl<F: HalField> LdeOps<F> for Faulty<F> {
    fn coset_lde(
        &self,
        evaluations: Self::Matrix,
        added_bits: usize,
        shift: F,
    ) -> Result<Self::Matrix, HalError> {
        self.enter("coset_lde")?;
        let result = self.inner.coset_lde(evaluations, added_bits, shift)?;
        Ok(self.spoilt("coset_lde", result))
    }

    fn dft(&self, coefficients: Self::Matrix) -> Result<Self::Matrix, HalError> {
        self.enter("dft")?;
        Ok(self.spoilt("dft", self.inner.dft(coefficients)?))
    }

    fn idft(&self, evaluations: Self::Matrix) -> Result<Self::Matrix, HalError> {
        self.enter("idft")?;
        Ok(self.spoilt("idft", self.inner.idft(evaluations)?))
    }
}

impl<F: HalField> MerkleOps<F> for Faulty<F> {
    type Committed<S: MerkleScheme<F>> = CpuCommitted<F, S>;

    fn commit<S: MerkleScheme<F>>(
        &self,
        matrices: Vec<Self::Matrix>,
        cap_height: usize,
    ) -> Result<(Commitment<F, S>, Self::Committed<S>), HalError> {
        self.enter("commit")?;
        let (commitment, tree) = self.inner.commit::<S>(matrices, cap_height)?;
        let mut words = S::cap_words(&commitment);
        if self.fault("commit") == Some(Fault::WrongElement) {
            words[0][7] = (words[0][7] + 1) % F::ORDER_U32;
        }
        Ok((S::commitment(&words)?, tree))
    }

    fn matrices<'a, S: MerkleScheme<F>>(
        &self,
        committed: &'a Self::Committed<S>,
    ) -> Vec<&'a Self::Matrix> {
        self.inner.matrices::<S>(committed)
    }

    fn open<S: MerkleScheme<F>>(
        &self,
        committed: &Self::Committed<S>,
        indices: &[usize],
    ) -> Result<(Vec<Vec<Vec<F>>>, MultiProof<F, S>), HalError> {
        self.enter("open")?;
        let (mut rows, proof) = self.inner.open::<S>(committed, indices)?;
        self.spoil("open", &mut rows[0][0]);
        let mut words = S::sibling_words(&proof);
        if self.fault("open siblings") == Some(Fault::WrongElement) {
            words[0][0] = (words[0][0] + 1) % F::ORDER_U32;
        }
        Ok((rows, S::multi_proof(&words)?))
    }
}

impl<F: HalField> FriOps<F> for Faulty<F> {
    fn evaluate<E: Extension<F>>(
        &self,
        shift: F,
        requests: &[Evaluation<'_, Self::Matrix, E>],
    ) -> Result<Vec<Vec<Vec<E>>>, HalError> {
        self.enter("evaluate")?;
        let mut values = self.inner.evaluate(shift, requests)?;
        if let Some(last) = values.last_mut().and_then(|v| v.last_mut()?.last_mut()) {
            let mut coefficients = last.as_basis_coefficients_slice().to_vec();
            self.spoil("evaluate", &mut coefficients);
            *last = E::from_basis_coefficients_slice(&coefficients).unwrap();
        }
        Ok(values)
    }

    fn reduce<E: Extension<F>>(
        &self,
        log_height: usize,
        shift: F,
        alpha: E,
        terms: &[Reduction<'_, Self::Matrix, E>],
    ) -> Result<Self::Matrix, HalError> {
        self.enter("reduce")?;
        let result = self.inner.reduce(log_height, shift, alpha, terms)?;
        Ok(self.spoilt("reduce", result))
    }

    fn fold<E: Extension<F>>(
        &self,
        leaves: &Self::Matrix,
        beta: E,
        log_arity: usize,
        roll_in: Option<&Self::Matrix>,
    ) -> Result<Self::Matrix, HalError> {
        self.enter("fold")?;
        let result = self.inner.fold(leaves, beta, log_arity, roll_in)?;
        Ok(self.spoilt("fold", result))
    }

    fn grind(&self, puzzle: &Puzzle<F>, bits: usize) -> Result<F, HalError> {
        self.enter("grind")?;
        let mut witness = [self.inner.grind(puzzle, bits)?];
        self.spoil("grind", &mut witness);
        Ok(witness[0])
    }
}
