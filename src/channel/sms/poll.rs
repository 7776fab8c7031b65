//! Asks what Twilio has: a push that failed is not made again, but the message stays in the list. So does what
//! became of our own messages, whose news are pushed once as well.
//!
//! What is found bears the same key as what is pushed, so most of it is known already. Twilio's own clock is the
//! cursor; each question reaches back behind it, since lists lag.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::Value;

use super::hook::message_key;
use super::settings::Own;
use super::told;
use crate::channel::shared::http::for_pull;
use crate::channel::shared::look;
use crate::channel::shared::twilio::rest::Account;
use crate::channel::shared::twilio::since::Since;
use crate::channel::{DeliverError, Pull, PullError, PullSession};
use crate::model::{Batch, Cursor, DedupeKey, Raw, Timestamp, Transport};

/// How far each question reaches back behind the last.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);
/// How far back what became of our own messages is asked for.
const NEWS_BACK: TimeDelta = TimeDelta::hours(4);
/// Every how many questions that is asked, where it is pushed as well.
const NEWS_EVERY: u32 = 10;
/// The list of messages, and its name in the answer.
const LIST: (&str, &str) = ("Messages.json", "messages");
/// Twilio gives no more on a page.
const PAGE_SIZE: &str = "1000";
/// More pages than this are not followed in one turn.
const PAGES_MAX: usize = 200;
/// As many messages are stored at once; what is more comes with the next turn.
const BATCH_MAX: usize = 500;

/// One number's, or one service's, messages.
pub(super) struct Poll {
    pub(super) account: Arc<Account>,
    pub(super) own: Own,
    pub(super) every: Duration,
    /// Are messages and news pushed as well?
    pub(super) pushed: bool,
}

#[async_trait]
impl Pull for Poll {
    async fn connect(&self, cursor: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError> {
        // What came before the channel was there is left where it is.
        let since = Since::resume(&self.account, LIST, cursor.as_ref(), OVERLAP).await?;
        Ok(Box::new(Session {
            account: self.account.clone(),
            own: self.own.clone(),
            every: self.every,
            news_every: if self.pushed { NEWS_EVERY } else { 1 },
            since,
            turn: 0,
            pause: false,
            handed: HashMap::new(),
        }))
    }
}

/// Which messages of a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Those to us.
    To,
    /// Those that we sent.
    From,
}

struct Session {
    account: Arc<Account>,
    own: Own,
    every: Duration,
    news_every: u32,
    /// When we last had everything, and from when on messages are ours.
    since: Since,
    turn: u32,
    /// Wait before the next question: nothing is left over.
    pause: bool,
    /// What was handed over already, and when it happened.
    handed: HashMap<String, Timestamp>,
}

/// What a list holds that we have not handed over, oldest first.
#[derive(Default)]
struct Found {
    items: VecDeque<Value>,
    /// There is more, and it is newer.
    more: bool,
    /// When the list was asked for, by Twilio's clock.
    at: Option<Timestamp>,
}

#[async_trait]
impl PullSession for Session {
    async fn next(&mut self) -> Result<Batch, PullError> {
        if std::mem::replace(&mut self.pause, true) {
            tokio::time::sleep(self.every).await;
        }
        let Since { had: since, began } = self.since;
        let news = self.turn.is_multiple_of(self.news_every);
        self.turn = self.turn.wrapping_add(1);
        let mut batch = Batch::default();
        let found = self.list(Side::To, began.max(since - OVERLAP)).await?;
        let mut next = found.at;
        if found.more {
            // All that is left out is newer than this.
            next = found.items.iter().filter_map(happened).max();
            self.pause = false;
        }
        self.take(found, Side::To, &mut batch).await?;
        if news {
            let found = self.list(Side::From, since - NEWS_BACK).await?;
            self.pause &= !found.more;
            self.take(found, Side::From, &mut batch).await?;
        }
        if let Some(next) = next.filter(|next| *next >= since) {
            self.since.had = next;
            let kept = next - NEWS_BACK - OVERLAP;
            self.handed.retain(|_, at| *at > kept);
            batch.cursor = Some(self.since.cursor());
        }
        Ok(batch)
    }
}

impl Session {
    /// Everything since then: to our number or from it, or all of the account where a service has several.
    async fn list(&self, side: Side, since: Timestamp) -> Result<Found, PullError> {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut query = vec![("DateSent>", since.as_str()), ("PageSize", PAGE_SIZE)];
        let number = self.own.number.as_deref().filter(|_| self.own.service.is_none());
        let field = if side == Side::To { "To" } else { "From" };
        query.extend(number.map(|number| (field, number)));
        let mut found = Found::default();
        let mut page = self.account.list(LIST, &query).await;
        for _ in 0..PAGES_MAX {
            let this = page.map_err(for_pull)?;
            found.at = found.at.or(this.at);
            for item in this.items {
                if self.key(side, &item).is_some_and(|key| !self.handed.contains_key(&key.0)) {
                    found.items.push_front(item);
                }
            }
            // The newest are let go: they come again.
            if found.items.len() > BATCH_MAX {
                found.items.truncate(BATCH_MAX);
                found.more = true;
            }
            let Some(next) = this.next else { return Ok(found) };
            page = self.account.further(next, LIST.1).await;
        }
        let cause = "Twilio has more messages than can be asked for at once: set another cursor";
        Err(PullError::Account(cause.into()))
    }

    async fn take(&mut self, found: Found, side: Side, batch: &mut Batch) -> Result<(), PullError> {
        for item in found.items {
            let Some(dedupe) = self.key(side, &item) else { continue };
            let files = if side == Side::To { self.files(&item).await? } else { Vec::new() };
            self.handed.insert(dedupe.0.clone(), happened(&item).unwrap_or(self.since.had));
            let body = told::kept(&item, &files).into();
            let received_at = None;
            batch.raws.push(Raw { dedupe, body, transport: Transport::new(), received_at });
        }
        Ok(())
    }

    /// The key of a message to us, or of news of one that we sent; `None`: it is neither, or not there yet.
    fn key(&self, side: Side, item: &Value) -> Option<DedupeKey> {
        let of = |pointer| look::text(item, pointer);
        let (sid, status, service) = (of("/sid")?, of("/status")?, of("/messaging_service_sid"));
        match (side, of("/direction")?, status) {
            (Side::To, "inbound", "received") if self.own.is(of("/to"), service) => {
                Some(message_key(sid))
            }
            (
                Side::From,
                "outbound-api",
                "sent" | "delivered" | "undelivered" | "failed" | "read" | "canceled",
            ) if self.own.is(of("/from"), service) => Some(DedupeKey(format!("p:{sid}:{status}"))),
            _ => None,
        }
    }

    /// The files of a message to us. Without them it is handed over all the same, if they cannot be had.
    async fn files(&self, item: &Value) -> Result<Vec<Value>, PullError> {
        let count = look::word(item, "/num_media").and_then(|count| count.parse::<u32>().ok());
        let sid = look::text(item, "/sid").unwrap_or_default();
        if count.is_none_or(|count| count == 0) {
            return Ok(Vec::new());
        }
        let path = format!("Messages/{sid}/Media.json");
        match self.account.list((&path, "media_list"), &[]).await {
            // Oldest first, as they stood in the message.
            Ok(page) => Ok(page.items.into_iter().rev().collect()),
            Err(DeliverError::Rejected(_) | DeliverError::Account(_)) => Ok(Vec::new()),
            Err(error) => Err(for_pull(error)),
        }
    }
}

fn happened(item: &Value) -> Option<Timestamp> {
    ["/date_sent", "/date_created"].iter().find_map(|at| told::moment(item, at))
}
