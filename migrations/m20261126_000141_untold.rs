//! What was masked after its message was there, and whose customer has not been told yet what to do; signatures.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for step in [
            "ALTER TABLE original ADD COLUMN untold boolean NOT NULL DEFAULT FALSE",
            "CREATE INDEX original_untold ON original (id) WHERE untold",
            "ALTER TABLE person ADD COLUMN signatures text NOT NULL DEFAULT '{}'",
        ] {
            db.execute_unprepared(step).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for step in [
            "DROP INDEX original_untold",
            "ALTER TABLE original DROP COLUMN untold",
            "ALTER TABLE person DROP COLUMN signatures",
        ] {
            db.execute_unprepared(step).await?;
        }
        Ok(())
    }
}
