//! Which message a change of the customer tells of: a merge may have taken it to another ticket.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const SQLITE: &[&str] = &[
    "ALTER TABLE customer_change ADD COLUMN message blob",
    "UPDATE customer_change SET message = unhex(replace(json_extract(before, '$.message.id'), '-', ''))",
];

const POSTGRES: &[&str] = &[
    "ALTER TABLE customer_change ADD COLUMN message uuid",
    "UPDATE customer_change SET message = (before::json -> 'message' ->> 'id')::uuid",
];

const INDEX: &str = "CREATE INDEX customer_change_message ON customer_change (message)";

const DOWN: &[&str] =
    &["DROP INDEX customer_change_message", "ALTER TABLE customer_change DROP COLUMN message"];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        for statement in if postgres { POSTGRES } else { SQLITE } {
            db.execute_unprepared(statement).await?;
        }
        db.execute_unprepared(INDEX).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in DOWN {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
