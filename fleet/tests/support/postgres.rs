//! A PostgreSQL of the tests' own: unprivileged, on a socket in a temporary folder, gone with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server.
pub struct Postgres {
    folder: tempfile::TempDir,
    bin: PathBuf,
}

/// Where the server's programs are: Debian keeps them out of the path.
fn bin() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    folders.into_iter().find(|folder| {
        let is_there = |name: &str| folder.join(name).is_file();
        ["initdb", "postgres", "pg_ctl", "createdb"]
            .into_iter()
            .all(is_there)
    })
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0\n")
}

impl Postgres {
    /// Starts one; none where PostgreSQL is not installed, which is a failure in CI.
    pub fn start() -> Option<Self> {
        let Some(bin) = bin() else {
            println!("missing: postgresql: apt-get install postgresql");
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
            return None;
        };
        // Not below the target folder: a socket's path is at most 107 bytes long.
        let folder = tempfile::Builder::new()
            .prefix("swpg")
            .tempdir_in("/tmp")
            .unwrap();
        if is_root() {
            let given = Command::new("chown")
                .arg("nobody")
                .arg(folder.path())
                .status();
            assert!(given.unwrap().success());
        }
        let server = Self { folder, bin };
        let data = server.data();
        server.run(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "fleet",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ],
        );
        server.up();
        Some(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, args: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if is_root() {
            // PostgreSQL refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        let done = command
            .args(args)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Starts the server again.
    pub fn up(&self) {
        let (data, log) = (self.data(), self.folder.path().join("log"));
        let socket = format!(
            "-k {} -c listen_addresses= -c max_connections=200",
            self.folder.path().display()
        );
        let log = log.display().to_string();
        self.run(
            "pg_ctl",
            &["-D", &data, "-l", &log, "-o", &socket, "-w", "start"],
        );
    }

    /// Stops the server: at once, as a crash would.
    pub fn down(&self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
    }

    /// A new, empty database's address.
    pub fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("fleet{}", NEXT.fetch_add(1, Ordering::SeqCst));
        let socket = self.socket();
        self.run("createdb", &["-h", &socket, "-U", "fleet", &name]);
        let host = socket.replace('/', "%2F");
        format!("postgres://fleet@{host}/{name}")
    }

    fn socket(&self) -> String {
        let path: &Path = self.folder.path();
        path.display().to_string()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.data();
        let stop = std::panic::AssertUnwindSafe(|| {
            self.run("pg_ctl", &["-D", &data, "-m", "immediate", "-w", "stop"]);
        });
        // It may be down already.
        let _ = std::panic::catch_unwind(stop);
    }
}
