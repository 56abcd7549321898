//! The command as a user runs it: results, JSON, exit codes, and what is left behind when something goes wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod workbench;

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use workbench::{Bench, QUICK, code, complaint, digest, printed, text};

#[test]
fn proves_and_verifies_a_file() {
    let bench = Bench::new();
    let bytes: Vec<u8> = (0..30_000u32).map(|i| (i * 7) as u8).collect();
    let input = bench.file("input", &bytes);
    let (proof, proved) = bench.prove(&input, "proof", &[]);
    assert_eq!(proved["digest"], digest(&bytes));
    assert_eq!(proved["length"], 30_000);
    assert_eq!(proved["segments"], 3);
    assert_eq!(proved["zero_knowledge"], false);
    assert!(proved["security_bits"].as_f64().unwrap() >= 100.0);
    assert_eq!(proved["proof_bytes"], fs::metadata(&proof).unwrap().len());
    assert_eq!(proved["security_scope"], "each proof alone");
    // What was expected beforehand, and what a fallback would have done.
    let estimated = proved["estimated_bytes"].as_f64().unwrap();
    let size = proved["proof_bytes"].as_f64().unwrap();
    assert!((estimated / size - 1.0).abs() < 0.02, "{estimated} {size}");
    assert!(proved["estimated_s"].as_f64().unwrap() > 0.0);
    assert_eq!(
        (&proved["fallbacks"], &proved["fallback_bytes"]),
        (&0.into(), &0.into())
    );

    let least = ["--profile", "conjectured100"];
    let verify = |more: &[&str]| {
        let mut args = vec!["verify", text(&proof), "--json"];
        args.extend(more);
        let done = bench.run(&args);
        (code(&done), printed(&done, "verify"))
    };
    let (status, verified) = verify(&[&least[..], &["-i", text(&input)]].concat());
    assert_eq!(
        (status, &verified["valid"], &verified["complete"]),
        (0, &true.into(), &true.into())
    );
    assert_eq!(verified["digest"], proved["digest"]);

    // Weaker than asked for, another context, another file.
    assert_eq!(verify(&[]).0, 1);
    assert_eq!(verify(&[&least[..], &["--context", "1"]].concat()).0, 1);
    let other = bench.file("other", b"something else");
    assert_eq!(verify(&[&least[..], &["-i", text(&other)]].concat()).0, 1);
}

#[test]
fn the_empty_file_has_the_digest_of_nothing() {
    let bench = Bench::new();
    let input = bench.file("empty", b"");
    let (_, proved) = bench.prove(&input, "proof", &[]);
    // Known answer: Keccak-256 of the empty string (Ethereum yellow paper, KEC(())).
    assert_eq!(
        proved["digest"],
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    );
    assert_eq!(proved["length"], 0);
}

#[test]
fn a_context_is_bound_and_malformed_ones_are_refused() {
    let bench = Bench::new();
    let input = bench.file("input", b"abc");
    let (proof, _) = bench.prove(&input, "proof", &["--context", "0x2a"]);
    let verify = |context: &str| {
        code(&bench.run(&[
            "verify",
            text(&proof),
            "--profile",
            "conjectured100",
            "--context",
            context,
        ]))
    };
    assert_eq!(verify("2a"), 0);
    assert_eq!(verify("2b"), 1);
    let long = "1".repeat(65);
    // Not hexadecimal, too long, not below the field's order.
    for bad in ["", "0x", "xyz", "ffffffff", &long] {
        assert_eq!(verify(bad), 2, "{bad}");
    }
}

#[test]
fn damaged_proof_files_are_invalid() {
    let bench = Bench::new();
    let input = bench.file("input", b"abc");
    let (proof, _) = bench.prove(&input, "proof", &[]);
    let whole = fs::read(&proof).unwrap();
    let verify = |bytes: &[u8]| {
        let path = bench.file("damaged", bytes);
        code(&bench.run(&["verify", text(&path), "--profile", "conjectured100"]))
    };
    assert_eq!(verify(&whole), 0);
    for cut in [0, 3, 40, whole.len() / 2, whole.len() - 1] {
        assert_eq!(verify(&whole[..cut]), 1, "cut at {cut}");
    }
    for at in [0, 5, 6, 9, 49, 600, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        assert_eq!(verify(&flipped), 1, "flipped at {at}");
    }
    let mut longer = whole;
    longer.push(0);
    assert_eq!(verify(&longer), 1);
}

