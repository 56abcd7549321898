//! A fleet of release binaries, from `submit` to a wrapped proof that `verify` accepts, with roles killed on the way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod workbench;

use std::fs;
use std::process::Output;

use serde_json::Value;
use workbench::fleet::{Fleet, Role, free_address};
use workbench::{Bench, QUICK, code, printed};

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// The wrap of these files, without a fleet.
fn alone(bench: &Bench, files: &[&str]) -> Vec<u8> {
    let proofs: Vec<String> = files.iter().map(|file| format!("{file}.proof")).collect();
    for (file, proof) in files.iter().zip(&proofs) {
        let prove = [&["prove", "keccak", "-i", *file, "-o", proof][..], &QUICK].concat();
        assert_eq!(code(&bench.run(&prove)), 0);
    }
    let proofs: Vec<&str> = proofs.iter().map(String::as_str).collect();
    let aggregate = [&["aggregate"], &proofs[..], &["-o", "all.agg"]].concat();
    assert_eq!(code(&bench.run(&aggregate)), 0);
    assert_eq!(
        code(&bench.run(&["wrap", "all.agg", "-o", "alone.wrap"])),
        0
    );
    fs::read(bench.path("alone.wrap")).unwrap()
}

/// Every kind of task; a prover and the aggregator killed in the middle; the bytes are those of a run without a fleet.
#[test]
fn files_become_one_wrap_whoever_is_killed() {
    let fleet = Fleet::new();
    let files = [vec![7; 5_000], vec![9; 12_000]];
    for (name, bytes) in ["a.bin", "b.bin"].iter().zip(&files) {
        fleet.bench.file(name, bytes);
    }
    let aggregator = fleet.aggregator(&[]);
    let submit = [
        &["submit", "keccak", "-i", "a.bin", "-i", "b.bin"][..],
        &QUICK,
    ]
    .concat();
    let submitted = fleet.ask(&submit);
    assert_eq!(code(&submitted), 0, "{}", text(&submitted.stderr));
    let id = text(&submitted.stdout).lines().last().unwrap().to_owned();
    assert_eq!(code(&fleet.ask(&["status", &id])), 4);
    assert_eq!(code(&fleet.ask(&["fetch", &id, "-o", "early"])), 4);

    let first = fleet.prover("first");
    fleet.wait_for(&id, 2);
    drop(first);
    let _second = fleet.prover("second");
    fleet.wait_for(&id, 5);
    drop(aggregator);
    let _aggregator = fleet.aggregator(&[]);
    let waited = fleet.ask(&["status", &id, "--wait", "--json"]);
    assert_eq!(code(&waited), 0, "{}", text(&waited.stderr));
    let job = printed(&waited, "status");
    assert_eq!(job["tasks"]["done"], 14);
    // The same submission is the same job.
    let again = fleet.ask(&submit);
    assert_eq!(text(&again.stdout).trim(), id);
    assert_eq!(code(&fleet.ask(&["fetch", &id, "-o", "all.wrap"])), 0);
    let verify = [
        "verify",
        "all.wrap",
        "-i",
        "a.bin",
        "-i",
        "b.bin",
        "--profile",
        "conjectured100",
    ];
    let verified = fleet.bench.run(&verify);
    assert_eq!(code(&verified), 0, "{}", text(&verified.stderr));

    assert_eq!(
        fs::read(fleet.bench.path("all.wrap")).unwrap(),
        alone(&fleet.bench, &["a.bin", "b.bin"])
    );

    let provers = fleet.ask(&["provers", "--json"]);
    let provers = printed(&provers, "provers");
    assert_eq!(provers.as_array().unwrap().len(), 2);
    // Measured, a plan can be made: one job an hour needs one prover.
    let plan = fleet.ask(&[
        "plan",
        "--arrivals",
        "1/h",
        "--target-delay",
        "1h",
        "--json",
    ]);
    assert_eq!(code(&plan), 0, "{}", text(&plan.stderr));
    let plan = printed(&plan, "plan");
    assert_eq!(plan["provers"], 1);
    printed(&fleet.ask(&["forecast", "--json"]), "forecast");
}

fn terminate(role: &mut Role) -> Option<i32> {
    let id = role.0.id().to_string();
    let told = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(told.unwrap().success());
    role.0.wait().unwrap().code()
}

