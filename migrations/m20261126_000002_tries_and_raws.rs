//! Since when a delivery is tried, and which message a raw is: so that giving up counts from the first
//! attempt, and erasing finds every raw.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // When the first attempt began, or the first one after somebody asked for another.
    "ALTER TABLE delivery ADD COLUMN tried_since bigint",
    // Of a raw that became no message of its own: the message that it is a copy or a change of.
    "ALTER TABLE journal ADD COLUMN message {id}",
    "CREATE INDEX journal_message ON journal (message) WHERE message IS NOT NULL",
    "CREATE INDEX message_raw ON message (raw) WHERE raw IS NOT NULL",
];

const DOWN: &[&str] = &[
    "DROP INDEX message_raw",
    "DROP INDEX journal_message",
    "ALTER TABLE journal DROP COLUMN message",
    "ALTER TABLE delivery DROP COLUMN tried_since",
];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        for statement in UP {
            let id = if postgres { "uuid" } else { "blob" };
            db.execute_unprepared(&statement.replace("{id}", id)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in DOWN {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
