//! Mail: IMAP, LMTP or a pipe in, SMTP out.

pub mod compose;
pub mod dkim;
pub mod imap;
pub mod lmtp;
pub mod oauth;
pub mod read;
pub mod settings;
pub mod smtp;
pub mod thread;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use super::{BadChannel, Channel, Deliver, Kind, Listen, Pull, SignIn, Site, Table};
use crate::model::{
    Capabilities, ChannelName, Duplicates, MediaLimit, OwnAddresses, Policy, Rate, Realm, Receipts,
    Resend, Support, TextLimit, TextUnit,
};
use compose::Letterhead;
use oauth::TokenSource;
use settings::{Grant, Login, Protocol, Settings, Submission};

/// `kind = "email"`.
pub const KIND: Kind =
    Kind { name: "email", build, schema: settings::schema, sign_ins: Some(sign_ins) };

fn sign_ins(name: &ChannelName, table: Table) -> Result<Vec<Box<dyn SignIn>>, BadChannel> {
    Ok(oauth::sign_ins(&settings::read(name, table)?))
}

/// Mail channels share it: one mail to two of our mailboxes has one Message-ID.
const REALM: &str = "email";
/// Longest text of one mail; longer ones are no answers any more.
const TEXT_CHARS_MAX: u32 = 1_000_000;
/// Attachments of one mail, before they are encoded. Servers tell their own limit when we connect.
const MEDIA_BYTES_MAX: u64 = 25 << 20;
const MEDIA_COUNT_MAX: u16 = 50;

fn build(
    name: ChannelName,
    table: Table,
    policy: Policy,
    site: &Site,
) -> Result<Channel, BadChannel> {
    let settings = settings::read(&name, table)?;
    let addresses = settings.own_addresses();
    let own = OwnAddresses(addresses.iter().cloned().collect());
    let mut parts = Parts { channel: &name, site, tokens: Vec::new() };
    let pull = parts.pull(&settings)?;
    let listen = parts.listen(&settings, &own)?;
    let deliver = parts.deliver(&settings, own)?;
    let trusted = settings.trusted_authserv().to_vec();
    let interpret = read::Reader::new(addresses.clone(), site.signer.clone(), trusted);
    Ok(Channel {
        kind: KIND.name,
        realm: realm(&name, &policy),
        addresses,
        policy,
        capabilities: capabilities(settings.send.as_ref()),
        interpret: Arc::new(interpret),
        pull,
        hook: None,
        listen,
        deliver,
        download: None,
        chat: None,
        name,
    })
}

/// One mail to two of our mailboxes is one message, unless the admin wants it in both.
fn realm(channel: &ChannelName, policy: &Policy) -> Realm {
    match policy.duplicates {
        Duplicates::Join => Realm(REALM.to_owned()),
        Duplicates::Separate => Realm(format!("{REALM}:{channel}")),
    }
}

fn capabilities(send: Option<&Submission>) -> Capabilities {
    Capabilities {
        text: TextLimit { max: TEXT_CHARS_MAX, unit: TextUnit::Chars },
        media: MediaLimit { bytes_max: MEDIA_BYTES_MAX, count_max: MEDIA_COUNT_MAX, apart: false },
        subject: true,
        html: true,
        copies: true,
        signs: true,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Failures,
        resend: Resend::MayDuplicate,
        opens: true,
        reply_window: None,
        templates: false,
        private: None,
        choices: None,
        rate: Rate {
            per_minute: send.map_or(0, |send| send.rate_per_minute),
            per_recipient: Duration::ZERO,
            in_flight_max: send.map_or(1, |send| send.connections_max),
        },
    }
}

/// Makes the parts of one channel.
struct Parts<'a> {
    channel: &'a ChannelName,
    site: &'a Site,
    /// One source for each place in the vault: two of them would take each other's refresh token.
    tokens: Vec<(String, Arc<TokenSource>)>,
}

