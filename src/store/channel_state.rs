//! What a human decided about a channel (paused), and how it was last seen by the node that runs it.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QuerySelect as _, sea_query::OnConflict,
};
use serde_json::json;

use super::entity::channel_state::{ActiveModel, Column, Entity, Model};
use super::event::{self, NewEvent};
use super::{Store, StoreError, millis, moment};
use crate::model::{Actor, ChannelName, Timestamp};

/// How a channel was last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelNote {
    /// One word for people: `running`, `backing off`, `needs a human`…
    pub state: String,
    /// Why, where there is a reason.
    pub cause: Option<String>,
    /// When something last worked.
    pub last_success_at: Option<Timestamp>,
    /// When something last did not.
    pub last_error_at: Option<Timestamp>,
    /// What that was.
    pub last_error: Option<String>,
    /// Messages that the service holds and that we have not fetched, if it told.
    pub backlog: Option<u64>,
}

/// A channel as the store knows it.
#[derive(Debug, Clone)]
pub struct ChannelState {
    /// Which one.
    pub channel: ChannelName,
    /// Stopped by somebody.
    pub paused: bool,
    /// By whom.
    pub paused_by: Option<String>,
    /// How it was last seen, by whichever node had it.
    pub note: ChannelNote,
    /// Since when it is in that state.
    pub since: Timestamp,
}

impl Store {
    /// Every channel that was ever run or paused.
    pub async fn channel_states(&self) -> Result<Vec<ChannelState>, StoreError> {
        let rows = Entity::find().all(self.reader()).await?;
        rows.into_iter().map(shown).collect()
    }

    /// Channels that somebody stopped.
    pub async fn paused_channels(&self) -> Result<Vec<String>, StoreError> {
        let rows = Entity::find().select_only().column(Column::Channel);
        Ok(rows.filter(Column::Paused.eq(true)).into_tuple().all(self.reader()).await?)
    }

    /// Stops a channel on all nodes (`Some(who)`), or lets it run again.
    pub async fn set_paused(
        &self,
        channel: &ChannelName,
        paused: bool,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let channel = channel.clone();
        self.write(move |tx| {
            let (channel, actor) = (channel.clone(), actor.clone());
            Box::pin(async move {
                let mut row = fresh(&channel, now);
                row.paused = Set(paused);
                row.paused_by = Set(paused.then(|| actor.name.clone()));
                row.paused_at = Set(paused.then(|| millis(now)));
                let change = OnConflict::column(Column::Channel)
                    .update_columns([Column::Paused, Column::PausedBy, Column::PausedAt])
                    .to_owned();
                Entity::insert(row).on_conflict(change).exec_without_returning(tx).await?;
                let event = NewEvent {
                    kind: if paused { "channel.paused" } else { "channel.resumed" },
                    ticket: None,
                    ticket_seq: None,
                    message: None,
                    channel: Some(channel.as_str().to_owned()),
                    actor,
                    data: json!({}),
                };
                event::record(tx, vec![event], now).await
            })
        })
        .await
    }

    /// Notes how a channel is, for people and other nodes.
    pub async fn note_channel(
        &self,
        channel: &ChannelName,
        note: ChannelNote,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let channel = channel.clone();
        self.write(move |tx| {
            let (channel, note) = (channel.clone(), note.clone());
            Box::pin(async move {
                let before = Entity::find_by_id(channel.as_str()).one(tx).await?;
                let was = before.is_some_and(|row| is_trouble(&row.state));
                if was != is_trouble(&note.state) {
                    let event = trouble_event(&channel, &note);
                    event::record(tx, vec![event], now).await?;
                }
                let row = ActiveModel {
                    state: Set(note.state),
                    cause: Set(note.cause),
                    last_success_at: Set(note.last_success_at.map(millis)),
                    last_error_at: Set(note.last_error_at.map(millis)),
                    last_error: Set(note.last_error),
                    backlog: Set(note.backlog.and_then(|backlog| i64::try_from(backlog).ok())),
                    ..fresh(&channel, now)
                };
                let change = OnConflict::column(Column::Channel)
                    .update_columns([
                        Column::State,
                        Column::Cause,
                        Column::Since,
                        Column::LastSuccessAt,
                        Column::LastErrorAt,
                        Column::LastError,
                        Column::Backlog,
                    ])
                    .to_owned();
                Entity::insert(row).on_conflict(change).exec_without_returning(tx).await?;
                Ok(())
            })
        })
        .await
    }
}

/// Did somebody stop this channel?
pub(super) async fn is_paused(tx: &DatabaseTransaction, channel: &str) -> Result<bool, StoreError> {
    let paused: Option<bool> = Entity::find_by_id(channel)
        .select_only()
        .column(Column::Paused)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(paused.unwrap_or(false))
}

/// Does nothing come in or go out until somebody looks?
fn is_trouble(state: &str) -> bool {
    matches!(state, "needs_human" | "silent")
}

/// For the feed, so that people hear of it without looking for it.
fn trouble_event(channel: &ChannelName, note: &ChannelNote) -> NewEvent {
    NewEvent {
        kind: if is_trouble(&note.state) { "channel.troubled" } else { "channel.recovered" },
        ticket: None,
        ticket_seq: None,
        message: None,
        channel: Some(channel.as_str().to_owned()),
        actor: Actor::system(),
        data: json!({ "state": note.state, "cause": note.cause }),
    }
}

fn fresh(channel: &ChannelName, now: Timestamp) -> ActiveModel {
    ActiveModel {
        channel: Set(channel.as_str().to_owned()),
        paused: Set(false),
        paused_by: Set(None),
        paused_at: Set(None),
        state: Set("off".to_owned()),
        cause: Set(None),
        since: Set(millis(now)),
        last_success_at: Set(None),
        last_error_at: Set(None),
        last_error: Set(None),
        backlog: Set(None),
    }
}

fn shown(row: Model) -> Result<ChannelState, StoreError> {
    Ok(ChannelState {
        channel: row.channel.parse().map_err(|error| StoreError::Database(Box::new(error)))?,
        paused: row.paused,
        paused_by: row.paused_by,
        note: ChannelNote {
            state: row.state,
            cause: row.cause,
            last_success_at: row.last_success_at.map(moment),
            last_error_at: row.last_error_at.map(moment),
            last_error: row.last_error,
            backlog: row.backlog.and_then(|backlog| u64::try_from(backlog).ok()),
        },
        since: moment(row.since),
    })
}
