//! Which device is used, and what is said where it cannot be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod workbench;

use std::fs;
use std::process::Output;

use serde_json::Value;
use workbench::{Bench, QUICK, code, complaint, text};

/// Proves three bytes with settings from a flag, the environment and starkwright.toml.
fn prove(bench: &Bench, flag: Option<&str>, variable: Option<&str>) -> Output {
    let input = bench.file("input", b"abc");
    let mut command = bench.command();
    command.args(["prove", "keccak", "-i", text(&input), "-o", "proof"]);
    command.args(QUICK);
    if let Some(flag) = flag {
        command.args(["--backend", flag]);
    }
    if let Some(variable) = variable {
        command.env("STARKWRIGHT_BACKEND", variable);
    }
    command.output().unwrap()
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_file() {
    let bench = Bench::new();
    let unknown = |output: &Output, named: &str| {
        assert_eq!(code(output), 2, "{}", complaint(output));
        let complaint = complaint(output);
        for name in ["in-the-flag", "in-the-environment", "in-the-file"] {
            assert_eq!(complaint.contains(name), name == named, "{complaint}");
        }
    };
    assert_eq!(code(&prove(&bench, None, None)), 0);
    bench.file("starkwright.toml", b"[device]\nbackend = \"in-the-file\"\n");
    unknown(&prove(&bench, None, None), "in-the-file");
    unknown(
        &prove(&bench, None, Some("in-the-environment")),
        "in-the-environment",
    );
    unknown(
        &prove(&bench, Some("in-the-flag"), Some("in-the-environment")),
        "in-the-flag",
    );
    for (flag, variable) in [
        (Some("cpu"), Some("in-the-environment")),
        (None, Some("cpu")),
    ] {
        let done = prove(&bench, flag, variable);
        assert_eq!(code(&done), 0, "{}", complaint(&done));
    }
    // A file that is named goes before the folder's.
    bench.file("other.toml", b"[device]\nbackend = \"in-the-flag\"\n");
    let done = bench.run(&[
        "prove",
        "keccak",
        "-i",
        "input",
        "-o",
        "proof",
        "--config",
        "other.toml",
    ]);
    unknown(&done, "in-the-flag");
}

/// The first file of that name on the path decides, and this one is no library.
#[test]
#[cfg(target_os = "linux")]
fn a_missing_opencl_library_is_a_device_failure_that_says_so() {
    let bench = Bench::new();
    let input = bench.file("input", b"abc");
    for name in ["libOpenCL.so", "libOpenCL.so.1"] {
        bench.file(name, b"");
    }
    let run = |args: &[&str]| {
        let mut command = bench.command();
        command
            .env("LD_LIBRARY_PATH", bench.folder.path())
            .env_remove("OPENCL_DYLIB_PATH");
        command.args(args).output().unwrap()
    };
    let done = run(&[
        "prove",
        "keccak",
        "--backend",
        "opencl",
        "-i",
        text(&input),
        "-o",
        "proof",
    ]);
    assert_eq!(code(&done), 3, "{}", complaint(&done));
    assert!(complaint(&done).contains("OpenCL"), "{}", complaint(&done));
    assert!(!bench.path("proof.partial").exists());

    let done = run(&["devices", "--test", "opencl", "--json"]);
    assert_eq!(code(&done), 3, "{}", complaint(&done));
    let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&printed["selector"], &printed["passed"]),
        (&"opencl".into(), &false.into())
    );
    assert!(printed["reason"].as_str().unwrap().contains("OpenCL"));

    // The list says it too, and the CPU is still there.
    let done = run(&["devices"]);
    assert_eq!(code(&done), 0);
    let listed = String::from_utf8(done.stdout).unwrap();
    assert!(
        listed.contains("cpu") && listed.contains("was not found"),
        "{listed}"
    );
}

#[test]
fn too_little_memory_is_a_device_failure() {
    let bench = Bench::new();
    let listed: Value = serde_json::from_slice(&bench.run(&["devices", "--json"]).stdout).unwrap();
    if listed.as_array().unwrap().len() < 2 {
        println!("skipped: no OpenCL device is here");
        return;
    }
    bench.file(
        "starkwright.toml",
        b"[device]\nbackend = \"opencl\"\nmemory_limit = \"1MiB\"\n",
    );
    let done = prove(&bench, None, None);
    assert_eq!(code(&done), 3, "{}", complaint(&done));
    assert!(complaint(&done).contains("memory"), "{}", complaint(&done));
    assert!(!bench.path("proof").exists());
    // Nothing was finished, so nothing stands in the way of the next run.
    fs::remove_file(bench.path("starkwright.toml")).unwrap();
    assert_eq!(code(&prove(&bench, None, None)), 0);
}

#[test]
fn a_tested_device_is_reported_as_json() {
    let bench = Bench::new();
    let done = bench.run(&["devices", "--test", "cpu", "--json"]);
    assert_eq!(code(&done), 0, "{}", complaint(&done));
    let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&printed["passed"], &printed["device"]["selector"]),
        (&true.into(), &"cpu".into())
    );
    // A name that fits nothing is bad usage, not a failed device.
    let done = bench.run(&["devices", "--test", "nothing", "--json"]);
    assert_eq!(code(&done), 2, "{}", complaint(&done));
}
