//! Calls to the Bot API in the name of one bot. The token stands in the address of each of them, so no error may
//! ever show an address.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::channel::shared::http::{Answer, Call, Http, HttpError, after, below};
use crate::channel::shared::{json, look};
use crate::channel::{DeliverError, PullError};
use crate::model::{Cause, Secret};

/// No service may hold us up longer than this.
const PAUSE_MAX: u64 = 24 * 3600;
/// A hundred updates may be large.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest words of the service that are shown.
const WORDS_CHARS_MAX: usize = 300;

/// One bot at one server.
pub(super) struct Bot {
    pub(super) http: Http,
    pub(super) api: Url,
    pub(super) token: Secret,
    /// Where a server on this machine keeps files.
    pub(super) local_files: Option<PathBuf>,
}

/// Why a call did not do what it was asked for.
pub(super) enum Failed {
    /// No answer, or none that can be read.
    Http(HttpError),
    /// The service says no.
    Told(Refusal),
    /// Something else than the Bot API answered: a gateway, an error page.
    Strange(u16),
}

/// The service's own words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    /// In small letters: what follows is decided by these.
    words: String,
    shown: String,
    pub(super) retry_after: Option<Duration>,
    pub(super) migrated_to: Option<i64>,
}

impl Refusal {
    /// Does the service's text hold one of these, whatever the case of its letters?
    pub(super) fn says(&self, any: &[&str]) -> bool {
        any.iter().any(|words| self.words.contains(words))
    }

    pub(super) fn cause(&self, advice: &str) -> Cause {
        let Self { code, shown, .. } = self;
        let told = if shown.is_empty() { "nothing" } else { shown };
        let stop = if advice.is_empty() { "" } else { ": " };
        format!("{advice}{stop}Telegram answered {code}, {told}").into()
    }
}

impl Bot {
    /// One call with arguments in JSON; its bare result.
    pub(super) async fn call(
        &self,
        method: &str,
        arguments: &Value,
        time_max: Duration,
    ) -> Result<Answered, Failed> {
        let body = Bytes::from(arguments.to_string());
        self.ask(Call::post(self.url(method), body, "application/json").time_max(time_max)).await
    }

    /// One call with a file.
    pub(super) async fn upload(
        &self,
        method: &str,
        form: reqwest::multipart::Form,
        time_max: Duration,
    ) -> Result<Answered, Failed> {
        self.ask(Call::post_multipart(self.url(method), form).time_max(time_max)).await
    }

    /// A file at the service, by the path that the service named.
    pub(super) async fn file(
        &self,
        path: &str,
        bytes_max: usize,
        time_max: Duration,
    ) -> Result<Answer, HttpError> {
        let bot = format!("bot{}", self.token.reveal());
        let mut steps = vec!["file", bot.as_str()];
        steps.extend(path.split('/'));
        let url = below(&self.api, &steps);
        self.http.send(Call::get(url).answer_bytes_max(bytes_max).time_max(time_max)).await
    }

    fn url(&self, method: &str) -> Url {
        below(&self.api, &[&format!("bot{}", self.token.reveal()), method])
    }

    async fn ask(&self, call: Call) -> Result<Answered, Failed> {
        let answer = self.http.send(call.answer_bytes_max(ANSWER_BYTES_MAX)).await;
        let answer = answer.map_err(Failed::Http)?;
        let bytes = answer.bytes().map_err(Failed::Http)?.clone();
        let told = json::read::<Value>(&bytes).ok().or_else(|| done(&bytes));
        let Some(told) = told else {
            let status = answer.status.as_u16();
            // A success that nobody can read is no success.
            return Err(match answer.json::<Value>() {
                Err(error) if answer.status.is_success() => Failed::Http(error),
                _ => Failed::Strange(status),
            });
        };
        match told.get("ok").and_then(Value::as_bool) {
            Some(true) => Ok(Answered { told, bytes }),
            Some(false) => Err(Failed::Told(self.refusal(&told, &answer))),
            None => Err(Failed::Strange(answer.status.as_u16())),
        }
    }