/// Drivers' compilers catch signals too.
#[test]
fn told_to_stop_an_idle_prover_ends_well_whatever_its_device() {
    let fleet = Fleet::new();
    let _aggregator = fleet.aggregator(&[]);
    let listed = printed(&fleet.bench.run(&["devices", "--json"]), "devices");
    for device in listed.as_array().unwrap() {
        let selector = device["selector"].as_str().unwrap();
        let name = selector.replace(':', "-");
        let mut prover = fleet.prover_with(&name, |command| {
            command.args(["--backend", selector]);
        });
        let start = std::time::Instant::now();
        let known = || {
            let provers = fleet.object(&["provers"]);
            let mut provers = provers.as_array().unwrap().iter();
            provers.any(|prover| prover["name"] == name.as_str())
        };
        while !known() {
            assert!(start.elapsed().as_secs() < 240, "{selector} does not come");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert_eq!(terminate(&mut prover), Some(0), "{selector}");
    }
}

/// Its task is given back, and the proof that it computes is not waited for.
#[test]
fn a_prover_that_is_told_to_stop_leaves_when_its_time_is_up() {
    let fleet = Fleet::new();
    // Some ten seconds on one core.
    fleet.bench.file("input", &vec![3; 136 * 1300]);
    let _aggregator = fleet.aggregator(&[]);
    let mut prover = fleet.prover_with("p", |command| {
        command.args(["--drain", "0"]).env("RAYON_NUM_THREADS", "1");
    });
    let submitted = fleet.ask(&["submit", "keccak", "-i", "input"]);
    assert_eq!(code(&submitted), 0, "{}", text(&submitted.stderr));
    let id = text(&submitted.stdout).lines().last().unwrap().to_owned();
    let start = std::time::Instant::now();
    while fleet.job(&id)["tasks"]["leased"] == 0 {
        assert!(start.elapsed().as_secs() < 60, "nobody took the task");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(terminate(&mut prover), Some(0));
    // It left before its proof was done, and gave the task back.
    let job = fleet.job(&id);
    let tasks = ["done", "leased", "ready"].map(|state| job["tasks"][state].as_u64());
    assert_eq!(tasks, [Some(0), Some(0), Some(1)], "{job}");
    let log = fs::read_to_string(fleet.bench.path("prover.log")).unwrap();
    assert!(log.contains("stopped"), "{log}");
}

/// Some minutes.
#[test]
fn killed_twenty_times_the_fleet_makes_the_same_wrap() {
    if std::env::var_os("STARKWRIGHT_LONG").is_none() {
        return;
    }
    let mut seed = std::process::id();
    println!("seed {seed}");
    let mut below = |most: u32| {
        // A linear congruential generator (Numerical Recipes): only the moments come from it.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % most
    };
    let fleet = Fleet::new();
    let files = ["a.bin", "b.bin", "c.bin"];
    for (file, bytes) in files.iter().zip([20_000, 100, 12_000]) {
        fleet.bench.file(file, &vec![5; bytes]);
    }
    let mut aggregator = Some(fleet.aggregator(&[]));
    let mut provers = ["one", "two"].map(|name| Some(fleet.prover(name)));
    let inputs = ["-i", "a.bin", "-i", "b.bin", "-i", "c.bin"];
    let submit = [&["submit", "keccak"], &inputs[..], &QUICK].concat();
    let submitted = fleet.ask(&submit);
    assert_eq!(code(&submitted), 0, "{}", text(&submitted.stderr));
    let id = text(&submitted.stdout).lines().last().unwrap().to_owned();
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(below(3000).into()));
        match below(3) {
            0 => {
                drop(aggregator.take());
                aggregator = Some(fleet.aggregator(&[]));
            }
            which => {
                let which = which as usize - 1;
                drop(provers[which].take());
                provers[which] = Some(fleet.prover(["one", "two"][which]));
            }
        }
    }
    // A task whose provers were killed five times has failed its job: then it is queued again.
    while code(&fleet.ask(&["status", &id, "--wait"])) == 5 {
        assert_eq!(code(&fleet.ask(&["retry", &id])), 0);
    }
    assert_eq!(code(&fleet.ask(&["fetch", &id, "-o", "all.wrap"])), 0);
    let made = fs::read(fleet.bench.path("all.wrap")).unwrap();
    assert_eq!(made, alone(&fleet.bench, &files));
}

/// A private fleet of two provers gives one wrap, and leaves nothing behind.
#[test]
fn a_private_fleet_proves_a_file() {
    let bench = Bench::new();
    bench.file("input", &[3; 1_000]);
    let prove = [
        &[
            "prove",
            "keccak",
            "-i",
            "input",
            "-o",
            "one.wrap",
            "--provers",
            "2",
            "--json",
        ][..],
        &QUICK,
    ]
    .concat();
    let proven = bench.run(&prove);
    assert_eq!(code(&proven), 0, "{}", text(&proven.stderr));
    let report: Value = serde_json::from_slice(&proven.stdout).unwrap();
    assert_eq!(
        (&report["valid"], &report["provers"]),
        (&true.into(), &2.into())
    );
    let verified = bench.run(&[
        "verify",
        "one.wrap",
        "-i",
        "input",
        "--profile",
        "conjectured100",
    ]);
    assert_eq!(code(&verified), 0, "{}", text(&verified.stderr));
    assert!(!bench.path("one.wrap.fleet").exists());
    // An interrupted run's folder is not overwritten unasked.
    fs::create_dir(bench.path("one.wrap.fleet")).unwrap();
    assert_eq!(code(&bench.run(&prove)), 2);
}

