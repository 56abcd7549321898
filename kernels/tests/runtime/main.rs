//! The runtime layer, on every OpenCL device that this machine has.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test panics"
)]

mod faults;
#[path = "../found/mod.rs"]
mod found;
mod memory;
mod programs;
mod transfers;

use std::fs::OpenOptions;
use std::io::Write;

use starkwright_hal::HalError;
use starkwright_kernels::{Arg, Buffer, DeviceInfo, Kernel, Options, ProgramSource, Runtime};

/// Runs a test on every device found.
fn on_every_device(test: impl Fn(&DeviceInfo)) {
    for device in found::devices() {
        println!("on {}: {}", device.platform, device.name);
        test(&device);
        report();
    }
}

/// Says that a test passed on a device, in the file that `STARKWRIGHT_TEST_REPORT` names: a line
/// `runtime TAB variant TAB suite TAB cases`, of which CI makes its table. The kernels of these tests are work-items.
fn report() {
    let Some(path) = std::env::var_os("STARKWRIGHT_TEST_REPORT") else {
        return;
    };
    let runtime = std::env::var("STARKWRIGHT_TEST_RUNTIME").unwrap();
    let line = format!("{runtime}\tscalar\tprograms\t1\n");
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// Options that leave the user's cache folder alone.
fn options() -> Options {
    Options {
        disk_cache: false,
        ..Options::default()
    }
}

fn open(device: &DeviceInfo) -> Runtime {
    Runtime::open(device, options()).unwrap()
}

/// `add` adds `value + STEP` to `n` words; `sum` only reads its first buffer; `spin` burns time in each work-item.
const SOURCE: &str = r"
__kernel void add(__global uint *data, uint value, ulong n) {
    size_t i = get_global_id(0);
    if (i < n) data[i] += value + STEP;
}
__kernel void sum(__global const uint *data, __global uint *out, __local uint *scratch, uint n) {
    uint id = get_local_id(0), size = get_local_size(0), total = 0;
    for (uint i = id; i < n; i += size) total += data[i];
    scratch[id] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (id == 0) {
        total = 0;
        for (uint i = 0; i < size; i++) total += scratch[i];
        out[0] = total;
    }
}
__kernel void spin(__global uint *data) {
    // No longer a loop: Mesa's llvmpipe ends loops after 65,535 rounds.
    uint x = get_global_id(0);
    for (uint i = 0; i < 50000; i++) x = x * x + (x >> 7) + i;
    if (x == 0x12345678) data[0] = x;
}
";

fn source(step: u32) -> ProgramSource {
    ProgramSource::source("test", [SOURCE], format!("-DSTEP={step}u"))
}

fn kernel(rt: &Runtime, name: &'static str) -> Kernel {
    rt.kernel(&rt.program(&source(1)).unwrap(), name).unwrap()
}

/// Launches `add` over the whole buffer: every word grows by `value + 1`.
fn add(rt: &Runtime, buffer: &Buffer, value: u32) -> Result<(), HalError> {
    let words = buffer.words();
    let args = [Arg::Buffer(buffer), Arg::U32(value), Arg::U64(words as u64)];
    rt.launch(
        &kernel(rt, "add"),
        [words.next_multiple_of(64), 1, 1],
        Some([64, 1, 1]),
        &args,
    )
}

/// Words without a pattern that a wrong offset would repeat.
fn words(n: usize) -> Vec<u32> {
    (0..n as u32)
        .map(|i| i.wrapping_mul(0x9E37_79B9) ^ (i >> 3))
        .collect()
}
