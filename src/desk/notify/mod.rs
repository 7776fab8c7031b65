//! Who of us is told of what, and by which way. Pure.

mod answer;
mod words;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::model::{ChannelName, Occasion, Priority, Timestamp};
pub use answer::{AnswerFacts, Answered, answered};
pub use words::{About, Answerable, above, letter, line, several};

/// News that are older are not told any more: telling may have been switched on just now.
const LATE: chrono::Duration = chrono::Duration::hours(6);

/// What an admin decided about telling people.
#[derive(Debug, Clone, Default)]
pub struct NotifySettings {
    /// What the world calls us: for links.
    pub base: String,
    /// The mail channel by which people who work here are written to.
    pub mail: Option<ChannelName>,
    /// So many mails to one person within `digest_within`; what comes then goes out together.
    pub digest_after: u64,
    /// See `digest_after`.
    pub digest_within: chrono::Duration,
    /// Characters of the customer's words that are shown.
    pub excerpt_chars: usize,
    /// Who is told beside those who chose it for themselves.
    pub rules: Vec<NotifyRule>,
}

impl NotifySettings {
    /// Is there any way by which somebody could be told?
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.mail.is_some() || !self.rules.is_empty()
    }

    /// The channels by which somebody may be told. Webhooks are none: what they are told waits for their lanes.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<ChannelName> {
        let groups = self.rules.iter().filter_map(|rule| rule.telegram.as_ref());
        self.mail.iter().chain(groups.map(|group| &group.channel)).cloned().collect()
    }
}

/// `[[notify]]`: who is told of what.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyRule {
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// Only of these queues, channels and priorities; empty: all.
    pub queues: Vec<String>,
    /// See `queues`.
    pub channels: Vec<String>,
    /// See `queues`.
    pub priorities: Vec<Priority>,
    /// By mail.
    pub to: Vec<String>,
    /// In a group of Telegram.
    pub telegram: Option<TelegramGroup>,
    /// By the lane of an outgoing webhook.
    pub webhook: Option<ChannelName>,
    /// In which language.
    pub language: String,
}

/// A group of Telegram, or a topic of one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelegramGroup {
    /// The channel whose bot writes.
    #[schemars(with = "String")]
    pub channel: ChannelName,
    /// The number of the group: `-1001234567890`.
    pub chat: i64,
    /// The number of a topic in it.
    pub topic: Option<i64>,
}

impl TelegramGroup {
    /// As the channel names the place.
    #[must_use]
    pub fn place(&self) -> String {
        match self.topic {
            Some(topic) => format!("{}/{topic}", self.chat),
            None => self.chat.to_string(),
        }
    }
}

/// What somebody wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// By mail.
    pub mail: BTreeSet<Occasion>,
    /// By their browser, while the console is open in it.
    pub browser: BTreeSet<Occasion>,
    /// With a sound.
    pub sound: bool,
    /// Only of urgent tickets, but for what concerns them by name.
    pub only_urgent: bool,
    /// Only of these queues, but for what concerns them by name. None: all.
    pub queues: BTreeSet<String>,
    /// `en` or `zh`.
    pub language: String,
    /// Their number on Telegram: what they answer there in a group of the desk is theirs.
    #[serde(default)]
    pub telegram: Option<String>,
}

impl Default for Told {
    /// Nothing by mail: whoever wants that says so.
    fn default() -> Self {
        let browser = [
            Occasion::Assigned,
            Occasion::CustomerWrote,
            Occasion::Mentioned,
            Occasion::Overdue,
            Occasion::CallbackDue,
        ];
        Self {
            mail: BTreeSet::new(),
            browser: BTreeSet::from(browser),
            sound: false,
            only_urgent: false,
            queues: BTreeSet::new(),
            language: "en".to_owned(),
            telegram: None,
        }
    }
}

/// Somebody who works here.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// Their id.
    pub id: Uuid,
    /// Where mail reaches them.
    pub email: String,
    /// What they want.
    pub told: Told,
}

