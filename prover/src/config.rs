//! p3 configurations: the stock one that verifies, and the device one that proves.

use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_fri::TwoAdicFriPcs;
use p3_uni_stark::StarkConfig;
use starkwright_hal::{Backend, Extension, HalField};

use crate::ProverError;
use crate::challenger::{Failure, Grinding, Protocol};
use crate::pcs::DevicePcs;
use crate::phases::Phases;
use crate::profile::LeafParameters;

/// p3's own commitment scheme.
pub type StockPcs<F, E, S> = TwoAdicFriPcs<F, Radix2DitParallel<F>, Mmcs<F, S>, FriMmcs<F, E, S>>;

/// p3's own configuration: what any stock verifier runs.
pub type StockConfig<F, E, S> =
    StarkConfig<StockPcs<F, E, S>, E, <S as Protocol<F, E>>::Challenger>;

/// The configuration that proves on a device, with the same proofs.
pub type DeviceConfig<F, E, S, B> =
    StarkConfig<DevicePcs<F, E, S, B>, E, Grinding<<S as Protocol<F, E>>::Transcript, B>>;

/// p3's commitment scheme for matrices over the base field.
pub type Mmcs<F, S> = <S as starkwright_hal::MerkleScheme<F>>::Mmcs;

/// p3's commitment scheme for FRI's codewords.
pub type FriMmcs<F, E, S> = ExtensionMmcs<F, E, Mmcs<F, S>>;

/// p3's commitment scheme with these parameters.
#[must_use]
pub fn stock_pcs<F, E, S>(parameters: &LeafParameters) -> StockPcs<F, E, S>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    let mmcs = S::mmcs(parameters.cap_height);
    let fri = parameters.fri(ExtensionMmcs::new(mmcs.clone()));
    TwoAdicFriPcs::new(Radix2DitParallel::default(), mmcs, fri)
}

/// The verifier's configuration. All of it comes from the parameters, nothing from a proof.
#[must_use]
pub fn stock_config<F, E, S>(parameters: &LeafParameters) -> StockConfig<F, E, S>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
{
    StarkConfig::new(stock_pcs::<F, E, S>(parameters), S::challenger())
        .with_lookup_proof_of_work_bits(parameters.lookup_pow_bits)
        .with_ood_proof_of_work_bits(parameters.ood_pow_bits)
}

/// The prover's configuration on a device. Where the time goes is told to `phases`.
///
/// # Errors
/// As [`DevicePcs::new`].
pub fn device_config<F, E, S, B>(
    device: &B,
    parameters: &LeafParameters,
    phases: &Phases,
) -> Result<DeviceConfig<F, E, S, B>, ProverError>
where
    F: HalField,
    E: Extension<F>,
    S: Protocol<F, E>,
    B: Backend<F>,
{
    let failure = Failure::default();
    let pcs = DevicePcs::new(device.clone(), parameters, failure.clone(), phases.clone())?;
    let challenger = Grinding::new(S::transcript(), device.clone(), failure, phases.clone());
    Ok(StarkConfig::new(pcs, challenger)
        .with_lookup_proof_of_work_bits(parameters.lookup_pow_bits)
        .with_ood_proof_of_work_bits(parameters.ood_pow_bits))
}
