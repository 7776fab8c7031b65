//! Files that are in the store by now, and are to be taken away at the service they came from.

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
            "CREATE TABLE forget (
                id {id} PRIMARY KEY, channel text NOT NULL, source text NOT NULL,
                attempts integer NOT NULL, retry_at bigint NOT NULL)"
        ))
        .await?;
        db.execute_unprepared("CREATE INDEX forget_next ON forget (retry_at)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE forget").await?;
        Ok(())
    }
}
