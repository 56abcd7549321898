//! A fleet of this host: an aggregator and provers as processes, and requests to them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Bench, printed};

/// A role that is killed with its test.
pub struct Role(pub Child);

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address of this host that nobody listens on.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Waits for somebody to listen there.
pub fn listens(address: &str) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "nobody listens on {address}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Status and body of what a server answers, asked as simply as can be.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

pub struct Fleet {
    pub bench: Bench,
    pub address: String,
}

impl Fleet {
    pub fn new() -> Self {
        Self {
            bench: Bench::new(),
            address: free_address(),
        }
    }

    fn role(&self, mut command: Command, log: &str) -> Role {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.bench.path(log))
            .unwrap();
        command.stdout(Stdio::null()).stderr(log);
        Role(command.spawn().unwrap())
    }

    /// Listening, with leases of three seconds.
    pub fn aggregator(&self, more: &[&str]) -> Role {
        let mut command = self.bench.command();
        command.args(["aggregator", "--listen", &self.address, "--lease", "3"]);
        command.args(more);
        let role = self.role(command, "aggregator.log");
        listens(&self.address);
        role
    }

    pub fn prover(&self, name: &str) -> Role {
        self.prover_with(name, |_| ())
    }

    pub fn prover_with(&self, name: &str, settle: impl FnOnce(&mut Command)) -> Role {
        let mut command = self.bench.command();
        command.args(["prover", "--connect", &self.address, "--name", name]);
        settle(&mut command);
        self.role(command, "prover.log")
    }

    /// A request, as a user makes it.
    pub fn ask(&self, args: &[&str]) -> Output {
        let output = self
            .bench
            .command()
            .args(args)
            .args(["--connect", &self.address])
            .output();
        output.unwrap()
    }

    /// The object that a request prints.
    pub fn object(&self, args: &[&str]) -> Value {
        let output = self.ask(&[args, &["--json"]].concat());
        // What is submitted is a part of the command.
        let words = if args[0] == "submit" { 2 } else { 1 };
        printed(&output, &args[..words].join(" "))
    }

    pub fn job(&self, id: &str) -> Value {
        self.object(&["status", id])
    }

    /// Waits until so many tasks of a job are done.
    pub fn wait_for(&self, id: &str, done: u64) {
        let start = Instant::now();
        while self.job(id)["tasks"]["done"].as_u64().unwrap() < done {
            assert!(
                start.elapsed() < Duration::from_secs(240),
                "{}",
                self.job(id)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
