//! What was found in a raw: a raw is one piece of a request, but a whole request can be read as well, and then
//! one bad part never costs the others.

use serde_json::Value;

use crate::channel::Unreadable;
use crate::channel::shared::json;
use crate::model::{Event, Inbound, Meaning, Raw, Timestamp};

/// What a part of a raw says.
pub type Read = Result<Vec<Event>, Nothing>;

/// Why something makes no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// It is nothing for us.
    Ignored(&'static str),
    /// We should have understood it.
    Unreadable(&'static str),
}

/// What comes this much after it was written is marked.
pub const LATE: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// What was found so far.
#[derive(Default)]
pub struct Heard {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The first reason for which something is nothing for us.
    ignored: Option<&'static str>,
    /// What could not be read, and why.
    unreadable: Vec<(Value, &'static str)>,
}

/// Reads a raw of JSON: `read` hears what is in it, and when it came; `notice` tells people of a part that could
/// not be read beside parts that could.
pub fn interpret(
    raw: &Raw,
    read: impl FnOnce(&Value, Timestamp, &mut Heard),
    notice: impl Fn((&Value, &str), Timestamp) -> Inbound,
) -> Result<Meaning, Unreadable> {
    let body = value(raw)?;
    // The journal gives each of its raws a time.
    let received_at = raw.received_at.unwrap_or_default();
    let mut heard = Heard::default();
    read(&body, received_at, &mut heard);
    heard.meaning(|part| notice(part, received_at))
}

/// A raw as JSON.
fn value(raw: &Raw) -> Result<Value, Unreadable> {
    json::read(&raw.body).map_err(|error| {
        // The parser's own words could quote what was read.
        let place = format!("line {} column {}", error.line(), error.column());
        Unreadable(format!("not JSON, at {place}").into())
    })
}

impl Heard {
    /// It is nothing for us.
    pub fn ignore(&mut self, why: &'static str) {
        self.ignored.get_or_insert(why);
    }

    /// A part that we should have understood.
    pub fn bad(&mut self, part: &Value, why: &'static str) {
        self.unreadable.push((part.clone(), why));
    }

    /// What a part says.
    pub fn take(&mut self, part: &Value, read: Read) {
        match read {
            Ok(events) => self.events.extend(events),
            Err(Nothing::Ignored(why)) => self.ignore(why),
            Err(Nothing::Unreadable(why)) => self.bad(part, why),
        }
    }

    /// All of it. What could not be read is told beside what could.
    fn meaning(self, notice: impl Fn((&Value, &str)) -> Inbound) -> Result<Meaning, Unreadable> {
        let Self { mut events, ignored, unreadable } = self;
        match (events.is_empty(), unreadable.first(), ignored) {
            (true, Some((_, why)), _) => Err(Unreadable((*why).into())),
            (true, None, Some(why)) => Ok(Meaning::Ignore(why)),
            (true, None, None) => Ok(Meaning::Ignore("a request in which there is nothing")),
            (false, ..) => {
                let told = unreadable.iter().map(|(part, why)| notice((part, *why)));
                events.extend(told.map(|notice| Event::Message(Box::new(notice))));
                Ok(Meaning::Events(events))
            }
        }
    }
}
