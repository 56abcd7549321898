//! The network between provers and the aggregator: cut, slow, silent.

use std::time::Duration;

use rand::RngExt;

use super::host::{Host, Process};
use super::proxy::{Proxy, Weather};
use super::{dice, scale};

/// A job whose provers are behind a proxy.
async fn through(weather: impl AsyncFnOnce(&Proxy)) {
    let host = Host::new();
    let _aggregator = Process::start(host.aggregator());
    let proxy = Proxy::start(host.listen).await;
    let provers = ["a", "b"].map(|name| host.prover_of(name, proxy.address));
    let _provers = provers.map(Process::start);
    let job = host.submit("job", 60).await;
    host.until(job, "the provers work", |tasks| tasks.done > 0)
        .await;
    weather(&proxy).await;
    proxy.set(Weather::Fair);
    host.settle(&[("job".to_owned(), job)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_cut_again_and_again_only_delays() {
    let mut dice = dice("cuts");
    through(async |proxy| {
        for _ in 0..scale(6, 60) {
            proxy.set(Weather::Fair);
            tokio::time::sleep(Duration::from_millis(dice.random_range(20..150))).await;
            proxy.set(Weather::Cut);
            tokio::time::sleep(Duration::from_millis(dice.random_range(20..900))).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_only_delays() {
    through(async |proxy| {
        proxy.set(Weather::Slow(20_000));
        tokio::time::sleep(Duration::from_secs(scale(3, 30) as u64)).await;
    })
    .await;
}

/// Nobody is told that the connection is dead: what is not answered is asked again over another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_silent_is_given_up() {
    if scale(0, 1) == 0 {
        // Keep-alives take 40 s to notice.
        return;
    }
    through(async |proxy| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.set(Weather::Silent);
        tokio::time::sleep(Duration::from_secs(2)).await;
    })
    .await;
}
