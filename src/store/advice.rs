//! Who is to be told what to do because a secret came late: in an edit, or in a file that was fetched after its
//! message. What comes with a message itself is answered in the message's own transaction.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
};
use uuid::Uuid;

use super::entity::{autoreply, message, original, suppression, ticket};
use super::ingest::{ADVISED, advised_channel, advised_rows};
use super::{Store, StoreError, millis, original as originals};
use crate::desk::{self, AdviceFacts};
use crate::model::{MessageId, TicketId, Timestamp};

const HOUR_MILLIS: i64 = 3_600_000;
/// Flags of messages whose senders are told nothing.
const NEVER: [&str; 5] = ["auto_reply", "list", "bounce", "imported", "complaint"];

/// Something masked late, and what is said about it.
#[derive(Debug, Clone)]
pub struct AdviceNotice {
    /// The message that the answer becomes: the same at every attempt.
    pub message: MessageId,
    /// The ticket.
    pub ticket: TicketId,
    /// What is said, filled. `None`: nothing, and nothing is to be done.
    pub text: Option<String>,
    channel: String,
    address: Option<String>,
}

impl Store {
    /// The first thing that was masked late, and whom to tell. One after the other: who was told of one is not told
    /// of the next.
    pub async fn next_advice(&self, now: Timestamp) -> Result<Option<AdviceNotice>, StoreError> {
        let row = original::Entity::find()
            .filter(original::Column::Untold.eq(true))
            .order_by_asc(original::Column::Id)
            .one(self.reader())
            .await?;
        match row {
            Some(row) => Ok(Some(self.advice_about(row, now).await?)),
            None => Ok(None),
        }
    }

    async fn advice_about(
        &self,
        row: original::Model,
        now: Timestamp,
    ) -> Result<AdviceNotice, StoreError> {
        let mut notice = AdviceNotice {
            message: row.id.into(),
            ticket: Uuid::nil().into(),
            text: None,
            channel: String::new(),
            address: None,
        };
        let Some(id) = row.message else { return Ok(notice) };
        let db = self.reader();
        let Some(said) = message::Entity::find_by_id(id).one(db).await? else { return Ok(notice) };
        let ticket = ticket::Entity::find_by_id(said.ticket).one(db).await?;
        let Some(ticket) = ticket.filter(|row| row.deleted_at.is_none()) else { return Ok(notice) };
        notice.ticket = ticket.id.into();
        notice.channel.clone_from(&said.channel);
        notice.address.clone_from(&said.author_value);
        let flags: Vec<String> = serde_json::from_str(&said.flags).unwrap_or_default();
        let machine = flags.iter().any(|flag| NEVER.contains(&flag.as_str()));
        if said.direction != "in" || machine || ticket.status == "spam" {
            return Ok(notice);
        }
        let Some(address) = &said.author_value else { return Ok(notice) };
        if desk::advisable(self.advised_lately(&notice, address, now).await?).is_err() {
            return Ok(notice);
        }
        let (safety, found) = (self.safety(), originals::found(&row)?);
        let template = safety.advice(ticket.language.as_deref(), &found);
        let number = u64::try_from(ticket.number).unwrap_or_default();
        notice.text = template
            .map(|template| desk::fill(template, number, &ticket.subject, &said.author_name));
        Ok(notice)
    }

    /// How often somebody was told of late.
    async fn advised_lately(
        &self,
        notice: &AdviceNotice,
        address: &str,
        now: Timestamp,
    ) -> Result<AdviceFacts, StoreError> {
        let since = millis(now) - HOUR_MILLIS;
        let lately = || {
            autoreply::Entity::find()
                .filter(autoreply::Column::Scheme.eq(ADVISED))
                .filter(autoreply::Column::SentAt.gt(since))
        };
        let of = |value: &str| lately().filter(autoreply::Column::Value.eq(value));
        let on_channel =
            lately().filter(autoreply::Column::Channel.eq(advised_channel(&notice.channel)));
        let suppressed = suppression::Entity::find().filter(suppression::Column::Value.eq(address));
        let db = self.reader();
        Ok(AdviceFacts {
            in_ticket: of(&notice.ticket.uuid().to_string()).count(db).await?,
            to_address: of(address).count(db).await?,
            on_channel: on_channel.count(db).await?,
            suppressed: suppressed.one(db).await?.is_some(),
        })
    }

    /// It was queued (`told`), or there is nothing to say or no way to.
    pub async fn advised(
        &self,
        notice: &AdviceNotice,
        told: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let notice = notice.clone();
        self.write(move |tx| {
            let notice = notice.clone();
            Box::pin(async move {
                let noted = original::Entity::update_many()
                    .col_expr(original::Column::Untold, Expr::value(false))
                    .filter(original::Column::Id.eq(notice.message.uuid()))
                    .filter(original::Column::Untold.eq(true))
                    .exec(tx)
                    .await?;
                // Another node may have been faster: it counts once.
                if told && noted.rows_affected > 0 {
                    let address = notice.address.unwrap_or_default();
                    let rows = advised_rows(&notice.channel, notice.ticket.uuid(), &address, now);
                    autoreply::Entity::insert_many(rows).exec_without_returning(tx).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
