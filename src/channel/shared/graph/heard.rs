//! What was found in a raw: a raw is one piece of a request, but a whole request can be read as well, and then
//! one bad part never costs the others.

use serde_json::Value;

use super::notice::{self, Service};
use super::{Nothing, Read};
use crate::channel::Unreadable;
use crate::model::{ChannelName, Event, Meaning, Raw, Timestamp};

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

/// A raw as JSON.
pub fn json(raw: &Raw) -> Result<Value, Unreadable> {
    serde_json::from_slice(&raw.body).map_err(|error| {
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
    pub fn meaning(
        self,
        service: &Service,
        channel: &ChannelName,
        at: Timestamp,
    ) -> Result<Meaning, Unreadable> {
        let Self { mut events, ignored, unreadable } = self;
        match (events.is_empty(), unreadable.first(), ignored) {
            (true, Some((_, why)), _) => Err(Unreadable((*why).into())),
            (true, None, Some(why)) => Ok(Meaning::Ignore(why)),
            (true, None, None) => Ok(Meaning::Ignore("a request in which there is nothing")),
            (false, ..) => {
                events.extend(unreadable.iter().map(|(part, why)| {
                    let notice = notice::unreadable(service, channel, (part, why), at);
                    Event::Message(Box::new(notice))
                }));
                Ok(Meaning::Events(events))
            }
        }
    }
}
