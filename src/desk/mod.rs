//! What the help desk decides. Facts in, plan out: pure functions, one question each; no clock, no
//! database, no network.

mod assign;
mod autoreply;
mod callback;
pub mod close;
mod continued;
mod impostor;
pub mod faq;
pub mod language;
mod mention;
pub mod macros;
mod offer;
mod reply;
mod route;
mod rules;
pub mod safety;
mod secrets;
mod settle;
mod sla;
mod split;
pub mod survey;
mod split_html;
mod triage;
mod urgency;
pub(crate) mod terms;
mod wanted;

pub use crate::model::{Calendar, CalendarSetting, DaySpan};
pub use assign::{AgentSetting, AssignBy, AssignSetting, Colleague};
pub use autoreply::{AckFacts, acknowledge, answerable, fill};
pub use callback::{CallAbout, CallbackPolicy, CallbackTexts, Next};
pub use continued::continued;
pub use impostor::ProtectSetting;
pub use language::fitting;
pub use mention::mentioned;
pub use offer::{Offer, chosen, offer};
pub use reply::{CannotReply, Draft, ReplyPart, never_sent, parts};
pub use route::{Candidate, Decision, Facts, Route, is_blocked, route, subject};
pub use rules::{Assign, RuleSetting, Situation, ThenSetting, Verdict, WhenSetting};
pub use safety::{Advice, AdviceFacts, Found, Safety, advisable};
pub use secrets::{Find, Masked, Scanner, SecretSort};
pub use settle::{advance, after_crash, backoff, cause_of, settle};
pub use sla::{Awaited, Due, SlaSetting, Targets};
pub use split::split;
pub use triage::{Seen, Triage, TriageSettings};
pub use urgency::{Alarm, Danger, UrgencySetting, alarm};
pub use wanted::Wanted;
