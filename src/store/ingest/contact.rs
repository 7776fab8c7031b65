//! Whose message is it?

use uuid::Uuid;

use super::super::entity::{contact, identity};
use super::super::millis;
use super::apply::Work;
use super::facts::{AddressKey, Kept, address_key};
use crate::model::{Inbound, Trust};

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
            return self.survivor_of_contact(id);
        }
        let contact = self.new_contact(name.unwrap_or_else(|| address.value.clone()));
        self.add_identity(contact, key, (&address.value, inbound.sender.trust));
        contact
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
        for _ in 0..16 {
            match self.facts.contacts.get(&id).and_then(|kept| kept.row.merged_into) {
                Some(survivor) => id = survivor,
                None => break,
            }
        }
        id
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
