//! Access tokens for mail servers: asked for in time, once at a time, with what a person agreed to.
//!
//! Knows the token endpoints of Google and Microsoft only through the settings. A refresh token that the
//! provider replaced is durable in the vault before the access token that came with it is used: whoever
//! loses it has to ask a person again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::settings::{Grant, OAuth};
use crate::channel::Vault;
use crate::model::{Cause, ChannelName, Secret};

mod endpoint;
mod jwt;
mod login;
mod sign_in;

pub use login::login;
pub(super) use sign_in::sign_ins;

pub use crate::channel::{Prompt, Way};

/// A token is replaced this long before it ends, or after half its life if that is shorter.
const MARGIN: Duration = Duration::from_secs(300);
/// What is assumed when the provider does not say how long a token lives.
const LIFE: Duration = Duration::from_secs(3600);
/// Gauge: seconds until the channel's access token ends.
pub const EXPIRES_METRIC: &str = "tributary_token_expires_seconds";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Ask again after a while.
    #[error("the token endpoint cannot answer now")]
    Retry {
        /// What happened.
        #[source]
        cause: Cause,
        /// The provider asked for this pause.
        after: Option<Duration>,
    },
    /// A human has to agree again, or to correct the settings.
    #[error("the provider gives no token until a human acts")]
    Account(#[source] Cause),
}

impl TokenError {
    /// `None`: a human has to act. `Some`: again, after the pause that the provider asked for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Option<Duration>> {
        match self {
            Self::Retry { after, .. } => Some(*after),
            Self::Account(_) => None,
        }
    }

    fn retry(cause: impl Into<Cause>) -> Self {
        Self::Retry { cause: cause.into(), after: None }
    }

    fn account(cause: impl Into<Cause>) -> Self {
        Self::Account(cause.into())
    }
}

/// What a refusal of a token by the mail server means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It worked before: a fresh one may work again.
    Again,
    /// A fresh one was refused: wrong scope, mailbox or right.
    Human,
}

/// The tokens of one login.
pub struct TokenSource {
    channel: ChannelName,
    settings: OAuth,
    vault: Arc<dyn Vault>,
    http: OnceLock<reqwest::Client>,
    /// Held while asking, so that many who need a token ask once.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    access: Option<Access>,
    /// A refresh token that could not be stored yet. It is the only copy.
    unsaved: Option<Secret>,
}

struct Access {
    token: Secret,
    ends: Instant,
    refresh: Instant,
    /// The mail server took it at least once.
    worked: bool,
}

/// What the vault keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    token: String,
    /// Which token of the settings it came from: when an admin changes that one, it wins.
    given: String,
}

impl TokenSource {
    /// Asks for nothing yet.
    #[must_use]
    pub fn new(channel: ChannelName, settings: OAuth, vault: Arc<dyn Vault>) -> Self {
        Self { channel, settings, vault, http: OnceLock::new(), state: Mutex::default() }
    }

    /// A token that is good for some minutes at least.
    pub async fn access(&self) -> Result<Secret, TokenError> {
        let mut state = self.state.lock().await;
        if let Some(unsaved) = state.unsaved.clone() {
            self.keep(&unsaved).await?;
            state.unsaved = None;
        }
        if let Some(access) = &state.access
            && Instant::now() < access.refresh
        {
            self.note(access);
            return Ok(access.token.clone());
        }
        state.access = None;
        let answer = self.ask().await?;
        if let Some(rotated) = answer.refresh_token {
            state.unsaved = Some(rotated.clone());
            self.keep(&rotated).await?;
            state.unsaved = None;
        }
        let life = answer.life.unwrap_or(LIFE);
        let now = Instant::now();
        let access = Access {
            token: answer.access_token,
            ends: now + life,
            refresh: now + life.saturating_sub(MARGIN.min(life / 2)),
            worked: false,
        };
        self.note(&access);
        let token = access.token.clone();
        state.access = Some(access);
        Ok(token)
    }

    /// The mail server took this token.
    pub async fn accepted(&self, token: &Secret) {
        if let Some(access) = &mut self.state.lock().await.access
            && access.token == *token
        {
            access.worked = true;
        }
    }

