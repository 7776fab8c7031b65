//! A raw → what it means. A call is one message, told in pieces: each request of the service is one, and whichever
//! comes first makes the message.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::menu::typed_number;
use super::plan::Plan;
use super::step::{At, Step};
use super::told::{Told, is_sid};
use crate::channel::shared::heard::Nothing;
use crate::channel::shared::sign::hex;
use crate::model::{
    Address, CallWish, Event, Flag, Form, Inbound, Media, MediaRef, MediaSource, RemoteId, Scheme,
    Sender, ThreadHint, ThreadKey, Timestamp, Trust, Wishes,
};

/// A message that is shorter is a slip of the hand.
const VOICEMAIL_SECONDS_MIN: u32 = 2;
/// Longest transcript, in characters.
const WORDS_CHARS_MAX: usize = 10_000;

/// One piece of a call.
struct Piece {
    /// Its name within the call.
    name: String,
    /// For agents.
    text: String,
    form: Form,
    flag: Option<Flag>,
    wishes: Wishes,
    media: Option<Media>,
}

impl Piece {
    fn of(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            form: Form::Call,
            flag: None,
            wishes: Wishes::default(),
            media: None,
        }
    }

    fn flagged(mut self, flag: Flag) -> Self {
        self.flag = Some(flag);
        self
    }
}

/// What a request about a call that came in says. `Err`: why it is nothing for us, or what is missing in it.
pub(super) fn read(plan: &Plan, told: &Told<'_>, at: Timestamp) -> Result<Vec<Event>, Nothing> {
    let call = told.call_at_stake().ok_or(Nothing::Unreadable("a request without a call"))?;
    let piece = match told.path {
        "" => over(told),
        "status" => Some(over(told).ok_or(Nothing::Ignored("how a call goes on"))?),
        "recording" => Some(recording(told)?),
        "words" => Some(words(told)?),
        "agent/take" => Some(taken(told)?),
        path => {
            let step = Step::read(path, told.query);
            step_piece(plan, &step.ok_or(Nothing::Unreadable("a step that is none"))?, told)
        }
    };
    // Whatever is told of a call tells that there was one.
    let first = Piece::of("in", came_in(plan, told));
    let events = std::iter::once(first).chain(piece).map(|piece| {
        let inbound = inbound(told, &call, piece, at);
        Event::Message(Box::new(inbound))
    });
    Ok(events.collect())
}

fn came_in(plan: &Plan, told: &Told<'_>) -> String {
    let from = told.caller().unwrap_or_else(|| "a number that is not shown".to_owned());
    let called = told.field("To").filter(|_| !told.is_of_agent());
    let called = called.unwrap_or_else(|| plan.number.clone());
    if called == plan.number {
        format!("Call from {from} to {called}.")
    } else {
        format!(
            "Call from {from} to {called}, which is not the number of this channel ({}): \
             look at the address that is entered for that number.",
            plan.number
        )
    }
}

/// What a step of the menu tells; `None`: nothing was chosen in it.
fn step_piece(plan: &Plan, step: &Step, told: &Told<'_>) -> Option<Piece> {
    let keys = told.field("Digits");
    let keys = keys.as_deref();
    match step.at {
        At::Enter | At::Wait | At::Offer => None,
        At::Number => {
            let typed = keys.and_then(typed_number)?;
            Some(Piece::of(format!("typed:{typed}"), format!("Typed the number {typed}.")))
        }
        At::Language => {
            let tag = &plan.language_by_key(keys)?.tag;
            let mut piece =
                Piece::of(format!("language:{tag}"), format!("Chose the language {tag}."));
            piece.wishes.language = Some(tag.clone());
            Some(piece)
        }
        At::Topic => {
            let topic = plan.topic_by_key(keys)?;
            let (key, name) = (topic.key, &topic.name);
            let mut piece = Piece::of(format!("topic:{key}"), format!("Chose {key}: {name}."));
            piece.wishes.queue.clone_from(&topic.queue);
            piece.wishes.priority = topic.priority;
            piece.wishes.tags.clone_from(&topic.tags);
            Some(piece)
        }
        At::Rung => Some(rung(step, told)),
        At::Recorded => recording(told).ok(),
        At::Callback => wish(plan, step, told.caller().filter(|_| keys == Some("1"))?),
        At::Check => wish(plan, step, step.typed.clone().filter(|_| keys == Some("1"))?),
    }
}

fn wish(plan: &Plan, step: &Step, phone: String) -> Option<Piece> {
    let text = format!("Wants to be called back on {phone}.");
    let mut piece = Piece::of(format!("wish:{phone}"), text);
    piece.wishes.tags.push("callback".to_owned());
    piece.wishes.call = Some(CallWish {
        phone,
        at: None,
        when: String::new(),
        note: plan.topic(step).map(|topic| topic.name.clone()).unwrap_or_default(),
        time_zone: None,
    });
    Some(piece)
}

/// How the call to an agent ended.
fn rung(step: &Step, told: &Told<'_>) -> Piece {
    if told.connected() {
        let text = match told.seconds("DialCallDuration") {
            Some(seconds) => format!("Spoke with an agent for {seconds} s."),
            None => "Spoke with an agent.".to_owned(),
        };
        return Piece::of("spoke", text).flagged(Flag::AnsweredCall);
    }
    let why = match told.field("DialCallStatus").as_deref() {
        Some("busy") => "the line was busy",
        Some("failed") => "the call could not be made",
        Some("canceled") => "the caller hung up before",
        _ => "nobody took it",
    };
    Piece::of(format!("rung:{}", step.turn), format!("An agent was called: {why}."))
}