/// What happened, as far as it decides who is told.
#[derive(Debug, Clone)]
pub struct News {
    /// What.
    pub occasion: Occasion,
    /// Whom it concerns by name: who was named or given the ticket, else who has it.
    pub whose: Option<Uuid>,
    /// Who did it.
    pub by: Option<Uuid>,
    /// The ticket's.
    pub queue: Option<String>,
    /// The ticket's, or the one in trouble.
    pub channel: Option<String>,
    /// The ticket's.
    pub priority: Option<Priority>,
}

/// What an event is to people, and whom it names. `None`: nothing that anybody is told of.
///
/// The browser decides the same by itself, from the stream that it follows (`console/notify.js`): change both.
#[must_use]
pub fn occasion(kind: &str, data: &Value) -> Option<(Occasion, Option<Uuid>)> {
    let id = |pointer: &str| data.pointer(pointer)?.as_str()?.parse::<Uuid>().ok();
    let word = |name: &str| data.get(name).and_then(Value::as_str);
    Some(match kind {
        "ticket.created" => (Occasion::NewTicket, None),
        "ticket.updated" => (Occasion::Assigned, Some(id("/changes/assignee/to")?)),
        "message.created" if word("direction") == Some("in") && word("kind") != Some("system") => {
            (Occasion::CustomerWrote, None)
        }
        "person.mentioned" => (Occasion::Mentioned, Some(id("/id")?)),
        "ticket.due_soon" => (Occasion::DueSoon, None),
        "ticket.overdue" => (Occasion::Overdue, None),
        "callback.due" => (Occasion::CallbackDue, None),
        "channel.troubled" => (Occasion::ChannelTroubled, None),
        _ => return None,
    })
}

/// Is it too late to tell of it?
#[must_use]
pub fn too_late(at: Timestamp, now: Timestamp) -> bool {
    at < now - LATE
}

/// Does this person want to be mailed about it? Nobody is told of what they did themselves.
#[must_use]
pub fn wants_mail(watcher: &Watcher, news: &News) -> bool {
    wants(watcher, news, &watcher.told.mail)
}

fn wants(watcher: &Watcher, news: &News, chosen: &BTreeSet<Occasion>) -> bool {
    if news.by == Some(watcher.id) || !chosen.contains(&news.occasion) {
        return false;
    }
    if let Some(whose) = news.whose {
        // What concerns somebody by name is told to nobody else, and to them whatever the queue.
        return whose == watcher.id;
    }
    if news.occasion == Occasion::ChannelTroubled {
        return true;
    }
    let told = &watcher.told;
    let urgent = !told.only_urgent || news.priority == Some(Priority::Urgent);
    let queue = || news.queue.as_ref().is_some_and(|queue| told.queues.contains(queue));
    urgent && (told.queues.is_empty() || queue())
}

