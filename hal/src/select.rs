//! Which device to use, said in a few words: `opencl`, `opencl:1`, `opencl:radeon`, `shadow:opencl`.
//!
//! | selector              | meaning                                                                          |
//! |-----------------------|----------------------------------------------------------------------------------|
//! | `cpu`                 | the reference: p3 on the host                                                    |
//! | `<family>`            | the best device of a family of back ends, as `opencl`                            |
//! | `<family>:<filter>`   | one of them, by its index or by a part of its platform's or device's name        |
//! | `shadow:<device>`     | any of the above, with every operation compared with the reference               |
//! | `fallback:<device>`   | any of the above, with the reference for what it does not support                |
//!
//! This crate knows no driver: a family is a word here, and the crate that knows the driver lists its devices as
//! [`Candidate`]s and lets [`pick`] choose.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DeviceKind, HalError};

/// Longest selector accepted, in bytes: longer than any device's name.
const MAX_LENGTH: usize = 256;

/// A device, and whether another one watches it or helps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Selector {
    /// The device alone.
    Direct(Target),
    /// The device, compared with the reference operation by operation: see [`Shadow`](crate::Shadow).
    Shadow(Target),
    /// The device, with the reference for what it does not support: see [`Fallback`](crate::Fallback).
    Fallback(Target),
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The reference back end.
    Cpu,
    /// A device of a family of back ends.
    Device {
        /// The family: lower-case letters, digits, `-` and `_`.
        family: String,
        /// An index or a part of a name; the best device where absent.
        filter: Option<String>,
    },
}

impl Selector {
    /// The device that the selector is about.
    #[must_use]
    pub const fn target(&self) -> &Target {
        match self {
            Self::Direct(target) | Self::Shadow(target) | Self::Fallback(target) => target,
        }
    }
}

impl Default for Selector {
    fn default() -> Self {
        Self::Direct(Target::Cpu)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(target) => write!(f, "{target}"),
            Self::Shadow(target) => write!(f, "shadow:{target}"),
            Self::Fallback(target) => write!(f, "fallback:{target}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Device {
                family,
                filter: None,
            } => f.write_str(family),
            Self::Device {
                family,
                filter: Some(filter),
            } => write!(f, "{family}:{filter}"),
        }
    }
}

/// The error for text that is no selector.
fn malformed(text: &str, why: &str) -> HalError {
    let shown: String = text.chars().take(40).collect();
    HalError::invalid(
        "device selector",
        format!(
            "{shown:?} {why}; write cpu, <family> (its best device, as opencl), \
             <family>:<index or part of a name>, shadow:<device> or fallback:<device>"
        ),
    )
}

impl FromStr for Selector {
    type Err = HalError;

    fn from_str(text: &str) -> Result<Self, HalError> {
        let trimmed = text.trim();
        if trimmed.len() > MAX_LENGTH {
            return Err(malformed(trimmed, "is too long"));
        }
        let (head, rest) = match trimmed.split_once(':') {
            Some((head, rest)) => (head, Some(rest)),
            None => (trimmed, None),
        };
        let wrap = match head.trim().to_ascii_lowercase().as_str() {
            "shadow" => Self::Shadow,
            "fallback" => Self::Fallback,
            _ => return Ok(Self::Direct(Target::parse(trimmed)?)),
        };
        let device = rest.ok_or_else(|| malformed(trimmed, "names no device"))?;
        Ok(wrap(Target::parse(device)?))
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, HalError> {
        let (family, filter) = match text.split_once(':') {
            Some((family, filter)) => (family, Some(filter.trim())),
            None => (text, None),
        };
        let family = family.trim().to_ascii_lowercase();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if family.is_empty() || !family.chars().all(is_word) {
            return Err(malformed(text, "is not the name of a device"));
        }
        match (family.as_str(), filter) {
            ("shadow" | "fallback", _) => Err(malformed(text, "nests two of shadow and fallback")),
            ("cpu", None) => Ok(Self::Cpu),
            ("cpu", Some(_)) => Err(malformed(text, "gives cpu a name or index")),
            (_, Some("")) => Err(malformed(text, "ends after the colon")),
            (_, Some(filter)) if filter.chars().any(char::is_control) => {
                Err(malformed(text, "holds control characters"))
            }
            (_, filter) => Ok(Self::Device {
                family,
                filter: filter.map(str::to_owned),
            }),
        }
    }
}

impl TryFrom<String> for Selector {
    type Error = HalError;

    fn try_from(text: String) -> Result<Self, HalError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.to_string()
    }
}

/// A device that a family of back ends has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The selector that names exactly this device, as `opencl:0`.
    pub selector: String,
    /// What a filter is compared with, as the names of platform and device.
    pub names: Vec<String>,
    /// Kind of processor.
    pub kind: DeviceKind,
    /// Compute units.
    pub compute_units: u32,
}

