//! Replies on their way to the other system, and files that it only named.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;

use super::THREAD;
use crate::channel::shared::endpoint::Endpoint;
use crate::channel::shared::http::{Call, Http, downloaded};
use crate::channel::shared::sign::base64;
use crate::channel::{Accepted, Deliver, DeliverError, Download, DownloadError};
use crate::model::{Cause, DeliveryId, MediaRef, Outbound, OutboundMedia, RemoteId};

/// Longest name that a receiver may give to a reply, in characters.
const ID_CHARS_MAX: usize = 200;
/// Largest file that is fetched.
const FILE_BYTES_MAX: usize = 25 * 1024 * 1024;
/// An attachment may have moved, but not often.
const REDIRECTS_MAX: u8 = 3;

/// Posts replies to `reply_url`.
pub(super) struct Post(pub(super) Endpoint);

/// What is posted. The same bytes at every attempt.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    delivery: DeliveryId,
    ticket_number: u64,
    conversation: &'a str,
    to: To<'a>,
    in_reply_to: Option<&'a RemoteId>,
    subject: Option<&'a str>,
    text: &'a str,
    html: Option<&'a str>,
    author: Option<&'a str>,
    automated: bool,
    attachments: Vec<File<'a>>,
}

#[derive(Serialize)]
struct To<'a> {
    id: &'a str,
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    media_type: &'a str,
    content_id: Option<&'a str>,
    content: String,
}

/// What a receiver may answer.
#[derive(Deserialize)]
struct Taken {
    id: Option<Name>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(u64),
}

#[async_trait]
impl Deliver for Post {
    fn remote_id(&self, outbound: &Outbound) -> Option<RemoteId> {
        Some(own_name(outbound))
    }

    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let body = body(outbound).map_err(DeliverError::Rejected)?;
        let answer = self.0.post(&outbound.delivery.to_string(), body).await?;
        // Whatever the body is, 2xx means that they have it.
        let name = answer.json::<Taken>().ok().and_then(|taken| taken.id).map(|id| match id {
            Name::Text(text) => text,
            Name::Number(number) => number.to_string(),
        });
        let sane = |name: &String| (1..=ID_CHARS_MAX).contains(&name.chars().count());
        let remote_id = name.filter(sane).map_or_else(|| own_name(outbound), RemoteId);
        Ok(Accepted { remote_id, warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        self.0.probe().await
    }
}

fn body(outbound: &Outbound) -> Result<Bytes, Cause> {
    let key = outbound.thread.as_ref().and_then(|key| key.as_str().strip_prefix(THREAD));
    let conversation = match (key, &outbound.thread) {
        (Some(conversation), _) => conversation,
        // We write first: the conversation is the person's.
        (None, None) => outbound.to.address.value.as_str(),
        (None, Some(_)) => {
            return Err("the ticket is not a conversation of the other system".into());
        }
    };
    let body = Body {
        r#type: "reply",
        delivery: outbound.delivery,
        ticket_number: outbound.ticket_number,
        conversation,
        to: To { id: &outbound.to.address.value, name: outbound.to.name.as_deref() },
        in_reply_to: outbound.in_reply_to.as_ref(),
        subject: outbound.subject.as_deref(),
        text: &outbound.text,
        html: outbound.html.as_deref(),
        author: outbound.author.as_deref(),
        automated: outbound.automated,
        attachments: outbound.media.iter().map(file).collect(),
    };
    Ok(serde_json::to_vec(&body)?.into())
}

fn file(media: &OutboundMedia) -> File<'_> {
    File {
        name: &media.name,
        media_type: &media.mime,
        content_id: media.content_id.as_deref(),
        content: base64(&media.bytes),
    }
}

fn own_name(outbound: &Outbound) -> RemoteId {
    RemoteId(outbound.delivery.to_string())
}

/// Without a `reply_url` the other system fetches its replies from our API: what is queued is there
/// already, so handing it over is done.
pub(super) struct Shelf;

#[async_trait]
impl Deliver for Shelf {
    fn remote_id(&self, outbound: &Outbound) -> Option<RemoteId> {
        Some(own_name(outbound))
    }

    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        Ok(Accepted { remote_id: own_name(outbound), warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        Ok(())
    }
}

/// Fetches files that an entry named by address. Anybody may have written that address.
pub(super) struct Fetch {
    pub(super) http: Http,
}

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        let url = Url::parse(media.as_str())
            .map_err(|_| DownloadError::Never("the attachment's address is none".into()))?;
        let call = Call::get(url)
            .answer_bytes_max(FILE_BYTES_MAX)
            .time_max(std::time::Duration::from_secs(120))
            .redirects_max(REDIRECTS_MAX);
        downloaded(self.http.send(call).await)
    }
}
