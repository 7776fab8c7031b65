//! What comes from outside, in the form in which both databases take it: no NUL in texts, and no key that
//! is too long for an index. The raw keeps all of it.

use sha2::{Digest as _, Sha256};

use crate::model::{
    Address, CallWish, Forward, Inbound, Linked, Moved, Party, Rating, Reaction, Receipt,
    ReceiptState, RemoteId, Standing, ThreadKey, Watermark,
};

/// PostgreSQL refuses keys of more than about 2,700 bytes, and a key may have three parts.
const KEY_BYTES_MAX: usize = 1000;
/// Messages that one message says it answers; the nearest come first.
const PARENTS_MAX: usize = 100;

/// A text without NUL.
pub(super) fn text(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

/// A text that others are compared with: one that is too long is known by its hash.
fn key(value: String) -> String {
    let value = text(value);
    if value.len() <= KEY_BYTES_MAX {
        return value;
    }
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(value.as_bytes())))
}

pub(super) fn remote_id(id: RemoteId) -> RemoteId {
    RemoteId(key(id.0))
}

fn address(address: Address) -> Address {
    Address { value: key(address.value), ..address }
}

fn party(party: Party) -> Party {
    Party { address: address(party.address), name: party.name.map(text) }
}

pub(super) fn receipt(mut receipt: Receipt) -> Receipt {
    receipt.target = receipt.target.map(remote_id);
    receipt.recipient = receipt.recipient.map(address);
    if let ReceiptState::Sent { remote_id: named } = &mut receipt.state {
        *named = remote_id(named.clone());
    }
    receipt
}

pub(super) fn watermark(mark: Watermark) -> Watermark {
    Watermark { address: address(mark.address), ..mark }
}

pub(super) fn rating(rating: Rating) -> Rating {
    Rating {
        thread: ThreadKey(key(rating.thread.0)),
        comment: text(rating.comment),
        by: address(rating.by),
        ..rating
    }
}

pub(super) fn reaction(reaction: Reaction) -> Reaction {
    Reaction {
        target: remote_id(reaction.target),
        by: address(reaction.by),
        emoji: reaction.emoji.map(text).filter(|emoji| !emoji.is_empty()),
    }
}

pub(super) fn standing(standing: Standing) -> Standing {
    Standing { address: address(standing.address), said: text(standing.said), ..standing }
}

pub(super) fn linked(linked: Linked) -> Linked {
    Linked { address: address(linked.address), ..linked }
}

pub(super) fn moved(moved: Moved) -> Moved {
    let thread = |named: ThreadKey| ThreadKey(key(named.0));
    let threads = moved.threads.into_iter().map(|(from, to)| (thread(from), thread(to)));
    Moved { from: address(moved.from), to: address(moved.to), threads: threads.collect() }
}

/// An id that names nothing. One that all mails without an id share would make them one ticket.
fn is_blank(id: &RemoteId) -> bool {
    id.0.trim_matches(|c: char| c.is_whitespace() || c == '<' || c == '>').is_empty()
}

/// All texts of a message.
pub(super) fn inbound(mut inbound: Inbound) -> Inbound {
    inbound.remote_id = remote_id(inbound.remote_id);
    inbound.digest = key(inbound.digest);
    inbound.part_of = inbound.part_of.map(remote_id);
    inbound.sender.address = inbound.sender.address.map(address);
    inbound.sender.name = inbound.sender.name.map(text);
    inbound.sender.also = inbound.sender.also.into_iter().map(address).collect();
    inbound.reply_to = inbound.reply_to.map(party);
    inbound.recipients = inbound.recipients.into_iter().map(party).collect();
    let thread = &mut inbound.thread;
    let parents = std::mem::take(&mut thread.parents).into_iter().take(PARENTS_MAX).map(remote_id);
    thread.parents = parents.filter(|id| !is_blank(id)).collect();
    let named = thread.key.take().filter(|key| !key.0.trim().is_empty());
    thread.key = named.map(|named| ThreadKey(key(named.0)));
    inbound.subject = inbound.subject.map(text);
    inbound.text = text(inbound.text);
    inbound.text_full = text(inbound.text_full);
    inbound.html = inbound.html.map(text);
    let wishes = &mut inbound.wishes;
    wishes.forward = wishes.forward.take().map(|one| {
        Box::new(Forward {
            from: party(one.from),
            sent_at: one.sent_at,
            subject: one.subject.map(text),
            text: text(one.text),
            above: text(one.above),
            remote_id: one.remote_id.map(remote_id),
        })
    });
    wishes.queue = wishes.queue.take().map(text);
    wishes.language = wishes.language.take().map(text);
    wishes.tags = std::mem::take(&mut wishes.tags).into_iter().map(text).collect();
    wishes.call = wishes.call.take().map(|call| CallWish {
        phone: text(call.phone),
        at: call.at,
        when: text(call.when),
        note: text(call.note),
        time_zone: call.time_zone,
    });
    inbound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_is_known_by_its_hash_and_a_short_one_by_itself() {
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        assert_eq!(key("a\0b".to_owned()), "ab");
        assert_eq!(key(long.clone()), key(long.clone()));
        assert_ne!(key(long.clone()), key(format!("{long}y")));
        assert_eq!(key(long).len(), "sha256:".len() + 64);
    }

    #[test]
    fn what_names_nothing_is_no_id() {
        for blank in ["", " ", "<>", "< >", "\t"] {
            assert!(is_blank(&RemoteId::new(blank)), "{blank:?}");
        }
        assert!(!is_blank(&RemoteId::new("a@b")));
    }
}
