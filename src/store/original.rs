//! What customers wrote before it was masked: sealed at once, shown to whoever may and says why, forgotten when
//! its time is over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{attachment, blob as pieces, journal, message, original, seal};
use super::event::{self, NewEvent};
use super::{Store, StoreError, blob, millis, moment};
use crate::desk::{Found, SecretSort, safety};
use crate::model::{Actor, Timestamp};

/// How many secrets of one sort were masked in a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SecretCount {
    /// `seed_phrase`, `private_key`, `keystore`, `card`, `code` or `password`.
    #[schema(value_type = String)]
    pub kind: SecretSort,
    /// How many.
    pub count: usize,
}

/// The words of a message before they were masked; only what differs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct OriginalWords {
    /// The subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The new words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// All of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_full: Option<String>,
    /// As HTML; not to be shown as such without a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Names of people and files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// What was masked at one time in a message.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Unsealed {
    /// When it came.
    pub kept_at: DateTime<Utc>,
    /// How many secrets of which sort were in it.
    pub secrets: Vec<SecretCount>,
    /// The words, if the secret stood in those.
    pub words: Option<OriginalWords>,
    /// The attachment, if it stood in a file.
    pub attachment: Option<Uuid>,
    /// The file as it came, in base64.
    pub file: Option<String>,
}

/// An original, ready to be written.
#[derive(Clone)]
pub(super) struct Sealed {
    pub(super) row: original::Model,
    seal: seal::Model,
    packed: std::sync::Arc<blob::Packed>,
}

impl Store {
    /// Seals what was written, for a message or a file whose ids may be given later.
    pub(super) fn seal_original(
        &self,
        (message, attachment): (Option<Uuid>, Option<Uuid>),
        plain: &[u8],
        found: &Found,
        now: Timestamp,
    ) -> Result<Sealed, StoreError> {
        let (key, seal) = self.keys().fresh()?;
        let id = Uuid::now_v7();
        let mut packed = blob::pack(&key, id, plain)?;
        let row = original::Model {
            id,
            message,
            attachment,
            found: json!(found).to_string(),
            kept_at: millis(now),
            untold: false,
            seal: seal.id,
            sealed: packed.inline.take(),
        };
        Ok(Sealed { row, seal, packed: std::sync::Arc::new(packed) })
    }

    /// The same for words.
    pub(super) fn seal_words(
        &self,
        message: Option<Uuid>,
        words: &OriginalWords,
        found: &Found,
        now: Timestamp,
    ) -> Result<Sealed, StoreError> {
        let plain = zeroize::Zeroizing::new(json!(words).to_string());
        self.seal_original((message, None), plain.as_bytes(), found, now)
    }

