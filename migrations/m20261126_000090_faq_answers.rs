//! Known answers that went out by themselves: one for a ticket at most, which article it was, and what came of it
//! (`shown`, `helped`, `escalated`, `silent`, `failed`, `taken`).

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
            "CREATE TABLE faq_answer (
                ticket {id} PRIMARY KEY, contact {id} NOT NULL, channel text NOT NULL,
                article text NOT NULL, language text NOT NULL, message {id} NOT NULL,
                outcome text NOT NULL, until bigint NOT NULL, shown_at bigint NOT NULL,
                ended_at bigint)"
        ))
        .await?;
        db.execute_unprepared("CREATE INDEX faq_answer_shown ON faq_answer (shown_at)").await?;
        db.execute_unprepared("CREATE INDEX faq_answer_contact ON faq_answer (contact, shown_at)")
            .await?;
        db.execute_unprepared(
            "CREATE INDEX faq_answer_waiting ON faq_answer (until) WHERE outcome = 'shown'",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE faq_answer").await?;
        Ok(())
    }
}
