//! How high and with which parameters each circuit of a tree is proven.

use starkwright_prover::profile::{LeafParameters, Profile};

/// The base-2 logarithm of a table's height, and the parameters of its proofs.
pub type Layer = (usize, LeafParameters);

/// The layers of a tree, from the leaves up. A profile fixes them; tests may build weaker ones by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Of a machine's proofs: their heights are listed by the machine.
    pub leaf: LeafParameters,
    /// Of lifts.
    pub lift: Layer,
    /// Of shrinks, joins and closes: the uniform shape.
    pub uniform: Layer,
    /// Of seals.
    pub seal: Layer,
    /// Of wraps.
    pub wrap: Layer,
}

impl Layers {
    /// The layers of a profile: `docs/soundness.md` rates each.
    #[must_use]
    pub const fn of(profile: Profile) -> Self {
        let node = profile.node();
        match profile {
            Profile::Proven100 => Self {
                leaf: profile.leaf(),
                lift: (16, node),
                uniform: (15, node),
                seal: (14, profile.seal()),
                wrap: (13, profile.wrap()),
            },
            Profile::Conjectured100 => Self {
                leaf: profile.leaf(),
                lift: (16, node),
                uniform: (14, node),
                seal: (14, profile.seal()),
                wrap: (13, profile.wrap()),
            },
        }
    }
}
