//! A raw → what it means.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::write::{Speaker, Spoken};
use super::{WebChat, address};
use crate::channel::chat::{CallMe, Form as Answers, Judgement, Said, SentFile, Words};
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    Address, CallWish, Event, Form, Inbound, Meaning, Media, MediaSource, Priority, Rating, Raw,
    Receipt, ReceiptState, RemoteId, Sender, ThreadHint, ThreadKey, Timestamp, Trust, Wishes,
};

/// The tag of tickets in which somebody wants to be called.
const CALLBACK_TAG: &str = "callback";

impl Interpret for WebChat {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        let spoken = read(raw)?;
        let (who, at) = (&spoken.visitor, spoken.heard_at);
        Ok(Meaning::Events(match spoken.said {
            Said::Message(words) => vec![self.message(who, words, at)],
            Said::Callback(wish) => vec![self.wish(who, &wish, at)],
            Said::Rating(judgement) => self.judged(who, &judgement, at),
            Said::Receipt { read, deliveries } => {
                let state = if read { ReceiptState::Read } else { ReceiptState::Delivered };
                let receipt = |delivery| {
                    Event::Receipt(Receipt {
                        delivery: Some(delivery),
                        target: None,
                        recipient: None,
                        state: state.clone(),
                        at,
                    })
                };
                if deliveries.is_empty() {
                    return Ok(Meaning::Ignore("a receipt for nothing"));
                }
                deliveries.into_iter().map(receipt).collect()
            }
        }))
    }
}

/// What our own server wrote; or a bare `{"client_id", "text"}` that was handed over by hand.
fn read(raw: &Raw) -> Result<Spoken, Unreadable> {
    let bad = |error: serde_json::Error| Unreadable(Box::new(error));
    let mut value: Value = serde_json::from_slice(&raw.body).map_err(bad)?;
    if let Value::Object(map) = &mut value {
        map.entry("type").or_insert_with(|| json!("message"));
        map.entry("visitor").or_insert_with(|| json!({ "id": "a:by-hand" }));
        if !map.contains_key("heard_at") {
            // Earlier versions called it `at`, and so do tests by hand.
            let came = || json!(raw.received_at.unwrap_or_default());
            let heard = map.remove("at").unwrap_or_else(came);
            map.insert("heard_at".to_owned(), heard);
        }
        map.entry("client_id").or_insert_with(|| json!(raw.dedupe.as_str()));
    }
    serde_json::from_value(value).map_err(bad)
}

impl WebChat {
    fn message(&self, who: &Speaker, words: Words, at: Timestamp) -> Event {
        let mut inbound = self.inbound(who, ("m", &words.client_id), words.text.clone(), at);
        inbound.digest = digest(&words.text, &words.files);
        inbound.media = words.files.into_iter().map(media).collect();
        // Their system's word for it stands with the first message, which has the page.
        let vouched = who.email.as_deref().filter(|_| words.form.page.is_some());
        let email = words.form.email.as_deref().or(vouched);
        inbound.text_full = self.with_answers(&words.text, &words.form, email);
        if inbound.sender.name.is_none() {
            inbound.sender.name.clone_from(&words.form.name);
        }
        self.choose(&mut inbound.wishes, &words.form);
        name_them(&mut inbound);
        Event::Message(Box::new(inbound))
    }

    fn wish(&self, who: &Speaker, wish: &CallMe, at: Timestamp) -> Event {
        let mut text = match language(who) {
            "zh" => format!("请给我回电：{}", wish.phone),
            _ => format!("Please call me back: {}", wish.phone),
        };
        for more in [&wish.when, &wish.note] {
            if !more.is_empty() {
                text.push('\n');
                text.push_str(more);
            }
        }
        let mut inbound = self.inbound(who, ("c", &wish.client_id), text.clone(), at);
        inbound.digest = digest(&text, &[]);
        inbound.wishes.tags.push(CALLBACK_TAG.to_owned());
        inbound.wishes.call = Some(CallWish {
            phone: wish.phone.clone(),
            at: wish.at,
            when: wish.when.clone(),
            note: wish.note.clone(),
            time_zone: wish.time_zone.clone(),
        });
        name_them(&mut inbound);
        Event::Message(Box::new(inbound))
    }

