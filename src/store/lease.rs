//! The right to run a channel: taken, renewed, released; and the nodes that may hold one.
//!
//! Times are the database's own clock, so that nodes with different clocks agree. Every taking raises the
//! epoch; a holder that wakes up late still has the old number, so its writes find no row.

use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    QueryFilter as _, Statement, Value, sea_query::OnConflict,
};

use super::entity::{cursor, journal, lease, node};
use super::{Store, StoreError, now_sql};
use crate::model::{ChannelName, Cursor, NodeId};

/// How long a lease holds without being renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(30);
/// A node that has not beaten for so long is dead: its journal rows are adopted.
const NODE_DEAD_AFTER: Duration = Duration::from_secs(60);

/// The right to run one channel, and the number that proves it. A write that carries an old
/// number changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// Which channel.
    pub channel: ChannelName,
    /// Grows with every taking.
    pub epoch: i64,
}

/// First statement of every fenced transaction: holds off a taking until the commit.
pub(super) async fn check(tx: &DatabaseTransaction, fence: &Fence) -> Result<(), StoreError> {
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "UPDATE lease SET epoch = epoch WHERE channel = $1 AND epoch = $2",
        [fence.channel.as_str().into(), fence.epoch.into()],
    );
    match tx.execute_raw(statement).await?.rows_affected() {
        0 => Err(StoreError::LeaseLost(fence.channel.clone())),
        _ => Ok(()),
    }
}

impl Store {
    /// Takes the channel if nobody (or this node itself) holds it, or if its holder's time has run out.
    ///
    /// The only daemon of an SQLite file waits for nobody: who held it before is dead.
    pub async fn take_lease(&self, channel: &ChannelName) -> Result<Option<Fence>, StoreError> {
        let (channel, node, alone) = (channel.clone(), self.node(), self.is_alone());
        self.write(move |tx| {
            let channel = channel.clone();
            Box::pin(async move {
                let backend = tx.get_database_backend();
                let now = now_sql(backend);
                let ttl = i64::try_from(LEASE_TTL.as_millis()).unwrap_or(i64::MAX);
                let sql = format!(
                    "INSERT INTO lease (channel, epoch, node, expires_at) VALUES ($1, 1, $2, {now} + $3)
                     ON CONFLICT (channel) DO UPDATE SET epoch = lease.epoch + 1, node = $2, expires_at = {now} + $3
                     WHERE lease.node IS NULL OR lease.node = $2 OR lease.expires_at <= {now} OR $4
                     RETURNING epoch"
                );
                let values: [Value; 4] =
                    [channel.as_str().into(), node.uuid().into(), ttl.into(), alone.into()];
                let statement = Statement::from_sql_and_values(backend, sql, values);
                let row = tx.query_one_raw(statement).await?;
                let epoch = row.map(|row| row.try_get::<i64>("", "epoch")).transpose()?;
                Ok(epoch.map(|epoch| Fence { channel, epoch }))
            })
        })
        .await
    }

    /// Holds the channel for another [`LEASE_TTL`].
    pub async fn renew(&self, fence: &Fence) -> Result<(), StoreError> {
        let ttl = i64::try_from(LEASE_TTL.as_millis()).unwrap_or(i64::MAX);
        self.set_expiry(fence, ttl).await
    }

    async fn set_expiry(&self, fence: &Fence, ttl_ms: i64) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |tx| {
            let fence = fence.clone();
            Box::pin(async move {
                let backend = tx.get_database_backend();
                let now = now_sql(backend);
                let sql = format!(
                    "UPDATE lease SET expires_at = {now} + $3 WHERE channel = $1 AND epoch = $2"
                );
                let values: [Value; 3] =
                    [fence.channel.as_str().into(), fence.epoch.into(), ttl_ms.into()];
                let statement = Statement::from_sql_and_values(backend, sql, values);
                match tx.execute_raw(statement).await?.rows_affected() {
                    0 => Err(StoreError::LeaseLost(fence.channel.clone())),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    /// Gives the channel back, so that another node need not wait. Losing it meanwhile is no fault.
    pub async fn release(&self, fence: &Fence) -> Result<(), StoreError> {
        let fence = fence.clone();
        self.write(move |tx| {
            let fence = fence.clone();
            Box::pin(async move {
                lease::Entity::update_many()
                    .set(lease::ActiveModel {
                        node: Set(None),
                        expires_at: Set(0),
                        ..Default::default()
                    })
                    .filter(lease::Column::Channel.eq(fence.channel.as_str()))
                    .filter(lease::Column::Epoch.eq(fence.epoch))
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Where the channel's pull goes on.
    pub async fn cursor(&self, channel: &ChannelName) -> Result<Option<Cursor>, StoreError> {
        let row = cursor::Entity::find_by_id(channel.as_str()).one(self.reader()).await?;
        Ok(row.map(|row| Cursor::new(row.value)))
    }

    /// Tells the other nodes that this one lives, and takes over the journal rows of those that do not.
    ///
    /// On SQLite there is only one daemon, so all rows of others are adopted at once. Returns how many.
    pub async fn beat(&self) -> Result<u64, StoreError> {
        let me = self.node();
        let sqlite = super::sqlite_only(self.backend());
        self.write(move |tx| {
            Box::pin(async move {
                let now = database_now(tx).await?;
                let row = node::ActiveModel {
                    id: Set(me.uuid()),
                    started_at: Set(now),
                    heart_beat_at: Set(now),
                };
                node::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(node::Column::Id)
                            .update_column(node::Column::HeartBeatAt)
                            .to_owned(),
                    )
                    .exec_without_returning(tx)
                    .await?;
                let dead_after = i64::try_from(NODE_DEAD_AFTER.as_millis()).unwrap_or(i64::MAX);
                let oldest = if sqlite { now } else { now - dead_after };
                node::Entity::delete_many()
                    .filter(node::Column::HeartBeatAt.lt(oldest))
                    .filter(node::Column::Id.ne(me.uuid()))
                    .exec(tx)
                    .await?;
                adopt(tx, me).await
            })
        })
        .await
    }
}

async fn adopt(tx: &DatabaseTransaction, me: NodeId) -> Result<u64, StoreError> {
    let alive: Vec<_> = node::Entity::find().all(tx).await?.iter().map(|row| row.id).collect();
    let adopted = journal::Entity::update_many()
        .set(journal::ActiveModel { node: Set(me.uuid()), ..Default::default() })
        .filter(journal::Column::State.eq("pending"))
        .filter(journal::Column::Node.is_not_in(alive))
        .exec(tx)
        .await?;
    Ok(adopted.rows_affected)
}

async fn database_now(tx: &DatabaseTransaction) -> Result<i64, StoreError> {
    let backend = tx.get_database_backend();
    let sql = format!("SELECT {} AS now", now_sql(backend));
    let row = tx.query_one_raw(Statement::from_string(backend, sql)).await?;
    let row = row.ok_or_else(|| StoreError::Database("the database has no clock".into()))?;
    Ok(row.try_get("", "now")?)
}
