//! Whose message is it?

use uuid::Uuid;

use super::super::entity::{contact, identity, participant};
use super::super::millis;
use super::super::ticket::MERGES_MAX;
use super::apply::Work;
use super::facts::{AddressKey, Kept, address_key};
use super::{Prepared, PreparedMessage};
use crate::desk::language::{self, Clue};
use crate::model::{Actor, Address, Form, Inbound, Trust};

impl Work {
    pub(super) fn contact(&mut self, inbound: &Inbound) -> Uuid {
        let contact = self.contact_by_address(inbound);
        for address in &inbound.sender.also {
            let key = address_key(address, Trust::Claimed);
            if !self.facts.identities.contains_key(&key) {
                self.add_identity(contact, key, (&address.value, Trust::Claimed));
            }
        }
        contact
    }

    /// The language of a message. What it says for sure holds for the ticket from now on, and for a contact
    /// of whom nobody knew; a text that says too little is in the language that was known.
    pub(super) fn language(
        &mut self,
        prepared: &PreparedMessage,
        (ticket, contact): (Uuid, Uuid),
        ours: Option<&Actor>,
    ) -> Option<String> {
        let guess = prepared.language;
        if ours.is_some() || prepared.inbound.form == Form::Notice {
            return language::settle(guess, None);
        }
        let of_contact = self.facts.contacts.get(&contact);
        let of_contact = of_contact.and_then(|kept| kept.row.language.clone());
        let kept = self.facts.tickets.get_mut(&ticket)?;
        let known = kept.row.language.clone().or(of_contact.clone());
        let settled = language::settle(guess, known.as_deref());
        if kept.row.language != settled {
            kept.row.language.clone_from(&settled);
            kept.changed = true;
        }
        let sure = guess.is_some_and(|guess| guess.clue != Clue::Weak);
        if of_contact.is_none()
            && sure
            && let Some(kept) = self.facts.contacts.get_mut(&contact)
        {
            kept.row.language.clone_from(&settled);
            kept.changed = true;
        }
        settled
    }

    fn contact_by_address(&mut self, inbound: &Inbound) -> Uuid {
        let name = inbound.sender.name.clone().filter(|name| !name.is_empty());
        let Some(address) = &inbound.sender.address else {
            return self.new_contact(name.unwrap_or_else(|| "unknown sender".to_owned()));
        };
        let key = address_key(address, inbound.sender.trust);
        if let Some(identity) = self.facts.identities.get_mut(&key) {
            if inbound.sender.trust == Trust::Proven && identity.row.trust == "claimed" {
                identity.row.trust = "proven".to_owned();
                identity.changed = true;
            }
            let id = identity.row.contact;
            let contact = self.survivor_of_contact(id);
            self.named_at_last(contact, address, name);
            return contact;
        }
        let contact = self.new_contact(name.unwrap_or_else(|| address.value.clone()));
        self.add_identity(contact, key, (&address.value, inbound.sender.trust));
        contact
    }

    /// Somebody of whom only the address was known says what they are called.
    fn named_at_last(&mut self, contact: Uuid, address: &Address, name: Option<String>) {
        let nameless = address.nameless();
        if let Some(name) = name.filter(|name| *name != nameless)
            && let Some(kept) = self.facts.contacts.get_mut(&contact)
            && kept.row.name == nameless
        {
            kept.row.name.clone_from(&name);
            if !kept.fresh {
                self.named.push((contact, nameless, name));
            }
        }
    }

    fn add_identity(&mut self, contact: Uuid, key: AddressKey, (shown, trust): (&str, Trust)) {
        let row = identity::Model {
            id: Uuid::now_v7(),
            contact,
            scheme: key.0.clone(),
            scope: key.1.clone(),
            value: key.2.clone(),
            shown: shown.to_owned(),
            trust: match trust {
                Trust::Forged => "forged",
                Trust::Claimed => "claimed",
                Trust::Proven => "proven",
            }
            .to_owned(),
            created_at: millis(self.now),
        };
        self.identities.push(row.clone());
        self.facts.identities.insert(key, Kept::old(row));
    }

    pub(super) fn survivor_of_contact(&self, mut id: Uuid) -> Uuid {
        for _ in 0..MERGES_MAX {
            match self.facts.contacts.get(&id).and_then(|kept| kept.row.merged_into) {
                Some(survivor) => id = survivor,
                None => break,
            }
        }
        id
    }

    /// Everybody named in it may write into the ticket from now on: but for whoever failed the checks of
    /// their address, and for our own addresses, as which anybody might write.
    pub(super) fn join(&mut self, one: &Prepared, ticket: Uuid, inbound: &Inbound) {
        let own = &one.channel.own;
        let believed = inbound.sender.trust != Trust::Forged;
        let sender = inbound.sender.address.iter().map(|address| (address, &inbound.sender.name));
        let reply_to = inbound.reply_to.iter().map(|party| (&party.address, &party.name));
        let others = inbound.recipients.iter().map(|party| (&party.address, &party.name));
        let others = reply_to.chain(others).filter(|(address, _)| !own.contains(address));
        for (address, name) in sender.filter(|_| believed).chain(others) {
            let scheme = address.scheme.as_str().to_owned();
            let key = (ticket, scheme.clone(), address.value.clone());
            if self.facts.participants.insert(key) {
                self.participants.push(participant::Model {
                    ticket,
                    scheme,
                    value: address.value.clone(),
                    name: name.clone(),
                    since: millis(self.now),
                });
            }
        }
    }

    fn new_contact(&mut self, name: String) -> Uuid {
        let id = crate::model::ContactId::new().uuid();
        let now = millis(self.now);
        let row = contact::Model {
            id,
            name,
            language: None,
            note: None,
            version: 1,
            created_at: now,
            updated_at: now,
            erased_at: None,
            merged_into: None,
        };
        self.facts.contacts.insert(id, Kept { row, fresh: true, changed: false });
        id
    }
}