impl Candidate {
    /// The better device has the greater rank.
    fn rank(&self) -> (u8, u32) {
        let kind = match self.kind {
            DeviceKind::Gpu | DeviceKind::Accelerator => 3,
            DeviceKind::Cpu => 2,
            // Offers only the kernels it was loaded with.
            DeviceKind::Custom => 1,
            DeviceKind::Reference => 0,
        };
        (kind, self.compute_units)
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.selector, self.names.join(", "))
    }
}

/// Chooses among the devices found; the result is an index into `candidates`.
///
/// Without a filter, the best: a GPU or accelerator before a CPU, then the one with more compute units, then the one
/// listed first. A filter that is a number below the number of devices is an index; any other is compared with the
/// names, as a part of them and without regard to case, and the first device that has it is taken even where several
/// do.
///
/// # Errors
/// [`HalError::NoSuchDevice`], listing what there is.
pub fn pick(candidates: &[Candidate], filter: Option<&str>) -> Result<usize, HalError> {
    let found = match filter {
        None => (0..candidates.len()).min_by_key(|&i| Reverse(candidates[i].rank())),
        Some(filter) => match filter.parse::<usize>() {
            Ok(index) if index < candidates.len() => Some(index),
            _ => {
                let wanted = filter.to_lowercase();
                candidates.iter().position(|candidate| {
                    let mut names = candidate.names.iter();
                    names.any(|name| name.to_lowercase().contains(&wanted))
                })
            }
        },
    };
    found.ok_or_else(|| HalError::NoSuchDevice {
        wanted: filter.unwrap_or("any device").to_owned(),
        known: candidates.iter().map(ToString::to_string).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn device(family: &str, filter: Option<&str>) -> Target {
        Target::Device {
            family: family.to_owned(),
            filter: filter.map(str::to_owned),
        }
    }

    #[test]
    fn every_form_parses() {
        let cases = [
            ("cpu", Selector::Direct(Target::Cpu)),
            (" CPU ", Selector::Direct(Target::Cpu)),
            ("opencl", Selector::Direct(device("opencl", None))),
            ("OpenCL:0", Selector::Direct(device("opencl", Some("0")))),
            (
                "opencl:NVIDIA CUDA: RTX",
                Selector::Direct(device("opencl", Some("NVIDIA CUDA: RTX"))),
            ),
            ("shadow:opencl", Selector::Shadow(device("opencl", None))),
            ("shadow:cpu", Selector::Shadow(Target::Cpu)),
            (
                "fallback:opencl:pocl",
                Selector::Fallback(device("opencl", Some("pocl"))),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn malformed_text_is_refused_with_the_valid_forms() {
        let long = "x".repeat(MAX_LENGTH + 1);
        let cases = [
            "",
            ":",
            "cpu:0",
            "opencl:",
            "opencl: ",
            "shadow",
            "shadow:",
            "fallback",
            "open cl",
            "shadow:shadow:cpu",
            "fallback:shadow:opencl",
            "opencl:\u{1b}[2J",
            "öpencl",
            &long,
        ];
        for text in cases {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains("shadow:<device>"), "{text}: {error}");
            assert!(error.len() < 400, "{error}");
        }
    }

    fn candidate(index: usize, name: &str, kind: DeviceKind, compute_units: u32) -> Candidate {
        Candidate {
            selector: format!("opencl:{index}"),
            names: vec!["Platform".to_owned(), name.to_owned()],
            kind,
            compute_units,
        }
    }

    fn four() -> [Candidate; 4] {
        [
            candidate(0, "Many-core", DeviceKind::Cpu, 128),
            candidate(1, "Radeon small", DeviceKind::Gpu, 8),
            candidate(2, "Radeon 4090", DeviceKind::Gpu, 64),
            candidate(3, "Fixed", DeviceKind::Custom, 999),
        ]
    }

    #[test]
    fn the_best_device_is_the_largest_gpu() {
        assert_eq!(pick(&four(), None), Ok(2));
        assert_eq!(pick(&four()[..2], None), Ok(1));
        assert_eq!(pick(&four()[..1], None), Ok(0));
        let twins = [four()[2].clone(), four()[2].clone()];
        assert_eq!(pick(&twins, None), Ok(0), "the first of equals");
    }

    #[test]
    fn a_filter_is_an_index_or_a_part_of_a_name() {
        assert_eq!(pick(&four(), Some("3")), Ok(3));
        assert_eq!(pick(&four(), Some("4090")), Ok(2), "no index: a name");
        assert_eq!(
            pick(&four(), Some("RADEON")),
            Ok(1),
            "the first that has it"
        );
        assert_eq!(pick(&four(), Some("platform")), Ok(0));
    }

    #[test]
    fn an_unknown_device_lists_what_there_is() {
        let error = pick(&four(), Some("vega")).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, HalError::NoSuchDevice { .. }));
        assert!(text.contains("vega") && text.contains("opencl:2 (Platform, Radeon 4090)"));
        let none = pick(&[], None).unwrap_err().to_string();
        assert!(none.contains("none"), "{none}");
    }

    proptest! {
        #[test]
        fn parsing_is_total_and_undone_by_display(text in "\\PC{0,40}|(shadow:|fallback:)?[a-z]{1,6}(:[ -~]{1,9})?") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
            }
        }
    }
}
