//! Reads all layers, puts the secrets in, checks everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use config::{Map, Value, ValueKind};

use super::check::{self, Found};
use super::faq::{self, FaqSection};
use super::fault::{Fault, Faults, Place};
use super::layer::{Layer, Layers, parent};
use super::secret::Reference;
use super::sections::Sections;
use super::webhook::{self, WebhookSection};
use super::{DEFAULTS, Environment, Settings, notify, paths};
use crate::channel::shared::sign::Signer;
use crate::channel::{self, BadChannel, Channel, KINDS, Site, Vault};
use crate::desk::faq::Matcher;
use crate::desk::{Triage, TriageSettings};
use crate::engine::Webhook;
use crate::model::{Cause, ChannelName, Secret};
use crate::telemetry::LogFormat;

/// Where the settings file is looked for if none is named.
const FILES: [&str; 2] = ["/etc/tributary/tributary.toml", "config/tributary.toml"];

/// The channels that there are if no file names one: (name, kind, what is switched on).
const DEFAULT_CHANNELS: [(&str, &str, &[&str]); 2] =
    [("api", "api", &[]), ("web", "webchat", &["demo", "callback"])];

/// Settings without a fault, and where they came from.
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    layers: Layers,
}

impl Loaded {
    /// A fault that shows only when the value is used, at the place where it was written.
    #[must_use]
    pub fn fault(&self, key: &str, reason: String) -> Fault {
        Fault { place: self.layers.place(key), key: key.to_owned(), reason }
    }

    /// Builds every outgoing webhook for real.
    pub fn build_webhooks(&self) -> Result<Vec<Webhook>, Faults> {
        let built = self.settings.webhooks.iter().map(|(lane, section)| {
            section.build(lane.clone()).map_err(|found| {
                let name = lane.as_str().strip_prefix(webhook::PREFIX).unwrap_or_default();
                Faults::of(vec![place(&self.layers, &format!("webhooks.{name}"), found)])
            })
        });
        built.collect()
    }

    /// Compiles the rules for real.
    pub fn build_triage(&self) -> Result<Triage, Faults> {
        let channels = self.settings.channels.keys().map(ToString::to_string).collect();
        Triage::read(&self.settings.triage, &channels).map_err(|faults| {
            let found = |(path, reason)| place(&self.layers, "", Found { path, reason });
            Faults::of(faults.into_iter().map(found).collect())
        })
    }

    /// Builds every channel for real.
    pub fn build_channels(&self, site: &Site) -> Result<Vec<Channel>, Faults> {
        let mut channels = Vec::new();
        let mut faults = Vec::new();
        for (name, table) in &self.settings.channels {
            match channel::build(name.clone(), table.clone(), site) {
                Ok(channel) => channels.push(channel),
                Err(bad) => {
                    let found = found(bad);
                    faults.push(place(&self.layers, &format!("channels.{name}"), found));
                }
            }
        }
        if faults.is_empty() { Ok(channels) } else { Err(Faults::of(faults)) }
    }
}

/// Reads and checks everything; connects to nothing. `file`: the one that was named, if one was.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, Faults> {
    let (texts, mut faults) = read_files(file);
    let (defaults, _) = Layer::from_toml(Path::new("built-in"), DEFAULTS);
    let mut layers = vec![defaults];
    for (path, text) in &texts {
        let (layer, broken) = Layer::from_toml(path, text);
        layers.push(layer);
        faults.extend(broken);
    }
    layers.push(Layer::from_variables(&environment.variables));
    let layers = Layers(layers);
    let merged = layers.merged().map_err(|error| {
        let reason = error.to_string();
        Faults(vec![Fault { place: Place::Nowhere, key: String::new(), reason }])
    })?;
    let mut loading = Loading { layers: &layers, environment, faults, secrets: Vec::new() };
    let settings = loading.settings(merged);
    let Loading { faults, secrets, .. } = loading;
    let files = texts.into_iter().map(|(path, _)| path).collect();
    match settings {
        Some(settings) if faults.is_empty() => Ok(Loaded { settings, files, layers }),
        _ => Err(Faults::of(faults.into_iter().map(|fault| masked(fault, &secrets)).collect())),
    }
}

