//! A folder in which the command is run as a user runs it.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file takes what it needs"
)]

pub mod fleet;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tiny_keccak::{Hasher, Keccak};

/// Small segments under the profile for development: about a second each.
pub const QUICK: [&str; 4] = ["--profile", "conjectured100", "--segment-blocks", "85"];

/// A folder to work in.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The command in the folder, without settings from outside.
    pub fn command(&self) -> Command {
        self.settled(Command::new(env!("CARGO_BIN_EXE_starkwright")))
    }

    /// Any program in the folder, without settings from outside.
    pub fn settled(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env_remove("STARKWRIGHT_BACKEND")
            .env_remove("STARKWRIGHT_CONFIG")
            .env_remove("STARKWRIGHT_CONNECT")
            .env_remove("STARKWRIGHT_TOKEN")
            .env_remove("STARKWRIGHT_STORE")
            .env_remove("STARKWRIGHT_PROOFS")
            .env_remove("STARKWRIGHT_SUBMIT_TOKEN")
            .env_remove("STARKWRIGHT_PROVER_TOKEN")
            .env_remove("STARKWRIGHT_LOG");
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Proves a file, and returns the proof's path and the printed object. The last flag of a kind counts.
    pub fn prove(&self, input: &Path, name: &str, more: &[&str]) -> (PathBuf, Value) {
        let output = self.path(name);
        let mut args = vec!["prove", "keccak", "--json"];
        args.extend(["-i", text(input), "-o", text(&output)]);
        if !more.contains(&"--profile") {
            args.extend(&QUICK[..2]);
        }
        if !more.contains(&"--segment-blocks") {
            args.extend(&QUICK[2..]);
        }
        args.extend(more);
        let done = self.run(&args);
        assert_eq!(code(&done), 0, "{}", complaint(&done));
        (output, printed(&done, "prove keccak"))
    }
}

/// The value that a command printed with `--json`, each field of which docs/commands.md names under the command's heading.
pub fn printed(done: &Output, command: &str) -> Value {
    let value: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{command}: {error}: {}", complaint(done)));
    let documents = include_str!("../../../docs/commands.md");
    let sections = documents.split("\n### ").skip(1);
    let mut sections = sections.filter_map(|section| section.split_once('\n'));
    let section = sections.find(|(heading, _)| heading.split(", ").any(|name| name == command));
    let (_, section) = section.unwrap_or_else(|| panic!("{command} has no section"));
    let object = value.get(0).unwrap_or(&value);
    // An empty array has none.
    for field in object
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys())
    {
        assert!(
            section.contains(&format!("`{field}`")),
            "{command}: {field}"
        );
    }
    value
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Keccak-256 by another implementation.
pub fn digest(bytes: &[u8]) -> String {
    let mut digest = [0; 32];
    let mut keccak = Keccak::v256();
    keccak.update(bytes);
    keccak.finalize(&mut digest);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
