//! An update → what happened. Pure.
//!
//! A raw is one update; but a list of them, or an answer of `getUpdates`, can be read as well: that is what is
//! handed over by hand.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::names::{Place, address};
use super::words::{self, Words};
use crate::channel::shared::heard::{self, Heard, LATE, Nothing, Read};
use crate::channel::shared::look;
use crate::channel::shared::sign::hex;
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    Address, Echo, Event, Flag, Form, Inbound, Meaning, Moved, Raw, Reach, Reaction, RemoteId,
    Secret, Sender, Standing, ThreadHint, Timestamp, Trust, Wishes, link_code,
};

/// Reads what is told to one bot of ours.
pub(super) struct Reader {
    pub(super) bot_id: i64,
    /// Groups in which people who work here talk.
    pub(super) desk_chats: Vec<i64>,
}

/// Who wrote a message.
struct Author {
    address: Address,
    name: Option<String>,
    language: Option<String>,
    /// One of ours wrote it: their name. The address is the customer's.
    ours: Option<Option<String>>,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        let read = |body: &Value, at: Timestamp, heard: &mut Heard| {
            let several = body.as_array().or_else(|| body.get("result").and_then(Value::as_array));
            for update in several.map_or(std::slice::from_ref(body), Vec::as_slice) {
                heard.take(update, self.update(update, at));
            }
        };
        heard::interpret(raw, read, notice)
    }
}

impl Reader {
    fn update(&self, update: &Value, received_at: Timestamp) -> Read {
        let fields =
            update.as_object().ok_or(Nothing::Unreadable("an update that is no object"))?;
        let told = fields.iter().find(|(_, value)| value.is_object());
        let Some((kind, told)) = told else {
            return Err(Nothing::Unreadable("an update that tells of nothing"));
        };
        match kind.as_str() {
            "message" | "business_message" | "guest_message" => self.message(told, received_at),
            "edited_message" | "edited_business_message" => self.edited(told),
            "channel_post" | "edited_channel_post" => Err(Nothing::Ignored("a post in a channel")),
            "callback_query" => pressed(told, received_at),
            "message_reaction" => reaction(told),
            "message_reaction_count" => Err(Nothing::Ignored("signs of people who are not named")),
            "my_chat_member" => standing(told),
            "deleted_business_messages" => deleted(told),
            "business_connection" => Err(Nothing::Ignored("a business account came or went")),
            "poll" | "poll_answer" => Err(Nothing::Ignored("the state of a poll")),
            "chat_member" | "chat_join_request" | "chat_boost" | "removed_chat_boost" => {
                Err(Nothing::Ignored("members of a group"))
            }
            "inline_query"
            | "chosen_inline_result"
            | "shipping_query"
            | "pre_checkout_query"
            | "purchased_paid_media" => Err(Nothing::Ignored("inline or paid use of the bot")),
            // A kind of message that came after this was written.
            _ if told.get("message_id").is_some() && told.get("chat").is_some() => {
                self.message(told, received_at)
            }
            _ => Err(Nothing::Ignored("an update of a kind that is not known")),
        }
    }

    fn message(&self, message: &Value, received_at: Timestamp) -> Read {
        let (place, id) = place_of(message)?;
        if let Some(moved) = moved(message, &place) {
            return Ok(vec![moved]);
        }
        let author = self.author(message, &place)?;
        if words::is_service(message) {
            return Err(Nothing::Ignored("a notice of the service about the chat"));
        }
        let words = words::of(message);
        let occurred_at = look::moment(message, "/date").unwrap_or(received_at);
        let ours = author.ours.clone();
        let mut inbound = inbound((&place, place.message(id)), author, words, occurred_at);
        if received_at - occurred_at > LATE {
            inbound.flags.insert(Flag::Late);
        }
        if message.get("forward_origin").is_some() || message.get("forward_date").is_some() {
            inbound.flags.insert(Flag::Forwarded);
        }
        if message.get("is_from_offline") == Some(&Value::Bool(true)) {
            inbound.automated = Some("sent by itself while its author was away");
        }
        inbound.part_of = look::word(message, "/media_group_id").map(|group| place.album(&group));
        inbound.thread.parents = parents(message, &place, id);
        if self.desk_chats.contains(&place.chat) {
            inbound.flags.insert(Flag::Internal);
            let parent = number(message, "/reply_to_message/message_id");
            inbound.thread.parents.extend(parent.map(|parent| place.message(parent)));
        }
        if let Some(name) = ours {
            let message = Box::new(inbound);
            return Ok(vec![Event::Echo(Echo { message, delivery: None, by: name })]);
        }
        Ok(vec![Event::Message(Box::new(inbound))])
    }

