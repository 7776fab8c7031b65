//! From the feed of events to mails and messages for people who work here.
//!
//! As for outgoing webhooks, a cursor says which events were looked at, and it moves in the transaction that
//! queues what they lead to: whoever is killed between queues nothing twice. What is queued are rows of the
//! outbox with `event` set, so that nothing about them is announced in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sea_orm::sea_query::{ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{
    agent_answer, cursor, delivery, digest, event, message, person, preference, ticket,
};
use super::event::take_numbers;
use super::outbox::{NewDelivery, StoredOutbound, delivery_row};
use super::webhook::{last_event, webhook_row};
use super::{Store, StoreError, millis, moment};
use crate::desk::notify::{
    self, About, Answerable, News, NotifyRule, NotifySettings, Told, Watcher,
};
use crate::model::{
    Address, ChannelName, DeliveryId, Occasion, Party, Realm, Scheme, TicketId, Timestamp, UserId,
};

/// Under this name the cursor is kept: no channel can be called so.
const CURSOR: &str = "notify:";
/// Events that are looked at in one transaction.
const EVENTS_MAX: u64 = 200;
/// A ticket's trail begins with its opening and the message that opened it. `console/notify.js` knows it too.
const OPENING: i64 = 2;
/// Lines that go out together at most.
const LINES_MAX: u64 = 100;

/// The channels by which people may be told, as they run now.
pub type Ways = BTreeMap<ChannelName, Realm>;

/// What one step came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notified {
    /// Channels whose outbox has something new.
    pub channels: BTreeSet<ChannelName>,
    /// There may be more at once.
    pub more: bool,
}

impl Store {
    /// What somebody wants to be told of.
    pub async fn told(&self, person: UserId) -> Result<Told, StoreError> {
        let row = preference::Entity::find_by_id(person.uuid()).one(self.reader()).await?;
        Ok(row.map(|row| read(&row.told)).unwrap_or_default())
    }

