//! A raw → what happened. Pure.
//!
//! A raw is one piece of a request (`cut`); but a whole request, or a single change of one, can be read as well:
//! that is what is handed over by hand.

use std::collections::BTreeSet;

use serde_json::Value;

use super::notice;
use super::person::{Person, by_number, by_user, number_thread, user_thread};
use super::status;
use super::words::{self, Words};
use crate::channel::shared::graph::notice::unreadable;
use crate::channel::shared::heard::{self, Heard, LATE, Nothing, Read};
use crate::channel::shared::look;
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    ChannelName, Echo, Event, Flag, Form, Inbound, Meaning, Moved, Raw, Reach, Reaction, RemoteId,
    Sender, Standing, ThreadHint, ThreadKey, Timestamp, Trust, Wishes,
};

/// Reads what is for one number of ours.
pub(super) struct Reader {
    pub(super) channel: ChannelName,
    /// The service's id of our number.
    pub(super) phone_number_id: String,
    /// The business account of our number, if it is told.
    pub(super) business: Option<String>,
}

/// One change, with when the service made it.
struct Change<'v> {
    /// The business account that it is about.
    business: Option<String>,
    field: &'v str,
    value: &'v Value,
    at: Timestamp,
    /// When the raw came.
    received_at: Timestamp,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        heard::interpret(
            raw,
            |body, at, heard| self.envelope(body, at, heard),
            |part, at| unreadable(&notice::SERVICE, &self.channel, part, at),
        )
    }
}

impl Reader {
    fn envelope(&self, body: &Value, received_at: Timestamp, heard: &mut Heard) {
        if let Some(object) = look::text(body, "/object")
            && object != "whatsapp_business_account"
        {
            return heard.ignore("it is not about WhatsApp");
        }
        let change = |change: &Value, entry: &Value, heard: &mut Heard| {
            let Some(value) = change.get("value").filter(|value| value.is_object()) else {
                return heard.bad(change, "a change without a value");
            };
            let field = look::text(change, "/field").unwrap_or_default();
            let at = look::moment(entry, "/time").unwrap_or(received_at);
            let business = look::word(entry, "/id");
            self.change(&Change { business, field, value, at, received_at }, heard);
        };
        match body.get("entry") {
            Some(Value::Array(entries)) => {
                for entry in entries {
                    match entry.get("changes").and_then(Value::as_array) {
                        Some(changes) => changes.iter().for_each(|one| change(one, entry, heard)),
                        None if entry.get("standby").is_some() => {
                            heard.ignore("another app has the conversation");
                        }
                        None => heard.bad(entry, "an entry without changes"),
                    }
                }
            }
            Some(_) => heard.bad(body, "entries that are no list"),
            None if body.get("value").is_some() => change(body, &Value::Null, heard),
            None => heard.bad(body, "neither entries nor a change"),
        }
    }

    fn change(&self, change: &Change<'_>, heard: &mut Heard) {
        let Change { field, value, at, .. } = *change;
        match look::word(value, "/metadata/phone_number_id") {
            Some(named) if named != self.phone_number_id => {
                return heard.ignore("it is for another number");
            }
            None if self.business.is_some() && change.business.is_some() => {
                if self.business != change.business {
                    return heard.ignore("it is about another account");
                }
            }
            Some(_) | None => {}
        }
        if let Some(why) = unused(field) {
            return heard.ignore(why);
        }
        if notice::about(field).is_some() {
            let told = notice::read(&self.channel, (field, value), at);
            return heard.take(value, told.map(|notice| vec![Event::Message(Box::new(notice))]));
        }
        let mut found = false;
        let mut each = |list: &str, heard: &mut Heard, read: &dyn Fn(&Value) -> Read| {
            for element in look::list(value, list) {
                found = true;
                heard.take(element, read(element));
            }
        };
        each("/messages", heard, &|message| self.message(change, message));
        each("/statuses", heard, &|status| status::read(&self.channel, (value, status), at));
        each("/message_echoes", heard, &|echo| self.echo(change, echo));
        each("/user_preferences", heard, &|wish| self.preference(value, wish));
        each("/calls", heard, &|call| self.call(change, call));
        if found {
            return;
        }
        match notice::errors(&self.channel, value, at) {
            Some(notice) => heard.events.push(Event::Message(Box::new(notice))),
            None => heard.ignore("a change that tells of nothing that we know"),
        }
    }