/// The file and those in `conf.d` beside it, in order.
fn read_files(named: Option<&Path>) -> (Vec<(PathBuf, String)>, Vec<Fault>) {
    let main = match named {
        Some(path) => Some(path.to_owned()),
        None => FILES.iter().map(PathBuf::from).find(|path| path.exists()),
    };
    let Some(main) = main else { return (Vec::new(), Vec::new()) };
    let folder = main.parent().unwrap_or_else(|| Path::new("")).join("conf.d");
    let mut paths = vec![main];
    let mut faults = Vec::new();
    let mut fail = |path: &Path, error: &std::io::Error| {
        faults.push(Fault {
            place: Place::File { path: path.to_owned(), line: 0, column: 0 },
            key: String::new(),
            reason: format!("cannot be read: {error}"),
        });
    };
    match fs::read_dir(&folder) {
        Ok(entries) => {
            let mut found: Vec<PathBuf> = entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
                .collect();
            found.sort();
            paths.extend(found);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => fail(&folder, &error),
    }
    let mut texts = Vec::new();
    for path in paths {
        match fs::read_to_string(&path) {
            Ok(text) => texts.push((path, text)),
            Err(error) => fail(&path, &error),
        }
    }
    (texts, faults)
}

struct Loading<'a> {
    layers: &'a Layers,
    environment: &'a Environment,
    faults: Vec<Fault>,
    /// Every secret that was met: no fault may show one.
    secrets: Vec<Secret>,
}

