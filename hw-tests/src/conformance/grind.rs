//! Proof-of-work searches: the smallest witness, whatever order a device searches in.

use proptest::collection::vec;
use proptest::prelude::*;
use starkwright_hal::{Backend, Cpu, FriOps, HalError, HalField, Puzzle};

use super::Effort;
use super::compare::same_elements;
use super::draw::Fill;
use super::runner::{Check, Outcome, run};

/// A puzzle and its difficulty.
#[derive(Clone, Debug)]
struct Case {
    kind: Kind,
    bits: usize,
}

#[derive(Clone, Debug)]
enum Kind {
    Poseidon2 {
        state: Fill,
        slot: usize,
        output: usize,
    },
    Keccak256 {
        prefix: Vec<u8>,
    },
}

impl Case {
    fn puzzle<F: HalField>(&self) -> Puzzle<F> {
        match &self.kind {
            Kind::Poseidon2 {
                state,
                slot,
                output,
            } => {
                let words = state.elements::<F>(16);
                Puzzle::Poseidon2 {
                    state: std::array::from_fn(|i| words[i]),
                    slot: *slot,
                    output: *output,
                }
            }
            Kind::Keccak256 { prefix } => Puzzle::Keccak256 {
                prefix: prefix.clone(),
            },
        }
    }
}

/// Cases of both kinds.
fn cases(effort: Effort) -> [BoxedStrategy<Case>; 2] {
    let most: usize = match effort {
        Effort::Traced => 3,
        Effort::Modest | Effort::Normal => 11,
        Effort::Long => 18,
    };
    // With the candidate's four bytes: just below, at and above one and two of Keccak's blocks of 136 bytes.
    let length = prop_oneof![
        prop::sample::select(vec![0usize, 1, 131, 132, 133, 135, 136, 137, 267, 268, 269]),
        0..=300usize,
    ];
    let poseidon2 = (Fill::any(), 0..16usize, 0..16usize);
    let poseidon2 = poseidon2.prop_map(|(state, slot, output)| Kind::Poseidon2 {
        state,
        slot,
        output,
    });
    let keccak = length
        .prop_flat_map(|length| vec(any::<u8>(), length))
        .prop_map(|prefix| Kind::Keccak256 { prefix });
    [poseidon2.boxed(), keccak.boxed()].map(|kind| {
        (kind, 1..=most)
            .prop_map(|(kind, bits)| Case { kind, bits })
            .boxed()
    })
}

fn drive(effort: Effort, check: Check<'_, Case>) -> Result<u64, String> {
    let each = effort.cases() / 2;
    let mut checked = 0;
    for kind in cases(effort) {
        checked += run("grind", each, &kind, check)?;
    }
    Ok(checked)
}

/// [`grind`](FriOps::grind) for both kinds of puzzle against the reference's; 31 bits and slots beyond the state are refused.
///
/// # Errors
/// The smallest case that fails.
pub fn grind<F: HalField, B: Backend<F>>(device: &B, effort: Effort) -> Result<u64, String> {
    let failed = |error: HalError| format!("grind: {error}");
    let checked = drive(effort, &|case| {
        let puzzle = case.puzzle::<F>();
        let got = match device.grind(&puzzle, case.bits) {
            Err(HalError::Unsupported { .. }) => return Ok(Outcome::NotOffered),
            result => result.map_err(failed)?,
        };
        let wanted = Cpu::<F>::new().grind(&puzzle, case.bits).map_err(failed)?;
        same_elements(&[got], &[wanted], |_| "grind: the witness".to_owned())?;
        Ok(Outcome::Checked)
    })?;
    let state = [F::ONE; 16];
    let easy = Puzzle::Keccak256 { prefix: vec![1] };
    match device.grind(&easy, 0) {
        Ok(witness) => same_elements(&[witness], &[F::ZERO], |_| "grind: no bits".to_owned())?,
        Err(HalError::Unsupported { .. }) => {}
        Err(error) => return Err(failed(error)),
    }
    let puzzle = |slot, output| Puzzle::Poseidon2 {
        state,
        slot,
        output,
    };
    for (puzzle, bits, what) in [
        (puzzle(0, 7), 31, "31 bits"),
        (puzzle(16, 7), 4, "a slot beyond the state"),
        (puzzle(0, 16), 4, "an output beyond the state"),
        (Puzzle::Keccak256 { prefix: vec![1] }, 31, "31 bits"),
    ] {
        if device.grind(&puzzle, bits).is_ok() {
            return Err(format!("grind: {what} is accepted"));
        }
    }
    Ok(checked)
}
