//! Comments under the posts of a page on Facebook, and of an account on Instagram.
//!
//! What is written there is public, and so is the answer; once, and within a week, an answer can be private. A
//! ticket is what one person says under one comment of one post. What is pushed and how calls are made is in
//! `shared::graph`; `read` understands what came in, `send` answers.

mod code;
mod read;
mod send;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::shared::codes::Codes;
use super::shared::graph::account::Graph;
use super::shared::graph::media;
use super::shared::graph::notice::{Service, by_id};
use super::shared::graph::settings::{self, Access};
use super::{BadChannel, Channel, Download, DownloadError, Kind, Site, Table};
use crate::model::{
    Capabilities, ChannelName, MediaLimit, MediaRef, Policy, PrivateReply, Rate, Receipts, Resend,
    Support, TextLimit, TextUnit,
};

/// `kind = "facebook_comments"`.
pub const FACEBOOK: Kind = Kind {
    name: "facebook_comments",
    build: facebook,
    schema: || settings::of_comments(settings::page_schema()),
    sign_ins: None,
};

/// `kind = "instagram_comments"`.
pub const INSTAGRAM: Kind = Kind {
    name: "instagram_comments",
    build: instagram,
    schema: || settings::of_comments(settings::account_schema()),
    sign_ins: None,
};

/// So long after a comment its author can be written to in private.
const PRIVATE_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// One of the two services.
struct Product {
    kind: &'static str,
    service: Service,
    /// What a request is about.
    object: &'static str,
    codes: Codes,
    /// Longest comment.
    text: TextLimit,
    /// Longest private answer.
    private: TextLimit,
    /// What is below a comment.
    replies: &'static str,
    /// Are answers to answers put beside them, so that they have to name whom they mean?
    mentions: bool,
    /// What is asked for to see whether the account is ours.
    probe: &'static str,
}

const ON_FACEBOOK: Product = Product {
    kind: "facebook_comments",
    service: Service { name: "Facebook", id: "facebook" },
    object: "page",
    codes: Codes { service: "Facebook", known: code::known },
    text: TextLimit { max: 8000, unit: TextUnit::Utf16 },
    private: TextLimit { max: 2000, unit: TextUnit::Utf16 },
    replies: "comments",
    mentions: false,
    probe: "id,name",
};

const ON_INSTAGRAM: Product = Product {
    kind: "instagram_comments",
    service: Service { name: "Instagram", id: "instagram" },
    object: "instagram",
    codes: Codes { service: "Instagram", known: code::known },
    // Of the service's 300 characters some are kept for the name of whoever is answered.
    text: TextLimit { max: 300 - send::MENTION_MAX, unit: TextUnit::Utf16 },
    private: TextLimit { max: 1000, unit: TextUnit::Bytes },
    replies: "replies",
    mentions: true,
    probe: "id,username",
};

fn facebook(
    name: ChannelName,
    table: Table,
    policy: Policy,
    _: &Site,
) -> Result<Channel, BadChannel> {
    let access = settings::page(&name, table, &ON_FACEBOOK.codes)?;
    build(&ON_FACEBOOK, name, access, policy)
}

fn instagram(
    name: ChannelName,
    table: Table,
    policy: Policy,
    _: &Site,
) -> Result<Channel, BadChannel> {
    let access = settings::account(&name, table, &ON_INSTAGRAM.codes)?;
    build(&ON_INSTAGRAM, name, access, policy)
}

fn build(
    product: &'static Product,
    name: ChannelName,
    access: Access,
    policy: Policy,
) -> Result<Channel, BadChannel> {
    if access.human_agent.is_some() {
        let problem = "comments have no such thing: it is for private messages";
        return Err(BadChannel::at(&name, "human_agent", problem));
    }
    let graph = Arc::new(access.graph);
    Ok(Channel {
        kind: product.kind,
        realm: access.realm,
        addresses: vec![by_id(&name, &access.own)],
        policy,
        capabilities: capabilities(product),
        interpret: Arc::new(read::Reader { product, channel: name.clone(), own: access.own }),
        pull: None,
        hook: Some(Arc::new(access.door)),
        listen: None,
        deliver: Some(Arc::new(send::Sender {
            product,
            graph: graph.clone(),
            sender: access.sender,
        })),
        download: Some(Arc::new(Fetch(graph))),
        chat: None,
        name,
    })
}

const fn capabilities(product: &Product) -> Capabilities {
    Capabilities {
        text: product.text,
        media: MediaLimit { bytes_max: 0, count_max: 0, apart: true },
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Never,
        resend: Resend::MayDuplicate,
        opens: false,
        reply_window: None,
        templates: false,
        choices: None,
        private: Some(PrivateReply { text: product.private, window: PRIVATE_WINDOW }),
        // The service calls more than that spam; and 750 private ones are allowed in an hour.
        rate: Rate { per_minute: 60, per_recipient: Duration::ZERO, in_flight_max: 2 },
    }
}

/// Fetches pictures that people put into their comments.
struct Fetch(Arc<Graph>);

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        media::fetch(&self.0, media).await
    }
}
