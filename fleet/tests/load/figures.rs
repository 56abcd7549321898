//! What was measured: how long things took, and how long the disk takes.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Durations, from many at a time.
#[derive(Default)]
pub(crate) struct Times(Mutex<Vec<Duration>>);

impl Times {
    pub(crate) fn note(&self, time: Duration) {
        self.0.lock().unwrap().push(time);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Median, 99th percentile and longest, in milliseconds.
    pub(crate) fn line(&self) -> String {
        let mut times = self.0.lock().unwrap().clone();
        times.sort();
        let at = |part: f64| {
            let rank = (times.len() as f64 * part).ceil() as usize;
            let time = times.get(rank.saturating_sub(1)).copied();
            time.unwrap_or_default().as_secs_f64() * 1e3
        };
        format!(
            "p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms ({} times)",
            at(0.5),
            at(0.99),
            at(1.0),
            times.len()
        )
    }
}

/// Times of writing 4 KiB and syncing them, measured until told to stop.
pub(crate) struct Disk {
    stop: Arc<AtomicBool>,
    measuring: JoinHandle<Times>,
}

impl Disk {
    /// A few hundred in a row, with nothing beside them.
    pub(crate) fn alone(folder: &Path) -> Times {
        let (times, mut file) = (Times::default(), tempfile::tempfile_in(folder).unwrap());
        (0..300).for_each(|_| times.note(sync(&mut file)));
        times
    }

    /// A few a second, beside whatever goes on.
    pub(crate) fn start(folder: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, folder): (_, PathBuf) = (Arc::clone(&stop), folder.to_owned());
        let measuring = std::thread::spawn(move || {
            let (times, mut file) = (Times::default(), tempfile::tempfile_in(folder).unwrap());
            while !told.load(Ordering::Relaxed) {
                times.note(sync(&mut file));
                std::thread::sleep(Duration::from_millis(200));
            }
            times
        });
        Self { stop, measuring }
    }

    pub(crate) fn end(self) -> Times {
        self.stop.store(true, Ordering::Relaxed);
        self.measuring.join().unwrap()
    }
}

fn sync(file: &mut File) -> Duration {
    let start = Instant::now();
    file.rewind().unwrap();
    file.write_all(&[7; 4096]).unwrap();
    file.sync_data().unwrap();
    start.elapsed()
}
