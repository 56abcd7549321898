//! What a source says about itself, before anything is built: its field and its kernels.

use p3_baby_bear::BabyBear;
use p3_field::PrimeField32;
use p3_koala_bear::KoalaBear;
use starkwright_hal::HalField;

use super::{ArgKind, KernelSignature, ProgramSource, Requirements};

impl ProgramSource {
    /// What a binary has to be in order to stand for this source: made from the same text and options, for the same
    /// field, with the kernels that the text declares, and without limits on widths and heights.
    #[must_use]
    pub fn requirements(&self) -> Requirements {
        let kernels = match self {
            Self::Source { parts, .. } => declared(&parts.concat()),
            Self::Binary { .. } | Self::BuiltIn { .. } => Vec::new(),
        };
        Requirements {
            source_hash: Some(self.hash()),
            options: Some(self.options().to_owned()),
            field: Some(self.field().to_owned()),
            unlimited: true,
            kernels,
            ..Requirements::default()
        }
    }

    /// The field that `-DPRIME` among the options names, as [`HalField::NAME`]; empty where none is.
    #[must_use]
    pub fn field(&self) -> &'static str {
        let fields = [
            (KoalaBear::ORDER_U32, KoalaBear::NAME),
            (BabyBear::ORDER_U32, BabyBear::NAME),
        ];
        let named = |prime: u32| {
            let option = format!("-DPRIME={prime}u");
            self.options().split_whitespace().any(|o| o == option)
        };
        let found = fields.into_iter().find(|(prime, _)| named(*prime));
        found.map_or("", |(_, name)| name)
    }
}

/// The kernels that a text declares, by name. It must declare them in full, without macros; a name that is declared for
/// several cases of the preprocessor must have the same arguments in each.
fn declared(text: &str) -> Vec<KernelSignature> {
    let code: String = text
        .lines()
        .flat_map(|line| [line.split("//").next().unwrap_or(line), "\n"])
        .collect();
    let mut all: Vec<_> = code.split("__kernel").skip(1).filter_map(kernel).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup();
    all
}

/// The declaration behind `__kernel`.
fn kernel(text: &str) -> Option<KernelSignature> {
    let (head, rest) = text.split_once("void ")?.1.split_once('(')?;
    let (args, _) = rest.split_once(')')?;
    let kind = |arg: &str| match (arg.contains("__local"), arg.contains('*')) {
        (true, _) => ArgKind::Local,
        (_, false) => ArgKind::Value,
        _ if arg.contains("const") => ArgKind::ConstBuffer,
        _ => ArgKind::Buffer,
    };
    Some(KernelSignature {
        name: head.trim().to_owned(),
        args: args
            .split(',')
            .filter(|arg| !arg.trim().is_empty())
            .map(kind)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read() {
        let text = "// __kernel void no(uint x)\n\
            GROUP __kernel SINGLE void some(const __global uint *a, ulong at,\n    __constant uint *c, // (b)\n\
            __global uint *out, __local uint *l) { f(1); }\n\
            #if A\n__kernel void other() {}\n#else\n__kernel void other() { g(); }\n#endif";
        let all: Vec<String> = declared(text).iter().map(KernelSignature::encode).collect();
        assert_eq!(all, ["other()", "some(CVCBL)"]);
    }

    #[test]
    fn fields_are_known_by_their_primes() {
        let field = |options: &str| ProgramSource::source("p", [""], options).field();
        assert_eq!(field("-DMU=1u -DPRIME=2130706433u"), KoalaBear::NAME);
        assert_eq!(field("-DPRIME=2013265921u"), BabyBear::NAME);
        assert_eq!(field("-DPRIME=2013265921"), "");
        assert_eq!(field(""), "");
    }
}
