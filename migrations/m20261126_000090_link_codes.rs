//! Codes that prove that whoever brings one is a contact that we know.

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
        // `hash`: of the code, which is told once and kept nowhere.
        let table = "CREATE TABLE link_code (
            hash text PRIMARY KEY, contact {id} NOT NULL, made_at bigint NOT NULL,
            expires_at bigint NOT NULL, used_at bigint)";
        db.execute_unprepared(&table.replace("{id}", id)).await?;
        db.execute_unprepared("CREATE INDEX link_code_expires ON link_code (expires_at)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE link_code").await?;
        Ok(())
    }
}
