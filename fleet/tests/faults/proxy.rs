//! A proxy between provers and the aggregator: the network's faults.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Bytes pass.
    Fair,
    /// So many bytes a second and direction.
    Slow(usize),
    /// Connections break, and new ones are refused.
    Cut,
    /// Nothing passes, and nobody is told.
    Silent,
}

/// See the module.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, seen) = watch::channel(Weather::Fair);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *seen.borrow() == Weather::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect(to).await else {
                    continue;
                };
                let ((from_near, to_near), (from_far, to_far)) =
                    (near.into_split(), far.into_split());
                // Born in silence, a connection stays silent: its peer is not there.
                let dead = *seen.borrow() == Weather::Silent;
                tokio::spawn(pass(from_near, to_far, seen.clone(), dead));
                tokio::spawn(pass(from_far, to_near, seen.clone(), dead));
            }
        });
        Self { address, weather }
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

/// Passes bytes on in one direction. A connection that was silent once stays so: what was lost does not come back.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    mut dead: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let now = *weather.borrow_and_update();
        dead |= now == Weather::Silent;
        if now == Weather::Cut {
            return;
        }
        let most = match now {
            Weather::Slow(rate) => (rate / 20).clamp(1, buffer.len()),
            _ => buffer.len(),
        };
        let read = tokio::select! {
            read = from.read(&mut buffer[..most]) => read,
            changed = weather.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok(read @ 1..) = read else {
            return;
        };
        if dead {
            continue;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        if let Weather::Slow(rate) = now {
            tokio::time::sleep(Duration::from_secs_f64(read as f64 / rate as f64)).await;
        }
    }
}
