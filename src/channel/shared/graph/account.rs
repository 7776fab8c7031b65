//! Calls to the Graph API in the name of one account, and what their answers mean.

use std::time::Duration;

use http::HeaderName;
use serde_json::Value;
use url::Url;

use crate::channel::DeliverError;
use crate::channel::shared::codes::{Codes, Follows};
use crate::channel::shared::http::{
    Answer, Call, Credentials, Http, HttpError, after, below, delivered,
};
use crate::channel::shared::look;
use crate::channel::shared::sign::{hex, hmac_sha256};
use crate::model::{Reach, Secret};

/// How much of what an account may do was done.
const USAGE: HeaderName = HeaderName::from_static("x-business-use-case-usage");

/// An account at the service.
pub struct Graph {
    /// The client that may call it.
    pub http: Http,
    /// Where it is.
    pub api: Url,
    /// Which version is spoken: `v25.0`.
    pub version: String,
    /// The account's token.
    pub token: Secret,
    /// The secret of the app to which the token belongs: calls prove that they come from the app, which it
    /// may insist on.
    pub app_secret: Secret,
    /// What its errors mean.
    pub codes: Codes,
}

impl Graph {
    /// An address of the service, with the proof that the token is in the right hands.
    #[must_use]
    pub fn url(&self, steps: &[&str]) -> Url {
        let mut path = vec![self.version.as_str()];
        path.extend(steps);
        let mut url = below(&self.api, &path);
        let (secret, token) = (self.app_secret.reveal(), self.token.reveal());
        let proof = hex(&hmac_sha256(secret.as_bytes(), token.as_bytes()));
        url.query_pairs_mut().append_pair("appsecret_proof", &proof);
        url
    }

    /// One call that hands over a value. 2xx with an error in it is the error.
    pub async fn post(&self, steps: &[&str], body: &Value) -> Result<Answer, HttpError> {
        self.send(Call::post(self.url(steps), body.to_string().into(), "application/json")).await
    }

    /// Asks for some fields of something.
    pub async fn fields(&self, steps: &[&str], fields: &str) -> Result<Answer, DeliverError> {
        let mut url = self.url(steps);
        url.query_pairs_mut().append_pair("fields", fields);
        self.accepted(self.send(Call::get(url)).await)
    }

    /// One call in the name of the account.
    pub async fn send(&self, call: Call) -> Result<Answer, HttpError> {
        self.http.send(call.credentials(Credentials::Bearer(self.token.clone()))).await
    }

    /// What became of a call: the answer, if the service did what it was asked for.
    pub fn accepted(&self, result: Result<Answer, HttpError>) -> Result<Answer, DeliverError> {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => return delivered(Err(error)),
        };
        // An error may stand in an answer of any status.
        let told = answer.json::<Value>().ok();
        if let Some(error) = told.as_ref().and_then(|told| told.get("error")) {
            return Err(self.refused(error, &answer));
        }
        delivered(Ok(answer))
    }

    /// What an error of the service means, by its code.
    fn refused(&self, error: &Value, answer: &Answer) -> DeliverError {
        let code = code_of(answer);
        let words = ["/error_data/details", "/message", "/error_user_msg"];
        let words = words.iter().find_map(|pointer| look::text(error, pointer)).unwrap_or_default();
        let mut cause = self.codes.told(code, words);
        if let Some(trace) = look::text(error, "/fbtrace_id") {
            let trace: String =
                trace.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
            cause.push_str(&format!("; trace {trace}"));
        }
        let status = answer.status.as_u16();
        let follows = code.and_then(|(code, subcode)| (self.codes.known)(code, subcode));
        match follows.map(|(follows, _)| follows) {
            Some(Follows::Never) => DeliverError::Rejected(cause.into()),
            Some(Follows::Gone) => {
                DeliverError::Unreachable { cause: cause.into(), reach: Reach::Unreachable }
            }
            Some(Follows::Human) => DeliverError::Account(cause.into()),
            Some(Follows::Later) => {
                DeliverError::Retry { cause: cause.into(), after: pause(answer) }
            }
            // A new code: the status says how bad it is.
            None if matches!(status, 408 | 425 | 429 | 500..) => {
                DeliverError::Retry { cause: cause.into(), after: pause(answer) }
            }
            None if matches!(status, 401 | 403) => DeliverError::Account(cause.into()),
            None => DeliverError::Rejected(cause.into()),
        }
    }
}

/// Code and subcode of the error in an answer, if there is one.
#[must_use]
pub fn code_of(answer: &Answer) -> Option<(u64, u64)> {
    let told = answer.json::<Value>().ok()?;
    let number = |pointer| look::word(&told, pointer).and_then(|code| code.parse::<u64>().ok());
    Some((number("/error/code")?, number("/error/error_subcode").unwrap_or_default()))
}

/// The pause that the service asks for: in seconds, or as the minutes until an account that called too often
/// may call again.
fn pause(answer: &Answer) -> Option<Duration> {
    const MINUTES_MAX: u64 = 24 * 60;
    let usage = answer.header(&USAGE).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let minutes = usage.iter().flat_map(|usage| usage.as_object().into_iter().flatten());
    let minutes = minutes.flat_map(|(_, uses)| uses.as_array().into_iter().flatten());
    let minutes = minutes.filter_map(|one| one.get("estimated_time_to_regain_access")?.as_u64());
    let minutes =
        minutes.max().filter(|minutes| *minutes > 0).map(|minutes| minutes.min(MINUTES_MAX));
    after(answer).max(minutes.map(|minutes| Duration::from_secs(minutes * 60)))
}
