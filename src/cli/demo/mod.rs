//! `tributary demo`: a week of a wallet's support desk, made up, in a store of its own, with the daemon on it.
//!
//! What customers say goes the whole way (journal, interpreter, tickets), at times in the past; what agents do
//! goes through the same calls as the HTTP API. Channels keep how they read and what they can do; every part that
//! would use a network is taken out of them, also when the settings are read again.

mod plan;
mod play;
mod post;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rust_embed::RustEmbed;

use super::Failure;
use super::open::Installation;
use super::run::serve;
use crate::channel::{Accepted, Channel, Deliver, DeliverError, Download, DownloadError, GoesAs};
use crate::engine::Clock;
use crate::model::{MediaRef, Outbound, RemoteId};
use crate::settings::{self, Environment};
use crate::store::Access;
use crate::telemetry;

const SETTINGS: &str = include_str!("settings.toml");
/// In the folder of a demo: its settings.
const SETTINGS_FILE: &str = "demo.toml";
/// In the folder of a demo: the week is over.
const PLAYED_FILE: &str = "played";

/// The known answers to begin with.
#[derive(RustEmbed)]
#[folder = "config/faq/"]
struct Articles;

/// How a demo is to be.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// Folder to keep it in: made if it is missing, gone on with if a demo is in it. Without it, a new one that is
    /// removed at the end.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Address and port to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Another number is another week.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// Plays the week unless it was, and runs until it is asked to stop.
pub(super) async fn run(arguments: DemoArguments) -> Result<(), Failure> {
    let (folder, passing) = match &arguments.dir {
        Some(folder) => (folder.clone(), false),
        None => {
            let name = format!("tributary-demo-{:016x}", rand::random::<u64>());
            (std::env::temp_dir().join(name), true)
        }
    };
    let ran = run_in(&folder, &arguments).await;
    if passing && let Err(error) = std::fs::remove_dir_all(&folder) {
        eprintln!("tributary: {} stays: {error}", folder.display());
    }
    ran
}

async fn run_in(folder: &Path, arguments: &DemoArguments) -> Result<(), Failure> {
    // Before a week is played for nothing.
    let free = TcpListener::bind(arguments.listen);
    drop(free.map_err(|error| anyhow::anyhow!("--listen {}: {error}", arguments.listen))?);
    let file = prepare(folder, arguments.listen)?;
    // Variables that point a real daemon at its store must not reach this one.
    let loaded = settings::load(Some(&file), &Environment::default())
        .map_err(|faults| Failure::Config(faults.to_string()))?;
    telemetry::start(&loaded.settings.log)?;
    let installation = Box::pin(Installation::of(loaded, Access::Daemon)).await?;
    let played = folder.join(PLAYED_FILE);
    if !played.exists() {
        println!("a week passes at the support desk …");
        let now = Clock::system().now();
        let tickets = Box::pin(play::play(&installation, arguments.seed, now)).await?;
        std::fs::write(&played, format!("seed {}\n", arguments.seed))?;
        println!("{tickets} tickets; nothing of it is real, and nothing is sent to anybody");
    }
    let chat = format!("http://{}/chat/web/demo", arguments.listen);
    println!("write to it as a customer: {chat}");
    serve(&installation, Some(&file), offline).await
}

/// The folder with the settings in it. A folder that holds anything else is left alone.
fn prepare(folder: &Path, listen: SocketAddr) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join(SETTINGS_FILE);
    let is_empty = std::fs::read_dir(folder)?.next().is_none();
    if !is_empty && !file.exists() {
        let text = format!("{} holds something that is no demo", folder.display());
        return Err(Failure::Usage(text));
    }
    if !is_empty && !folder.join(PLAYED_FILE).exists() {
        let text = format!("the demo in {} was not played to its end: remove it", folder.display());
        return Err(Failure::Usage(text));
    }
    let articles = folder.join("faq");
    std::fs::create_dir_all(&articles)?;
    for name in Articles::iter() {
        if let Some(article) = Articles::get(&name) {
            std::fs::write(articles.join(&*name), article.data)?;
        }
    }
    let state = std::path::absolute(folder)?.display().to_string();
    let secret = format!("{:032x}", rand::random::<u128>());
    let text = SETTINGS
        .replace("\"STATE\"", &toml::Value::String(state).to_string())
        .replace("LISTEN", &listen.to_string())
        .replace("SECRET", &secret);
    std::fs::write(&file, text)?;
    Ok(file)
}

/// The same channel without a network: it asks nobody, nobody can push to it, and what it sends is only noted.
/// A web chat stays as it is, since its visitors come to our own server.
fn offline(channel: Channel) -> Channel {
    if channel.chat.is_some() {
        return channel;
    }
    let goes_as = channel.deliver.as_ref().map(|deliver| deliver.goes_as());
    let deliver = goes_as.map(|goes_as| Arc::new(Drawer { goes_as }) as Arc<dyn Deliver>);
    // Of all that customers sent, voicemails alone are files.
    let download = channel.download.as_ref().map(|_| Arc::new(Silence) as Arc<dyn Download>);
    Channel { pull: None, hook: None, listen: None, download, deliver, ..channel }
}

/// Nobody spoke: some seconds of it, as MP3.
struct Silence;

#[async_trait]
impl Download for Silence {
    async fn download(&self, _: &MediaRef) -> Result<Bytes, DownloadError> {
        // A frame of MPEG-1, layer 3, 128 kbit/s, 44.1 kHz in which all is zero: 26 milliseconds.
        let head = [0xff, 0xfb, 0x90, 0x64].into_iter();
        let frame: Vec<u8> = head.chain(std::iter::repeat_n(0, 413)).collect();
        Ok(frame.repeat(14 * 38).into())
    }
}

/// Takes every delivery and hands it to nobody.
struct Drawer {
    goes_as: GoesAs,
}

#[async_trait]
impl Deliver for Drawer {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let remote_id = RemoteId::new(format!("demo:{}", outbound.delivery));
        Ok(Accepted { remote_id, warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        Ok(())
    }

    fn goes_as(&self) -> GoesAs {
        self.goes_as
    }
}

#[cfg(test)]
mod tests;