impl Loading<'_> {
    fn settings(&mut self, merged: Map<String, Value>) -> Option<Settings> {
        let mut root: Value = merged.into();
        let mut unresolved = Vec::new();
        self.resolve(&mut root, "", &mut unresolved);
        let mut root = root.into_table().ok()?;
        let channels = root.remove("channels");
        let webhooks = root.remove("webhooks");
        let names = names(channels.as_ref());
        let channels = self.channels(channels, &unresolved);
        let webhooks = self.webhooks(webhooks, &channels, &unresolved);
        let triage = self.triage(&mut root, &names);
        let sections = self.sections(root.into(), &unresolved)?;
        self.misnamed(&sections, &channels, &webhooks);
        let state_dir = paths::state_dir(sections.state_dir.as_deref(), self.environment);
        let url = paths::store_url(sections.store.url.reveal(), &state_dir, self.environment);
        let mut store = sections.store;
        store.url = Secret::new(url);
        let known = self.known_answers(&sections.faq);
        let Sections {
            http,
            mut log,
            console,
            sso,
            scan,
            safety,
            callbacks,
            notifications,
            notify,
            ..
        } = sections;
        if log.format == LogFormat::Auto && self.environment.journal {
            log.format = LogFormat::Journald;
        }
        let triage = triage?;
        Some(Settings {
            state_dir,
            store,
            http,
            log,
            console,
            sso: sso.unwrap_or_default(),
            scan,
            safety,
            callbacks,
            notifications,
            notify,
            triage,
            known: Arc::new(known),
            channels,
            webhooks,
        })
    }

    /// Channels and webhooks that are named by what tells people, and are not there.
    fn misnamed(
        &mut self,
        sections: &Sections,
        channels: &BTreeMap<ChannelName, Value>,
        webhooks: &BTreeMap<ChannelName, WebhookSection>,
    ) {
        let site = checking_site();
        let build = |name: &ChannelName, table: &Value| {
            channel::build(name.clone(), table.clone(), &site).ok()
        };
        let lanes = webhooks.keys().cloned().collect();
        let (section, rules) = (&sections.notifications, &sections.notify);
        let found = notify::misnamed(section, rules, channels, (&lanes, build)).into_iter();
        self.faults.extend(found.map(|found| place(self.layers, "", found)));
    }

    /// The articles of `[faq]`, as far as they can be read.
    fn known_answers(&mut self, section: &FaqSection) -> Matcher {
        let Some(dir) = &section.dir else { return Matcher::default() };
        let place = self.layers.place("faq.dir");
        let dir = match &place {
            Place::File { path, .. } => path.parent().unwrap_or_else(|| Path::new("")).join(dir),
            Place::Variable(_) | Place::Nowhere => dir.clone(),
        };
        let (articles, faults) = faq::read(&dir, &place);
        self.faults.extend(faults);
        Matcher::new(articles).answering(section.policy())
    }

    /// Puts the secrets in. A failure leaves something harmless in place and is noted.
    fn resolve(&mut self, value: &mut Value, path: &str, unresolved: &mut Vec<String>) {
        if let Some(reference) = Reference::unfold(value) {
            match reference.resolve(self.environment) {
                Ok(secret) => {
                    *value = Value::new(None, secret.reveal());
                    self.secrets.push(secret);
                }
                Err(reason) => {
                    self.note(path.to_owned(), reason);
                    unresolved.push(path.to_owned());
                    *value = Value::new(None, "placeholder");
                }
            }
            return;
        }
        if let ValueKind::Table(table) = &mut value.kind {
            for (key, inner) in table {
                let path = join(path, key);
                self.resolve(inner, &path, unresolved);
            }
        } else if let ValueKind::Array(list) = &mut value.kind {
            for (at, inner) in list.iter_mut().enumerate() {
                self.resolve(inner, &format!("{path}[{at}]"), unresolved);
            }
        } else if is_secret_key(path)
            && let ValueKind::String(text) = &value.kind
        {
            self.secrets.push(Secret::new(text.as_str()));
        }
    }

    fn sections(&mut self, root: Value, unresolved: &[String]) -> Option<Sections> {
        let bad = within("", unresolved);
        let read = |value: Value| {
            let sections: Sections = channel::read(value)
                .map_err(|(path, problem)| Found { path, reason: problem.to_string() })?;
            check_sections(&sections)?;
            Ok(sections)
        };
        match check::read_all(root, &bad, |key| self.layers.default_of(key), read) {
            Ok(sections) => Some(sections),
            Err(found) => {
                self.faults.extend(found.into_iter().map(|found| place(self.layers, "", found)));
                None
            }
        }
    }

    /// What becomes of messages: read apart, and compiled, so that every fault of it is found.
    fn triage(
        &mut self,
        root: &mut Map<String, Value>,
        channels: &BTreeSet<String>,
    ) -> Option<TriageSettings> {
        let keys = TriageSettings::KEYS.iter();
        let table: Map<String, Value> =
            keys.filter_map(|key| Some(((*key).to_owned(), root.remove(*key)?))).collect();
        let read = |value: Value| {
            channel::read::<TriageSettings>(value)
                .map_err(|(path, problem)| Found { path, reason: problem.to_string() })
        };
        let found =
            match check::read_all(table.into(), &[], |key| self.layers.default_of(key), read) {
                Ok(settings) => match Triage::read(&settings, channels) {
                    Ok(_) => return Some(settings),
                    Err(faults) => {
                        let found = |(path, reason)| Found { path, reason };
                        faults.into_iter().map(found).collect()
                    }
                },
                Err(found) => found,
            };
        self.faults.extend(found.into_iter().map(|found| place(self.layers, "", found)));
        None
    }

    /// By the names of their lanes, which are those of no channel.
    fn webhooks(
        &mut self,
        given: Option<Value>,
        channels: &BTreeMap<ChannelName, Value>,
        unresolved: &[String],
    ) -> BTreeMap<ChannelName, WebhookSection> {
        let given = match given.map(|value| value.kind) {
            None | Some(ValueKind::Nil) => return BTreeMap::new(),
            Some(ValueKind::Table(table)) => table,
            Some(_) => {
                self.note("webhooks".to_owned(), "expected a table".to_owned());
                return BTreeMap::new();
            }
        };
        let mut webhooks = BTreeMap::new();
        for (name, table) in given {
            let key = format!("webhooks.{name}");
            let lane = match webhook::lane(&name) {
                Ok(lane) => lane,
                Err(reason) => {
                    self.note(key, reason);
                    continue;
                }
            };
            if channels.contains_key(&lane) {
                let reason =
                    format!("its lane would be called {lane}, like the channel: rename one");
                self.note(key.clone(), reason);
            }
            let bad = within(&format!("{key}."), unresolved);
            let read = |value: Value| {
                channel::read::<WebhookSection>(value)
                    .map_err(|(path, problem)| Found { path, reason: problem.to_string() })
            };
            let found = match check::read_all(table, &bad, |_| None, read) {
                Ok(section) => {
                    let faults = section.faults();
                    webhooks.insert(lane, section);
                    faults
                }
                Err(found) => found,
            };
            self.faults.extend(found.into_iter().map(|found| place(self.layers, &key, found)));
        }
        webhooks
    }

    fn channels(
        &mut self,
        given: Option<Value>,
        unresolved: &[String],
    ) -> BTreeMap<ChannelName, Value> {
        let given = match given.map(|value| value.kind) {
            None | Some(ValueKind::Nil) => return default_channels(),
            Some(ValueKind::Table(table)) if table.is_empty() => return default_channels(),
            Some(ValueKind::Table(table)) => table,
            Some(_) => {
                self.note("channels".to_owned(), "expected a table".to_owned());
                return BTreeMap::new();
            }
        };
        let site = checking_site();
        let mut channels = BTreeMap::new();
        for (name, table) in given {
            let key = format!("channels.{name}");
            let name: ChannelName = match name.parse() {
                Ok(name) => name,
                Err(bad) => {
                    self.note(key, bad.to_string());
                    continue;
                }
            };
            let bad = within(&format!("{key}."), unresolved);
            let read = |value: Value| {
                channel::build(name.clone(), value.clone(), &site).map(|_| value).map_err(found)
            };
            match check::read_all(table, &bad, |_| None, read) {
                Ok(table) => {
                    channels.insert(name.clone(), table);
                }
                Err(found) => {
                    let faults = found.into_iter().map(|found| place(self.layers, &key, found));
                    self.faults.extend(faults);
                }
            }
        }
        channels
    }

    fn note(&mut self, key: String, reason: String) {
        self.faults.push(place(self.layers, "", Found { path: key, reason }));
    }
}

