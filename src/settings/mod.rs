//! The settings: built-in defaults ← file ← `conf.d/*.toml` ← environment, checked as a whole.
//!
//! Only `cli` imports this module; every other module is handed its own part by value. It is also the
//! only one that looks at the environment. Every fault is reported, all in one go, each with its place.

mod callbacks;
mod check;
mod environment;
mod faq;
mod fault;
mod layer;
mod load;
mod notify;
mod paths;
mod schema;
mod secret;
mod sections;
mod sso;
mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use callbacks::CallbackSection;
pub use environment::Environment;
pub use faq::{Answering, FaqSection};
pub use fault::{Fault, Faults, Place};
pub use load::{Loaded, load};
pub use notify::{NotificationSection, NotifySection};
pub use schema::schema;
pub use sections::{
    ConsoleSection, HttpSection, Network, SafetySection, ScanSection, StoreSection, WhenDown,
};
pub use sso::SsoSection;
pub use webhook::WebhookSection;

use crate::channel::Table;
use crate::desk::TriageSettings;
use crate::desk::faq::Matcher;
use crate::desk::notify::NotifySettings;
use crate::model::{ChannelName, Secret};
use crate::store::StoreSettings;
use crate::telemetry::LogSettings;
use crate::web::SsoSettings;

/// The lowest layer: every key with its default.
pub const DEFAULTS: &str = include_str!("../../config/tributary.toml");

/// Checked settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where what is kept lives.
    pub state_dir: PathBuf,
    /// `[store]`; relative paths in it are resolved.
    pub store: StoreSection,
    /// `[http]`.
    pub http: HttpSection,
    /// `[log]`.
    pub log: LogSettings,
    /// `[console]`.
    pub console: ConsoleSection,
    /// `[sso.<name>]`.
    pub sso: BTreeMap<String, SsoSection>,
    /// `[scan]`.
    pub scan: ScanSection,
    /// `[safety]`.
    pub safety: SafetySection,
    /// `[callbacks]`.
    pub callbacks: CallbackSection,
    /// `[notifications]`.
    pub notifications: NotificationSection,
    /// `[[notify]]`.
    pub notify: Vec<NotifySection>,
    /// `[[rules]]`, `[calendars.<name>]`, `[[agents]]`; they compile without a fault.
    pub triage: TriageSettings,
    /// The articles of `[faq]`, each read without a flaw.
    pub known: Arc<Matcher>,
    /// `[channels.<name>]`, secrets put in; each builds without a fault.
    pub channels: BTreeMap<ChannelName, Table>,
    /// `[webhooks.<name>]` by the name of the lane, `webhook_<name>`; each builds without a fault.
    pub webhooks: BTreeMap<ChannelName, WebhookSection>,
}

impl Settings {
    /// How to reach the database.
    #[must_use]
    pub fn store_settings(&self) -> StoreSettings {
        StoreSettings { url: self.store.url.reveal().to_owned(), readers: self.store.readers }
    }

    /// Where the master keys come from.
    #[must_use]
    pub fn master_keys(&self) -> MasterKeySource {
        match &self.store.master_key {
            Some(text) => MasterKeySource::Text(text.clone()),
            None => MasterKeySource::File(self.state_dir.join("master.key")),
        }
    }

    /// What the world calls us, without a slash at the end.
    #[must_use]
    pub fn public_url(&self) -> String {
        match &self.http.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", self.http.listen),
        }
    }

    /// The identity providers by which people sign in.
    #[must_use]
    pub fn sso(&self) -> Vec<SsoSettings> {
        self.sso.iter().map(|(name, section)| section.settings(name)).collect()
    }

    /// How people who work here are told of what happens.
    #[must_use]
    pub fn notify_settings(&self) -> NotifySettings {
        notify::settings(&self.notifications, &self.notify, self.public_url())
    }

    /// The sections that differ from `other` and that a reload cannot bring into force.
    #[must_use]
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let differing = [
            ("state_dir", self.state_dir != other.state_dir),
            ("store", self.store != other.store),
            ("http", self.http != other.http),
            ("log", self.log != other.log),
            ("console", self.console != other.console),
            ("sso", self.sso != other.sso),
            ("scan", self.scan != other.scan),
            ("callbacks", self.callbacks != other.callbacks),
            ("notifications", self.notifications != other.notifications),
            ("notify", self.notify != other.notify),
        ];
        differing.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// What is not wrong, but probably not wanted.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let open = !self.http.listen.ip().is_loopback();
        let encrypted =
            self.http.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        if open && (!encrypted || self.http.trusted_proxies.is_empty()) {
            warnings.push(format!(
                "http.listen: {} can be reached from other machines without encryption; listen on \
                 127.0.0.1 behind a proxy that does TLS, or set http.public_url to its https:// \
                 address and http.trusted_proxies to the proxy",
                self.http.listen
            ));
        }
        warnings
    }
}

/// Where the master keys come from.
#[derive(Debug, Clone)]
pub enum MasterKeySource {
    /// They were given.
    Text(Secret),
    /// A key file of our own, made at the first start.
    File(PathBuf),
}
