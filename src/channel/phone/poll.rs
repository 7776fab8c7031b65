//! Asks which calls the service knows: what it could not tell us it does not tell again, but the call stays in its
//! list, and so do its recordings. What is found is told as the service would have told it, so that it adds nothing
//! where it was told.
//!
//! The service's own clock is the cursor. A call is looked at once it is over and settled.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SecondsFormat, TimeDelta};
use serde_json::Value;
use url::form_urlencoded;

use super::door::transport;
use super::plan::Plan;
use crate::channel::shared::http::for_pull;
use crate::channel::shared::look;
use crate::channel::shared::twilio::rest::Account;
use crate::channel::shared::twilio::since::Since;
use crate::channel::{Pull, PullError, PullSession};
use crate::model::{Batch, Cursor, DedupeKey, Raw, Timestamp};

/// How far each question reaches back behind the last.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);
/// No call lasts longer than four hours, and its recording is ready soon after.
const LONGEST: TimeDelta = TimeDelta::hours(5);
/// Every how many questions that far is asked.
const LONGEST_EVERY: u32 = 10;
/// So long after its end a call is left alone: until then, news of it may be on their way.
const SETTLED: TimeDelta = TimeDelta::minutes(2);
const LIST: (&str, &str) = ("Calls.json", "calls");
const PAGE_SIZE: &str = "1000";
/// More pages than this are not followed in one turn.
const PAGES_MAX: usize = 20;
/// As many calls are told at once; what is more comes with the next turn.
const CALLS_MAX: usize = 200;

/// The calls to one number.
pub(super) struct Poll {
    pub(super) account: Arc<Account>,
    pub(super) plan: Arc<Plan>,
    pub(super) every: Duration,
}

#[async_trait]
impl Pull for Poll {
    async fn connect(&self, cursor: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError> {
        // Who called before the channel was there is not called back.
        let since = Since::resume(&self.account, LIST, cursor.as_ref(), LONGEST).await?;
        Ok(Box::new(Session {
            account: self.account.clone(),
            plan: self.plan.clone(),
            every: self.every,
            since,
            turn: 0,
            pause: false,
            told: HashMap::new(),
        }))
    }
}

struct Session {
    account: Arc<Account>,
    plan: Arc<Plan>,
    every: Duration,
    /// When we last had everything, and from when on calls are ours.
    since: Since,
    turn: u32,
    /// Wait before the next question: nothing is left over.
    pause: bool,
    /// The calls that were told already, and when they ended.
    told: HashMap<String, Timestamp>,
}

#[async_trait]
impl PullSession for Session {
    async fn next(&mut self) -> Result<Batch, PullError> {
        if std::mem::replace(&mut self.pause, true) {
            tokio::time::sleep(self.every).await;
        }
        let far = self.turn.is_multiple_of(LONGEST_EVERY);
        let back = if far { LONGEST } else { OVERLAP };
        let (calls, now) = self.list(self.since.had - back).await?;
        let (mut batch, told) = (Batch::default(), self.told.len());
        for call in calls.iter().take(CALLS_MAX) {
            self.tell(call, &mut batch).await?;
        }
        if calls.len() > CALLS_MAX {
            // The same question again: what was told is left out of it. Where that is nothing, all of them wait for
            // a recording to get ready.
            self.pause = self.told.len() == told;
            return Ok(batch);
        }
        self.turn = self.turn.wrapping_add(1);
        if now >= self.since.had {
            self.since.had = now;
            self.told.retain(|_, ended| *ended > now - LONGEST - LONGEST);
            batch.cursor = Some(self.since.cursor());
        }
        Ok(batch)
    }
}

/// A call that is over, as far as it has to be told.
struct Over {
    sid: String,
    status: String,
    ended: Timestamp,
    item: Value,
}

impl Session {
    /// Calls that began since then, are over and were not told, and when the service was asked, by its clock.
    async fn list(&self, since: Timestamp) -> Result<(Vec<Over>, Timestamp), PullError> {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let number = self.plan.number.as_str();
        let query = [("To", number), ("StartTime>", since.as_str()), ("PageSize", PAGE_SIZE)];
        let mut page = self.account.list(LIST, &query).await;
        let (mut found, mut at) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let this = page.map_err(for_pull)?;
            let now = at.map_or_else(|| this.time(), Ok)?;
            at = Some(now);
            found.extend(this.items.into_iter().filter_map(|item| self.over(item, now)));
            let Some(next) = this.next else {
                // Oldest first.
                found.reverse();
                return Ok((found, now));
            };
            page = self.account.further(next, LIST.1).await;
        }
        let cause = "the service has more calls than can be asked for at once";
        Err(PullError::Account(cause.into()))
    }

