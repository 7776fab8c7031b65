//! Has an address proven: a code goes to it, and the conversation that says it is theirs has to bring it back.

use std::sync::Arc;

use super::reply::{speaks, suits};
use super::{Engine, ReplyError, Running, failpoint};
use crate::channel::Channel;
use crate::desk::proof::{ProofCode, ProofWords, can_be_made_up, filled, masked};
use crate::desk::{self, CannotReply, Draft};
use crate::model::{
    Actor, Address, ChannelName, MessageId, OwnAddresses, Party, Scheme, TicketId, Timestamp,
};
use crate::store::{Answer, By, NewProof, Once, ProofLetter, ProofView, StoreError};

/// An address that a customer says is theirs.
#[derive(Debug, Clone)]
pub struct ProofRequest {
    /// The ticket in which they say so.
    pub ticket: TicketId,
    /// Refuse when the ticket has changed since.
    pub version: Option<i64>,
    /// The address.
    pub address: Address,
    /// By which channel the code goes there; none: one that can.
    pub via: Option<ChannelName>,
    /// Who asks.
    pub actor: Actor,
    /// The same wish twice is one code.
    pub once: Option<Once>,
}

impl Engine {
    /// Queues a code for an address, and a message in the conversation that asks for it: durable when this returns.
    pub async fn check_address(
        &self,
        request: ProofRequest,
    ) -> Result<Answer<ProofView>, ReplyError> {
        let asker = self.store.proof_asker(request.ticket).await?;
        let (now, own) = (self.clock.now(), self.own_addresses());
        let address = request.address;
        let refused = |why: &str| Err(StoreError::Refused(why.to_owned()).into());
        if own.contains(&address) {
            return refused("this address is one of our own");
        }
        if asker.address == address {
            return refused("it is the address that they write from");
        }
        let back = self.running(&asker.channel).filter(|running| can_send(&running.channel));
        let back = back.ok_or_else(|| ReplyError::NoChannel(asker.channel.clone()))?;
        let way = self.way_to(&address, request.via.as_ref(), &asker.channel)?;
        if desk::is_blocked(&way.channel.policy, &address.value) {
            return refused("the address is blocked");
        }
        let words = ProofWords::of(asker.language.as_deref());
        let desk = desk_name(&way.channel, &own);
        let both_sides = can_be_made_up(asker.address.scheme);
        let asks = if both_sides { words.asks_both } else { words.asks };
        let (asks, shown) = (filled(asks, &desk, &masked(&address)), masked(&address));
        let letter = filled(words.letter, &desk, &shown);
        let letter = letter_of(&way.channel, letter, None, now)?;
        // Where they wrote is answered: what its service allows counts from there.
        let asks = letter_of(&back.channel, asks, Some(asker.last_inbound_at), now)?;
        let new = NewProof {
            asker,
            address,
            code: ProofCode::make(|below| rand::random_range(0..below)),
            both_sides,
            subject: words.subject.to_owned(),
            letter,
            asks,
        };
        let by = By { actor: request.actor, version: request.version, once: request.once, now };
        let queued = self.store.ask_for_proof(new, by).await?;
        failpoint::hit("proof.queued");
        way.outbox.notify_one();
        back.outbox.notify_one();
        Ok(queued)
    }

    /// A channel that can open a conversation with this address: the one asked for, else that of the ticket, else the
    /// first one.
    fn way_to(
        &self,
        address: &Address,
        via: Option<&ChannelName>,
        own: &ChannelName,
    ) -> Result<Arc<Running>, ReplyError> {
        let party = Party { address: address.clone(), name: None };
        let reaches = |running: &Arc<Running>| {
            let channel = &running.channel;
            let can = &channel.capabilities;
            let opens = can.opens && can.reply_window.is_none();
            can_send(channel) && opens && suits(&party, channel)
        };
        if let Some(via) = via {
            let running = self.running(via).ok_or_else(|| ReplyError::NoChannel(via.clone()))?;
            return if reaches(&running) {
                Ok(running)
            } else {
                Err(ReplyError::NoAddress(via.clone()))
            };
        }
        let mut ways: Vec<_> = self.all_running().into_iter().filter(reaches).collect();
        ways.sort_by_key(|running| (running.channel.name != *own, running.channel.name.clone()));
        let none = || StoreError::Refused("no channel can write to such an address".to_owned());
        Ok(ways.into_iter().next().ok_or_else(none)?)
    }
}

/// What people know us by: a mail address of ours, that of the channel first.
fn desk_name(channel: &Channel, own: &OwnAddresses) -> String {
    let mail = |address: &&Address| address.scheme == Scheme::Email;
    let of_channel = channel.addresses.iter().find(mail);
    let any = of_channel.or_else(|| own.0.iter().find(mail)).or(channel.addresses.first());
    any.map_or_else(|| channel.name.to_string(), |address| address.value.clone())
}

/// Sends it, and as something that is read?
fn can_send(channel: &Channel) -> bool {
    channel.deliver.is_some() && !speaks(channel)
}

/// `answers`: when the customer last wrote, where it answers them.
#[expect(clippy::option_option, reason = "opens a conversation, or answers in one at some time")]
fn letter_of(
    channel: &Channel,
    text: String,
    answers: Option<Option<Timestamp>>,
    now: Timestamp,
) -> Result<ProofLetter, CannotReply> {
    let draft = Draft {
        text: text.clone(),
        html: None,
        attachments: Vec::new(),
        copies: 0,
        opens: answers.is_none(),
        template: false,
        private: false,
    };
    let parts = desk::parts(&draft, &channel.capabilities, answers.flatten(), now)?;
    Ok(ProofLetter {
        message: MessageId::new(),
        channel: channel.name.clone(),
        realm: channel.realm.clone(),
        text,
        parts: parts.into_iter().map(|part| part.text).collect(),
    })
}
