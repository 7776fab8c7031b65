//! What the decisions on a batch need to know, read with one question a table.

use std::collections::{BTreeSet, HashMap, HashSet};

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, sea_query::ExprTrait as _,
};
use uuid::Uuid;

use super::super::StoreError;
use super::super::entity::{
    autoreply, contact, delivery, identity, journal, message, participant, seen, suppression,
    ticket,
};
use super::super::millis;
use super::super::original;
use super::agent::{self, Notifications};
use super::answer::{self, Answers};
use super::judged::{self, Surveys};
use super::{Prepared, PreparedMessage, Step, asked, handed, proof};
use crate::desk::{Colleague, Found};
use crate::model::{Address, Flag, Inbound, Timestamp, Token, Trust};

/// Merges of merges that are followed before we give up.
const MERGES_MAX: usize = 16;

/// An address as the store's key.
pub(super) type AddressKey = (String, String, String);

/// How the store names an address. What a forger writes gets a scope of its own, so that it never meets
/// the contact whose address it bears.
pub(super) fn address_key(address: &Address, trust: Trust) -> AddressKey {
    let scope = match (trust, &address.scope) {
        (Trust::Forged, _) => "!forged",
        (_, Some(channel)) => channel.as_str(),
        (_, None) => "",
    };
    (address.scheme.as_str().to_owned(), scope.to_owned(), address.value.clone())
}

/// A delivery, as far as threading and receipts are concerned.
#[derive(Debug, Clone)]
pub(super) struct KnownDelivery {
    pub(super) id: Uuid,
    pub(super) realm: String,
    pub(super) ticket: Uuid,
    pub(super) message: Uuid,
    pub(super) state: String,
    pub(super) to: (String, String),
    pub(super) automated: bool,
    pub(super) error: Option<String>,
    /// When its latest attempt began.
    pub(super) since: Option<i64>,
}

/// A row that may have to be written back.
#[derive(Debug, Clone)]
pub(super) struct Kept<M> {
    pub(super) row: M,
    pub(super) fresh: bool,
    pub(super) changed: bool,
}

impl<M> Kept<M> {
    pub(super) const fn old(row: M) -> Self {
        Self { row, fresh: false, changed: false }
    }
}

/// Everything that was read, and what the batch has made of it so far.
#[derive(Default)]
pub(super) struct Facts {
    /// Rows of the batch that still wait.
    pub(super) pending: HashSet<Uuid>,
    /// `(realm, remote_id)` → what we have under it.
    pub(super) seen: HashMap<(String, String), Vec<seen::Model>>,
    pub(super) deliveries: HashMap<Uuid, KnownDelivery>,
    pub(super) delivery_by_remote: HashMap<(String, String), Uuid>,
    pub(super) tickets: HashMap<Uuid, Kept<ticket::Model>>,
    pub(super) ticket_by_number: HashMap<i64, Uuid>,
    /// `(channel, thread)` → its latest ticket.
    pub(super) ticket_by_thread: HashMap<(String, String), Uuid>,
    /// `(channel, thread)` → the ticket that has the conversation now.
    pub(super) open_by_thread: HashMap<(String, String), Uuid>,
    pub(super) identities: HashMap<AddressKey, Kept<identity::Model>>,
    pub(super) contacts: HashMap<Uuid, Kept<contact::Model>>,
    pub(super) participants: HashSet<(Uuid, String, String)>,
    pub(super) suppressed: HashSet<(String, String)>,
    /// Acknowledgements: `(scheme, value)` → when, and whether they kept somebody from harm.
    pub(super) acks_to: HashMap<(String, String), Vec<(i64, bool)>>,
    /// Acknowledgements of the last hour by channel.
    pub(super) acks_by: HashMap<String, u64>,
    /// Tags of tickets, where a rule asks for them.
    pub(super) tags: HashMap<Uuid, BTreeSet<String>>,
    /// Tags of contacts, as far as rules ask for them.
    pub(super) contact_tags: HashMap<Uuid, BTreeSet<String>>,
    /// Tickets of each contact that are high or urgent, opened within a day, where a text alarms.
    pub(super) lifted: HashMap<Uuid, u64>,
    /// How much each contact wrote within the last hour, where a rule asks.
    pub(super) recent: HashMap<Uuid, u64>,
    /// Who works here, where a rule hands out tickets.
    pub(super) colleagues: Vec<Colleague>,
    /// What was masked in files that were here before their message.
    pub(super) files: HashMap<Uuid, Found>,
    /// Known answers that went out by themselves.
    pub(super) answers: Answers,
    /// What was noticed about the messages to which pieces of the batch belong.
    pub(super) flags: HashMap<Uuid, BTreeSet<Flag>>,
    /// What customers were asked about tickets.
    pub(super) surveys: Surveys,
    /// Notifications that the batch answers.
    pub(super) notifications: Notifications,
    /// Codes that wait for somebody who brings something like one.
    pub(super) proofs: HashMap<Uuid, proof::Waiting>,
    pub(super) forwarders: handed::Forwarders,
}

