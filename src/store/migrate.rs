//! Brings the schema up to date, forward only; refuses a schema that is newer than this program.

use std::collections::HashSet;

use migrations::MigratorTrait as _;
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{Store, StoreError};

impl Store {
    /// Brings the schema up to date, in one transaction. Several nodes may do it at once: one does, the
    /// others wait.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.write_alone(|tx| {
            Box::pin(async move {
                if tx.get_database_backend() == DbBackend::Postgres {
                    // Any number, as long as all nodes take the same.
                    tx.execute_unprepared("SELECT pg_advisory_xact_lock(7243001)").await?;
                }
                refuse_newer(tx).await?;
                Ok(migrations::Migrator::up(tx, None).await?)
            })
        })
        .await
    }

    /// Steps of the schema that this program knows and the database has not had.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        refuse_newer(self.reader()).await?;
        let applied = applied(self.reader()).await?;
        Ok(known().into_iter().filter(|step| !applied.contains(step)).count())
    }
}

/// The steps that this program knows, oldest first.
fn known() -> Vec<String> {
    migrations::Migrator::migrations().iter().map(|step| step.name().to_owned()).collect()
}

/// The steps that the database has had. Looks and makes nothing: a reader cannot.
async fn applied<C: ConnectionTrait>(db: &C) -> Result<HashSet<String>, StoreError> {
    let backend = db.get_database_backend();
    let there = if backend == DbBackend::Postgres {
        "SELECT 1 FROM information_schema.tables
         WHERE table_schema = current_schema() AND table_name = 'seaql_migrations'"
    } else {
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'"
    };
    if db.query_one_raw(Statement::from_string(backend, there)).await?.is_none() {
        return Ok(HashSet::new());
    }
    let versions = Statement::from_string(backend, "SELECT version FROM seaql_migrations");
    let rows = db.query_all_raw(versions).await?;
    rows.iter().map(|row| Ok(row.try_get::<String>("", "version")?)).collect()
}

/// An older program must not write into a newer schema: it would not know what it leaves out.
async fn refuse_newer<C: ConnectionTrait>(db: &C) -> Result<(), StoreError> {
    let known = known();
    let mut newer: Vec<String> = applied(db).await?.into_iter().collect();
    newer.retain(|step| !known.contains(step));
    newer.sort();
    if newer.is_empty() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "the store's schema is newer than this program (tributary {}): it has had {}, which this program \
         does not know; run the version that made it, or a later one",
        env!("CARGO_PKG_VERSION"),
        newer.join(", ")
    )))
}
