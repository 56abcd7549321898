//! Watching: the figures, the page in a browser, the traces.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod figures;
mod openmetrics;
mod page;
mod traces;

use std::net::SocketAddr;
use std::time::Duration;

use starkwright_fleet::FleetError;
use starkwright_fleet::store::JobState;
use starkwright_fleet::task::JobId;
use support::fleet::{Fleet, Prover};
use support::toy::{ToyProver, Vice};
use tokio::task::JoinHandle;

const PAUSE: Duration = Duration::from_millis(5);

/// A name that would run in a page that believed it.
const HOSTILE: &str = "<img src=x onerror=\"document.body.dataset.error='pwned'\">\\ \"'`${1}\n</script><script>throw 1</script>";

/// A fleet whose page is served.
struct Seen {
    fleet: Fleet,
    page: SocketAddr,
    serving: JoinHandle<Result<(), FleetError>>,
    http: reqwest::Client,
}

impl Seen {
    async fn start() -> Self {
        let fleet = Fleet::start().await;
        let (page, serving) = support::watch::serve(&fleet.aggregator, "127.0.0.1:0").await;
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            fleet,
            page,
            serving,
            http,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.page)
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    async fn json(&self, path: &str) -> serde_json::Value {
        let text = self.get(path).await.text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// A prover whose device has this name.
    fn prover(&self, name: &str, device: &str, vice: Vice) -> Prover {
        let mut prover = ToyProver::new(PAUSE, vice);
        device.clone_into(&mut prover.device);
        self.fleet.prover(name, prover)
    }

    async fn done(&self, job: JobId) {
        let client = self.fleet.client();
        let waiting = client.wait(job, Duration::from_secs(60), |_| {});
        assert_eq!(waiting.await.unwrap().state, JobState::Done);
    }

    async fn stop(self) {
        self.fleet.stop().await;
        self.serving.await.unwrap().unwrap();
    }
}

/// States are kept for a second.
async fn a_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}
