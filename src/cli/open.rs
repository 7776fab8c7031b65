//! Settings → store → channels: what every command begins with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Failure;
use crate::channel::shared::sign::{SignedLinks, Signer};
use crate::channel::{Channel, Site, Vault};
use crate::desk::Triage;
use crate::engine::{Clock, EngineSettings, Scanner, Webhook, Without};
use crate::model::{Cause, Secret};
use crate::settings::{
    self, Environment, Fault, Loaded, MasterKeySource, Place, ScanSection, Settings, WhenDown,
};
use crate::store::{Access, BadMasterKey, MasterKeys, Store};

/// Checked settings with an open store.
pub(super) struct Installation {
    pub(super) loaded: Loaded,
    pub(super) store: Store,
    pub(super) site: Site,
}

/// Reads the settings; every fault at once.
pub(super) fn load(config: Option<&Path>) -> Result<Loaded, Failure> {
    settings::load(config, &Environment::of_process())
        .map_err(|faults| Failure::Config(faults.to_string()))
}

impl Installation {
    /// Opens the store, and brings its schema up to date unless the settings say otherwise.
    pub(super) async fn open(config: Option<&Path>, access: Access) -> Result<Self, Failure> {
        let loaded = load(config)?;
        Self::of(loaded, access).await
    }

    pub(super) async fn of(loaded: Loaded, access: Access) -> Result<Self, Failure> {
        let keys = master_keys(&loaded)?;
        let signer = Signer::new(keys.derive("tributary:tokens"));
        let store = Store::open(&loaded.settings.store_settings(), keys, access).await?;
        if loaded.settings.scan.clamd.is_some() {
            store.scan_first();
        }
        guard(&store, &loaded)?;
        // Without an address that the world knows, customers answer in words and digits alone.
        if loaded.settings.http.public_url.is_some() {
            let (base, signer) = (loaded.settings.public_url(), signer.clone());
            store.link_answers(Arc::new(SignedLinks { base, signer }));
        }
        if loaded.settings.store.auto_migrate {
            store.migrate().await?;
        } else if store.pending_migrations().await? > 0 {
            return Err(anyhow::anyhow!(
                "the store's schema is older than this program: run `tributary migrate` \
                 (store.auto_migrate is off)"
            )
            .into());
        }
        let site = Site {
            public_url: loaded.settings.public_url(),
            signer,
            vault: Arc::new(StoreVault(store.clone())),
        };
        Ok(Self { loaded, store, site })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Limits and times of the engine's loops.
    pub(super) fn engine_settings(&self) -> Result<EngineSettings, Failure> {
        let scanner = scanner(&self.settings().scan);
        let triage = Arc::new(self.triage()?);
        let callbacks = Arc::new(self.settings().callbacks.policy());
        let known = self.settings().known.clone();
        let notifications = Arc::new(self.settings().notify_settings());
        Ok(EngineSettings {
            scanner,
            callbacks,
            triage,
            known,
            notifications,
            ..EngineSettings::usual()
        })
    }

    /// The rules.
    pub(super) fn triage(&self) -> Result<Triage, Failure> {
        self.loaded.build_triage().map_err(|faults| Failure::Config(faults.to_string()))
    }

    /// All outgoing webhooks.
    pub(super) fn webhooks(&self) -> Result<Vec<Webhook>, Failure> {
        self.loaded.build_webhooks().map_err(|faults| Failure::Config(faults.to_string()))
    }

    /// All channels; every fault of every channel at once.
    pub(super) fn channels(&self) -> Result<Vec<Channel>, Failure> {
        self.loaded.build_channels(&self.site).map_err(|faults| Failure::Config(faults.to_string()))
    }
}

/// Tells the store what is masked in what comes in.
pub(super) fn guard(store: &Store, loaded: &Loaded) -> Result<(), Failure> {
    let safety = loaded.settings.safety.safety().map_err(|(number, reason)| {
        Failure::Config(loaded.fault(&format!("safety.allow[{number}]"), reason).to_string())
    })?;
    store.guard(safety);
    Ok(())
}

/// The virus scanner, if the settings name one.
pub(super) fn scanner(scan: &ScanSection) -> Option<Scanner> {
    Some(Scanner {
        address: scan.clamd.clone()?,
        time_max: Duration::from_secs(scan.seconds_max),
        without: match scan.when_down {
            WhenDown::Hold => Without::Hold,
            WhenDown::Allow => Without::Allow,
        },
    })
}

/// The keys that seal what is kept, made at the first start.
pub(super) fn master_keys(loaded: &Loaded) -> Result<MasterKeys, Failure> {
    let keys = match loaded.settings.master_keys() {
        MasterKeySource::Text(text) => MasterKeys::parse(text.reveal()),
        MasterKeySource::File(path) => MasterKeys::load_or_make(&path),
    };
    keys.map_err(|bad| Failure::Config(bad_master_key(loaded, &bad).to_string()))
}

/// Where the key is at fault: in the settings, or in the file of our own beside the database.
pub(super) fn bad_master_key(loaded: &Loaded, bad: &BadMasterKey) -> Fault {
    let (key, reason) = ("store.master_key", bad.to_string());
    match loaded.settings.master_keys() {
        MasterKeySource::Text(_) => loaded.fault(key, reason),
        MasterKeySource::File(_) => Fault { place: Place::Nowhere, key: key.to_owned(), reason },
    }
}

/// What adapters keep, in the store.
pub(super) struct StoreVault(pub(super) Store);

#[async_trait]
impl Vault for StoreVault {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Cause> {
        Ok(self.0.vault_get(name).await?)
    }

    async fn put(&self, name: &str, value: Secret) -> Result<(), Cause> {
        Ok(self.0.vault_put(name, &value, Clock::system().now()).await?)
    }
}
