//! The sections of the settings file, apart from the channels: one struct each.
//!
//! No struct has defaults: those are in `config/tributary.toml`, which is the lowest layer. What is
//! optional here may be left out there as well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use regex::RegexBuilder;
use schemars::JsonSchema;
use serde::Deserialize;

use super::callbacks::CallbackSection;
use super::faq::FaqSection;
use super::notify::{NotificationSection, NotifySection};
use super::sso::SsoSection;
use crate::desk::{Advice, Safety, Scanner, SecretSort};
use crate::model::Secret;
use crate::telemetry::LogSettings;

/// Everything but the channels, as it stands in the file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sections {
    /// Where what is kept lives, if not in `$STATE_DIRECTORY` or `./var`.
    pub(super) state_dir: Option<PathBuf>,
    /// The database.
    pub(super) store: StoreSection,
    /// The HTTP server.
    pub(super) http: HttpSection,
    /// What is logged, and how.
    pub(super) log: LogSettings,
    /// The console for agents in the browser.
    pub(super) console: ConsoleSection,
    /// Identity providers by which people sign in, each under its own name.
    pub(super) sso: Option<BTreeMap<String, SsoSection>>,
    /// The virus scanner.
    pub(super) scan: ScanSection,
    /// What customers should never have sent.
    pub(super) safety: SafetySection,
    /// When and how customers are called back.
    pub(super) callbacks: CallbackSection,
    /// How people who work here are told of what happens.
    pub(super) notifications: NotificationSection,
    /// Who is told of what, beside those who chose it for themselves.
    pub(super) notify: Vec<NotifySection>,
    /// Known answers.
    pub(super) faq: FaqSection,
}

/// `[store]`: the database.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// `sqlite://path` or `postgres://user:password@host/database`.
    pub url: Secret,
    /// Connections for reading; writing has its own.
    #[schemars(range(min = 1, max = 64))]
    pub readers: u32,
    /// Does `tributary run` bring the schema up to date by itself?
    pub auto_migrate: bool,
    /// The keys that seal what is kept: base64 of 32 bytes, one a line, the current one first.
    pub master_key: Option<Secret>,
}

/// `[http]`: the HTTP server.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    /// Address and port to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// What the world calls us. Default: `http://` and `listen`.
    pub public_url: Option<String>,
    /// Addresses or networks whose `X-Forwarded-For` is believed.
    #[schemars(with = "Vec<String>")]
    pub trusted_proxies: Vec<Network>,
}

/// `[console]`: the console for agents in the browser.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleSection {
    /// Is it served?
    pub enabled: bool,
}

/// `[scan]`: the virus scanner that sees every file before anybody gets it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanSection {
    /// Where a `clamd` (ClamAV) listens: `unix:/run/clamav/clamd.ctl` or `host:port`. Absent: no file is scanned.
    pub clamd: Option<String>,
    /// What becomes of files that it cannot look at.
    pub when_down: WhenDown,
    /// Seconds that one file may take.
    #[schemars(range(min = 1, max = 600))]
    pub seconds_max: u64,
}

/// What becomes of files that the virus scanner cannot look at: it is down, or they are too large for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenDown {
    /// Nobody gets them until it can.
    Hold,
    /// They are given out.
    Allow,
}

/// `[safety]`: what customers should never have sent, and what they are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SafetySection {
    /// What is masked in messages that come in.
    #[schemars(with = "Vec<String>")]
    pub mask: BTreeSet<SecretSort>,
    /// Regular expressions: what one of them matches as a whole or in part is no secret.
    pub allow: Vec<String>,
    /// Days that originals are kept, sealed.
    #[schemars(range(min = 0, max = 3650))]
    pub keep_days: u32,
    /// Is the customer told at once what to do?
    pub answer: bool,
    /// What they are told, by language.
    pub answers: BTreeMap<String, Advice>,
}

impl SafetySection {
    /// What the store is to do about secrets. `Err`: which expression cannot be read, and why.
    pub fn safety(&self) -> Result<Safety, (usize, String)> {
        let read = |(number, text): (usize, &String)| {
            let built = RegexBuilder::new(text).size_limit(1 << 20).build();
            built.map_err(|error| (number, error.to_string()))
        };
        let allow = self.allow.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Safety {
            scanner: Scanner::new(self.mask.clone(), allow),
            answers: if self.answer { self.answers.clone() } else { BTreeMap::new() },
            keep: chrono::Duration::days(i64::from(self.keep_days)),
        })
    }
}

/// An address, or all addresses that begin with the same bits: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// How many bits count.
    pub bits: u8,
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = || "expected an IP address, or a network like 10.0.0.0/8".to_owned();
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.as_str(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| expected())?,
            None => all,
        };
        if bits > all { Err(expected()) } else { Ok(Self { address, bits }) }
    }
}
