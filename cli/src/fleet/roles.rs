//! `starkwright aggregator` and `starkwright prover`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::{Aggregator, Need, Settings, Tls, Tokens, check_exposure};
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::forecast::{ForecastSettings, MAX_PLANNED, NeedSettings};
use starkwright_fleet::hook::{Hook, HookSettings, Target, Windows};
use starkwright_fleet::keccak::{KeccakMachine, KeccakProver};
use starkwright_fleet::machine::{MachineError, TaskProver};
use starkwright_fleet::point::Points;
use starkwright_fleet::prover::{ProverReport, ProverSettings, prove_for};
use starkwright_fleet::store::{Limits, open_store};
use starkwright_hal::Backend;
use starkwright_prover::keccak_file::Val;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::level_filters::LevelFilter;

use super::settings::{self, ADDRESS, read, token};
use crate::args::{AggregatorArgs, ProverArgs};
use crate::config::{self, AggregatorConfig};
use crate::device::{OnDevice, with_device};
use crate::exit::{DONE, Failure};
use crate::output;

/// The folder of an aggregator that is told nothing else.
const FOLDER: &str = "starkwright-fleet";

/// Told to stop: an interrupt, or a termination.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn new() -> Result<Self, Failure> {
        let watch = |kind| {
            signal(kind)
                .map_err(|error| Failure::usage(format!("cannot watch for signals: {error}")))
        };
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn machine_failure(error: &MachineError) -> Failure {
    Failure::usage(error.to_string())
}

/// The object that `aggregator --json` prints when it listens.
#[derive(Debug, Serialize)]
struct Listening {
    listen: String,
    store: String,
    proofs: String,
    tls: bool,
    page: Option<String>,
}

pub(crate) fn aggregator(args: &AggregatorArgs) -> Result<u8, Failure> {
    let config = config::file(&args.config)?.aggregator;
    settings::run(async {
        let traces = settings::log("starkwright-aggregator", LevelFilter::INFO)?;
        let served = serve(args, config).await;
        settings::finish(traces).await;
        served
    })
}

/// Who is told how many provers are needed, where the settings say it.
fn need(args: &AggregatorArgs, config: &AggregatorConfig) -> Result<Option<Need>, Failure> {
    let delay = args.target_delay.as_ref().or(config.target_delay.as_ref());
    let hook = args.on_provers.as_ref().or(config.on_provers.as_ref());
    let (delay, hook) = match (delay, hook) {
        (Some(delay), Some(hook)) => (delay, hook),
        (None, None) => return Ok(None),
        _ => {
            return Err(Failure::usage(
                "a target delay needs somebody to tell (on_provers), and the other way round",
            ));
        }
    };
    let target = if hook.starts_with("http://") || hook.starts_with("https://") {
        Target::Webhook(hook.clone())
    } else {
        Target::Command(hook.split_whitespace().map(str::to_owned).collect())
    };
    let hook = HookSettings {
        target,
        timeout: Duration::from_secs(30),
        windows: Windows::default(),
    };
    // What cannot be called is said before anything is served.
    Hook::new(hook.clone())?;
    Ok(Some(Need {
        settings: NeedSettings {
            target_delay_s: settings::seconds("target delay", delay)?,
            window_s: 3600.0,
            min_provers: 0,
            forecast: ForecastSettings {
                max_provers: MAX_PLANNED,
                ..ForecastSettings::default()
            },
        },
        hook,
    }))
}

/// Who may ask: the submitters' token, and a token or a list of them for provers.
fn tokens(args: &AggregatorArgs, config: &AggregatorConfig) -> Result<Tokens, Failure> {
    let submit = token(
        args.submit_token_file.as_deref(),
        "STARKWRIGHT_SUBMIT_TOKEN",
        config.submit_token_file.as_deref(),
    )?;
    let provers = token(
        args.prover_token_file.as_deref(),
        "STARKWRIGHT_PROVER_TOKEN",
        config.prover_token_file.as_deref(),
    )?;
    let mut tokens = Tokens::new(submit.as_deref(), None);
    if let Some(lines) = provers {
        tokens.add_provers(&lines)?;
    }
    Ok(tokens)
}

