//! Calls that we make for agents: which delivery made the last call of a call-back, and what is known of its end.

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
        db.execute_unprepared(&format!("ALTER TABLE callback ADD COLUMN delivery {id}")).await?;
        db.execute_unprepared("ALTER TABLE callback ADD COLUMN heard text").await?;
        db.execute_unprepared("CREATE INDEX callback_delivery ON callback (delivery)").await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for statement in [
            "DROP INDEX callback_delivery",
            "ALTER TABLE callback DROP COLUMN heard",
            "ALTER TABLE callback DROP COLUMN delivery",
        ] {
            db.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
