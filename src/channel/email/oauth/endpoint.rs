//! One question to a token endpoint (RFC 6749, 5) and what its answer means.

use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::TokenError;
use crate::model::Secret;

/// No answer of a token endpoint is larger.
const BODY_BYTES_MAX: usize = 256 << 10;
/// Longest text of a provider that is kept, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// A token.
pub(super) struct Answer {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) life: Option<Duration>,
}

#[derive(Deserialize)]
struct Success {
    access_token: Secret,
    refresh_token: Option<Secret>,
    expires_in: Option<Number>,
}

/// Some endpoints write numbers as texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Text(String),
}

/// An error answer.
#[derive(Deserialize, Default)]
pub(super) struct Failure {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    error_description: String,
}

/// What came back: an HTTP status, and a body that is not too long.
pub(super) struct Reply {
    pub(super) status: u16,
    after: Option<Duration>,
    body: Vec<u8>,
}

/// A client that follows no redirect: nobody else should get our secrets.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Asks for a token.
pub(super) async fn ask(
    client: &reqwest::Client,
    url: &Url,
    form: &[(&str, String)],
) -> Result<Answer, TokenError> {
    let reply = post(client, url, form).await?;
    if !(200..300).contains(&reply.status) {
        return Err(reply.refusal());
    }
    reply.token()
}

/// Posts a form; any answer is fine.
pub(super) async fn post(
    client: &reqwest::Client,
    url: &Url,
    form: &[(&str, String)],
) -> Result<Reply, TokenError> {
    let request = client.post(url.clone()).header("accept", "application/json").form(form);
    let mut response =
        request.send().await.map_err(|error| TokenError::retry(error.without_url()))?;
    let after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| TokenError::retry(error.without_url()))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_BYTES_MAX {
            return Err(TokenError::retry("the token endpoint's answer is too long"));
        }
    }
    Ok(Reply { status, after, body })
}

impl Reply {
    /// The body as JSON.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, TokenError> {
        // The parser's own words could quote a token.
        serde_json::from_slice(&self.body)
            .map_err(|_| TokenError::retry("the token endpoint's answer is not readable"))
    }

    /// The token in a good answer.
    pub(super) fn token(&self) -> Result<Answer, TokenError> {
        let success: Success = self.json()?;
        let life = match success.expires_in {
            Some(Number::Whole(seconds)) => Some(seconds),
            Some(Number::Text(text)) => text.trim().parse().ok(),
            None => None,
        };
        Ok(Answer {
            access_token: success.access_token,
            refresh_token: success.refresh_token,
            life: life.map(Duration::from_secs),
        })
    }

    /// The error in a bad answer.
    pub(super) fn failure(&self) -> Failure {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What a bad answer means.
    pub(super) fn refusal(&self) -> TokenError {
        let failure = self.failure();
        let text: String = format!("{} {}", failure.error, failure.error_description)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(TEXT_CHARS_MAX)
            .collect();
        let cause = format!("the token endpoint answered {}: {}", self.status, text.trim());
        let passes = matches!(failure.error.as_str(), "temporarily_unavailable" | "server_error");
        if passes || matches!(self.status, 408 | 425 | 429 | 500..) {
            TokenError::Retry { cause: cause.into(), after: self.after }
        } else {
            TokenError::account(cause)
        }
    }
}
