//! Calls to Twilio's interface in the name of one account, and what their answers mean.
//!
//! The requests are written by `twilio-async`, and sent by our own client: with limits, to an address that can be
//! set, and with answers that are read leniently, since that crate takes several successes for failures. It is
//! given no secret; see docs/decisions/0041-twilio.md.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use http::{Method, StatusCode, header};
use serde_json::Value;
use twilio_async::{Execute as _, Twilio, encode_pairs};
use url::Url;

use super::code::{self, CODES};
use crate::channel::shared::codes::Follows;
use crate::channel::shared::http::{
    Answer, Call, Credentials, Http, HttpError, after, delivered, downloaded, harmless,
};
use crate::channel::shared::look;
use crate::channel::{DeliverError, DownloadError, PullError};
use crate::model::{Cause, Reach, Timestamp};

const FORM: &str = "application/x-www-form-urlencoded";
/// A page of a thousand messages stays below this.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The largest file that is fetched.
const FILE_BYTES_MAX: usize = 100 * 1024 * 1024;
const FILE_TIME_MAX: Duration = Duration::from_secs(300);
const REDIRECTS_MAX: u8 = 3;

/// An account at Twilio.
pub struct Account {
    http: Http,
    api: Url,
    sid: String,
    credentials: Credentials,
    /// Writes requests, sends none.
    writer: Twilio,
}

/// A page of a list, newest first.
pub struct Page {
    /// What is on it.
    pub items: Vec<Value>,
    /// Where the next one is.
    pub next: Option<Url>,
    /// When Twilio answered, by its own clock.
    pub at: Option<Timestamp>,
}

impl Page {
    /// The same, where nothing can go on without it.
    pub fn time(&self) -> Result<Timestamp, PullError> {
        self.at.ok_or_else(|| {
            let cause = "Twilio did not say what time it is";
            PullError::Retry { cause: cause.into(), after: None }
        })
    }
}

