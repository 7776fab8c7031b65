//! Outgoing webhooks go through the outbox: a row may be about an event instead of about a message.
//!
//! Such a row has the nil id for its ticket, so that all rows of one endpoint are one conversation, in which
//! order is kept, and the event's id for its message.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        // Which event the row announces: its `seq`.
        db.execute_unprepared("ALTER TABLE delivery ADD COLUMN event bigint").await?;
        // One event is queued once for each endpoint.
        db.execute_unprepared(
            "CREATE UNIQUE INDEX delivery_event ON delivery (channel, event) WHERE event IS NOT NULL",
        )
        .await?;
        // What a delivery waits for is looked up among the few that are under way or to be tried, however
        // many have gone before.
        db.execute_unprepared(
            "CREATE INDEX delivery_waiting ON delivery (channel, ticket, seq)
                WHERE state IN ('queued', 'sending', 'held')",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for statement in [
            "DROP INDEX delivery_waiting",
            "DROP INDEX delivery_event",
            "DELETE FROM delivery WHERE event IS NOT NULL",
            "ALTER TABLE delivery DROP COLUMN event",
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