/// What a batch mentions.
#[derive(Default)]
struct Mentioned {
    remote_ids: HashSet<String>,
    deliveries: HashSet<Uuid>,
    /// To whom we may have sent what the batch tells of.
    sent_to: HashSet<String>,
    numbers: HashSet<i64>,
    threads: HashSet<String>,
    addresses: HashSet<String>,
    /// Where acknowledgements might go.
    answers_to: HashSet<String>,
    acknowledges: bool,
    files: HashSet<Uuid>,
    /// Things that come in pieces.
    wholes: HashSet<String>,
}

impl Mentioned {
    fn of(batch: &[Prepared]) -> Self {
        let mut mentioned = Self::default();
        for one in batch {
            let triage = &one.channel.triage;
            mentioned.acknowledges |=
                one.channel.policy.acknowledge.is_some() || triage.acknowledges() || one.alarms();
            for step in &one.steps {
                mentioned.step(step);
            }
        }
        mentioned
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Message(message) => self.prepared(message),
            Step::Echo(echo) => {
                self.prepared(&echo.message);
                self.deliveries.extend(echo.delivery.iter().map(|id| id.uuid()));
                let customer = &echo.message.inbound.sender.address;
                let nameless = customer.iter().filter(|_| echo.delivery.is_none());
                self.sent_to.extend(nameless.map(|address| address.value.clone()));
            }
            Step::Watermark(mark) => {
                self.sent_to.insert(mark.address.value.clone());
            }
            Step::Reaction(reaction) => {
                self.remote_ids.insert(reaction.target.0.clone());
            }
            Step::Standing(standing) => {
                self.addresses.insert(standing.address.value.clone());
            }
            Step::Called(called) => {
                self.deliveries.insert(called.delivery.uuid());
            }
            Step::Moved(moved) => {
                self.addresses.extend([&moved.from, &moved.to].map(|one| one.value.clone()));
                let threads = moved.threads.iter().flat_map(|(from, to)| [from, to]);
                self.threads.extend(threads.map(|thread| thread.0.clone()));
            }
            Step::Edit { target, .. } | Step::Delete { target } => {
                self.remote_ids.insert(target.0.clone());
            }
            Step::Receipt(receipt) => {
                self.remote_ids.extend(receipt.target.iter().map(|id| id.0.clone()));
                self.deliveries.extend(receipt.delivery.iter().map(|id| id.uuid()));
            }
            Step::Rating(rating) => {
                self.threads.insert(rating.thread.0.clone());
            }
            // Read where it is redeemed.
            Step::Linked(_) => {}
        }
    }

    fn prepared(&mut self, message: &PreparedMessage) {
        self.message(&message.inbound);
        self.acknowledges |= !message.masking.found.is_empty() || message.fits.is_some();
        self.files.extend(message.uploads.iter().map(|upload| upload.id));
    }

    fn message(&mut self, inbound: &Inbound) {
        self.remote_ids.insert(inbound.remote_id.0.clone());
        self.remote_ids.extend(inbound.part_of.iter().map(|id| id.0.clone()));
        self.wholes.extend(inbound.part_of.iter().map(|id| id.0.clone()));
        self.remote_ids.extend(inbound.thread.parents.iter().map(|id| id.0.clone()));
        for token in &inbound.thread.tokens {
            match token {
                Token::Ticket(number) => self.numbers.extend(i64::try_from(*number).ok()),
                Token::Delivery(id) => {
                    self.deliveries.insert(id.uuid());
                }
            }
        }
        self.numbers.extend(inbound.thread.tag.and_then(|number| i64::try_from(number).ok()));
        self.threads.extend(inbound.thread.key.iter().map(|key| key.0.clone()));
        let sender = || inbound.sender.address.iter().map(|address| address.value.clone());
        self.addresses.extend(sender());
        self.addresses.extend(inbound.sender.also.iter().map(|address| address.value.clone()));
        self.answers_to.extend(sender());
        self.answers_to.extend(inbound.reply_to.iter().map(|party| party.address.value.clone()));
    }
}

