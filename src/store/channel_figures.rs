//! How much came and went by each channel of late, and how much waits there.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _,
    Statement,
};
use uuid::Uuid;

use super::entity::message;
use super::{Store, StoreError, millis, moment};
use crate::model::Timestamp;

/// What a channel did of late, and what waits there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelFigures {
    /// Messages that came in since the moment that was asked for.
    pub received: u64,
    /// Messages written to customers since then.
    pub sent: u64,
    /// Stored and not yet understood.
    pub unread: u64,
    /// Since when the oldest of these waits.
    pub unread_since: Option<Timestamp>,
    /// Could not be understood.
    pub quarantined: u64,
    /// Deliveries that wait for their turn.
    pub queued: u64,
    /// Since when the oldest of these waits.
    pub queued_since: Option<Timestamp>,
    /// Deliveries that somebody keeps back.
    pub held: u64,
    /// Deliveries that did not go out and will not by themselves.
    pub failed: u64,
    /// Deliveries of which nobody knows whether they went out.
    pub unconfirmed: u64,
}

// Words in the statements, not parameters: only so are the indexes of these states used.
const WAITING: [&str; 3] = [
    "SELECT channel, state, COUNT(*) AS number, MIN(queued_at) AS oldest FROM delivery
     WHERE state NOT IN ('sent', 'delivered', 'read') GROUP BY channel, state",
    "SELECT channel, 'unread' AS state, COUNT(*) AS number, MIN(appended_at) AS oldest FROM journal
     WHERE state = 'pending' GROUP BY channel",
    "SELECT channel, 'quarantined' AS state, COUNT(*) AS number, MIN(appended_at) AS oldest FROM journal
     WHERE state = 'failed' GROUP BY channel",
];

impl Store {
    /// What each channel did since a moment, and what waits there now.
    pub async fn channel_figures(
        &self,
        since: Timestamp,
    ) -> Result<HashMap<String, ChannelFigures>, StoreError> {
        let mut all: HashMap<String, ChannelFigures> = HashMap::new();
        for statement in WAITING {
            let statement = Statement::from_string(self.backend(), statement);
            for row in self.reader().query_all_raw(statement).await? {
                let (channel, state): (String, String) =
                    (row.try_get("", "channel")?, row.try_get("", "state")?);
                let number = u64::try_from(row.try_get::<i64>("", "number")?).unwrap_or_default();
                let oldest = row.try_get::<Option<i64>>("", "oldest")?.map(moment);
                all.entry(channel).or_default().waits(&state, number, oldest);
            }
        }
        // Ids of version 7 sort by time.
        let first = Uuid::from_u128(u128::from(millis(since).unsigned_abs()) << 80);
        let rows: Vec<(String, String, i64)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Channel, message::Column::Direction])
            .column_as(message::Column::Id.count(), "number")
            .filter(message::Column::Id.gte(first))
            .group_by(message::Column::Channel)
            .group_by(message::Column::Direction)
            .into_tuple()
            .all(self.reader())
            .await?;
        for (channel, direction, number) in rows {
            let number = u64::try_from(number).unwrap_or_default();
            let figures = all.entry(channel).or_default();
            match direction.as_str() {
                "in" => figures.received = number,
                "out" => figures.sent = number,
                _ => {}
            }
        }
        Ok(all)
    }
}

impl ChannelFigures {
    fn waits(&mut self, state: &str, number: u64, oldest: Option<Timestamp>) {
        match state {
            "unread" => (self.unread, self.unread_since) = (number, oldest),
            "quarantined" => self.quarantined = number,
            "queued" => (self.queued, self.queued_since) = (number, oldest),
            "held" => self.held = number,
            "failed" => self.failed = number,
            "unconfirmed" => self.unconfirmed = number,
            _ => {}
        }
    }
}
