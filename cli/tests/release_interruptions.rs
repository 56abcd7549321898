//! Runs that are stopped by signals or by a full disk: what is left, and that going on gives the same bytes.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod workbench;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use workbench::{Bench, QUICK, code, complaint, text};

/// Six segments.
fn input(bench: &Bench) -> std::path::PathBuf {
    bench.file("input", &[6; 5 * 85 * 136])
}

/// Waits until the partial file holds a segment.
fn a_segment_is_finished(partial: &Path) {
    let start = Instant::now();
    while fs::metadata(partial).map_or(0, |metadata| metadata.len()) < 100_000 {
        assert!(start.elapsed() < Duration::from_secs(300), "no segment");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_signal_stops_between_segments_and_resuming_gives_the_same_bytes() {
    let bench = Bench::new();
    let input = input(&bench);
    let (whole, _) = bench.prove(&input, "whole", &[]);
    let whole = fs::read(whole).unwrap();
    for signal in ["INT", "TERM"] {
        let name = format!("proof-{signal}");
        let mut args = vec!["prove", "keccak", "-i", text(&input), "-o", &name];
        args.extend(QUICK);
        let child = bench
            .command()
            .args(&args)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let partial = bench.path(&format!("{name}.partial"));
        a_segment_is_finished(&partial);
        let kill = format!("kill -s {signal} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let done = child.wait_with_output().unwrap();
        assert_eq!(
            done.status.code(),
            Some(1),
            "{signal}: {}",
            complaint(&done)
        );
        assert!(
            complaint(&done).contains("--resume"),
            "{}",
            complaint(&done)
        );
        assert!(partial.exists() && !bench.path(&name).exists());

        let (resumed, printed) = bench.prove(&input, &name, &["--resume"]);
        let kept = printed["resumed_segments"].as_u64().unwrap();
        assert!((1..6).contains(&kept), "{signal}: {kept} segments kept");
        // The estimate is of what was left to do, its size that of the whole file.
        assert!(printed["estimated_s"].as_f64().unwrap() > 0.0);
        let size = printed["proof_bytes"].as_f64().unwrap();
        assert!((printed["estimated_bytes"].as_f64().unwrap() / size - 1.0).abs() < 0.02);
        assert!(
            fs::read(resumed).unwrap() == whole,
            "{signal}: a resumed file differs from an uninterrupted one"
        );
        assert!(!partial.exists());
    }
}

/// A limit on the size of files stands for a disk with room for one segment.
#[test]
fn a_full_disk_keeps_what_is_finished() {
    let bench = Bench::new();
    let input = bench.file("input", &[7; 20_000]);
    let (whole, _) = bench.prove(&input, "whole", &[]);
    let mut args = vec!["prove", "keccak", "-i", text(&input), "-o", "proof"];
    args.extend(QUICK);
    // A write beyond 2000 blocks of 512 bytes is an error, since the signal is ignored.
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$@\"";
    let mut shell = bench.settled(Command::new("sh"));
    shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_starkwright")]);
    let done = shell.args(&args).output().unwrap();
    assert_eq!(code(&done), 2, "{}", complaint(&done));
    assert!(
        complaint(&done).contains("1 finished segments are kept there: free space"),
        "{}",
        complaint(&done)
    );
    let (resumed, printed) = bench.prove(&input, "proof", &["--resume"]);
    assert_eq!(printed["resumed_segments"], 1);
    assert!(fs::read(resumed).unwrap() == fs::read(whole).unwrap());
}

/// Renamed onto, a device would be gone for everyone.
#[test]
fn a_device_is_no_output() {
    let bench = Bench::new();
    let input = bench.file("input", b"abc");
    for device in ["/dev/full", "/dev/null"] {
        let mut args = vec!["prove", "keccak", "-i", text(&input), "-o", device];
        args.extend(QUICK);
        let done = bench.run(&args);
        assert_eq!(code(&done), 2, "{}", complaint(&done));
        assert!(
            complaint(&done).contains("no regular file"),
            "{}",
            complaint(&done)
        );
        assert!(!Path::new(&format!("{device}.partial")).exists());
    }
}