/// Reads all that the batch needs.
pub(super) async fn load(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
    now: Timestamp,
) -> Result<Facts, StoreError> {
    let mentioned = Mentioned::of(batch);
    let mut facts = Facts { pending: waiting(tx, batch).await?, ..Facts::default() };
    load_remote(tx, &mentioned, &mut facts).await?;
    load_wholes(tx, &mentioned, &mut facts).await?;
    load_tickets(tx, &mentioned, &mut facts).await?;
    load_contacts(tx, &mentioned, &mut facts).await?;
    if !mentioned.files.is_empty() {
        facts.files = original::found_in_files(tx, mentioned.files.iter().copied()).await?;
    }
    if mentioned.acknowledges || !facts.files.is_empty() {
        load_acks(tx, &mentioned, &mut facts, now).await?;
    }
    asked::load(tx, batch, &mut facts, now).await?;
    answer::load(tx, batch, &mut facts, now).await?;
    judged::load(tx, &mut facts).await?;
    agent::load(tx, batch, &mut facts).await?;
    proof::load(tx, batch, &mut facts, now).await?;
    handed::load(tx, batch, &mut facts).await?;
    Ok(facts)
}

/// Kept from other nodes until the commit: each row is applied once.
async fn waiting(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
) -> Result<HashSet<Uuid>, StoreError> {
    let rows: Vec<Uuid> = journal::Entity::find()
        .select_only()
        .column(journal::Column::Id)
        .filter(journal::Column::Id.is_in(batch.iter().map(|one| one.id.uuid())))
        .filter(journal::Column::State.eq("pending"))
        .order_by_asc(journal::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.into_iter().collect())
}

async fn load_remote(
    tx: &DatabaseTransaction,
    mentioned: &Mentioned,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    if !mentioned.remote_ids.is_empty() {
        let ids = || mentioned.remote_ids.iter().cloned();
        for row in seen::Entity::find().filter(seen::Column::RemoteId.is_in(ids())).all(tx).await? {
            facts.seen.entry((row.realm.clone(), row.remote_id.clone())).or_default().push(row);
        }
        load_deliveries(tx, delivery::Column::RemoteId.is_in(ids()), facts).await?;
    }
    if !mentioned.deliveries.is_empty() {
        let ids = mentioned.deliveries.iter().copied();
        load_deliveries(tx, delivery::Column::Id.is_in(ids), facts).await?;
    }
    if !mentioned.sent_to.is_empty() {
        let to = mentioned.sent_to.iter().cloned();
        let under_way = ["sending", "unconfirmed", "sent", "delivered"];
        let which = delivery::Column::ToValue.is_in(to);
        let which = which.and(delivery::Column::State.is_in(under_way));
        load_deliveries(tx, which, facts).await?;
    }
    Ok(())
}

/// What was noticed about messages that grow.
async fn load_wholes(
    tx: &DatabaseTransaction,
    mentioned: &Mentioned,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let seen = facts.seen.iter().filter(|((_, id), _)| mentioned.wholes.contains(id));
    let messages: Vec<Uuid> =
        seen.flat_map(|(_, rows)| rows.iter().filter_map(|row| row.message)).collect();
    if messages.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, String)> = message::Entity::find()
        .select_only()
        .columns([message::Column::Id, message::Column::Flags])
        .filter(message::Column::Id.is_in(messages))
        .into_tuple()
        .all(tx)
        .await?;
    let read = |(id, flags): (Uuid, String)| Some((id, serde_json::from_str(&flags).ok()?));
    facts.flags.extend(rows.into_iter().filter_map(read));
    Ok(())
}

