//! A raw → what happened. Pure.
//!
//! A raw is one piece of a request; but a whole request, or a single event of one, can be read as well: that is
//! what is handed over by hand.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Product;
use super::words::{self, Words};
use crate::channel::shared::graph::entries;
use crate::channel::shared::graph::media::Hosts;
use crate::channel::shared::graph::notice::{self, Told, by_id};
use crate::channel::shared::heard::{self, Heard, LATE, Nothing, Read};
use crate::channel::shared::look;
use crate::channel::shared::sign::hex;
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    Address, ChannelName, DeliveryId, Echo, Event, Flag, Form, Inbound, Linked, Meaning, Priority,
    Raw, Reach, Reached, Reaction, Receipt, ReceiptState, RemoteId, Secret, Sender, Standing,
    ThreadHint, ThreadKey, Timestamp, Trust, Watermark, Wishes, link_code,
};

/// Begins the address of somebody who has no id yet: a guest of the chat on a website.
pub(super) const GUEST: &str = "ref:";
/// The program in which people answer for a page by hand.
const INBOX: &str = "263902037430900";

/// Reads what is for one page or account of ours.
pub(super) struct Reader {
    pub(super) product: &'static Product,
    pub(super) channel: ChannelName,
    /// Its id.
    pub(super) own: String,
    pub(super) hosts: Hosts,
}

/// One event, with what is known of it from around it.
struct Happened<'v> {
    event: &'v Value,
    /// Another app has the conversation.
    standby: bool,
    at: Timestamp,
    received_at: Timestamp,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        heard::interpret(
            raw,
            |body, at, heard| self.envelope(body, at, heard),
            |part, at| notice::unreadable(&self.product.service, &self.channel, part, at),
        )
    }
}

impl Reader {
    fn envelope(&self, body: &Value, received_at: Timestamp, heard: &mut Heard) {
        let bare = |body: &Value, heard: &mut Heard| {
            let has = |field: &str| body.get(field).is_some();
            if has("sender") || has("recipient") {
                self.event(&self.told(body, false, received_at), heard);
            } else if has("value") {
                self.change(body, received_at, heard);
            } else {
                return false;
            }
            true
        };
        let entry = |entry: &Value, heard: &mut Heard| self.entry(entry, received_at, heard);
        entries(body, self.product.object, heard, entry, bare);
    }

    fn entry(&self, entry: &Value, received_at: Timestamp, heard: &mut Heard) {
        let mut found = false;
        let named = look::word(entry, "/id");
        for (list, standby) in [("/messaging", false), ("/standby", true)] {
            for event in look::list(entry, list) {
                found = true;
                let ours = ["/sender/id", "/recipient/id"];
                let ours = ours.iter().filter_map(|at| look::word(event, at)).chain(named.clone());
                if !ours.into_iter().any(|id| id == self.own) {
                    heard.ignore("it is for another page or account");
                    continue;
                }
                self.event(&self.told(event, standby, received_at), heard);
            }
        }
        for change in look::list(entry, "/changes") {
            found = true;
            self.change(change, received_at, heard);
        }
        let lists = ["messaging", "standby", "changes"];
        if !found && !lists.iter().any(|list| entry.get(*list).is_some_and(Value::is_array)) {
            heard.bad(entry, "an entry without events");
        }
    }

    /// The dashboard's test button, and accounts with the Instagram login, put an event into a change.
    fn change(&self, change: &Value, received_at: Timestamp, heard: &mut Heard) {
        let Some(value) = change.get("value").filter(|value| value.is_object()) else {
            return heard.bad(change, "a change without a value");
        };
        if value.get("sender").is_none() {
            return heard.ignore("a change that tells of no message");
        }
        let ours = ["/sender/id", "/recipient/id"];
        if !ours.iter().any(|at| look::word(value, at).as_deref() == Some(self.own.as_str())) {
            return heard.ignore("it is for another page or account");
        }
        self.event(&self.told(value, false, received_at), heard);
    }

