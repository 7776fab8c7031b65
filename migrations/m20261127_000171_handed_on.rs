//! Mails of customers that people who work here handed on, and tickets that were given to another customer.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // `said`: whose mail it was, as it says itself, and who wrote what.
    "CREATE TABLE handed_on (message {id} PRIMARY KEY, person {id} NOT NULL, said text NOT NULL, state text NOT NULL, at bigint NOT NULL)",
    // `before`: how it was, so that it can be so again.
    "CREATE TABLE customer_change (id {id} PRIMARY KEY, ticket {id} NOT NULL, before text NOT NULL, at bigint NOT NULL)",
    "CREATE INDEX customer_change_ticket ON customer_change (ticket)",
];

const DOWN: &[&str] = &["DROP TABLE customer_change", "DROP TABLE handed_on"];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let id = if db.get_database_backend() == DbBackend::Postgres { "uuid" } else { "blob" };
        for statement in UP {
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
