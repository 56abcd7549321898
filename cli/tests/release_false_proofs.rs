//! Intact files whose proofs do not hold: records with right checksums around something false.
//!
//! The checksum of a proof file proves nothing, so anyone can make these. Each must be refused for the proof's sake, or
//! for the chain's where the proofs hold and do not belong together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod workbench;

use std::fs;
use std::sync::LazyLock;

use serde_json::Value;
use starkwright_prover::keccak_file::{LIMITS, MAX_PROOF_BYTES};
use starkwright_prover::machine::keccak::SegmentStatement;
use starkwright_prover::profile::Profile;
use starkwright_prover::proof_file::{Header, ProofWriter, Segment, parse};
use workbench::{Bench, code, complaint, text};

/// A proof file taken apart.
#[derive(Clone)]
struct Parts {
    header: Header,
    segments: Vec<Segment>,
}

impl Parts {
    /// Proves `bytes`.
    fn of(bytes: &[u8], more: &[&str]) -> Self {
        let bench = Bench::new();
        let (proof, _) = bench.prove(&bench.file("input", bytes), "proof", more);
        let (header, segments) = parse(&fs::read(proof).unwrap(), LIMITS).unwrap();
        Self { header, segments }
    }

    /// With another statement at a place.
    fn stating(&self, place: usize, change: impl FnOnce(&mut SegmentStatement)) -> Self {
        let mut parts = self.clone();
        let bytes = &mut parts.segments[place].statement;
        let mut statement = SegmentStatement::from_bytes(bytes).unwrap();
        change(&mut statement);
        *bytes = statement.to_bytes().to_vec();
        parts
    }

    /// With the segments of these places.
    fn of_segments(&self, places: &[usize]) -> Self {
        Self {
            segments: places.iter().map(|&i| self.segments[i].clone()).collect(),
            ..*self
        }
    }

    fn of_height(&self, log_height: u8) -> Self {
        let mut parts = self.clone();
        parts.segments[0].log_height = log_height;
        parts
    }

    /// The file with right checksums, verified: the exit code and the printed object.
    fn verify(&self, more: &[&str]) -> (i32, Value) {
        let bench = Bench::new();
        let path = bench.path("sealed");
        let mut writer = ProofWriter::create(&path, self.header).unwrap();
        for segment in &self.segments {
            writer.append(segment).unwrap();
        }
        writer.finish().unwrap();
        let mut args = vec!["verify", text(&path), "--json"];
        if !more.contains(&"--profile") {
            args.extend(["--profile", "conjectured100"]);
        }
        args.extend(more);
        let done = bench.run(&args);
        assert!(
            !complaint(&done).contains("panicked"),
            "{}",
            complaint(&done)
        );
        (code(&done), serde_json::from_slice(&done.stdout).unwrap())
    }

    /// Is refused, for a reason that says one of these.
    fn is_refused(&self, what: &str, more: &[&str], reasons: &[&str]) {
        let (code, printed) = self.verify(more);
        let reason = printed["reason"].as_str().unwrap_or_default();
        assert_eq!((code, &printed["valid"]), (1, &false.into()), "{what}");
        assert_eq!(printed["complete"], false, "{what}");
        assert!(
            reasons.iter().any(|expected| reason.contains(expected)),
            "{what}: {reason}"
        );
    }
}

/// p3's reasons: another statement changes every challenge, so that a proof of work fails, or the constraints do.
const BY_P3: [&str; 2] = [
    "segment at position 0: lookup phase PoW witness does not meet",
    "segment at position 0: out-of-domain evaluation mismatch",
];

/// 36 full blocks and 104 bytes.
static ONE: LazyLock<Parts> = LazyLock::new(|| Parts::of(&[1; 5000], &[]));
static OTHER: LazyLock<Parts> = LazyLock::new(|| Parts::of(&[2; 5000], &[]));
static THREE: LazyLock<Parts> = LazyLock::new(|| Parts::of(&[3; 30_000], &[]));
static IN_CONTEXT: LazyLock<Parts> = LazyLock::new(|| Parts::of(&[1; 5000], &["--context", "2a"]));
static PROVEN: LazyLock<Parts> =
    LazyLock::new(|| Parts::of(&[1; 5000], &["--profile", "proven100"]));
static TALL: LazyLock<Parts> =
    LazyLock::new(|| Parts::of(&[4; 20_000], &["--segment-blocks", "341"]));

#[test]
fn what_is_taken_apart_and_sealed_again_verifies() {
    for (parts, more) in [
        (&*ONE, &[][..]),
        (&*OTHER, &[]),
        (&*THREE, &[]),
        (&*TALL, &[]),
        (&*IN_CONTEXT, &["--context", "2a"]),
        (&*PROVEN, &["--profile", "proven100"]),
    ] {
        let (code, printed) = parts.verify(more);
        assert_eq!((code, &printed["complete"]), (0, &true.into()), "{printed}");
    }
}

