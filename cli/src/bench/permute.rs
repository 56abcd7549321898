//! The bare permutations on an OpenCL device, against p3's on packed states.

use std::cell::RefCell;

use p3_field::{Field, PrimeCharacteristicRing};
use p3_keccak::{KeccakF, VECTOR_LEN};
use p3_symmetric::Permutation;
use rayon::prelude::*;
use starkwright_hal::{Device, HalError, HalField};
use starkwright_kernels::OpenCl;
use starkwright_kernels::ops::merkle::{keccak_f, poseidon2};
use starkwright_prover::keccak_file::Val;

use super::row::{Row, Work};
use super::timing::compare;

type Packing = <Val as Field>::Packing;

/// States are permuted in place, over and over: where they lie is no part of the time. p3's lie packed, as it likes them
/// best; the device's one after the other, as a Merkle tree has them.
pub(super) fn measure(device: &OpenCl, quick: bool) -> Result<Vec<Row>, HalError> {
    let (log_states, repetitions) = if quick { (14, 5) } else { (18, 9) };
    Ok(vec![
        poseidon2_16(device, log_states, repetitions)?,
        keccak(device, log_states, repetitions)?,
    ])
}

fn row(
    device: &OpenCl,
    kernel: &'static str,
    field: &'static str,
    log_states: usize,
    words: usize,
    measured: &super::timing::Comparison,
) -> Row {
    let work = Work {
        kernel,
        field,
        shape: format!("2^{log_states}x{words}"),
        amount: (1u64 << log_states) as f64,
        unit: "permutations/s",
        bytes: None,
        roof_share: None,
        shares: None,
    };
    Row::new(&device.caps(), work, measured)
}

fn poseidon2_16(device: &OpenCl, log_states: usize, repetitions: usize) -> Result<Row, HalError> {
    const WIDTH: usize = 16;
    let states = 1usize << log_states;
    let lanes = states / size_of::<Packing>() * size_of::<Val>();
    let packed = RefCell::new(vec![[Packing::from(Val::from_u32(7)); WIDTH]; lanes]);
    let permutation = Val::poseidon2_16();
    let rt = device.runtime();
    let buffer = rt.upload(vec![Val::from_u32(7).montgomery_word(); states * WIDTH].as_slice())?;
    let measured = compare(
        device,
        repetitions,
        || (),
        |()| {
            let mut packed = packed.borrow_mut();
            packed
                .par_iter_mut()
                .for_each(|state| permutation.permute_mut(state));
            Ok(())
        },
        |()| {
            poseidon2::<Val>(rt, WIDTH, &buffer)?;
            device.finish()
        },
    )?;
    Ok(row(
        device,
        "permute-poseidon2",
        Val::NAME,
        log_states,
        WIDTH,
        &measured,
    ))
}

fn keccak(device: &OpenCl, log_states: usize, repetitions: usize) -> Result<Row, HalError> {
    let states = 1usize << log_states;
    let packed = RefCell::new(vec![[[7u64; VECTOR_LEN]; 25]; states / VECTOR_LEN]);
    let rt = device.runtime();
    let buffer = rt.upload(vec![7u32; states * 50].as_slice())?;
    let measured = compare(
        device,
        repetitions,
        || (),
        |()| {
            let mut packed = packed.borrow_mut();
            packed
                .par_iter_mut()
                .for_each(|state| KeccakF {}.permute_mut(state));
            Ok(())
        },
        |()| {
            keccak_f(rt, &buffer)?;
            device.finish()
        },
    )?;
    Ok(row(
        device,
        "permute-keccak",
        "none",
        log_states,
        25,
        &measured,
    ))
}