    fn told<'v>(&self, event: &'v Value, standby: bool, received_at: Timestamp) -> Happened<'v> {
        let at = look::moment(event, "/timestamp").unwrap_or(received_at);
        Happened { event, standby, at, received_at }
    }

    fn event(&self, told: &Happened<'_>, heard: &mut Heard) {
        let event = told.event;
        if !event.is_object() {
            return heard.bad(event, "an event that is none");
        }
        let has = |name: &str| event.get(name).is_some_and(Value::is_object);
        let read = if has("message") {
            self.message(told)
        } else if has("message_edit") {
            edit(event)
        } else if has("reaction") {
            self.reaction(told)
        } else if has("read") {
            self.reached(told, "read")
        } else if has("delivery") {
            self.reached(told, "delivery")
        } else if has("postback") {
            self.postback(told)
        } else if has("referral") {
            self.opened(told)
        } else if has("optin") {
            self.optin(told)
        } else if event.get("policy_enforcement").or(event.get("policy-enforcement")).is_some() {
            Ok(vec![self.policy(told)])
        } else if let Some(why) = unused(event) {
            Err(Nothing::Ignored(why))
        } else {
            self.strange(told)
        };
        heard.take(event, read);
    }

    /// The customer of an event that they brought about.
    fn customer(&self, event: &Value) -> Result<String, Nothing> {
        let guest = || look::word(event, "/sender/user_ref").map(|guest| format!("{GUEST}{guest}"));
        let id = look::word(event, "/sender/id").or_else(guest);
        id.ok_or(Nothing::Unreadable("an event of nobody"))
    }

    fn message(&self, told: &Happened<'_>) -> Read {
        let message = told.event.get("message").unwrap_or(&Value::Null);
        let mid = look::word(message, "/mid");
        let mid = mid.ok_or(Nothing::Unreadable("a message without an id"))?;
        let is = |at: &str| message.pointer(at) == Some(&Value::Bool(true));
        if is("/is_deleted") {
            return Ok(vec![Event::Delete { target: RemoteId(mid) }]);
        }
        let (sender, recipient) =
            (look::word(told.event, "/sender/id"), look::word(told.event, "/recipient/id"));
        let own = Some(&self.own);
        if is("/is_self") || (sender.as_ref() == own && recipient.as_ref() == own) {
            return Err(Nothing::Ignored("a message of ours to ourselves"));
        }
        let words = words::of(message, &mid, self.product.service.name, &self.hosts);
        let parent = look::word(message, "/reply_to/mid").filter(|parent| *parent != mid);
        if is("/is_echo") || sender.as_ref() == own {
            let customer = recipient.ok_or(Nothing::Unreadable("a message of ours to nobody"))?;
            let inbound = self.inbound(told, &customer, (mid, parent), words);
            let delivery = look::text(message, "/metadata").and_then(ours);
            let by = look::word(message, "/app_id").filter(|app| app != INBOX);
            let by = by.map(|app| format!("the app {app}"));
            return Ok(vec![Event::Echo(Echo { message: Box::new(inbound), delivery, by })]);
        }
        let customer = self.customer(told.event)?;
        let mut inbound = self.inbound(told, &customer, (mid, parent), words);
        inbound.wishes.link = brought(message);
        Ok(vec![Event::Message(Box::new(inbound))])
    }

    /// The conversation was opened by a link of ours, and nothing written yet. A code in it says who they are.
    fn opened(&self, told: &Happened<'_>) -> Read {
        let code = brought(told.event);
        let code = code.ok_or(Nothing::Ignored(
            "the chat was opened through a link, and nothing written yet",
        ))?;
        let customer = self.customer(told.event)?;
        if customer == self.own {
            return Err(Nothing::Ignored("one of ours opened the chat"));
        }
        Ok(vec![Event::Linked(Linked { address: by_id(&self.channel, &customer), code })])
    }

    /// A button was pressed: the customer said what stands on it.
    fn postback(&self, told: &Happened<'_>) -> Read {
        let customer = self.customer(told.event)?;
        let postback = told.event.get("postback").unwrap_or(&Value::Null);
        let id = look::word(postback, "/mid").unwrap_or_else(|| {
            let what = format!("{customer}:{}:{postback}", told.at.timestamp_millis());
            format!("postback:{}", hex(&Sha256::digest(what.as_bytes())))
        });
        let words = words::of_postback(postback);
        let mut inbound = self.inbound(told, &customer, (id, None), words);
        inbound.wishes.link = brought(postback);
        Ok(vec![Event::Message(Box::new(inbound))])
    }

    /// A customer did something of a kind that is newer than we are: it may be an order, or answers to questions.
    fn strange(&self, told: &Happened<'_>) -> Read {
        const NOTHING: Nothing = Nothing::Ignored("an event that tells of nothing that we know");
        let fields = told.event.as_object().into_iter().flatten();
        let fields = fields.filter(|(field, _)| !FRAME.contains(&field.as_str()));
        let told_by: Vec<(&String, &Value, Vec<String>)> = fields
            .map(|(field, value)| (field, value, notice::facts(value)))
            .filter(|(_, _, facts)| !facts.is_empty())
            .collect();
        if told_by.is_empty() {
            return Err(NOTHING);
        }
        let customer = self.customer(told.event).map_err(|_| NOTHING)?;
        if customer == self.own {
            return Err(NOTHING);
        }
        // Which of them is the event and which only comes along, nobody knows: all are told.
        let mut what = format!("{customer}:{}", told.at.timestamp_millis());
        for (field, value, _) in &told_by {
            what.push_str(&format!(":{field}:{value}"));
        }
        let id = format!("event:{}", hex(&Sha256::digest(what.as_bytes())));
        let kinds: Vec<&str> = told_by.iter().map(|(field, ..)| field.as_str()).collect();
        let facts: Vec<String> = told_by.iter().flat_map(|(.., facts)| facts).cloned().collect();
        let words = words::of_new(&kinds.join(", "), &facts);
        let inbound = self.inbound(told, &customer, (id, None), words);
        Ok(vec![Event::Message(Box::new(inbound))])
    }

    fn inbound(
        &self,
        told: &Happened<'_>,
        customer: &str,
        (id, parent): (String, Option<String>),
        words: Words,
    ) -> Inbound {
        let mut flags = BTreeSet::new();
        if words.unknown {
            flags.insert(Flag::Unreadable);
        }
        if told.received_at - told.at > LATE {
            flags.insert(Flag::Late);
        }
        Inbound {
            remote_id: RemoteId(id),
            digest: words.digest(),
            part_of: None,
            form: Form::Message,
            sender: Sender {
                address: Some(by_id(&self.channel, customer)),
                name: None,
                // The service knows who it is, and nobody else can sign what it says.
                trust: Trust::Proven,
                also: Vec::new(),
            },
            reply_to: None,
            recipients: Vec::new(),
            thread: ThreadHint {
                parents: parent.map(RemoteId).into_iter().collect(),
                key: Some(ThreadKey(format!("u:{customer}"))),
                ..ThreadHint::default()
            },
            occurred_at: told.at,
            subject: None,
            text_full: words.full(),
            media: words.media(),
            text: words.text,
            html: None,
            flags,
            auth: None,
            automated: told.standby.then_some("another app has the conversation"),
            wishes: Wishes::default(),
        }
    }

    fn reaction(&self, told: &Happened<'_>) -> Read {
        let by = self.customer(told.event)?;
        if by == self.own {
            return Err(Nothing::Ignored("a sign that one of ours put under a message"));
        }
        let of = |at: &str| look::text(told.event, at);
        let target = look::word(told.event, "/reaction/mid").map(RemoteId);
        let target = target.ok_or(Nothing::Unreadable("a sign under no message"))?;
        let emoji = match of("/reaction/action") {
            Some("unreact") => None,
            _ => of("/reaction/emoji").or_else(|| of("/reaction/reaction")).map(str::to_owned),
        };
        Ok(vec![Event::Reaction(Reaction { target, by: by_id(&self.channel, &by), emoji })])
    }

    /// How far what we sent has come: by messages, up to a moment, or both.
    fn reached(&self, told: &Happened<'_>, field: &str) -> Read {
        let customer = self.customer(told.event)?;
        if customer == self.own {
            return Err(Nothing::Ignored("one of ours read what the customer wrote"));
        }
        let (reached, state) = match field {
            "read" => (Reached::Read, ReceiptState::Read),
            _ => (Reached::Delivered, ReceiptState::Delivered),
        };
        let value = told.event.get(field).unwrap_or(&Value::Null);
        let mids = look::list(value, "/mids").filter_map(|mid| look::word(mid, ""));
        let mids = mids.chain(look::word(value, "/mid")).take(MIDS_MAX);
        let mut events: Vec<Event> = mids
            .map(|mid| {
                let (target, state) = (Some(RemoteId(mid)), state.clone());
                let at = told.at;
                Event::Receipt(Receipt { delivery: None, target, recipient: None, state, at })
            })
            .collect();
        // Who has opened one message has opened those before it.
        let up_to = look::moment(value, "/watermark");
        let up_to = up_to.or_else(|| (field == "read" && !events.is_empty()).then_some(told.at));
        if let Some(up_to) = up_to {
            let address = by_id(&self.channel, &customer);
            events.push(Event::Watermark(Watermark { address, up_to, reached }));
        }
        if events.is_empty() {
            return Err(Nothing::Unreadable("news of no message"));
        }
        Ok(events)
    }

    /// They asked to be written to.
    fn optin(&self, told: &Happened<'_>) -> Read {
        let customer = self.customer(told.event)?;
        let of = |at: &str| look::text(told.event, at);
        let stopped = of("/optin/notification_messages_status") == Some("STOP_NOTIFICATIONS");
        let reach = if stopped { Reach::OptedOut } else { Reach::OptedIn };
        let said = ["/optin/type", "/optin/ref", "/optin/payload"];
        let said: Vec<&str> = said.iter().filter_map(|at| of(at)).collect();
        let said: String = format!("opt-in {}", said.join(" · ")).chars().take(300).collect();
        let address: Address = by_id(&self.channel, &customer);
        Ok(vec![Event::Standing(Standing { address, reach, said })])
    }

    /// The page was warned, or may not send any more: somebody has to know.
    fn policy(&self, told: &Happened<'_>) -> Event {
        let event = told.event;
        let value = event.get("policy_enforcement").or(event.get("policy-enforcement"));
        let value = value.unwrap_or(&Value::Null);
        let action = look::text(value, "/action").unwrap_or("enforcement");
        let service = &self.product.service;
        let notice = Told {
            title: format!("{}: policy: {action}", service.name),
            text: notice::facts(value).join("\n"),
            priority: Some(if action == "unblock" { Priority::Normal } else { Priority::Urgent }),
        };
        let what = format!("policy:{value}:{}", told.at.timestamp());
        Event::Message(Box::new(notice::inbound(service, &self.channel, &notice, (&what, told.at))))
    }
}

