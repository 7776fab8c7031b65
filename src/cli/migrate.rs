//! `tributary migrate`: brings the store's schema up to date, and does nothing else.

use std::path::Path;

use serde_json::json;

use super::Failure;
use super::open::{load, master_keys};
use crate::store::{Access, Store};

/// Runs the missing steps. Several nodes may do it at once: one does, the others wait.
pub(super) async fn run(config: Option<&Path>, json: bool) -> Result<(), Failure> {
    let loaded = load(config)?;
    let keys = master_keys(&loaded)?;
    let store = Store::open(&loaded.settings.store_settings(), keys, Access::Beside).await?;
    let steps = store.pending_migrations().await?;
    store.migrate().await?;
    store.close().await?;
    if json {
        println!("{}", json!({ "steps": steps }));
    } else if steps == 0 {
        println!("the schema is up to date");
    } else {
        println!("the schema went {steps} steps forward and is up to date");
    }
    Ok(())
}
