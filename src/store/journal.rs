//! The journal: everything that came in, as it came, before anybody tries to understand it.
//!
//! A row is `pending` until it ended as `applied`, `ignored` (with a reason) or `failed` (with an error): none
//! disappears. The failed ones are what people call the quarantine.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::blob::{self, Packed};
use super::entity::{cursor, journal, message, seal, ticket};
use super::event::{self, NewEvent};
use super::{Fence, Store, StoreError, lease, millis, moment};
use crate::model::{Actor, Batch, ChannelName, Cursor, DedupeKey, Raw, RawId, Timestamp};

/// Rows in one INSERT: SQLite allows 32,766 variables, a row has 18.
const ROWS_MAX: usize = 500;

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The row of each raw, in the order given: new ones and known ones.
    pub ids: Vec<RawId>,
    /// How many were new.
    pub new: usize,
}

/// A raw that waits for its meaning.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its row.
    pub id: RawId,
    /// Which channel it came by.
    pub channel: ChannelName,
    /// What came; `received_at` is always set.
    pub raw: Raw,
    /// How often it was tried before.
    pub attempts: i32,
}

/// How a row of the journal ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Its events are in the store.
    Applied,
    /// Nothing for us, and why.
    Ignored(String),
    /// Could not be understood, and why. Can be tried again.
    Failed(String),
}

/// A row of the journal, without its body.
#[derive(Debug, Clone)]
pub struct JournalRow {
    /// Its id.
    pub id: RawId,
    /// Which channel it came by.
    pub channel: ChannelName,
    /// `pending`, `applied`, `ignored`, `failed`.
    pub state: String,
    /// Why it was ignored or failed.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// Bytes of the body.
    pub size: i64,
    /// When the service took it.
    pub received_at: Timestamp,
    /// The ticket it went to.
    pub ticket: Option<Uuid>,
}

/// A raw, sealed and ready to be inserted.
struct Prepared {
    row: journal::Model,
    seal: seal::Model,
    packed: Packed,
}

/// Where a raw ended up.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The ticket.
    pub ticket: Uuid,
    /// Its short number.
    pub number: i64,
    /// The message; `None` where the same message had come before by another way.
    pub message: Option<Uuid>,
}

