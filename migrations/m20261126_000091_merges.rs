//! What a merge of tickets or contacts moved, so that it can be undone.

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
        // `gone`: the ticket or contact that ended; `moved`: ids and words, as JSON.
        let table = "CREATE TABLE merge_record (
            gone {id} PRIMARY KEY, merged_at bigint NOT NULL, moved text NOT NULL)";
        db.execute_unprepared(&table.replace("{id}", id)).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE merge_record").await?;
        Ok(())
    }
}
