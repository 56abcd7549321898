//! The CPU features this binary was compiled with, and whether this machine has them.
//!
//! By default the repository builds for the CPU it is built on. Run elsewhere, such a binary would die of an illegal
//! instruction; it says what is missing instead.

/// Defines the list once, for compile time and for run time.
macro_rules! features {
    ($($name:tt),* $(,)?) => {
        /// Features compiled in, by their compiler names.
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        pub(crate) fn compiled() -> Vec<&'static str> {
            let mut found = Vec::new();
            $(if cfg!(target_feature = $name) { found.push($name); })*
            found
        }

        /// Features of this machine.
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        pub(crate) fn present() -> Vec<&'static str> {
            let mut found = Vec::new();
            $(if std::is_x86_feature_detected!($name) { found.push($name); })*
            found
        }
    };
}

features!(
    "sse3",
    "ssse3",
    "sse4.1",
    "sse4.2",
    "popcnt",
    "avx",
    "avx2",
    "fma",
    "bmi1",
    "bmi2",
    "lzcnt",
    "adx",
    "aes",
    "pclmulqdq",
    "sha",
    "f16c",
    "movbe",
    "avx512f",
    "avx512cd",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512ifma",
    "avx512vbmi",
    "avx512vbmi2",
    "avx512vnni",
    "avx512bitalg",
    "avx512vpopcntdq",
    "gfni",
    "vaes",
    "vpclmulqdq",
);

/// Features compiled in; nothing is listed for this architecture.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) fn compiled() -> Vec<&'static str> {
    Vec::new()
}

/// Features of this machine; nothing is listed for this architecture.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) fn present() -> Vec<&'static str> {
    Vec::new()
}

/// This machine lacks features that the binary was compiled with.
#[derive(Debug, thiserror::Error)]
#[error(
    "built for a CPU with {}, which this one lacks; build a binary for every x86-64-v2 CPU (with SSE4.2, from about 2009 on) with\n  \
     cargo build --release --config .cargo/portable.toml",
    .0.join(", ")
)]
pub(crate) struct MissingFeatures(Vec<&'static str>);

/// Whether this machine can run this binary.
pub(crate) fn check() -> Result<(), MissingFeatures> {
    let present = present();
    let missing: Vec<_> = compiled()
        .into_iter()
        .filter(|name| !present.contains(name))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MissingFeatures(missing))
    }
}

/// The widest vector features this machine has and this binary was not compiled with: a comparison would be unfair.
pub(crate) fn unused() -> Vec<&'static str> {
    let compiled = compiled();
    let matters = ["avx2", "avx512f"];
    present()
        .into_iter()
        .filter(|name| matters.contains(name) && !compiled.contains(name))
        .collect()
}
