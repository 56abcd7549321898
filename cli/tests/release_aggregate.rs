//! Many proofs, one proof: aggregate, wrap and verify as a user runs them, interrupted and with bad input.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may"
)]

mod workbench;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use workbench::{Bench, code, complaint, printed, text};

const LEAST: [&str; 2] = ["--profile", "conjectured100"];

/// Two files, of two segments and of one, and their proofs.
fn two(bench: &Bench) -> ([PathBuf; 2], [PathBuf; 2]) {
    let inputs = [
        bench.file("first", &[1; 85 * 136 + 5]),
        bench.file("second", b"two"),
    ];
    let proofs = ["first.proof", "second.proof"];
    let mut made = Vec::new();
    for (input, proof) in inputs.iter().zip(proofs) {
        made.push(bench.prove(input, proof, &[]).0);
    }
    (inputs, [made[0].clone(), made[1].clone()])
}

fn aggregate(bench: &Bench, proofs: &[PathBuf], output: &str, more: &[&str]) -> Value {
    let mut args = vec!["aggregate", "--json", "-o", output];
    args.extend(proofs.iter().map(|proof| text(proof)));
    args.extend(more);
    let done = bench.run(&args);
    assert_eq!(code(&done), 0, "{}", complaint(&done));
    printed(&done, "aggregate")
}

/// Exit code and printed object.
fn verify(bench: &Bench, file: &str, more: &[&str]) -> (i32, Value) {
    let mut args = vec!["verify", file, "--json"];
    args.extend(more);
    let done = bench.run(&args);
    assert!(
        !complaint(&done).contains("panicked"),
        "{}",
        complaint(&done)
    );
    (
        code(&done),
        serde_json::from_slice(&done.stdout).unwrap_or_default(),
    )
}

/// The independent verifier of wraps, in Python; it also flips bits of the proof, each of which must be found.
fn independent(bench: &Bench, file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aggregator");
    let mut python = std::process::Command::new("python3");
    python
        .current_dir(bench.folder.path())
        .arg(folder.join("tests/wrap_verifier.py"))
        .args([file, "--keys"])
        .arg(folder.join("keys/conjectured100.json"))
        .args(["--flip", "6"]);
    let done = python
        .output()
        .expect("python3, which scripts/runtimes.sh needs too");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", complaint(&done));
}

#[test]
fn two_files_become_one_proof_and_a_wrap() {
    let bench = Bench::new();
    let (inputs, proofs) = two(&bench);
    let printed = aggregate(&bench, &proofs, "all", &["--first", "7", "--old", "2a"]);
    assert_eq!(
        (&printed["first"], &printed["count"]),
        (&7.into(), &2.into())
    );
    assert_eq!(
        (&printed["segments"], &printed["steps"]),
        (&3.into(), &7.into())
    );
    assert!(printed["old"].as_str().unwrap().ends_with("0000002a"));
    let [first, second] = inputs.each_ref().map(|input| text(input));
    let given = [&LEAST[..], &["-i", first, "-i", second]].concat();

    let wrapped = bench.run(&["wrap", "all", "-o", "last", "--json"]);
    assert_eq!(code(&wrapped), 0, "{}", complaint(&wrapped));
    for (file, kind) in [("all", "join"), ("last", "wrap")] {
        let (status, verified) = verify(&bench, file, &given);
        assert_eq!(status, 0, "{verified}");
        assert_eq!(verified["kind"], kind);
        for key in ["first", "count", "old", "new", "list"] {
            assert_eq!(verified[key], printed[key], "{key}");
        }
        // Weaker than asked for, another context, other files, another order, too few.
        assert_eq!(verify(&bench, file, &given[2..]).0, 1);
        assert_eq!(
            verify(&bench, file, &[&given[..], &["--context", "1"]].concat()).0,
            1
        );
        for others in [vec![second, first], vec![first, first], vec![first]] {
            let mut args = LEAST.to_vec();
            others.iter().for_each(|other| args.extend(["-i", *other]));
            assert_eq!(verify(&bench, file, &args).0, 1, "{others:?}");
        }
        // Any damage is found.
        let honest = fs::read(bench.path(file)).unwrap();
        for at in (0..honest.len()).step_by(honest.len() / 40) {
            let mut bytes = honest.clone();
            bytes[at] ^= 1;
            bench.file("damaged", &bytes);
            assert_eq!(verify(&bench, "damaged", &LEAST).0, 1, "byte {at}");
        }
        bench.file("cut", &honest[..honest.len() / 2]);
        assert_eq!(verify(&bench, "cut", &LEAST).0, 1);
    }
    independent(&bench, "last");
    // A wrap is the end, and a proof file is no tree.
    assert_eq!(code(&bench.run(&["wrap", "last", "-o", "more"])), 1);
    assert_eq!(code(&bench.run(&["wrap", "first.proof", "-o", "more"])), 1);

    // The same file twice is two items, whose nodes do not get in each other's way.
    let twice = [proofs[0].clone(), proofs[0].clone()];
    aggregate(&bench, &twice, "twice", &[]);
    let given = [&LEAST[..], &["-i", first, "-i", first]].concat();
    assert_eq!(verify(&bench, "twice", &given).0, 0);
    // The same bytes from another number of workers.
    let many = ["--first", "7", "--old", "2a", "--workers", "5"];
    aggregate(&bench, &proofs, "again", &many);
    assert!(fs::read(bench.path("again")).unwrap() == fs::read(bench.path("all")).unwrap());
    // One file alone, from where the first one ended.
    let one = aggregate(
        &bench,
        &proofs[..1],
        "one",
        &["--first", "7", "--old", "2a"],
    );
    let old = one["new"].as_str().unwrap();
    let next = aggregate(
        &bench,
        &proofs[1..],
        "next",
        &["--first", "8", "--old", old],
    );
    assert_eq!(next["new"], printed["new"]);
    assert_eq!(
        verify(&bench, "one", &[&LEAST[..], &["-i", first]].concat()).0,
        0
    );
}

