//! An S3 of the tests' own: moto's server on a port of this host, gone with the test.
//!
//! Where S3 is and who may ask is read from the environment, and a test should not change its own. So it runs itself again,
//! in a process that has the server's.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Names the bucket, in a test's second process.
const BUCKET: &str = "STARKWRIGHT_TEST_BUCKET";

/// Serves until its input ends, as it does however the test ends; says its port once there is a bucket.
const SERVER: &str = r#"
import sys, urllib.request
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
port = server.get_host_and_port()[1]
bucket = urllib.request.Request(f"http://127.0.0.1:{port}/fleet", method="PUT")
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(bucket)
print(port, flush=True)
sys.stdin.read()
"#;

struct Server {
    process: Child,
    port: u16,
}

/// Below the target folder, where scripts/runtimes.sh puts it.
fn python() -> Option<PathBuf> {
    let test = std::env::current_exe().unwrap();
    let mut folders = test.ancestors().map(|folder| folder.join("opencl/s3"));
    let folder = folders.find(|folder| folder.join("starkwright-installed").is_file())?;
    Some(folder.join("bin/python"))
}

impl Server {
    fn start() -> Option<Self> {
        let Some(python) = python() else {
            println!("missing: s3: moto's server: scripts/runtimes.sh install");
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
            return None;
        };
        let mut process = Command::new(python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut port).unwrap();
        let port = port.trim().parse().unwrap();
        Some(Self { process, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address of an empty part of a bucket, in a process that can reach it. In any other process none: the test `name` has
/// run in one that can, or there is no server here, which is a failure in CI. `settings` are added to its environment.
pub fn bucket(name: &str, settings: &[(&str, &str)]) -> Option<String> {
    if let Ok(bucket) = std::env::var(BUCKET) {
        return Some(bucket);
    }
    let server = Server::start()?;
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([name, "--exact", "--nocapture"]);
    // Whatever this host is told of AWS and of proxies is not about this server.
    for (key, _) in std::env::vars_os() {
        let key = key.to_string_lossy().into_owned();
        if key.starts_with("AWS_") || key.to_lowercase().ends_with("_proxy") {
            again.env_remove(key);
        }
    }
    let done = again
        .env(BUCKET, format!("s3://fleet/{name}"))
        .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", server.port))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "somebody")
        .env("AWS_SECRET_ACCESS_KEY", "a secret")
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let wrong = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}{wrong}");
    assert!(said.contains("1 passed"), "{name} is no test: {said}");
    None
}
