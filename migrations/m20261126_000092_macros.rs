//! Canned answers that people keep.

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
            "CREATE TABLE canned (
                id {id} PRIMARY KEY, name text NOT NULL UNIQUE, what text NOT NULL,
                version bigint NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL)"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE canned").await?;
        Ok(())
    }
}