    fn author(&self, message: &Value, place: &Place) -> Result<Author, Nothing> {
        let from = message.get("from");
        let from_id = number(message, "/from/id");
        let name = from.and_then(name);
        let language = look::text(message, "/from/language_code").map(str::to_owned);
        if place.connection.is_some() {
            // A conversation of the account's owner with the customer, whose number the chat has.
            let theirs = from_id.is_none_or(|id| id == place.chat);
            let named = message.get("chat").and_then(self::name);
            return Ok(Author {
                address: address(place.chat),
                name: if theirs { name } else { named },
                language: language.filter(|_| theirs),
                ours: (!theirs).then(|| from.and_then(self::name)),
            });
        }
        if message.get("is_automatic_forward") == Some(&Value::Bool(true)) {
            return Err(Nothing::Ignored("a post of a channel in its group"));
        }
        let is_bot = message.pointer("/from/is_bot") == Some(&Value::Bool(true));
        // Who writes in the name of a group or a channel is not named.
        if let Some(id) = number(message, "/sender_chat/id").filter(|_| is_bot || from_id.is_none())
        {
            let name = message.get("sender_chat").and_then(self::name);
            return Ok(Author { address: address(id), name, language: None, ours: None });
        }
        if from_id == Some(self.bot_id) {
            return Err(Nothing::Ignored("we wrote it ourselves"));
        }
        if is_bot {
            return Err(Nothing::Ignored("another bot wrote it"));
        }
        let address = address(from_id.unwrap_or(place.chat));
        let name = name.or_else(|| message.get("chat").and_then(self::name));
        Ok(Author { address, name, language, ours: None })
    }

    /// A message reads differently now. It may do so without a visible change.
    fn edited(&self, message: &Value) -> Read {
        let (place, id) = place_of(message)?;
        self.author(message, &place)?;
        if self.desk_chats.contains(&place.chat) {
            // What was sent to a customer is not changed by it.
            return Err(Nothing::Ignored("people who work here changed what they wrote"));
        }
        let words = words::of(message);
        Ok(vec![Event::Edit { target: place.message(id), text: words.text }])
    }
}

/// Somebody pressed a button under a message.
fn pressed(query: &Value, received_at: Timestamp) -> Read {
    let id = look::word(query, "/id").ok_or(Nothing::Unreadable("a button without an id"))?;
    let from = query.get("from").ok_or(Nothing::Unreadable("a button that nobody pressed"))?;
    let by = number(from, "/id").ok_or(Nothing::Unreadable("a button that nobody pressed"))?;
    let under = query.get("message").and_then(|message| place_of(message).ok());
    let data = look::text(query, "/data").or_else(|| look::text(query, "/game_short_name"));
    let label = data.and_then(|data| words::label(query, data));
    let text = label.or(data).unwrap_or_default();
    let words = Words { text: format!("[pressed: {text}]"), ..Words::default() };
    let place = under.as_ref().map_or_else(
        || Place { connection: None, chat: by, topic: None },
        |(place, _)| place.clone(),
    );
    let author = Author {
        address: address(by),
        name: name(from),
        language: look::text(from, "/language_code").map(str::to_owned),
        ours: None,
    };
    let named = RemoteId(format!("button:{id}"));
    let mut inbound = inbound((&place, named), author, words, received_at);
    let message = under.filter(|(place, _)| place.chat > 0);
    inbound.thread.parents = message.map(|(place, id)| place.message(id)).into_iter().collect();
    let data = data.filter(|data| *data != text).map(|data| format!("\n[{data}]"));
    inbound.text_full.push_str(&data.unwrap_or_default());
    Ok(vec![Event::Message(Box::new(inbound))])
}

