//! Messages as people see them: of one ticket, of the whole store in commit order, with their attachments
//! and where their delivery stands.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{attachment, delivery, message};
use super::original::{self, SecretCount};
use super::{Store, StoreError, blob, millis, moment, search};
use crate::model::{DeliveryStatus, Direction, RawId};

/// A message.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageView {
    /// Its id.
    pub id: Uuid,
    /// The ticket that it is in now.
    pub ticket_id: Uuid,
    /// `in`, `out` or `internal`.
    pub direction: String,
    /// `message`, `note`, `call`, `voicemail`, `comment` or `system`.
    pub kind: String,
    /// The channel that it came by or goes out by.
    pub channel: String,
    /// The service's name for it.
    pub external_id: Option<String>,
    /// The message that it answers.
    pub reply_to: Option<Uuid>,
    /// Who wrote it.
    pub author: Author,
    /// Its own subject (mail).
    pub subject: Option<String>,
    /// The language that it is written in, where that can be told: `en`, `zh-Hans`.
    pub language: Option<String>,
    /// The new words: quotes and signatures of a mail are cut away.
    pub text: String,
    /// All of it.
    pub text_full: String,
    /// Sanitised.
    pub html: Option<String>,
    /// In order.
    pub attachments: Vec<AttachmentView>,
    /// When it was written, as the sender or the service claims.
    pub sent_at: DateTime<Utc>,
    /// When the service took it; absent for our own.
    pub received_at: Option<DateTime<Utc>>,
    /// When its words last changed.
    pub edited_at: Option<DateTime<Utc>>,
    /// When its sender took it back.
    pub deleted_at: Option<DateTime<Utc>>,
    /// What was noticed: `auto_reply`, `bounce`, `list`, `spoof_suspect`, `redacted`, `spam`, `truncated`…
    pub flags: Vec<String>,
    /// What was masked in it, by sort: `/api/v1/messages/{id}/unseal` shows it to whoever may.
    pub secrets: Vec<SecretCount>,
    /// Verdicts on the sender (mail).
    pub auth: Option<AuthView>,
    /// Where sending it stands; absent for what we did not send.
    pub delivery: Option<DeliveryView>,
    /// Why it is in this ticket.
    pub why: Vec<String>,
    /// Its place in the commit order.
    #[serde(skip)]
    pub seq: i64,
}

/// Who wrote.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Author {
    /// `contact`, `agent`, `token` or `system`.
    pub kind: String,
    /// The contact's, person's or token's id.
    pub id: Option<Uuid>,
    /// The name to show.
    pub name: String,
    /// The address that it came from.
    pub address: Option<String>,
}

/// An attachment; its bytes are at `/api/v1/attachments/{id}`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Attachment)]
pub struct AttachmentView {
    /// Its id.
    pub id: Uuid,
    /// A name to show.
    pub name: String,
    /// Media type as claimed.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// Shown within the text rather than beside it.
    pub inline: bool,
    /// For `cid:` in the HTML.
    pub content_id: Option<String>,
    /// `stored`; `pending` while it is being fetched, `unscanned` until the virus scanner has seen it, `infected`
    /// if that found something, `failed` if it cannot be had.
    pub state: String,
}

/// SPF, DKIM and DMARC, as words of RFC 8601.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = Auth)]
pub struct AuthView {
    /// RFC 7208.
    pub spf: Option<String>,
    /// RFC 6376.
    pub dkim: Option<String>,
    /// RFC 7489.
    pub dmarc: Option<String>,
}

/// Where sending stands. A reply in several parts shows the part that stands worst.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// The delivery: for `/api/v1/outbox/{id}/retry` and `/cancel`.
    pub id: Uuid,
    /// `queued`, `sending`, `sent`, `delivered`, `read`, `failed`, `bounced`, `held`, `cancelled`, or
    /// `unconfirmed`: it may have gone out, a person decides.
    pub status: String,
    /// Attempts begun.
    pub attempts: i32,
    /// When it is tried next.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub error: Option<String>,
    /// The service's name for it.
    pub external_id: Option<String>,
    /// In how many parts it goes out.
    pub parts: usize,
}

