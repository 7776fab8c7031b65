//! Accepts connections for channels that own a port; limits how many and how long.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::hook::EngineIntake;
use super::supervisor::{Backoff, chain};
use super::{Engine, Part, Running, State};
use crate::channel::{Listen, Stream};

/// One connection, from greeting to end.
const CONNECTION_MAX: Duration = Duration::from_secs(3600);

enum Port {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Port {
    async fn bind(address: &str) -> std::io::Result<Self> {
        let Some(path) = address.strip_prefix("unix:") else {
            return Ok(Self::Tcp(TcpListener::bind(address).await?));
        };
        // What an earlier run left; a file of another sort is not ours to remove.
        if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(Self::Unix(listener))
    }

    async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

impl Engine {
    /// Listens until the channel is stopped; a port that cannot be had is tried again.
    pub(super) async fn run_listen(self: Arc<Self>, running: Arc<Running>) {
        let Some(listen) = running.channel.listen.clone() else { return };
        let name = &running.channel.name;
        let mut backoff = Backoff::new(Duration::from_secs(30));
        while !running.stop.is_cancelled() {
            // Housekeeping asks again; a store that cannot answer refuses the mail anyway.
            if let Err(error) = self.obey_pauses().await {
                tracing::debug!(channel = %name, error = %error, "whether it is paused is not known");
            }
            match Port::bind(listen.address()).await {
                Ok(port) => {
                    self.health.success(name, Part::Listen, self.clock.now());
                    let accept = self.clone().accept_all(running.clone(), listen.clone(), port);
                    running.stop.run_until_cancelled(accept).await;
                }
                Err(error) => {
                    let wait = backoff.next(Duration::ZERO, None);
                    let now = self.clock.now();
                    let text = format!("{} cannot be listened on: {error}", listen.address());
                    tracing::error!(channel = %name, error = text, "{name} cannot listen");
                    let state = State::BackingOff { until: now + wait };
                    self.health.set(name, Part::Listen, state, Some(text), now);
                    running.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                }
            }
        }
        self.health.set(name, Part::Listen, State::Off, None, self.clock.now());
    }

    async fn accept_all(
        self: Arc<Self>,
        running: Arc<Running>,
        listen: Arc<dyn Listen>,
        port: Port,
    ) {
        let places = Arc::new(Semaphore::new(self.settings.connections_max));
        let mut paused = running.paused.subscribe();
        loop {
            if paused.wait_for(|paused| !*paused).await.is_err() {
                return;
            }
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                biased;
                _ = paused.wait_for(|paused| *paused) => continue,
                accepted = port.accept() => accepted,
            };
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: do not spin.
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            let (engine, running, listen) = (self.clone(), running.clone(), listen.clone());
            let tracker = running.tasks.clone();
            tracker.spawn(async move {
                let _place = place;
                engine.serve_one(&running, &*listen, stream).await;
            });
        }
    }

    async fn serve_one(
        self: Arc<Self>,
        running: &Running,
        listen: &dyn Listen,
        stream: Box<dyn Stream>,
    ) {
        let channel = running.channel.name.clone();
        let paused = running.paused.subscribe();
        let intake = EngineIntake { engine: self.clone(), channel: channel.clone(), paused };
        let served = tokio::time::timeout(CONNECTION_MAX, listen.serve(stream, &intake));
        match running.stop.run_until_cancelled(served).await {
            Some(Ok(Ok(()))) => self.health.success(&channel, Part::Listen, self.clock.now()),
            Some(Ok(Err(error))) => {
                tracing::debug!(%channel, error = chain(&error), "a connection ended badly");
            }
            Some(Err(_)) => tracing::debug!(%channel, "a connection took too long"),
            None => {}
        }
    }
}
