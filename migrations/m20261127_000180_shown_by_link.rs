//! Which known answers were sent, and which were only read on the page of a link: digits in a message, and the channel's
//! share of an hour, are about those that were sent.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: [&str; 2] = ["faq_answer", "faq_earlier"];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            let step = format!("ALTER TABLE {table} ADD COLUMN sent boolean NOT NULL DEFAULT true");
            manager.get_connection().execute_unprepared(&step).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            let step = format!("ALTER TABLE {table} DROP COLUMN sent");
            manager.get_connection().execute_unprepared(&step).await?;
        }
        Ok(())
    }
}