    /// A notice that agents see in the conversation, and the figure.
    fn judged(&self, who: &Speaker, judgement: &Judgement, at: Timestamp) -> Vec<Event> {
        let score = judgement.score;
        let text = match judgement.comment.as_str() {
            "" => format!("Rated {score} of 5"),
            comment => format!("Rated {score} of 5: {comment}"),
        };
        let mut inbound = self.inbound(who, ("j", &judgement.client_id), text.clone(), at);
        inbound.digest = digest(&text, &[]);
        inbound.form = Form::Notice;
        inbound.automated = Some("a judgement, not a question");
        name_them(&mut inbound);
        let rating = Rating {
            thread: ThreadKey::new(&who.id),
            score,
            comment: judgement.comment.clone(),
            by: address(&self.name, &who.id),
        };
        vec![Event::Message(Box::new(inbound)), Event::Rating(rating)]
    }

    fn inbound(
        &self,
        who: &Speaker,
        (sort, client_id): (&str, &str),
        text: String,
        at: Timestamp,
    ) -> Inbound {
        Inbound {
            remote_id: RemoteId::new(format!("{sort}:{}:{client_id}", who.id)),
            digest: String::new(),
            part_of: None,
            form: Form::Message,
            sender: Sender {
                address: Some(address(&self.name, &who.id)),
                name: who.name.clone(),
                trust: if who.identified { Trust::Proven } else { Trust::Claimed },
                // What a visitor types is no proof, and what a hash does not cover neither.
                also: Vec::new(),
            },
            reply_to: None,
            recipients: Vec::new(),
            thread: ThreadHint { key: Some(ThreadKey::new(&who.id)), ..ThreadHint::default() },
            occurred_at: at,
            subject: None,
            text_full: text.clone(),
            text,
            html: None,
            media: Vec::new(),
            flags: BTreeSet::new(),
            auth: None,
            automated: None,
            wishes: Wishes { language: who.language.clone(), ..Wishes::default() },
        }
    }

    /// What the forms asked stands below the words, for the agents.
    fn with_answers(&self, words: &str, form: &Answers, email: Option<&str>) -> String {
        let topic = form.topic.as_deref().map(|id| {
            let known = self.settings.topics.iter().find(|topic| topic.id == id);
            known.map_or(id, |topic| topic.label.plain())
        });
        let asked = [
            ("Name", form.name.as_deref()),
            ("E-mail", email),
            ("Topic", topic),
            ("Urgency", form.urgency.as_deref()),
        ];
        let own = form.fields.iter().map(|(id, answer)| {
            let question = self.settings.questions.iter().find(|question| question.id == *id);
            (question.map_or(id.as_str(), |question| question.label.plain()), Some(answer.as_str()))
        });
        let page = ("Page", form.page.as_deref());
        let answers: Vec<String> = asked
            .into_iter()
            .chain(own)
            .chain([page])
            .filter_map(|(what, answer)| Some(format!("— {what}: {}", answer?)))
            .collect();
        match (words.is_empty(), answers.is_empty()) {
            (_, true) => words.to_owned(),
            (true, false) => answers.join("\n"),
            (false, false) => format!("{words}\n\n{}", answers.join("\n")),
        }
    }

    /// What follows from the topic and the urgency that they chose.
    fn choose(&self, wishes: &mut Wishes, form: &Answers) {
        if let Some(id) = &form.topic {
            let known = self.settings.topics.iter().find(|topic| topic.id == *id);
            if let Some(topic) = known {
                wishes.queue.clone_from(&topic.queue);
                wishes.priority = topic.priority;
                wishes.tags.extend(topic.tags.iter().cloned());
            }
            wishes.tags.push(format!("topic:{id}"));
        }
        let urgency = form.urgency.as_deref().and_then(|word| word.parse::<Priority>().ok());
        // Whichever of the two is more urgent.
        wishes.priority = wishes.priority.max(urgency);
    }
}

fn media(file: SentFile) -> Media {
    Media {
        name: file.name,
        mime: file.media_type,
        inline: false,
        content_id: None,
        source: MediaSource::Upload { id: file.id, bytes: file.bytes },
    }
}

fn digest(text: &str, files: &[SentFile]) -> String {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    for file in files {
        hash.update([0]);
        hash.update(file.id.uuid().as_bytes());
    }
    HEXLOWER.encode(&hash.finalize())
}

/// Agents need to tell visitors apart who gave no name.
fn name_them(inbound: &mut Inbound) {
    let sender = &mut inbound.sender;
    if sender.name.is_none() {
        sender.name = sender.address.as_ref().map(Address::nameless);
    }
}

/// The languages in which we can write a line for them.
fn language(who: &Speaker) -> &'static str {
    match &who.language {
        Some(tag) if tag.to_ascii_lowercase().starts_with("zh") => "zh",
        _ => "en",
    }
}
