//! Call backs: the agent's telephone rings, then the customer's; how it ends is noted by itself.

use std::time::Duration;

use tributary::channel::AgentLine;
use tributary::engine::ConnectError;
use tributary::model::{Actor, ActorKind, CallOutcome, CallbackId, CallbackStatus, DeliveryStatus};
use tributary::store::{Answer, By, CallbackFilter, CallbackView, StoreError};
use uuid::Uuid;

use super::{BASE, call, says, start, tell};
use crate::support::phone::{
    ACCOUNT, ANN, ANNA, Act, Doing, Exchange, LI, Made, NUMBER, fields, parse,
};
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::wait_until;

use Doing::Press;

fn by(rig: &Rig, name: &str) -> By {
    let actor = Actor { kind: ActorKind::Agent, id: Some(Uuid::now_v7()), name: name.to_owned() };
    By { actor, version: None, once: None, now: rig.now() }
}

fn line(person: &str) -> AgentLine {
    AgentLine { person: Some(person.to_owned()), number: None }
}

/// A customer who wants to be called.
async fn wish(rig: &Rig) -> CallbackId {
    call(rig, ("CA77", ANN), &[Press("1"), Press("3"), Press("1")]).await;
    says(rig, "Wants to be called back").await;
    let filter = CallbackFilter { limit: 10, ..CallbackFilter::default() };
    rig.store.callbacks(&filter).await.unwrap().remove(0).id.into()
}

async fn now_is(
    rig: &Rig,
    id: CallbackId,
    condition: impl Fn(&CallbackView) -> bool,
) -> CallbackView {
    let there = async || condition(&rig.store.callback(id).await.unwrap());
    wait_until("the call-back to change", PATIENCE, there).await;
    rig.store.callback(id).await.unwrap()
}

/// Anna presses the button; the call that the exchange makes for it.
async fn connect(rig: &Rig, exchange: &Exchange, id: CallbackId) -> Made {
    let before = exchange.calls().len();
    let taken = rig.engine.connect_call(id, (None, line("Anna@desk.test")), by(rig, "Anna")).await;
    let Answer::Fresh(view) = taken.unwrap() else { panic!("it is fresh") };
    assert_eq!(view.status, CallbackStatus::Calling);
    let made = async || exchange.calls().len() > before;
    wait_until("the agent to be called", PATIENCE, made).await;
    exchange.calls().pop().unwrap()
}

/// The exchange asks or tells within a call that it made.
async fn within(rig: &Rig, url: &str, more: &[(&str, &str)]) -> String {
    let path = url.strip_prefix(BASE).unwrap().to_owned();
    let mut form = fields(&[("AccountSid", ACCOUNT), ("From", NUMBER)]);
    form.extend(fields(more));
    tell(rig, &(path, form)).await.unwrap()
}

/// The agent presses 1: the addresses at which the exchange tells how the customer's telephone fares.
async fn press(rig: &Rig, made: &Made) -> (String, String) {
    let document = parse(made.1.get("Twiml").unwrap());
    let gather = &document.children[0];
    assert_eq!((gather.name.as_str(), gather.attribute("numDigits")), ("Gather", "1"));
    // Whoever does not press is not connected.
    let refused = within(rig, gather.attribute("action"), &[("CallSid", &made.0)]).await;
    assert_eq!(parse(&refused).children[0].name, "Hangup");
    let answer =
        within(rig, gather.attribute("action"), &[("CallSid", &made.0), ("Digits", "1")]).await;
    let dial = parse(&answer).children.remove(0);
    assert_eq!((dial.name.as_str(), dial.attribute("callerId")), ("Dial", NUMBER));
    let line = &dial.children[0];
    assert_eq!((line.text.as_str(), line.attribute("machineDetection")), (ANN, "Enable"));
    (dial.attribute("action").to_owned(), line.attribute("amdStatusCallback").to_owned())
}

fn status(made: &Made) -> String {
    made.1.get("StatusCallback").unwrap().to_owned()
}

/// M20: the call back stands in the conversation, and so does what became of it.
#[tokio::test]
async fn an_agent_is_connected_by_one_button_and_the_end_is_noted() {
    let (rig, exchange) = start("").await;
    let id = wish(&rig).await;
    let made = connect(&rig, &exchange, id).await;
    let get = |name: &str| made.1.get(name).unwrap_or_default().to_owned();
    assert_eq!((get("To").as_str(), get("From").as_str()), (ANNA, NUMBER));
    within(&rig, &status(&made), &[("CallSid", &made.0), ("CallStatus", "in-progress")]).await;
    let (joined, machine) = press(&rig, &made).await;
    within(&rig, &machine, &[("CallSid", "CAleg"), ("AnsweredBy", "human")]).await;
    let talked = [("DialCallStatus", "completed"), ("DialBridged", "true"), ("CallSid", &made.0)];
    within(&rig, &joined, &talked).await;
    within(&rig, &status(&made), &[("CallSid", &made.0), ("CallStatus", "completed")]).await;
    let view = now_is(&rig, id, |view| view.status == CallbackStatus::Done).await;
    assert_eq!((view.attempts, view.outcome), (1, Some(CallOutcome::Reached)));
    assert_eq!(view.agent.as_deref(), Some("Anna"));
    let row = rig.wait_deliveries(1, DeliveryStatus::Delivered).await.remove(0);
    assert_eq!(row.external_id, Some(made.0.clone()));
    // It stands there as a call of ours.
    let ours = says(&rig, "Calls +4915112345678 back.").await;
    assert_eq!((ours.kind.as_str(), ours.direction.as_str()), ("call", "out"));
    assert_eq!(rig.messages().await.len(), 2);
    // All of it again changes nothing.
    within(&rig, &joined, &[("DialCallStatus", "busy"), ("CallSid", &made.0)]).await;
    within(&rig, &joined, &talked).await;
    within(&rig, &status(&made), &[("CallSid", &made.0), ("CallStatus", "completed")]).await;
    call(&rig, ("CA78", ANN), &[]).await;
    rig.wait_messages(3).await;
    assert_eq!(rig.store.callback(id).await.unwrap().version, view.version);
    rig.engine.stop().await;
}

