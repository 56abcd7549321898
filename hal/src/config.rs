//! The `[device]` table of `starkwright.toml`.
//!
//! ```toml
//! [device]
//! backend = "fallback:opencl:radeon"
//! variant = "auto"          # or "vector", "scalar"
//! memory_limit = "6GiB"     # all buffers together; a number is bytes
//! max_alloc = "512MiB"      # one allocation
//! kernel_deadline_s = 60    # 0: none
//! cache = true
//! cache_dir = "/var/cache/starkwright"
//! programs = "programs"     # kernels compiled beforehand
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{HalError, Selector};

/// Which device to use, and within which limits. Every key may be left out; an unknown one is an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceConfig {
    /// The device; `cpu` where nothing is said.
    pub backend: Selector,
    /// The form of the kernels.
    pub variant: Variant,
    /// Bytes that all live buffers together may take, below what the device has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<ByteSize>,
    /// Bytes that one allocation may take, below what the device allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_alloc: Option<ByteSize>,
    /// Seconds after which a kernel counts as hung and its device as lost; 0 for no deadline.
    pub kernel_deadline_s: u32,
    /// Whether compiled kernels are kept on disk.
    pub cache: bool,
    /// Where they are kept; the user's cache folder where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// A folder of kernels compiled beforehand, for a device that compiles nothing; none where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programs: Option<PathBuf>,
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self {
            backend: Selector::default(),
            variant: Variant::Auto,
            memory_limit: None,
            max_alloc: None,
            kernel_deadline_s: 60,
            cache: true,
            cache_dir: None,
            programs: None,
        }
    }
}

impl DeviceConfig {
    /// The deadline of one kernel, or `None` for no deadline.
    #[must_use]
    pub fn kernel_deadline(&self) -> Option<Duration> {
        (self.kernel_deadline_s > 0).then(|| Duration::from_secs(self.kernel_deadline_s.into()))
    }
}

/// The form of the kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// By the kind of device: vector for a CPU, scalar otherwise.
    #[default]
    Auto,
    /// Wide vectors in each work-item: for CPUs.
    Vector,
    /// One element a work-item, and local memory: for GPUs.
    Scalar,
}

impl FromStr for Variant {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        match text {
            "auto" => Ok(Self::Auto),
            "vector" => Ok(Self::Vector),
            "scalar" => Ok(Self::Scalar),
            _ => Err(HalError::invalid(
                "kernel variant",
                "write auto, vector or scalar",
            )),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Vector => "vector",
            Self::Scalar => "scalar",
        })
    }
}

/// A number of bytes, at least 1: written as a number, or with a unit as in `"2GiB"` or `"500 MB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// Units by name, the longest first where one ends in another.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// So many bytes; `None` for 0, which would be a device without memory.
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes == 0 { None } else { Some(Self(bytes)) }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        let text = text.trim();
        let ends_in = |unit: &str| {
            let start = text.len().checked_sub(unit.len())?;
            let (number, end) = text.split_at_checked(start)?;
            end.eq_ignore_ascii_case(unit).then_some(number)
        };
        let (number, unit) = UNITS
            .iter()
            .find_map(|&(name, unit)| Some((ends_in(name)?, unit)))
            .unwrap_or((text, 1));
        let number = number.trim_end();
        // Digits only: `u64::from_str` would take a sign.
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        digits
            .then(|| number.parse::<u64>().ok()?.checked_mul(unit))
            .flatten()
            .and_then(Self::new)
            .ok_or_else(|| {
                HalError::invalid(
                    "byte size",
                    "write a whole number of bytes above 0, or one with a unit, as 512MiB or 2GiB",
                )
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS[..4].iter();
        match binary
            .clone()
            .find(|(_, unit)| self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Size;

        impl Visitor<'_> for Size {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes above 0, or one with a unit as \"2GiB\"")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                ByteSize::new(bytes)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(0), &self))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                match u64::try_from(bytes) {
                    Ok(bytes) => self.visit_u64(bytes),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(bytes), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Target;

    fn parse(toml: &str) -> Result<DeviceConfig, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn an_empty_table_is_the_reference_with_default_limits() {
        let config = parse("").unwrap();
        assert_eq!(config, DeviceConfig::default());
        assert_eq!(config.backend, Selector::Direct(Target::Cpu));
        assert_eq!(config.kernel_deadline(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn every_key_is_read() {
        let config = parse(
            r#"
            backend = "fallback:opencl:radeon"
            variant = "scalar"
            memory_limit = "6GiB"
            max_alloc = 536870912
            kernel_deadline_s = 0
            cache = false
            cache_dir = "/somewhere/else"
            programs = "bitstreams"
            "#,
        )
        .unwrap();
        let backend = Target::Device {
            family: "opencl".to_owned(),
            filter: Some("radeon".to_owned()),
        };
        assert_eq!(config.backend, Selector::Fallback(backend));
        assert_eq!(config.variant, Variant::Scalar);
        assert_eq!(config.memory_limit.map(ByteSize::bytes), Some(6 << 30));
        assert_eq!(config.max_alloc.map(ByteSize::bytes), Some(512 << 20));
        assert_eq!(config.kernel_deadline(), None);
        assert!(!config.cache);
        assert_eq!(config.cache_dir, Some(PathBuf::from("/somewhere/else")));
        assert_eq!(config.programs, Some(PathBuf::from("bitstreams")));
        let written = toml::to_string(&config).unwrap();
        assert_eq!(parse(&written).unwrap(), config);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for toml in [
            "backand = \"cpu\"",
            "backend = \"shadow:shadow:cpu\"",
            "backend = 3",
            "variant = \"wide\"",
            "memory_limit = 0",
            "memory_limit = -1",
            "memory_limit = \"2 gallons\"",
            "memory_limit = 1.5",
            "max_alloc = \"99999999999TiB\"",
            "kernel_deadline_s = -1",
            "cache = \"yes\"",
        ] {
            assert!(parse(toml).is_err(), "{toml}");
        }
    }

    #[test]
    fn byte_sizes_know_their_units() {
        for (text, bytes) in [
            ("1", 1),
            ("1B", 1),
            ("2gib", 2 << 30),
            ("500 MB", 500_000_000),
            (" 3 KiB ", 3 << 10),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().bytes(), bytes, "{text}");
        }
        for text in [
            "",
            "0",
            "GiB",
            "+1",
            "-1",
            "1.5GiB",
            "1 2B",
            "16777216TiB",
            "1µB",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn byte_sizes_round_trip(mantissa in 1u64.., shift in 0u32..40) {
            let size = ByteSize::new((mantissa >> shift) << shift);
            prop_assume!(size.is_some());
            prop_assert_eq!(size.unwrap().to_string().parse::<ByteSize>(), Ok(size.unwrap()));
        }

        #[test]
        fn byte_size_parsing_is_total(text in "\\PC{0,24}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