impl Store {
    /// The messages that a raw became.
    pub async fn placed(&self, id: RawId) -> Result<Vec<Placed>, StoreError> {
        let rows: Vec<(Uuid, Uuid)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Ticket, message::Column::Id])
            .filter(message::Column::Raw.eq(id.uuid()))
            .order_by_asc(message::Column::Seq)
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut found: Vec<(Uuid, Option<Uuid>)> =
            rows.into_iter().map(|(ticket, message)| (ticket, Some(message))).collect();
        if found.is_empty() {
            let row = journal::Entity::find_by_id(id.uuid()).one(self.reader()).await?;
            found.extend(row.and_then(|row| row.ticket).map(|ticket| (ticket, None)));
        }
        let mut placed = Vec::with_capacity(found.len());
        for (id, message) in found {
            if let Some(row) = ticket::Entity::find_by_id(id).one(self.reader()).await? {
                placed.push(Placed { ticket: id, number: row.number, message });
            }
        }
        Ok(placed)
    }

    /// Stores what a pull brought and moves the cursor: both or neither.
    pub async fn append_pulled(
        &self,
        fence: &Fence,
        batch: Batch,
        now: Timestamp,
    ) -> Result<Appended, StoreError> {
        let prepared = Arc::new(self.prepare(&fence.channel, batch.raws, now).await?);
        let (fence, cursor) = (fence.clone(), batch.cursor);
        self.write(move |tx| {
            let (fence, cursor, prepared) = (fence.clone(), cursor.clone(), prepared.clone());
            Box::pin(async move {
                lease::check(tx, &fence).await?;
                let appended = insert_new(tx, &prepared).await?;
                if let Some(cursor) = cursor {
                    move_cursor(tx, &fence.channel, cursor, now).await?;
                }
                Ok(appended)
            })
        })
        .await
    }

    /// Stores what a service pushed. Needs no lease: any node may take it.
    pub async fn append_pushed(
        &self,
        channel: &ChannelName,
        raws: Vec<Raw>,
        now: Timestamp,
    ) -> Result<Appended, StoreError> {
        let prepared = Arc::new(self.prepare(channel, raws, now).await?);
        self.write(move |tx| {
            let prepared = prepared.clone();
            Box::pin(async move { insert_new(tx, &prepared).await })
        })
        .await
    }

    async fn prepare(
        &self,
        channel: &ChannelName,
        raws: Vec<Raw>,
        now: Timestamp,
    ) -> Result<Vec<Prepared>, StoreError> {
        let (store, channel) = (self.clone(), channel.clone());
        let bytes = raws.iter().map(|raw| raw.body.len()).sum();
        blob::beside(bytes, move || {
            raws.into_iter().map(|raw| store.prepare_one(&channel, &raw, now)).collect()
        })
        .await
    }

    fn prepare_one(
        &self,
        channel: &ChannelName,
        raw: &Raw,
        now: Timestamp,
    ) -> Result<Prepared, StoreError> {
        let id = RawId::new().uuid();
        let (key, seal) = self.keys().fresh()?;
        let mut packed = blob::pack(&key, id, &raw.body)?;
        let transport = serde_json::to_string(&raw.transport)
            .map_err(|error| StoreError::Database(error.into()))?;
        let row = journal::Model {
            id,
            channel: channel.as_str().to_owned(),
            dedupe: raw.dedupe.0.clone(),
            node: self.node().uuid(),
            received_at: millis(raw.received_at.unwrap_or(now)),
            appended_at: millis(now),
            state: "pending".to_owned(),
            reason: None,
            attempts: 0,
            retry_at: None,
            ended_at: None,
            ticket: None,
            message: None,
            transport,
            size: i64::try_from(raw.body.len()).unwrap_or(i64::MAX),
            seal: seal.id,
            sealed: packed.inline.take(),
        };
        Ok(Prepared { row, seal, packed })
    }

    /// This node's rows that wait for their meaning, oldest first: at most `rows`, and not much more than
    /// `bytes_max` of bodies (always at least one).
    pub async fn pending(
        &self,
        rows: u64,
        bytes_max: i64,
        now: Timestamp,
    ) -> Result<Vec<Pending>, StoreError> {
        self.pending_behind(None, rows, bytes_max, now).await
    }

    /// The same for the rows behind one, while that one is being worked off.
    pub async fn pending_behind(
        &self,
        last: Option<RawId>,
        rows: u64,
        bytes_max: i64,
        now: Timestamp,
    ) -> Result<Vec<Pending>, StoreError> {
        let behind = last.map(|last| journal::Column::Id.gt(last.uuid()));
        let due = Condition::any()
            .add(journal::Column::RetryAt.is_null())
            .add(journal::Column::RetryAt.lte(millis(now)));
        let sizes: Vec<(Uuid, i64)> = journal::Entity::find()
            .select_only()
            .columns([journal::Column::Id, journal::Column::Size])
            .filter(journal::Column::State.eq("pending"))
            .filter(journal::Column::Node.eq(self.node().uuid()))
            .filter(due)
            .filter(Condition::all().add_option(behind))
            .order_by_asc(journal::Column::Id)
            .limit(rows)
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut bytes = 0;
        let ids: Vec<Uuid> = sizes
            .into_iter()
            .take_while(|(_, size)| {
                let first = bytes == 0;
                bytes += size;
                first || bytes <= bytes_max
            })
            .map(|(id, _)| id)
            .collect();
        let rows = journal::Entity::find()
            .filter(journal::Column::Id.is_in(ids))
            .order_by_asc(journal::Column::Id)
            .all(self.reader())
            .await?;
        self.unseal_rows(rows).await
    }

    async fn unseal_rows(&self, rows: Vec<journal::Model>) -> Result<Vec<Pending>, StoreError> {
        let seals = rows.iter().map(|row| row.seal);
        let seals: HashMap<Uuid, seal::Model> = seal::Entity::find()
            .filter(seal::Column::Id.is_in(seals))
            .all(self.reader())
            .await?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        let mut pending = Vec::with_capacity(rows.len());
        for row in rows {
            let body = match (seals.get(&row.seal), &row.sealed) {
                (Some(seal), Some(sealed)) => self.keys().open(seal)?.unseal(sealed)?,
                (Some(_), None) => blob::load(self.reader(), self.keys(), row.id, row.seal, None)
                    .await?
                    .unwrap_or_default(),
                // Erased while it waited.
                (None, _) => Vec::new(),
            };
            pending.push(to_pending(row, body)?);
        }
        Ok(pending)
    }

    /// One row with its body, whatever its state. `None` for a body whose key was destroyed.
    pub async fn raw(&self, id: RawId) -> Result<(JournalRow, Option<Raw>), StoreError> {
        let row = journal::Entity::find_by_id(id.uuid())
            .one(self.reader())
            .await?
            .ok_or(StoreError::NotFound("raw"))?;
        let body =
            blob::load(self.reader(), self.keys(), row.id, row.seal, row.sealed.as_deref()).await?;
        let shown = to_row(&row)?;
        let raw = match body {
            Some(body) => Some(to_pending(row, body)?.raw),
            None => None,
        };
        Ok((shown, raw))
    }

    /// Puts a failed row back to be interpreted again, by this node.
    pub async fn retry_raw(
        &self,
        id: RawId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<JournalRow, StoreError> {
        let node = self.node().uuid();
        self.write(move |tx| {
            let actor = actor.clone();
            Box::pin(async move {
                let row = failed(tx, id).await?;
                retry(tx, node, Condition::all().add(journal::Column::Id.eq(row.id))).await?;
                let event =
                    quarantine_event("quarantine.retried", &row.channel, actor, Some(id), 1);
                event::record(tx, vec![event], now).await?;
                Ok(JournalRow { state: "pending".to_owned(), ..to_row(&row)? })
            })
        })
        .await
    }

    /// Puts all failed rows of a channel (or of all) back to be interpreted again, by this node. They are
    /// worked off a batch at a time, behind what comes in meanwhile. Returns how many.
    pub async fn retry_raws(
        &self,
        channel: Option<ChannelName>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let node = self.node().uuid();
        self.write(move |tx| {
            let (channel, actor) = (channel.clone(), actor.clone());
            Box::pin(async move {
                let name = channel.as_ref().map(ChannelName::as_str);
                let which =
                    Condition::all().add_option(name.map(|name| journal::Column::Channel.eq(name)));
                let count = retry(tx, node, which).await?;
                if count > 0 {
                    let kind = "quarantine.retried";
                    let event =
                        quarantine_event(kind, name.unwrap_or_default(), actor, None, count);
                    event::record(tx, vec![event], now).await?;
                }
                Ok(count)
            })
        })
        .await
    }

    /// Gives a failed row up for good: it stays as `ignored`, and its body is destroyed.
    pub async fn drop_raw(
        &self,
        id: RawId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let actor = actor.clone();
            Box::pin(async move {
                let row = failed(tx, id).await?;
                seal::Entity::delete_by_id(row.seal).exec(tx).await?;
                blob::delete(tx, row.id).await?;
                let reason = format!("given up by {}", actor.name);
                let event =
                    quarantine_event("quarantine.dropped", &row.channel, actor, Some(id), 1);
                let mut row = row.into_active_model();
                row.state = Set("ignored".to_owned());
                row.reason = Set(Some(reason));
                row.sealed = Set(None);
                journal::Entity::update(row).exec(tx).await?;
                event::record(tx, vec![event], now).await
            })
        })
        .await
    }

    /// Rows that ended `failed`, newest first.
    pub async fn quarantine(
        &self,
        before: Option<RawId>,
        limit: u64,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let mut rows = journal::Entity::find().filter(journal::Column::State.eq("failed"));
        if let Some(before) = before {
            rows = rows.filter(journal::Column::Id.lt(before.uuid()));
        }
        let rows = rows.order_by_desc(journal::Column::Id).limit(limit).all(self.reader()).await?;
        rows.iter().map(to_row).collect()
    }
}

