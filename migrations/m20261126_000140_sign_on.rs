//! Accounts at identity providers, by which people sign in.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const UP: &[&str] = &[
    // One account of a provider is one person, and one person has one account there.
    "CREATE TABLE sign_on (issuer text NOT NULL, subject text NOT NULL, person uuid NOT NULL, \
     linked_at bigint NOT NULL, PRIMARY KEY (issuer, subject))",
    "CREATE UNIQUE INDEX sign_on_person ON sign_on (person, issuer)",
];

const DOWN: &[&str] = &["DROP TABLE sign_on"];

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
