//! The committed key files: derived again from the circuits, byte for byte.
#![allow(clippy::unwrap_used, reason = "a test may")]

use starkwright_aggregator::node::{Keys, Layers, derive_keys, keccak_heights};
use starkwright_hal::{Cpu, KoalaBear4, KoalaBear5};
use starkwright_prover::profile::Profile;

fn compare(profile: Profile, derived: &Keys) {
    let committed = match profile {
        Profile::Proven100 => include_str!("../keys/proven100.json"),
        Profile::Conjectured100 => include_str!("../keys/conjectured100.json"),
    };
    assert_eq!(
        derived.to_json(profile).unwrap(),
        committed,
        "the circuits of {profile} have changed: `starkwright circuit --write aggregator/keys`"
    );
}

#[test]
fn proven100() {
    let (device, profile) = (Cpu::new(), Profile::Proven100);
    let layers = Layers::of(profile);
    let keys = derive_keys::<KoalaBear5, _>(&device, &layers, &keccak_heights(), |_, _| {});
    compare(profile, &keys.unwrap());
}

#[test]
fn conjectured100() {
    let (device, profile) = (Cpu::new(), Profile::Conjectured100);
    let layers = Layers::of(profile);
    let keys = derive_keys::<KoalaBear4, _>(&device, &layers, &keccak_heights(), |_, _| {});
    compare(profile, &keys.unwrap());
}
