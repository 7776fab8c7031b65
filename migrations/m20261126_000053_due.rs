//! When an answer is due, beside each ticket: for which version of the ticket that was worked out, since when the
//! customer waits, and whether agents were warned (1) or told that it is late (2).

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
            "CREATE TABLE ticket_due (
                ticket {id} PRIMARY KEY, version bigint NOT NULL, awaited text, since bigint,
                warn_at bigint, due_at bigint, told integer NOT NULL)"
        ))
        .await?;
        db.execute_unprepared(
            "CREATE INDEX ticket_due_next ON ticket_due (warn_at) WHERE told < 2 AND warn_at IS NOT NULL",
        )
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE ticket_due").await?;
        Ok(())
    }
}