/// What no type can say.
fn check_sections(sections: &Sections) -> Result<(), Found> {
    let fault = |path: &str, reason: String| Err(Found { path: path.to_owned(), reason });
    let url = sections.store.url.reveal();
    if !["sqlite:", "postgres://", "postgresql://"].iter().any(|start| url.starts_with(start)) {
        return fault("store.url", "expected sqlite://path or postgres://…".to_owned());
    }
    if !(1..=64).contains(&sections.store.readers) {
        return fault("store.readers", "must be from 1 to 64".to_owned());
    }
    sections.callbacks.check()?;
    sections.faq.check()?;
    sections.notifications.check()?;
    for (at, rule) in sections.notify.iter().enumerate() {
        rule.check(at)?;
    }
    for (name, provider) in sections.sso.iter().flatten() {
        provider.check(name)?;
    }
    if !(1..=600).contains(&sections.scan.seconds_max) {
        return fault("scan.seconds_max", "must be from 1 to 600".to_owned());
    }
    if sections.safety.keep_days > 3650 {
        return fault("safety.keep_days", "must be 3650 at most".to_owned());
    }
    if let Err((number, reason)) = sections.safety.safety() {
        return fault(&format!("safety.allow[{number}]"), reason);
    }
    if let Some(given) = &sections.scan.clamd {
        let port = |at: &str| {
            at.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            })
        };
        let path = |at: &str| at.strip_prefix("unix:").is_some_and(|path| path.starts_with('/'));
        if !path(given) && !port(given) {
            let reason = "expected unix:/path/to/socket or host:port".to_owned();
            return fault("scan.clamd", reason);
        }
    }
    if let Some(given) = &sections.http.public_url {
        let url = url::Url::parse(given).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if url.is_none() {
            let reason = "expected an address like https://support.example.com".to_owned();
            return fault("http.public_url", reason);
        }
    }
    Ok(())
}