fn inbound(
    (place, remote_id): (&Place, RemoteId),
    author: Author,
    mut words: Words,
    occurred_at: Timestamp,
) -> Inbound {
    let digest = words.digest();
    let link = started(place, &mut words);
    let mut flags = BTreeSet::new();
    if words.unknown {
        flags.insert(Flag::Unreadable);
    }
    Inbound {
        remote_id,
        digest,
        part_of: None,
        form: Form::Message,
        sender: Sender {
            address: Some(author.address),
            name: author.name,
            // Only the service itself can have told us.
            trust: Trust::Proven,
            also: Vec::new(),
        },
        reply_to: None,
        recipients: Vec::new(),
        thread: ThreadHint { key: Some(place.thread()), ..ThreadHint::default() },
        occurred_at,
        subject: None,
        text_full: words.full(),
        media: words.media(),
        html: words.html,
        text: words.text,
        flags,
        auth: None,
        automated: None,
        wishes: Wishes { language: author.language, link, ..Wishes::default() },
    }
}

/// Takes the code of ours out of `/start <code>`, which is what `https://t.me/<bot>?start=<code>` makes somebody
/// send (<https://core.telegram.org/bots/features#deep-linking>). Other words behind `/start` are no secret, and stay.
fn started(place: &Place, words: &mut Words) -> Option<Secret> {
    let code = link_code(words.text.strip_prefix("/start ")?)?;
    // Everybody in a group would have read it.
    if place.chat < 0 {
        return None;
    }
    *words = Words { text: "/start".to_owned(), ..Words::default() };
    Some(code)
}

/// The message that is answered. In groups everybody answers everybody, so there the conversation alone counts;
/// and whatever stands in a topic «answers» what opened it.
fn parents(message: &Value, place: &Place, id: i64) -> Vec<RemoteId> {
    let parent = number(message, "/reply_to_message/message_id");
    let parent =
        parent.filter(|parent| place.chat > 0 && *parent != id && Some(*parent) != place.topic);
    parent.map(|parent| place.message(parent)).into_iter().collect()
}

/// An update handed over by hand beside others, which nobody should miss.
fn notice((update, why): (&Value, &str), at: Timestamp) -> Inbound {
    let hash = hex(&Sha256::digest(update.to_string().as_bytes()));
    let text = format!("[something from Telegram could not be read: {why}]");
    Inbound {
        remote_id: RemoteId(format!("unreadable:{hash}")),
        digest: hash,
        part_of: None,
        form: Form::Notice,
        sender: Sender { address: None, name: None, trust: Trust::Proven, also: Vec::new() },
        reply_to: None,
        recipients: Vec::new(),
        thread: ThreadHint::default(),
        occurred_at: at,
        subject: None,
        text: text.clone(),
        text_full: text,
        html: None,
        media: Vec::new(),
        flags: BTreeSet::from([Flag::Unreadable]),
        auth: None,
        automated: Some("a notice of the service"),
        wishes: Wishes::default(),
    }
}