/// Which messages of the whole store to list.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Only of this channel.
    pub channel: Option<String>,
    /// Only these.
    pub direction: Option<Direction>,
    /// Received (or written by us) after this moment.
    pub received_after: Option<DateTime<Utc>>,
    /// After this place in the commit order.
    pub after: i64,
    /// At most so many.
    pub limit: u64,
}

/// An attachment with its bytes.
#[derive(Debug, Clone)]
pub struct AttachmentBytes {
    /// What it is.
    pub view: AttachmentView,
    /// `None`: not fetched yet, or erased.
    pub bytes: Option<Vec<u8>>,
}

/// What the customer said last in a ticket: by it the next answer goes.
pub(super) async fn newest_word(
    db: &impl ConnectionTrait,
    ticket: Uuid,
) -> Result<Option<message::Model>, StoreError> {
    let newest = message::Entity::find()
        .filter(message::Column::Ticket.eq(ticket))
        .filter(message::Column::Direction.eq("in"))
        .filter(message::Column::Kind.ne("system"))
        .order_by_desc(message::Column::Seq)
        .limit(1);
    Ok(newest.one(db).await?)
}

/// Makes a message findable by what it says now.
pub(super) async fn reindex(
    tx: &DatabaseTransaction,
    row: &message::Model,
) -> Result<(), StoreError> {
    let names: Vec<String> = attachment::Entity::find()
        .select_only()
        .column(attachment::Column::Name)
        .filter(attachment::Column::Message.eq(row.id))
        .into_tuple()
        .all(tx)
        .await?;
    search::remove(tx, row.seq).await?;
    search::index(tx, &[(row.seq, searchable(row, names.iter().map(String::as_str)))]).await
}

/// What a search for a message should find.
pub(super) fn searchable<'a>(
    row: &'a message::Model,
    files: impl Iterator<Item = &'a str>,
) -> String {
    let said = [
        row.subject.as_deref(),
        Some(row.author_name.as_str()),
        row.author_value.as_deref(),
        Some(row.text_full.as_deref().unwrap_or(&row.text)),
    ];
    said.into_iter().flatten().chain(files).collect::<Vec<_>>().join("\n")
}

impl Store {
    /// Messages of the whole store in commit order. A reader that goes on after the last one that it saw
    /// never misses one that commits late.
    pub async fn messages(&self, filter: &MessageFilter) -> Result<Vec<MessageView>, StoreError> {
        let at = Func::coalesce([
            Expr::col(message::Column::ReceivedAt),
            Expr::col(message::Column::SentAt),
        ]);
        let condition = Condition::all()
            .add(message::Column::Seq.gt(filter.after))
            .add_option(filter.channel.as_ref().map(|name| message::Column::Channel.eq(name)))
            .add_option(filter.direction.map(|way| message::Column::Direction.eq(way.as_str())))
            .add_option(filter.received_after.map(|after| Expr::expr(at).gt(millis(after))));
        page(self.reader(), message::Entity::find().filter(condition), filter.limit).await
    }

    /// Messages of a ticket after a place in the commit order, oldest first.
    pub async fn ticket_messages(
        &self,
        ticket: Uuid,
        after: i64,
        limit: u64,
    ) -> Result<Vec<MessageView>, StoreError> {
        let rows = message::Entity::find()
            .filter(message::Column::Ticket.eq(ticket))
            .filter(message::Column::Seq.gt(after));
        page(self.reader(), rows, limit).await
    }

    /// The newest message of a ticket that its customer wrote, if words of one are there.
    pub async fn last_from_customer(
        &self,
        ticket: Uuid,
    ) -> Result<Option<MessageView>, StoreError> {
        let row = message::Entity::find()
            .filter(message::Column::Ticket.eq(ticket))
            .filter(message::Column::Direction.eq(Direction::In.as_str()))
            .filter(message::Column::DeletedAt.is_null())
            .filter(message::Column::Text.ne(""))
            .order_by_desc(message::Column::Seq)
            .one(self.reader())
            .await?;
        match row {
            Some(row) => Ok(Some(message_view(self.reader(), row.id).await?)),
            None => Ok(None),
        }
    }

    /// One message.
    pub async fn message(&self, id: Uuid) -> Result<MessageView, StoreError> {
        message_view(self.reader(), id).await
    }

