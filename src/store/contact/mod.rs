//! Contacts: read, changed, joined; handed out and erased at their wish (in the files beside).

mod erase;
mod export;
pub(super) mod link;
mod list;
mod name;
mod similar;
mod tags;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{contact, identity, message, ticket};
use super::event::{self, NewEvent};
use super::idempotency::{Answer, By};
use super::parting::{self, MovedContact};
use super::{Store, StoreError, millis, moment};
use crate::model::{Actor, ContactId, Timestamp};

pub(super) use erase::{erase, forget_messages, forget_raws, forget_ticket};
pub use export::ContactExport;
pub use link::LinkCode;
pub use list::ContactFilter;
pub(super) use name::take_back as take_name_back;
pub(super) use tags::{tags_of, take_back as take_tags_back};

/// One address of a contact.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Identity)]
pub struct IdentityView {
    /// `email`, `tel`, `telegram`, `web`, `meta` or `api`.
    pub scheme: String,
    /// The address in comparable form.
    pub value: String,
    /// The channel within which it counts, where a service gives each of our accounts another one.
    pub scope: Option<String>,
    /// `proven`, `claimed` or `forged`.
    pub trust: String,
}

/// A contact, as a ticket shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContactBrief {
    /// The id.
    pub id: Uuid,
    /// The name to show.
    pub name: String,
    /// All known addresses.
    pub identities: Vec<IdentityView>,
    /// What agents tagged them with, in order.
    pub tags: BTreeSet<String>,
}

impl ContactBrief {
    pub(super) fn unknown(id: Uuid) -> Self {
        Self { id, name: String::new(), identities: Vec::new(), tags: BTreeSet::new() }
    }
}

/// A contact.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Contact)]
pub struct ContactView {
    /// The id.
    pub id: Uuid,
    /// The name to show.
    pub name: String,
    /// The language to write in, where it is known.
    pub language: Option<String>,
    /// What agents should know.
    pub note: Option<String>,
    /// All known addresses.
    pub identities: Vec<IdentityView>,
    /// What agents tagged them with, in order.
    pub tags: BTreeSet<String>,
    /// Grows with each change: for `If-Match`.
    pub version: i64,
    /// When they first wrote or were written to.
    pub created_at: DateTime<Utc>,
    /// When something here last changed.
    pub updated_at: DateTime<Utc>,
    /// When everything about them was erased.
    pub erased_at: Option<DateTime<Utc>>,
    /// The contact that this one was joined with.
    pub merged_into: Option<Uuid>,
}

/// What to change; `None` leaves it, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct ContactPatch {
    /// The name to show.
    pub name: Option<String>,
    /// The language to write in.
    pub language: Option<Option<String>>,
    /// What agents should know.
    pub note: Option<Option<String>>,
    /// All of their tags.
    pub tags: Option<Vec<String>>,
}

impl ContactPatch {
    /// The names of what it changes. What is written there is nobody's business but the contact's.
    fn fields(&self) -> Vec<&'static str> {
        let given = [
            ("name", self.name.is_some()),
            ("language", self.language.is_some()),
            ("note", self.note.is_some()),
            ("tags", self.tags.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field).collect()
    }
}

impl Store {
    /// One contact.
    pub async fn contact(&self, id: ContactId) -> Result<ContactView, StoreError> {
        contact_view(self.reader(), id.uuid()).await
    }

    /// Changes a contact, if it still has the version that the caller knew.
    pub async fn change_contact(
        &self,
        id: ContactId,
        patch: ContactPatch,
        by: By,
    ) -> Result<ContactView, StoreError> {
        self.write(move |tx| {
            let (patch, By { actor, version, now, .. }) = (patch.clone(), by.clone());
            Box::pin(async move {
                let row = take(tx, id.uuid(), version).await?;
                let data = json!({ "id": id, "fields": patch.fields() });
                let version = row.version + 1;
                let mut row = row.into_active_model();
                if let Some(name) = patch.name {
                    row.name = Set(name);
                }
                if let Some(language) = patch.language {
                    row.language = Set(language);
                }
                if let Some(note) = patch.note {
                    row.note = Set(note);
                }
                row.version = Set(version);
                row.updated_at = Set(millis(now));
                if let Some(tags) = &patch.tags {
                    tags::set(tx, id.uuid(), tags).await?;
                }
                contact::Entity::update(row).exec(tx).await?;
                record(tx, "contact.updated", data, (actor, now)).await?;
                contact_view(tx, id.uuid()).await
            })
        })
        .await
    }

    /// Joins one contact with another: its addresses and tickets become the other's.
    pub async fn merge_contact(
        &self,
        from: ContactId,
        into: ContactId,
        by: By,
    ) -> Result<Answer<ContactView>, StoreError> {
        self.write_once(by.once.clone(), by.now, move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                if from == into {
                    let text = "a contact cannot be joined with itself".to_owned();
                    return Err(StoreError::Refused(text));
                }
                let (from, into) = (from.uuid(), into.uuid());
                let gone = take(tx, from, version).await?;
                join(tx, gone, into, (actor, now)).await?;
                contact_view(tx, into).await
            })
        })
        .await
    }
}

