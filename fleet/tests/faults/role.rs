//! A role as a process of its own: this test binary, told by its environment what to be.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use starkwright_fleet::aggregator::{Aggregator, Settings, Tokens};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::link::Address;
use starkwright_fleet::machine::{Machine, TaskProver};
use starkwright_fleet::point::{Point, Points};
use starkwright_fleet::prover::{ProverSettings, prove_for};
use starkwright_fleet::store::{Limits, open_store};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::support::fleet::{SUBMIT, WORK};
use super::support::tiny;
use super::support::toy::{Toy, ToyProver, Vice};

/// Names the variable that holds a [`Role`].
pub(crate) const ROLE: &str = "STARKWRIGHT_TEST_ROLE";

/// What a process is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) kind: Kind,
    /// The process dies when it meets this point, named as `Debug` does, for the `n`-th time.
    pub(crate) dies: Option<(String, u32)>,
    /// Real proofs at tiny parameters, instead of the toy machine's: the file with their keys.
    pub(crate) real: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    Aggregator {
        store: String,
        proofs: String,
        listen: String,
        lease_ms: u64,
    },
    Prover {
        connect: String,
        name: String,
        pause_ms: u64,
        lies: bool,
        loses_device: bool,
    },
}

/// Dies at once, as if killed, at the `n`-th meeting.
fn points(dies: Option<(String, u32)>) -> Points {
    let Some((name, nth)) = dies else {
        return Points::default();
    };
    let point = Point::ALL
        .into_iter()
        .find(|point| format!("{point:?}") == name);
    let point = point.unwrap();
    let met = AtomicU32::new(0);
    Points::new(move |now| {
        if now == point && met.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            std::process::abort();
        }
    })
}

async fn be(role: Role) {
    let points = points(role.dies);
    if let Some(keys) = &role.real {
        tiny::use_keys(&std::fs::read_to_string(keys).unwrap());
    }
    match role.kind {
        Kind::Aggregator {
            store,
            proofs,
            listen,
            lease_ms,
        } => {
            let limits = Limits {
                // Whoever is killed at random uses up attempts.
                max_attempts: 1000,
                ..Limits::default()
            };
            let store = open_store(&store, limits).await.unwrap();
            let blobs = Blobs::folder(Path::new(&proofs)).unwrap();
            let machine: Arc<dyn Machine> = if role.real.is_some() {
                Arc::new(tiny::machine())
            } else {
                Arc::new(Toy {
                    version: "1".to_owned(),
                })
            };
            let settings = Settings {
                lease: Duration::from_millis(lease_ms),
                heartbeat: Duration::from_millis(lease_ms / 4),
                tokens: Tokens::new(Some(SUBMIT), Some(WORK)),
                points,
                ..Settings::default()
            };
            let aggregator = Aggregator::new(store, blobs, vec![machine], settings).unwrap();
            // While it was down, its port may have been another's for a moment.
            let mut tries = 0;
            let listener = loop {
                match TcpListener::bind(&listen).await {
                    Ok(listener) => break listener,
                    Err(error) => assert!(tries < 600, "{error}"),
                }
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            aggregator.serve(listener, None).await.unwrap();
        }
        Kind::Prover {
            connect,
            name,
            pause_ms,
            lies,
            loses_device,
        } => {
            let vice = match (lies, loses_device) {
                (true, _) => Vice::Lies,
                (_, true) => Vice::LosesDevice,
                _ => Vice::None,
            };
            let pause = Duration::from_millis(pause_ms);
            let prover: Arc<dyn TaskProver> = if role.real.is_some() {
                Arc::new(tiny::prover())
            } else {
                Arc::new(ToyProver::new(pause, vice))
            };
            let address = Address {
                url: connect,
                token: Some(WORK.to_owned()),
                ..Address::default()
            };
            let settings = ProverSettings {
                name,
                patience: Duration::from_secs(300),
                drain: Duration::from_secs(10),
                release: "test".to_owned(),
                points,
            };
            let (_stop, stopped) = watch::channel(false);
            let quiet = Arc::new(|_| {});
            let ended = prove_for(&address, vec![prover], settings, stopped, quiet).await;
            // The reason, for whoever reads the log.
            println!("prover ended: {ended:?}");
        }
    }
}

#[test]
#[ignore = "what the others start: a role of a fleet"]
fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let role: Role = serde_json::from_str(&role).unwrap();
    // Whoever started this holds the other end: it does not outlive that.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(9);
    });
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    let _ = lines
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(be(role));
}

/// What a process of this role is started with.
pub(crate) fn environment(role: &Role) -> BTreeMap<String, String> {
    let role = serde_json::to_string(role).unwrap();
    BTreeMap::from([(ROLE.to_owned(), role)])
}
