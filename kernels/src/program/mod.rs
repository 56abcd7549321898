//! Programs: where they come from, and the kernels in them.
//!
//! No FPGA compiles at run time, so a program has three origins from the start ([`ProgramSource`]): source text for CPUs
//! and GPUs, an offline binary with a [`Manifest`] that is checked before the driver sees a byte, and the kernels that a
//! device brings. A program from source is looked for in memory, then in the folder of offline programs
//! ([`Options::programs`](crate::Options::programs)), then in the disk cache, then compiled.

mod cache;
mod declared;
mod folder;
mod kernel;
mod load;
mod manifest;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use cache::DiskCache;
pub(crate) use folder::ProgramFolder;
pub use kernel::Kernel;
pub(crate) use load::BuildFigures;
pub use manifest::{ArgKind, KernelSignature, Manifest, Requirements};
use sha2::{Digest, Sha256};
use starkwright_hal::HalError;

use crate::runtime::{DeviceInfo, ProgramHandle};

/// Where a program comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramSource {
    /// OpenCL C, compiled for the device at run time.
    Source {
        /// The program's name, for messages.
        name: &'static str,
        /// Compiler options, such as `-DPRIME=…`.
        options: String,
        /// The source text, in pieces.
        parts: Vec<Cow<'static, str>>,
    },
    /// A driver's own binary, made earlier for this device and driver.
    Binary {
        /// The program's name, for messages.
        name: &'static str,
        /// The binary.
        bytes: Arc<[u8]>,
        /// What the binary is.
        manifest: Box<Manifest>,
        /// What it has to be.
        requires: Box<Requirements>,
    },
    /// Kernels that the device brings.
    BuiltIn {
        /// Their names.
        names: Vec<String>,
    },
}

impl ProgramSource {
    /// A program from pieces of source text.
    pub fn source<P: Into<Cow<'static, str>>>(
        name: &'static str,
        parts: impl IntoIterator<Item = P>,
        options: impl Into<String>,
    ) -> Self {
        Self::Source {
            name,
            parts: parts.into_iter().map(Into::into).collect(),
            options: options.into(),
        }
    }

    /// A program from a driver's binary.
    pub fn binary(
        name: &'static str,
        bytes: impl Into<Arc<[u8]>>,
        manifest: Manifest,
        requires: Requirements,
    ) -> Self {
        Self::Binary {
            name,
            bytes: bytes.into(),
            manifest: Box::new(manifest),
            requires: Box::new(requires),
        }
    }

    /// The program's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Source { name, .. } | Self::Binary { name, .. } => name,
            Self::BuiltIn { .. } => "built-in kernels",
        }
    }

    /// SHA-256 of what defines the program apart from the device: for source, the text without the options.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        match self {
            Self::Source { parts, .. } => {
                hash.update(b"source");
                let length: usize = parts.iter().map(|part| part.len()).sum();
                hash.update((length as u64).to_le_bytes());
                parts.iter().for_each(|part| hash.update(part.as_bytes()));
            }
            Self::Binary { bytes, .. } => {
                hash.update(b"binary");
                hash.update(bytes);
            }
            Self::BuiltIn { names } => {
                hash.update(b"built-in");
                hash.update(names.join(";"));
            }
        }
        hash.finalize().into()
    }

    /// The compiler's options; empty where nothing is compiled.
    #[must_use]
    pub fn options(&self) -> &str {
        match self {
            Self::Source { options, .. } => options,
            Self::Binary { .. } | Self::BuiltIn { .. } => "",
        }
    }

    /// SHA-256 of all that a built program depends on: the program, its options, device, driver and OpenCL version.
    fn key(&self, device: &DeviceInfo) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.hash());
        let fields = [
            self.options(),
            &device.platform,
            &device.name,
            &device.driver,
            &device.version,
        ];
        for field in fields {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field.as_bytes());
        }
        hash.finalize().into()
    }
}

/// A built program. Clones share it.
#[derive(Clone, Debug)]
pub struct Program(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    handle: ProgramHandle,
    source_hash: [u8; 32],
    options: String,
    /// The kernels' arguments, as the driver tells them of source, or as papers state them of a binary.
    signatures: Option<Vec<KernelSignature>>,
    device: DeviceInfo,
    kernels: Mutex<HashMap<&'static str, Kernel>>,
}

impl Program {
    /// The program's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Names of the kernels in the program, sorted.
    #[must_use]
    pub fn kernel_names(&self) -> Vec<String> {
        let mut names = self.0.handle.kernel_names();
        names.sort();
        names
    }

    /// A kernel by name, made once per program.
    pub(crate) fn kernel(&self, name: &'static str) -> Result<Kernel, HalError> {
        let kernels = &self.0.kernels;
        let mut kernels = kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = kernels.get(name) {
            return Ok(kernel.clone());
        }
        let kernel = Kernel::new(self, name)?;
        kernels.insert(name, kernel.clone());
        Ok(kernel)
    }

    /// The driver's binary of this program with its manifest, to be loaded as [`ProgramSource::Binary`] later.
    ///
    /// `field` and `widths` say what the program was built for, as far as its options fix that, and `max_rows` the most
    /// rows that its kernels take (0: any).
    ///
    /// # Errors
    /// [`HalError::Unsupported`] where the driver gives no binaries.
    pub fn binary(
        &self,
        field: &str,
        widths: &[u32],
        max_rows: u64,
    ) -> Result<(Vec<u8>, Manifest), HalError> {
        let bytes = self.0.handle.binary();
        if bytes.is_empty() {
            let why = format!("{} gives no binaries", self.0.device.platform);
            return Err(HalError::unsupported("exporting a program", why));
        }
        let Some(kernels) = self.0.signatures.clone() else {
            let why = format!(
                "{} does not tell kernels' arguments",
                self.0.device.platform
            );
            return Err(HalError::unsupported("exporting a program", why));
        };
        let device = &self.0.device;
        let manifest = Manifest {
            format: Manifest::FORMAT,
            program: self.0.name.clone(),
            source_hash: self.0.source_hash,
            options: self.0.options.clone(),
            field: field.to_owned(),
            widths: widths.to_vec(),
            max_rows,
            kernels,
            platform: device.platform.clone(),
            device: device.name.clone(),
            driver: device.driver.clone(),
            version: device.version.clone(),
            bytes: bytes.len() as u64,
            checksum: Sha256::digest(&bytes).into(),
        };
        Ok((bytes, manifest))
    }
}
