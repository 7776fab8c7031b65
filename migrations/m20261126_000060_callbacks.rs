//! Call-backs that customers asked for.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // `confirm_*`, `remind_*`: the messages to the customer, and when they are written; no time: never, or
    // written. `due_told`: programs were told that it is due. `agent`: who is calling.
    "CREATE TABLE callback (
        id uuid PRIMARY KEY, ticket uuid NOT NULL, phone text NOT NULL, status text NOT NULL,
        wanted text NOT NULL, note text NOT NULL, time_zone text, due_at bigint NOT NULL,
        due_told boolean NOT NULL, attempts integer NOT NULL, agent uuid, agent_name text,
        called_at bigint, outcome text, asked_by text NOT NULL, message uuid,
        confirm_id uuid NOT NULL, confirm_at bigint, remind_id uuid NOT NULL, remind_at bigint,
        version bigint NOT NULL, created_at bigint NOT NULL, updated_at bigint NOT NULL)",
    "CREATE INDEX callback_ticket ON callback (ticket)",
    "CREATE INDEX callback_open ON callback (due_at) WHERE status IN ('waiting', 'calling')",
    "CREATE INDEX callback_status ON callback (status, due_at)",
];

const DOWN: &[&str] = &["DROP TABLE callback"];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in UP {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in DOWN {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}
