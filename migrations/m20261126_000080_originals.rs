//! What customers wrote before it was masked, sealed; found by its message or its file.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // `found`: how many of what sort. `message` is none while a file waits for the message that it goes with.
    "CREATE TABLE original (
        id {id} PRIMARY KEY, message {id}, attachment {id}, found text NOT NULL,
        kept_at bigint NOT NULL, seal {id} NOT NULL, sealed {bytes})",
    "CREATE INDEX original_message ON original (message)",
    "CREATE INDEX original_attachment ON original (attachment)",
    "CREATE INDEX original_kept ON original (kept_at)",
    // Who wrote what in the last minutes: a phrase may come in several messages.
    "CREATE INDEX message_author ON message (author_value, received_at) WHERE direction = 'in'",
];

const DOWN: &[&str] = &["DROP INDEX message_author", "DROP TABLE original"];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        let (id, bytes) = if postgres { ("uuid", "bytea") } else { ("blob", "blob") };
        for statement in UP {
            db.execute_unprepared(&statement.replace("{id}", id).replace("{bytes}", bytes)).await?;
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
