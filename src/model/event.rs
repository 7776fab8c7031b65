//! The kinds of events that the store records, for whoever filters them.

/// Every kind there is. `docs/ARCHITECTURE.md` says when each happens.
pub const EVENT_KINDS: &[&str] = &[
    "attachment.updated",
    "channel.paused",
    "channel.recovered",
    "channel.resumed",
    "channel.troubled",
    "contact.erased",
    "contact.merged",
    "contact.updated",
    "delivery.updated",
    "message.arrived_again",
    "message.created",
    "message.deleted",
    "message.edited",
    "quarantine.added",
    "quarantine.dropped",
    "quarantine.retried",
    "ticket.absorbed",
    "ticket.created",
    "ticket.deleted",
    "ticket.merged",
    "ticket.rated",
    "ticket.split",
    "ticket.updated",
];
