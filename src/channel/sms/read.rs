//! A raw → what happened. Pure.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::consent::{self, Wish};
use super::settings::{Own, WHATSAPP};
use super::{callback, hook, status, told, words};
use crate::channel::shared::heard::LATE;
use crate::channel::shared::sign::hex;
use crate::channel::shared::twilio::form::Form;
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    Address, ChannelName, DeliveryId, Event, Flag, Form as Sort, Inbound, Meaning, Raw, Reach,
    RemoteId, Scheme, Sender, Standing, ThreadHint, ThreadKey, Timestamp, Trust, Wishes,
};

/// Reads what is for one number of ours.
pub(super) struct Reader {
    pub(super) channel: ChannelName,
    pub(super) own: Own,
    /// Who writes one of them wants to be called.
    pub(super) call_words: Vec<String>,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        let (form, sent_at) = told::read(raw)?;
        // The journal gives each of its raws a time.
        let received_at = raw.received_at.unwrap_or_default();
        let Some(sid) = told::sid(&form) else {
            if form.text("CallSid").is_some() {
                return Ok(Meaning::Ignore("it is about a call, and this channel is for messages"));
            }
            return Err(Unreadable("a request without a message".into()));
        };
        if !matches!(told::status(&form), "" | "received" | "receiving") {
            if !self.own.is(form.text("From"), form.text("MessagingServiceSid")) {
                return Ok(Meaning::Ignore("news of a message from another number"));
            }
            let delivery = raw.transport.get(hook::DELIVERY).and_then(|id| id.parse().ok());
            let delivery = delivery.map(|id: uuid::Uuid| DeliveryId::from(id));
            let to = form.text("To").map(|to| self.address(to));
            return Ok(status::read(&form, sid, (delivery, to), received_at));
        }
        if !self.own.is(form.text("To"), form.text("MessagingServiceSid")) {
            return Ok(Meaning::Ignore("it is for another number"));
        }
        self.message(&form, sid, (sent_at, received_at))
    }
}

impl Reader {
    fn message(
        &self,
        form: &Form,
        sid: &str,
        (sent_at, received_at): (Option<Timestamp>, Timestamp),
    ) -> Result<Meaning, Unreadable> {
        let from = form.text("From").or_else(|| form.text("ExternalUserId"));
        let from = from.ok_or_else(|| Unreadable("a message of nobody".into()))?;
        let address = self.address(from);
        let said = form.get("Body").unwrap_or_default().trim();
        let standing = |reach| {
            let (address, said) = (address.clone(), said.to_owned());
            Event::Standing(Standing { address, reach, said })
        };
        let mut events = match consent::wish(form, self.own.whatsapp) {
            Some(Wish::Stop) => return Ok(Meaning::Events(vec![standing(Reach::OptedOut)])),
            Some(Wish::Start) => return Ok(Meaning::Events(vec![standing(Reach::OptedIn)])),
            Some(Wish::Help) => {
                return Ok(Meaning::Ignore("the word HELP, which Twilio answers by itself"));
            }
            Some(Wish::Yes) => vec![standing(Reach::OptedIn)],
            None => Vec::new(),
        };
        let words = words::of(form);
        let occurred_at = sent_at.unwrap_or(received_at);
        let mut flags = BTreeSet::new();
        if ["Forwarded", "FrequentlyForwarded"].iter().any(|name| form.get(name) == Some("true")) {
            flags.insert(Flag::Forwarded);
        }
        if words.unknown {
            flags.insert(Flag::Unreadable);
        }
        if received_at - occurred_at > LATE {
            flags.insert(Flag::Late);
        }
        let parent = form.text("OriginalRepliedMessageSid").filter(|parent| *parent != sid);
        let dialled = address.scope.is_none();
        let number = Some(address.value.as_str()).filter(|_| dialled);
        let call = callback::wish(&self.call_words, said, number);
        let tags = call.iter().map(|_| "callback".to_owned()).collect();
        events.push(Event::Message(Box::new(Inbound {
            remote_id: RemoteId(sid.to_owned()),
            // The two ways tell different things of one message (a place, a name). But Twilio signs what it
            // says, and gives one name to one message: that is all that can be compared.
            digest: hex(&Sha256::digest(sid)),
            part_of: None,
            form: Sort::Message,
            sender: Sender {
                name: form.text("ProfileName").map(|name| name.trim().to_owned()),
                // WhatsApp has checked the number. In other networks anybody may write under any.
                trust: if self.own.whatsapp { Trust::Proven } else { Trust::Claimed },
                also: self.also(form, &address),
                address: Some(address),
            },
            reply_to: None,
            recipients: Vec::new(),
            thread: ThreadHint {
                parents: parent.map(|parent| RemoteId(parent.to_owned())).into_iter().collect(),
                key: Some(ThreadKey(from.trim().to_owned())),
                ..ThreadHint::default()
            },
            occurred_at,
            subject: None,
            text_full: words.full(),
            text: words.text,
            html: None,
            media: words::media(form),
            flags,
            auth: None,
            automated: (!dialled).then_some("a short code or a name wrote it, and no person"),
            wishes: Wishes { call, tags, ..Wishes::default() },
        })));
        Ok(Meaning::Events(events))
    }

    /// Somebody's number. Short codes, names, and the ids of people who hide their number are known on this channel
    /// only.
    fn address(&self, given: &str) -> Address {
        let bare = given.trim();
        let bare = bare.strip_prefix(WHATSAPP).unwrap_or(bare);
        Address::typed(Scheme::Tel, None, bare).unwrap_or_else(|| {
            let value = bare.chars().take(100).collect();
            Address { scheme: Scheme::Tel, scope: Some(self.channel.clone()), value }
        })
    }

    /// What else they are known by: the number as WhatsApp writes it, and the id that stays if they hide it.
    fn also(&self, form: &Form, address: &Address) -> Vec<Address> {
        let number = form.text("WaId").and_then(|digits| {
            Address::typed(Scheme::Tel, None, &format!("+{}", digits.trim_start_matches('+')))
        });
        let id = form.text("ExternalUserId").map(|id| self.address(id));
        number.into_iter().chain(id).filter(|other| other != address).collect()
    }
}
