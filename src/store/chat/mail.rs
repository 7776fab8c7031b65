//! Answers that nobody reads go out by mail as well: which, and how they are queued.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Statement, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::super::entity::{attachment, delivery, message, participant, ticket, visitor};
use super::super::event::{self, take_numbers};
use super::super::outbox::{self, NewDelivery, StoredOutbound};
use super::super::{Store, StoreError, millis};
use super::{Guest, database};
use crate::model::{Address, ChannelName, DeliveryId, Party, Realm, RemoteId, Timestamp};

/// What somebody has not read for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Who.
    pub guest: Guest,
    /// Where a mail reaches them.
    pub email: String,
    /// Their language.
    pub language: Option<String>,
    /// The ticket of the last of it.
    pub ticket: Uuid,
    /// The messages, oldest first.
    pub messages: Vec<Uuid>,
    /// Their texts.
    pub texts: Vec<String>,
    /// Who wrote the last one.
    pub author: String,
    /// Up to which delivery mail went out before.
    before: i64,
    /// Up to which it will have.
    up_to: i64,
}

/// The mail that says it again.
#[derive(Debug, Clone)]
pub struct UnreadMail {
    /// Through which channel.
    pub by: ChannelName,
    /// Of which realm.
    pub realm: Realm,
    /// What it says.
    pub text: String,
}

impl Store {
    /// What visitors of a channel have not read since `before`, nor were there since.
    pub async fn unread_chats(
        &self,
        channel: &ChannelName,
        before: Timestamp,
    ) -> Result<Vec<Unread>, StoreError> {
        let sql = "SELECT d.seq, d.message, d.ticket, v.visitor, v.email, v.language, v.continued
            FROM delivery d JOIN visitor v ON v.channel = d.channel AND v.visitor = d.to_value
            WHERE d.to_scheme = 'web' AND d.channel = $1 AND d.state IN ('sent', 'delivered')
            AND d.updated_at < $2 AND d.updated_at > $3 AND d.seq > v.continued
            AND v.email IS NOT NULL AND v.seen_at < $2
            ORDER BY d.seq LIMIT 200";
        let oldest = before - chrono::Duration::days(7);
        let values: [Value; 3] =
            [channel.as_str().into(), millis(before).into(), millis(oldest).into()];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let mut unread: Vec<Unread> = Vec::new();
        for row in self.reader().query_all_raw(statement).await? {
            let visitor: String = row.try_get("", "visitor")?;
            let (seq, ticket) = (row.try_get("", "seq")?, row.try_get("", "ticket")?);
            let message: Uuid = row.try_get("", "message")?;
            let known = unread.iter_mut().find(|one| one.guest.visitor == visitor);
            if let Some(one) = known {
                (one.up_to, one.ticket) = (seq, ticket);
                if !one.messages.contains(&message) {
                    one.messages.push(message);
                }
                continue;
            }
            unread.push(Unread {
                guest: Guest { channel: channel.clone(), visitor },
                email: row.try_get("", "email")?,
                language: row.try_get("", "language")?,
                ticket,
                messages: vec![message],
                texts: Vec::new(),
                author: String::new(),
                before: row.try_get("", "continued")?,
                up_to: seq,
            });
        }
        for one in &mut unread {
            let rows = message::Entity::find()
                .filter(message::Column::Id.is_in(one.messages.iter().copied()))
                .order_by_asc(message::Column::Seq)
                .all(self.reader())
                .await?;
            one.author = rows.last().map(|row| row.author_name.clone()).unwrap_or_default();
            one.texts = rows.into_iter().map(|row| row.text).collect();
        }
        Ok(unread)
    }

