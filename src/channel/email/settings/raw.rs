//! The tables as they stand in TOML, each key optional until it is checked.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{Grant, Mechanism, OAuth, Start};
use crate::channel::shared::tls::TlsMode;
use crate::model::Secret;

/// A list, or one text with commas between: an environment variable can give only a text.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Words(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a list of texts")]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let words = match Form::deserialize(deserializer)? {
            Form::List(words) => words,
            Form::Text(text) => text.split(',').map(str::to_owned).collect(),
        };
        let trimmed = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
        Ok(Self(trimmed.map(str::to_owned).collect()))
    }
}

/// `[channels.<name>]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMail {
    /// The address that customers write to and that replies come from.
    pub(super) address: String,
    /// The name shown beside it.
    pub(super) name: Option<String>,
    /// Further addresses of our own.
    #[serde(default)]
    pub(super) aliases: Words,
    /// Access tokens for both directions.
    pub(super) oauth: Option<RawOAuth>,
}

/// `[channels.<name>.receive]` with `protocol = "imap"`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawImap {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) tls: Option<TlsMode>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) server_name: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) oauth: Option<RawOAuth>,
    #[serde(default)]
    pub(super) folders: Words,
    pub(super) after: Option<String>,
    pub(super) move_to: Option<String>,
    pub(super) mark_as: Option<String>,
    pub(super) start: Option<Start>,
    pub(super) poll_seconds: Option<u64>,
    pub(super) idle_seconds: Option<u64>,
    pub(super) timeout_seconds: Option<u64>,
    pub(super) mail_bytes_max: Option<u64>,
    pub(super) batch_max: Option<u32>,
    #[serde(default)]
    pub(super) trusted_authserv: Words,
}

/// `[channels.<name>.receive]` with `protocol = "lmtp"`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLmtp {
    pub(super) listen: Option<String>,
    pub(super) size_max: Option<u64>,
    pub(super) verify: Option<bool>,
    #[serde(default)]
    pub(super) trusted_authserv: Words,
}

/// `[channels.<name>.receive]` with `protocol = "pipe"`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPipe {
    #[serde(default)]
    pub(super) trusted_authserv: Words,
}

/// `[channels.<name>.send]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSend {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) tls: Option<TlsMode>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) server_name: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) oauth: Option<RawOAuth>,
    pub(super) auth: Option<Mechanism>,
    pub(super) from: Option<String>,
    pub(super) agent_name: Option<String>,
    pub(super) signature: Option<String>,
    pub(super) rate_per_minute: Option<u32>,
    pub(super) connections_max: Option<u16>,
    pub(super) dkim: Option<RawDkim>,
    pub(super) save_to_sent: Option<String>,
    pub(super) subject_tag: Option<bool>,
    pub(super) plus_address: Option<bool>,
    pub(super) timeout_seconds: Option<u64>,
}

/// `[channels.<name>.send.dkim]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDkim {
    pub(super) domain: String,
    pub(super) selector: String,
    pub(super) key: Option<Secret>,
    pub(super) key_file: Option<PathBuf>,
}

/// `[channels.<name>.oauth]`, or within one of the two parts
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOAuth {
    provider: Provider,
    grant: Option<GrantWord>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    refresh_token: Option<Secret>,
    service_account: Option<Secret>,
    subject: Option<String>,
    tenant: Option<String>,
    scope: Option<String>,
    token_url: Option<String>,
    authorize_url: Option<String>,
    device_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Provider {
    Google,
    Microsoft,
    Custom,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GrantWord {
    RefreshToken,
    ClientCredentials,
    ServiceAccount,
}

/// A key and what is wrong with it.
type Problem = (&'static str, String);

/// Checks an `oauth` table and fills in what the provider's name says.
pub(super) fn oauth(raw: &RawOAuth, vault_name: String, mailbox: &str) -> Result<OAuth, Problem> {
    let word = raw.grant.unwrap_or(GrantWord::RefreshToken);
    let missing = |key: &'static str| (key, format!("is missing: {word:?} needs it"));
    let grant = match word {
        GrantWord::RefreshToken => Grant::RefreshToken(raw.refresh_token.clone()),
        GrantWord::ClientCredentials => {
            raw.client_secret.as_ref().ok_or_else(|| missing("client_secret"))?;
            Grant::ClientCredentials
        }
        GrantWord::ServiceAccount => Grant::ServiceAccount {
            key: raw.service_account.clone().ok_or_else(|| missing("service_account"))?,
            subject: raw.subject.clone().unwrap_or_else(|| mailbox.to_owned()),
        },
    };
    let client_id = match (&raw.client_id, word) {
        (Some(id), _) => id.clone(),
        (None, GrantWord::ServiceAccount) => String::new(),
        (None, GrantWord::RefreshToken | GrantWord::ClientCredentials) => {
            return Err(missing("client_id"));
        }
    };
    let defaults = defaults(raw, word);
    Ok(OAuth {
        vault_name,
        client_id,
        client_secret: raw.client_secret.clone(),
        grant,
        scope: raw
            .scope
            .clone()
            .or(defaults.scope)
            .ok_or_else(|| ("scope", "is missing: provider = \"custom\" needs it".to_owned()))?,
        token_url: url("token_url", raw.token_url.as_ref(), defaults.token)?.ok_or_else(|| {
            ("token_url", "is missing: provider = \"custom\" needs it".to_owned())
        })?,
        authorize_url: url("authorize_url", raw.authorize_url.as_ref(), defaults.authorize)?,
        device_url: url("device_url", raw.device_url.as_ref(), defaults.device)?,
    })
}

/// What follows from the provider's name.
struct Defaults {
    scope: Option<String>,
    token: Option<String>,
    authorize: Option<String>,
    device: Option<String>,
}

fn defaults(raw: &RawOAuth, word: GrantWord) -> Defaults {
    match raw.provider {
        Provider::Custom => Defaults { scope: None, token: None, authorize: None, device: None },
        Provider::Google => Defaults {
            scope: Some("https://mail.google.com/".to_owned()),
            token: Some("https://oauth2.googleapis.com/token".to_owned()),
            authorize: Some("https://accounts.google.com/o/oauth2/v2/auth".to_owned()),
            device: None,
        },
        Provider::Microsoft => {
            let tenant = raw.tenant.as_deref().unwrap_or("common");
            let base = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0");
            let scope = match word {
                GrantWord::ClientCredentials => "https://outlook.office365.com/.default",
                GrantWord::RefreshToken | GrantWord::ServiceAccount => {
                    "https://outlook.office.com/IMAP.AccessAsUser.All \
                     https://outlook.office.com/SMTP.Send offline_access"
                }
            };
            Defaults {
                scope: Some(scope.to_owned()),
                token: Some(format!("{base}/token")),
                authorize: Some(format!("{base}/authorize")),
                device: Some(format!("{base}/devicecode")),
            }
        }
    }
}

/// An address to which secrets are sent: encrypted, or on this machine.
fn url(
    key: &'static str,
    given: Option<&String>,
    default: Option<String>,
) -> Result<Option<Url>, Problem> {
    let Some(text) = given.cloned().or(default) else { return Ok(None) };
    let url = Url::parse(&text).map_err(|error| (key, format!("`{text}`: {error}")))?;
    let local = url.host_str().is_some_and(crate::channel::shared::tls::is_loopback);
    if url.scheme() == "https" || (url.scheme() == "http" && local) {
        Ok(Some(url))
    } else {
        Err((key, "must begin with https://".to_owned()))
    }
}