/// All that was one contact's becomes another's.
async fn join(
    tx: &DatabaseTransaction,
    gone: contact::Model,
    into: Uuid,
    (actor, now): (Actor, Timestamp),
) -> Result<(), StoreError> {
    let from = gone.id;
    let kept = take(tx, into, None).await?;
    let identities = identity::Entity::find()
        .select_only()
        .column(identity::Column::Id)
        .filter(identity::Column::Contact.eq(from))
        .into_tuple();
    let tickets = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Id)
        .filter(ticket::Column::Contact.eq(from))
        .into_tuple();
    let messages = message::Entity::find()
        .select_only()
        .column(message::Column::Id)
        .filter(message::Column::Contact.eq(from))
        .into_tuple();
    let moved = MovedContact {
        identities: identities.all(tx).await?,
        tickets: tickets.all(tx).await?,
        messages: Some(messages.all(tx).await?),
        tags: tags::lend(tx, from, into).await?,
        trust: Vec::new(),
        name: name::lend(tx, &gone, &kept).await?,
    };
    parting::remember(tx, from, &moved, now).await?;
    move_all(tx, from, into).await?;
    let version = gone.version + 1;
    let mut gone = gone.into_active_model();
    gone.merged_into = Set(Some(into));
    gone.version = Set(version);
    gone.updated_at = Set(millis(now));
    contact::Entity::update(gone).exec(tx).await?;
    let version = kept.version + 1;
    let mut kept = kept.into_active_model();
    kept.version = Set(version);
    kept.updated_at = Set(millis(now));
    contact::Entity::update(kept).exec(tx).await?;
    record(tx, "contact.merged", json!({ "id": from, "into": into }), (actor, now)).await
}

async fn move_all(tx: &DatabaseTransaction, from: Uuid, into: Uuid) -> Result<(), StoreError> {
    identity::Entity::update_many()
        .col_expr(identity::Column::Contact, Expr::value(into))
        .filter(identity::Column::Contact.eq(from))
        .exec(tx)
        .await?;
    ticket::Entity::update_many()
        .col_expr(ticket::Column::Contact, Expr::value(into))
        .filter(ticket::Column::Contact.eq(from))
        .exec(tx)
        .await?;
    message::Entity::update_many()
        .col_expr(message::Column::Contact, Expr::value(into))
        .filter(message::Column::Contact.eq(from))
        .exec(tx)
        .await?;
    Ok(())
}

/// A living contact, kept from others until the commit.
async fn take(
    tx: &DatabaseTransaction,
    id: Uuid,
    version: Option<i64>,
) -> Result<contact::Model, StoreError> {
    let row = contact::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    let row = row.ok_or(StoreError::NotFound("contact"))?;
    if let Some(given) = version.filter(|given| *given != row.version) {
        return Err(StoreError::Stale { given, current: row.version });
    }
    if row.erased_at.is_some() {
        return Err(StoreError::Refused("the contact was erased".to_owned()));
    }
    if row.merged_into.is_some() {
        return Err(StoreError::Refused("the contact was joined with another one".to_owned()));
    }
    Ok(row)
}

pub(super) async fn record(
    tx: &DatabaseTransaction,
    kind: &'static str,
    data: serde_json::Value,
    (actor, now): (Actor, Timestamp),
) -> Result<(), StoreError> {
    let event = NewEvent {
        kind,
        ticket: None,
        ticket_seq: None,
        message: None,
        channel: None,
        actor,
        data,
    };
    event::record(tx, vec![event], now).await
}

pub(super) async fn contact_view<C: ConnectionTrait>(
    db: &C,
    id: Uuid,
) -> Result<ContactView, StoreError> {
    let row = contact::Entity::find_by_id(id).one(db).await?;
    let row = row.ok_or(StoreError::NotFound("contact"))?;
    let identities = identities(db, [id].into_iter()).await?.remove(&id).unwrap_or_default();
    let tags = tags_of(db, [id]).await?.remove(&id).unwrap_or_default();
    Ok(shown(row, identities, tags))
}

fn shown(
    row: contact::Model,
    identities: Vec<IdentityView>,
    tags: BTreeSet<String>,
) -> ContactView {
    ContactView {
        id: row.id,
        name: row.name,
        language: row.language,
        note: row.note,
        identities,
        tags,
        version: row.version,
        created_at: moment(row.created_at),
        updated_at: moment(row.updated_at),
        erased_at: row.erased_at.map(moment),
        merged_into: row.merged_into,
    }
}

/// Contacts as tickets show them.
pub(super) async fn briefs<C: ConnectionTrait>(
    db: &C,
    ids: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, ContactBrief>, StoreError> {
    let rows: Vec<(Uuid, String)> = contact::Entity::find()
        .select_only()
        .columns([contact::Column::Id, contact::Column::Name])
        .filter(contact::Column::Id.is_in(ids))
        .into_tuple()
        .all(db)
        .await?;
    let mut identities = identities(db, rows.iter().map(|row| row.0)).await?;
    let mut tags = tags_of(db, rows.iter().map(|row| row.0)).await?;
    let briefs = rows.into_iter().map(|(id, name)| {
        let identities = identities.remove(&id).unwrap_or_default();
        let tags = tags.remove(&id).unwrap_or_default();
        (id, ContactBrief { id, name, identities, tags })
    });
    Ok(briefs.collect())
}

async fn identities<C: ConnectionTrait>(
    db: &C,
    contacts: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<IdentityView>>, StoreError> {
    let rows = identity::Entity::find()
        .filter(identity::Column::Contact.is_in(contacts))
        .order_by_asc(identity::Column::CreatedAt)
        .order_by_asc(identity::Column::Id)
        .all(db)
        .await?;
    let mut found: HashMap<Uuid, Vec<IdentityView>> = HashMap::new();
    for row in rows {
        // What a forger wrote stands under a scope of its own, which is nobody's business outside.
        let scope = Some(row.scope).filter(|scope| !scope.is_empty() && !scope.starts_with('!'));
        let view = IdentityView { scheme: row.scheme, value: row.value, scope, trust: row.trust };
        found.entry(row.contact).or_default().push(view);
    }
    Ok(found)
}
