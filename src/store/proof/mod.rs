//! Codes that were sent to an address: asked for by an agent, brought back by the conversation that they were asked
//! for (`ingest/proof.rs`), ended when their time is over.
//!
//! The code itself is nowhere: the row has its hash, made with a key that is not in the database, and the delivery
//! that brings it has it sealed, until it went out.

mod word;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::contact::link;
use super::entity::{address_proof, delivery, identity, message, suppression, ticket};
use super::event::{self, NewEvent, take_numbers};
use super::idempotency::{Answer, By};
use super::message::newest_word;
use super::outbox::{self, NewDelivery, NewMessage, Routing, StoredOutbound};
use super::ticket::surviving;
use super::{Store, StoreError, millis, moment, parting, search};
use crate::desk::proof::{GOOD_FOR, ProofCode, ProofFacts, REMEMBERED, TRIES_MAX, provable};
use crate::model::{
    Actor, Address, ChannelName, DeliveryId, Flag, MessageId, Party, Realm, Secret, TicketId,
    Timestamp,
};

pub(super) use word::{cancel, forget_of as forget_words_of, forget_sent, is_gone};

/// For the key of the hashes.
const PURPOSE: &str = "address proof";
/// Of a ticket.
const SHOWN_MAX: u64 = 50;

/// A code that was sent to an address.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AddressProof)]
pub struct ProofView {
    /// Its id.
    pub id: Uuid,
    /// The ticket in which it was asked for.
    pub ticket_id: Uuid,
    /// The message that brought it.
    pub message_id: Uuid,
    /// `email` or `tel`.
    pub scheme: String,
    /// The address.
    pub address: String,
    /// The channel that it went out by.
    pub channel: String,
    /// `sent`: it waits for the customer. `proven`, `failed` (too many wrong codes), `expired`, or `replaced` by a
    /// newer one.
    pub state: String,
    /// Half of it went to the address and half into the conversation, since whoever writes there could be anybody.
    pub both_sides: bool,
    /// So often it can still be got wrong.
    pub tries_left: i32,
    /// When it was asked for.
    pub made_at: DateTime<Utc>,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

/// The conversation that a code is asked for.
#[derive(Debug, Clone)]
pub struct ProofAsker {
    /// The ticket, merges followed.
    pub ticket: TicketId,
    /// Its short number.
    pub number: u64,
    /// Its subject.
    pub subject: String,
    /// The customer's language.
    pub language: Option<String>,
    /// When the customer last wrote.
    pub last_inbound_at: Option<Timestamp>,
    /// The channel of the conversation.
    pub channel: ChannelName,
    /// Who writes there: they alone can bring the code back.
    pub address: Address,
    /// Their name.
    pub name: String,
    /// What they wrote last.
    pub message: MessageId,
    contact: Uuid,
    routing: Routing,
}

/// One of the two messages of a code.
#[derive(Debug, Clone)]
pub struct ProofLetter {
    /// The message that it becomes.
    pub message: MessageId,
    /// By which channel.
    pub channel: ChannelName,
    /// Of which realm.
    pub realm: Realm,
    /// With dots in the place of the code.
    pub text: String,
    /// As it goes out.
    pub parts: Vec<String>,
}

/// A code to be sent.
#[derive(Debug, Clone)]
pub struct NewProof {
    /// Who asked.
    pub asker: ProofAsker,
    /// The address that they say is theirs.
    pub address: Address,
    /// The code.
    pub code: ProofCode,
    /// Does the conversation get a half of it?
    pub both_sides: bool,
    /// The subject of the letter.
    pub subject: String,
    /// What goes to the address.
    pub letter: ProofLetter,
    /// What goes into the conversation.
    pub asks: ProofLetter,
}

impl Store {
    /// Who can be asked to bring back a code: whoever wrote last in a ticket, if it is its customer.
    pub async fn proof_asker(&self, id: TicketId) -> Result<ProofAsker, StoreError> {
        let db = self.reader();
        let row = ticket::Entity::find_by_id(id.uuid()).one(db).await?;
        let row = surviving(db, row).await?.filter(|row| row.deleted_at.is_none());
        let row = row.ok_or(StoreError::NotFound("ticket"))?;
        let last = newest_word(db, row.id).await?;
        let refused = |why: &str| StoreError::Refused(why.to_owned());
        let last = last.filter(|last| last.contact == Some(row.contact));
        let last = last.ok_or_else(|| refused("the customer did not write last in this ticket"))?;
        if last.kind != "message" {
            // A comment is answered in public, and nobody writes letters into a telephone.
            return Err(refused("the customer writes where a code cannot be brought back"));
        }
        let flags: Vec<Flag> = serde_json::from_str(&last.flags).unwrap_or_default();
        if flags.contains(&Flag::SpoofSuspect) {
            return Err(refused("the checks of their own address failed: nobody knows who writes"));
        }
        let routing: Routing = serde_json::from_str(&last.routing).map_err(database)?;
        let sender = routing.sender.clone();
        let sender = sender.ok_or_else(|| refused("the customer writes without an address"))?;
        Ok(ProofAsker {
            ticket: row.id.into(),
            number: u64::try_from(row.number).unwrap_or_default(),
            subject: row.subject,
            language: row.language,
            last_inbound_at: row.last_inbound_at.map(moment),
            channel: last.channel.parse().map_err(database)?,
            address: sender.address,
            name: last.author_name,
            message: last.id.into(),
            contact: row.contact,
            routing,
        })
    }