async fn serve(args: &AggregatorArgs, config: AggregatorConfig) -> Result<u8, Failure> {
    let need = need(args, &config)?;
    let tokens = tokens(args, &config)?;
    let cert = args.tls_cert.clone().or(config.tls_cert);
    let key = args.tls_key.clone().or(config.tls_key);
    let tls = match (&cert, &key) {
        (Some(cert), Some(key)) => Some(Tls {
            certificate: read(cert)?,
            key: read(key)?,
        }),
        (None, None) => None,
        _ => {
            return Err(Failure::usage(
                "a certificate needs its key, and a key its certificate",
            ));
        }
    };
    let listen = args
        .listen
        .or(config.listen)
        .map_or_else(|| ADDRESS.parse(), Ok);
    let listen = listen.map_err(|_| Failure::usage("the default address is none"))?;
    let insecure = args.insecure || config.insecure;
    check_exposure(listen, tls.is_some(), insecure, &tokens)?;

    let store = args.store.clone().or(config.store);
    let proofs = args.proofs.clone().or(config.proofs);
    if store.is_none() || proofs.is_none() {
        std::fs::create_dir_all(FOLDER)
            .map_err(|error| Failure::usage(format!("cannot make the folder {FOLDER}: {error}")))?;
    }
    let store = store.unwrap_or_else(|| format!("sqlite://{FOLDER}/queue.db"));
    let blobs = match &proofs {
        Some(url) => Blobs::open(url)?,
        None => Blobs::folder(&Path::new(FOLDER).join("proofs"))?,
    };
    let limits = Limits {
        max_open: args
            .max_open
            .or(config.max_open)
            .unwrap_or(Limits::default().max_open),
        ..Limits::default()
    };
    let queue = open_store(&store, limits).await?;
    let lease = Duration::from_secs(args.lease.or(config.lease).unwrap_or(30));
    let running = Settings {
        lease,
        heartbeat: (lease / 6).min(Duration::from_secs(5)),
        tokens,
        need,
        ..Settings::default()
    };
    let machine = KeccakMachine::new().map_err(|error| machine_failure(&error))?;
    let aggregator = Aggregator::new(queue, blobs, vec![Arc::new(machine)], running)?;
    let listener = TcpListener::bind(listen).await;
    let listener =
        listener.map_err(|error| Failure::usage(format!("cannot listen on {listen}: {error}")))?;
    let page = match args.page.or(config.page) {
        Some(page) => Some(page_listener(page).await?),
        None => None,
    };
    let mut stops = Stops::new()?;
    let address = listener.local_addr().map_or(listen, |address| address);
    tracing::info!(%address, tls = tls.is_some(), "listening");
    if args.json {
        output::json(&Listening {
            listen: address.to_string(),
            store: without_secret(&store),
            proofs: proofs.unwrap_or_else(|| format!("{FOLDER}/proofs")),
            tls: tls.is_some(),
            page: page
                .as_ref()
                .and_then(|page| page.local_addr().ok())
                .map(|page| page.to_string()),
        })?;
    }
    let stopper = Arc::clone(&aggregator);
    tokio::spawn(async move {
        stops.next().await;
        tracing::info!("stopping: what runs is finished (again: at once)");
        stopper.stop();
        stops.next().await;
        std::process::exit(i32::from(DONE));
    });
    let paged = async {
        match page {
            Some(page) => aggregator.serve_page(page).await,
            None => Ok(()),
        }
    };
    let (served, paged) = tokio::join!(aggregator.serve(listener, tls.as_ref()), paged);
    served?;
    paged?;
    tracing::info!("stopped");
    Ok(DONE)
}

/// The page's socket. It asks for no token, so it stays on this host.
async fn page_listener(page: SocketAddr) -> Result<TcpListener, Failure> {
    if !page.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "the page asks for no token: {page} is another address than this host's; put a proxy before it"
        )));
    }
    let listener = TcpListener::bind(page).await;
    let listener = listener
        .map_err(|error| Failure::usage(format!("cannot serve the page on {page}: {error}")))?;
    let address = listener.local_addr().unwrap_or(page);
    tracing::info!("the page is http://{address}/");
    Ok(listener)
}