/// The names of the channels, also of those that have faults.
fn names(given: Option<&Value>) -> BTreeSet<String> {
    match given.map(|value| &value.kind) {
        Some(ValueKind::Table(table)) if !table.is_empty() => table.keys().cloned().collect(),
        _ => DEFAULT_CHANNELS.iter().map(|(name, ..)| (*name).to_owned()).collect(),
    }
}

/// The paths below `prefix`, without it.
fn within(prefix: &str, paths: &[String]) -> Vec<String> {
    paths
        .iter()
        .filter(|path| !prefix.is_empty() || !is_apart(path))
        .filter_map(|path| path.strip_prefix(prefix))
        .map(str::to_owned)
        .collect()
}

/// Is it in a table whose names the admin chooses? Those are read apart.
fn is_apart(path: &str) -> bool {
    path.starts_with("channels.") || path.starts_with("webhooks.")
}

/// The channels of an installation without settings, as far as their kinds exist.
fn default_channels() -> BTreeMap<ChannelName, Value> {
    DEFAULT_CHANNELS
        .into_iter()
        .filter(|(_, kind, _)| KINDS.iter().any(|known| known.name == *kind))
        .filter_map(|(name, kind, on)| {
            let mut table: Map<String, Value> =
                on.iter().map(|key| ((*key).to_owned(), Value::new(None, true))).collect();
            table.insert("kind".to_owned(), Value::new(None, kind));
            Some((name.parse().ok()?, table.into()))
        })
        .collect()
}

fn found(bad: BadChannel) -> Found {
    let (path, reason) = match bad {
        BadChannel::NoKind(_, known) => {
            ("kind".to_owned(), format!("missing; it is one of {known}"))
        }
        BadChannel::UnknownKind { kind, known, .. } => {
            let words: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            let reason = match channel::nearest(&kind, &words) {
                Some(near) => format!("there is no such kind; did you mean `{near}`?"),
                None => format!("there is no such kind; it is one of {known}"),
            };
            ("kind".to_owned(), reason)
        }
        BadChannel::Setting { path, problem, .. } => (path, problem),
    };
    Found { path, reason }
}

fn place(layers: &Layers, prefix: &str, found: Found) -> Fault {
    let key = join(prefix, &found.path);
    Fault { place: layers.place(&key), key, reason: found.reason }
}

fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}

/// Is what stands here a secret by its name?
fn is_secret_key(path: &str) -> bool {
    let name = match path.rfind('.') {
        Some(_) => path.rsplit('.').next().unwrap_or(path),
        None => parent(path).unwrap_or(path),
    };
    ["password", "secret", "token", "key"].iter().any(|word| name.contains(word))
}

/// The last net: whatever a kind wrote into its reason, no secret leaves.
fn masked(mut fault: Fault, secrets: &[Secret]) -> Fault {
    for secret in secrets {
        // Shorter ones would cut ordinary words to pieces and are no secrets anyway.
        if secret.reveal().len() >= 4 {
            fault.reason = fault.reason.replace(secret.reveal(), "***");
        }
    }
    fault
}

/// What channels are handed while they are only checked.
fn checking_site() -> Site {
    Site {
        public_url: "https://check.invalid".to_owned(),
        signer: Signer::new(vec![[0; 32]]),
        vault: Arc::new(NoVault),
    }
}

/// Building makes no connection and keeps nothing, so nobody asks it.
struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Err("nothing is kept while settings are only checked".into())
    }
}
