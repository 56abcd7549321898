//! All circuits of a profile, set up as they are needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::{Backend, Extension, Keccak256Merkle, Poseidon2Merkle};
use starkwright_prover::challenger::Protocol;
use starkwright_prover::machine::keccak::SegmentShape;
use starkwright_prover::profile::Profile;

use super::keys::allowed;
use super::{AllowedKeys, Close, Join, Keys, Layers, Lift, NodeKey, Seal, Shrink, Uniform, Wrap};
use crate::AggregatorError;
use crate::once::{Once, OnceMap};

type F = KoalaBear;

/// The two circuits through which a machine's proofs of one height enter a tree.
pub struct Entrance<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
{
    /// Verifies the machine's proof.
    pub lift: Lift<E, B>,
    /// Brings it to the uniform shape.
    pub shrink: Shrink<E, B>,
}

/// The circuits of one profile on a device. Each is set up at its first use, and must have the key that [`Keys`] has for
/// it.
pub struct Circuits<E: Extension<F>, B: Backend<F>>
where
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
{
    device: B,
    layers: Layers,
    uniform: Uniform,
    keys: Keys,
    allowed: AllowedKeys,
    /// By the base-2 logarithm of the leaf's height.
    entrances: OnceMap<usize, Entrance<E, B>>,
    join: Once<Join<E, B>>,
    close: Once<Close<E, B>>,
    seal: Once<Seal<E, B>>,
    wrap: Once<Wrap<E, B>>,
}

impl<E: Extension<F>, B: Backend<F>> Circuits<E, B>
where
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    /// The circuits of a profile.
    ///
    /// # Errors
    /// [`AggregatorError::KeyFile`]; as [`Uniform::new`].
    pub fn new(device: &B, profile: Profile) -> Result<Self, AggregatorError> {
        let keys = Keys::of(profile)?;
        let heights: Vec<usize> = keys.lifts.keys().copied().collect();
        let allowed = keys.allowed(profile)?;
        Self::with_keys(device, &Layers::of(profile), &heights, keys, allowed)
    }

    /// Circuits of these layers under these keys, for a machine's proofs of these heights.
    ///
    /// # Errors
    /// As [`Uniform::new`].
    pub fn with_keys(
        device: &B,
        layers: &Layers,
        heights: &[usize],
        keys: Keys,
        allowed: AllowedKeys,
    ) -> Result<Self, AggregatorError> {
        Ok(Self {
            device: device.clone(),
            layers: *layers,
            uniform: uniform::<E>(layers, heights)?,
            keys,
            allowed,
            entrances: OnceMap::new(),
            join: Once::new(),
            close: Once::new(),
            seal: Once::new(),
            wrap: Once::new(),
        })
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The keys that nodes of the uniform shape may have.
    #[must_use]
    pub const fn allowed(&self) -> &AllowedKeys {
        &self.allowed
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> &B {
        &self.device
    }

    /// Lift and shrink for proofs whose tables have `2^log_leaf` rows.
    ///
    /// # Errors
    /// [`AggregatorError::UnknownKey`] for a height without a key; [`AggregatorError::OtherKey`]; set-up's.
    pub fn entrance(&self, log_leaf: usize) -> Result<Arc<Entrance<E, B>>, AggregatorError> {
        let (Some(lift_key), Some(shrink_key)) = (
            self.keys.lifts.get(&log_leaf),
            self.keys.shrinks.get(&log_leaf),
        ) else {
            return Err(AggregatorError::UnknownKey);
        };
        self.entrances.get(log_leaf, || {
            let entrance = entrance(&self.device, &self.layers, &self.uniform, log_leaf)?;
            check(lift_key, entrance.lift.node().key())?;
            check(shrink_key, entrance.shrink.node().key())?;
            Ok(entrance)
        })
    }

    /// The join.
    ///
    /// # Errors
    /// [`AggregatorError::OtherKey`]; set-up's.
    pub fn join(&self) -> Result<Arc<Join<E, B>>, AggregatorError> {
        self.join.get(|| {
            let join = Join::setup(&self.device, &self.uniform)?;
            check(&self.keys.join, join.node().key())?;
            Ok(join)
        })
    }

    /// The close.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub fn close(&self) -> Result<Arc<Close<E, B>>, AggregatorError> {
        self.close.get(|| {
            let close = Close::setup(&self.device, &self.uniform)?;
            check(&self.keys.close, close.node().key())?;
            Ok(close)
        })
    }

    /// The seal.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub fn seal(&self) -> Result<Arc<Seal<E, B>>, AggregatorError> {
        self.seal.get(|| {
            let (log, parameters) = &self.layers.seal;
            let layer = (*log, parameters);
            let seal = Seal::setup(&self.device, &self.uniform, &self.allowed, layer)?;
            check(&self.keys.seal, seal.node().key())?;
            Ok(seal)
        })
    }

    /// The wrap.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub fn wrap(&self) -> Result<Arc<Wrap<E, B>>, AggregatorError> {
        let seal = self.seal()?;
        self.wrap.get(|| {
            let (log, parameters) = &self.layers.wrap;
            let wrap = Wrap::setup(&self.device, &seal, (*log, parameters))?;
            if wrap.key() != self.keys.wrap {
                return Err(AggregatorError::OtherKey { circuit: "wrap" });
            }
            Ok(wrap)
        })
    }
}

