//! What each person at the desk keeps: lists of tickets of their own, and what they have seen. And indexes by which
//! every list of the console is found in the order in which it is shown.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEXES: &[&str] = &[
    "CREATE INDEX saved_view_person ON saved_view (person, position)",
    "CREATE INDEX ticket_by_assignee ON ticket (assignee, updated_at, id)",
    "CREATE INDEX ticket_by_channel ON ticket (channel, updated_at, id)",
    "CREATE INDEX ticket_by_queue ON ticket (queue, updated_at, id)",
    "CREATE INDEX ticket_by_priority ON ticket (priority, updated_at, id)",
];

const DOWN: &[&str] = &[
    "DROP INDEX ticket_by_priority",
    "DROP INDEX ticket_by_queue",
    "DROP INDEX ticket_by_channel",
    "DROP INDEX ticket_by_assignee",
    "DROP TABLE ticket_seen",
    "DROP TABLE saved_view",
];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let id = if db.get_database_backend() == DbBackend::Postgres { "uuid" } else { "blob" };
        // `query` is the query of `GET /tickets`.
        db.execute_unprepared(&format!(
            "CREATE TABLE saved_view (
                id {id} PRIMARY KEY, person {id} NOT NULL, name text NOT NULL, query text NOT NULL,
                position bigint NOT NULL)"
        ))
        .await?;
        // `inbound_at`: the last word of the customer that the person has seen.
        db.execute_unprepared(&format!(
            "CREATE TABLE ticket_seen (
                person {id} NOT NULL, ticket {id} NOT NULL, inbound_at bigint NOT NULL,
                PRIMARY KEY (person, ticket))"
        ))
        .await?;
        for statement in INDEXES {
            db.execute_unprepared(statement).await?;
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
