//! Calls that we make: an agent's call back (the agent first, then the customer, who sees our number), and replies
//! that are spoken or sent as SMS. What is said in them, and what the service tells of them.

use url::form_urlencoded;
use uuid::Uuid;

use super::plan::Plan;
use super::texts::Text;
use super::told::Told;
use super::twiml::{Dial, Gather, Line, Verb};
use crate::channel::shared::heard::Nothing;
use crate::channel::shared::twilio::status;
use crate::model::{
    CallOutcome, Called, DeliveryId, Event, Receipt, ReceiptState, RemoteId, Timestamp,
};

/// An agent is waited for so long.
const AGENT_SECONDS: u8 = 10;
/// A customer's telephone rings so long.
const RING_SECONDS: u16 = 30;

/// A call back: what has to be known of it at each of its steps, and so is in their addresses.
pub(super) struct Bridge<'b> {
    pub(super) delivery: DeliveryId,
    /// E.164.
    pub(super) customer: &'b str,
}

impl Bridge<'_> {
    /// What the agent hears.
    pub(super) fn ask_agent(&self, plan: &Plan, language: Option<&str>, ticket: u64) -> Vec<Verb> {
        let language = plan.language_of(language);
        let said = language.words.get(Text::Connect).replace("{ticket}", &ticket.to_string());
        vec![
            Verb::Gather(Gather {
                action: plan.url(&self.address("bridge/take")),
                keys: Some(1),
                seconds: AGENT_SECONDS,
                within: vec![language.say(said)],
            }),
            Verb::Hangup,
        ]
    }

    fn address(&self, path: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("d", &self.delivery.to_string());
        query.append_pair("to", self.customer);
        format!("{path}?{}", query.finish())
    }
}

/// An address at which news of a delivery come.
pub(super) fn news(plan: &Plan, path: &str, delivery: DeliveryId) -> String {
    plan.url(&format!("{path}?d={delivery}"))
}

/// What is done next in a call that we made; `None`: it is no address of these.
pub(super) fn answer(plan: &Plan, told: &Told<'_>) -> Option<Vec<Verb>> {
    match told.path {
        "bridge/take" if told.pressed("1") => {
            let (delivery, customer) = (delivery(told)?, told.ours("to")?);
            Some(vec![Verb::Dial(Dial {
                action: news(plan, "bridge/joined", delivery),
                caller: Some(plan.number.clone()),
                seconds: RING_SECONDS,
                recorded: None,
                lines: vec![Line {
                    number: customer,
                    before: None,
                    news: None,
                    machine: Some(news(plan, "bridge/machine", delivery)),
                }],
            })])
        }
        "bridge/take" | "bridge/joined" => Some(vec![Verb::Hangup]),
        "bridge/status" | "bridge/machine" | "out/said" | "out/sms" => Some(Vec::new()),
        _ => None,
    }
}

/// What the service tells of a call that we made; `None`: it is about one that came in.
pub(super) fn read(told: &Told<'_>, at: Timestamp) -> Option<Result<Vec<Event>, Nothing>> {
    let read: fn(&Told<'_>) -> Result<News, Nothing> = match told.path {
        "bridge/take" => |told| match told.pressed("1") {
            true => Err(Nothing::Ignored("an agent is being connected")),
            false => Err(Nothing::Ignored("an agent did not take a call")),
        },
        "bridge/status" => status_of_agent,
        "bridge/joined" => |told| Ok(joined(told)),
        "bridge/machine" => |told| match told.by_machine() {
            true => Ok(News { receipt: None, outcome: Some(Some(CallOutcome::Voicemail)) }),
            false => Err(Nothing::Ignored("a human answered, as it seems")),
        },
        "out/said" => said,
        "out/sms" => sent,
        _ => return None,
    };
    let Some(delivery) = delivery(told) else {
        return Some(Err(Nothing::Unreadable("news of nothing that we sent")));
    };
    Some(read(told).map(|news| {
        // The leg to the customer has a name of its own, which is not that of the delivery.
        let target = matches!(told.path, "bridge/status" | "out/said" | "out/sms");
        let target = told.field("CallSid").or_else(|| told.field("MessageSid")).filter(|_| target);
        let receipt = news.receipt.map(|state| {
            let target = target.map(RemoteId);
            Event::Receipt(Receipt { delivery: Some(delivery), target, recipient: None, state, at })
        });
        let called = news.outcome.map(|outcome| Event::Called(Called { delivery, outcome }));
        receipt.into_iter().chain(called).collect()
    }))
}

