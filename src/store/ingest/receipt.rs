//! News of what we sent: moves a delivery forward, and remembers addresses that are bad.

use serde_json::json;
use uuid::Uuid;

use super::super::event::NewEvent;
use super::super::millis;
use super::super::outbox::state_of;
use super::super::standing::Suppressed;
use super::Prepared;
use super::apply::Work;
use crate::desk;
use crate::model::{Actor, Called, DeliveryState, Reached, Receipt, ReceiptState, Watermark};

/// A delivery whose state changes.
pub(super) struct Moved {
    pub(super) id: Uuid,
    pub(super) state: DeliveryState,
    /// The service's name for it, if nobody had told it before: the answer to our call got lost.
    pub(super) name: Option<String>,
}

impl Work {
    /// `false`: we know of no such delivery (yet).
    pub(super) fn receipt(&mut self, one: &Prepared, receipt: &Receipt) -> bool {
        let by_id = receipt.delivery.map(crate::model::DeliveryId::uuid);
        // Whoever vouches for the news can do so for what went out by them only.
        let realm = &one.channel.realm.0;
        let ours =
            |id: &Uuid| self.facts.deliveries.get(id).is_some_and(|known| known.realm == *realm);
        let by_id = by_id.filter(ours);
        let by_remote = || {
            let key = (one.channel.realm.0.clone(), receipt.target.as_ref()?.0.clone());
            self.facts.delivery_by_remote.get(&key).copied()
        };
        let named =
            by_id.is_none_or(|id| self.facts.delivery_by_remote.values().any(|known| *known == id));
        let name = receipt.target.as_ref().filter(|_| !named).map(|name| name.0.clone());
        let Some(delivery) =
            by_id.or_else(by_remote).and_then(|id| self.facts.deliveries.get_mut(&id))
        else {
            // One of ours wrote it on the service itself: it waits for nothing.
            let target = receipt.target.as_ref();
            return target.is_some_and(|target| {
                self.facts.seen.contains_key(&(realm.clone(), target.0.clone()))
            }) && !matches!(receipt.state, ReceiptState::Sent { .. });
        };
        let recipient = receipt.recipient.as_ref();
        let about_copy = recipient.is_some_and(|address| address.value != delivery.to.1);
        let to = recipient.map_or_else(
            || delivery.to.clone(),
            |address| (address.scheme.as_str().to_owned(), address.value.clone()),
        );
        let reason = match &receipt.state {
            ReceiptState::Failed { address_is_bad: true, cause } => Some(cause.clone()),
            ReceiptState::Complained => Some("complained".to_owned()),
            ReceiptState::Failed { .. }
            | ReceiptState::Sent { .. }
            | ReceiptState::Delivered
            | ReceiptState::Read
            | ReceiptState::Delayed(_) => None,
        };
        if let Some(reason) = reason {
            let (scheme, value) = to;
            self.suppressions.push(Suppressed { scheme, value, reason });
        }
        let old = state_of(&delivery.state, delivery.error.as_deref());
        let new = if about_copy { None } else { desk::advance(&old, &receipt.state) };
        let mut event = NewEvent::of(delivery.ticket, "delivery.updated", Actor::system());
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({
            "id": delivery.id,
            "receipt": format!("{:?}", receipt.state),
            "recipient": recipient.map(|address| &address.value),
            "status": new.as_ref().unwrap_or(&old).status(),
        });
        self.events.push(event);
        if let Some(state) = new {
            state.status().as_str().clone_into(&mut delivery.state);
            let (id, ticket, automated) = (delivery.id, delivery.ticket, delivery.automated);
            let bounced = matches!(state, DeliveryState::Bounced { .. });
            if let Some(name) = &name {
                self.facts.delivery_by_remote.insert((realm.clone(), name.clone()), id);
            }
            self.deliveries.push(Moved { id, state, name });
            if bounced && !automated {
                self.act_on(one, ticket);
            }
        }
        true
    }

    /// News of all that went to somebody up to a moment. `false`: for some of it, it is not known yet whether it
    /// went out at all.
    pub(super) fn watermark(&mut self, one: &Prepared, mark: &Watermark) -> bool {
        let (state, behind): (_, &[&str]) = match mark.reached {
            Reached::Delivered => (ReceiptState::Delivered, &["sent"]),
            Reached::Read => (ReceiptState::Read, &["sent", "delivered"]),
        };
        let up_to = millis(mark.up_to);
        let concerned = self.facts.deliveries.values().filter(|known| {
            known.realm == one.channel.realm.0
                && known.to.0 == mark.address.scheme.as_str()
                && known.to.1 == mark.address.value
                && known.since.is_some_and(|since| since <= up_to)
        });
        let mut concerned: Vec<(Uuid, String)> =
            concerned.map(|known| (known.id, known.state.clone())).collect();
        concerned.sort_unstable();
        let mut in_doubt = false;
        for (id, known) in concerned {
            in_doubt |= matches!(known.as_str(), "sending" | "unconfirmed");
            if behind.contains(&known.as_str()) {
                let delivery = Some(id.into());
                let (state, at) = (state.clone(), mark.up_to);
                let news = Receipt { delivery, target: None, recipient: None, state, at };
                self.receipt(one, &news);
            }
        }
        !in_doubt || !self.may_wait(one)
    }

    /// A call that we made for an agent is over. `false`: we know of no such delivery (yet).
    pub(super) fn called(&mut self, one: &Prepared, called: &Called) -> bool {
        let known = self.facts.deliveries.get(&called.delivery.uuid());
        let ours = known.is_some_and(|known| known.realm == one.channel.realm.0);
        self.called.extend(ours.then(|| (*called, one.channel.callbacks.clone())));
        ours
    }

    /// An answer came back: the customer does not have it, so somebody has to act.
    fn act_on(&mut self, one: &Prepared, ticket: Uuid) {
        let Some(kept) = self.facts.tickets.get_mut(&ticket) else { return };
        if matches!(kept.row.status.as_str(), "pending" | "solved") {
            kept.row.version += 1;
            self.wake(one, ticket);
        }
    }
}
