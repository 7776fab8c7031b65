//! Answers on their way. Twilio knows no key by which it would tell a second call from a first: so before anything
//! is sent that was tried before, and whenever a call ends in doubt, it is asked what it has.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use super::files::Network;
use super::hook::QUERY;
use super::settings::Own;
use super::told;
use crate::channel::shared::look;
use crate::channel::shared::public_file::{PublicFiles, Shown};
use crate::channel::shared::segments::economical;
use crate::channel::shared::twilio::code;
use crate::channel::shared::twilio::rest::Account;
use crate::channel::shared::twilio::signature;
use crate::channel::{Accepted, Deliver, DeliverError, DownloadError};
use crate::model::{DeliveryId, Outbound, OutboundMedia, RemoteId, Scheme, Template, Timestamp};

/// A call that was cut off may still be at work for so long: until then, what is not there may yet come.
const SETTLED: Duration = Duration::from_secs(20);
/// Twilio's times have no fractions of a second, and neither has what it says of its clock.
const CLOCKS_MAY_DIFFER: TimeDelta = TimeDelta::seconds(2);
/// Messages to one person that are looked through: newest first.
const LOOK_AT: &str = "50";

/// Sends from our number, or by our service.
pub(super) struct Sender {
    pub(super) account: Arc<Account>,
    pub(super) own: Own,
    /// Where news of it are pushed to; `None`: they are asked for.
    pub(super) callback: Option<Callback>,
    /// How files go, and where Twilio fetches them; `None`: none go.
    pub(super) files: Option<(Network, PublicFiles)>,
}

/// Our own address.
pub(super) struct Callback {
    pub(super) public_url: String,
    pub(super) path: String,
}

impl Callback {
    /// The address for news of one delivery.
    fn of(&self, delivery: DeliveryId) -> Option<Url> {
        let id = delivery.to_string();
        signature::callback(&self.public_url, &self.path, &[(QUERY, &id)])
    }
}

/// What is to be sent, as Twilio will repeat it.
struct Letter<'o> {
    to: String,
    /// Empty for a template: what it says is known to Twilio only; and for files alone.
    body: String,
    files: &'o [OutboundMedia],
    fields: Vec<(&'static str, String)>,
}

#[async_trait]
impl Deliver for Sender {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let began = Instant::now();
        let letter = self.letter(outbound)?;
        if let Some(since) = outbound.tried_since {
            if let Some(found) = self.look_for(&letter, since, outbound.begun_at, began).await? {
                return taken(&found);
            }
            let passed = (outbound.begun_at - since).to_std().unwrap_or_default();
            if passed < SETTLED {
                let cause =
                    "it is not known yet whether it went out: Twilio does not have it so far";
                let after = Some(SETTLED - passed);
                return Err(DeliverError::Retry { cause: cause.into(), after });
            }
        }
        let fields: Vec<(&str, &str)> =
            letter.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        match self.account.create("Messages.json", &fields).await {
            Ok(made) => taken(&made),
            Err(doubt @ DeliverError::Unknown(_)) => {
                let found = self.look_for(&letter, outbound.begun_at, outbound.begun_at, began);
                // What cannot be found out now is asked for again before the next attempt.
                found.await.ok().flatten().map_or(Err(doubt), |found| taken(&found))
            }
            Err(error) => Err(error),
        }
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        let mut query = vec![("PageSize", "1")];
        query.extend(self.own.number.as_deref().map(|number| ("From", number)));
        self.account.list(("Messages.json", "messages"), &query).await.map(drop)
    }
}

