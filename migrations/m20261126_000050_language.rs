//! The language that a message is written in.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE message ADD COLUMN language text";
        manager.get_connection().execute_unprepared(column).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = "ALTER TABLE message DROP COLUMN language";
        manager.get_connection().execute_unprepared(column).await?;
        Ok(())
    }
}