/// An address without the password in it.
fn without_secret(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_owned(),
    }
}

/// The machine on the device that the settings name.
pub(super) struct OnThis;

impl OnDevice for OnThis {
    type Output = Result<Arc<dyn TaskProver>, MachineError>;

    fn run<B: Backend<Val>>(self, device: &B) -> Self::Output {
        Ok(Arc::new(KeccakProver::new(device.clone())?))
    }
}

/// The object that `prover --json` prints at the end.
#[derive(Debug, Serialize)]
struct Worked {
    provers: u16,
    accepted: u64,
    late: u64,
    failed: u64,
    refused: u64,
}

pub(crate) fn prover(args: &ProverArgs) -> Result<u8, Failure> {
    let device = config::device(&args.link.config, args.on.backend.as_deref())?;
    let config = config::file(&args.link.config)?.prover;
    let address = settings::address(&args.link)?;
    let name = args.name.clone().or(config.name);
    let name = name.unwrap_or_else(default_name);
    let count = args.provers_per_device.or(config.provers_per_device);
    let count = count.unwrap_or(1);
    let seconds = |flag: Option<u64>, configured: Option<u64>| {
        Duration::from_secs(flag.or(configured).unwrap_or(600))
    };
    let patience = seconds(args.patience, config.patience);
    let drain = seconds(args.drain, config.drain);
    let running = async move {
        let traces = settings::log("starkwright-prover", LevelFilter::INFO)?;
        // Before the device: compilers within drivers (LLVM) catch signals too. One that comes first is called by what is
        // installed after it, and ends the process; one that comes second hands signals on.
        let mut stops = Stops::new()?;
        let prover = with_device(&device, OnThis)?.map_err(|error| machine_failure(&error))?;
        let (stop, stopped) = watch::channel(false);
        let mut working: JoinSet<Result<ProverReport, FleetError>> = JoinSet::new();
        for number in 0..count {
            let settings = ProverSettings {
                name: match count {
                    1 => name.clone(),
                    _ => format!("{name}.{number}"),
                },
                patience,
                drain,
                release: env!("CARGO_PKG_VERSION").to_owned(),
                points: Points::default(),
            };
            let (address, prover, stopped) =
                (address.clone(), Arc::clone(&prover), stopped.clone());
            working.spawn(async move {
                let quiet = Arc::new(|_| {});
                prove_for(&address, vec![prover], settings, stopped, quiet).await
            });
        }
        let stopper = stop.clone();
        tokio::spawn(async move {
            stops.next().await;
            tracing::info!("stopping after the tasks that are running (again: at once)");
            stopper.send_replace(true);
            stops.next().await;
            // The leases expire.
            std::process::exit(i32::from(DONE));
        });
        let mut total = ProverReport::default();
        let mut failure = None;
        while let Some(ended) = working.join_next().await {
            let ended = ended.map_err(|error| Failure::usage(format!("a prover ended: {error}")));
            match ended.and_then(|report| Ok(report?)) {
                Ok(report) => {
                    total.accepted += report.accepted;
                    total.late += report.late;
                    total.failed += report.failed;
                    total.refused += report.refused;
                }
                Err(error) => {
                    // The others finish what they are at.
                    stop.send_replace(true);
                    failure.get_or_insert(error);
                }
            }
        }
        settings::finish(traces).await;
        failure.map_or(Ok(total), Err)
    };
    let total = settings::run(running)?;
    tracing::info!(
        accepted = total.accepted,
        late = total.late,
        failed = total.failed,
        refused = total.refused,
        "stopped"
    );
    if args.json {
        output::json(&Worked {
            provers: count,
            accepted: total.accepted,
            late: total.late,
            failed: total.failed,
            refused: total.refused,
        })?;
    }
    Ok(DONE)
}

/// The host's name and the process's number: unique among hosts that have names of their own.
fn default_name() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let host: String = host.chars().filter(|&c| fits(c)).take(60).collect();
    format!("{host}-{}", std::process::id())
}