/// Derives the keys of a tree from its circuits alone, for a machine's proofs of these heights. `watch` is told of each
/// circuit that is done.
///
/// # Errors
/// Set-up's; [`AggregatorError::TooManyKeys`].
pub fn derive_keys<E, B>(
    device: &B,
    layers: &Layers,
    heights: &[usize],
    mut watch: impl FnMut(&str, &crate::circuit::Circuit),
) -> Result<Keys, AggregatorError>
where
    E: Extension<F>,
    B: Backend<F>,
    Poseidon2Merkle: Protocol<F, E>,
    Keccak256Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let uniform = uniform::<E>(layers, heights)?;
    let (mut lifts, mut shrinks) = (BTreeMap::new(), BTreeMap::new());
    for &log_leaf in heights {
        let Entrance { lift, shrink } = entrance::<E, B>(device, layers, &uniform, log_leaf)?;
        watch(&format!("lift of 2^{log_leaf} rows"), lift.node().circuit());
        watch(
            &format!("shrink of 2^{log_leaf} rows"),
            shrink.node().circuit(),
        );
        lifts.insert(log_leaf, lift.node().key().clone());
        shrinks.insert(log_leaf, shrink.node().key().clone());
    }
    let join = Join::<E, B>::setup(device, &uniform)?;
    watch("join", join.node().circuit());
    let join = join.node().key().clone();
    let close = Close::<E, B>::setup(device, &uniform)?;
    watch("close", close.node().circuit());
    let close = close.node().key().clone();
    let allowed = allowed(&shrinks, &join, &close).ok_or(AggregatorError::TooManyKeys)?;
    let (log, parameters) = &layers.seal;
    let seal = Seal::<E, B>::setup(device, &uniform, &allowed, (*log, parameters))?;
    watch("seal", seal.node().circuit());
    let (log, parameters) = &layers.wrap;
    let wrap = Wrap::setup(device, &seal, (*log, parameters))?;
    watch("wrap", wrap.circuit());
    Ok(Keys {
        lifts,
        shrinks,
        join,
        close,
        seal: seal.node().key().clone(),
        wrap: wrap.key().to_vec(),
    })
}

/// The heights of the Keccak-256 machine's proofs that a tree takes.
#[must_use]
pub fn keccak_heights() -> Vec<usize> {
    SegmentShape::all().map(SegmentShape::log_height).collect()
}

/// The uniform shape for proofs of these heights.
pub(super) fn uniform<E>(layers: &Layers, heights: &[usize]) -> Result<Uniform, AggregatorError>
where
    E: Extension<F>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let (log_lift, parameters) = &layers.lift;
    let mut tails = Vec::new();
    for &log_leaf in heights {
        let leaf = (log_leaf, &layers.leaf);
        tails.extend(super::lift::tails::<E>(leaf, (*log_lift, parameters))?);
    }
    let (log_height, parameters) = &layers.uniform;
    Uniform::new::<E>(*log_height, parameters, &tails)
}

fn entrance<E, B>(
    device: &B,
    layers: &Layers,
    uniform: &Uniform,
    log_leaf: usize,
) -> Result<Entrance<E, B>, AggregatorError>
where
    E: Extension<F>,
    B: Backend<F>,
    Poseidon2Merkle: Protocol<F, E>,
    SymbolicExpressionExt<F, E>: Algebra<E>,
{
    let (log_lift, parameters) = &layers.lift;
    let leaf = (log_leaf, &layers.leaf);
    let lift = Lift::<E, B>::setup(device, leaf, (*log_lift, parameters))?;
    let shrink = Shrink::setup(device, lift.node(), parameters, uniform)?;
    Ok(Entrance { lift, shrink })
}

fn check(expected: &NodeKey, found: &NodeKey) -> Result<(), AggregatorError> {
    if expected == found {
        return Ok(());
    }
    Err(AggregatorError::OtherKey {
        circuit: found.role.name(),
    })
}