/// An agent pressed the key.
fn taken(told: &Told<'_>) -> Result<Piece, Nothing> {
    if !told.pressed("1") {
        return Err(Nothing::Ignored("an agent did not take a call"));
    }
    let agent = told.field("To").unwrap_or_else(|| "an agent".to_owned());
    Ok(Piece::of("taken", format!("Taken by {agent}.")).flagged(Flag::AnsweredCall))
}

/// The call is over; `None`: it is not.
fn over(told: &Told<'_>) -> Option<Piece> {
    let status = told.field("CallStatus")?;
    let text = match status.as_str() {
        "completed" => match told.seconds("CallDuration") {
            Some(seconds) => format!("The call ended after {seconds} s."),
            None => "The call ended.".to_owned(),
        },
        "busy" | "failed" | "no-answer" | "canceled" => format!("The call ended: {status}."),
        _ => return None,
    };
    Some(Piece::of("over", text).flagged(Flag::MissedCall))
}

/// Something was recorded: told twice, when it ended and when it is ready.
fn recording(told: &Told<'_>) -> Result<Piece, Nothing> {
    if told.field("RecordingStatus").is_some_and(|status| status != "completed") {
        return Err(Nothing::Ignored("a recording that is not there"));
    }
    let by_url = || told.field("RecordingUrl")?.rsplit('/').next().map(str::to_owned);
    let sid = told.field("RecordingSid").or_else(by_url).filter(|sid| is_sid(sid));
    let sid = sid.ok_or(Nothing::Unreadable("a recording without a name"))?;
    let seconds = told.seconds("RecordingDuration");
    let length = seconds.map_or_else(String::new, |seconds| format!(", {seconds} s"));
    let talk = told.ours("k").as_deref() == Some("talk");
    if !talk && seconds.is_some_and(|seconds| seconds < VOICEMAIL_SECONDS_MIN) {
        return Err(Nothing::Ignored("a recording in which nobody spoke"));
    }
    let (text, name) = if talk {
        (format!("The talk was recorded{length}."), "recording.mp3")
    } else {
        (format!("Left a message{length}."), "voicemail.mp3")
    };
    let mut piece = Piece::of(format!("recording:{sid}"), text);
    if !talk {
        piece.form = Form::Voicemail;
        piece.wishes.tags.push("voicemail".to_owned());
    }
    piece.media = Some(Media {
        name: name.to_owned(),
        mime: "audio/mpeg".to_owned(),
        inline: false,
        content_id: None,
        source: MediaSource::Remote(MediaRef(sid)),
    });
    Ok(piece)
}

/// The service wrote down what was said.
fn words(told: &Told<'_>) -> Result<Piece, Nothing> {
    let said = told.field("TranscriptionText");
    let Some(said) =
        said.filter(|_| told.field("TranscriptionStatus").as_deref() == Some("completed"))
    else {
        return Err(Nothing::Ignored("nothing could be written down of what was said"));
    };
    let said: String = said.chars().take(WORDS_CHARS_MAX).collect();
    let of = told.field("RecordingSid").unwrap_or_default();
    Ok(Piece::of(format!("words:{of}"), format!("Written down by a machine: «{said}»")))
}

fn inbound(told: &Told<'_>, call: &str, piece: Piece, at: Timestamp) -> Inbound {
    let remote_id = format!("{call}/{}", piece.name);
    let caller = told.caller();
    let trust = match told.field("StirVerstat") {
        Some(verdict) if verdict.starts_with("TN-Validation-Passed-A") => Trust::Proven,
        Some(verdict) if verdict.starts_with("TN-Validation-Failed") => Trust::Forged,
        _ => Trust::Claimed,
    };
    // Calls of one person are one conversation; of whoever hides, each is its own.
    let thread = caller.as_ref().filter(|_| trust != Trust::Forged);
    let thread = thread.map_or_else(|| format!("call:{call}"), |number| format!("tel:{number}"));
    let shown = caller.clone().unwrap_or_else(|| "a number that is not shown".to_owned());
    let hidden = caller.is_none().then(|| "Number not shown".to_owned());
    Inbound {
        digest: hex(&Sha256::digest(remote_id.as_bytes())),
        remote_id: RemoteId(remote_id),
        part_of: Some(RemoteId(call.to_owned())),
        form: piece.form,
        sender: Sender {
            address: caller.map(|value| Address { scheme: Scheme::Tel, scope: None, value }),
            name: told.field("CallerName").or(hidden),
            trust,
            also: Vec::new(),
        },
        reply_to: None,
        recipients: Vec::new(),
        thread: ThreadHint { key: Some(ThreadKey(thread)), ..ThreadHint::default() },
        occurred_at: at,
        subject: Some(format!("Call from {shown}")),
        text_full: piece.text.clone(),
        text: piece.text,
        html: None,
        media: piece.media.into_iter().collect(),
        flags: piece.flag.into_iter().collect::<BTreeSet<_>>(),
        auth: None,
        automated: None,
        wishes: piece.wishes,
    }
}
