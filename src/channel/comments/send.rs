//! Answers to comments: in public below the topmost comment, or in private to its author.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Product;
use crate::channel::shared::graph::account::Graph;
use crate::channel::shared::http::Call;
use crate::channel::shared::look;
use crate::channel::{Accepted, Deliver, DeliverError};
use crate::model::{Outbound, RemoteId};

/// What a name before an answer may take: `@`, thirty characters, a blank.
pub(super) const MENTION_MAX: u32 = 32;

/// Answers for a page or an account.
pub(super) struct Sender {
    pub(super) product: &'static Product,
    pub(super) graph: Arc<Graph>,
    /// Whose id stands in calls.
    pub(super) sender: String,
}

#[async_trait]
impl Deliver for Sender {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        if !outbound.media.is_empty() {
            return Err(DeliverError::Rejected("comments are answered by texts only".into()));
        }
        let answers = outbound.in_reply_to.as_ref().map(RemoteId::as_str);
        let Some(comment) = answers.filter(|id| is_id(id)) else {
            return Err(DeliverError::Rejected("there is no comment that it answers".into()));
        };
        if outbound.private {
            self.private(outbound, comment).await
        } else {
            self.public(outbound, comment).await
        }
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        match self.graph.fields(&[&self.sender], self.product.probe).await {
            Ok(_) => Ok(()),
            // Nothing was to be sent: what is wrong is wrong for everything.
            Err(DeliverError::Rejected(cause)) => Err(DeliverError::Account(cause)),
            Err(other) => Err(other),
        }
    }
}

impl Sender {
    /// Below the comment; where there is but one level below, beside it and with its author's name.
    async fn public(&self, outbound: &Outbound, comment: &str) -> Result<Accepted, DeliverError> {
        let thread = outbound.thread.as_ref().map(|thread| thread.as_str().split(':'));
        let top = thread.and_then(|mut steps| steps.nth(1)).filter(|top| is_id(top));
        let (below, text) = match top {
            Some(top) if self.product.mentions && top != comment => {
                (top, mentioning(outbound.to.name.as_deref(), &outbound.text))
            }
            _ => (comment, outbound.text.clone()),
        };
        let url = self.graph.url(&[below, self.product.replies]);
        let call = Call::post_form(url, &[("message", &text)]);
        let answer = self.graph.accepted(self.graph.send(call).await)?;
        named(answer.json::<Value>().ok().as_ref(), "/id")
    }

    async fn private(&self, outbound: &Outbound, comment: &str) -> Result<Accepted, DeliverError> {
        // Comes back with what the service repeats, where private messages are a channel of ours.
        let message = json!({ "text": outbound.text, "metadata": outbound.delivery });
        let body = json!({ "recipient": { "comment_id": comment }, "message": message });
        let sent = self.graph.post(&[&self.sender, "messages"], &body).await;
        let answer = self.graph.accepted(sent)?;
        named(answer.json::<Value>().ok().as_ref(), "/message_id")
    }
}

/// What it is called now.
fn named(told: Option<&Value>, at: &str) -> Result<Accepted, DeliverError> {
    match told.and_then(|told| look::word(told, at)) {
        Some(id) => Ok(Accepted { remote_id: RemoteId(id), warning: None }),
        None => {
            let cause = "the service took it, as it seems, and gave it no id";
            Err(DeliverError::Unknown(cause.into()))
        }
    }
}

/// Ids are digits, on a page with that of the post before them; our own notices have others.
fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.bytes().all(plain)
}

/// The text, to somebody by name.
fn mentioning(name: Option<&str>, text: &str) -> String {
    let plain = |name: &&str| {
        let named = !name.is_empty();
        let fits = name.chars().count() + 2 <= MENTION_MAX as usize;
        named && fits && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
    };
    match name.filter(plain) {
        Some(name) if !text.contains(&format!("@{name}")) => format!("@{name} {text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_service_are_mentioned_and_once() {
        assert_eq!(mentioning(Some("ann.b_1"), "hello"), "@ann.b_1 hello");
        assert_eq!(mentioning(Some("ann"), "hello @ann"), "hello @ann");
        for odd in [None, Some("Ann B"), Some(""), Some(&*"x".repeat(31))] {
            let text = mentioning(odd, "hello");
            assert_eq!(text, "hello", "{odd:?}");
        }
        assert!(is_id("12_34") && !is_id("../me") && !is_id(""));
    }
}