type DeliveryColumns = (
    Uuid,
    Uuid,
    Uuid,
    String,
    String,
    Option<String>,
    String,
    String,
    bool,
    Option<String>,
    Option<i64>,
);

async fn load_deliveries(
    tx: &DatabaseTransaction,
    which: sea_orm::sea_query::SimpleExpr,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    use delivery::Column;
    let rows: Vec<DeliveryColumns> = delivery::Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Ticket,
            Column::Message,
            Column::State,
            Column::Realm,
            Column::RemoteId,
            Column::ToScheme,
            Column::ToValue,
            Column::Automated,
            Column::Error,
            Column::Since,
        ])
        .filter(which)
        .into_tuple()
        .all(tx)
        .await?;
    for (id, ticket, message, state, realm, remote_id, scheme, value, automated, error, since) in
        rows
    {
        if let Some(remote_id) = remote_id {
            facts.delivery_by_remote.insert((realm.clone(), remote_id), id);
        }
        let to = (scheme, value);
        let known =
            KnownDelivery { id, realm, ticket, message, state, to, automated, error, since };
        facts.deliveries.insert(id, known);
    }
    Ok(())
}

async fn load_tickets(
    tx: &DatabaseTransaction,
    mentioned: &Mentioned,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    if !mentioned.numbers.is_empty() {
        let numbers = mentioned.numbers.iter().copied();
        let rows = ticket::Entity::find()
            .filter(ticket::Column::Number.is_in(numbers))
            .lock_exclusive()
            .all(tx)
            .await?;
        for row in rows {
            facts.ticket_by_number.insert(row.number, row.id);
            facts.tickets.insert(row.id, Kept::old(row));
        }
    }
    if !mentioned.threads.is_empty() {
        let threads = mentioned.threads.iter().cloned();
        let rows = ticket::Entity::find()
            .filter(ticket::Column::Thread.is_in(threads))
            .filter(ticket::Column::DeletedAt.is_null())
            .order_by_asc(ticket::Column::Number)
            .lock_exclusive()
            .all(tx)
            .await?;
        for row in rows {
            if let Some(thread) = &row.thread {
                // Ascending numbers: the latest one stays.
                facts.ticket_by_thread.insert((row.channel.clone(), thread.clone()), row.id);
            }
            facts.tickets.insert(row.id, Kept::old(row));
        }
    }
    let seen = facts.seen.values().flatten().filter_map(|row| row.ticket);
    let wanted: HashSet<Uuid> =
        seen.chain(facts.deliveries.values().map(|delivery| delivery.ticket)).collect();
    load_missing(tx, wanted, facts).await?;
    for _ in 0..MERGES_MAX {
        let survivors = facts.tickets.values().filter_map(|kept| kept.row.merged_into).collect();
        if !load_missing(tx, survivors, facts).await? {
            break;
        }
    }
    load_open_threads(tx, facts).await?;
    load_participants(tx, mentioned, facts).await
}

/// Who has the conversations of the tickets that might be opened again?
async fn load_open_threads(tx: &DatabaseTransaction, facts: &mut Facts) -> Result<(), StoreError> {
    let threads: HashSet<String> =
        facts.tickets.values().filter_map(|kept| kept.row.thread.clone()).collect();
    if threads.is_empty() {
        return Ok(());
    }
    let rows: Vec<(String, Option<String>, Uuid)> = ticket::Entity::find()
        .select_only()
        .columns([ticket::Column::Channel, ticket::Column::Thread, ticket::Column::Id])
        .filter(ticket::Column::Thread.is_in(threads))
        .filter(ticket::Column::Status.is_in(["open", "pending"]))
        .filter(ticket::Column::MergedInto.is_null())
        .filter(ticket::Column::DeletedAt.is_null())
        .into_tuple()
        .all(tx)
        .await?;
    for (channel, thread, id) in rows {
        if let Some(thread) = thread {
            facts.open_by_thread.insert((channel, thread), id);
        }
    }
    Ok(())
}

