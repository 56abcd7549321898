//! What a fleet of release binaries shows: forecasts, plans, the page, the figures, the hook; and scenarios that are simulated.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod workbench;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workbench::fleet::{Fleet, free_address, get};
use workbench::{Bench, QUICK, code, complaint, printed};

/// Jobs of 4 and 2 leaves, ten seconds apart, and one prover.
fn scenario() -> Value {
    let rate = |kind: &str, seconds: f64| json!({"device": "cpu", "machine": "toy", "kind": kind, "samples": 1, "seconds_per_work": seconds});
    let machine = json!({"name": "toy", "version": "1"});
    json!({
        "rates": [rate("leaf", 2.0), rate("join", 1.0), rate("wrap", 1.0)],
        "provers": [{"count": 1, "device": "cpu", "machines": [machine]}],
        "job": {
            "machine": machine,
            "leaf": [{"kind": "leaf"}],
            "join": {"kind": "join"},
            "root": [{"kind": "wrap"}],
        },
        "arrivals": {"at": [[0, 4], [10, 2]]},
    })
}

#[test]
fn a_scenario_is_simulated_with_other_numbers_of_provers_too() {
    let bench = Bench::new();
    bench.file("scenario.json", scenario().to_string().as_bytes());
    let simulate = ["simulate", "scenario.json", "--curve", "4"];
    let done = bench.run(&[&simulate[..], &["--json"]].concat());
    assert_eq!(code(&done), 0, "{}", complaint(&done));
    let found = printed(&done, "simulate");
    // Six leaves, four joins, two wraps, one after the other.
    assert_eq!(found["report"]["end_s"], 18.0);
    assert_eq!(found["report"]["jobs"].as_array().unwrap().len(), 2);
    let curve = found["curve"].as_array().unwrap().iter();
    let longest: Vec<(u64, f64)> = curve
        .map(|point| {
            let provers = point["provers"].as_u64().unwrap();
            (provers, point["delay"]["max_s"].as_f64().unwrap())
        })
        .collect();
    // Two provers: two leaves, a join beside the third leaf and the last leaf after it, a join, a join, a wrap. Four: all
    // leaves at once.
    assert_eq!(longest, [(1, 12.0), (2, 8.0), (4, 5.0)]);

    let said = bench.run(&simulate);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("2 of 2 done in 18 s by 1 provers"), "{said}");
    assert!(said.contains("4 provers: 95 % within 5 s"), "{said}");

    // The same from a file of arrivals.
    let mut filed = scenario();
    filed["arrivals"] = json!({"file": "arrivals.csv"});
    bench.file("arrivals.csv", b"# seconds,leaves\n0,4\n10,2\n");
    bench.file("filed.json", filed.to_string().as_bytes());
    let again = bench.run(&["simulate", "filed.json", "--json"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["report"], found["report"]);
}

#[test]
fn a_scenario_that_makes_no_sense_says_why() {
    let bench = Bench::new();
    let mut unknown = scenario();
    unknown["speed"] = json!(2);
    let mut unmeasured = scenario();
    unmeasured["rates"].as_array_mut().unwrap().remove(1);
    let mut filed = scenario();
    filed["arrivals"] = json!({"file": "arrivals.csv"});
    let mut lost = scenario();
    lost["arrivals"] = json!({"file": "lost.csv"});
    bench.file("arrivals.csv", b"12.5;64\n");
    let wrong = [
        (json!({"seed": 1}), "rates"),
        (unknown, "speed"),
        (unmeasured, "join"),
        (filed, "`12.5,64`"),
        (lost, "lost.csv"),
    ];
    for (scenario, what) in wrong {
        bench.file("wrong.json", scenario.to_string().as_bytes());
        let done = bench.run(&["simulate", "wrong.json"]);
        assert_eq!(code(&done), 2, "{what}");
        assert!(complaint(&done).contains(what), "{}", complaint(&done));
    }
    bench.file("wrong.json", b"provers: 3");
    for args in [
        &["simulate", "wrong.json"][..],
        &["simulate", "missing.json"],
        &["simulate", "wrong.json", "--curve", "1001"],
    ] {
        assert_eq!(code(&bench.run(args)), 2, "{args:?}");
    }
}

/// The sum of a figure's series that have this in their labels; every line is read.
fn figure(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics.strip_suffix("# EOF\n").unwrap().lines();
    let mut sum = 0.0;
    for line in lines.filter(|line| !line.starts_with("# ")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        let (of, labels) = series.split_once('{').unwrap_or((series, ""));
        if of == name && labels.contains(label) {
            sum += value;
        }
    }
    sum
}

/// Tries until there is something.
fn soon<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(seconds), "no {what}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A fleet with a page and a hook.
struct Watched {
    fleet: Fleet,
    page: String,
}

impl Watched {
    fn submit(&self, name: &str, bytes: &[u8]) -> String {
        self.fleet.bench.file(name, bytes);
        let submit = [&["submit", "keccak", "-i", name][..], &QUICK].concat();
        let id = self.fleet.object(&submit)["id"].clone();
        id.as_str().unwrap().to_owned()
    }

