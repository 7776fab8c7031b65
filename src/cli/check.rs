//! `tributary check`: every fault of the settings in one go; with `--online`, whether the store, the ports
//! and each channel's services can be reached with them. Changes nothing, sends nothing to anybody.

mod online;

use std::path::Path;

use serde_json::{Value, json};

use super::Failure;
use super::open::bad_master_key;
use crate::settings::{self, Environment, Fault, Faults, Loaded, MasterKeySource, Place};
use crate::store::{BadMasterKey, MasterKeys};

/// Checks the settings, and what they lead to if `online`.
pub(super) async fn run(config: Option<&Path>, reach: Reach, json: bool) -> Result<(), Failure> {
    let loaded = match settings::load(config, &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(faults) => return Err(told(&faults, json)),
    };
    let keys = match master_keys(&loaded) {
        Ok(keys) => keys,
        Err(bad) => return Err(told(&Faults(vec![bad_master_key(&loaded, &bad)]), json)),
    };
    let checks = match reach {
        Reach::Settings => Vec::new(),
        Reach::Services => Box::pin(online::run(&loaded, keys)).await,
    };
    let failed = checks.iter().filter(|check| check.outcome == Outcome::Failed).count();
    if json {
        println!("{}", as_json(&loaded, &checks));
    } else {
        tell(&loaded, &checks);
    }
    if failed == 0 {
        return Ok(());
    }
    Err(anyhow::anyhow!("{failed} of {} checks failed", checks.len()).into())
}

/// How far the checking goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The files and the environment only.
    Settings,
    /// Also what they lead to.
    Services,
}

/// One thing that was tried.
#[derive(Debug)]
struct Check {
    /// `store`, `http`, or the channel's key: `channels.support_mail`.
    key: String,
    /// What of it: `receive`, `send`, `listen`, `hook`.
    part: &'static str,
    outcome: Outcome,
    /// What worked, or why not.
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    Failed,
    /// It could not be tried; the detail says why.
    Skipped,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The keys, if there are any yet: this makes none.
fn master_keys(loaded: &Loaded) -> Result<Option<MasterKeys>, BadMasterKey> {
    match loaded.settings.master_keys() {
        MasterKeySource::Text(text) => MasterKeys::parse(text.reveal()).map(Some),
        MasterKeySource::File(path) => match path.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) | Err(_) => MasterKeys::load_or_make(&path).map(Some),
        },
    }
}

/// Prints the faults: as lines for people, or as one JSON object.
fn told(faults: &Faults, json: bool) -> Failure {
    if !json {
        return Failure::Config(faults.to_string());
    }
    let faults: Vec<Value> = faults.0.iter().map(fault_json).collect();
    println!("{}", json!({ "ok": false, "faults": faults }));
    Failure::Told(super::EXIT_CONFIG)
}

fn fault_json(fault: &Fault) -> Value {
    let mut shown = json!({ "key": fault.key, "reason": fault.reason });
    let place = match &fault.place {
        Place::File { path, line: 0, .. } => json!({ "file": path }),
        Place::File { path, line, column } => {
            json!({ "file": path, "line": line, "column": column })
        }
        Place::Variable(name) => json!({ "variable": name }),
        Place::Nowhere => json!({}),
    };
    if let (Some(shown), Some(place)) = (shown.as_object_mut(), place.as_object()) {
        shown.extend(place.clone());
    }
    shown
}

fn as_json(loaded: &Loaded, checks: &[Check]) -> Value {
    let channels: Vec<Value> = channel_kinds(loaded)
        .into_iter()
        .map(|(name, kind)| json!({ "name": name, "kind": kind }))
        .collect();
    let shown: Vec<Value> = checks
        .iter()
        .map(|check| {
            json!({
                "key": check.key,
                "part": check.part,
                "outcome": check.outcome.as_str(),
                "detail": check.detail,
            })
        })
        .collect();
    json!({
        "ok": checks.iter().all(|check| check.outcome != Outcome::Failed),
        "faults": [],
        "files": loaded.files,
        "warnings": loaded.settings.warnings(),
        "channels": channels,
        "articles": loaded.settings.known.articles().len(),
        "checks": shown,
    })
}

fn tell(loaded: &Loaded, checks: &[Check]) {
    if loaded.files.is_empty() {
        println!("no file: the built-in settings hold");
    }
    for file in &loaded.files {
        println!("read     {}", file.display());
    }
    for (name, kind) in channel_kinds(loaded) {
        println!("ok       channels.{name}: the settings of its kind `{kind}` hold");
    }
    let articles = loaded.settings.known.articles().len();
    if articles > 0 {
        println!("ok       faq: {articles} articles");
    }
    for warning in loaded.settings.warnings() {
        println!("warning  {warning}");
    }
    for check in checks {
        let Check { key, part, outcome, detail } = check;
        println!("{:<8} {key} {part}: {detail}", outcome.as_str());
    }
}

fn channel_kinds(loaded: &Loaded) -> Vec<(String, String)> {
    let channels = loaded.settings.channels.iter();
    channels
        .map(|(name, table)| {
            let kind = table.clone().into_table().ok().and_then(|mut keys| keys.remove("kind"));
            (name.to_string(), kind.map(|kind| kind.to_string()).unwrap_or_default())
        })
        .collect()
}