impl NotifyRule {
    /// Is it about this?
    #[must_use]
    pub fn fits(&self, news: &News) -> bool {
        let one_of = |list: &[String], word: &Option<String>| {
            list.is_empty() || word.as_ref().is_some_and(|word| list.contains(word))
        };
        self.on.contains(&news.occasion)
            && one_of(&self.queues, &news.queue)
            && one_of(&self.channels, &news.channel)
            && (self.priorities.is_empty()
                || news.priority.is_some_and(|priority| self.priorities.contains(&priority)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn news(occasion: Occasion) -> News {
        News {
            occasion,
            whose: None,
            by: None,
            queue: Some("chain".to_owned()),
            channel: Some("mail".to_owned()),
            priority: Some(Priority::Normal),
        }
    }

    fn watcher(told: Told) -> Watcher {
        Watcher { id: Uuid::from_u128(1), email: "anna@desk.test".to_owned(), told }
    }

    #[test]
    fn events_are_read_as_what_they_are_to_people() {
        let somebody = Uuid::from_u128(7);
        let given = json!({ "changes": { "assignee": { "from": null, "to": somebody } } });
        let taken = json!({ "changes": { "assignee": { "from": somebody, "to": null } } });
        let inbound = json!({ "direction": "in", "kind": "message" });
        for (kind, data, expected) in [
            ("ticket.created", json!({}), Some((Occasion::NewTicket, None))),
            ("ticket.updated", given, Some((Occasion::Assigned, Some(somebody)))),
            ("ticket.updated", taken, None),
            ("ticket.updated", json!({ "changes": { "status": {} } }), None),
            ("message.created", inbound, Some((Occasion::CustomerWrote, None))),
            ("message.created", json!({ "direction": "in", "kind": "system" }), None),
            ("message.created", json!({ "direction": "out", "kind": "message" }), None),
            ("message.created", json!({ "direction": "internal", "kind": "note" }), None),
            (
                "person.mentioned",
                json!({ "id": somebody }),
                Some((Occasion::Mentioned, Some(somebody))),
            ),
            ("person.mentioned", json!({ "id": "x" }), None),
            ("ticket.due_soon", json!({}), Some((Occasion::DueSoon, None))),
            ("ticket.overdue", json!({}), Some((Occasion::Overdue, None))),
            ("callback.due", json!({}), Some((Occasion::CallbackDue, None))),
            ("channel.troubled", json!({}), Some((Occasion::ChannelTroubled, None))),
            ("channel.recovered", json!({}), None),
            ("delivery.updated", json!({}), None),
        ] {
            assert_eq!(occasion(kind, &data), expected, "{kind} {data}");
        }
    }

    #[test]
    fn nobody_is_told_of_what_they_did_or_what_is_somebody_elses() {
        let all = BTreeSet::from_iter(Occasion::ALL.iter().copied());
        let anna = watcher(Told { mail: all, ..Told::default() });
        for occasion in Occasion::ALL {
            assert!(wants_mail(&anna, &news(*occasion)), "{occasion}");
            let own = News { by: Some(anna.id), ..news(*occasion) };
            assert!(!wants_mail(&anna, &own), "{occasion}");
            let hers = News { whose: Some(anna.id), ..news(*occasion) };
            assert!(wants_mail(&anna, &hers), "{occasion}");
            let bobs = News { whose: Some(Uuid::from_u128(2)), ..news(*occasion) };
            assert!(!wants_mail(&anna, &bobs), "{occasion}");
        }
        assert!(!wants_mail(&watcher(Told::default()), &news(Occasion::NewTicket)));
    }

    #[test]
    fn filters_hold_back_what_concerns_nobody_by_name() {
        let chosen = BTreeSet::from([Occasion::NewTicket, Occasion::Assigned]);
        let other = BTreeSet::from(["shop".to_owned()]);
        let anna = watcher(Told { mail: chosen.clone(), queues: other, ..Told::default() });
        assert!(!wants_mail(&anna, &news(Occasion::NewTicket)));
        assert!(wants_mail(&anna, &News { whose: Some(anna.id), ..news(Occasion::Assigned) }));
        let urgent = watcher(Told { mail: chosen, only_urgent: true, ..Told::default() });
        assert!(!wants_mail(&urgent, &news(Occasion::NewTicket)));
        let alarm = News { priority: Some(Priority::Urgent), ..news(Occasion::NewTicket) };
        assert!(wants_mail(&urgent, &alarm));
    }

    #[test]
    fn a_rule_fits_when_all_that_it_names_fits() {
        let rule = NotifyRule {
            on: BTreeSet::from([Occasion::Overdue]),
            queues: vec!["chain".to_owned()],
            channels: vec!["mail".to_owned(), "telegram".to_owned()],
            priorities: vec![Priority::Urgent, Priority::High],
            to: Vec::new(),
            telegram: None,
            webhook: None,
            language: "en".to_owned(),
        };
        let urgent = News { priority: Some(Priority::Urgent), ..news(Occasion::Overdue) };
        assert!(rule.fits(&urgent));
        assert!(!rule.fits(&news(Occasion::Overdue)));
        assert!(!rule.fits(&News { occasion: Occasion::DueSoon, ..urgent.clone() }));
        assert!(!rule.fits(&News { queue: None, ..urgent.clone() }));
        assert!(!rule.fits(&News { queue: Some("shop".to_owned()), ..urgent.clone() }));
        assert!(!rule.fits(&News { channel: Some("sms".to_owned()), ..urgent.clone() }));
        assert!(!rule.fits(&News { channel: None, ..urgent.clone() }));
        let all = NotifyRule { queues: Vec::new(), channels: Vec::new(), ..rule };
        assert!(
            all.fits(&News { queue: None, channel: None, ..urgent }),
            "no filter holds it back"
        );
    }
}