    /// The row of the journal that a message came in.
    pub async fn raw_of_message(&self, id: Uuid) -> Result<RawId, StoreError> {
        let row = message::Entity::find_by_id(id).one(self.reader()).await?;
        let row = row.ok_or(StoreError::NotFound("message"))?;
        row.raw.map(RawId::from).ok_or(StoreError::NotFound("raw: the message did not come in"))
    }

    /// An attachment with its bytes.
    pub async fn attachment(&self, id: Uuid) -> Result<AttachmentBytes, StoreError> {
        let row = attachment::Entity::find_by_id(id).one(self.reader()).await?;
        let row = row.ok_or(StoreError::NotFound("attachment"))?;
        let bytes = if row.state == "stored" {
            let inline = row.sealed.as_deref();
            blob::load(self.reader(), self.keys(), row.id, row.seal, inline).await?
        } else {
            None
        };
        Ok(AttachmentBytes { view: attachment_view(row), bytes })
    }
}

async fn page<C: ConnectionTrait>(
    db: &C,
    rows: Select<message::Entity>,
    limit: u64,
) -> Result<Vec<MessageView>, StoreError> {
    let rows = rows.order_by_asc(message::Column::Seq).limit(limit).all(db).await?;
    views(db, rows).await
}

pub(super) async fn message_view<C: ConnectionTrait>(
    db: &C,
    id: Uuid,
) -> Result<MessageView, StoreError> {
    let row = message::Entity::find_by_id(id).one(db).await?;
    let row = row.ok_or(StoreError::NotFound("message"))?;
    views(db, vec![row]).await?.pop().ok_or(StoreError::NotFound("message"))
}

/// The columns of an attachment without its bytes.
type AttachmentColumns = (Uuid, Option<Uuid>, String, String, i64, bool, Option<String>, String);

pub(super) async fn views<C: ConnectionTrait>(
    db: &C,
    rows: Vec<message::Model>,
) -> Result<Vec<MessageView>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut attachments = attachments_of(db, rows.iter().map(|row| row.id)).await?;
    let mut deliveries = deliveries_of(db, &rows).await?;
    let redacted = rows.iter().filter(|row| row.flags.contains("redacted")).map(|row| row.id);
    let mut secrets = original::found_in(db, redacted.collect::<Vec<_>>().into_iter()).await?;
    let shown = rows.into_iter().map(|row| {
        let attachments = attachments.remove(&row.id).unwrap_or_default();
        let delivery = deliveries.remove(&row.id).and_then(|parts| delivery_view(&parts));
        let secrets = secrets.remove(&row.id).unwrap_or_default();
        shown(row, attachments, delivery, secrets)
    });
    shown.collect()
}

async fn attachments_of<C: ConnectionTrait>(
    db: &C,
    messages: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Vec<AttachmentView>>, StoreError> {
    use attachment::Column;
    let rows: Vec<AttachmentColumns> = attachment::Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::Message,
            Column::Name,
            Column::MediaType,
            Column::Size,
            Column::Inline,
            Column::ContentId,
            Column::State,
        ])
        .filter(Column::Message.is_in(messages))
        .order_by_asc(Column::Position)
        .into_tuple()
        .all(db)
        .await?;
    let mut found: HashMap<Uuid, Vec<AttachmentView>> = HashMap::new();
    for (id, message, name, media_type, size, inline, content_id, state) in rows {
        let Some(message) = message else { continue };
        let view = AttachmentView { id, name, media_type, size, inline, content_id, state };
        found.entry(message).or_default().push(view);
    }
    Ok(found)
}

/// The columns of a delivery that are shown.
type DeliveryColumns = (Uuid, Uuid, String, i32, Option<i64>, Option<String>, Option<String>);

async fn deliveries_of<C: ConnectionTrait>(
    db: &C,
    messages: &[message::Model],
) -> Result<HashMap<Uuid, Vec<DeliveryView>>, StoreError> {
    use delivery::Column;
    let ours = messages.iter().filter(|row| row.direction == "out").map(|row| row.id);
    let rows: Vec<DeliveryColumns> = delivery::Entity::find()
        .select_only()
        .columns([
            Column::Message,
            Column::Id,
            Column::State,
            Column::Attempt,
            Column::NotBefore,
            Column::Error,
            Column::RemoteId,
        ])
        .filter(Column::Message.is_in(ours))
        .order_by_asc(Column::Part)
        .into_tuple()
        .all(db)
        .await?;
    let mut found: HashMap<Uuid, Vec<DeliveryView>> = HashMap::new();
    for (message, id, status, attempts, not_before, error, external_id) in rows {
        let next_attempt_at = not_before.filter(|_| status == "queued").map(moment);
        let view =
            DeliveryView { id, status, attempts, next_attempt_at, error, external_id, parts: 1 };
        found.entry(message).or_default().push(view);
    }
    Ok(found)
}