/// Clear errors, each with its code.
#[test]
fn bad_requests_say_what_to_do() {
    let fleet = Fleet::new();
    fleet.bench.file("a.bin", b"a");
    let says = |output: &Output, wanted: i32, what: &str| {
        let error = text(&output.stderr);
        assert_eq!(code(output), wanted, "{error}");
        assert!(error.contains(what), "{error}");
    };
    // Nobody is there.
    says(&fleet.ask(&["status"]), 6, "cannot reach");
    let bench = &fleet.bench;
    let refused: [(&[&str], &str); 6] = [
        (&["aggregator", "--store", "mysql://x"], "postgres://"),
        (
            &["aggregator", "--store", "sqlite://no/such/folder/q.db"],
            "folder",
        ),
        (&["aggregator", "--proofs", "ftp://x"], "s3://"),
        (&["aggregator", "--listen", "0.0.0.0:0"], "token"),
        (
            &[
                "aggregator",
                "--page",
                "0.0.0.0:0",
                "--listen",
                "127.0.0.1:0",
            ],
            "this host",
        ),
        (
            &["status", "x", "--connect", "127.0.0.1:1"],
            "32 hexadecimal digits",
        ),
    ];
    for (args, what) in refused {
        says(&bench.run(args), 2, what);
    }
    says(
        &bench.run(&["status", "--connect", "http://192.0.2.1:1"]),
        2,
        "--insecure",
    );
    let _aggregator = fleet.aggregator(&[]);
    let unknown = "00112233445566778899aabbccddeeff";
    for args in [
        &["status", unknown][..],
        &["cancel", unknown],
        &["fetch", unknown, "-o", "x"],
    ] {
        says(&fleet.ask(args), 6, "there is no job");
    }
    says(
        &fleet.ask(&["submit", "keccak", "-i", "missing"]),
        2,
        "missing",
    );
    says(
        &fleet.ask(&["submit", "keccak", "-i", "a.bin", "--segment-blocks", "86"]),
        2,
        "1365",
    );
    says(
        &fleet.ask(&["plan", "--arrivals", "1/h", "--target-delay", "1h"]),
        6,
        "no job is done",
    );
    says(
        &fleet.ask(&["plan", "--arrivals", "often", "--target-delay", "1h"]),
        2,
        "often",
    );
    let submitted = fleet.ask(&[&["submit", "keccak", "-i", "a.bin"][..], &QUICK].concat());
    let id = text(&submitted.stdout).trim().to_owned();
    assert_eq!(code(&fleet.ask(&["cancel", &id])), 0);
    assert_eq!(code(&fleet.ask(&["status", &id])), 5);
    says(&fleet.ask(&["fetch", &id, "-o", "x"]), 5, "cancelled");
    assert_eq!(code(&fleet.ask(&["retry", &id])), 0);
    says(&fleet.ask(&["retry", &id]), 6, "is open");
}

/// Tokens, the cap, a file that changes, an address where somebody else answers: each says what to do.
#[test]
fn closed_doors_and_a_full_queue_say_what_to_do() {
    let fleet = Fleet::new();
    let page = free_address();
    fleet.bench.file("submit.token", b"one");
    fleet.bench.file("prover.token", b"other");
    fleet.bench.file("a.bin", b"a");
    let doors = [
        "--submit-token-file",
        "submit.token",
        "--prover-token-file",
        "prover.token",
    ];
    let _aggregator =
        fleet.aggregator(&[&doors[..], &["--max-open", "3", "--page", &page]].concat());
    let says = |args: &[&str], wanted: i32, what: &str| {
        let output = fleet.bench.run(args);
        let error = text(&output.stderr);
        assert_eq!(code(&output), wanted, "{args:?}: {error}");
        assert!(error.contains(what), "{args:?}: {error}");
    };
    let to = ["--connect", &fleet.address];
    let submitter = [&to[..], &["--token-file", "submit.token"]].concat();
    let prover = [&to[..], &["--token-file", "prover.token"]].concat();
    says(&[&["status"], &to[..]].concat(), 6, "STARKWRIGHT_TOKEN");
    says(&[&["status"], &prover[..]].concat(), 6, "--token-file");
    let misled = [&["prover", "--patience", "1"], &submitter[..]].concat();
    says(&misled, 6, "--token-file");
    assert_eq!(
        code(&fleet.bench.run(&[&["status"], &submitter[..]].concat())),
        0
    );

    let submit = |file| {
        let submit = ["submit", "keccak", "-i", file];
        [&submit[..], &QUICK, &submitter].concat()
    };
    says(&submit("a.bin"), 6, "submit again later");
    // Other bytes whenever it is read.
    says(
        &submit("/proc/sys/kernel/random/uuid"),
        2,
        "changed while it was read; submit it again",
    );

    says(&["status", "--connect", "nowhere"], 2, "write HOST:PORT");
    says(&["status", "--connect", "ftp://x:1"], 2, "http://");
    says(
        &["status", "--connect", &page],
        6,
        "is it an aggregator of this version?",
    );
}