    /// Queues a code: durable when this returns. An earlier one of the same ticket is no longer good.
    pub async fn ask_for_proof(
        &self,
        new: NewProof,
        by: By,
    ) -> Result<Answer<ProofView>, StoreError> {
        let id = Uuid::now_v7();
        let hash = self.keys().fingerprints(PURPOSE, new.code.plain().reveal()).into_iter().next();
        let hash = hash.ok_or_else(|| StoreError::Database("there is no master key".into()))?;
        let (shown, first, second) = (new.code.shown(), new.code.first(), new.code.second());
        let (to_address, to_asker): (&Secret, Option<&Secret>) =
            if new.both_sides { (second, Some(first)) } else { (&shown, None) };
        let mut posts = Vec::new();
        for (letter, word) in [(&new.letter, Some(to_address)), (&new.asks, to_asker)] {
            let sealed = letter.parts.iter().map(|text| {
                let delivery = DeliveryId::new().uuid();
                let word = word.map(|word| word::seal(self.keys(), (delivery, id), word));
                Ok::<_, StoreError>((delivery, text.clone(), word.transpose()?))
            });
            posts.push(sealed.collect::<Result<Vec<_>, _>>()?);
        }
        let shared = Arc::new((new, posts, hash));
        self.write_once(by.once.clone(), by.now, move |tx| {
            let (shared, by) = (shared.clone(), by.clone());
            Box::pin(async move {
                let (new, posts, hash) = &*shared;
                let row = ask(tx, (id, new, hash.as_str()), &by).await?;
                for (letter, posts) in [&new.letter, &new.asks].into_iter().zip(posts) {
                    post(tx, (new, letter), posts, &by).await?;
                }
                Ok(view(row, by.now))
            })
        })
        .await
    }

    /// The codes of a ticket, newest first.
    pub async fn proofs(&self, id: TicketId, now: Timestamp) -> Result<Vec<ProofView>, StoreError> {
        let rows = address_proof::Entity::find()
            .filter(address_proof::Column::Ticket.eq(id.uuid()))
            .order_by_desc(address_proof::Column::Id)
            .limit(SHOWN_MAX)
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(|row| view(row, now)).collect())
    }

    /// Ends codes whose time is over. Returns how many.
    pub async fn end_old_proofs(&self, now: Timestamp) -> Result<usize, StoreError> {
        let old = || {
            address_proof::Entity::find()
                .filter(address_proof::Column::State.eq("open"))
                .filter(address_proof::Column::ExpiresAt.lte(millis(now)))
        };
        if old().one(self.reader()).await?.is_none() {
            return Ok(0);
        }
        let old = old().limit(100).lock_exclusive();
        self.write(move |tx| {
            let old = old.clone();
            Box::pin(async move {
                let rows = old.all(tx).await?;
                let count = rows.len();
                for row in rows {
                    end(tx, row.into_active_model(), "expired", now).await?;
                }
                Ok(count)
            })
        })
        .await
    }

    /// Forgets codes that no limit counts any more.
    pub async fn forget_old_proofs(&self, now: Timestamp) -> Result<u64, StoreError> {
        let old = address_proof::Column::MadeAt.lt(millis(now - REMEMBERED));
        self.write(move |tx| {
            let old = old.clone();
            Box::pin(async move { forget(tx, old).await })
        })
        .await
    }

    /// What may be codes, as they are compared: under each of our keys.
    pub(super) fn proof_hashes(&self, codes: &[Secret]) -> Vec<Vec<String>> {
        codes.iter().map(|code| self.keys().fingerprints(PURPOSE, code.reveal())).collect()
    }
}