/// Where a message is, and its number there.
fn place_of(message: &Value) -> Result<(Place, i64), Nothing> {
    let chat = number(message, "/chat/id").ok_or(Nothing::Unreadable("a message in no chat"))?;
    let id = number(message, "/message_id");
    let id = id.ok_or(Nothing::Unreadable("a message without a number"))?;
    if look::text(message, "/chat/type") == Some("channel") {
        return Err(Nothing::Ignored("a post in a channel"));
    }
    let in_topic = message.get("is_topic_message") == Some(&Value::Bool(true));
    let topic = number(message, "/message_thread_id").filter(|_| in_topic);
    let connection = look::word(message, "/business_connection_id");
    Ok((Place { connection, chat, topic }, id))
}

/// A group grew, and got another number: told in the old chat and in the new one.
fn moved(message: &Value, place: &Place) -> Option<Event> {
    let to = number(message, "/migrate_to_chat_id").map(|new| (place.chat, new));
    let (old, new) =
        to.or_else(|| number(message, "/migrate_from_chat_id").map(|old| (old, place.chat)))?;
    let thread = |chat| Place { connection: None, chat, topic: None }.thread();
    let threads = vec![(thread(old), thread(new))];
    Some(Event::Moved(Moved { from: address(old), to: address(new), threads }))
}

fn reaction(told: &Value) -> Read {
    let (place, id) = place_of(told)?;
    let by = number(told, "/user/id").or_else(|| number(told, "/actor_chat/id"));
    let by = by.ok_or(Nothing::Unreadable("a sign of nobody"))?;
    let emoji = look::list(told, "/new_reaction").last().map(|sign| {
        let emoji = look::text(sign, "/emoji").map(str::to_owned);
        emoji.unwrap_or_else(|| match look::text(sign, "/type") {
            Some("paid") => "⭐".to_owned(),
            _ => "🔣".to_owned(),
        })
    });
    Ok(vec![Event::Reaction(Reaction { target: place.message(id), by: address(by), emoji })])
}

/// Somebody blocked us or let us in again; a group took us in or threw us out.
fn standing(told: &Value) -> Read {
    let chat = number(told, "/chat/id").ok_or(Nothing::Unreadable("a member of no chat"))?;
    let status = look::text(told, "/new_chat_member/status");
    let status = status.ok_or(Nothing::Unreadable("a member without a status"))?;
    let is_member = told.pointer("/new_chat_member/is_member") == Some(&Value::Bool(true));
    let reach = match status {
        "kicked" | "left" => Reach::Unreachable,
        "restricted" if !is_member => Reach::Unreachable,
        _ => Reach::Reachable,
    };
    let said = match (reach, chat > 0) {
        (Reach::Unreachable, true) => "blocked the bot",
        (Reach::Unreachable, false) => "took the bot out of the group",
        (_, true) => "lets the bot write (again)",
        (_, false) => "took the bot into the group",
    };
    let said = said.to_owned();
    Ok(vec![Event::Standing(Standing { address: address(chat), reach, said })])
}

fn deleted(told: &Value) -> Read {
    let chat = number(told, "/chat/id").ok_or(Nothing::Unreadable("messages in no chat"))?;
    let connection = look::word(told, "/business_connection_id");
    let place = Place { connection, chat, topic: None };
    let ids = look::list(told, "/message_ids").filter_map(|id| number(id, ""));
    let events: Vec<Event> = ids.map(|id| Event::Delete { target: place.message(id) }).collect();
    if events.is_empty() { Err(Nothing::Unreadable("no message was deleted")) } else { Ok(events) }
}

/// Numbers have up to 52 bits.
fn number(value: &Value, pointer: &str) -> Option<i64> {
    look::word(value, pointer)?.parse().ok()
}

/// How a user or a chat is called.
fn name(of: &Value) -> Option<String> {
    const CHARS_MAX: usize = 200;
    let parts = ["/first_name", "/last_name"].map(|part| look::text(of, part));
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    let joined = (!parts.is_empty()).then(|| parts.join(" "));
    let other = || look::text(of, "/title").or_else(|| look::text(of, "/username"));
    let name = joined.or_else(|| other().map(str::to_owned))?;
    Some(name.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect())
}
