//! `tributary channel login`: a person agrees, once, that we may use the account of a channel.
//!
//! Works on the store itself: the running daemon takes the new token at its next try.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::open::Installation;
use super::{Failure, remote};
use crate::channel::{self, Prompt, Way};
use crate::model::ChannelName;
use crate::store::Access;

/// Channels.
#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// Through the running daemon.
    #[command(flatten)]
    Daemon(remote::ChannelCommand),
    /// Agree that the channel's account may be used: opens no browser, shows an address.
    Login {
        /// Its name.
        channel: ChannelName,
        /// With a short code on another device, for machines without a browser.
        #[arg(long)]
        device: bool,
        /// How long to wait for you.
        #[arg(long, default_value_t = 15)]
        minutes: u64,
    },
    /// Show the secrets of a channel that stand in no file, to hand them to the system behind it.
    Secret {
        /// Its name.
        channel: ChannelName,
    },
}

/// Goes through everything that the channel wants agreed to.
pub(super) async fn run(
    config: Option<&Path>,
    name: &ChannelName,
    (way, minutes): (Way, u64),
    json: bool,
) -> Result<(), Failure> {
    let installation = Installation::open(config, Access::Beside).await?;
    let Some(table) = installation.settings().channels.get(name) else {
        return Err(Failure::Usage(format!("there is no channel {name} in the configuration")));
    };
    let wanted =
        channel::sign_ins(name, table.clone()).map_err(|bad| Failure::Config(bad.to_string()))?;
    if wanted.is_empty() {
        return Err(Failure::Usage(format!(
            "{name} has nothing that a person could agree to: there is no `oauth` with \
             grant = \"refresh_token\" in its settings"
        )));
    }
    let limit = Duration::from_secs(minutes.saturating_mul(60));
    let mut done = Vec::new();
    for one in &wanted {
        let part = one.part();
        eprintln!("{name}, to {part}:");
        let agreed = one.sign_in(&*installation.site.vault, way, limit, &|prompt| show(&prompt));
        agreed.await.map_err(|cause| {
            anyhow::Error::from_boxed(cause).context(format!("{name} could not sign in to {part}"))
        })?;
        done.push(part.to_owned());
    }
    installation.store.close().await?;
    if json {
        println!("{}", json!({ "channel": name, "parts": done }));
    } else {
        println!("{name} is signed in to {}", done.join(", "));
    }
    Ok(())
}

/// To standard error: what is printed on standard output is the result.
fn show(prompt: &Prompt) {
    match prompt {
        Prompt::Open(url) => {
            eprintln!("open this address in a browser on this machine:\n\n  {url}\n");
        }
        Prompt::Enter { url, code } => eprintln!("open {url} and type in the code  {code}\n"),
    }
}
