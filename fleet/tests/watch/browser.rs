//! The page in a browser: Chromium without a window, at the width of a phone and of a desk.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::fleet::file;
use super::support::toy::Vice;
use super::{HOSTILE, Seen, a_second};

/// The browser's name; none, said aloud, where there is none.
fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.into_iter().find(|name| {
        let mut asked = Command::new(name);
        asked.arg("--version").stdout(Stdio::null());
        asked.stderr(Stdio::null()).status().is_ok()
    });
    if found.is_none() {
        println!("missing: chromium: apt-get install chromium, to test the page in a browser");
    }
    found
}

/// Runs the browser on an address, and returns what it printed.
fn browse(browser: &str, url: &str, folder: &Path, wanted: &[String]) -> String {
    let output = folder.join("printed");
    let mut running = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .args([
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--virtual-time-budget=6000",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .args(wanted)
        .arg(url)
        .stdout(std::fs::File::create(&output).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while running.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            running.kill().unwrap();
            panic!("the browser did not end");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::read_to_string(output).unwrap()
}

/// Width and height of a PNG.
fn size(path: &Path) -> (u32, u32) {
    let bytes = std::fs::read(path).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_draws_the_page_and_runs_nobodys_names() {
    let Some(browser) = chromium() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::start().await;
    let path = file(folder.path(), "input", 1000);
    let done = seen.fleet.submit(&path, 100).await;
    let prover = seen.prover("p", HOSTILE, Vice::None);
    seen.done(done).await;
    prover.finish().await.unwrap();
    // One to be drawn, one to be counted by level.
    seen.fleet.submit(&path, 50).await;
    seen.fleet.submit(&path, 3).await;
    a_second().await;
    let url = seen.url("/#still");
    let (place, address) = (folder.path().to_owned(), url.clone());
    let dom = tokio::task::spawn_blocking(move || {
        browse(browser, &address, &place, &["--dump-dom".to_owned()])
    });
    let dom = dom.await.unwrap();
    assert!(!dom.contains("data-error"), "{dom}");
    assert!(dom.contains("data-drawn=\"yes\""), "{dom}");
    // The device's name is there as text, and no element came of it.
    assert!(dom.contains("&lt;img src=x"), "{dom}");
    assert!(
        !dom.contains("<img") && dom.matches("<script").count() == 1,
        "{dom}"
    );
    assert!(
        dom.contains("class=\"tree\"") && dom.contains("class=\"levels\""),
        "{dom}"
    );
    assert!(dom.contains("0 of 40 tasks proven"), "{dom}");
    assert!(dom.contains("class=\"curve\""), "{dom}");
    for (width, height) in [(390, 844), (1280, 900)] {
        let picture = folder.path().join(format!("{width}.png"));
        let wanted = [
            format!("--window-size={width},{height}"),
            format!("--screenshot={}", picture.display()),
        ];
        let (place, address) = (folder.path().to_owned(), url.clone());
        let drawing =
            tokio::task::spawn_blocking(move || browse(browser, &address, &place, &wanted));
        drawing.await.unwrap();
        assert_eq!(size(&picture), (width, height));
    }
    seen.stop().await;
}