/// A row that could not be understood.
async fn failed(tx: &DatabaseTransaction, id: RawId) -> Result<journal::Model, StoreError> {
    let row = journal::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
    row.filter(|row| row.state == "failed").ok_or(StoreError::NotFound("quarantined message"))
}

async fn retry(tx: &DatabaseTransaction, node: Uuid, which: Condition) -> Result<u64, StoreError> {
    let changed = journal::Entity::update_many()
        .set(journal::ActiveModel {
            state: Set("pending".to_owned()),
            node: Set(node),
            retry_at: Set(None),
            ..Default::default()
        })
        .filter(journal::Column::State.eq("failed"))
        .filter(which)
        .exec(tx)
        .await?;
    Ok(changed.rows_affected)
}

fn quarantine_event(
    kind: &'static str,
    channel: &str,
    actor: Actor,
    id: Option<RawId>,
    count: u64,
) -> NewEvent {
    NewEvent {
        kind,
        ticket: None,
        ticket_seq: None,
        message: None,
        channel: Some(channel.to_owned()).filter(|name| !name.is_empty()),
        actor,
        data: json!({ "id": id, "count": count }),
    }
}

async fn move_cursor(
    tx: &DatabaseTransaction,
    channel: &ChannelName,
    cursor: Cursor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = cursor::ActiveModel {
        channel: Set(channel.as_str().to_owned()),
        value: Set(cursor.0),
        moved_at: Set(millis(now)),
    };
    cursor::Entity::insert(row)
        .on_conflict(
            OnConflict::column(cursor::Column::Channel)
                .update_columns([cursor::Column::Value, cursor::Column::MovedAt])
                .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Inserts those that are not known yet. A race with another node meets the unique index and runs again.
async fn insert_new(
    tx: &DatabaseTransaction,
    prepared: &[Prepared],
) -> Result<Appended, StoreError> {
    let known = known(tx, prepared).await?;
    let mut batch = HashSet::new();
    let mut ids = HashMap::new();
    let fresh: Vec<&Prepared> = prepared
        .iter()
        .filter(|one| !known.contains_key(&one.row.dedupe) && batch.insert(&one.row.dedupe))
        .inspect(|one| {
            ids.insert(one.row.dedupe.clone(), one.row.id);
        })
        .collect();
    for rows in fresh.chunks(ROWS_MAX) {
        let seals = rows.iter().map(|one| one.seal.clone().into_active_model());
        seal::Entity::insert_many(seals).exec_without_returning(tx).await?;
        let rows = rows.iter().map(|one| one.row.clone().into_active_model());
        journal::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    for one in &fresh {
        blob::insert(tx, &one.packed).await?;
    }
    let id_of = |one: &Prepared| {
        let known = known.get(&one.row.dedupe).or_else(|| ids.get(&one.row.dedupe));
        RawId::from(known.copied().unwrap_or(one.row.id))
    };
    Ok(Appended { ids: prepared.iter().map(id_of).collect(), new: fresh.len() })
}

async fn known(
    tx: &DatabaseTransaction,
    prepared: &[Prepared],
) -> Result<HashMap<String, Uuid>, StoreError> {
    let Some(first) = prepared.first() else { return Ok(HashMap::new()) };
    let mut known = HashMap::new();
    for part in prepared.chunks(ROWS_MAX) {
        let rows: Vec<(String, Uuid)> = journal::Entity::find()
            .select_only()
            .columns([journal::Column::Dedupe, journal::Column::Id])
            .filter(journal::Column::Channel.eq(&first.row.channel))
            .filter(journal::Column::Dedupe.is_in(part.iter().map(|one| &one.row.dedupe)))
            .into_tuple()
            .all(tx)
            .await?;
        known.extend(rows);
    }
    Ok(known)
}

fn to_row(row: &journal::Model) -> Result<JournalRow, StoreError> {
    Ok(JournalRow {
        id: row.id.into(),
        channel: row.channel.parse().map_err(database)?,
        state: row.state.clone(),
        reason: row.reason.clone(),
        attempts: row.attempts,
        size: row.size,
        received_at: moment(row.received_at),
        ticket: row.ticket,
    })
}

fn to_pending(row: journal::Model, body: Vec<u8>) -> Result<Pending, StoreError> {
    Ok(Pending {
        id: row.id.into(),
        channel: row.channel.parse().map_err(database)?,
        attempts: row.attempts,
        raw: Raw {
            dedupe: DedupeKey(row.dedupe),
            body: Bytes::from(body),
            transport: serde_json::from_str(&row.transport).map_err(database)?,
            received_at: Some(moment(row.received_at)),
        },
    })
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
