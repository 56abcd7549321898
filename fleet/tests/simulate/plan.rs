//! How many provers are needed.

use proptest::prelude::*;
use starkwright_fleet::FleetError;
use starkwright_fleet::forecast::{PlanRequest, parse_rate, plan};

use super::*;

fn request(per_hour: f64, target_delay_s: f64, leaves: u32) -> PlanRequest {
    PlanRequest {
        arrivals: per_hour / 3600.0,
        target_delay_s,
        rates: rates(),
        mix: vec![ProverGroup::equal(1, "cpu", &machine())],
        job: tree(leaves),
        overhead_s: 0.1,
        seed: 1,
        jobs: 100,
        max_provers: 1000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_number_meets_the_target_and_one_less_does_not(
        per_hour in 1.0..400.0_f64,
        target in 60.0..1000.0_f64,
        leaves in 1..33_u32,
        seed: u64,
    ) {
        let request = PlanRequest { seed, ..request(per_hour, target, leaves) };
        let provers = plan(&request).unwrap().provers.unwrap();
        let point = request.evaluate(provers).unwrap();
        prop_assert!(point.meets && point.load < 1.0);
        prop_assert!(point.delay.unwrap().p95_s <= target);
        if provers > 1 {
            prop_assert!(!request.evaluate(provers - 1).unwrap().meets);
        }
    }

    #[test]
    fn more_arrivals_or_a_shorter_delay_never_need_fewer_provers(
        per_hour in 1.0..200.0_f64,
        target in 60.0..600.0_f64,
        leaves in 1..17_u32,
        more in 1.1..4.0_f64,
        seed: u64,
    ) {
        let need = |per_hour, target| {
            let request = PlanRequest { seed, ..request(per_hour, target, leaves) };
            plan(&request).unwrap().provers.unwrap()
        };
        let here = need(per_hour, target);
        prop_assert!(need(per_hour * more, target) >= here);
        prop_assert!(need(per_hour, target * more) <= here);
    }
}

#[test]
fn what_cannot_be_is_said() {
    let too_soon = plan(&request(1.0, 1.0, 4)).unwrap();
    assert!(too_soon.provers.is_none() && too_soon.why.contains("longest chain"));
    let mut few = request(1000.0, 100.0, 16);
    few.max_provers = 3;
    let too_few = plan(&few).unwrap();
    assert!(too_few.provers.is_none() && too_few.why.contains('3'));
    assert!(
        too_few
            .curve
            .iter()
            .all(|point| point.load >= 1.0 && point.delay.is_none())
    );
    let mut unmeasured = request(1.0, 100.0, 4);
    unmeasured.rates.pop();
    let error = plan(&unmeasured).unwrap_err();
    assert!(error.to_string().contains("wrap"), "{error}");
    let never = plan(&request(0.0, 100.0, 4)).unwrap_err();
    assert!(matches!(never, FleetError::Settings { .. }));
}

#[test]
fn a_mix_is_repeated() {
    // A fast prover among slow ones: half the time on it.
    let mut mixed = request(120.0, 200.0, 8);
    mixed.rates.extend(rates().into_iter().map(|mut rate| {
        rate.device = "gpu".to_owned();
        rate.seconds_per_work /= 10.0;
        rate
    }));
    let slow = plan(&mixed).unwrap().provers.unwrap();
    mixed
        .mix
        .insert(0, ProverGroup::equal(1, "gpu", &machine()));
    let fast = plan(&mixed).unwrap().provers.unwrap();
    assert!(fast < slow, "{fast} < {slow}");
}

#[test]
fn rates_of_arrivals_are_read() {
    for (text, per_second) in [
        ("120/h", 1.0 / 30.0),
        ("2/s", 2.0),
        (" 3 / min", 0.05),
        ("86400/d", 1.0),
        ("3600", 1.0),
    ] {
        assert!((parse_rate(text).unwrap() - per_second).abs() < 1e-12);
    }
    for wrong in ["", "/h", "x/h", "-1/h", "0", "1/week", "inf/s", "NaN"] {
        parse_rate(wrong).unwrap_err();
    }
}
