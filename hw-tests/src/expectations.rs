//! What is known about drivers, as data: where a driver differs, the tests expect it to, and fail once it no longer does.

use starkwright_kernels::DeviceInfo;

/// How a driver differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A program's binary is checked by nobody, and a damaged one brings the process down: the cache's own checksum
    /// must keep it from the driver.
    CrashesOnDamagedBinaries,
    /// Commands run inside the call that flushes the queue, so that a deadline cannot interrupt them.
    RunsOnFlush,
    /// Every instruction is interpreted, some hundred thousand a second: tiny shapes only.
    Interpreted,
    /// Kernels run on a GPU's pipeline emulated by the CPU, several times slower than a CPU driver: smaller shapes.
    Emulated,
}

/// A quirk of a driver.
#[derive(Clone, Copy, Debug)]
pub struct Expectation {
    /// A part of the platform's name.
    pub platform: &'static str,
    /// What the driver's version starts with; empty for any.
    pub driver: &'static str,
    /// How it differs.
    pub quirk: Quirk,
    /// Seen where, or documented where.
    pub reason: &'static str,
}

/// Every quirk known.
pub const EXPECTATIONS: [Expectation; 4] = [
    Expectation {
        platform: "rusticl",
        driver: "",
        quirk: Quirk::Emulated,
        reason: "llvmpipe",
    },
    Expectation {
        platform: "Portable Computing Language",
        driver: "3.",
        quirk: Quirk::CrashesOnDamagedBinaries,
        reason: "PoCL 3.1 trusts the lengths inside a binary",
    },
    Expectation {
        platform: "Oclgrind",
        driver: "",
        quirk: Quirk::RunsOnFlush,
        reason: "Oclgrind 21.10 executes the queue in clFlush and clFinish, on the caller's thread",
    },
    Expectation {
        platform: "Oclgrind",
        driver: "",
        quirk: Quirk::Interpreted,
        reason: "an interpreter of LLVM's intermediate code",
    },
];

/// Local memory that the vector kernels ask for at most, in bytes. A device with less runs the scalar ones only.
///
/// CPU drivers offer 256 KiB and more; Oclgrind offers 32 KiB unless `OCLGRIND_LOCAL_MEM_SIZE` says otherwise.
pub const VECTOR_LOCAL_MEMORY: u64 = 256 << 10;

/// Whether a device's driver is known for a quirk.
#[must_use]
pub fn expects(device: &DeviceInfo, quirk: Quirk) -> bool {
    EXPECTATIONS.iter().any(|known| {
        known.quirk == quirk
            && device.platform.contains(known.platform)
            && device.driver.starts_with(known.driver)
    })
}
