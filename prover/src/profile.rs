//! Named security profiles and the parameters they stand for.
//!
//! A profile is the only way to choose security: commands, files and configurations carry its name, never a query
//! count. `docs/security.md` justifies the leaves' numbers below and prints the bits that each listed shape reaches,
//! `docs/soundness.md` those of the circuits above them;
//! [`security`](crate::security) computes them for the shape that is about to be proven.

use std::fmt;
use std::str::FromStr;

use p3_fri::FriParameters;
use p3_security::GrindingSites;
use p3_security::fri::FriRegime;
use serde::{Deserialize, Serialize};

/// How much security a proof has, and on what it rests. Ordered by strength.
///
/// A verifier names the least profile it accepts: see [`Profile::satisfies`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// 100 bits under the random-words conjecture on FRI, for one proof, without a margin. For development.
    Conjectured100,
    /// 100 bits without conjecture, for a whole tree of 2^16 proofs together. What a release uses.
    #[default]
    Proven100,
}

/// What the bits of a profile rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Analysis {
    /// Theorems only (and the random oracle): unique decoding, or list decoding up to the Johnson bound.
    Proven,
    /// The random-words conjecture of [2025/2010](https://eprint.iacr.org/2025/2010), section 1.5.
    Conjectured,
}

/// A profile's name was not one of [`Profile::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown security profile {found:?}; choose proven100 or conjectured100")]
pub struct UnknownProfile {
    /// The name as given.
    pub found: String,
}

impl Profile {
    /// Every profile, strongest first.
    pub const ALL: [Self; 2] = [Self::Proven100, Self::Conjectured100];

    /// The name used on the command line, in files and in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven100 => "proven100",
            Self::Conjectured100 => "conjectured100",
        }
    }

    /// Whether a proof of this profile is good enough where `least` is the least accepted.
    ///
    /// `proven100` satisfies `conjectured100`, never the reverse.
    pub fn satisfies(self, least: Self) -> bool {
        self >= least
    }

    /// What the profile's bits rest on.
    pub const fn analysis(self) -> Analysis {
        match self {
            Self::Proven100 => Analysis::Proven,
            Self::Conjectured100 => Analysis::Conjectured,
        }
    }

    /// The bits that remain after [`Self::margin_bits`] is taken off.
    pub const fn target_bits(self) -> f64 {
        100.0
    }

    /// `log2` of the number of proofs whose failures are summed (union bound): a tree of 2^16 proofs for `proven100`,
    /// a single proof for `conjectured100`.
    pub const fn margin_bits(self) -> f64 {
        match self {
            Self::Proven100 => 16.0,
            Self::Conjectured100 => 0.0,
        }
    }

    /// The most proofs that the bits hold for together, 2 to the [`Self::margin_bits`]; `None` where the bits are those of
    /// each proof alone, however many there are.
    pub const fn max_proofs(self) -> Option<u64> {
        match self {
            Self::Proven100 => Some(1 << 16),
            Self::Conjectured100 => None,
        }
    }

    /// What the bits are said of, for people.
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Proven100 => "all its proofs together",
            Self::Conjectured100 => "each proof alone",
        }
    }

    /// The parameters of a leaf: one segment of one machine.
    pub const fn leaf(self) -> LeafParameters {
        match self {
            Self::Proven100 => LeafParameters {
                extension_degree: 5,
                log_blowup: 2,
                num_queries: 102,
                log_final_poly_len: 3,
                max_log_arity: 3,
                cap_height: 0,
                lookup_pow_bits: 0,
                ood_pow_bits: 0,
                batch_pow_bits: 16,
                commit_pow_bits: 8,
                query_pow_bits: 16,
            },
            Self::Conjectured100 => LeafParameters {
                extension_degree: 4,
                log_blowup: 2,
                num_queries: 43,
                log_final_poly_len: 3,
                max_log_arity: 3,
                cap_height: 0,
                lookup_pow_bits: 8,
                ood_pow_bits: 0,
                batch_pow_bits: 12,
                commit_pow_bits: 4,
                query_pow_bits: 16,
            },
        }
    }
}

impl Profile {
    /// The parameters of a node above the leaves: a proof that verifies proofs, and is itself verified by a circuit.
    ///
    /// Its tables are narrow, so a larger blow-up costs little, and what counts is the work of the next verifier: fewer
    /// queries, and caps that spare each path its last steps.
    pub const fn node(self) -> LeafParameters {
        let leaf = self.leaf();
        LeafParameters {
            log_blowup: 3,
            cap_height: 3,
            num_queries: match self {
                Self::Proven100 => 68,
                Self::Conjectured100 => 28,
            },
            query_pow_bits: match self {
                Self::Proven100 => 16,
                Self::Conjectured100 => 18,
            },
            ..leaf
        }
    }

    /// The parameters of a seal: the last proof but one, whose verification decides how high the last one is.
    pub const fn seal(self) -> LeafParameters {
        LeafParameters {
            log_blowup: 6,
            num_queries: match self {
                Self::Proven100 => 34,
                Self::Conjectured100 => 15,
            },
            ..self.node()
        }
    }

