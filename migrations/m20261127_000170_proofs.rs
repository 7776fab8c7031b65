//! Codes that were sent to an address so that somebody can prove it to be theirs, and words of deliveries that
//! stand nowhere else.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // `asker_*`: the conversation that alone can bring the code back. `hash`: of the code, with a key that is not here.
    "CREATE TABLE address_proof (
        id {id} PRIMARY KEY, ticket {id} NOT NULL, contact {id} NOT NULL, message {id} NOT NULL,
        asker_channel text NOT NULL, asker_scheme text NOT NULL, asker_scope text NOT NULL, asker_value text NOT NULL,
        channel text NOT NULL, scheme text NOT NULL, value text NOT NULL,
        hash text NOT NULL, both_sides boolean NOT NULL, tries integer NOT NULL, state text NOT NULL,
        made_at bigint NOT NULL, expires_at bigint NOT NULL, ended_at bigint)",
    "CREATE INDEX address_proof_ticket ON address_proof (ticket)",
    "CREATE INDEX address_proof_contact ON address_proof (contact, made_at)",
    "CREATE INDEX address_proof_value ON address_proof (value, made_at)",
    "CREATE INDEX address_proof_asker ON address_proof (asker_value) WHERE state = 'open'",
    // What is put in the place of dots when a delivery goes out, until then.
    "CREATE TABLE sealed_word (delivery {id} PRIMARY KEY, proof {id} NOT NULL, seal {id} NOT NULL, sealed {bytes} NOT NULL)",
    "CREATE INDEX sealed_word_proof ON sealed_word (proof)",
];

const DOWN: &[&str] = &["DROP TABLE sealed_word", "DROP TABLE address_proof"];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let postgres = db.get_database_backend() == DbBackend::Postgres;
        let (id, bytes) = if postgres { ("uuid", "bytea") } else { ("blob", "blob") };
        for statement in UP {
            db.execute_unprepared(&statement.replace("{id}", id).replace("{bytes}", bytes)).await?;
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
