//! What the help desk decides. Facts in, plan out: pure functions, one question each; no clock, no
//! database, no network.

mod autoreply;
mod callback;
mod continued;
pub mod language;
mod reply;
mod route;
mod secrets;
mod settle;
mod split;
mod wanted;

pub use autoreply::{AckFacts, acknowledge, fill};
pub use callback::{CallAbout, CallbackPolicy, CallbackTexts, DaySpan, Next};
pub use continued::continued;
pub use reply::{CannotReply, Draft, ReplyPart, parts};
pub use route::{Candidate, Decision, Facts, Route, is_blocked, route, subject};
pub use secrets::{Find, Masked, Scanner, SecretSort};
pub use settle::{advance, after_crash, backoff, cause_of, settle};
pub use split::split;
pub use wanted::Wanted;