/// What is told: of the delivery, and of the call back.
struct News {
    receipt: Option<ReceiptState>,
    outcome: Option<Option<CallOutcome>>,
}

impl From<ReceiptState> for News {
    fn from(state: ReceiptState) -> Self {
        Self { receipt: Some(state), outcome: None }
    }
}

fn delivery(told: &Told<'_>) -> Option<DeliveryId> {
    Uuid::parse_str(&told.ours("d")?).ok().map(DeliveryId::from)
}

fn failed(cause: &str) -> ReceiptState {
    ReceiptState::Failed { cause: cause.to_owned(), address_is_bad: false }
}

/// It is under way, under this name.
fn begun(told: &Told<'_>) -> Result<News, Nothing> {
    let name = told.field("CallSid");
    let name = name.ok_or(Nothing::Unreadable("news without a name"))?;
    Ok(ReceiptState::Sent { remote_id: RemoteId(name) }.into())
}

/// How the agent's telephone fares.
fn status_of_agent(told: &Told<'_>) -> Result<News, Nothing> {
    let why = match told.field("CallStatus").as_deref().unwrap_or_default() {
        "queued" | "initiated" | "ringing" | "in-progress" => return begun(told),
        // Whether the customer was called, that call tells.
        "completed" => "the agent did not press 1, or hung up",
        "busy" => "the agent's line was busy",
        "no-answer" | "canceled" => "the agent did not take up the telephone",
        "failed" => "the agent could not be called",
        _ => return Err(Nothing::Ignored("a status that is not known")),
    };
    let receipt = (told.field("CallStatus").as_deref() != Some("completed")).then(|| failed(why));
    Ok(News { receipt, outcome: Some(None) })
}

/// How the call to the customer ended.
fn joined(told: &Told<'_>) -> News {
    if told.connected() {
        let receipt = Some(ReceiptState::Delivered);
        return News { receipt, outcome: Some(Some(CallOutcome::Reached)) };
    }
    let (outcome, why) = match told.field("DialCallStatus").as_deref().unwrap_or_default() {
        "busy" => (CallOutcome::Busy, "the customer's line was busy"),
        "failed" => (CallOutcome::Failed, "the customer could not be called"),
        _ => (CallOutcome::NoAnswer, "the customer did not answer"),
    };
    News { receipt: Some(failed(why)), outcome: Some(Some(outcome)) }
}

/// How a reply that is spoken fares.
fn said(told: &Told<'_>) -> Result<News, Nothing> {
    Ok(match told.field("CallStatus").as_deref().unwrap_or_default() {
        "queued" | "initiated" | "ringing" | "in-progress" => return begun(told),
        "completed" if told.field("AnsweredBy").as_deref() == Some("fax") => {
            failed("a fax machine answered").into()
        }
        // To a human, or to their machine.
        "completed" => ReceiptState::Delivered.into(),
        "busy" => failed("the line was busy").into(),
        "no-answer" => failed("nobody answered").into(),
        "canceled" => failed("the call was cancelled").into(),
        "failed" => failed("the number could not be called").into(),
        _ => return Err(Nothing::Ignored("a status that is not known")),
    })
}

/// How a reply by SMS fares.
fn sent(told: &Told<'_>) -> Result<News, Nothing> {
    let name = told.field("MessageSid").ok_or(Nothing::Unreadable("news without a name"))?;
    let number = told.field("ErrorCode").and_then(|code| code.parse().ok());
    let status = told.field("MessageStatus").unwrap_or_default();
    let state = status::of_message(&status, RemoteId(name), (number, ""));
    state.map(News::from).ok_or(Nothing::Ignored("a status that is not known"))
}
