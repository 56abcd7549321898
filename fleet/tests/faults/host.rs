//! A fleet of processes on this host, and what is asked of it in the end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use starkwright_fleet::FleetError;
use starkwright_fleet::aggregator::Submission;
use starkwright_fleet::blobs::Blobs;
use starkwright_fleet::client::Client;
use starkwright_fleet::link::Address;
use starkwright_fleet::machine::Machine;
use starkwright_fleet::store::{JobState, JobStore, Limits, SqlStore, TaskCounts, TaskState};
use starkwright_fleet::task::{JobId, TaskId};

use super::role::{Kind, Role, environment};
use super::support::fleet::{Fleet, SUBMIT, file};
use super::support::toy::{self, Toy, ToyProver, Vice};

/// What takes longer is stuck: a loaded machine is slow.
const STUCK: Duration = Duration::from_secs(600);

/// Leaves of a job have so many bytes.
pub(crate) const LEAF: usize = 100;

/// What processes say: to the file that STARKWRIGHT_TEST_LOG names, or to nobody.
fn log() -> Stdio {
    let Some(path) = std::env::var_os("STARKWRIGHT_TEST_LOG") else {
        return Stdio::null();
    };
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(path);
    file.unwrap().into()
}

/// A role's process.
pub(crate) struct Process {
    role: Role,
    through: Vec<String>,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn start(role: Role) -> Self {
        Self::start_through(role, &[])
    }

    /// Started by this command, which runs what follows it.
    pub(crate) fn start_through(role: Role, through: &[String]) -> Self {
        let mut process = Self {
            role,
            through: through.to_vec(),
            child: None,
        };
        process.up();
        process
    }