impl Account {
    /// For an account whose name was checked.
    pub fn new(
        http: Http,
        api: Url,
        sid: String,
        credentials: Credentials,
    ) -> Result<Self, &'static str> {
        // The real secret stays where it is given to the configured address alone.
        let writer = Twilio::new(sid.as_str(), "none").map_err(|_| "not a name of an account")?;
        Ok(Self { http, api, sid, credentials, writer })
    }

    /// The account's name.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Where it is called.
    #[must_use]
    pub const fn api(&self) -> &Url {
        &self.api
    }

    /// Makes something new below the account (`Messages.json`): one attempt, and what came of it. Doing it twice
    /// makes two, so whatever is in doubt is `Unknown`.
    pub async fn create(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value, DeliverError> {
        let call = self.call(http02::Method::POST, path, fields).map_err(DeliverError::Rejected)?;
        read(&accepted(self.send(call).await)?)
    }

    /// Changes something (`Calls/CA….json`). Doing it twice does no harm.
    pub async fn change(&self, path: &str, fields: &[(&str, &str)]) -> Result<Value, DeliverError> {
        self.create(path, fields).await.map_err(harmless)
    }

    /// Takes something away. What is not there (any more) is away.
    pub async fn delete(&self, path: &str) -> Result<(), DeliverError> {
        let call = self.call(http02::Method::DELETE, path, &[]).map_err(DeliverError::Rejected)?;
        match self.send(call).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Ok(()),
            answer => accepted(answer).map(drop).map_err(harmless),
        }
    }

    /// One thing below the account (`Messages/SM….json`); `None`: it is not there (any more).
    pub async fn get(&self, path: &str) -> Result<Option<Value>, DeliverError> {
        let call = self.call(http02::Method::GET, path, &[]).map_err(DeliverError::Rejected)?;
        match self.send(call).await {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => Ok(None),
            answer => accepted(answer).and_then(|answer| read(&answer)).map(Some).map_err(harmless),
        }
    }

    /// What Twilio says of the account itself: are we let in?
    pub async fn about(&self) -> Result<Value, DeliverError> {
        let url = self.at(&format!("/2010-04-01/Accounts/{}.json", self.sid));
        let url = url.ok_or_else(|| DeliverError::Account("not a name of an account".into()))?;
        let answer = accepted(self.send(Call::get(url)).await);
        answer.and_then(|answer| read(&answer)).map_err(harmless)
    }

    /// The first page of a list; `name` is that of the list within the answer: `messages`.
    pub async fn list(
        &self,
        (path, name): (&str, &str),
        query: &[(&str, &str)],
    ) -> Result<Page, DeliverError> {
        let query = encode_pairs(query).unwrap_or_default();
        let call = self.call(http02::Method::GET, &format!("{path}?{query}"), &[]);
        self.page(call.map_err(DeliverError::Rejected)?, name).await
    }

    /// A later page of a list.
    pub async fn further(&self, url: Url, name: &str) -> Result<Page, DeliverError> {
        self.page(Call::get(url), name).await
    }

    async fn page(&self, call: Call, name: &str) -> Result<Page, DeliverError> {
        let strange = |cause: Cause| DeliverError::Retry { cause, after: None };
        let answer = accepted(self.send(call).await).map_err(harmless)?;
        let mut told: Value = answer.json().map_err(|error| strange(error.into()))?;
        let next = match look::text(&told, "/next_page_uri") {
            None => None,
            Some(path) => {
                let url = self.at(path);
                Some(url.ok_or_else(|| strange("Twilio names a next page elsewhere".into()))?)
            }
        };
        let at = answer.header(&header::DATE).and_then(|at| DateTime::parse_from_rfc2822(at).ok());
        let Some(Value::Array(items)) = told.get_mut(name).map(Value::take) else {
            return Err(strange(format!("Twilio answered without the list «{name}»").into()));
        };
        Ok(Page { items, next, at: at.map(Into::into) })
    }

    /// A file, by its address or the path of it: credentials go to the configured address only, and not where that leads.
    pub async fn file(&self, address: &str) -> Result<Bytes, DownloadError> {
        let never = |why: &'static str| DownloadError::Never(why.into());
        let url = self.file_url(address).ok_or_else(|| never("it is not known where it is"))?;
        let call = Call::get(url)
            .answer_bytes_max(FILE_BYTES_MAX)
            .time_max(FILE_TIME_MAX)
            .redirects_max(REDIRECTS_MAX);
        match self.http.send(call.credentials(self.credentials.clone())).await {
            // The news of it may be faster than the file. It will not be there for ever, either: then the engine
            // gives it up in the end.
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                let cause = "Twilio does not have the file (yet, or any more)";
                Err(DownloadError::Retry { cause: cause.into(), after: None })
            }
            answer => downloaded(answer),
        }
    }

    /// The address of a file of this account, at the address that is configured: Twilio may write that of another
    /// of its regions.
    fn file_url(&self, address: &str) -> Option<Url> {
        let given = Url::parse(address).ok();
        let path = given.as_ref().map_or(address, Url::path);
        let own = format!("/2010-04-01/Accounts/{}/", self.sid);
        path.starts_with(&own).then(|| self.at(path))?
    }

    /// A path of Twilio, at the address that is configured.
    fn at(&self, path: &str) -> Option<Url> {
        if !path.starts_with('/') || path.starts_with("//") {
            return None;
        }
        let url = Url::parse(&format!("{}{path}", self.api.as_str().trim_end_matches('/'))).ok()?;
        (url.origin() == self.api.origin()).then_some(url)
    }

    async fn send(&self, call: Call) -> Result<Answer, HttpError> {
        let call = call.answer_bytes_max(ANSWER_BYTES_MAX).credentials(self.credentials.clone());
        self.http.send(call).await
    }

    /// A request as `twilio-async` writes it: verb, path and form.
    fn call(
        &self,
        method: http02::Method,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Call, Cause> {
        let form = if fields.is_empty() { None } else { encode_pairs(fields) };
        let written = self.writer.msgs().request(method, path, form.clone())?;
        let path = written.uri().path_and_query().map_or("/", |path| path.as_str());
        let url = self.at(path).ok_or("the address cannot be put together")?;
        let verb = Method::from_bytes(written.method().as_str().as_bytes())?;
        Ok(match form {
            Some(form) => Call::post(url, form.into(), FORM).verb(verb),
            None => Call::get(url).verb(verb),
        })
    }
}

/// It was taken; that nobody can read under which name does not mean that it failed.
fn read(answer: &Answer) -> Result<Value, DeliverError> {
    answer.json().map_err(|error| DeliverError::Unknown(error.into()))
}

/// What became of a call: the answer, if Twilio did what it was asked for.
pub fn accepted(result: Result<Answer, HttpError>) -> Result<Answer, DeliverError> {
    let answer = match result {
        Ok(answer) if answer.status.is_success() => return Ok(answer),
        Ok(answer) => answer,
        Err(error) => return delivered(Err(error)),
    };
    let told = answer.json::<Value>().unwrap_or_default();
    let number = look::word(&told, "/code").and_then(|code| code.parse::<u64>().ok());
    // Not Twilio's own words: something in between answered, and the status is all that is known.
    let Some(number) = number else { return delivered(Ok(answer)) };
    let cause: Cause =
        code::told(Some(number), look::text(&told, "/message").unwrap_or_default()).into();
    let status = answer.status.as_u16();
    let pause = || after(&answer).max(code::pause(number));
    Err(match ((CODES.known)(number, 0).map(|(follows, _)| follows), status) {
        (Some(Follows::Later), _) | (None, 408 | 425 | 429 | 500..) => {
            DeliverError::Retry { cause, after: pause() }
        }
        (Some(Follows::Gone), _) => {
            let reach = code::reach(number).unwrap_or(Reach::Unreachable);
            DeliverError::Unreachable { cause, reach }
        }
        (Some(Follows::Human), _) | (None, 401 | 403) => DeliverError::Account(cause),
        (Some(Follows::Never) | None, _) => DeliverError::Rejected(cause),
    })
}