/// The part that stands worst speaks for all; the name is the first part's.
fn delivery_view(parts: &[DeliveryView]) -> Option<DeliveryView> {
    let rank = |part: &&DeliveryView| match part.status.parse::<DeliveryStatus>() {
        Ok(DeliveryStatus::Failed) => 9,
        Ok(DeliveryStatus::Bounced) => 8,
        Ok(DeliveryStatus::Unconfirmed) => 7,
        Ok(DeliveryStatus::Cancelled) => 6,
        Ok(DeliveryStatus::Held) => 5,
        Ok(DeliveryStatus::Sending) => 4,
        Ok(DeliveryStatus::Queued) => 3,
        Ok(DeliveryStatus::Sent) => 2,
        Ok(DeliveryStatus::Delivered) => 1,
        Ok(DeliveryStatus::Read) | Err(_) => 0,
    };
    // `max_by_key` takes the last of equals; the first part is the one to name.
    let worst = parts.iter().rev().max_by_key(rank)?;
    let external_id = parts.iter().find_map(|part| part.external_id.clone());
    Some(DeliveryView { external_id, parts: parts.len(), ..worst.clone() })
}

fn attachment_view(row: attachment::Model) -> AttachmentView {
    AttachmentView {
        id: row.id,
        name: row.name,
        media_type: row.media_type,
        size: row.size,
        inline: row.inline,
        content_id: row.content_id,
        state: row.state,
    }
}

fn shown(
    row: message::Model,
    attachments: Vec<AttachmentView>,
    delivery: Option<DeliveryView>,
    secrets: Vec<SecretCount>,
) -> Result<MessageView, StoreError> {
    let external_id =
        row.remote_id.or_else(|| delivery.as_ref().and_then(|sent| sent.external_id.clone()));
    Ok(MessageView {
        id: row.id,
        ticket_id: row.ticket,
        direction: row.direction,
        kind: row.kind,
        channel: row.channel,
        external_id,
        reply_to: row.reply_to,
        author: Author {
            kind: row.author_kind,
            id: row.author_id,
            name: row.author_name,
            address: row.author_value,
        },
        subject: row.subject,
        language: row.language,
        text_full: row.text_full.unwrap_or_else(|| row.text.clone()),
        text: row.text,
        html: row.html,
        attachments,
        sent_at: moment(row.sent_at),
        received_at: row.received_at.map(moment),
        edited_at: row.edited_at.map(moment),
        deleted_at: row.deleted_at.map(moment),
        flags: read(&row.flags)?,
        secrets,
        auth: row.auth.as_deref().map(read).transpose()?,
        delivery,
        why: read(&row.why)?,
        seq: row.seq,
    })
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Database(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(status: &str, external_id: Option<&str>) -> DeliveryView {
        DeliveryView {
            id: Uuid::now_v7(),
            status: status.to_owned(),
            attempts: 1,
            next_attempt_at: None,
            error: None,
            external_id: external_id.map(str::to_owned),
            parts: 1,
        }
    }

    #[test]
    fn the_part_that_stands_worst_speaks_for_a_reply() {
        let parts = [part("sent", Some("a")), part("failed", None), part("queued", None)];
        let shown = delivery_view(&parts).unwrap();
        assert_eq!((shown.status.as_str(), shown.parts), ("failed", 3));
        assert_eq!(shown.external_id.as_deref(), Some("a"));
        assert_eq!(shown.id, parts[1].id, "a retry of it is a retry of what failed");
        assert!(delivery_view(&[]).is_none());
        let equal = [part("sent", Some("a")), part("sent", Some("b"))];
        assert_eq!(delivery_view(&equal).unwrap().id, equal[0].id);
    }
}