    pub(crate) fn up(&mut self) {
        let exe = std::env::current_exe().unwrap();
        let mut command = match self.through.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(exe);
                command
            }
            None => Command::new(exe),
        };
        let child = command
            .args([
                "--exact",
                "role::role",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .envs(environment(&self.role))
            .stdin(Stdio::piped())
            .stdout(log())
            .stderr(log())
            .spawn();
        self.child = Some(child.unwrap());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have died by itself.
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.up();
    }

    /// SIGSTOP, SIGCONT and the like.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let done = Command::new("kill").args(["-s", name, &id]).status();
        assert!(done.unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        let (start, child) = (Instant::now(), self.child.as_mut().unwrap());
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < STUCK, "it does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until it has died where it should, and starts it again without what it died of.
    pub(crate) async fn revive(&mut self) {
        let died = self.end().await;
        assert_eq!(died.signal(), Some(6), "not of SIGABRT: {died}");
        self.role.dies = None;
        self.restart();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One queue and its proofs, an aggregator's address, and processes.
pub(crate) struct Host {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: String,
    pub(crate) listen: SocketAddr,
    pub(crate) lease: Duration,
    pub(crate) real: Option<PathBuf>,
}

/// An address of this host that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Host {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("sqlite://{}", folder.path().join("queue.db").display());
        Self {
            folder,
            store,
            listen: free_address(),
            lease: Duration::from_millis(600),
            real: None,
        }
    }

    pub(crate) fn on(store: String) -> Self {
        Self {
            store,
            ..Self::new()
        }
    }

    pub(crate) fn proofs(&self) -> PathBuf {
        self.folder.path().join("proofs")
    }

    pub(crate) fn role(&self, kind: Kind) -> Role {
        Role {
            kind,
            dies: None,
            real: self.real.clone(),
        }
    }

    pub(crate) fn aggregator_at(&self, listen: SocketAddr) -> Role {
        self.role(Kind::Aggregator {
            store: self.store.clone(),
            proofs: self.proofs().display().to_string(),
            listen: listen.to_string(),
            lease_ms: self.lease.as_millis() as u64,
        })
    }

    pub(crate) fn aggregator(&self) -> Role {
        self.aggregator_at(self.listen)
    }

    pub(crate) fn prover_of(&self, name: &str, connect: SocketAddr) -> Role {
        self.role(Kind::Prover {
            connect: connect.to_string(),
            name: name.to_owned(),
            pause_ms: 5,
            lies: false,
            loses_device: false,
        })
    }

    pub(crate) fn prover(&self, name: &str) -> Role {
        self.prover_of(name, self.listen)
    }

    pub(crate) fn client(&self) -> Client {
        let address = Address {
            url: self.listen.to_string(),
            token: Some(SUBMIT.to_owned()),
            ..Address::default()
        };
        Client::new(&address).unwrap()
    }

    /// A file of so many leaves that has nothing in common with another name's.
    pub(crate) fn write(&self, name: &str, leaves: usize) {
        let path = file(self.folder.path(), name, leaves * LEAF - 1);
        let mut bytes = std::fs::read(&path).unwrap();
        for leaf in bytes.chunks_mut(LEAF) {
            leaf[..name.len()].copy_from_slice(name.as_bytes());
        }
        std::fs::write(&path, bytes).unwrap();
    }

    /// Submits a job over this file.
    pub(crate) async fn try_to_send(&self, name: &str) -> Result<JobId, FleetError> {
        let client = self.client();
        let blob = client
            .upload(&self.folder.path().join(name), |_| {})
            .await?;
        let submission = Submission {
            machine: toy::id(""),
            payload: LEAF.to_string().into_bytes(),
            inputs: vec![blob],
            stream: String::new(),
            priority: 0,
            trace: String::new(),
        };
        Ok(client.submit(submission).await?.job)
    }

    /// The same, as often as it takes: sent again, it is the same job.
    pub(crate) async fn send(&self, name: &str) -> JobId {
        let start = Instant::now();
        loop {
            match self.try_to_send(name).await {
                Ok(job) => return job,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(60), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Submits a job of so many leaves.
    pub(crate) async fn submit(&self, name: &str, leaves: usize) -> JobId {
        self.write(name, leaves);
        self.send(name).await
    }

    /// A job's tasks, where the aggregator can be reached.
    pub(crate) async fn counts(&self, job: JobId) -> Option<TaskCounts> {
        Some(self.client().job(job).await.ok()?.tasks)
    }

    /// Waits until a job's tasks stand like this.
    pub(crate) async fn until(&self, job: JobId, what: &str, holds: impl Fn(TaskCounts) -> bool) {
        let start = Instant::now();
        while !self.counts(job).await.is_some_and(&holds) {
            assert!(start.elapsed() < STUCK, "never: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The queue, beside the aggregators.
    pub(crate) async fn store(&self) -> SqlStore {
        SqlStore::open(&self.store, Limits::default())
            .await
            .unwrap()
    }

    pub(crate) async fn state(&self, job: JobId) -> JobState {
        self.client().job(job).await.unwrap().state
    }

    /// Waits for a job, and returns its proof's bytes.
    pub(crate) async fn result(&self, job: JobId) -> Vec<u8> {
        let client = self.client();
        let waited = tokio::time::timeout(STUCK, client.wait(job, STUCK, |_| {}));
        let ended = waited.await.expect("the job is stuck").unwrap();
        assert_eq!(ended.state, JobState::Done, "{}", ended.error);
        let output = self.folder.path().join(format!("{job}.proof"));
        client.fetch(job, &output).await.unwrap();
        std::fs::read(output).unwrap()
    }

    /// What the run without faults gives.
    pub(crate) async fn expected(&self, name: &str) -> Vec<u8> {
        let fleet = Fleet::start().await;
        let prover = fleet.prover("p", ToyProver::new(Duration::ZERO, Vice::None));
        let path = self.folder.path().join(name);
        let job = fleet.submit(&path, LEAF as u64).await;
        let client = fleet.client();
        client
            .wait(job, Duration::from_secs(60), |_| {})
            .await
            .unwrap();
        let output = self.folder.path().join("expected");
        client.fetch(job, &output).await.unwrap();
        prover.finish().await.unwrap();
        fleet.stop().await;
        std::fs::read(output).unwrap()
    }

    /// Waits for these jobs, compares their proofs with those of runs without faults, and looks into the queue: every task
    /// has one proof, which is there and is its own; every proof was booked once; nothing is left over but what is collected.
    pub(crate) async fn settle(&self, jobs: &[(String, JobId)]) {
        for (name, job) in jobs {
            assert_eq!(self.result(*job).await, self.expected(name).await, "{name}");
        }
        self.audit(&Toy {
            version: "1".to_owned(),
        })
        .await;
    }

    pub(crate) async fn audit(&self, machine: &dyn Machine) {
        let store = self.store().await;
        let blobs = Blobs::folder(&self.proofs()).unwrap();
        let (mut tasks, mut named) = (0, BTreeSet::new());
        for job in store.jobs(None, 20_000).await.unwrap() {
            assert_eq!(job.state, JobState::Done);
            for view in store.tasks(job.id, 0, u32::MAX).await.unwrap() {
                let id = TaskId {
                    job: job.id,
                    number: view.number,
                };
                assert_eq!(view.state, TaskState::Done, "{id}");
                let proof = view.proof.unwrap();
                let bytes = blobs.get(&proof).await.unwrap();
                let spec = store.task(id).await.unwrap().spec;
                machine.verify(&spec, &bytes).unwrap();
                named.insert(proof.hash);
                if let Some(input) = spec.input {
                    named.insert(input.blob.hash);
                }
                tasks += 1;
            }
        }
        // What was refused is kept.
        let refusals = store.refusals(u32::MAX).await.unwrap();
        named.extend(refusals.iter().map(|refusal| refusal.blob.hash));
        let provers = store.provers().await.unwrap();
        let booked: u64 = provers.iter().map(|prover| prover.done).sum();
        assert_eq!(booked, tasks, "a proof was booked twice, or never");
        // Orphans of crashes are collected, and nothing else is.
        blobs.collect(&store, Duration::ZERO).await.unwrap();
        let mut found = 0;
        let mut folders = vec![self.proofs()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found += 1,
                }
            }
        }
        assert_eq!(found, named.len());
    }
}