    /// Somebody wrote, or changed what they wrote.
    fn message(&self, change: &Change<'_>, message: &Value) -> Read {
        let person = Person::of(change.value, message, "/from", "/from_user_id");
        match look::text(message, "/type").unwrap_or_default() {
            "reaction" => self.reaction(&person, message),
            "edit" => Ok(vec![edit(message, original(message, "edit")?)]),
            "revoke" => Ok(vec![Event::Delete { target: original(message, "revoke")? }]),
            "system" => self.system(change, &person, message),
            "request_welcome" => {
                Err(Nothing::Ignored("the chat was opened, and nothing written yet"))
            }
            _ => {
                let inbound = self.inbound(change, &person, (message, words::of(message)))?;
                Ok(vec![Event::Message(Box::new(inbound))])
            }
        }
    }

    /// One of ours wrote in the app on the phone.
    fn echo(&self, change: &Change<'_>, echo: &Value) -> Read {
        match look::text(echo, "/type").unwrap_or_default() {
            "edit" => return Ok(vec![edit(echo, original(echo, "edit")?)]),
            "revoke" => return Ok(vec![Event::Delete { target: original(echo, "revoke")? }]),
            "reaction" => {
                return Err(Nothing::Ignored("a sign that one of ours put under a message"));
            }
            _ => {}
        }
        let person = Person::of(change.value, echo, "/to", "/to_user_id");
        let inbound = self.inbound(change, &person, (echo, words::of(echo)))?;
        let delivery = look::text(echo, "/biz_opaque_callback_data").and_then(status::ours);
        Ok(vec![Event::Echo(Echo { message: Box::new(inbound), delivery, by: None })])
    }

    fn inbound(
        &self,
        change: &Change<'_>,
        person: &Person,
        (message, words): (&Value, Words),
    ) -> Result<Inbound, Nothing> {
        let id = look::word(message, "/id");
        let id = id.ok_or(Nothing::Unreadable("a message without an id"))?;
        let answers = look::word(message, "/context/id").filter(|parent| *parent != id);
        let occurred_at = look::moment(message, "/timestamp").unwrap_or(change.at);
        let mut flags = BTreeSet::new();
        let forwarded = ["/context/forwarded", "/context/frequently_forwarded"];
        if forwarded.iter().any(|pointer| message.pointer(pointer) == Some(&Value::Bool(true))) {
            flags.insert(Flag::Forwarded);
        }
        if words.unknown {
            flags.insert(Flag::Unreadable);
        }
        if change.received_at - occurred_at > LATE {
            flags.insert(Flag::Late);
        }
        Ok(Inbound {
            remote_id: RemoteId(id),
            digest: words.digest(answers.as_deref()),
            part_of: None,
            form: Form::Message,
            sender: Sender {
                address: person.address(&self.channel),
                name: person.name.clone(),
                // WhatsApp has checked the number, and nobody else can sign what it says.
                trust: Trust::Proven,
                also: person.also(),
            },
            reply_to: person.answer_to(),
            recipients: Vec::new(),
            thread: ThreadHint {
                parents: answers.map(RemoteId).into_iter().collect(),
                key: thread(person, message),
                ..ThreadHint::default()
            },
            occurred_at,
            subject: None,
            text_full: words.full(),
            media: words.media(),
            text: words.text,
            html: None,
            flags,
            auth: None,
            automated: None,
            wishes: Wishes::default(),
        })
    }

    fn reaction(&self, person: &Person, message: &Value) -> Read {
        let target = look::word(message, "/reaction/message_id").map(RemoteId);
        let target = target.ok_or(Nothing::Unreadable("a sign under no message"))?;
        let by = person.address(&self.channel);
        let by = by.ok_or(Nothing::Unreadable("a sign of nobody"))?;
        let emoji = look::text(message, "/reaction/emoji").map(str::to_owned);
        Ok(vec![Event::Reaction(Reaction { target, by, emoji })])
    }

