//! What p3's verifier computes from openings, and the same openings as a graph's inputs.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_air::{Air, RowWindow};
use p3_batch_stark::ProverData;
use p3_batch_stark::folder::VerifierConstraintFolderWithLookups;
use p3_field::{Algebra, BasedVectorSpace, PrimeCharacteristicRing};
use p3_koala_bear::KoalaBear;
use p3_lookup::{InteractionSymbolicBuilder, LogUpGadget, Lookup, LookupProtocol, Lookups};
use p3_matrix::dense::RowMajorMatrixView;
use p3_matrix::stack::{VerticalPair, ViewPair};
use p3_uni_stark::VerifierConstraintFolder;
use starkwright_hal::{Extension, Poseidon2Merkle};
use starkwright_prover::config::{StockConfig, stock_config};
use starkwright_prover::constraints::{Input, Layout};
use starkwright_prover::profile::Profile;

type Config<E> = StockConfig<KoalaBear, E, Poseidon2Merkle>;

/// The verifier's folder over the extension `E`.
pub(crate) type Folder<'a, E> = VerifierConstraintFolderWithLookups<'a, Config<E>>;

/// The lookups that p3's prover and verifier take for a table of this height.
pub(crate) fn lookups<E, A>(air: &A, log_height: usize) -> Lookups<KoalaBear>
where
    E: Extension<KoalaBear>,
    A: Air<InteractionSymbolicBuilder<KoalaBear, E>>,
    SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
{
    let config = stock_config::<KoalaBear, E, Poseidon2Merkle>(&Profile::Proven100.leaf());
    let airs = std::slice::from_ref(air);
    let data = ProverData::from_airs_and_degrees(&config, airs, &[log_height]).unwrap();
    data.common.lookups[0].clone()
}

/// Random elements (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn elements<E: BasedVectorSpace<KoalaBear>>(&mut self, count: usize) -> Vec<E> {
        let element = |_| E::from_basis_coefficients_fn(|_| KoalaBear::from_u64(self.bits()));
        (0..count).map(element).collect()
    }
}

/// Everything that a verifier evaluates the constraints of one table on. Rows are current and next.
pub(crate) struct Openings<E> {
    main: [Vec<E>; 2],
    preprocessed: [Vec<E>; 2],
    permutation: [Vec<E>; 2],
    periodic: Vec<E>,
    public: Vec<KoalaBear>,
    challenges: Vec<E>,
    terminals: Vec<E>,
    /// First row, last row, transition.
    selectors: Vec<E>,
    /// The challenge that folds constraints.
    pub(crate) alpha: E,
}

impl<E: Extension<KoalaBear>> Openings<E> {
    /// Openings of a table with this layout; of no trace, so constraints do not vanish.
    pub(crate) fn random(layout: &Layout, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut rows = |width| [random.elements(width), random.elements(width)];
        Self {
            main: rows(layout.main),
            preprocessed: rows(layout.preprocessed),
            permutation: rows(layout.permutation),
            periodic: random.elements(layout.periodic),
            public: random.elements(layout.public),
            challenges: random.elements(layout.challenges),
            terminals: random.elements(layout.terminals),
            selectors: random.elements(3),
            alpha: random.elements(1)[0],
        }
    }

    /// The value of a graph's input.
    pub(crate) fn get(&self, input: Input) -> E {
        match input {
            Input::Main { column, next } => self.main[usize::from(next)][column],
            Input::Preprocessed { column, next } => self.preprocessed[usize::from(next)][column],
            Input::Permutation { column, next } => self.permutation[usize::from(next)][column],
            Input::Periodic(column) => self.periodic[column],
            Input::Public(index) => self.public[index].into(),
            Input::Challenge(index) => self.challenges[index],
            Input::Terminal(index) => self.terminals[index],
            Input::IsFirstRow => self.selectors[0],
            Input::IsLastRow => self.selectors[1],
            Input::IsTransition => self.selectors[2],
        }
    }

    /// The folded constraints as `p3_batch_stark`'s verifier computes them.
    pub(crate) fn folded_by_p3<A>(&self, air: &A, lookups: &[Lookup<KoalaBear>]) -> E
    where
        A: for<'a> Air<Folder<'a, E>>,
    {
        let [local, next] = &self.preprocessed;
        let inner = VerifierConstraintFolder {
            main: pair(&self.main),
            preprocessed: pair(&self.preprocessed),
            preprocessed_window: RowWindow::from_two_rows(local, next),
            periodic_values: &self.periodic,
            public_values: &self.public,
            is_first_row: self.selectors[0],
            is_last_row: self.selectors[1],
            is_transition: self.selectors[2],
            alpha: self.alpha,
            accumulator: E::ZERO,
        };
        let mut folder: Folder<'_, E> = VerifierConstraintFolderWithLookups {
            inner,
            permutation: pair(&self.permutation),
            permutation_challenges: &self.challenges,
            permutation_values: &self.terminals,
        };
        LogUpGadget::new().eval_air_and_lookups(air, &mut folder, lookups);
        folder.inner.accumulator
    }
}

fn pair<E: Extension<KoalaBear>>([local, next]: &[Vec<E>; 2]) -> ViewPair<'_, E> {
    VerticalPair::new(
        RowMajorMatrixView::new_row(local),
        RowMajorMatrixView::new_row(next),
    )
}