/// Whatever is told first: a machine, nobody, or an agent who was not there.
#[tokio::test]
async fn what_says_most_counts_in_whatever_order_it_is_told() {
    let busy = [("DialCallStatus", "busy")];
    let reached = [("DialCallStatus", "completed"), ("DialBridged", "true")];
    let machine = [("AnsweredBy", "machine_start")];
    let ended = [("CallStatus", "completed")];
    type News<'n> = (&'n str, &'n [(&'n str, &'n str)]);
    let cases: Vec<(Vec<News<'_>>, CallbackStatus, Option<CallOutcome>, i32)> = vec![
        (vec![("status", &ended)], CallbackStatus::Waiting, None, 0),
        (
            vec![("joined", &busy), ("status", &ended)],
            CallbackStatus::Waiting,
            Some(CallOutcome::Busy),
            1,
        ),
        (
            vec![("status", &ended), ("joined", &busy)],
            CallbackStatus::Waiting,
            Some(CallOutcome::Busy),
            1,
        ),
        (
            vec![("status", &ended), ("joined", &reached)],
            CallbackStatus::Done,
            Some(CallOutcome::Reached),
            1,
        ),
        (
            vec![("machine", &machine), ("joined", &reached)],
            CallbackStatus::Waiting,
            Some(CallOutcome::Voicemail),
            1,
        ),
        (
            vec![("joined", &reached), ("machine", &machine)],
            CallbackStatus::Waiting,
            Some(CallOutcome::Voicemail),
            1,
        ),
    ];
    for (news, end, outcome, attempts) in cases {
        let (rig, exchange) = start("").await;
        let id = wish(&rig).await;
        let made = connect(&rig, &exchange, id).await;
        let (joined, machine) = press(&rig, &made).await;
        for (sort, told) in news.iter().chain(&news) {
            let url = match *sort {
                "joined" => &joined,
                "machine" => &machine,
                _ => &status(&made),
            };
            let mut told = told.to_vec();
            told.push(("CallSid", &made.0));
            within(&rig, url, &told).await;
        }
        let settled = |view: &CallbackView| {
            (view.status, view.outcome, view.attempts) == (end, outcome, attempts)
        };
        let what = format!("{news:?}");
        let there = async || settled(&rig.store.callback(id).await.unwrap());
        wait_until(&what, PATIENCE, there).await;
        rig.engine.stop().await;
    }
}

/// Two agents press at once: one is called; and a human's word counts more than what is told afterwards.
#[tokio::test]
async fn one_of_two_agents_is_called_and_a_human_knows_better() {
    let (rig, exchange) = start("").await;
    let id = wish(&rig).await;
    let li = AgentLine { person: None, number: Some(LI.to_owned()) };
    let (one, other) = tokio::join!(
        rig.engine.connect_call(id, (None, line("anna@desk.test")), by(&rig, "Anna")),
        rig.engine.connect_call(id, (None, li), by(&rig, "Li")),
    );
    let refused = if one.is_ok() { other } else { one };
    assert!(matches!(refused, Err(ConnectError::Store(StoreError::Refused(_)))));
    let there = async || exchange.calls().len() == 1;
    wait_until("an agent to be called", PATIENCE, there).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!((exchange.calls().len(), rig.outbox().await.len()), (1, 1));
    let made = exchange.calls().remove(0);
    let (joined, _) = press(&rig, &made).await;
    let policy = rig.engine.callback_policy();
    rig.store.end_call(id, CallOutcome::WrongNumber, policy, by(&rig, "Anna")).await.unwrap();
    let talked = [("DialCallStatus", "completed"), ("DialBridged", "true"), ("CallSid", &made.0)];
    within(&rig, &joined, &talked).await;
    rig.wait_deliveries(1, DeliveryStatus::Delivered).await;
    let view = rig.store.callback(id).await.unwrap();
    assert_eq!(view.outcome, Some(CallOutcome::WrongNumber));
    // Telephones that nobody entered are not called.
    let stranger = AgentLine { person: None, number: Some("+88216123456".to_owned()) };
    let refused = rig.engine.connect_call(id, (None, stranger), by(&rig, "Eve")).await;
    assert!(matches!(refused, Err(ConnectError::Line(_))));
    rig.engine.stop().await;
}

/// The exchange says no, or is away until nobody waits any more: the call-back waits again, and nobody is called.
#[tokio::test]
async fn a_call_that_cannot_be_made_sets_the_call_back_free() {
    let (rig, exchange) = start("").await;
    let id = wish(&rig).await;
    exchange.then([Act::Instead(Does::status(503))]);
    let taken = rig.engine.connect_call(id, (None, line("anna@desk.test")), by(&rig, "Anna")).await;
    taken.unwrap();
    let tried = async || rig.outbox().await[0].attempts == 1;
    wait_until("the first try", PATIENCE, tried).await;
    pass(Duration::from_secs(600));
    let view = now_is(&rig, id, |view| view.status == CallbackStatus::Waiting).await;
    assert_eq!((view.attempts, view.outcome), (0, None));
    let row = rig.wait_deliveries(1, DeliveryStatus::Failed).await.remove(0);
    assert!(row.error.unwrap().contains("no longer waiting"));
    assert!(exchange.calls().is_empty());
    // The next one takes it.
    connect(&rig, &exchange, id).await;
    rig.engine.stop().await;
}
