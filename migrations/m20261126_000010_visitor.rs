//! Visitors of web chats: what they have read, whether they are there, and the indexes by which a
//! conversation is found through the person it is with.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // `seq` is the place of its last change in the feed. `read`, `agent_read`: places up to which the one
    // has read what the other wrote. `continued`: the last delivery that went out by mail as well.
    "CREATE TABLE visitor (
        channel text NOT NULL, visitor text NOT NULL, email text, language text,
        created_at bigint NOT NULL, seen_at bigint NOT NULL, tokens_after bigint,
        typing_until bigint NOT NULL, agent_typing_until bigint NOT NULL, agent_name text,
        read bigint NOT NULL, agent_read bigint NOT NULL, continued bigint NOT NULL,
        seq bigint NOT NULL, PRIMARY KEY (channel, visitor))",
    "CREATE INDEX visitor_seq ON visitor (seq)",
    "CREATE INDEX message_visitor ON message (author_value, author_scope) WHERE author_scheme = 'web'",
    "CREATE INDEX delivery_visitor ON delivery (to_value, channel) WHERE to_scheme = 'web'",
    "CREATE INDEX delivery_unread ON delivery (channel, updated_at)
        WHERE to_scheme = 'web' AND state IN ('sent', 'delivered')",
    "CREATE INDEX event_message ON event (message, seq)",
];

const DOWN: &[&str] = &[
    "DROP INDEX event_message",
    "DROP INDEX delivery_unread",
    "DROP INDEX delivery_visitor",
    "DROP INDEX message_visitor",
    "DROP TABLE visitor",
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
