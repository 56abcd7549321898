//! `starkwright forecast`, `plan`, `simulate`.

use serde::Serialize;
use starkwright_fleet::forecast::parse_rate;
use starkwright_fleet::simulate::{self, CurvePoint, ScenarioSettings, SimulationReport, doubling};

use super::request::with_client;
use super::settings::{read, seconds};
use crate::args::{ForecastArgs, PlanArgs, SimulateArgs};
use crate::exit::{DONE, Failure, OPEN};
use crate::output;

/// The object that `forecast --json` prints.
#[derive(Debug, Serialize)]
struct Forecast {
    provers: u32,
    jobs: Vec<Eta>,
    curve: Vec<Delay>,
    unmeasured: Vec<String>,
    rough: bool,
}

#[derive(Debug, Serialize)]
struct Eta {
    id: String,
    eta_s: f64,
}

#[derive(Debug, Serialize)]
struct Delay {
    provers: u32,
    delay_s: f64,
}

pub(crate) fn forecast(args: &ForecastArgs) -> Result<u8, Failure> {
    let found = with_client(&args.link, async |client| Ok(client.forecast().await?))?;
    let eta = |job: starkwright_fleet::protocol::wire::JobForecast| Eta {
        id: job.job,
        eta_s: job.eta_s,
    };
    let forecast = Forecast {
        provers: found.provers,
        jobs: found.jobs.into_iter().map(eta).collect(),
        curve: found
            .curve
            .iter()
            .map(|point| Delay {
                provers: point.provers,
                delay_s: point.delay_s,
            })
            .collect(),
        unmeasured: found.unmeasured,
        rough: found.rough,
    };
    if args.json {
        output::json(&forecast)?;
        return Ok(DONE);
    }
    for job in &forecast.jobs {
        say!("{}  done in {:.0} s", job.id, job.eta_s);
    }
    say!("provers   {} working now", forecast.provers);
    for point in &forecast.curve {
        say!(
            "          {:>4} provers: everything in {:.0} s",
            point.provers,
            point.delay_s
        );
    }
    if !forecast.unmeasured.is_empty() {
        say!(
            "unknown   nobody was measured at: {}",
            forecast.unmeasured.join(", ")
        );
    }
    if forecast.rough {
        say!("rough     too many tasks to simulate each: these are lower bounds");
    }
    Ok(DONE)
}

/// The object that `plan --json` prints.
#[derive(Debug, Serialize)]
struct Plan {
    provers: Option<u32>,
    why: String,
    work_s: f64,
    chain_s: f64,
    curve: Vec<Point>,
}

#[derive(Debug, Serialize)]
struct Point {
    provers: u32,
    load: f64,
    p95_s: Option<f64>,
    meets: bool,
}

pub(crate) fn plan(args: &PlanArgs) -> Result<u8, Failure> {
    let arrivals = parse_rate(&args.arrivals)?;
    let target = seconds("--target-delay", &args.target_delay)?;
    let found = with_client(&args.link, async |client| {
        Ok(client.plan(arrivals, target).await?)
    })?;
    let plan = Plan {
        provers: found.provers,
        why: found.why,
        work_s: found.work_s,
        chain_s: found.chain_s,
        curve: found
            .curve
            .iter()
            .map(|point| Point {
                provers: point.provers,
                load: point.load,
                p95_s: point.p95_s,
                meets: point.meets,
            })
            .collect(),
    };
    let code = if plan.provers.is_some() { DONE } else { OPEN };
    if args.json {
        output::json(&plan)?;
        return Ok(code);
    }
    match plan.provers {
        Some(provers) => say!("provers   {provers} are needed"),
        None => say!("provers   no number suffices: {}", plan.why),
    }
    say!(
        "job       {:.0} s of work, {:.0} s of them one after the other at least",
        plan.work_s,
        plan.chain_s
    );
    for point in &plan.curve {
        let delay = point.p95_s.map_or_else(
            || "the queue grows without end".to_owned(),
            |p95| format!("95 % within {p95:.0} s"),
        );
        let load = 100.0 * point.load;
        say!(
            "          {:>4} provers: {load:.0} % busy, {delay}",
            point.provers
        );
    }
    Ok(code)
}

/// The object that `simulate --json` prints.
#[derive(Debug, Serialize)]
struct Simulated {
    report: SimulationReport,
    curve: Vec<CurvePoint>,
}

pub(crate) fn simulate(args: &SimulateArgs) -> Result<u8, Failure> {
    let text = read(&args.scenario)?;
    let settings: ScenarioSettings = serde_json::from_slice(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", args.scenario.display())))?;
    let scenario = settings.scenario()?;
    let bar = output::spinner("simulating", args.json);
    let report = simulate::simulate(&scenario)?;
    let curve = match args.curve {
        Some(most) => simulate::curve(&scenario, &doubling(most))?,
        None => Vec::new(),
    };
    bar.finish_and_clear();
    if args.json {
        output::json(&Simulated { report, curve })?;
        return Ok(DONE);
    }
    let done = report.jobs.iter().filter(|job| job.delay_s().is_some());
    say!(
        "jobs      {} of {} done in {:.0} s by {} provers, busy {:.0} % of the time",
        done.count(),
        report.jobs.len(),
        report.end_s,
        report.provers,
        100.0 * report.utilisation
    );
    if let Some(delay) = report.delay {
        say!(
            "delay     mean {:.0} s, half within {:.0} s, 95 % within {:.0} s, all within {:.0} s",
            delay.mean_s,
            delay.p50_s,
            delay.p95_s,
            delay.max_s
        );
    }
    say!(
        "faults    {} attempts failed, {} crashes, {} leases lost, {} proofs refused, {} duplicates",
        report.counts.failed,
        report.counts.crashes,
        report.counts.expired,
        report.counts.refused,
        report.counts.duplicates
    );
    for point in &curve {
        let delay = point.delay.map_or_else(
            || "not all jobs are done".to_owned(),
            |delay| format!("95 % within {:.0} s", delay.p95_s),
        );
        say!("          {:>4} provers: {delay}", point.provers);
    }
    Ok(DONE)
}