    fn over(&self, item: Value, now: Timestamp) -> Option<Over> {
        let of = |pointer| look::text(&item, pointer);
        let status = of("/status")?.to_owned();
        let is_over =
            matches!(status.as_str(), "completed" | "busy" | "failed" | "no-answer" | "canceled");
        let ours = of("/direction") == Some("inbound") && of("/to") == Some(&self.plan.number);
        let ended = ["/end_time", "/date_updated", "/start_time"]
            .iter()
            .find_map(|at| DateTime::parse_from_rfc2822(of(at)?).ok())?;
        let (sid, ended) = (of("/sid")?.to_owned(), ended.to_utc());
        let new = ended >= self.since.began && !self.told.contains_key(&sid);
        (is_over && ours && new && ended + SETTLED <= now).then_some(Over {
            sid,
            status,
            ended,
            item,
        })
    }

    /// Tells the end of a call, and each recording of it that is ready.
    async fn tell(&mut self, call: &Over, batch: &mut Batch) -> Result<(), PullError> {
        let of = |pointer| look::text(&call.item, pointer).unwrap_or_default();
        let duration = look::word(&call.item, "/duration").unwrap_or_default();
        let about = [
            ("AccountSid", self.account.sid()),
            ("CallSid", call.sid.as_str()),
            ("CallStatus", call.status.as_str()),
            ("CallDuration", duration.as_str()),
            ("Direction", "inbound"),
            ("From", of("/from")),
            ("To", of("/to")),
            ("CallerName", of("/caller_name")),
            ("Timestamp", of("/start_time")),
        ];
        batch.raws.push(raw(format!("c:{}:{}", call.sid, call.status), ("status", ""), &about));
        let mut whole = true;
        for recording in self.recordings(call).await? {
            let of = |pointer| look::text(&recording, pointer);
            let (Some(sid), status) = (of("/sid"), of("/status")) else { continue };
            // It may still become one.
            whole &= !matches!(status, Some("in-progress" | "paused" | "stopped" | "processing"));
            if status != Some("completed") {
                continue;
            }
            let kind = if of("/source") == Some("RecordVerb") { "k=voicemail" } else { "k=talk" };
            let seconds = look::word(&recording, "/duration").unwrap_or_default();
            let mut told = about.to_vec();
            told.extend([
                ("RecordingSid", sid),
                ("RecordingStatus", "completed"),
                ("RecordingDuration", seconds.as_str()),
            ]);
            batch.raws.push(raw(format!("r:{sid}"), ("recording", kind), &told));
        }
        if whole {
            self.told.insert(call.sid.clone(), call.ended);
        }
        Ok(())
    }

    async fn recordings(&self, call: &Over) -> Result<Vec<Value>, PullError> {
        let recorded = self.plan.voicemail.is_some() || self.plan.record_calls;
        if !recorded || call.status != "completed" {
            return Ok(Vec::new());
        }
        let path = format!("Calls/{}/Recordings.json", call.sid);
        let list = self.account.list((&path, "recordings"), &[("PageSize", "100")]).await;
        list.map(|page| page.items).map_err(for_pull)
    }
}

/// As the service would have told it.
fn raw(key: String, (path, query): (&str, &str), fields: &[(&str, &str)]) -> Raw {
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish();
    let transport = transport(path, query);
    Raw { dedupe: DedupeKey(key), body: body.into(), transport, received_at: None }
}
