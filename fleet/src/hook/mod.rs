//! What is called when another number of provers is needed: a command or a webhook that starts or stops them.
//!
//! [`Hook::see`] is given the number whenever it was computed; what is told, and when, is a matter of [`Windows`]. A hook
//! that fails is logged and otherwise without consequence.

mod window;

use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

use crate::FleetError;
use window::Window;
pub use window::Windows;

/// What is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A program and its arguments; no shell is involved. The number is added as the last argument, and is in the
    /// environment as `STARKWRIGHT_PROVERS`, with the number before in `STARKWRIGHT_PROVERS_BEFORE`: empty at the first
    /// call.
    Command(Vec<String>),
    /// An address of `http` or `https`, which [`Change`] is posted to as JSON. Redirections are not followed; any status
    /// from 200 to 299 is success.
    Webhook(String),
}

/// A hook's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookSettings {
    /// What is called.
    pub target: Target,
    /// How long a call may take: then the command is killed, or the request abandoned.
    pub timeout: Duration,
    /// Which changes are told.
    pub windows: Windows,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Provers needed.
    pub provers: u32,
    /// What was told before; none at the first call.
    pub before: Option<u32>,
}

/// See the module.
#[derive(Debug)]
pub struct Hook {
    settings: HookSettings,
    window: Window,
    client: reqwest::Client,
}

impl Hook {
    /// A hook that was never called.
    ///
    /// # Errors
    /// [`FleetError::Settings`] for a command without a program, an address that is none, or no time.
    pub fn new(settings: HookSettings) -> Result<Self, FleetError> {
        let wrong = |why: String| FleetError::Settings { why };
        if settings.timeout.is_zero() {
            return Err(wrong("a hook needs some time to run".to_owned()));
        }
        match &settings.target {
            Target::Command(words) if words.first().is_none_or(String::is_empty) => {
                return Err(wrong("a hook's command begins with a program".to_owned()));
            }
            Target::Webhook(address) => {
                let url = reqwest::Url::parse(address).ok();
                if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
                    return Err(wrong(
                        "a webhook is an address that begins with http:// or https://".to_owned(),
                    ));
                }
            }
            Target::Command(_) => {}
        }
        // reqwest brings no provider of its own. Whoever installed one before, keeps it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| wrong(format!("no webhook can be called: {error}")))?;
        let window = Window::new(settings.windows);
        Ok(Self {
            settings,
            window,
            client,
        })
    }

    /// So many provers are needed, at `now_ms` of any clock that does not go back. Calls the target where that is to be told,
    /// waits for it, and returns what was told. A call that fails is logged; the change counts as told, so that a broken hook
    /// is not called for ever.
    pub async fn see(&mut self, now_ms: i64, provers: u32) -> Option<Change> {
        let before = self.window.told();
        let provers = self.window.see(now_ms, provers)?;
        let change = Change { provers, before };
        match self.call(change).await {
            Ok(()) => tracing::info!(provers, before, "the hook was called"),
            Err(error) => tracing::warn!(provers, before, %error, "the hook failed"),
        }
        Some(change)
    }

    /// Calls the target.
    ///
    /// # Errors
    /// [`FleetError::Unreachable`] where the program cannot be started or nobody answers in time; [`FleetError::Refused`]
    /// where it fails.
    pub async fn call(&self, change: Change) -> Result<(), FleetError> {
        match &self.settings.target {
            Target::Command(words) => self.run(words, change).await,
            Target::Webhook(address) => self.post(address, change).await,
        }
    }

    async fn run(&self, words: &[String], change: Change) -> Result<(), FleetError> {
        let Some((program, arguments)) = words.split_first() else {
            return Ok(());
        };
        let unreachable = |why: String| FleetError::Unreachable {
            address: format!("{program:?}"),
            why,
        };
        let before = change.before.map(|before| before.to_string());
        let mut child = Command::new(program)
            .args(arguments)
            .arg(change.provers.to_string())
            .env("STARKWRIGHT_PROVERS", change.provers.to_string())
            .env("STARKWRIGHT_PROVERS_BEFORE", before.unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // So that it goes with this process, or when the time is up.
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unreachable(error.to_string()))?;
        let seconds = self.settings.timeout.as_secs_f64();
        match tokio::time::timeout(self.settings.timeout, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(FleetError::Refused {
                why: format!("{program:?} ended with {status}"),
            }),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => {
                // Killed and waited for: nothing is left behind.
                let killed = child.kill().await;
                let killed = killed.map_or_else(|error| error.to_string(), |()| "killed".into());
                Err(unreachable(format!(
                    "it ran longer than {seconds} s: {killed}"
                )))
            }
        }
    }

    async fn post(&self, address: &str, change: Change) -> Result<(), FleetError> {
        // An address may hold a secret: errors name its host alone.
        let host = reqwest::Url::parse(address).ok();
        let host = host.and_then(|url| url.host_str().map(str::to_owned));
        let host = host.unwrap_or_default();
        let body = serde_json::to_vec(&change).map_err(|error| FleetError::Internal {
            why: error.to_string(),
        })?;
        let request = self
            .client
            .post(address)
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await;
        let answer = answer.map_err(|error| FleetError::Unreachable {
            address: host.clone(),
            why: error.without_url().to_string(),
        })?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(FleetError::Refused {
            why: format!("{host} answered {}", answer.status()),
        })
    }
}
