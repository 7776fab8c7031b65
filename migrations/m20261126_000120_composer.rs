//! What somebody writes and has not sent yet, and who was named in a note and has not looked.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let id = if db.get_database_backend() == DbBackend::Postgres { "uuid" } else { "blob" };
        // `version`: that of the ticket when the first word was written.
        db.execute_unprepared(&format!(
            "CREATE TABLE draft (
                person {id} NOT NULL, ticket {id} NOT NULL, kind text NOT NULL, text text NOT NULL,
                version bigint, updated_at bigint NOT NULL, PRIMARY KEY (person, ticket))"
        ))
        .await?;
        db.execute_unprepared(&format!(
            "CREATE TABLE mention (
                person {id} NOT NULL, message {id} NOT NULL, ticket {id} NOT NULL,
                PRIMARY KEY (person, message))"
        ))
        .await?;
        for index in [
            "CREATE INDEX draft_age ON draft (updated_at)",
            "CREATE INDEX draft_ticket ON draft (ticket)",
            "CREATE INDEX mention_ticket ON mention (ticket)",
        ] {
            db.execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["mention", "draft"] {
            manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}
