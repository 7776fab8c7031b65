//! A second factor for people who sign in, and where their sessions come from.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // `second_secret` names the secret in the vault; it counts since `second_since`, after a first right
    // code. `second_step`: the last time step a code of which was taken, so that none is taken twice.
    "ALTER TABLE person ADD COLUMN second_secret uuid",
    "ALTER TABLE person ADD COLUMN second_since bigint",
    "ALTER TABLE person ADD COLUMN second_step bigint NOT NULL DEFAULT 0",
    "ALTER TABLE person ADD COLUMN second_failures integer NOT NULL DEFAULT 0",
    "ALTER TABLE person ADD COLUMN second_failed_at bigint NOT NULL DEFAULT 0",
    "CREATE TABLE recovery_code (hash text PRIMARY KEY, person uuid NOT NULL)",
    "CREATE INDEX recovery_code_person ON recovery_code (person)",
    "ALTER TABLE session ADD COLUMN address text NOT NULL DEFAULT ''",
    "ALTER TABLE session ADD COLUMN client text NOT NULL DEFAULT ''",
    "CREATE INDEX session_person ON session (person)",
    // The audit trail of one person or program, newest first.
    "CREATE INDEX event_actor ON event (actor_id, seq) WHERE actor_kind IN ('agent', 'token')",
];

const DOWN: &[&str] = &[
    "DROP INDEX event_actor",
    "DROP INDEX session_person",
    "ALTER TABLE session DROP COLUMN client",
    "ALTER TABLE session DROP COLUMN address",
    "DROP TABLE recovery_code",
    "ALTER TABLE person DROP COLUMN second_failed_at",
    "ALTER TABLE person DROP COLUMN second_failures",
    "ALTER TABLE person DROP COLUMN second_step",
    "ALTER TABLE person DROP COLUMN second_since",
    "ALTER TABLE person DROP COLUMN second_secret",
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