    fn refusal(&self, told: &Value, answer: &Answer) -> Refusal {
        let number = |pointer| look::word(told, pointer).and_then(|word| word.parse::<u64>().ok());
        let code = number("/error_code").and_then(|code| u16::try_from(code).ok());
        let shown = look::text(told, "/description").unwrap_or_default();
        let shown: String = shown
            .replace(self.token.reveal(), "[token]")
            .chars()
            .filter(|c| !c.is_control())
            .take(WORDS_CHARS_MAX)
            .collect();
        let asked = number("/parameters/retry_after");
        let asked = asked.map(|seconds| Duration::from_secs(seconds.min(PAUSE_MAX)));
        Refusal {
            code: code.unwrap_or_else(|| answer.status.as_u16()),
            words: shown.to_lowercase(),
            shown,
            retry_after: asked.or_else(|| after(answer)),
            migrated_to: look::word(told, "/parameters/migrate_to_chat_id")
                .and_then(|id| id.parse().ok()),
        }
    }
}

/// The answer to a call that was done, without a result that nobody can read: one bad update among a hundred must not
/// cost the others.
fn done(bytes: &[u8]) -> Option<Value> {
    #[derive(Deserialize)]
    struct Outside {
        ok: bool,
    }
    let outside: Outside = serde_json::from_slice(bytes).ok()?;
    outside.ok.then(|| json!({ "ok": true }))
}

/// What the service answered to a call that it did.
pub(super) struct Answered {
    told: Value,
    /// The whole answer, as it came.
    pub(super) bytes: Bytes,
}

impl Answered {
    pub(super) fn result(&self) -> &Value {
        self.told.get("result").unwrap_or(&Value::Null)
    }
}

/// What a failure says about a question.
pub(super) fn asked(failed: Failed) -> PullError {
    let again = |cause: Cause, after| PullError::Retry { cause, after };
    match failed {
        Failed::Http(error @ HttpError::Refused { .. }) => PullError::Account(error.into()),
        Failed::Http(error) => again(error.into(), None),
        Failed::Strange(status) => again(strange(status), None),
        Failed::Told(refusal) => match refusal.code {
            401 => PullError::Account(refusal.cause(REVOKED)),
            404 => PullError::Account(refusal.cause(MALFORMED)),
            409 if refusal.says(&["webhook is active"]) => PullError::Account(refusal.cause(
                "a webhook that is not ours is set for this bot: take it away (deleteWebhook), or set \
                 mode = \"webhook\"",
            )),
            409 => again(
                refusal.cause("another program asks for this bot's messages: only one may"),
                Some(Duration::from_secs(5)),
            ),
            400 | 403 => PullError::Account(refusal.cause("")),
            _ => again(refusal.cause(""), refusal.retry_after),
        },
    }
}

/// What a failure says about something that nobody sees twice: a question before sending.
pub(super) fn probed(failed: Failed) -> DeliverError {
    match failed {
        Failed::Http(error @ HttpError::Refused { .. }) => DeliverError::Account(error.into()),
        Failed::Http(error) => DeliverError::Offline(error.into()),
        Failed::Strange(status) => DeliverError::Offline(strange(status)),
        Failed::Told(refusal) if refusal.code == 401 => {
            DeliverError::Account(refusal.cause(REVOKED))
        }
        Failed::Told(refusal) if refusal.code == 404 => {
            DeliverError::Account(refusal.cause(MALFORMED))
        }
        Failed::Told(refusal) => {
            DeliverError::Retry { cause: refusal.cause(""), after: refusal.retry_after }
        }
    }
}

pub(super) const REVOKED: &str =
    "the token is not valid (any more): make a new one with @BotFather";
pub(super) const MALFORMED: &str = "the token is not one that Telegram knows";

pub(super) fn strange(status: u16) -> Cause {
    format!("something else than the Bot API answered, with {status}").into()
}