    /// The parameters of a wrap: the last proof, of which every byte and every hash costs its reader. It is made once, so
    /// it grinds for longer than the others, and under `proven100` has the largest blow-up that a few GiB of memory carry,
    /// instead of answering more queries.
    pub const fn wrap(self) -> LeafParameters {
        let (log_blowup, num_queries, query_pow_bits) = match self {
            Self::Proven100 => (8, 24, 22),
            Self::Conjectured100 => (6, 14, 20),
        };
        LeafParameters {
            log_blowup,
            num_queries,
            query_pow_bits,
            max_log_arity: 4,
            log_final_poly_len: 6,
            ..self.seal()
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| UnknownProfile {
                found: name.to_owned(),
            })
    }
}

/// Everything about a leaf proof that is neither the machine nor its height.
///
/// A verifier takes these from [`Profile::leaf`], never from a proof. Tests may build weaker ones by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeafParameters {
    /// Degree of the challenge field over the base field.
    pub extension_degree: usize,
    /// `log2` of the blow-up, the inverse of the code's rate.
    pub log_blowup: usize,
    /// FRI queries.
    pub num_queries: usize,
    /// `log2` of the number of coefficients at which FRI stops folding.
    pub log_final_poly_len: usize,
    /// `log2` of the largest folding arity.
    pub max_log_arity: usize,
    /// A Merkle commitment is the `2^cap_height` digests at this depth (0: the root).
    pub cap_height: usize,
    /// Grinding before the lookup challenges, in bits.
    pub lookup_pow_bits: usize,
    /// Grinding before the out-of-domain point, in bits.
    pub ood_pow_bits: usize,
    /// Grinding before the challenge that batches all openings into one FRI instance, in bits.
    pub batch_pow_bits: usize,
    /// Grinding before each folding challenge, in bits.
    pub commit_pow_bits: usize,
    /// Grinding before the query indices, in bits.
    pub query_pow_bits: usize,
}

impl LeafParameters {
    /// p3's own FRI parameters, over the commitment scheme `mmcs` of the folded codewords.
    pub const fn fri<M>(&self, mmcs: M) -> FriParameters<M> {
        FriParameters {
            log_blowup: self.log_blowup,
            log_final_poly_len: self.log_final_poly_len,
            max_log_arity: self.max_log_arity,
            num_queries: self.num_queries,
            batch_proof_of_work_bits: self.batch_pow_bits,
            commit_proof_of_work_bits: self.commit_pow_bits,
            query_proof_of_work_bits: self.query_pow_bits,
            mmcs,
        }
    }

    /// FRI as `p3-security` sees it.
    pub const fn fri_regime(&self) -> FriRegime {
        self.fri(()).security_regime()
    }

    /// Grinding outside FRI as `p3-security` sees it.
    pub const fn grinding_sites(&self) -> GrindingSites {
        GrindingSites {
            out_of_domain: self.ood_pow_bits,
            batch_combination: self.batch_pow_bits,
            lookup_challenge: self.lookup_pow_bits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proven_satisfies_conjectured_and_never_the_reverse() {
        use Profile::{Conjectured100, Proven100};
        assert!(Proven100.satisfies(Proven100));
        assert!(Proven100.satisfies(Conjectured100));
        assert!(Conjectured100.satisfies(Conjectured100));
        assert!(!Conjectured100.satisfies(Proven100));
        assert!(Proven100 > Conjectured100);
        assert_eq!(Profile::default(), Proven100);
    }

    #[test]
    fn the_margin_is_for_as_many_proofs_as_are_allowed() {
        for profile in Profile::ALL {
            let proofs = profile.max_proofs().unwrap_or(1);
            assert_eq!((proofs as f64).log2(), profile.margin_bits());
        }
    }

    #[test]
    fn names_round_trip_and_errors_list_the_choices() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
            assert_eq!(profile.to_string(), profile.name());
        }
        for wrong in ["", "proven", "Proven100", "proven100 "] {
            let error = wrong.parse::<Profile>().unwrap_err().to_string();
            assert!(
                Profile::ALL
                    .iter()
                    .all(|profile| error.contains(profile.name())),
                "{error}"
            );
        }
    }

    #[test]
    fn serde_uses_the_names() {
        // postcard writes the variant's index, which the proof file does not use; JSON and TOML write the name.
        for profile in Profile::ALL {
            let json = serde_json::to_string(&profile).unwrap();
            assert_eq!(json, format!("\"{profile}\""));
            assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), profile);
        }
    }

    /// `LeafParameters` and the two views of it that p3 takes say the same.
    #[test]
    fn views_agree_with_the_parameters() {
        for leaf in Profile::ALL.map(Profile::leaf) {
            let (fri, regime, sites) = (leaf.fri(()), leaf.fri_regime(), leaf.grinding_sites());
            assert_eq!(
                (regime.log_blowup, regime.num_queries),
                (leaf.log_blowup, leaf.num_queries)
            );
            assert_eq!(
                (regime.commit_pow_bits, regime.query_pow_bits),
                (leaf.commit_pow_bits, leaf.query_pow_bits)
            );
            assert_eq!(
                (sites.batch_combination, fri.batch_proof_of_work_bits),
                (leaf.batch_pow_bits, leaf.batch_pow_bits)
            );
            assert_eq!(
                (sites.lookup_challenge, sites.out_of_domain),
                (leaf.lookup_pow_bits, leaf.ood_pow_bits)
            );
        }
    }
}
