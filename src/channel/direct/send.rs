//! Answers on their way: one call each, with our delivery's id beside it, which comes back when the service repeats
//! what was sent.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value, json};

use super::{HUMAN_WINDOW, Product, WINDOW, files};
use crate::channel::shared::graph::account::Graph;
use crate::channel::shared::http::{Call, harmless};
use crate::channel::shared::look;
use crate::channel::{Accepted, Conversation, Deliver, DeliverError};
use crate::model::{Choice, Outbound, OutboundMedia, Party, RemoteId, Scheme};

/// A file may take this long on its way up.
const UPLOAD_TIME_MAX: Duration = Duration::from_secs(300);

/// The page or account that speaks.
pub(super) struct Account {
    pub(super) product: &'static Product,
    pub(super) graph: Graph,
    /// Whose id stands in calls.
    pub(super) sender: String,
    /// May humans answer for seven days?
    pub(super) human_agent: bool,
}

/// Sends in its name.
pub(super) struct Sender {
    pub(super) account: Arc<Account>,
}

#[async_trait]
impl Deliver for Sender {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let mut body = Map::new();
        body.insert(
            "recipient".to_owned(),
            recipient(&outbound.to, self.account.product.service.id)?,
        );
        for (key, word) in standing(outbound, self.account.human_agent)? {
            body.insert(key.to_owned(), json!(word));
        }
        // Comes back with what the service repeats.
        let metadata = outbound.delivery;
        let message = match outbound.media.as_slice() {
            [] if outbound.choices.is_empty() => {
                json!({ "text": outbound.text, "metadata": metadata })
            }
            [] => {
                let replies: Vec<Value> = outbound.choices.iter().map(quick_reply).collect();
                json!({ "text": outbound.text, "metadata": metadata, "quick_replies": replies })
            }
            [file] => {
                let payload = json!({ "attachment_id": self.account.upload(file).await? });
                let attachment = json!({ "type": files::kind(file), "payload": payload });
                json!({ "attachment": attachment, "metadata": metadata })
            }
            _ => {
                let cause = "the service takes one file a message";
                return Err(DeliverError::Rejected(cause.into()));
            }
        };
        body.insert("message".to_owned(), message);
        let steps = [self.account.sender.as_str(), "messages"];
        let graph = &self.account.graph;
        let answer = graph.accepted(graph.post(&steps, &Value::Object(body)).await)?;
        let told = answer.json::<Value>().map_err(|error| DeliverError::Unknown(error.into()))?;
        let Some(id) = look::word(&told, "/message_id") else {
            let cause = "the service took it, as it seems, and gave it no id";
            return Err(DeliverError::Unknown(cause.into()));
        };
        Ok(Accepted { remote_id: RemoteId(id), warning: None })
    }

    async fn show_typing(&self, conversation: &Conversation) {
        let Ok(recipient) = recipient(&conversation.to, self.account.product.service.id) else {
            return;
        };
        let body = json!({ "recipient": recipient, "sender_action": "typing_on" });
        let steps = [self.account.sender.as_str(), "messages"];
        // Lost on the way, it is as if nobody had typed.
        drop(self.account.graph.post(&steps, &body).await);
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        let Account { product, graph, sender, .. } = &*self.account;
        match graph.fields(&[sender], product.probe).await {
            Ok(_) => Ok(()),
            // Nothing was to be sent: what is wrong is wrong for everything.
            Err(DeliverError::Rejected(cause)) => Err(DeliverError::Account(cause)),
            Err(other) => Err(other),
        }
    }
}

impl Account {
    /// Puts up a file that a message is to name. Whatever goes wrong here, nobody got anything.
    async fn upload(&self, file: &OutboundMedia) -> Result<String, DeliverError> {
        let part = Part::stream_with_length(
            reqwest::Body::from(file.bytes.clone()),
            file.bytes.len() as u64,
        );
        let part = part
            .file_name(file.name.clone())
            .mime_str(&file.mime)
            .map_err(|_| DeliverError::Rejected("the file's type makes no sense".into()))?;
        let payload = json!({ "is_reusable": false });
        let message = json!({ "attachment": { "type": files::kind(file), "payload": payload } });
        let mut form = Form::new().text("message", message.to_string());
        if let Some(platform) = self.product.platform {
            form = form.text("platform", platform);
        }
        let url = self.graph.url(&[&self.sender, "message_attachments"]);
        let call = Call::post_multipart(url, form.part("filedata", part)).time_max(UPLOAD_TIME_MAX);
        let again = |cause| DeliverError::Retry { cause, after: None };
        let answer = self.graph.accepted(self.graph.send(call).await).map_err(harmless)?;
        let told = answer.json::<Value>().map_err(|error| again(error.into()))?;
        let id = look::word(&told, "/attachment_id");
        id.ok_or_else(|| again("the service gave the file no id".into()))
    }
}

/// A button that writes its label for the customer.
fn quick_reply(choice: &Choice) -> Value {
    json!({ "content_type": "text", "title": choice.label, "payload": choice.id })
}

/// By what right it is sent: as an answer, or as a human's later answer.
fn standing(
    outbound: &Outbound,
    human_agent: bool,
) -> Result<Vec<(&'static str, &'static str)>, DeliverError> {
    let answer = vec![("messaging_type", "RESPONSE")];
    // Whoever is written to without having written: the service knows better than we do.
    let Some(wrote_at) = outbound.customer_wrote_at else { return Ok(answer) };
    let age = (outbound.begun_at - wrote_at).to_std().unwrap_or_default();
    if age < WINDOW {
        return Ok(answer);
    }
    let why = if age >= HUMAN_WINDOW {
        "the customer has not written within the last seven days, and the service lets nothing through"
    } else if !human_agent {
        "the customer has not written within the last 24 hours, and the service lets nothing through"
    } else if outbound.automated {
        "the customer has not written within the last 24 hours: only what a human typed goes through"
    } else {
        return Ok(vec![("messaging_type", "MESSAGE_TAG"), ("tag", "HUMAN_AGENT")]);
    };
    Err(DeliverError::Rejected(why.into()))
}

/// Somebody's id, or what stands for it until they have written.
fn recipient(to: &Party, service: &str) -> Result<Value, DeliverError> {
    let value = &to.address.value;
    if to.address.scheme != Scheme::Meta {
        return Err(DeliverError::Rejected("it is no address of this service".into()));
    }
    if value == service {
        return Err(DeliverError::Rejected(
            "nobody reads answers to notices of the service".into(),
        ));
    }
    Ok(match value.strip_prefix(super::read::GUEST) {
        Some(guest) => json!({ "user_ref": guest }),
        None => json!({ "id": value }),
    })
}