impl Parts<'_> {
    fn pull(&mut self, settings: &Settings) -> Result<Option<Arc<dyn Pull>>, BadChannel> {
        let protocol = settings.receive.as_ref().map(|receive| &receive.protocol);
        let Some(Protocol::Imap(imap)) = protocol else { return Ok(None) };
        let tokens = self.tokens(&imap.login);
        let pull = imap::ImapPull::new(self.channel.clone(), (**imap).clone(), tokens)
            .map_err(|problem| BadChannel::at(self.channel, "receive", problem))?;
        Ok(Some(Arc::new(pull)))
    }

    fn listen(
        &self,
        settings: &Settings,
        own: &OwnAddresses,
    ) -> Result<Option<Arc<dyn Listen>>, BadChannel> {
        let protocol = settings.receive.as_ref().map(|receive| &receive.protocol);
        let Some(Protocol::Lmtp(lmtp)) = protocol else { return Ok(None) };
        let verifier = lmtp.verify.then(verify::Verifier::system).transpose();
        let verifier = verifier.map_err(|error| {
            let problem = format!("the resolvers of this machine cannot be used: {error}");
            BadChannel::at(self.channel, "receive.verify", problem)
        })?;
        Ok(Some(Arc::new(lmtp::Lmtp {
            listen: lmtp.listen.clone(),
            host: settings.domain(),
            recipients: lmtp::Recipients::Own(own.clone()),
            size_max: lmtp.size_max,
            patience: lmtp::Patience::default(),
            verifier: verifier.map(Arc::new),
        })))
    }

    fn deliver(
        &mut self,
        settings: &Settings,
        own: OwnAddresses,
    ) -> Result<Option<Arc<dyn Deliver>>, BadChannel> {
        let Some(send) = &settings.send else { return Ok(None) };
        let tokens = self.tokens(&send.login);
        let at = |(key, problem): (&str, String)| BadChannel::at(self.channel, key, problem);
        let sent = match settings.receive.as_ref().map(|receive| &receive.protocol) {
            Some(Protocol::Imap(imap)) => {
                let tokens = self.tokens(&imap.login);
                imap::SentFolder::new(&send.save_to_sent, imap, tokens)
                    .map_err(|problem| at(("send.save_to_sent", problem)))?
            }
            Some(Protocol::Lmtp(_) | Protocol::Pipe) | None => None,
        };
        let letterhead = letterhead(settings, send, own, self.site);
        let smtp = smtp::Smtp::new(send, letterhead, tokens, sent).map_err(at)?;
        Ok(Some(Arc::new(smtp)))
    }

    /// The source of tokens that a login asks for, if it asks for one.
    fn tokens(&mut self, login: &Login) -> Option<Arc<TokenSource>> {
        let Login::OAuth { oauth, .. } = login else { return None };
        // Of a service account each mailbox has tokens of its own.
        let key = match &oauth.grant {
            Grant::ServiceAccount { subject, .. } => format!("{} {subject}", oauth.vault_name),
            Grant::RefreshToken(_) | Grant::ClientCredentials => oauth.vault_name.clone(),
        };
        if let Some((_, known)) = self.tokens.iter().find(|(known, _)| *known == key) {
            return Some(Arc::clone(known));
        }
        let vault = Arc::clone(&self.site.vault);
        let source = TokenSource::new(self.channel.clone(), (**oauth).clone(), vault);
        let source = Arc::new(source);
        self.tokens.push((key, Arc::clone(&source)));
        Some(source)
    }
}

fn letterhead(
    settings: &Settings,
    send: &Submission,
    own: OwnAddresses,
    site: &Site,
) -> Letterhead {
    Letterhead {
        address: send.from.clone().unwrap_or_else(|| settings.address.clone()),
        name: settings.name.clone(),
        agent_name: send.agent_name.clone().unwrap_or_else(|| {
            let desk = settings.name.as_ref().map(|_| "{name}");
            desk.unwrap_or_default().to_owned()
        }),
        subject_tag: send.subject_tag,
        plus_address: send.plus_address,
        signature: send.signature.clone(),
        signature_html: None,
        own,
        signer: site.signer.clone(),
    }
}

#[cfg(test)]
mod tests;