/// Notes the code, if it may be sent.
async fn ask(
    tx: &DatabaseTransaction,
    (id, new, hash): (Uuid, &NewProof, &str),
    by: &By,
) -> Result<address_proof::Model, StoreError> {
    let ticket = super::ticket::take(tx, new.asker.ticket.uuid(), by.version).await?;
    let now = by.now;
    let facts = facts(tx, new, now).await?;
    provable(facts).map_err(|why| StoreError::Refused(why.to_owned()))?;
    let earlier = address_proof::Entity::find()
        .filter(address_proof::Column::Ticket.eq(ticket.id))
        .filter(address_proof::Column::State.eq("open"));
    for row in earlier.lock_exclusive().all(tx).await? {
        end(tx, row.into_active_model(), "replaced", now).await?;
    }
    let asker = &new.asker;
    let row = address_proof::Model {
        id,
        ticket: ticket.id,
        contact: asker.contact,
        message: new.letter.message.uuid(),
        asker_channel: asker.channel.as_str().to_owned(),
        asker_scheme: asker.address.scheme.as_str().to_owned(),
        asker_scope: scope(&asker.address).to_owned(),
        asker_value: asker.address.value.clone(),
        channel: new.letter.channel.as_str().to_owned(),
        scheme: new.address.scheme.as_str().to_owned(),
        value: new.address.value.clone(),
        hash: hash.to_owned(),
        both_sides: new.both_sides,
        tries: 0,
        state: "open".to_owned(),
        made_at: millis(now),
        expires_at: millis(now + GOOD_FOR),
        ended_at: None,
    };
    address_proof::Entity::insert(row.clone().into_active_model())
        .exec_without_returning(tx)
        .await?;
    let mut changed = ticket.clone().into_active_model();
    changed.message_count = Set(ticket.message_count + 2);
    changed.version = Set(ticket.version + 1);
    changed.updated_at = Set(millis(now));
    ticket::Entity::update(changed).exec(tx).await?;
    let mut event = NewEvent::of(ticket.id, "contact.proof_sent", by.actor.clone());
    event.message = Some(row.message);
    event.channel = Some(row.channel.clone());
    event.data = json!({ "proof": id, "scheme": row.scheme, "address": row.value });
    event::record(tx, vec![event], now).await?;
    Ok(row)
}

async fn facts(
    tx: &DatabaseTransaction,
    new: &NewProof,
    now: Timestamp,
) -> Result<ProofFacts, StoreError> {
    let (scheme, value) = (new.address.scheme.as_str(), new.address.value.as_str());
    let to_address = || {
        address_proof::Entity::find()
            .filter(address_proof::Column::Value.eq(value))
            .filter(address_proof::Column::Scheme.eq(scheme))
    };
    let since = |ago: chrono::Duration| address_proof::Column::MadeAt.gt(millis(now - ago));
    let day = || since(chrono::Duration::days(1));
    let by_contact = address_proof::Entity::find()
        .filter(address_proof::Column::Contact.eq(new.asker.contact))
        .filter(day());
    let suppressed =
        suppression::Entity::find_by_id((scheme.to_owned(), value.to_owned())).one(tx).await?;
    Ok(ProofFacts {
        to_address_day: to_address().filter(day()).count(tx).await?,
        to_address: to_address().filter(since(REMEMBERED)).count(tx).await?,
        by_contact_day: by_contact.count(tx).await?,
        suppressed: suppressed.is_some(),
    })
}

/// Queues one of the two messages. Nobody takes part in the ticket because a code was sent to them.
async fn post(
    tx: &DatabaseTransaction,
    (new, letter): (&NewProof, &ProofLetter),
    posts: &[(Uuid, String, Option<word::Sealed>)],
    by: &By,
) -> Result<(), StoreError> {
    let (asker, now) = (&new.asker, by.now);
    let mut row = outbox::message_row(&NewMessage {
        id: letter.message.uuid(),
        ticket: asker.ticket.uuid(),
        channel: letter.channel.as_str(),
        realm: &letter.realm.0,
        actor: &by.actor,
        text: &letter.text,
        html: None,
        reply_to: None,
        now,
    });
    row.seq = *take_numbers(tx, "feed", 1).await?.end();
    search::index(tx, &[(row.seq, letter.text.clone())]).await?;
    message::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    let within = letter.message == new.asks.message;
    let answer = if within {
        // To who writes there, wherever they want their answers: half of the code may be in it.
        let to = Party { address: asker.address.clone(), name: Some(asker.name.clone()) };
        let answer = asker.routing.answer(asker.number, Some(asker.subject.clone()), "");
        StoredOutbound { to, customer_wrote_at: asker.last_inbound_at, ..answer }
    } else {
        // Not the ticket's subject: the address may be a stranger's.
        let to = Party { address: new.address.clone(), name: None };
        let answer = Routing::default().answer(asker.number, Some(new.subject.clone()), "");
        StoredOutbound { to, ..answer }
    };
    let seqs = take_numbers(tx, "delivery", posts.len()).await?;
    for ((part, (id, text, sealed)), seq) in posts.iter().enumerate().zip(seqs) {
        let outbound = StoredOutbound {
            text: text.clone(),
            automated: true,
            language: asker.language.clone(),
            sealed: sealed.is_some(),
            ..answer.clone()
        };
        let row = outbox::delivery_row(NewDelivery {
            id: *id,
            seq,
            channel: letter.channel.as_str().to_owned(),
            realm: letter.realm.0.clone(),
            ticket: asker.ticket.uuid(),
            message: letter.message.uuid(),
            part: i32::try_from(part).unwrap_or(i32::MAX),
            outbound,
            not_before: now,
            held: false,
            unless_answered: false,
            now,
        });
        delivery::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
        if let Some(sealed) = sealed {
            sealed.insert(tx).await?;
        }
    }
    let mut event = NewEvent::of(asker.ticket.uuid(), "message.created", by.actor.clone());
    event.message = Some(letter.message.uuid());
    event.channel = Some(letter.channel.as_str().to_owned());
    event.data = json!({ "direction": "out", "kind": "message", "automated": true });
    event::record(tx, vec![event], now).await
}

