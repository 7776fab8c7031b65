//! Messages between one person and a page of ours on Messenger, or an account of ours on Instagram.
//!
//! The two are one service with two faces: what differs is a [`Product`]. What is pushed and how calls are made is
//! in `shared::graph`; `read` understands what came in (`words` says it for people), `send` answers, `files` carries
//! files in both directions, `code` knows what the service's errors mean.

mod code;
mod files;
mod read;
mod send;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::shared::codes::Codes;
use super::shared::graph::notice::{Service, by_id};
use super::shared::graph::settings::{self, Access};
use super::{BadChannel, Channel, Kind, Site, Table};
use crate::model::{
    Capabilities, ChannelName, ChoiceLimit, MediaLimit, Policy, Rate, Receipts, Resend, Support,
    TextLimit, TextUnit,
};

/// `kind = "messenger"`.
pub const MESSENGER: Kind =
    Kind { name: "messenger", build: messenger, schema: settings::page_schema, sign_ins: None };

/// `kind = "instagram"`.
pub const INSTAGRAM: Kind =
    Kind { name: "instagram", build: instagram, schema: settings::account_schema, sign_ins: None };

/// The service lets answers through for so long after the customer last wrote.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// … and those that a human typed for so long, if the app has the permission.
const HUMAN_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// One face of the service.
struct Product {
    kind: &'static str,
    service: Service,
    /// What a request is about.
    object: &'static str,
    codes: Codes,
    text: TextLimit,
    /// What uploads have to say beside the file.
    platform: Option<&'static str>,
    /// What is asked for to see whether the account is ours.
    probe: &'static str,
    file_bytes_max: u64,
}

const ON_MESSENGER: Product = Product {
    kind: "messenger",
    service: Service { name: "Messenger", id: "messenger" },
    object: "page",
    codes: Codes { service: "Messenger", known: code::known },
    // The service counts characters; of those outside the first plane it may count two.
    text: TextLimit { max: 2000, unit: TextUnit::Utf16 },
    platform: None,
    probe: "id,name",
    file_bytes_max: 25 * 1024 * 1024,
};

const ON_INSTAGRAM: Product = Product {
    kind: "instagram",
    service: Service { name: "Instagram", id: "instagram" },
    object: "instagram",
    codes: Codes { service: "Instagram", known: code::known },
    text: TextLimit { max: 1000, unit: TextUnit::Bytes },
    platform: Some("instagram"),
    probe: "id,username",
    file_bytes_max: 25 * 1024 * 1024,
};

fn messenger(
    name: ChannelName,
    table: Table,
    policy: Policy,
    _: &Site,
) -> Result<Channel, BadChannel> {
    let access = settings::page(&name, table, &ON_MESSENGER.codes)?;
    Ok(build(&ON_MESSENGER, name, access, policy))
}

fn instagram(
    name: ChannelName,
    table: Table,
    policy: Policy,
    _: &Site,
) -> Result<Channel, BadChannel> {
    let access = settings::account(&name, table, &ON_INSTAGRAM.codes)?;
    Ok(build(&ON_INSTAGRAM, name, access, policy))
}

fn build(product: &'static Product, name: ChannelName, access: Access, policy: Policy) -> Channel {
    let human_agent = access.human_agent.unwrap_or(false);
    let account = Arc::new(send::Account {
        product,
        graph: access.graph,
        sender: access.sender,
        human_agent,
    });
    Channel {
        kind: product.kind,
        realm: access.realm,
        addresses: vec![by_id(&name, &access.own)],
        policy,
        capabilities: capabilities(product, human_agent),
        interpret: Arc::new(read::Reader {
            product,
            channel: name.clone(),
            own: access.own,
            hosts: access.hosts,
        }),
        pull: None,
        hook: Some(Arc::new(access.door)),
        listen: None,
        deliver: Some(Arc::new(send::Sender { account: account.clone() })),
        download: Some(Arc::new(files::Fetch { account })),
        chat: None,
        name,
    }
}

const fn capabilities(product: &Product, human_agent: bool) -> Capabilities {
    Capabilities {
        text: product.text,
        media: MediaLimit { bytes_max: product.file_bytes_max, count_max: 30, apart: true },
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Read,
        resend: Resend::MayDuplicate,
        opens: false,
        reply_window: Some(if human_agent { HUMAN_WINDOW } else { WINDOW }),
        templates: false,
        private: None,
        choices: Some(ChoiceLimit { count: 13, label_chars: 20, text: 2000 }),
        // Three hundred a second for a page.
        rate: Rate { per_minute: 6_000, per_recipient: Duration::ZERO, in_flight_max: 8 },
    }
}
