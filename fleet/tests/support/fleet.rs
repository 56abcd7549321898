//! An aggregator on a socket of this host, and provers that dial it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::{Aggregator, Settings, Submission, Tls, Tokens};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::Client;
use starkwright_fleet::link::Address;
use starkwright_fleet::machine::{Machine, TaskProver};
use starkwright_fleet::point::Points;
use starkwright_fleet::prover::{Activity, ProverReport, ProverSettings, prove_for};
use starkwright_fleet::store::{JobStore, Limits, MemoryStore};
use starkwright_fleet::task::{JobId, MachineId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::toy::Toy;

pub const SUBMIT: &str = "submit-secret";
pub const WORK: &str = "work-secret";

pub struct Fleet {
    pub aggregator: Arc<Aggregator>,
    pub address: SocketAddr,
    serving: JoinHandle<Result<(), FleetError>>,
}

pub fn settings() -> Settings {
    Settings {
        lease: Duration::from_millis(600),
        heartbeat: Duration::from_millis(150),
        tokens: Tokens::new(Some(SUBMIT), Some(WORK)),
        ..Settings::default()
    }
}

/// A clock for the queue in memory, which has none.
pub fn tick(store: &Arc<MemoryStore>) {
    let store = Arc::downgrade(store);
    let start = std::time::Instant::now();
    tokio::spawn(async move {
        while let Some(store) = store.upgrade() {
            store.set_now(start.elapsed().as_millis() as i64);
            drop(store);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

impl Fleet {
    pub async fn start() -> Self {
        let store = Arc::new(MemoryStore::new(Limits::default()));
        tick(&store);
        let blobs = Blobs::open("memory:").unwrap();
        Self::start_on(store, blobs, &["1"], settings(), "127.0.0.1:0").await
    }

    pub async fn start_on(
        store: Arc<dyn JobStore>,
        blobs: Blobs,
        versions: &[&str],
        settings: Settings,
        address: &str,
    ) -> Self {
        let toy = |version: &&str| -> Arc<dyn Machine> {
            Arc::new(Toy {
                version: (*version).to_owned(),
            })
        };
        let machines = versions.iter().map(toy).collect();
        Self::start_with(store, blobs, machines, settings, address).await
    }

    pub async fn start_with(
        store: Arc<dyn JobStore>,
        blobs: Blobs,
        machines: Vec<Arc<dyn Machine>>,
        settings: Settings,
        address: &str,
    ) -> Self {
        Self::start_encrypted(store, blobs, machines, settings, address, None).await
    }

    pub async fn start_encrypted(
        store: Arc<dyn JobStore>,
        blobs: Blobs,
        machines: Vec<Arc<dyn Machine>>,
        settings: Settings,
        address: &str,
        tls: Option<Tls>,
    ) -> Self {
        let aggregator = Aggregator::new(store, blobs, machines, settings).unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&aggregator);
        let serving = tokio::spawn(async move { served.serve(listener, tls.as_ref()).await });
        Self {
            aggregator,
            address,
            serving,
        }
    }

    pub fn address(&self, token: &str) -> Address {
        Address {
            url: self.address.to_string(),
            token: Some(token.to_owned()),
            ..Address::default()
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address(SUBMIT)).unwrap()
    }

    /// Uploads a file and submits a job over it, with leaves of so many bytes.
    pub async fn submit(&self, path: &Path, leaf: u64) -> JobId {
        Self::submit_by(&self.client(), "", path, leaf).await
    }

    /// The same, by this client, to the machine of this version.
    pub async fn submit_by(client: &Client, version: &str, path: &Path, leaf: u64) -> JobId {
        let blob = client.upload(path, |_| {}).await.unwrap();
        client
            .submit(Submission {
                machine: MachineId {
                    name: "toy".to_owned(),
                    version: version.to_owned(),
                },
                payload: leaf.to_string().into_bytes(),
                inputs: vec![blob],
                stream: String::new(),
                priority: 0,
                trace: String::new(),
            })
            .await
            .unwrap()
            .job
    }

    pub fn prover(&self, name: &str, prover: impl TaskProver + 'static) -> Prover {
        Prover::start(self.address(WORK), name, vec![Arc::new(prover)])
    }

    pub async fn stop(self) {
        self.aggregator.stop();
        self.serving.await.unwrap().unwrap();
    }
}

pub struct Prover {
    pub stop: watch::Sender<bool>,
    pub working: JoinHandle<Result<ProverReport, FleetError>>,
    pub activities: Arc<std::sync::Mutex<Vec<Activity>>>,
}

impl Prover {
    pub fn start(address: Address, name: &str, machines: Vec<Arc<dyn TaskProver>>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let settings = ProverSettings {
            name: name.to_owned(),
            patience: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            release: "test".to_owned(),
            points: Points::default(),
        };
        let activities = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&activities);
        let watcher = Arc::new(move |activity| seen.lock().unwrap().push(activity));
        let working =
            tokio::spawn(
                async move { prove_for(&address, machines, settings, stopped, watcher).await },
            );
        Self {
            stop,
            working,
            activities,
        }
    }

    /// Tells it to stop, and returns what it did.
    pub async fn finish(self) -> Result<ProverReport, FleetError> {
        self.stop.send_replace(true);
        self.working.await.unwrap()
    }
}

/// A file of so many bytes that repeat late.
pub fn file(folder: &Path, name: &str, bytes: usize) -> std::path::PathBuf {
    let path = folder.join(name);
    let content: Vec<u8> = (0..bytes).map(|i| (i * i % 253) as u8).collect();
    std::fs::write(&path, content).unwrap();
    path
}
