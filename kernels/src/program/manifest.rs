//! What a binary is, and whether it is the one that is wanted on this device.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use starkwright_hal::HalError;

use crate::runtime::{ArgAddress, ClError, DeviceInfo, KernelHandle, ProgramHandle};

/// The papers of a binary, kept beside it. Everything in it is checked before the driver sees the binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`Manifest::FORMAT`].
    pub format: u32,
    /// Name of the program.
    pub program: String,
    /// [`ProgramSource::hash`](super::ProgramSource::hash) of the source that the binary was made from.
    pub source_hash: [u8; 32],
    /// Compiler options it was made with.
    pub options: String,
    /// Field whose words it computes on, as `HalField::NAME`; empty where it serves any.
    pub field: String,
    /// Widths it was made for; empty where it serves any.
    pub widths: Vec<u32>,
    /// Most rows it takes; 0 where it takes any number.
    pub max_rows: u64,
    /// Its kernels and their arguments.
    pub kernels: Vec<KernelSignature>,
    /// Platform it was made on.
    pub platform: String,
    /// Device it was made for.
    pub device: String,
    /// Version of the driver that made it.
    pub driver: String,
    /// OpenCL version of the device.
    pub version: String,
    /// Length of the binary.
    pub bytes: u64,
    /// SHA-256 of the binary.
    pub checksum: [u8; 32],
}

/// One kernel's name and arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelSignature {
    /// Name of the kernel.
    pub name: String,
    /// Its arguments, in order.
    pub args: Vec<ArgKind>,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArgKind {
    /// A buffer that the kernel may write.
    Buffer,
    /// A buffer that the kernel only reads.
    ConstBuffer,
    /// Local memory.
    Local,
    /// A value; the driver knows its size.
    Value,
}

/// What the caller needs of a binary. The default needs nothing beyond the right device and undamaged bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Hash of the source that the binary must stem from.
    pub source_hash: Option<[u8; 32]>,
    /// Options it must have been made with.
    pub options: Option<String>,
    /// Field it must compute on.
    pub field: Option<String>,
    /// Widths it must serve.
    pub widths: Vec<u32>,
    /// Rows it must take.
    pub rows: u64,
    /// Whether it must serve every width and take any number of rows.
    pub unlimited: bool,
    /// Kernels it must have, with these arguments.
    pub kernels: Vec<KernelSignature>,
}

impl Manifest {
    /// Version of this form.
    pub const FORMAT: u32 = 1;

