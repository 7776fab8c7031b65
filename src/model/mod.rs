//! What the program talks about: values only. No I/O, no clock, no database types.
//!
//! Every other module may use these; these use nothing of the program.

mod answer_link;
mod callback;
mod capability;
mod event;
mod hours;
mod ids;
mod inbound;
mod outbound;
mod policy;
mod secret;
mod texts;
mod ticket;

pub use answer_link::*;
pub use callback::*;
pub use capability::*;
pub use event::*;
pub use hours::*;
pub use ids::*;
pub use inbound::*;
pub use outbound::*;
pub use policy::*;
pub use secret::*;
pub use texts::*;
pub use ticket::*;

/// A moment, in UTC. The store keeps milliseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// What went wrong underneath: only to be shown and logged, never to be matched on.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;
