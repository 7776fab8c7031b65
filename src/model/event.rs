//! The kinds of events that the store records, for whoever filters them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::UnknownWord;

/// Every kind there is. `docs/ARCHITECTURE.md` says when each happens.
pub const EVENT_KINDS: &[&str] = &[
    "attachment.updated",
    "callback.due",
    "callback.refused",
    "callback.requested",
    "callback.updated",
    "channel.paused",
    "channel.recovered",
    "channel.resumed",
    "channel.troubled",
    "contact.erased",
    "contact.link_made",
    "contact.merged",
    "contact.proof_failed",
    "contact.proof_sent",
    "contact.proven",
    "contact.standing",
    "contact.unmerged",
    "contact.updated",
    "delivery.updated",
    "faq.answered",
    "faq.escalated",
    "faq.helped",
    "message.arrived_again",
    "message.created",
    "message.deleted",
    "message.edited",
    "message.extended",
    "message.reaction",
    "message.unsealed",
    "person.mentioned",
    "quarantine.added",
    "quarantine.dropped",
    "quarantine.retried",
    "rule.fired",
    "ticket.absorbed",
    "ticket.auto_closed",
    "ticket.created",
    "ticket.customer_changed",
    "ticket.customer_dismissed",
    "ticket.customer_restored",
    "ticket.deleted",
    "ticket.due_soon",
    "ticket.handed_on",
    "ticket.merged",
    "ticket.moved",
    "ticket.overdue",
    "ticket.rated",
    "ticket.released",
    "ticket.split",
    "ticket.unmerged",
    "ticket.updated",
];

super::ticket::words! {
    /// What people who work here can be told of.
    Occasion {
        /// A ticket was opened.
        NewTicket = "new_ticket",
        /// A ticket was given to somebody.
        Assigned = "assigned",
        /// A customer wrote in a ticket.
        CustomerWrote = "customer_wrote",
        /// A note names somebody.
        Mentioned = "mentioned",
        /// An answer will soon be late.
        DueSoon = "due_soon",
        /// An answer is late.
        Overdue = "overdue",
        /// A customer is to be called.
        CallbackDue = "callback_due",
        /// A channel needs a human.
        ChannelTroubled = "channel_troubled",
    }
}
