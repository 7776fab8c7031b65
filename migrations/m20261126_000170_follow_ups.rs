//! Known answers that customers went on from to another one: the row of the ticket is that of the last.

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
        for step in [
            "ALTER TABLE faq_answer ADD COLUMN follow_ups text".to_owned(),
            format!(
                "CREATE TABLE faq_earlier (
                    ticket {id} NOT NULL, place integer NOT NULL, channel text NOT NULL,
                    article text NOT NULL, outcome text NOT NULL, follow_ups text,
                    shown_at bigint NOT NULL, ended_at bigint NOT NULL,
                    PRIMARY KEY (ticket, place))"
            ),
            "CREATE INDEX faq_earlier_shown ON faq_earlier (shown_at)".to_owned(),
        ] {
            db.execute_unprepared(&step).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for step in ["DROP TABLE faq_earlier", "ALTER TABLE faq_answer DROP COLUMN follow_ups"] {
            db.execute_unprepared(step).await?;
        }
        Ok(())
    }
}
