//! What rules need: when somebody was last given a ticket, and indexes for their load and for how much a
//! contact wrote of late.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "ALTER TABLE person ADD COLUMN given_at bigint",
            "CREATE INDEX ticket_assignee ON ticket (assignee)
                WHERE assignee IS NOT NULL AND status IN ('open', 'pending')",
            "CREATE INDEX message_contact ON message (contact, received_at) WHERE contact IS NOT NULL",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in [
            "DROP INDEX message_contact",
            "DROP INDEX ticket_assignee",
            "ALTER TABLE person DROP COLUMN given_at",
        ] {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
