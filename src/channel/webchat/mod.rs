//! Our own web chat: customers talk to us over our HTTP server, from the widget or a native app.
//!
//! There is no remote service. What a visitor says comes in by [`Chat`](crate::channel::Chat) and is a raw
//! like any other; what we say is delivered when the store has it, since the visitor reads from there.

mod admit;
mod read;
mod settings;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Accepted, BadChannel, Channel, Deliver, DeliverError, Kind, Site, Table, chat::ChatRules,
};
use crate::channel::shared::sign::Signer;
use crate::model::{
    Address, Capabilities, ChannelName, ChoiceLimit, MediaLimit, Outbound, Policy, Rate, Realm,
    Receipts, RemoteId, Resend, Scheme, Support, TextLimit, TextUnit,
};
use settings::Settings;

/// `kind = "webchat"`.
pub const KIND: Kind = Kind { name: "webchat", build, schema: settings::schema, sign_ins: None };

/// Our own name on a channel: no visitor is ever called so.
const DESK: &str = "desk";

/// One web chat.
struct WebChat {
    name: ChannelName,
    settings: Settings,
    rules: ChatRules,
    signer: Signer,
}

fn build(
    name: ChannelName,
    table: Table,
    policy: Policy,
    site: &Site,
) -> Result<Channel, BadChannel> {
    let settings = settings::read(&name, table)?;
    let rules = settings.rules();
    let chat =
        Arc::new(WebChat { name: name.clone(), settings, rules, signer: site.signer.clone() });
    Ok(Channel {
        realm: Realm(format!("webchat:{name}")),
        addresses: vec![address(&name, DESK)],
        kind: KIND.name,
        policy,
        capabilities: capabilities(),
        interpret: chat.clone(),
        pull: None,
        hook: None,
        listen: None,
        deliver: Some(Arc::new(Shelf)),
        download: None,
        chat: Some(chat),
        name,
    })
}

/// A visitor's address: of this channel only.
fn address(channel: &ChannelName, visitor: &str) -> Address {
    Address { scheme: Scheme::Web, scope: Some(channel.clone()), value: visitor.to_owned() }
}

const fn capabilities() -> Capabilities {
    Capabilities {
        text: TextLimit { max: 20_000, unit: TextUnit::Chars },
        media: MediaLimit { bytes_max: 25 * 1024 * 1024, count_max: 10, apart: false },
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Read,
        resend: Resend::Safe,
        // There is nobody to write to before somebody came.
        opens: false,
        reply_window: None,
        templates: false,
        private: None,
        choices: Some(ChoiceLimit { count: 20, label_chars: 60, text: 20_000 }),
        rate: Rate { per_minute: 0, per_recipient: Duration::ZERO, in_flight_max: 16 },
    }
}

/// Hands nothing over: what is marked as sent is what the visitor's next look finds.
struct Shelf;

#[async_trait]
impl Deliver for Shelf {
    fn remote_id(&self, outbound: &Outbound) -> Option<RemoteId> {
        Some(RemoteId::new(outbound.delivery.to_string()))
    }

    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let remote_id = RemoteId::new(outbound.delivery.to_string());
        Ok(Accepted { remote_id, warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        Ok(())
    }
}