    /// Checks that the manifest describes `binary`, for `device`, and meets `requires`.
    ///
    /// # Errors
    /// [`HalError::Build`] with every reason against it.
    pub fn check(
        &self,
        binary: &[u8],
        device: &DeviceInfo,
        requires: &Requirements,
    ) -> Result<(), HalError> {
        let mut faults = Vec::new();
        let mut same = |what: &str, is: &str, wanted: &str| {
            if is != wanted {
                faults.push(format!("{what} is {is:?}, not {wanted:?}"));
            }
        };
        same(
            "format",
            &self.format.to_string(),
            &Self::FORMAT.to_string(),
        );
        same("platform", &self.platform, &device.platform);
        same("device", &self.device, &device.name);
        same("driver", &self.driver, &device.driver);
        same("OpenCL version", &self.version, &device.version);
        same("length", &binary.len().to_string(), &self.bytes.to_string());
        if let Some(options) = &requires.options {
            same("options", &self.options, options);
        }
        if let Some(field) = requires.field.as_ref().filter(|_| !self.field.is_empty()) {
            same("field", &self.field, field);
        }
        if Sha256::digest(binary)[..] != self.checksum {
            faults.push("checksum differs: the binary is damaged".to_owned());
        }
        if requires
            .source_hash
            .is_some_and(|hash| hash != self.source_hash)
        {
            faults.push("it was made from other sources".to_owned());
        }
        for width in &requires.widths {
            if !self.widths.is_empty() && !self.widths.contains(width) {
                faults.push(format!("width {width} is not among {:?}", self.widths));
            }
        }
        if self.max_rows != 0 && requires.rows > self.max_rows {
            faults.push(format!(
                "takes {} rows, not {}",
                self.max_rows, requires.rows
            ));
        }
        if requires.unlimited && (!self.widths.is_empty() || self.max_rows != 0) {
            faults.push("it serves some widths or heights only, and has to serve all".to_owned());
        }
        for wanted in &requires.kernels {
            match self.signature(&wanted.name) {
                None => faults.push(format!("no kernel {}", wanted.name)),
                Some(has) if has != wanted => faults.push(format!(
                    "kernel {} takes {:?}, not {:?}",
                    wanted.name, has.args, wanted.args
                )),
                Some(_) => {}
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(HalError::Build {
            device: device.name.clone(),
            kernel: self.program.clone(),
            log: format!("the binary does not fit: {}", faults.join("; ")),
        })
    }

    /// The signature of a kernel.
    #[must_use]
    pub fn signature(&self, kernel: &str) -> Option<&KernelSignature> {
        self.kernels
            .iter()
            .find(|signature| signature.name == kernel)
    }
}

impl KernelSignature {
    /// The signatures of all kernels in a built program, by name; `None` where the driver does not tell them.
    pub(super) fn all(program: &ProgramHandle) -> Result<Option<Vec<Self>>, ClError> {
        let mut names = program.kernel_names();
        names.sort();
        let mut all = Vec::with_capacity(names.len());
        for name in names {
            match Self::args_of(&KernelHandle::new(program, &name)?)? {
                Some(args) => all.push(Self { name, args }),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// The arguments of a kernel; `None` where the driver does not tell them.
    pub(super) fn args_of(handle: &KernelHandle) -> Result<Option<Vec<ArgKind>>, ClError> {
        let kind = |index| {
            handle.arg(index).map(|arg| match arg.address {
                ArgAddress::Constant => ArgKind::ConstBuffer,
                ArgAddress::Global if arg.is_const => ArgKind::ConstBuffer,
                ArgAddress::Global => ArgKind::Buffer,
                ArgAddress::Local => ArgKind::Local,
                ArgAddress::Private => ArgKind::Value,
            })
        };
        Ok((0..handle.arity()?).map(kind).collect())
    }

    /// As text without spaces, such as `fold(BCLV)`.
    pub(super) fn encode(&self) -> String {
        let args = self.args.iter().map(|kind| match kind {
            ArgKind::Buffer => 'B',
            ArgKind::ConstBuffer => 'C',
            ArgKind::Local => 'L',
            ArgKind::Value => 'V',
        });
        format!("{}({})", self.name, args.collect::<String>())
    }

    /// What [`Self::encode`] wrote; `None` for anything else.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (name, args) = text.strip_suffix(')')?.split_once('(')?;
        let kind = |letter| match letter {
            'B' => Some(ArgKind::Buffer),
            'C' => Some(ArgKind::ConstBuffer),
            'L' => Some(ArgKind::Local),
            'V' => Some(ArgKind::Value),
            _ => None,
        };
        Some(Self {
            name: name.to_owned(),
            args: args.chars().map(kind).collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_survive_their_text() {
        let kinds = [
            ArgKind::Buffer,
            ArgKind::ConstBuffer,
            ArgKind::Local,
            ArgKind::Value,
        ];
        for count in 0..=4 {
            let signature = KernelSignature {
                name: "fold_4".to_owned(),
                args: kinds[..count].to_vec(),
            };
            assert_eq!(
                KernelSignature::decode(&signature.encode()),
                Some(signature)
            );
        }
        for bad in ["", "fold", "fold(", "fold(B", "fold(X)", "fold)B("] {
            assert_eq!(KernelSignature::decode(bad), None, "{bad}");
        }
    }
}
