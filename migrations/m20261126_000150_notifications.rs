//! Telling agents of what happens, and their answers by mail.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // What a person wants to be told of, as JSON.
    "CREATE TABLE preference (person uuid PRIMARY KEY, told text NOT NULL)",
    // Lines for somebody who was mailed often of late: they go out together.
    "CREATE TABLE digest (address text NOT NULL, event bigint NOT NULL, person uuid, \
     language text NOT NULL, line text NOT NULL, added_at bigint NOT NULL, PRIMARY KEY (address, event))",
    // What an agent answered by mail, until it is a reply or a note. `id` is that of the message it becomes.
    "CREATE TABLE agent_answer (id uuid PRIMARY KEY, ticket uuid NOT NULL, person uuid, \
     kind text NOT NULL, text text NOT NULL, added_at bigint NOT NULL)",
    // One event is queued once for each recipient; an outgoing webhook has one.
    "DROP INDEX delivery_event",
    "CREATE UNIQUE INDEX delivery_event ON delivery (channel, event, to_value) WHERE event IS NOT NULL",
];

const DOWN: &[&str] = &[
    "DROP INDEX delivery_event",
    "CREATE UNIQUE INDEX delivery_event ON delivery (channel, event) WHERE event IS NOT NULL",
    "DROP TABLE agent_answer",
    "DROP TABLE digest",
    "DROP TABLE preference",
];

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
