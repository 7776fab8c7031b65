//! Events as they are shown, in a ticket's trail and in the stream of everything alike.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::RecordedEvent;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventView {
    /// Its id.
    id: Uuid,
    /// Its place in the commit order of all events; gaps are possible.
    seq: i64,
    /// When.
    at: DateTime<Utc>,
    /// What: `ticket.created`, `message.created`, `delivery.updated`…
    kind: String,
    /// About which ticket.
    ticket_id: Option<Uuid>,
    /// Its place in that ticket's trail: 1, 2, 3 … without gaps.
    ticket_seq: Option<i64>,
    /// About which message.
    message_id: Option<Uuid>,
    /// About which channel.
    channel: Option<String>,
    /// Who did it.
    actor: ActorView,
    /// The particulars, by kind.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

/// Who did something.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actor)]
pub(super) struct ActorView {
    /// `contact`, `agent`, `token` or `system`.
    kind: &'static str,
    /// The contact's, person's or token's id.
    id: Option<Uuid>,
    /// The name to show.
    name: String,
}

impl From<RecordedEvent> for EventView {
    fn from(event: RecordedEvent) -> Self {
        let actor = event.actor;
        let actor = ActorView { kind: actor.kind.as_str(), id: actor.id, name: actor.name };
        // Kinds without particulars have none in the store; outside it is always an object.
        let data = if event.data.is_null() { serde_json::json!({}) } else { event.data };
        Self {
            id: event.id.uuid(),
            seq: event.seq,
            at: event.at,
            kind: event.kind,
            ticket_id: event.ticket,
            ticket_seq: event.ticket_seq,
            message_id: event.message,
            channel: event.channel,
            actor,
            data,
        }
    }
}