#[test]
fn a_false_statement_is_refused() {
    let says: &[&str] = &BY_P3;
    for lane in [0, 3, 24] {
        // Lanes 0 to 3 are the digest.
        ONE.stating(0, |s| s.state_after[lane] ^= 1 << 40)
            .is_refused("a false digest", &[], says);
    }
    ONE.stating(0, |s| s.bytes_after += 1)
        .is_refused("a byte more", &[], says);
    ONE.stating(0, |s| s.bytes_after -= 1)
        .is_refused("a byte less", &[], says);
    ONE.stating(0, |s| {
        s.blocks_after += 1;
        s.bytes_after += 136;
    })
    .is_refused("a block more", &[], says);
    // Without grinding before the lookups the proof gets further.
    PROVEN.stating(0, |s| s.state_after[0] ^= 1).is_refused(
        "a false digest",
        &["--profile", "proven100"],
        &["segment at position 0: "],
    );
    THREE.stating(1, |s| s.state_after[7] ^= 1).is_refused(
        "a false state between",
        &[],
        &["segment at position 1: "],
    );
    THREE
        .of_segments(&[1])
        .stating(0, |s| {
            let blocks = s.blocks_after - s.blocks_before;
            (s.index, s.first) = (0, true);
            (s.state_before, s.blocks_before, s.bytes_before) = ([0; 25], 0, 0);
            (s.blocks_after, s.bytes_after) = (blocks, 136 * blocks);
        })
        .is_refused("a middle segment as the first", &[], says);
    THREE
        .of_segments(&[0])
        .stating(0, |s| {
            s.last = true;
            s.bytes_after -= 1;
        })
        .is_refused("a first segment as the last", &[], says);
}

#[test]
fn a_proof_of_another_statement_is_refused() {
    let mut mixed = ONE.clone();
    mixed.segments[0].proof = OTHER.segments[0].proof.clone();
    mixed.is_refused(
        "the statement of one file, the proof of another",
        &[],
        &BY_P3,
    );
    let mut empty = ONE.clone();
    empty.segments[0].proof.clear();
    empty.is_refused("no proof", &[], &["do not decode"]);
}

#[test]
fn another_height_is_refused() {
    ONE.of_height(13)
        .is_refused("11 as 13", &[], &["heights [11, 11], expected [13, 13]"]);
    assert_eq!(TALL.segments[0].log_height, 13);
    TALL.of_height(11)
        .is_refused("13 as 11", &[], &["heights [13, 13], expected [11, 11]"]);
    for unlisted in [0, 12, 255] {
        ONE.of_height(unlisted)
            .is_refused("an unlisted height", &[], &["is not listed"]);
    }
}

#[test]
fn a_proof_of_another_profile_is_refused() {
    let with = |parts: &Parts, profile| Parts {
        header: Header {
            profile,
            ..parts.header
        },
        ..parts.clone()
    };
    let reasons = ["segment at position 0", "do not decode", "unexpected bytes"];
    let dressed_up = with(&ONE, Profile::Proven100);
    dressed_up.is_refused("conjectured100 as proven100", &[], &reasons);
    dressed_up.is_refused(
        "conjectured100 as proven100",
        &["--profile", "proven100"],
        &reasons,
    );
    with(&PROVEN, Profile::Conjectured100).is_refused("proven100 as conjectured100", &[], &reasons);
    ONE.is_refused(
        "conjectured100 where proven100 is asked for",
        &["--profile", "proven100"],
        &["at least proven100 is asked for"],
    );
}

#[test]
fn another_context_is_refused() {
    let renamed = IN_CONTEXT.stating(0, |s| s.context = [0; 8]);
    renamed.is_refused("2a as 0", &[], &BY_P3);
    let renamed = ONE.stating(0, |s| s.context[7] = 0x2a);
    renamed.is_refused("0 as 2a", &["--context", "2a"], &BY_P3);
    IN_CONTEXT.is_refused("2a, 0 expected", &[], &["--context"]);
}

#[test]
fn segments_that_do_not_chain_are_refused() {
    for (places, what, says) in [
        (&[0, 2, 1][..], "swapped", "is missing"),
        (&[1, 0, 2], "swapped at the beginning", "is missing"),
        (&[0, 0, 1, 2], "repeated", "is repeated"),
        (&[0, 1, 2, 2], "the last repeated", "marked as last"),
        (&[0, 2], "one missing", "is missing"),
        (&[1, 2], "the first missing", "is missing"),
    ] {
        THREE.of_segments(places).is_refused(what, &[], &[says]);
    }
    // A whole file's last segment behind another's beginning.
    let mut spliced = THREE.of_segments(&[0, 1]);
    spliced
        .segments
        .push(Parts::of(&[5; 30_000], &[]).segments[2].clone());
    spliced.is_refused("spliced", &[], &["neighbour's state"]);
    THREE
        .of_segments(&[])
        .is_refused("none", &[], &["no segment"]);
}

/// The order is looked at first: nobody waits for a proof that cannot be the next one.
#[test]
fn a_break_in_the_chain_is_found_before_the_proof_is_verified() {
    let mut repeated = THREE.of_segments(&[0, 0]);
    repeated.segments[1].proof = vec![0xff; 100];
    repeated.is_refused("a repeated statement with no proof", &[], &["is repeated"]);
}

#[test]
fn the_beginning_of_a_file_is_valid_and_partial() {
    for places in [&[0][..], &[0, 1]] {
        let (code, printed) = THREE.of_segments(places).verify(&[]);
        assert_eq!(
            (code, &printed["valid"], &printed["complete"]),
            (1, &true.into(), &false.into()),
            "{printed}"
        );
        assert!(printed["digest"].is_null());
        assert!(
            printed["reason"]
                .as_str()
                .unwrap()
                .contains("does not end the file")
        );
    }
}

#[test]
fn other_machines_and_oversized_records_are_refused() {
    let mut other = ONE.clone();
    other.header.machine.id += 1;
    other.is_refused("another machine", &[], &["does not know"]);
    let mut later = ONE.clone();
    later.header.machine.version += 1;
    later.is_refused("another version", &[], &["this verifier knows"]);
    let mut long = ONE.clone();
    long.segments[0].proof = vec![0; MAX_PROOF_BYTES as usize + 1];
    long.is_refused("a proof above the limit", &[], &["are accepted"]);
    let mut long = ONE.clone();
    long.segments[0].statement.push(0);
    long.is_refused("a statement above the limit", &[], &["at most 473"]);
}