#[test]
fn bad_usage_and_input_exit_with_2_and_leave_nothing() {
    let bench = Bench::new();
    let input = bench.file("input", b"abc");
    let (input, output) = (text(&input).to_owned(), bench.path("proof"));
    let prove = |args: &[&str]| {
        let mut all = vec!["prove", "keccak", "-o", text(&output)];
        all.extend(args);
        bench.run(&all)
    };
    let folder = text(bench.folder.path()).to_owned();
    let cases: [&[&str]; 7] = [
        &["-i", "missing"],
        &["-i", &folder],
        &["-i", &input, "--backend", "vulkan"],
        &["-i", &input, "--backend", "shadow:shadow:cpu"],
        &["-i", &input, "--segment-blocks", "7"],
        &["-i", &input, "--profile", "weak"],
        &["-i", &input, "--config", "missing.toml"],
    ];
    for args in cases {
        let done = prove(args);
        assert_eq!(code(&done), 2, "{args:?}: {}", complaint(&done));
    }
    // The errors list what would have been valid.
    assert!(complaint(&prove(cases[2])).contains("known: cpu"));
    assert!(complaint(&prove(cases[4])).contains("85, 341, 1365, 5461"));
    assert!(complaint(&prove(cases[5])).contains("proven100"));
    bench.file("bad.toml", b"[device]\nbackend = \"cpu\"\nspeed = 11\n");
    assert_eq!(code(&prove(&["-i", &input, "--config", "bad.toml"])), 2);
    let left: Vec<_> = fs::read_dir(bench.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().contains("proof")),
        "{left:?}"
    );
    assert_eq!(code(&bench.run(&["verify", "missing"])), 2);
}

#[test]
fn finished_segments_survive_and_are_resumed() {
    let bench = Bench::new();
    let bytes = vec![9u8; 30_000];
    let input = bench.file("input", &bytes);
    let (whole, _) = bench.prove(&input, "whole", &[]);
    let whole = fs::read(whole).unwrap();
    // What a run that was cut off in its third segment leaves: a torn record behind whole ones.
    bench.file("proof.partial", &whole[..whole.len() - 1000]);
    let mut args = vec!["prove", "keccak", "-i", text(&input), "-o", "proof"];
    args.extend(QUICK);
    assert_eq!(
        code(&bench.run(&args)),
        2,
        "an interrupted run is not overwritten"
    );
    let (resumed, printed) = bench.prove(&input, "proof", &["--resume"]);
    assert_eq!(printed["resumed_segments"], 2);
    assert!(
        fs::read(resumed).unwrap() == whole,
        "a resumed file differs from an uninterrupted one"
    );
    assert!(!bench.path("proof.partial").exists());

    // An interrupted run of another input or context is neither taken over nor thrown away.
    let kept = &whole[..whole.len() - 1000];
    let partial = bench.file("proof.partial", kept);
    let other = bench.file("other", &[8u8; 12_000]);
    for more in [["-i", text(&other)], ["-i", text(&input)]] {
        let mut args = vec!["prove", "keccak", "-o", "proof", "--resume"];
        args.extend(QUICK);
        args.extend(more);
        if more[1] == text(&input) {
            args.extend(["--context", "1"]);
        }
        let done = bench.run(&args);
        assert_eq!(code(&done), 2, "{}", complaint(&done));
        assert!(
            complaint(&done).contains("choose another output"),
            "{}",
            complaint(&done)
        );
        assert!(fs::read(&partial).unwrap() == kept);
    }
}

/// A count that nobody proves here: the input is a hole of 757 MB, and nothing of it is read.
#[test]
fn more_segments_than_the_profile_covers_are_refused_beforehand() {
    let bench = Bench::new();
    let input = bench.path("hole");
    let file = fs::File::create(&input).unwrap();
    file.set_len((1 << 16) * 85 * 136).unwrap();
    let mut args = vec!["prove", "keccak", "-i", text(&input), "-o", "proof"];
    args.extend(["--profile", "proven100", "--segment-blocks", "85"]);
    let done = bench.run(&args);
    assert_eq!(code(&done), 2, "{}", complaint(&done));
    assert!(
        complaint(&done).contains("covers 65536 proofs together, this file needs 65537"),
        "{}",
        complaint(&done)
    );
    assert!(!bench.path("proof.partial").exists());
}