/// More messages than this in one piece of news are not looked at: the moment beside them covers them.
const MIDS_MAX: usize = 1000;

/// A message reads differently now.
fn edit(event: &Value) -> Read {
    let target = look::word(event, "/message_edit/mid").map(RemoteId);
    let target =
        target.ok_or(Nothing::Unreadable("a change of a message that it does not name"))?;
    let text = look::text(event, "/message_edit/text").unwrap_or_default().to_owned();
    Ok(vec![Event::Edit { target, text }])
}

/// What every event has, whatever happened.
const FRAME: &[&str] = &["sender", "recipient", "timestamp", "time", "id"];

/// Why an event is nothing for us, if we know what it is.
fn unused(event: &Value) -> Option<&'static str> {
    let has = |names: &[&str]| names.iter().any(|name| event.get(*name).is_some());
    if has(&["pass_thread_control", "take_thread_control", "request_thread_control", "app_roles"]) {
        Some("which app has the conversation")
    } else if has(&["account_linking"]) {
        Some("an account was linked")
    } else if has(&["game_play"]) {
        Some("a game was played")
    } else {
        None
    }
}

/// The code of ours in the link by which they came: `https://m.me/<page>?ref=<code>`, `https://ig.me/m/<name>?ref=<code>`.
fn brought(value: &Value) -> Option<Secret> {
    look::text(value, "/referral/ref").and_then(link_code)
}

/// The delivery that a text names. Only ours are looked up, so any text may stand there.
fn ours(text: &str) -> Option<DeliveryId> {
    Uuid::parse_str(text.trim()).ok().map(DeliveryId::from)
}