#[test]
fn input_that_fits_no_tree_is_refused_by_name() {
    let bench = Bench::new();
    let (_, proofs) = two(&bench);
    let input = bench.file("input", b"three");
    let (bound, _) = bench.prove(&input, "bound", &["--context", "5"]);
    let (strong, _) = bench.prove(&input, "strong", &["--profile", "proven100"]);
    let whole = fs::read(&proofs[0]).unwrap();
    let cut = bench.file("cut", &whole[..whole.len() / 2]);
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 4;
    let flipped = bench.file("flipped", &flipped);
    let refused = |files: &[&Path], more: &[&str], expected: i32, named: &str| {
        let mut args = vec!["aggregate", "-o", "all"];
        args.extend(files.iter().map(|file| text(file)));
        args.extend(more);
        let done = bench.run(&args);
        let complaint = complaint(&done);
        assert_eq!(code(&done), expected, "{complaint}");
        assert!(complaint.contains(named), "{named}: {complaint}");
        assert!(!bench.path("all").exists());
    };
    refused(&[&proofs[0], &bound], &[], 2, "--context");
    refused(&[&proofs[0], &strong], &[], 2, "profiles never mix");
    refused(&[&proofs[0], &cut], &[], 1, "");
    refused(&[&flipped], &[], 1, "");
    refused(&[&input], &[], 1, "");
    refused(&[Path::new("nothing")], &[], 2, "nothing");
    refused(&[], &[], 2, "FILE");
    refused(&[&proofs[1]], &["--old", "xyz"], 2, "accumulator");
    refused(&[&proofs[1]], &["--workers", "0"], 2, "--workers");
    refused(
        &[&proofs[1], &proofs[0]],
        &["--first", "18446744073709551615"],
        2,
        "2^64",
    );
    for device in ["/dev/null", ".", "second.proof", "no/folder"] {
        let done = bench.run(&["aggregate", text(&proofs[1]), "-o", device]);
        assert_eq!(code(&done), 2, "{}", complaint(&done));
    }
}

/// Stopped after its first node, and once more after another: what is finished is taken up, and the bytes are the same.
#[test]
#[cfg(unix)]
fn an_interrupted_run_goes_on() {
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let bench = Bench::new();
    let (_, proofs) = two(&bench);
    aggregate(&bench, &proofs, "whole", &[]);
    let args = [
        "aggregate",
        text(&proofs[0]),
        text(&proofs[1]),
        "-o",
        "all",
        "--workers",
        "1",
    ];
    let nodes = bench.path("all.nodes");
    let kept = || -> BTreeSet<PathBuf> {
        let files = fs::read_dir(&nodes).into_iter().flatten().flatten();
        files
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "node"))
            .collect()
    };
    for resume in [&[][..], &["--resume"]] {
        let before = kept();
        let mut child = bench
            .command()
            .args(args)
            .args(resume)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while kept().is_subset(&before) {
            assert!(start.elapsed() < Duration::from_secs(300), "no node");
            assert!(
                child.try_wait().unwrap().is_none(),
                "it has ended by itself"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let kill = format!("kill -s INT {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", complaint(&done));
        assert!(
            complaint(&done).contains("--resume"),
            "{}",
            complaint(&done)
        );
        assert!(!bench.path("all").exists());
    }
    // Not without being asked to.
    let done = bench.run(&args);
    assert_eq!(code(&done), 2);
    assert!(
        complaint(&done).contains("--resume"),
        "{}",
        complaint(&done)
    );
    // What a killed run leaves half written goes too.
    fs::write(nodes.join("x.node.1-0.writing"), b"half").unwrap();
    // A node that is damaged is proven again, one that is not is taken up.
    let copies = kept();
    for (place, file) in copies.iter().enumerate() {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        if place > 0 {
            fs::write(file, bytes).unwrap();
        }
    }
    let printed = aggregate(&bench, &proofs, "all", &["--resume"]);
    let resumed = printed["resumed_steps"].as_u64().unwrap();
    assert!((1..7).contains(&resumed), "{resumed} steps resumed");
    assert!(fs::read(bench.path("all")).unwrap() == fs::read(bench.path("whole")).unwrap());
    assert!(!nodes.exists());
    // A wrap is stopped too: by either signal, and nothing of it is left.
    for signal in ["INT", "TERM"] {
        let mut wrap = bench.command();
        wrap.args(["wrap", "all", "-o", "last"]);
        let child = wrap.stderr(Stdio::piped()).spawn().unwrap();
        // Its proof takes seconds.
        std::thread::sleep(Duration::from_millis(500));
        let kill = format!("kill -s {signal} {}", child.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(killed.success());
        let done = child.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", complaint(&done));
        assert!(complaint(&done).contains("nothing is written"));
        let left = fs::read_dir(bench.folder.path()).unwrap();
        let names = left.map(|file| file.unwrap().file_name().into_string().unwrap());
        assert!(names.into_iter().all(|name| !name.starts_with("last")));
    }
}
