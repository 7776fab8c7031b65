//! Answers that keep somebody from harm are guarded apart from other acknowledgements.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE autoreply ADD COLUMN safety bool NOT NULL DEFAULT false";
        manager.get_connection().execute_unprepared(column).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE autoreply DROP COLUMN safety";
        manager.get_connection().execute_unprepared(column).await?;
        Ok(())
    }
}
