//! Tags of contacts.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let id = if db.get_database_backend() == DbBackend::Postgres { "uuid" } else { "blob" };
        db.execute_unprepared(&format!(
            "CREATE TABLE contact_tag (
                contact {id} NOT NULL, tag text NOT NULL, PRIMARY KEY (contact, tag))"
        ))
        .await?;
        db.execute_unprepared("CREATE INDEX contact_tag_tag ON contact_tag (tag)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE contact_tag").await?;
        Ok(())
    }
}
