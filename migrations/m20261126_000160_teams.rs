//! Teams: the queues that somebody works on.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = "CREATE TABLE team_member (person uuid NOT NULL, queue text NOT NULL, \
            PRIMARY KEY (person, queue))";
        manager.get_connection().execute_unprepared(table).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("DROP TABLE team_member").await?;
        Ok(())
    }
}