    /// Shows what was masked in a message. Who asked, and why, is in the trail before they see it.
    pub async fn unseal(
        &self,
        message: Uuid,
        reason: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Vec<Unsealed>, StoreError> {
        let mut reason = reason.to_owned();
        self.safety().mask(&mut reason);
        let rows = self
            .write(move |tx| {
                let (reason, actor) = (reason.clone(), actor.clone());
                Box::pin(async move {
                    let of = message::Entity::find_by_id(message).one(tx).await?;
                    let of = of.ok_or(StoreError::NotFound("message"))?;
                    let rows = originals(tx, message).await?;
                    if rows.is_empty() {
                        return Err(StoreError::NotFound("secret in this message"));
                    }
                    let mut event = NewEvent::of(of.ticket, "message.unsealed", actor);
                    event.message = Some(message);
                    event.channel = Some(of.channel);
                    event.data = json!({ "reason": reason, "secrets": counts(&together(&rows)?) });
                    event::record(tx, vec![event], now).await?;
                    Ok(rows)
                })
            })
            .await?;
        let mut unsealed = Vec::with_capacity(rows.len());
        for row in rows {
            let inline = row.sealed.as_deref();
            let plain = blob::load(self.reader(), self.keys(), row.id, row.seal, inline).await?;
            let found = found(&row)?;
            let is_file = row.attachment.is_some();
            let words = plain.as_deref().filter(|_| !is_file).map(serde_json::from_slice);
            let words = words.transpose().map_err(|error| StoreError::Database(error.into()))?;
            unsealed.push(Unsealed {
                kept_at: moment(row.kept_at),
                secrets: counts(&found),
                words,
                attachment: row.attachment,
                file: plain.filter(|_| is_file).map(|bytes| BASE64.encode(bytes)),
            });
        }
        Ok(unsealed)
    }

    /// Destroys originals that are older than this, and the raws that they came in. Returns how many.
    pub async fn forget_old_originals(&self, now: Timestamp) -> Result<usize, StoreError> {
        let before = millis(now - self.safety().keep);
        self.write(move |tx| {
            Box::pin(async move {
                let old = original::Entity::find()
                    .filter(original::Column::KeptAt.lt(before))
                    .limit(100)
                    .all(tx)
                    .await?;
                let messages: Vec<Uuid> = old.iter().filter_map(|row| row.message).collect();
                forget_raws(tx, &messages).await?;
                let count = old.len();
                forget(tx, old).await?;
                Ok(count)
            })
        })
        .await
    }
}

/// The raw of a message that had a secret has it still.
async fn forget_raws(tx: &DatabaseTransaction, messages: &[Uuid]) -> Result<(), StoreError> {
    let raws: Vec<Uuid> = message::Entity::find()
        .select_only()
        .column(message::Column::Raw)
        .filter(message::Column::Id.is_in(messages.iter().copied()))
        .filter(message::Column::Raw.is_not_null())
        .into_tuple()
        .all(tx)
        .await?;
    let rows: Vec<(Uuid, Uuid)> = journal::Entity::find()
        .select_only()
        .columns([journal::Column::Id, journal::Column::Seal])
        .filter(
            sea_orm::Condition::any()
                .add(journal::Column::Id.is_in(raws))
                .add(journal::Column::Message.is_in(messages.iter().copied())),
        )
        .into_tuple()
        .all(tx)
        .await?;
    for (id, seal) in rows {
        seal::Entity::delete_by_id(seal).exec(tx).await?;
        blob::delete(tx, id).await?;
        journal::Entity::update_many()
            .col_expr(journal::Column::Sealed, Expr::value(Option::<Vec<u8>>::None))
            .filter(journal::Column::Id.eq(id))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Destroys originals.
async fn forget(tx: &DatabaseTransaction, rows: Vec<original::Model>) -> Result<(), StoreError> {
    for row in rows {
        seal::Entity::delete_by_id(row.seal).exec(tx).await?;
        pieces::Entity::delete_many().filter(pieces::Column::Owner.eq(row.id)).exec(tx).await?;
        original::Entity::delete_by_id(row.id).exec(tx).await?;
    }
    Ok(())
}

/// Destroys those of messages that are erased, and of their files.
pub(super) async fn forget_of_messages(
    tx: &DatabaseTransaction,
    messages: &[Uuid],
) -> Result<(), StoreError> {
    let rows = original::Entity::find()
        .filter(original::Column::Message.is_in(messages.iter().copied()))
        .all(tx)
        .await?;
    forget(tx, rows).await
}

/// Destroys those of files that nobody used.
pub(super) async fn forget_of_file(tx: &DatabaseTransaction, file: Uuid) -> Result<(), StoreError> {
    let rows = original::Entity::find()
        .filter(original::Column::Attachment.eq(file))
        .filter(original::Column::Message.is_null())
        .all(tx)
        .await?;
    forget(tx, rows).await
}

/// Writes one, for this message.
pub(super) async fn insert(
    tx: &DatabaseTransaction,
    sealed: &Sealed,
    message: Option<Uuid>,
) -> Result<(), StoreError> {
    let row = original::Model { message, ..sealed.row.clone() };
    let seal = sealed.seal.clone().into_active_model();
    seal::Entity::insert(seal).exec_without_returning(tx).await?;
    original::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    blob::insert(tx, &sealed.packed).await
}

async fn originals<C: ConnectionTrait>(
    db: &C,
    message: Uuid,
) -> Result<Vec<original::Model>, StoreError> {
    let rows = original::Entity::find()
        .filter(original::Column::Message.eq(message))
        .order_by_asc(original::Column::Id)
        .all(db)
        .await?;
    Ok(rows)
}

/// What was masked in messages, all together for each.
pub(super) async fn found_in<C: ConnectionTrait>(
    db: &C,
    messages: impl Iterator<Item = Uuid>,
) -> Result<std::collections::HashMap<Uuid, Vec<SecretCount>>, StoreError> {
    let rows: Vec<(Option<Uuid>, String)> = original::Entity::find()
        .select_only()
        .columns([original::Column::Message, original::Column::Found])
        .filter(original::Column::Message.is_in(messages))
        .into_tuple()
        .all(db)
        .await?;
    let mut of: std::collections::HashMap<Uuid, Found> = std::collections::HashMap::new();
    for (message, found) in rows {
        let Some(message) = message else { continue };
        safety::add(of.entry(message).or_default(), &read(&found)?);
    }
    Ok(of.into_iter().map(|(message, found)| (message, counts(&found))).collect())
}

/// What was masked in files that wait for their messages.
pub(super) async fn found_in_files<C: ConnectionTrait>(
    db: &C,
    files: impl Iterator<Item = Uuid>,
) -> Result<std::collections::HashMap<Uuid, Found>, StoreError> {
    let rows: Vec<(Option<Uuid>, String)> = original::Entity::find()
        .select_only()
        .columns([original::Column::Attachment, original::Column::Found])
        .filter(original::Column::Attachment.is_in(files))
        .into_tuple()
        .all(db)
        .await?;
    let found = rows.into_iter().filter_map(|(file, found)| Some((file?, read(&found))));
    found.map(|(file, found)| Ok((file, found?))).collect()
}

/// A file has its message now.
pub(super) async fn goes_with(
    tx: &DatabaseTransaction,
    file: Uuid,
    message: Uuid,
) -> Result<(), StoreError> {
    original::Entity::update_many()
        .col_expr(original::Column::Message, Expr::value(Some(message)))
        .filter(original::Column::Attachment.eq(file))
        .exec(tx)
        .await?;
    Ok(())
}

/// The flags of a message (as they are stored) with the one that says that it was masked.
pub(super) fn flagged(flags: &str) -> Result<String, StoreError> {
    let mut flags: std::collections::BTreeSet<crate::model::Flag> =
        serde_json::from_str(flags).map_err(|error| StoreError::Database(error.into()))?;
    flags.insert(crate::model::Flag::Redacted);
    Ok(json!(flags).to_string())
}

/// A file is masked after its message was written: it was fetched later.
pub(super) async fn flag(
    tx: &DatabaseTransaction,
    file: &attachment::Model,
) -> Result<(), StoreError> {
    let Some(id) = file.message else { return Ok(()) };
    let Some(row) = message::Entity::find_by_id(id).one(tx).await? else { return Ok(()) };
    let flags = flagged(&row.flags)?;
    let mut row = row.into_active_model();
    row.flags = sea_orm::ActiveValue::Set(flags);
    message::Entity::update(row).exec(tx).await?;
    Ok(())
}

fn together(rows: &[original::Model]) -> Result<Found, StoreError> {
    let mut all = Found::new();
    for row in rows {
        safety::add(&mut all, &found(row)?);
    }
    Ok(all)
}

pub(super) fn found(row: &original::Model) -> Result<Found, StoreError> {
    read(&row.found)
}

fn read(found: &str) -> Result<Found, StoreError> {
    serde_json::from_str(found).map_err(|error| StoreError::Database(error.into()))
}

fn counts(found: &Found) -> Vec<SecretCount> {
    found.iter().map(|(kind, count)| SecretCount { kind: *kind, count: *count }).collect()
}
