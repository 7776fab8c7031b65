//! News of what we sent: moves a delivery forward, and remembers addresses that are bad.

use serde_json::json;
use uuid::Uuid;

use super::super::event::NewEvent;
use super::super::outbox::state_of;
use super::Prepared;
use super::apply::Work;
use crate::desk;
use crate::model::{Actor, DeliveryState, Receipt, ReceiptState};

/// A delivery whose state changes.
pub(super) struct Moved {
    pub(super) id: Uuid,
    pub(super) state: DeliveryState,
    /// The service's name for it, if nobody had told it before: the answer to our call got lost.
    pub(super) name: Option<String>,
}

/// An address to which nothing is sent unasked any more.
pub(super) struct Suppressed {
    pub(super) scheme: String,
    pub(super) value: String,
    pub(super) reason: String,
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
            return false;
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

    /// An answer came back: the customer does not have it, so somebody has to act.
    fn act_on(&mut self, one: &Prepared, ticket: Uuid) {
        let Some(kept) = self.facts.tickets.get_mut(&ticket) else { return };
        if matches!(kept.row.status.as_str(), "pending" | "solved") {
            kept.row.version += 1;
            self.wake(one, ticket);
        }
    }
}