#[test]
fn every_help_has_examples_and_says_what_the_exit_codes_mean() {
    let bench = Bench::new();
    for command in [
        &[][..],
        &["devices"],
        &["prove"],
        &["prove", "keccak"],
        &["verify"],
        &["aggregate"],
        &["wrap"],
        &["circuit"],
        &["aggregator"],
        &["prover"],
        &["submit"],
        &["submit", "keccak"],
        &["status"],
        &["forecast"],
        &["plan"],
        &["simulate"],
        &["fetch"],
        &["cancel"],
        &["retry"],
        &["provers"],
        &["bench"],
    ] {
        let done = bench.run(&[command, &["--help"]].concat());
        assert_eq!(code(&done), 0);
        let help = String::from_utf8(done.stdout).unwrap();
        assert!(help.contains("Exit codes: 0 done"), "{command:?}: {help}");
        let example = format!("  starkwright {}", command.join(" "));
        assert!(
            command.is_empty() || help.contains(&example),
            "{command:?}: {help}"
        );
    }
}

#[test]
fn devices_are_listed_and_tested() {
    let bench = Bench::new();
    let done = bench.run(&["devices", "--json"]);
    assert_eq!(code(&done), 0);
    let listed = printed(&done, "devices");
    assert_eq!(listed[0]["selector"], "cpu");
    let done = bench.run(&["devices", "--test", "cpu", "--json"]);
    assert_eq!(code(&done), 0, "{}", complaint(&done));
    for device in listed.as_array().unwrap() {
        let selector = device["selector"].as_str().unwrap();
        let done = bench.run(&["devices", "--test", selector]);
        assert_eq!(code(&done), 0, "{selector}: {}", complaint(&done));
    }
}

#[test]
fn exported_programs_prove_what_compiled_ones_do() {
    let bench = Bench::new();
    let done = bench.run(&["devices", "--export", "programs", "--backend", "cpu"]);
    assert_eq!(code(&done), 2);
    assert!(
        complaint(&done).contains("--backend"),
        "{}",
        complaint(&done)
    );
    let done = bench.run(&["devices", "--backend", "cpu"]);
    assert_eq!(code(&done), 2, "a device to export for, and no export");

    let input = bench.file("input", &[5u8; 3000]);
    let done = bench.run(&["devices", "--json"]);
    let listed: Value = serde_json::from_slice(&done.stdout).unwrap();
    for device in &listed.as_array().unwrap()[1..] {
        let selector = device["selector"].as_str().unwrap();
        let folder = selector.replace(':', "-");
        let done = bench.run(&[
            "devices",
            "--export",
            &folder,
            "--backend",
            selector,
            "--json",
        ]);
        if complaint(&done).contains("gives no binaries") {
            continue;
        }
        assert_eq!(code(&done), 0, "{selector}: {}", complaint(&done));
        let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
        let files = fs::read_dir(bench.path(&folder)).unwrap().count() as u64;
        assert_eq!(printed["programs"].as_u64().unwrap() * 3, files);
        let settings = format!("[device]\ncache = false\nprograms = {folder:?}\n");
        bench.file("settings.toml", settings.as_bytes());
        let more = ["--backend", selector, "--config", "settings.toml"];
        let (proof, _) = bench.prove(&input, "offline", &more);
        let (cpu, _) = bench.prove(&input, "cpu", &["--backend", "cpu"]);
        assert_eq!(fs::read(proof).unwrap(), fs::read(cpu).unwrap());
    }
}

#[test]
fn a_reader_that_leaves_changes_nothing_and_a_full_output_is_said() {
    let bench = Bench::new();
    for args in [&["devices"][..], &["devices", "--json"], &["circuit"]] {
        let mut command = bench.command();
        command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{}", complaint(&output));
        assert_eq!(complaint(&output), "");
    }
    if let Ok(full) = fs::File::options().write(true).open("/dev/full") {
        let output = bench.command().arg("devices").stdout(full).output();
        let output = output.unwrap();
        assert_eq!(code(&output), 2);
        assert!(complaint(&output).contains("standard output"));
    }
}
