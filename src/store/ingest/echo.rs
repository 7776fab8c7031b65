//! What one of ours wrote on the service itself, or what the service repeats of our own sending.

use super::super::millis;
use super::apply::Work;
use super::{Ingested, Prepared, PreparedEcho};
use crate::model::{Actor, ActorKind, Receipt, ReceiptState, Timestamp};

impl Work {
    pub(super) fn echo(&mut self, one: &Prepared, echo: &PreparedEcho, result: &mut Ingested) {
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
            return;
        }
        let name = echo.by.clone().unwrap_or_else(|| "written on the service itself".to_owned());
        let by = Actor { kind: ActorKind::Agent, id: None, name };
        self.take(one, message, Some(&by), result);
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