    /// Somebody has another number or id, or another telephone.
    fn system(&self, change: &Change<'_>, person: &Person, message: &Value) -> Read {
        let new = |pointers: &[&str]| pointers.iter().find_map(|at| look::word(message, at));
        match look::text(message, "/system/type").unwrap_or_default() {
            "user_changed_number" => {
                let new = new(&["/system/wa_id", "/system/new_wa_id"]);
                let (Some(old), Some(new)) = (&person.number, new) else {
                    return Err(Nothing::Unreadable("a changed number without the number"));
                };
                let threads = vec![(number_thread(old), number_thread(&new))];
                let (from, to) = (by_number(old), by_number(&new));
                Ok(vec![Event::Moved(Moved { from, to, threads })])
            }
            "user_changed_user_id" => {
                let new = new(&["/system/user_id", "/system/new_user_id"]);
                let (Some(old), Some(new)) = (&person.user, new) else {
                    return Err(Nothing::Unreadable("a changed id without the id"));
                };
                let threads = vec![(user_thread(old), user_thread(&new))];
                let (from, to) = (by_user(&self.channel, old), by_user(&self.channel, &new));
                Ok(vec![Event::Moved(Moved { from, to, threads })])
            }
            // Somebody else may have their number now, or their telephone.
            "customer_identity_changed" | "user_identity_changed" => {
                let text = "[the customer's security code has changed: a new telephone, or somebody else who \
                            has their number; make sure who it is before you tell or do anything that is \
                            only for them]"
                    .to_owned();
                let words = Words { text, ..Words::default() };
                let inbound = self.inbound(change, person, (message, words))?;
                let automated = Some("a notice of the service");
                let notice = Inbound { form: Form::Notice, automated, ..inbound };
                Ok(vec![Event::Message(Box::new(notice))])
            }
            _ => {
                let text = look::text(message, "/system/body").unwrap_or("[a notice of WhatsApp]");
                let words = Words { text: text.to_owned(), ..Words::default() };
                let inbound = self.inbound(change, person, (message, words))?;
                let automated = Some("a notice of the service");
                let notice = Inbound { form: Form::Notice, automated, ..inbound };
                Ok(vec![Event::Message(Box::new(notice))])
            }
        }
    }

    /// Marketing messages are wanted, or no longer.
    fn preference(&self, value: &Value, wish: &Value) -> Read {
        let person = Person::of(value, wish, "/wa_id", "/user_id");
        let address = person.address(&self.channel);
        let address = address.ok_or(Nothing::Unreadable("a wish of nobody"))?;
        let reach = match look::text(wish, "/value").unwrap_or_default() {
            "stop" => Reach::OptedOut,
            "resume" | "signup" | "start" => Reach::OptedIn,
            _ => return Err(Nothing::Ignored("a wish that is not known")),
        };
        let said = look::text(wish, "/detail").or_else(|| look::text(wish, "/category"));
        let said = said.unwrap_or("told by WhatsApp").chars().take(300).collect();
        Ok(vec![Event::Standing(Standing { address, reach, said })])
    }

    /// Somebody called our number within WhatsApp. We do not answer such calls, but nobody shall call unheard.
    fn call(&self, change: &Change<'_>, call: &Value) -> Read {
        if look::text(call, "/direction") != Some("USER_INITIATED") {
            return Err(Nothing::Ignored("a call that we made"));
        }
        let person = Person::of(change.value, call, "/from", "/from_user_id");
        let id = look::word(call, "/id").ok_or(Nothing::Unreadable("a call without an id"))?;
        let (step, text) = match look::text(call, "/event").unwrap_or_default() {
            "connect" => ("begin", "[called by WhatsApp]".to_owned()),
            "terminate" => {
                let seconds = look::word(call, "/duration").filter(|seconds| seconds != "0");
                let ended = seconds.map_or_else(
                    || "[the call was not answered]".to_owned(),
                    |seconds| format!("[the call ended after {seconds} seconds]"),
                );
                ("end", ended)
            }
            _ => return Err(Nothing::Ignored("a step of a call that is not known")),
        };
        let words = Words { text, ..Words::default() };
        let mut inbound = self.inbound(change, &person, (call, words))?;
        inbound.remote_id = RemoteId(format!("call:{id}:{step}"));
        inbound.part_of = Some(RemoteId(format!("call:{id}")));
        inbound.form = Form::Call;
        Ok(vec![Event::Message(Box::new(inbound))])
    }
}

/// Fields that repeat what was before us, or tell of what we have no use for.
fn unused(field: &str) -> Option<&'static str> {
    match field {
        "history" => Some("conversations of the app on the phone from before"),
        "smb_app_state_sync" => Some("contacts of the app on the phone"),
        "flows" => Some("the state of a flow"),
        "message_template_components_update" => Some("the words of a template"),
        "tracking_events" | "automatic_events" => Some("figures for advertisements"),
        _ => None,
    }
}

/// The group that it was written in, or the person's own conversation.
fn thread(person: &Person, message: &Value) -> Option<ThreadKey> {
    let group = look::word(message, "/group_id").map(|group| ThreadKey(format!("g:{group}")));
    group.or_else(|| person.thread())
}

/// The message that another one changes.
fn original(message: &Value, kind: &str) -> Result<RemoteId, Nothing> {
    let id = look::word(message, &format!("/{kind}/original_message_id"));
    id.map(RemoteId).ok_or(Nothing::Unreadable("a change of a message that it does not name"))
}

/// A message reads differently now.
fn edit(message: &Value, target: RemoteId) -> Event {
    let new = message.pointer("/edit/message").unwrap_or(&Value::Null);
    // Of a file the caption, which may be gone.
    Event::Edit { target, text: words::of(new).text }
}
