//! Calls to the Graph API for one number of ours, and what their answers mean.

use std::time::Duration;

use http::HeaderName;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use url::Url;

use super::code::{self, Follows};
use super::look;
use crate::channel::shared::http::{
    Answer, Call, Credentials, Http, HttpError, after, below, delivered,
};
use crate::channel::{DeliverError, DownloadError};
use crate::model::{OutboundMedia, Secret};

/// How much of what an account may do was done.
const USAGE: HeaderName = HeaderName::from_static("x-business-use-case-usage");
/// A file may take this long on its way up.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(300);

/// Our number at the service.
pub(super) struct Account {
    pub(super) http: Http,
    pub(super) api: Url,
    pub(super) version: String,
    pub(super) token: Secret,
    pub(super) phone_number_id: String,
}

impl Account {
    /// One call that does something below our number. 2xx with an error in it is the error.
    pub(super) async fn post(&self, steps: &[&str], body: &Value) -> Result<Answer, HttpError> {
        let call = Call::post(self.own(steps), body.to_string().into(), "application/json");
        self.send(call).await
    }

    /// What the service says of our number.
    pub(super) async fn number(&self) -> Result<Answer, DeliverError> {
        let mut url = self.own(&[]);
        url.query_pairs_mut().append_pair("fields", "display_phone_number,verified_name");
        accepted(self.send(Call::get(url)).await)
    }

    /// Puts up a file that a message is to name. Whatever goes wrong here, nobody got anything.
    pub(super) async fn upload(&self, media: &OutboundMedia) -> Result<String, DeliverError> {
        let size = media.bytes.len() as u64;
        let file = Part::stream_with_length(reqwest::Body::from(media.bytes.clone()), size)
            .file_name(media.name.clone())
            .mime_str(&media.mime)
            .map_err(|_| DeliverError::Rejected("the file's type makes no sense".into()))?;
        let form = Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", media.mime.clone())
            .part("file", file);
        let call = Call::post_multipart(self.own(&["media"]), form).time_max(UPLOAD_TIME_MAX);
        let again = |cause| DeliverError::Retry { cause, after: None };
        let answer = match accepted(self.send(call).await) {
            Ok(answer) => answer,
            Err(DeliverError::Unknown(cause)) => return Err(again(cause)),
            Err(other) => return Err(other),
        };
        let told = answer.json::<Value>().map_err(|error| again(error.into()))?;
        look::word(&told, "/id").ok_or_else(|| again("WhatsApp gave the file no id".into()))
    }

    /// Where a customer's file is.
    pub(super) async fn file(&self, id: &str) -> Result<Value, DownloadError> {
        let mut url = below(&self.api, &[&self.version, id]);
        url.query_pairs_mut().append_pair("phone_number_id", &self.phone_number_id);
        let again = |cause| DownloadError::Retry { cause, after: None };
        let answer = self.send(Call::get(url)).await;
        if answer.as_ref().is_ok_and(|answer| code_of(answer) == Some((100, 33))) {
            // A name that stands for nothing (any more).
            let cause = "the file is no longer at WhatsApp, which keeps files for some weeks";
            return Err(DownloadError::Never(cause.into()));
        }
        match accepted(answer) {
            Ok(answer) => answer.json().map_err(|error| again(error.into())),
            Err(DeliverError::Rejected(cause)) => Err(DownloadError::Never(cause)),
            Err(DeliverError::Retry { cause, after }) => Err(DownloadError::Retry { cause, after }),
            Err(
                DeliverError::Offline(cause)
                | DeliverError::Unknown(cause)
                | DeliverError::Account(cause),
            ) => Err(again(cause)),
        }
    }

    /// Fetches from an address that the service named. The token goes along only where the settings allow it.
    pub(super) async fn get(
        &self,
        url: Url,
        bytes_max: usize,
        time_max: Duration,
    ) -> Result<Answer, HttpError> {
        self.send(Call::get(url).answer_bytes_max(bytes_max).time_max(time_max)).await
    }

    /// An address below our number.
    fn own(&self, steps: &[&str]) -> Url {
        let mut path = vec![self.version.as_str(), self.phone_number_id.as_str()];
        path.extend(steps);
        below(&self.api, &path)
    }

    async fn send(&self, call: Call) -> Result<Answer, HttpError> {
        self.http.send(call.credentials(Credentials::Bearer(self.token.clone()))).await
    }
}

/// What became of a call: the answer, if the service did what it was asked for.
pub(super) fn accepted(result: Result<Answer, HttpError>) -> Result<Answer, DeliverError> {
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => return delivered(Err(error)),
    };
    // An error may stand in an answer of any status.
    let told = answer.json::<Value>().ok();
    if let Some(error) = told.as_ref().and_then(|told| told.get("error")) {
        return Err(refused(error, &answer));
    }
    delivered(Ok(answer))
}

/// What an error of the service means, by its code.
fn refused(error: &Value, answer: &Answer) -> DeliverError {
    let code = code_of(answer);
    let words = ["/error_data/details", "/message", "/error_user_msg"];
    let words = words.iter().find_map(|pointer| look::text(error, pointer)).unwrap_or_default();
    let mut cause = code::told(code.map(|(code, _)| code), words);
    if let Some(trace) = look::text(error, "/fbtrace_id") {
        let trace: String = trace.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        cause.push_str(&format!("; trace {trace}"));
    }
    let status = answer.status.as_u16();
    let follows = match code {
        // «Does not exist, or may not be seen»: it is our own number that was called.
        Some((100, 33)) => Some(Follows::Human),
        Some((code, _)) => code::known(code).map(|(follows, _)| follows),
        None => None,
    };
    match follows {
        Some(Follows::Never) => DeliverError::Rejected(cause.into()),
        Some(Follows::Human) => DeliverError::Account(cause.into()),
        Some(Follows::Later) => DeliverError::Retry { cause: cause.into(), after: pause(answer) },
        // A new code: the status says how bad it is.
        None if matches!(status, 408 | 425 | 429 | 500..) => {
            DeliverError::Retry { cause: cause.into(), after: pause(answer) }
        }
        None if matches!(status, 401 | 403) => DeliverError::Account(cause.into()),
        None => DeliverError::Rejected(cause.into()),
    }
}

/// Code and subcode of the error in an answer, if there is one.
fn code_of(answer: &Answer) -> Option<(u64, u64)> {
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