    /// Keeps what somebody wants to be told of.
    pub async fn keep_told(&self, person: UserId, told: &Told) -> Result<(), StoreError> {
        let row =
            preference::Model { person: person.uuid(), told: serde_json::json!(told).to_string() };
        let telegram = told.telegram.clone();
        self.write(move |tx| {
            let (row, telegram) = (row.clone(), telegram.clone());
            Box::pin(async move {
                let others = preference::Entity::find()
                    .filter(preference::Column::Person.ne(row.person))
                    .lock_exclusive();
                let taken = |other: &preference::Model| {
                    telegram.is_some() && read(&other.told).telegram == telegram
                };
                if others.all(tx).await?.iter().any(taken) {
                    let text = "somebody else has this number on Telegram".to_owned();
                    return Err(StoreError::Refused(text));
                }
                let again = OnConflict::column(preference::Column::Person)
                    .update_column(preference::Column::Told)
                    .to_owned();
                preference::Entity::insert(row.into_active_model())
                    .on_conflict(again)
                    .exec_without_returning(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Queues what the next events lead to. The first time it begins with what happens from now on.
    pub async fn notify(
        &self,
        settings: Arc<NotifySettings>,
        ways: Arc<Ways>,
        now: Timestamp,
    ) -> Result<Notified, StoreError> {
        let known = cursor::Entity::find_by_id(CURSOR).one(self.reader()).await?;
        let last = last_event(self.reader()).await?;
        // Looked at without writing first: our own commit would only wake us again.
        if known.is_some_and(|row| row.value == last.to_string()) {
            return Ok(Notified::default());
        }
        self.write(move |tx| {
            let (settings, ways) = (settings.clone(), ways.clone());
            Box::pin(async move {
                let known = cursor::Entity::find_by_id(CURSOR).lock_exclusive().one(tx).await?;
                let Some(known) = known else {
                    let last = last_event(tx).await?;
                    let row = cursor::Model {
                        channel: CURSOR.to_owned(),
                        value: last.to_string(),
                        moved_at: millis(now),
                    };
                    cursor::Entity::insert(row.into_active_model())
                        .exec_without_returning(tx)
                        .await?;
                    return Ok(Notified::default());
                };
                let at: i64 = known.value.parse().map_err(database)?;
                Box::pin(step(tx, at, &Desk { settings: &settings, ways: &ways, now })).await
            })
        })
        .await
    }

    /// Sends what waited to go out together. Returns the channel, if something was queued.
    pub async fn flush_digests(
        &self,
        settings: Arc<NotifySettings>,
        ways: Arc<Ways>,
        now: Timestamp,
    ) -> Result<Option<ChannelName>, StoreError> {
        let Some(mail) = settings.mail.clone().filter(|mail| ways.contains_key(mail)) else {
            return Ok(None);
        };
        let ripe = millis(now - settings.digest_within);
        let ripe = digest::Entity::find()
            .select_only()
            .column(digest::Column::Address)
            .filter(digest::Column::AddedAt.lte(ripe))
            .distinct();
        let addresses: Vec<String> = ripe.clone().into_tuple().all(self.reader()).await?;
        if addresses.is_empty() {
            return Ok(None);
        }
        self.write(move |tx| {
            let (settings, ways, ripe) = (settings.clone(), ways.clone(), ripe.clone());
            let mail = mail.clone();
            Box::pin(async move {
                let desk = Desk { settings: &settings, ways: &ways, now };
                let addresses: Vec<String> = ripe.into_tuple().all(tx).await?;
                let mut rows = Vec::new();
                for address in addresses {
                    rows.extend(together(tx, &desk, &mail, address).await?);
                }
                queue(tx, rows).await?;
                Ok(Some(mail))
            })
        })
        .await
    }
}

/// What a step goes by.
struct Desk<'a> {
    settings: &'a NotifySettings,
    ways: &'a Ways,
    now: Timestamp,
}

/// An event that people may be told of, with all that is said about it.
struct Telling<'a> {
    event: &'a event::Model,
    news: News,
    about: About,
}

async fn step(tx: &DatabaseTransaction, at: i64, desk: &Desk<'_>) -> Result<Notified, StoreError> {
    let events = event::Entity::find()
        .filter(event::Column::Seq.gt(at))
        .order_by_asc(event::Column::Seq)
        .limit(EVENTS_MAX)
        .all(tx)
        .await?;
    let Some(last) = events.last().map(|event| event.seq) else { return Ok(Notified::default()) };
    let mut channels = BTreeSet::new();
    let mut watchers = None;
    for event in &events {
        if notify::too_late(moment(event.at), desk.now) {
            continue;
        }
        let data = serde_json::from_str(&event.data).map_err(database)?;
        let Some((occasion, whose)) = notify::occasion(&event.kind, &data) else { continue };
        let Some(one) = described(tx, desk, event, (occasion, whose)).await? else { continue };
        if watchers.is_none() {
            watchers = Some(all_watchers(tx).await?);
        }
        let rows = told(tx, desk, &one, &data, watchers.as_deref().unwrap_or_default()).await?;
        channels.extend(rows.iter().filter_map(|row| row.channel.parse().ok()));
        // At once: how many went to somebody of late decides about the next.
        queue(tx, rows).await?;
    }
    let moved = cursor::ActiveModel {
        channel: Set(CURSOR.to_owned()),
        value: Set(last.to_string()),
        moved_at: Set(millis(desk.now)),
    };
    cursor::Entity::update(moved).exec(tx).await?;
    Ok(Notified { channels, more: events.len() as u64 == EVENTS_MAX })
}

/// Everybody who works here, with what they want.
async fn all_watchers(tx: &DatabaseTransaction) -> Result<Vec<Watcher>, StoreError> {
    let people =
        person::Entity::find().filter(person::Column::DisabledAt.is_null()).all(tx).await?;
    let mut told = all_told(tx).await?;
    let watcher = |row: person::Model| Watcher {
        id: row.id,
        email: row.email,
        told: told.remove(&row.id).unwrap_or_default(),
    };
    Ok(people.into_iter().map(watcher).collect())
}

/// What each wants to be told of who chose anything.
pub(super) async fn all_told(tx: &DatabaseTransaction) -> Result<BTreeMap<Uuid, Told>, StoreError> {
    let rows = preference::Entity::find().all(tx).await?;
    Ok(rows.into_iter().map(|row| (row.person, read(&row.told))).collect())
}

/// What an older version kept, or a newer one, is no reason to tell nobody.
fn read(told: &str) -> Told {
    serde_json::from_str(told).unwrap_or_default()
}

/// What is said about an event. `None`: its ticket is gone, or nobody has to look at it.
async fn described<'e>(
    tx: &DatabaseTransaction,
    desk: &Desk<'_>,
    event: &'e event::Model,
    (occasion, whose): (Occasion, Option<Uuid>),
) -> Result<Option<Telling<'e>>, StoreError> {
    let base = &desk.settings.base;
    let Some(id) = event.ticket else {
        let channel = event.channel.clone();
        let about = About {
            channel: channel.clone().unwrap_or_default(),
            link: format!("{base}/console/#/channels"),
            ..About::default()
        };
        let news = News { occasion, whose, by: None, queue: None, channel, priority: None };
        return Ok(Some(Telling { event, news, about }));
    };
    // The message that opens a ticket is told with it.
    let first = event.ticket_seq.is_some_and(|seq| seq <= OPENING);
    if occasion == Occasion::CustomerWrote && first {
        return Ok(None);
    }
    let Some(ticket) = ticket::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    if ticket.deleted_at.is_some() || ticket.status == "spam" {
        return Ok(None);
    }
    let excerpt = match (occasion, event.message) {
        (Occasion::CustomerWrote, Some(message)) => excerpt(tx, desk, message).await?,
        _ => String::new(),
    };
    let (queue, channel) = (ticket.queue.clone(), Some(ticket.channel.clone()));
    let priority = ticket.priority.parse().ok();
    let whose = whose.or(ticket.assignee.filter(|_| occasion != Occasion::NewTicket));
    let by = event.actor_id.filter(|_| event.actor_kind == "agent");
    let number = u64::try_from(ticket.number).unwrap_or_default();
    let about = About {
        number: Some(number),
        subject: ticket.subject,
        channel: ticket.channel,
        priority,
        by: event.actor_name.clone(),
        excerpt,
        link: format!("{base}/console/#/ticket/{number}"),
    };
    Ok(Some(Telling { event, news: News { occasion, whose, by, queue, channel, priority }, about }))
}

/// The beginning of a message; its secrets were masked when it came.
async fn excerpt(
    tx: &DatabaseTransaction,
    desk: &Desk<'_>,
    message: Uuid,
) -> Result<String, StoreError> {
    let text: Option<String> = message::Entity::find_by_id(message)
        .select_only()
        .column(message::Column::Text)
        .into_tuple()
        .one(tx)
        .await?;
    let text = text.unwrap_or_default();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let most = desk.settings.excerpt_chars;
    let mut short: String = words.chars().take(most).collect();
    if most > 0 && words.chars().count() > most {
        short.push('…');
    }
    Ok(short)
}

/// The rows by which one event is told to all who are to hear of it.
async fn told(
    tx: &DatabaseTransaction,
    desk: &Desk<'_>,
    one: &Telling<'_>,
    data: &serde_json::Value,
    watchers: &[Watcher],
) -> Result<Vec<delivery::Model>, StoreError> {
    let fitting: Vec<&NotifyRule> =
        desk.settings.rules.iter().filter(|rule| rule.fits(&one.news)).collect();
    let mut rows = Vec::new();
    // By address: who chose it and stands in a rule as well is mailed once.
    let mut mailed: BTreeMap<&str, (&str, Option<Uuid>)> = BTreeMap::new();
    for rule in &fitting {
        for address in &rule.to {
            let watcher = watchers.iter().find(|watcher| watcher.email == *address);
            if watcher.is_none_or(|watcher| one.news.by != Some(watcher.id)) {
                let language = watcher.map_or(rule.language.as_str(), |one| &one.told.language);
                mailed.insert(address, (language, watcher.map(|watcher| watcher.id)));
            }
        }
        if let Some(group) = rule.telegram.as_ref().filter(|group| desk.runs(&group.channel)) {
            let (occasion, about) = (one.news.occasion, &one.about);
            let text = notify::letter(&rule.language, occasion, about, Answerable::InChat);
            let to = address(Scheme::Telegram, group.place());
            let number = about.number.unwrap_or_default();
            let letter = Letter { subject: None, text, number };
            rows.extend(desk.row(&group.channel, to, one.event.seq, None, letter));
        }
        // Its lane may not run yet: the row waits for it.
        if let Some(lane) = &rule.webhook {
            rows.push(webhook_row(0, lane, one.event, data, desk.now));
        }
    }
    for watcher in watchers.iter().filter(|watcher| notify::wants_mail(watcher, &one.news)) {
        mailed.insert(&watcher.email, (&watcher.told.language, Some(watcher.id)));
    }
    let Some(mail) = desk.settings.mail.as_ref().filter(|mail| desk.runs(mail)) else {
        return Ok(rows);
    };
    for (to, (language, person)) in mailed {
        rows.extend(by_mail(tx, desk, one, (mail, to), (language, person)).await?);
    }
    Ok(rows)
}

/// One mail, or a line of one that comes later if there were many of late.
async fn by_mail(
    tx: &DatabaseTransaction,
    desk: &Desk<'_>,
    one: &Telling<'_>,
    (mail, to): (&ChannelName, &str),
    (language, person): (&str, Option<Uuid>),
) -> Result<Option<delivery::Model>, StoreError> {
    let (occasion, about) = (one.news.occasion, &one.about);
    let subject = notify::line(language, occasion, about);
    let waiting = digest::Entity::find().filter(digest::Column::Address.eq(to)).count(tx).await?;
    let of_late = delivery::Entity::find()
        .filter(delivery::Column::ToValue.eq(to))
        .filter(delivery::Column::Channel.eq(mail.as_str()))
        .filter(delivery::Column::Event.is_not_null())
        .filter(delivery::Column::QueuedAt.gt(millis(desk.now - desk.settings.digest_within)))
        .count(tx)
        .await?;
    if waiting > 0 || of_late >= desk.settings.digest_after {
        // No word of a customer, so that nothing of them is left in a mail about many.
        let about = About { subject: String::new(), ..about.clone() };
        let row = digest::Model {
            address: to.to_owned(),
            event: one.event.seq,
            person,
            language: language.to_owned(),
            line: format!("{}\n{}", notify::line(language, occasion, &about), about.link),
            added_at: millis(desk.now),
        };
        digest::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
        return Ok(None);
    }
    // Only who works here may answer, and only where there is something to answer.
    let answerable = match (person, about.number) {
        (Some(_), Some(_)) => Answerable::ByMail,
        _ => Answerable::No,
    };
    let number = about.number.filter(|_| answerable == Answerable::ByMail).unwrap_or_default();
    let text = notify::letter(language, occasion, about, answerable);
    let letter = Letter { subject: Some(subject), text, number };
    let to = address(Scheme::Email, to.to_owned());
    Ok(desk.row(mail, to, one.event.seq, person, letter))
}

/// Everything that waits for one address, as one mail.
async fn together(
    tx: &DatabaseTransaction,
    desk: &Desk<'_>,
    mail: &ChannelName,
    to: String,
) -> Result<Option<delivery::Model>, StoreError> {
    let waiting = digest::Entity::find()
        .filter(digest::Column::Address.eq(&to))
        .order_by_asc(digest::Column::Event)
        .limit(LINES_MAX)
        .all(tx)
        .await?;
    let Some(last) = waiting.last().cloned() else { return Ok(None) };
    let lines: Vec<String> = waiting.iter().map(|row| row.line.clone()).collect();
    let (subject, text) = notify::several(&last.language, &lines);
    digest::Entity::delete_many()
        .filter(digest::Column::Address.eq(&to))
        .filter(digest::Column::Event.lte(last.event))
        .exec(tx)
        .await?;
    let letter = Letter { subject: Some(subject), text, number: 0 };
    // Below zero: it is about none alone, so it outlives each of the tickets; and no two are the same.
    Ok(desk.row(mail, address(Scheme::Email, to), -last.event, last.person, letter))
}

/// What is written to one of ours.
struct Letter {
    subject: Option<String>,
    text: String,
    /// Of the ticket that an answer goes to; 0: none.
    number: u64,
}

fn address(scheme: Scheme, value: String) -> Address {
    Address { scheme, scope: None, value }
}

impl Desk<'_> {
    fn runs(&self, channel: &ChannelName) -> bool {
        self.ways.contains_key(channel)
    }

    fn row(
        &self,
        channel: &ChannelName,
        to: Address,
        event: i64,
        person: Option<Uuid>,
        letter: Letter,
    ) -> Option<delivery::Model> {
        let realm = self.ways.get(channel)?;
        let outbound = StoredOutbound {
            subject: letter.subject,
            ..super::outbox::Routing::default().answer(letter.number, None, &letter.text)
        };
        let outbound =
            StoredOutbound { to: Party { address: to, name: None }, automated: true, ..outbound };
        let mut row = delivery_row(NewDelivery {
            id: DeliveryId::new().uuid(),
            // Given when it is written.
            seq: 0,
            channel: channel.as_str().to_owned(),
            realm: realm.0.clone(),
            // A conversation of its own with each: who cannot be reached holds nobody else up.
            ticket: person.unwrap_or_else(|| TicketId::new().uuid()),
            message: Uuid::now_v7(),
            part: 0,
            outbound,
            not_before: self.now,
            held: false,
            unless_answered: false,
            now: self.now,
        });
        row.event = Some(event);
        Some(row)
    }
}

/// Forgets what people were told of a ticket that is erased, and what they answered and is nowhere yet.
pub(super) async fn forget(tx: &DatabaseTransaction, ticket: Uuid) -> Result<(), StoreError> {
    let events = Query::select()
        .column(event::Column::Seq)
        .from(event::Entity)
        .and_where(event::Column::Ticket.eq(ticket))
        .to_owned();
    digest::Entity::delete_many()
        .filter(digest::Column::Event.in_subquery(events.clone()))
        .exec(tx)
        .await?;
    // What is posted to webhooks holds no words; those rows belong to no conversation. Nor does a mail that
    // tells of several, and its number is no event's.
    let told =
        delivery::Column::Event.in_subquery(events).and(delivery::Column::Ticket.ne(Uuid::nil()));
    let under_way = delivery::Column::State.eq("sending");
    let under_way = delivery::Entity::find().filter(told.clone().and(under_way));
    if under_way.lock_exclusive().one(tx).await?.is_some() {
        let text = "somebody is being told of it at this moment: try again in a minute".to_owned();
        return Err(StoreError::Refused(text));
    }
    delivery::Entity::delete_many().filter(told).exec(tx).await?;
    let answers = agent_answer::Column::Ticket.eq(ticket);
    agent_answer::Entity::delete_many().filter(answers).exec(tx).await?;
    Ok(())
}

/// Puts rows into the outbox. One that is there already was told before.
async fn queue(tx: &DatabaseTransaction, mut rows: Vec<delivery::Model>) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let numbers = take_numbers(tx, "delivery", rows.len()).await?;
    for (row, seq) in rows.iter_mut().zip(numbers) {
        row.seq = seq;
    }
    for row in rows {
        delivery::Entity::insert(row.into_active_model())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