    /// The mail server refused this token: it is forgotten, the next call asks for another.
    pub async fn rejected(&self, token: &Secret) -> Rejected {
        let mut state = self.state.lock().await;
        match &state.access {
            Some(access) if access.token == *token => {
                let worked = access.worked;
                state.access = None;
                if worked { Rejected::Again } else { Rejected::Human }
            }
            Some(_) | None => Rejected::Again,
        }
    }

    /// Brings the gauge up to date.
    pub fn observe(&self) {
        if let Ok(state) = self.state.try_lock()
            && let Some(access) = &state.access
        {
            self.note(access);
        }
    }

    fn note(&self, access: &Access) {
        let left = access.ends.saturating_duration_since(Instant::now());
        metrics::gauge!(EXPIRES_METRIC, "channel" => self.channel.to_string())
            .set(left.as_secs_f64());
    }

    async fn ask(&self) -> Result<endpoint::Answer, TokenError> {
        let secret = self.settings.client_secret.as_ref();
        let mut form = vec![("scope", self.settings.scope.clone())];
        match &self.settings.grant {
            Grant::RefreshToken(given) => {
                let token = self.refresh_token(given.as_ref()).await?;
                form.push(("grant_type", "refresh_token".to_owned()));
                form.push(("refresh_token", token.reveal().to_owned()));
                form.push(("client_id", self.settings.client_id.clone()));
                form.extend(secret.map(|secret| ("client_secret", secret.reveal().to_owned())));
            }
            Grant::ClientCredentials => {
                form.push(("grant_type", "client_credentials".to_owned()));
                form.push(("client_id", self.settings.client_id.clone()));
                form.extend(secret.map(|secret| ("client_secret", secret.reveal().to_owned())));
            }
            Grant::ServiceAccount { key, subject } => {
                let url = self.settings.token_url.as_str();
                let assertion = jwt::assertion(key, subject, &self.settings.scope, url)
                    .map_err(TokenError::account)?;
                form = vec![
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()),
                    ("assertion", assertion),
                ];
            }
        }
        endpoint::ask(self.http()?, &self.settings.token_url, &form).await
    }

    /// The one in the vault, unless the one in the settings was changed since it came there.
    async fn refresh_token(&self, given: Option<&Secret>) -> Result<Secret, TokenError> {
        let name = &self.settings.vault_name;
        let kept = self.vault.get(name).await.map_err(TokenError::retry)?;
        let kept: Option<Kept> = kept.and_then(|kept| serde_json::from_str(kept.reveal()).ok());
        match (kept, given) {
            (Some(kept), None) => Ok(Secret::new(kept.token)),
            (Some(kept), Some(given)) if kept.given == fingerprint(Some(given)) => {
                Ok(Secret::new(kept.token))
            }
            (_, Some(given)) => Ok(given.clone()),
            (None, None) => Err(TokenError::account(format!(
                "nobody has agreed yet: run `tributary channel login {}`",
                self.channel
            ))),
        }
    }

    /// Durable when it returns.
    async fn keep(&self, token: &Secret) -> Result<(), TokenError> {
        let given = match &self.settings.grant {
            Grant::RefreshToken(given) => given.as_ref(),
            Grant::ClientCredentials | Grant::ServiceAccount { .. } => return Ok(()),
        };
        keep(&*self.vault, &self.settings.vault_name, token, given).await
    }

    fn http(&self) -> Result<&reqwest::Client, TokenError> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let client = endpoint::client().map_err(TokenError::account)?;
        Ok(self.http.get_or_init(|| client))
    }
}

async fn keep(
    vault: &dyn Vault,
    name: &str,
    token: &Secret,
    given: Option<&Secret>,
) -> Result<(), TokenError> {
    let kept = Kept { token: token.reveal().to_owned(), given: fingerprint(given) };
    let text = serde_json::to_string(&kept).map_err(TokenError::retry)?;
    vault.put(name, Secret::new(text)).await.map_err(TokenError::retry)
}

fn fingerprint(token: Option<&Secret>) -> String {
    token.map_or_else(String::new, |token| {
        data_encoding::HEXLOWER.encode(&Sha256::digest(token.reveal().as_bytes()))
    })
}

/// What `AUTHENTICATE XOAUTH2` and `AUTH XOAUTH2` send, before base64.
#[must_use]
pub fn xoauth2(mailbox: &str, token: &Secret) -> Secret {
    Secret::new(format!("user={mailbox}\x01auth=Bearer {}\x01\x01", token.reveal()))
}
