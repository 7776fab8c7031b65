//! `tributary channel secret`: what a channel without a secret in its settings was given, for the people of the
//! system behind it. Works on the key file itself, so only who may read that is told.

use std::path::Path;

use serde_json::{Map, Value};

use super::Failure;
use super::open::Installation;
use crate::channel;
use crate::model::ChannelName;
use crate::store::Access;

/// Prints them, one a line.
pub(super) async fn run(
    config: Option<&Path>,
    name: &ChannelName,
    json: bool,
) -> Result<(), Failure> {
    let installation = Installation::open(config, Access::Beside).await?;
    let Some(table) = installation.settings().channels.get(name) else {
        return Err(Failure::Usage(format!("there is no channel {name} in the configuration")));
    };
    let made = channel::made_credentials(name, table.clone(), &installation.site)
        .map_err(|bad| Failure::Config(bad.to_string()))?;
    if made.is_empty() {
        return Err(Failure::Usage(format!(
            "{name} was given no secret by us: look into its settings, or at the service's side"
        )));
    }
    if json {
        let secrets: Map<String, Value> = made
            .iter()
            .map(|(what, secret)| ((*what).to_owned(), secret.reveal().into()))
            .collect();
        println!("{}", Value::Object(secrets));
    } else {
        for (what, secret) in &made {
            println!("{what}: {}", secret.reveal());
        }
    }
    Ok(installation.store.close().await?)
}
