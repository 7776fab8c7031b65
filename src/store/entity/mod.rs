//! One table each. Nobody outside `store` sees these.

#![expect(unreachable_pub, reason = "the framework's derive wants public items")]

pub(super) mod attachment;
pub(super) mod autoreply;
pub(super) mod blob;
pub(super) mod callback;
pub(super) mod canned;
pub(super) mod channel_state;
pub(super) mod close_warning;
pub(super) mod contact;
pub(super) mod cursor;
pub(super) mod delivery;
pub(super) mod draft;
pub(super) mod event;
pub(super) mod faq_answer;
pub(super) mod forget;
pub(super) mod idempotency;
pub(super) mod identity;
pub(super) mod journal;
pub(super) mod lease;
pub(super) mod link_code;
pub(super) mod mention;
pub(super) mod merge_record;
pub(super) mod message;
pub(super) mod node;
pub(super) mod original;
pub(super) mod participant;
pub(super) mod person;
pub(super) mod recovery_code;
pub(super) mod saved_view;
pub(super) mod seal;
pub(super) mod seen;
pub(super) mod session;
pub(super) mod sign_on;
pub(super) mod suppression;
pub(super) mod survey;
pub(super) mod ticket;
pub(super) mod ticket_due;
pub(super) mod ticket_seen;
pub(super) mod ticket_tag;
pub(super) mod token;
pub(super) mod vault;
pub(super) mod visitor;
