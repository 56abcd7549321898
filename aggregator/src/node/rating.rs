//! What each layer of a tree is worth.

use p3_air::symbolic::SymbolicExpressionExt;
use p3_field::Algebra;
use p3_koala_bear::KoalaBear;
use starkwright_hal::Extension;
use starkwright_prover::ProverError;
use starkwright_prover::profile::Profile;
use starkwright_prover::security::{Arithmetic, CommitmentHash, Security, TableShape, rate};

use super::circuits::{keccak_heights, uniform};
use super::uniform::blank_air;
use super::{Layers, lift};
use crate::AggregatorError;
use crate::verify::ProofShape;

/// The security of lifts, of the uniform shape, of seals and of wraps, each with the profile's margin taken off.
///
/// # Errors
/// As [`ProofShape::new`]; [`ProverError::Security`] for a shape that the parameters do not carry.
pub fn rate_layers<E>(profile: Profile) -> Result<Vec<(&'static str, Security)>, AggregatorError>
where
    E: Extension<KoalaBear>,
    SymbolicExpressionExt<KoalaBear, E>: Algebra<E>,
{
    let layers = Layers::of(profile);
    let heights = keccak_heights();
    let mut lift_tails = Vec::new();
    for &log_leaf in &heights {
        lift_tails.extend(lift::leaf_tails::<E>(log_leaf, &layers.leaf)?);
    }
    lift_tails.sort_unstable();
    lift_tails.dedup();
    let uniform = uniform::<E>(&layers, &heights)?;
    let seal_air = blank_air::<E>(&uniform.shape().tails());
    let (log_seal, seal) = &layers.seal;
    let wrap_tails = ProofShape::new::<E, _>(core::slice::from_ref(&seal_air), &[*log_seal], seal)?;
    use CommitmentHash::{Keccak256, Poseidon2};
    [
        // More flags than any one lift has: no more secure than each.
        ("lift", layers.lift, blank_air::<E>(&lift_tails), Poseidon2),
        ("join", layers.uniform, uniform.air::<E>(), Poseidon2),
        ("seal", layers.seal, seal_air, Poseidon2),
        (
            "wrap",
            layers.wrap,
            blank_air::<E>(&wrap_tails.tails()),
            Keccak256,
        ),
    ]
    .into_iter()
    .map(|(name, (log_height, parameters), air, hash)| {
        let shape = TableShape::from_air::<KoalaBear, E, _>(&air, log_height);
        let arithmetic = Arithmetic::new::<KoalaBear>(hash);
        let (analysis, margin) = (profile.analysis(), profile.margin_bits());
        let rated = rate(&parameters, analysis, margin, &arithmetic, &[shape]);
        Ok((name, rated.map_err(ProverError::from)?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use starkwright_hal::{KoalaBear4, KoalaBear5};

    use super::*;

    #[test]
    fn every_layer_reaches_its_profile() {
        for (profile, layers) in [
            (
                Profile::Proven100,
                rate_layers::<KoalaBear5>(Profile::Proven100),
            ),
            (
                Profile::Conjectured100,
                rate_layers::<KoalaBear4>(Profile::Conjectured100),
            ),
        ] {
            let layers = layers.unwrap();
            assert_eq!(layers.len(), 4);
            for (name, security) in layers {
                assert!(
                    security.bits >= profile.target_bits(),
                    "{profile} {name}: {} bits, limited by {}",
                    security.bits,
                    security.binding_term
                );
            }
        }
    }
}
