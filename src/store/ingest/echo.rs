//! What one of ours wrote on the service itself, or what the service repeats of our own sending.

use super::super::millis;
use super::apply::Work;
use super::{Ingested, Prepared, PreparedEcho, PreparedMessage};
use crate::model::{Actor, ActorKind, Receipt, ReceiptState, Timestamp};

impl Work {
    /// `false`: it may be what is being sent right now, and has to wait until that is known by a name.
    pub(super) fn echo(
        &mut self,
        one: &Prepared,
        echo: &PreparedEcho,
        result: &mut Ingested,
    ) -> bool {
        let message = &echo.message;
        // What we sent ourselves is in its ticket already; that it comes back proves that it went out.
        let sent = Receipt {
            delivery: echo.delivery,
            target: Some(message.inbound.remote_id.clone()),
            recipient: None,
            state: ReceiptState::Sent { remote_id: message.inbound.remote_id.clone() },
            at: message.inbound.occurred_at,
        };
        if self.receipt(one, &sent) {
            return true;
        }
        if echo.delivery.is_none() && self.may_wait(one) && self.is_being_sent(one, message) {
            return false;
        }
        let name = echo.by.clone().unwrap_or_else(|| "written on the service itself".to_owned());
        let by = Actor { kind: ActorKind::Agent, id: None, name };
        self.take(one, message, Some(&by), result);
        true
    }

    /// Is a call under way that sends something to whom this was written?
    fn is_being_sent(&self, one: &Prepared, message: &PreparedMessage) -> bool {
        let Some(to) = &message.inbound.sender.address else { return false };
        self.facts.deliveries.values().any(|known| {
            known.state == "sending"
                && known.realm == one.channel.realm.0
                && known.to.0 == to.scheme.as_str()
                && known.to.1 == to.value
        })
    }

    /// The ticket of something that one of ours wrote elsewhere: the customer was answered, and if it was
    /// opened by that, it is they who are to write next.
    pub(super) fn answered_elsewhere(&mut self, ticket: uuid::Uuid, wrote_at: Timestamp) {
        let Some(kept) = self.facts.tickets.get_mut(&ticket) else { return };
        let row = &mut kept.row;
        kept.changed = true;
        row.last_outbound_at = Some(millis(self.now));
        if kept.fresh {
            row.last_inbound_at = None;
            if row.status == "open" {
                "pending".clone_into(&mut row.status);
            }
        } else if row.first_response_at.is_none() {
            row.first_response_at = Some(millis(wrote_at.min(self.now)));
        }
    }
}