/// Ends a code: what has not gone out of it stays here, and nothing of it can be read any more.
pub(super) async fn end(
    tx: &DatabaseTransaction,
    mut row: address_proof::ActiveModel,
    state: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    row.state = Set(state.to_owned());
    row.ended_at = Set(Some(millis(now)));
    let row = address_proof::Entity::update(row).exec(tx).await?;
    let stopped = word::stop(tx, row.id, now).await?;
    event::record(tx, stopped.iter().map(outbox::updated).collect(), now).await
}

/// The code came back: the address is the contact's who brought it, with all that was the address's. Taking it apart
/// again is undoing the joining of two contacts.
pub(super) async fn redeem(
    tx: &DatabaseTransaction,
    row: address_proof::Model,
    now: Timestamp,
) -> Result<(), StoreError> {
    let asker = find_identity(tx, (&row.asker_scheme, &row.asker_scope, &row.asker_value)).await?;
    let place = (row.scheme.clone(), row.value.clone());
    end(tx, row.into_active_model().reset_all(), "proven", now).await?;
    let into = link::survivor(tx, asker.map(|asker| asker.contact)).await?;
    let Some(into) = into else { return Ok(()) };
    let (scheme, value) = &place;
    let address =
        Address { scheme: scheme.parse().map_err(database)?, scope: None, value: value.clone() };
    // Where nobody is known by it, a contact of its own first: then it can be taken apart like every other.
    let theirs = outbox::contact_of(tx, &Party { address, name: None }, now).await?;
    let Some(known) = find_identity(tx, (scheme, "", value)).await? else { return Ok(()) };
    let proven = identity::ActiveModel {
        id: Set(known.id),
        trust: Set("proven".to_owned()),
        ..Default::default()
    };
    identity::Entity::update(proven).exec(tx).await?;
    link::join_whole(tx, theirs, into, (Actor::system(), now)).await?;
    if known.trust != "proven" {
        parting::trusted_before(tx, known.id, Some(&known.trust)).await?;
    }
    Ok(())
}

async fn find_identity(
    tx: &DatabaseTransaction,
    (scheme, scope, value): (&str, &str, &str),
) -> Result<Option<identity::Model>, StoreError> {
    let found = identity::Entity::find()
        .filter(identity::Column::Scheme.eq(scheme))
        .filter(identity::Column::Scope.eq(scope))
        .filter(identity::Column::Value.eq(value));
    Ok(found.one(tx).await?)
}

/// Forgets codes altogether.
pub(super) async fn forget(tx: &DatabaseTransaction, which: SimpleExpr) -> Result<u64, StoreError> {
    let rows = address_proof::Entity::find().filter(which).all(tx).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    for id in &ids {
        word::forget_of_proof(tx, *id).await?;
    }
    let gone = address_proof::Column::Id.is_in(ids);
    Ok(address_proof::Entity::delete_many().filter(gone).exec(tx).await?.rows_affected)
}

fn scope(address: &Address) -> &str {
    address.scope.as_ref().map_or("", ChannelName::as_str)
}

fn view(row: address_proof::Model, now: Timestamp) -> ProofView {
    let state = match row.state.as_str() {
        "open" if row.expires_at <= millis(now) => "expired",
        "open" => "sent",
        other => other,
    };
    ProofView {
        id: row.id,
        ticket_id: row.ticket,
        message_id: row.message,
        state: state.to_owned(),
        scheme: row.scheme,
        address: row.value,
        channel: row.channel,
        both_sides: row.both_sides,
        tries_left: (TRIES_MAX - row.tries).max(0),
        made_at: moment(row.made_at),
        expires_at: moment(row.expires_at),
        ended_at: row.ended_at.map(moment),
    }
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
