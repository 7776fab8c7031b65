//! Surveys, one for a ticket at most, with what was answered; and warnings before a ticket ends by itself.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        let id = if postgres { "uuid" } else { "blob" };
        db.execute_unprepared(&format!(
            "CREATE TABLE survey (
                ticket {id} PRIMARY KEY, contact {id} NOT NULL, channel text NOT NULL,
                language text, message {id} NOT NULL, state text NOT NULL, asked_at bigint NOT NULL,
                score integer, comment text, answered_at bigint)"
        ))
        .await?;
        for index in [
            "CREATE INDEX survey_contact ON survey (contact, asked_at)",
            "CREATE INDEX survey_answered ON survey (answered_at) WHERE score IS NOT NULL",
            "CREATE INDEX survey_asking ON survey (asked_at) WHERE state = 'asking'",
        ] {
            db.execute_unprepared(index).await?;
        }
        db.execute_unprepared(&format!(
            "CREATE TABLE close_warning (
                ticket {id} PRIMARY KEY, message {id} NOT NULL, warned_at bigint)"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        db.execute_unprepared("DROP TABLE survey").await?;
        db.execute_unprepared("DROP TABLE close_warning").await?;
        Ok(())
    }
}