impl Sender {
    fn letter<'o>(&self, outbound: &'o Outbound) -> Result<Letter<'o>, DeliverError> {
        let rejected = |why: &'static str| DeliverError::Rejected(why.into());
        let address = &outbound.to.address;
        if !matches!(address.scheme, Scheme::Tel) {
            return Err(rejected("it is no number"));
        }
        let to = self.own.dialled(&address.value);
        let mut fields = vec![("To", to.clone())];
        fields.extend(self.own.number.clone().map(|number| ("From", number)));
        fields.extend(self.own.service.clone().map(|sid| ("MessagingServiceSid", sid)));
        let mut body = String::new();
        match &outbound.template {
            Some(given) => {
                fields.push(("ContentSid", given.name.clone()));
                let variables = variables(given);
                if !variables.is_empty() {
                    fields.push(("ContentVariables", Value::Object(variables).to_string()));
                }
            }
            None if self.own.whatsapp => body.clone_from(&outbound.text),
            None => body = economical(&outbound.text).into_owned(),
        }
        if !body.is_empty() || (outbound.template.is_none() && outbound.media.is_empty()) {
            fields.push(("Body", body.clone()));
        }
        fields.extend(self.addresses(outbound)?.into_iter().map(|url| ("MediaUrl", url.into())));
        let callback = self.callback.as_ref().and_then(|callback| callback.of(outbound.delivery));
        fields.extend(callback.map(|url| ("StatusCallback", url.into())));
        Ok(Letter { to, body, files: &outbound.media, fields })
    }

    /// Where Twilio fetches the files of this delivery.
    fn addresses(&self, outbound: &Outbound) -> Result<Vec<Url>, DeliverError> {
        if outbound.media.is_empty() {
            return Ok(Vec::new());
        }
        let rejected = |why: String| DeliverError::Rejected(why.into());
        let Some((network, files)) = &self.files else {
            return Err(rejected(
                "this channel sends no files: see `files` in its settings".into(),
            ));
        };
        if let Some(why) = network.refuses(&outbound.media) {
            return Err(rejected(why));
        }
        let addresses = outbound.media.iter().enumerate().map(|(at, file)| {
            let shown = Shown { delivery: outbound.delivery, at };
            files.address(shown, &file.name, outbound.begun_at)
        });
        let addresses: Option<Vec<Url>> = addresses.collect();
        addresses.ok_or_else(|| rejected("http.public_url is no address of files".into()))
    }

    /// The message that Twilio made of an attempt since then, if it did. The same words to the same person before
    /// that are another message.
    ///
    /// `begun_at` is our clock at `began`; how far Twilio's differs is seen from its answer.
    async fn look_for(
        &self,
        letter: &Letter<'_>,
        since: Timestamp,
        begun_at: Timestamp,
        began: Instant,
    ) -> Result<Option<Value>, DeliverError> {
        let mut query = vec![("To", letter.to.as_str()), ("PageSize", LOOK_AT)];
        let number = self.own.number.as_deref().filter(|_| self.own.service.is_none());
        query.extend(number.map(|number| ("From", number)));
        let page = self.account.list(("Messages.json", "messages"), &query).await?;
        let ours =
            TimeDelta::from_std(began.elapsed()).map_or(begun_at, |passed| begun_at + passed);
        // Where their clock is behind, so are the times of its messages. Where it is ahead, nothing is lost by looking
        // further back, and ours may have been set right meanwhile.
        let behind =
            page.at.map_or(TimeDelta::zero(), |theirs| (theirs - ours).min(TimeDelta::zero()));
        let earliest = since + behind - CLOCKS_MAY_DIFFER;
        let found = page.items.into_iter().filter(|item| {
            let of = |pointer| look::text(item, pointer);
            let made = told::moment(item, "/date_created");
            of("/direction") == Some("outbound-api")
                && self.own.is(of("/from"), of("/messaging_service_sid"))
                // What did not arrive may be sent again: somebody may have asked for just that.
                && !of("/status").is_some_and(has_failed)
                && made.is_some_and(|made| made >= earliest)
                && says(of("/body").unwrap_or_default(), &letter.body)
        });
        // The newest stands first; ours is the first one that was made.
        for item in found.rev() {
            if !letter.body.is_empty()
                || letter.files.is_empty()
                || self.holds(&item, letter).await?
            {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Are these the files of that message? Without words nothing else tells one from another that went just before.
    ///
    /// Twilio fetches files when the message's turn comes, which may be hours later. Until it has them, and as long as
    /// they cannot be looked at, the message may be ours: then nothing is sent again.
    async fn holds(&self, message: &Value, letter: &Letter<'_>) -> Result<bool, DeliverError> {
        let Some(sid) = look::text(message, "/sid") else { return Ok(false) };
        let has_words = look::text(message, "/body").is_some_and(|body| !body.is_empty());
        if has_words && sid.starts_with("SM") {
            // Words alone: what has files is called `MM`.
            return Ok(false);
        }
        let path = format!("Messages/{sid}/Media.json");
        let theirs = self.account.list((&path, "media_list"), &[]).await?.items;
        let retry = |cause, after| DeliverError::Retry { cause, after };
        let waits = look::text(message, "/status").is_some_and(has_not_left);
        if waits && theirs.len() < letter.files.len() {
            return Err(retry("Twilio has not fetched its files yet".into(), None));
        }
        if theirs.len() != letter.files.len() {
            return Ok(false);
        }
        for file in &theirs {
            let path = told::file_path(file);
            let path =
                path.ok_or_else(|| retry("Twilio does not say where a file is".into(), None))?;
            let bytes = self.account.file(path).await.map_err(|error| match error {
                DownloadError::Never(cause) => retry(cause, None),
                DownloadError::Retry { cause, after } => retry(cause, after),
            })?;
            if !letter.files.iter().any(|ours| ours.bytes == bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Is that what we sent? Trial accounts put a sentence before it. Of a template we know no words.
fn says(theirs: &str, ours: &str) -> bool {
    ours.is_empty() || theirs.trim().ends_with(ours.trim())
}

/// What goes into the blanks of a template: its words in order, under their numbers, or under the names that they
/// bear.
fn variables(template: &Template) -> Map<String, Value> {
    let parameters = template.components.iter().flat_map(|component| {
        component.get("parameters").and_then(Value::as_array).into_iter().flatten()
    });
    parameters
        .enumerate()
        .map(|(at, parameter)| {
            let name = look::word(parameter, "/parameter_name");
            let text = look::word(parameter, "/text").unwrap_or_default();
            (name.unwrap_or_else(|| (at + 1).to_string()), Value::String(text))
        })
        .collect()
}

/// Nobody got it, and nobody will.
fn has_failed(status: &str) -> bool {
    matches!(status, "failed" | "undelivered" | "canceled")
}

/// Its turn has not come.
fn has_not_left(status: &str) -> bool {
    matches!(status, "accepted" | "scheduled" | "queued" | "sending")
}

/// What a message at Twilio says about the delivery that it is.
fn taken(message: &Value) -> Result<Accepted, DeliverError> {
    let Some(sid) = look::word(message, "/sid") else {
        let cause = "Twilio took it, as it seems, and gave it no name";
        return Err(DeliverError::Unknown(cause.into()));
    };
    if look::text(message, "/status").is_some_and(has_failed) {
        let number = look::word(message, "/error_code").and_then(|code| code.parse().ok());
        let words = look::text(message, "/error_message").unwrap_or_default();
        let cause = code::told(number, words).into();
        return Err(match number.and_then(code::reach) {
            Some(reach) => DeliverError::Unreachable { cause, reach },
            None => DeliverError::Rejected(cause),
        });
    }
    Ok(Accepted { remote_id: RemoteId(sid), warning: None })
}
