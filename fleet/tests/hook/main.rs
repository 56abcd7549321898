//! The hook: called once for each change, with the right number, and never longer than it may take.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use starkwright_fleet::FleetError;
use starkwright_fleet::hook::{Change, Hook, HookSettings, Target, Windows};

fn hook(target: Target, timeout_ms: u64, windows: Windows) -> Hook {
    let timeout = Duration::from_millis(timeout_ms);
    Hook::new(HookSettings {
        target,
        timeout,
        windows,
    })
    .unwrap()
}

fn shell(script: &str) -> Target {
    Target::Command(["sh", "-c", script].map(str::to_owned).to_vec())
}

/// Writes both forms of the number, and the one before: `sh -c` takes the first argument as its name.
fn writing(file: &Path) -> Target {
    let file = file.display();
    shell(&format!(
        "echo \"$0 $STARKWRIGHT_PROVERS $STARKWRIGHT_PROVERS_BEFORE\" >> '{file}'"
    ))
}

const AT_ONCE: Windows = Windows {
    rise_ms: 0,
    fall_ms: 0,
};

#[tokio::test]
async fn a_command_is_called_once_for_each_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls");
    let mut hook = hook(writing(&file), 10_000, AT_ONCE);
    let mut told = Vec::new();
    for (now, number) in [(0, 3), (1, 3), (2, 5), (3, 5), (4, 5), (5, 4)] {
        told.extend(hook.see(now, number).await);
    }
    let change = |provers, before| Change { provers, before };
    assert_eq!(
        told,
        [change(3, None), change(5, Some(3)), change(4, Some(5))]
    );
    let calls = std::fs::read_to_string(&file).unwrap();
    assert_eq!(calls, "3 3 \n5 5 3\n4 4 5\n");
}

#[tokio::test]
async fn a_number_that_swings_calls_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls");
    let windows = Windows {
        rise_ms: 1000,
        fall_ms: 5000,
    };
    let mut hook = hook(writing(&file), 10_000, windows);
    for now in 0..100 {
        hook.see(now * 500, 4 + (now % 2) as u32).await;
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "4 4 \n");
    for now in 100..120 {
        hook.see(now * 500, 2).await;
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "4 4 \n2 2 4\n");
}

#[tokio::test]
async fn a_command_that_hangs_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ > '{}'; exec sleep 600", file.display());
    let mut hook = hook(shell(&script), 500, AT_ONCE);
    let start = Instant::now();
    assert!(hook.see(0, 1).await.is_some());
    assert!(start.elapsed() < Duration::from_secs(30));
    let pid = std::fs::read_to_string(&file).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
    let error = hook
        .call(Change {
            provers: 1,
            before: None,
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("longer than 0.5 s"), "{error}");
}

#[tokio::test]
async fn failures_are_not_fatal() {
    let change = Change {
        provers: 2,
        before: Some(1),
    };
    let missing = Target::Command(vec!["/nowhere/no-such-program".to_owned()]);
    let mut missing = hook(missing, 1000, AT_ONCE);
    assert!(missing.see(0, 2).await.is_some());
    let error = missing.call(change).await.unwrap_err();
    assert!(matches!(error, FleetError::Unreachable { .. }), "{error}");
    let failing = hook(shell("exit 3"), 10_000, AT_ONCE);
    let error = failing.call(change).await.unwrap_err();
    assert!(error.to_string().contains('3'), "{error}");
}

type Posted = Arc<Mutex<Vec<String>>>;

async fn server() -> (String, Posted) {
    let posted = Posted::default();
    let keep = Arc::clone(&posted);
    let routes = Router::new()
        .route(
            "/ok",
            post(move |body: String| async move { keep.lock().unwrap().push(body) }),
        )
        .route("/no", post(|| async { StatusCode::FORBIDDEN }))
        .route(
            "/hangs",
            post(|| async { tokio::time::sleep(Duration::from_secs(600)).await }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (format!("http://{address}"), posted)
}

#[tokio::test]
async fn a_webhook_is_posted_to() {
    let (address, posted) = server().await;
    let at = |path: &str| hook(Target::Webhook(format!("{address}{path}")), 500, AT_ONCE);
    let mut ok = at("/ok?token=secret");
    for (now, number) in [(0, 3), (1, 3), (2, 7)] {
        ok.see(now, number).await;
    }
    assert_eq!(
        *posted.lock().unwrap(),
        [
            r#"{"provers":3,"before":null}"#,
            r#"{"provers":7,"before":3}"#
        ]
    );
    let change = Change {
        provers: 1,
        before: None,
    };
    let refused = at("/no?token=secret").call(change).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    let late = at("/hangs?token=secret").call(change).await.unwrap_err();
    assert!(matches!(late, FleetError::Unreachable { .. }));
    assert!(!refused.to_string().contains("secret") && !late.to_string().contains("secret"));
}

#[test]
fn hooks_that_are_none_are_refused() {
    let settings = |target, timeout| {
        Hook::new(HookSettings {
            target,
            timeout,
            windows: AT_ONCE,
        })
    };
    let second = Duration::from_secs(1);
    settings(Target::Command(Vec::new()), second).unwrap_err();
    settings(Target::Command(vec![String::new()]), second).unwrap_err();
    settings(Target::Webhook("ftp://host/x".to_owned()), second).unwrap_err();
    settings(Target::Webhook("host".to_owned()), second).unwrap_err();
    settings(shell("true"), Duration::ZERO).unwrap_err();
}
