//! The kernels of one scheme, built for one field and one variant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use starkwright_hal::{HalError, HalField, HashKind};

use crate::ops::poseidon2;
use crate::{Arg, Buffer, Kernel, Program, ProgramSource, Runtime, Variant};

const FIELD: &str = include_str!("../../../cl/field.cl");
const POSEIDON2: &str = include_str!("../../../cl/poseidon2.cl");
const TILES: &str = include_str!("../../../cl/merkle_rows.cl");
const KECCAK: &str = include_str!("../../../cl/keccak.cl");

/// Work-items of a work-group in the scalar variant.
const GROUP: usize = 64;

/// What a tree is built with.
#[derive(Debug)]
pub(super) struct Kernels {
    /// Hashes rows.
    pub(super) rows: Kernel,
    /// Computes a layer.
    pub(super) compress: Kernel,
    top: Kernel,
    /// Rows or digests that one work-item holds.
    pub(super) lanes: usize,
    /// Words of the sponge's state, and of its rate.
    pub(super) state: usize,
    pub(super) rate: usize,
    /// The layer up to this length, and all above it, are left to one launch.
    pub(super) top_len: usize,
}

impl Kernels {
    pub(super) fn new<F: HalField>(rt: &Runtime, hash: HashKind) -> Result<Self, HalError> {
        let (state, rate) = match hash {
            HashKind::Poseidon2 => (16, 8),
            HashKind::Poseidon2Wide => (24, 16),
            HashKind::Keccak256 => (50, 34),
        };
        let [rows, compress, top] = match hash {
            HashKind::Poseidon2 | HashKind::Poseidon2Wide => {
                let rows = include_str!("../../../cl/merkle_poseidon2_rows.cl");
                let tree = include_str!("../../../cl/merkle_poseidon2_tree.cl");
                let rows = poseidon2_program::<F>(rt, "poseidon2_rows", state, &[TILES, rows])?;
                let tree = poseidon2_program::<F>(rt, "poseidon2_tree", 16, &[TILES, tree])?;
                [
                    rt.kernel(&rows, "poseidon2_rows")?,
                    rt.kernel(&tree, "poseidon2_compress")?,
                    rt.kernel(&tree, "poseidon2_top")?,
                ]
            }
            HashKind::Keccak256 => {
                let rows = include_str!("../../../cl/merkle_keccak_rows.cl");
                let tree = include_str!("../../../cl/merkle_keccak_tree.cl");
                let rows = keccak_program(rt, "keccak_rows", rows, "")?;
                let tree = keccak_program(rt, "keccak_tree", tree, "")?;
                [
                    rt.kernel(&rows, "keccak_rows")?,
                    rt.kernel(&tree, "keccak_compress")?,
                    rt.kernel(&tree, "keccak_top")?,
                ]
            }
        };
        Ok(Self {
            rows,
            compress,
            top,
            lanes: match hash {
                HashKind::Keccak256 => keccak_lanes(rt),
                _ => poseidon2_lanes(rt),
            },
            state,
            rate,
            top_len: match rt.variant() {
                Variant::Vector => 32,
                Variant::Scalar => 2 * GROUP,
            },
        })
    }

    /// Launches a kernel over `n` rows or digests.
    pub(super) fn launch(
        &self,
        rt: &Runtime,
        kernel: &Kernel,
        n: usize,
        args: &[Arg<'_>],
    ) -> Result<(), HalError> {
        let (global, local) = range(rt, n, self.lanes);
        rt.launch(kernel, global, local, args)
    }

    /// All layers above the `len` digests at word `at`, with the layers behind one another.
    pub(super) fn top(
        &self,
        rt: &Runtime,
        tree: &Buffer,
        at: usize,
        len: usize,
    ) -> Result<(), HalError> {
        let group = [work_group(rt), 1, 1];
        let args = [Arg::Buffer(tree), Arg::U64(at as u64), Arg::U32(len as u32)];
        rt.launch(&self.top, group, Some(group), &args)
    }
}

/// Work-items of a work-group.
pub(crate) fn work_group(rt: &Runtime) -> usize {
    match rt.variant() {
        Variant::Vector => 1,
        Variant::Scalar => GROUP,
    }
}

/// Global and local size for `n` elements, `lanes` to a work-item.
pub(crate) fn range(rt: &Runtime, n: usize, lanes: usize) -> ([usize; 3], Option<[usize; 3]>) {
    let group = work_group(rt);
    let items = n.div_ceil(lanes).next_multiple_of(group);
    ([items, 1, 1], Some([group, 1, 1]))
}

/// States that one work-item of a Poseidon2 kernel holds.
pub(crate) fn poseidon2_lanes(rt: &Runtime) -> usize {
    match rt.variant() {
        Variant::Vector => 16,
        Variant::Scalar => 1,
    }
}

/// States that one work-item of a Keccak kernel holds.
pub(crate) fn keccak_lanes(rt: &Runtime) -> usize {
    match rt.variant() {
        Variant::Vector => 8,
        Variant::Scalar => 1,
    }
}

/// `-DPRIME` and `-DMU` of `field.cl`.
pub(crate) fn field_options<F: HalField>() -> String {
    let p = F::ORDER_U32;
    // Newton's iteration for 1 / p mod 2^32: p is its own inverse mod 8, and each step doubles the bits that are right.
    let inverse = (0..4).fold(p, |x, _| {
        x.wrapping_mul(2u32.wrapping_sub(p.wrapping_mul(x)))
    });
    format!("-DPRIME={p}u -DMU={inverse}u")
}

/// Whether `poseidon2.cl` may hide a value from the compiler by the constraint "any" (see there). That is for Intel's CPU
/// runtime, and only on CPUs whose registers hold a whole vector.
fn hides_in_any(rt: &Runtime) -> bool {
    #[cfg(target_arch = "x86_64")]
    let wide = std::arch::is_x86_feature_detected!("avx512dq");
    #[cfg(not(target_arch = "x86_64"))]
    let wide = false;
    wide && rt.info().is_intel_cpu()
}

/// A program over the Poseidon2 of one width.
pub(crate) fn poseidon2_program<F: HalField>(
    rt: &Runtime,
    name: &'static str,
    width: usize,
    parts: &[&'static str],
) -> Result<Program, HalError> {
    // The parameters are the same each time, and trees are built often.
    static KNOWN: Mutex<BTreeMap<(&str, usize), Arc<str>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let parameters = match known.get(&(F::NAME, width)) {
        Some(text) => Arc::clone(text),
        None => {
            let text = Arc::from(poseidon2::parameters::<F>(width)?);
            Arc::clone(known.entry((F::NAME, width)).or_insert(text))
        }
    };
    drop(known);
    let text = [&[FIELD, &parameters, POSEIDON2], parts].concat().concat();
    let lanes = poseidon2_lanes(rt);
    let hide = if hides_in_any(rt) {
        "-DHIDE_IN_ANY"
    } else {
        ""
    };
    let options = format!("{} -DVEC={lanes} {hide}", field_options::<F>());
    rt.program(&ProgramSource::source(name, [text], options))
}

/// A program over Keccak-f.
pub(crate) fn keccak_program(
    rt: &Runtime,
    name: &'static str,
    part: &'static str,
    options: &str,
) -> Result<Program, HalError> {
    let options = format!("-DLANES={} {options}", keccak_lanes(rt));
    rt.program(&ProgramSource::source(
        name,
        [[KECCAK, part].concat()],
        options,
    ))
}
