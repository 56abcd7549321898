//! Scenarios from files, and those that make no sense.

use std::io::Write as _;

use starkwright_fleet::simulate::{
    MAX_LEAVES, Rules, Scenario, ScenarioSettings, curve, doubling, of_mix, parse_arrivals,
    poisson, simulate,
};

use super::*;

fn settings(arrivals: &str) -> ScenarioSettings {
    let text = format!(
        r#"{{
            "seed": 7,
            "rates": {},
            "provers": [{{"count": 2, "device": "cpu", "machines": [{{"name": "toy", "version": "1"}}]}}],
            "job": {},
            "arrivals": {arrivals},
            "faults": {{"crash": 0.01, "restart_s": 30}}
        }}"#,
        serde_json::to_string(&rates()).unwrap(),
        serde_json::to_string(&TreeJob::recursion(machine())).unwrap(),
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_documents_example_is_a_scenario() {
    let document = include_str!("../../../docs/fleet-planning.md");
    let (_, rest) = document.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let settings: ScenarioSettings = serde_json::from_str(example).unwrap();
    assert_eq!(settings.rules, Rules::default());
    let report = simulate(&settings.scenario().unwrap()).unwrap();
    assert_eq!(report.jobs.len(), 200);
}

#[test]
fn settings_become_scenarios() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "# seconds,leaves\n\n0,4\n 12.5 , 8 ").unwrap();
    let path = serde_json::to_string(file.path()).unwrap();
    let read = settings(&format!(r#"{{"file": {path}}}"#))
        .scenario()
        .unwrap();
    let listed = settings(r#"{"at": [[0, 4], [12.5, 8]]}"#)
        .scenario()
        .unwrap();
    assert_eq!(simulate(&read).unwrap(), simulate(&listed).unwrap());
    assert_eq!(read.arrivals[1].at_s, 12.5);
    assert_eq!(read.arrivals[1].job.tasks().len(), tree(8).tasks().len());
    let drawn = settings(r#"{"poisson": {"per_hour": 60, "jobs": 50, "leaves": 2}}"#);
    let drawn = drawn.scenario().unwrap();
    assert_eq!(drawn.arrivals.len(), 50);
    assert!(simulate(&drawn).unwrap().all_done());
}

#[test]
fn arrivals_that_are_none_are_refused_with_their_line() {
    for wrong in [
        "1", "1,2,3", "-1,2", "1,0", "x,1", "1,x", "inf,1", "NaN,1", "1,-2", "1e300,1",
    ] {
        let error = parse_arrivals(&format!("0,1\n{wrong}\n")).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
    assert_eq!(parse_arrivals("").unwrap(), []);
}

#[test]
fn poisson_arrivals_have_their_rate_and_scale() {
    let times = poisson(3, 0.5, 20_000);
    assert!(times.is_sorted());
    let mean = times.last().unwrap() / times.len() as f64;
    assert!((mean - 2.0).abs() < 0.1, "{mean}");
    let faster = poisson(3, 1.0, 20_000);
    for (slow, fast) in times.iter().zip(&faster) {
        assert!((slow - 2.0 * fast).abs() < 1e-6 * slow);
    }
}

#[test]
fn the_curve_falls_to_the_chain() {
    let scenario = plain(1, vec![at(0.0, &tree(100))]);
    let points = curve(&scenario, &doubling(1000)).unwrap();
    let ends: Vec<f64> = points.iter().map(|point| point.end_s).collect();
    assert!(ends.is_sorted_by(|a, b| a >= b), "{ends:?}");
    assert_eq!(points.last().unwrap().provers, 1000);
    assert_eq!(doubling(5), [1, 2, 4, 5]);
    assert_eq!(doubling(1), [1]);
}

#[test]
fn mixes_are_cut_and_repeated() {
    let mix = [
        ProverGroup::equal(1, "a", &machine()),
        ProverGroup::equal(3, "b", &machine()),
    ];
    let counts = |count| -> Vec<(String, u32)> {
        let groups = of_mix(&mix, count).into_iter();
        groups.map(|group| (group.device, group.count)).collect()
    };
    assert_eq!(counts(1), [("a".to_owned(), 1)]);
    assert_eq!(counts(7), [("a".to_owned(), 2), ("b".to_owned(), 5)]);
    assert_eq!(counts(8), [("a".to_owned(), 2), ("b".to_owned(), 6)]);
    assert!(of_mix(&[], 3).is_empty());
}

#[test]
fn scenarios_that_make_no_sense_are_refused() {
    let good = plain(1, vec![at(0.0, &tree(2))]);
    let wrongs: [fn(&mut Scenario); 9] = [
        |scenario| scenario.faults.crash = 1.5,
        |scenario| (scenario.faults.crash, scenario.faults.fail) = (0.6, 0.6),
        |scenario| scenario.faults.spread = f64::NAN,
        |scenario| scenario.rules.heartbeat_s = scenario.rules.lease_s,
        |scenario| scenario.overhead_s = -1.0,
        |scenario| scenario.arrivals[0].at_s = f64::INFINITY,
        |scenario| scenario.provers[0].count = u32::MAX,
        |scenario| scenario.provers[0].slowdown = 0.0,
        |scenario| scenario.rates.clear(),
    ];
    for wrong in wrongs {
        let mut scenario = good.clone();
        wrong(&mut scenario);
        simulate(&scenario).unwrap_err();
    }
    let job = TreeJob::recursion(machine());
    job.template(0).unwrap_err();
    job.template(MAX_LEAVES + 1).unwrap_err();
    // Nobody, and nothing.
    assert!(
        !simulate(&plain(0, good.arrivals.clone()))
            .unwrap()
            .all_done()
    );
    assert!(simulate(&plain(1, Vec::new())).unwrap().all_done());
}