    fn says(&self, args: &[&str], wanted: i32, what: &str) {
        let output = self.fleet.ask(args);
        assert_eq!(code(&output), wanted, "{args:?}: {}", complaint(&output));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(what), "{args:?}: {said}");
    }

    fn page(&self, path: &str) -> Value {
        let (status, body) = get(&self.page, path);
        assert_eq!(status, 200, "{path}");
        serde_json::from_str(&body).unwrap()
    }

    /// What the hook was told: the number before, and the number.
    fn told(&self) -> Vec<(Option<u32>, u32)> {
        let told = fs::read_to_string(self.fleet.bench.path("told")).unwrap_or_default();
        let whole = told.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let read = |line: &str| {
            let mut words = line.split(':');
            let mut number = || words.next().unwrap().parse().ok();
            let (before, variable, argument) = (number(), number(), number());
            assert_eq!(variable, argument, "{line}");
            (before, argument.unwrap())
        };
        whole.lines().map(read).collect()
    }
}

/// One small job is proven. Then the prover is gone, so that the next one stays open while it is looked at from all sides.
#[test]
fn a_fleet_says_what_it_has_done_and_when_it_will_be_done() {
    let page = free_address();
    let watched = Watched {
        fleet: Fleet::new(),
        page: page.clone(),
    };
    let fleet = &watched.fleet;
    fleet.bench.file(
        "tell.sh",
        b"echo $STARKWRIGHT_PROVERS_BEFORE:$STARKWRIGHT_PROVERS:$1 >> told\n",
    );
    let tell = ["--target-delay", "5s", "--on-provers", "sh tell.sh"];
    let _aggregator = fleet.aggregator(&[&["--page", page.as_str()][..], &tell].concat());

    let first = watched.submit("a.bin", b"a");
    watched.says(&["status", &first], 4, "no forecast: no prover works");
    assert_eq!(fleet.job(&first)["eta_s"], Value::Null);
    watched.says(&["forecast"], 0, "nobody was measured at: ");
    let prover = fleet.prover("one");
    watched.says(&["status", &first, "--wait"], 0, "(done)");
    drop(prover);

    // The forecast of the prover that is gone is made for a while: it may only be slow.
    let second = watched.submit("b.bin", &[7; 12_000]);
    let eta = soon("forecast", 20, || fleet.job(&second)["eta_s"].as_f64());
    assert!(eta > 0.5, "{eta}");
    watched.says(&["status", &second], 4, "forecast  done in about ");
    watched.says(&["status"], 0, "keccak  done in about ");
    let listed = fleet.object(&["status"]);
    assert!(listed[0]["eta_s"].is_f64() && listed[1]["eta_s"].is_null());
    watched.says(&["forecast"], 0, "64 provers: everything in ");
    let forecast = fleet.object(&["forecast"]);
    assert_eq!(forecast["jobs"][0]["id"], second.as_str());
    let curve = forecast["curve"].as_array().unwrap();
    let delays: Vec<f64> = curve
        .iter()
        .map(|point| point["delay_s"].as_f64().unwrap())
        .collect();
    assert_eq!(delays.len(), 7);
    assert!(
        delays.is_sorted_by(|more, fewer| more >= fewer),
        "{delays:?}"
    );

    let plan = |target| ["plan", "--arrivals", "1/h", "--target-delay", target];
    watched.says(&plan("1h"), 0, "provers   1 are needed");
    watched.says(&plan("100ms"), 4, "no number suffices");
    assert_eq!(fleet.object(&plan("100ms"))["provers"], Value::Null);

    let (status, html) = get(&page, "/");
    assert!(status == 200 && html.contains("<title>"), "{html}");
    assert_eq!(get(&page, "/healthz").0, 200);
    assert_eq!(get(&page, "/nothing").0, 404);
    let state = soon("state with both jobs", 10, || {
        let list = watched.page("/api/state")["jobs"]["list"].clone();
        let ids = list.as_array()?.iter().map(|job| job["id"].clone());
        let ids: Vec<Value> = ids.collect();
        (ids == [second.as_str(), first.as_str()]).then_some(list)
    });
    let tasks = |job: &Value, state: &str| job["tasks"][state].as_f64().unwrap();
    let (open, done) = (&state[0], &state[1]);
    let tree = watched.page(&format!("/api/jobs/{first}"));
    let nodes = tree["nodes"].as_array().unwrap();
    assert_eq!(nodes.len() as f64, tasks(done, "done"));
    assert!(nodes.iter().all(|node| node["prover"] == "one"));

    let (status, metrics) = get(&page, "/metrics");
    assert_eq!(status, 200);
    let figure = |name: &str, label| figure(&metrics, &format!("starkwright_fleet_{name}"), label);
    assert_eq!(
        figure("proofs_total", "outcome=\"accepted\""),
        tasks(done, "done")
    );
    assert_eq!(figure("jobs_submitted_total", "machine=\"keccak\""), 2.0);
    assert_eq!(figure("jobs_ended_total", "state=\"done\""), 1.0);
    let unproven = tasks(open, "waiting") + tasks(open, "ready");
    let waiting = figure("tasks", "state=\"waiting\"") + figure("tasks", "state=\"ready\"");
    assert_eq!(waiting, unproven);
    assert!(figure("forecast_delay_seconds", "") > 0.5);

    let told = soon("call of the hook", 30, || watched.told().first().copied());
    assert!(told.0.is_none() && told.1 >= 1, "{told:?}");
    if std::env::var_os("STARKWRIGHT_LONG").is_some() {
        // More is told once it has lasted half a minute.
        for number in 0..8 {
            watched.submit(&format!("{number}.bin"), &[number; 24_000]);
        }
        let more = soon("second call", 120, || watched.told().get(1).copied());
        assert_eq!(more.0, Some(told.1));
        assert!(more.1 > told.1, "{more:?}");
    }
}