/// Loads those that are not there yet. `false`: there were none.
async fn load_missing(
    tx: &DatabaseTransaction,
    mut wanted: HashSet<Uuid>,
    facts: &mut Facts,
) -> Result<bool, StoreError> {
    wanted.retain(|id| !facts.tickets.contains_key(id));
    if wanted.is_empty() {
        return Ok(false);
    }
    let rows = ticket::Entity::find()
        .filter(ticket::Column::Id.is_in(wanted))
        .lock_exclusive()
        .all(tx)
        .await?;
    let found = !rows.is_empty();
    facts.tickets.extend(rows.into_iter().map(|row| (row.id, Kept::old(row))));
    Ok(found)
}

async fn load_participants(
    tx: &DatabaseTransaction,
    mentioned: &Mentioned,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    if facts.tickets.is_empty() {
        return Ok(());
    }
    let rows = participant::Entity::find()
        .filter(participant::Column::Ticket.is_in(facts.tickets.keys().copied()))
        .filter(participant::Column::Value.is_in(mentioned.addresses.iter().cloned()))
        .all(tx)
        .await?;
    facts.participants.extend(rows.into_iter().map(|row| (row.ticket, row.scheme, row.value)));
    Ok(())
}

async fn load_contacts(
    tx: &DatabaseTransaction,
    mentioned: &Mentioned,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    if mentioned.addresses.is_empty() {
        return Ok(());
    }
    let values = mentioned.addresses.iter().cloned();
    let rows =
        identity::Entity::find().filter(identity::Column::Value.is_in(values)).all(tx).await?;
    let mut wanted: HashSet<Uuid> = rows.iter().map(|row| row.contact).collect();
    for row in rows {
        let key = (row.scheme.clone(), row.scope.clone(), row.value.clone());
        facts.identities.insert(key, Kept::old(row));
    }
    for _ in 0..MERGES_MAX {
        wanted.retain(|id| !facts.contacts.contains_key(id));
        if wanted.is_empty() {
            break;
        }
        let ids = std::mem::take(&mut wanted);
        let rows = contact::Entity::find().filter(contact::Column::Id.is_in(ids)).all(tx).await?;
        wanted.extend(rows.iter().filter_map(|row| row.merged_into));
        facts.contacts.extend(rows.into_iter().map(|row| (row.id, Kept::old(row))));
    }
    Ok(())
}

async fn load_acks(
    tx: &DatabaseTransaction,
    mentioned: &Mentioned,
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = || {
        let tickets = facts.tickets.keys().map(Uuid::to_string);
        mentioned.answers_to.iter().cloned().chain(tickets).collect::<Vec<_>>()
    };
    let rows = suppression::Entity::find()
        .filter(suppression::Column::Value.is_in(values()))
        .all(tx)
        .await?;
    facts.suppressed.extend(rows.into_iter().map(|row| (row.scheme, row.value)));
    let rows: Vec<(String, String, i64, bool)> = autoreply::Entity::find()
        .select_only()
        .columns([
            autoreply::Column::Scheme,
            autoreply::Column::Value,
            autoreply::Column::SentAt,
            autoreply::Column::Safety,
        ])
        .filter(autoreply::Column::Value.is_in(values()))
        .order_by_desc(autoreply::Column::SentAt)
        .into_tuple()
        .all(tx)
        .await?;
    for (scheme, value, at, safety) in rows {
        facts.acks_to.entry((scheme, value)).or_default().push((at, safety));
    }
    let hour_ago = millis(now - chrono::Duration::hours(1));
    let rows: Vec<(String, i64)> = autoreply::Entity::find()
        .select_only()
        .column(autoreply::Column::Channel)
        .column_as(autoreply::Column::Id.count(), "sent")
        .filter(autoreply::Column::SentAt.gt(hour_ago))
        .filter(autoreply::Column::Channel.ne(""))
        .group_by(autoreply::Column::Channel)
        .into_tuple()
        .all(tx)
        .await?;
    let count = |(channel, sent)| (channel, u64::try_from(sent).unwrap_or(u64::MAX));
    facts.acks_by.extend(rows.into_iter().map(count));
    Ok(())
}