    /// Queues the mail; `false`: another node was faster, or they came back.
    pub async fn continue_by_mail(
        &self,
        unread: &Unread,
        mail: &UnreadMail,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let both = std::sync::Arc::new((unread.clone(), mail.clone()));
        self.write(move |tx| {
            let both = both.clone();
            Box::pin(async move {
                let (unread, mail) = &*both;
                // Whoever moves the mark sends the mail: no two nodes, and never twice.
                let moved = visitor::Entity::update_many()
                    .set(visitor::ActiveModel {
                        continued: Set(unread.up_to),
                        ..Default::default()
                    })
                    .filter(visitor::Column::Channel.eq(unread.guest.channel.as_str()))
                    .filter(visitor::Column::Visitor.eq(&unread.guest.visitor))
                    .filter(visitor::Column::Continued.eq(unread.before))
                    .filter(visitor::Column::Email.eq(&unread.email))
                    .exec(tx)
                    .await?;
                if moved.rows_affected == 0 {
                    return Ok(false);
                }
                queue(tx, unread, mail, now).await?;
                Ok(true)
            })
        })
        .await
    }
}

async fn queue(
    tx: &DatabaseTransaction,
    unread: &Unread,
    mail: &UnreadMail,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = ticket::Entity::find_by_id(unread.ticket).one(tx).await?;
    let row = row.ok_or(StoreError::NotFound("ticket"))?;
    let message = *unread.messages.last().ok_or(StoreError::NotFound("message"))?;
    let attachments: Vec<Uuid> = attachment::Entity::find()
        .select_only()
        .column(attachment::Column::Id)
        .filter(attachment::Column::Message.is_in(unread.messages.iter().copied()))
        .order_by_asc(attachment::Column::Position)
        .into_tuple()
        .all(tx)
        .await?;
    let earlier: Vec<Option<String>> = delivery::Entity::find()
        .select_only()
        .column(delivery::Column::RemoteId)
        .filter(delivery::Column::Ticket.eq(row.id))
        .filter(delivery::Column::Channel.eq(mail.by.as_str()))
        .filter(delivery::Column::RemoteId.is_not_null())
        .order_by_asc(delivery::Column::Seq)
        .into_tuple()
        .all(tx)
        .await?;
    let earlier: Vec<RemoteId> = earlier.into_iter().flatten().map(RemoteId).collect();
    let to = Party { address: Address::email(&unread.email), name: None };
    let outbound = StoredOutbound {
        ticket_number: u64::try_from(row.number).map_err(database)?,
        to: to.clone(),
        cc: Vec::new(),
        thread: None,
        in_reply_to: earlier.last().cloned(),
        references: earlier,
        subject: Some(row.subject.clone()),
        text: mail.text.clone(),
        html: None,
        attachments,
        author: Some(unread.author.clone()),
        automated: false,
        customer_wrote_at: None,
        template: None,
        private: false,
        choices: Vec::new(),
        language: None,
        bridge: None,
        sealed: false,
        signature: None,
    };
    let queued = outbox::delivery_row(NewDelivery {
        id: DeliveryId::new().uuid(),
        seq: *take_numbers(tx, "delivery", 1).await?.end(),
        channel: mail.by.as_str().to_owned(),
        realm: mail.realm.0.clone(),
        ticket: row.id,
        message,
        part: last_part(tx, message).await? + 1,
        outbound,
        not_before: now,
        held: false,
        unless_answered: false,
        now,
    });
    let told = outbox::updated(&queued);
    delivery::Entity::insert(queued.into_active_model()).exec_without_returning(tx).await?;
    join(tx, row.id, to.address.value, now).await?;
    event::record(tx, vec![told], now).await
}

/// A message of several parts is counted on.
async fn last_part(tx: &DatabaseTransaction, message: Uuid) -> Result<i32, StoreError> {
    let part = delivery::Entity::find()
        .select_only()
        .column_as(delivery::Column::Part.max(), "part")
        .filter(delivery::Column::Message.eq(message))
        .into_tuple::<Option<i32>>()
        .one(tx)
        .await?
        .flatten();
    Ok(part.unwrap_or(0))
}

/// Whoever is written to may answer.
async fn join(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    email: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    let joined = participant::ActiveModel {
        ticket: Set(ticket),
        scheme: Set("email".to_owned()),
        value: Set(email),
        name: Set(None),
        since: Set(millis(now)),
    };
    let key =
        [participant::Column::Ticket, participant::Column::Scheme, participant::Column::Value];
    participant::Entity::insert(joined)
        .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
