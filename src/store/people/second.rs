//! The second factor: a secret that an authenticator knows, and codes for who lost it.
//!
//! The secret lies sealed in the vault; a recovery code is kept as a hash. A code is taken once, and after a
//! few wrong ones no code is looked at for a while: who has the password alone cannot try them all.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::super::entity::{person, recovery_code, session};
use super::super::{Store, StoreError, event, millis, vault};
use super::secret::{hash, recovery_secret};
use super::{acted, totp};
use crate::model::{Actor, ActorKind, Secret, Timestamp, UserId};

/// So many wrong codes may be mistakes …
const FAILURES_MAX: i32 = 5;
/// … within this time; then no code is looked at until it is over.
const FAILURES_WITHIN: chrono::Duration = chrono::Duration::minutes(15);
/// Recovery codes that somebody gets.
const RECOVERY_CODES: usize = 10;

/// A second factor that waits for its first code.
#[derive(Debug)]
pub struct NewFactor {
    /// In base32, to be typed.
    pub secret: Secret,
    /// The same for a QR code.
    pub uri: Secret,
}

/// What became of a code.
#[derive(Debug, PartialEq, Eq)]
pub enum Code<T> {
    /// Right.
    Right(T),
    /// Wrong, or used before.
    Wrong,
    /// There were too many wrong ones; none is looked at for a while.
    TooMany,
}

fn name_in_vault(secret: Uuid) -> String {
    format!("totp:{secret}")
}

impl Store {
    /// Makes a secret for somebody's authenticator. It counts from its first right code on.
    pub async fn begin_second_factor(
        &self,
        person: UserId,
        now: Timestamp,
    ) -> Result<NewFactor, StoreError> {
        let (id, key, secret) = (person.uuid(), Uuid::now_v7(), totp::fresh());
        self.vault_put(&name_in_vault(key), &secret, now).await?;
        let email = self
            .write(move |tx| {
                Box::pin(async move {
                    let row = locked(tx, id).await?;
                    if row.second_since.is_some() {
                        let text = "there is a second factor: remove it first".to_owned();
                        return Err(StoreError::Refused(text));
                    }
                    if let Some(old) = row.second_secret {
                        vault::drop(tx, &name_in_vault(old)).await?;
                    }
                    let change = person::ActiveModel {
                        id: Set(id),
                        second_secret: Set(Some(key)),
                        second_step: Set(0),
                        ..Default::default()
                    };
                    person::Entity::update(change).exec(tx).await?;
                    Ok(row.email)
                })
            })
            .await?;
        Ok(NewFactor { uri: totp::uri(&secret, &email), secret })
    }

    /// The first right code: from now on one is asked for. Answers with recovery codes, shown this once.
    pub async fn confirm_second_factor(
        &self,
        person: UserId,
        code: &str,
        now: Timestamp,
    ) -> Result<Code<Vec<Secret>>, StoreError> {
        let (id, code) = (person.uuid(), code.to_owned());
        let row = self.person_row(id).await?;
        let Some(key) = row.second_secret.filter(|_| row.second_since.is_none()) else {
            return Err(StoreError::Refused(
                "no second factor waits for its first code".to_owned(),
            ));
        };
        let secret = self.factor_secret(key).await?;
        let codes: Vec<Secret> = (0..RECOVERY_CODES).map(|_| recovery_secret()).collect();
        let hashes: Vec<String> = codes.iter().map(|code| code_hash(id, code.reveal())).collect();
        let outcome = self
            .write(move |tx| {
                let (secret, code, hashes) = (secret.clone(), code.clone(), hashes.clone());
                Box::pin(async move {
                    let row = locked(tx, id).await?;
                    if row.second_secret != Some(key) || row.second_since.is_some() {
                        return Ok(Code::Wrong);
                    }
                    let Code::Right(step) = looked_at(tx, &row, &secret, &code, now).await? else {
                        return Ok(if too_many(&row, now) { Code::TooMany } else { Code::Wrong });
                    };
                    let change = person::ActiveModel {
                        id: Set(id),
                        second_since: Set(Some(millis(now))),
                        second_step: Set(step),
                        second_failures: Set(0),
                        ..Default::default()
                    };
                    person::Entity::update(change).exec(tx).await?;
                    forget_codes(tx, id).await?;
                    let rows = hashes.into_iter().map(|hash| recovery_code::ActiveModel {
                        hash: Set(hash),
                        person: Set(id),
                    });
                    recovery_code::Entity::insert_many(rows).exec_without_returning(tx).await?;
                    let event = acted("person.second_factor_set", id, &of(&row));
                    event::record(tx, vec![event], now).await?;
                    Ok(Code::Right(()))
                })
            })
            .await?;
        Ok(match outcome {
            Code::Right(()) => Code::Right(codes),
            Code::Wrong => Code::Wrong,
            Code::TooMany => Code::TooMany,
        })
    }

    /// Takes somebody's second factor away; by themselves only with a code (see [`Store::check_code`]).
    pub async fn remove_second_factor(
        &self,
        person: UserId,
        by: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, by) = (person.uuid(), by.clone());
        self.write(move |tx| {
            let by = by.clone();
            Box::pin(async move {
                let row = locked(tx, id).await?;
                let Some(key) = row.second_secret else {
                    return Err(StoreError::NotFound("second factor"));
                };
                vault::drop(tx, &name_in_vault(key)).await?;
                forget_codes(tx, id).await?;
                let change = person::ActiveModel {
                    id: Set(id),
                    second_secret: Set(None),
                    second_since: Set(None),
                    second_failures: Set(0),
                    ..Default::default()
                };
                person::Entity::update(change).exec(tx).await?;
                event::record(tx, vec![acted("person.second_factor_removed", id, &by)], now).await
            })
        })
        .await
    }

    /// Looks at a code of somebody's authenticator, or one of their recovery codes, and uses it up.
    pub async fn check_code(
        &self,
        person: UserId,
        code: &str,
        now: Timestamp,
    ) -> Result<Code<()>, StoreError> {
        let (id, code) = (person.uuid(), code.to_owned());
        let row = self.person_row(id).await?;
        let Some(key) = row.second_secret.filter(|_| row.second_since.is_some()) else {
            return Ok(Code::Wrong);
        };
        let secret = self.factor_secret(key).await?;
        self.write(move |tx| {
            let (secret, code) = (secret.clone(), code.clone());
            Box::pin(async move {
                let row = locked(tx, id).await?;
                if row.second_secret != Some(key) {
                    return Ok(Code::Wrong);
                }
                Ok(match looked_at(tx, &row, &secret, &code, now).await? {
                    Code::Right(_) => Code::Right(()),
                    Code::Wrong => Code::Wrong,
                    Code::TooMany => Code::TooMany,
                })
            })
        })
        .await
    }

    /// Trades the secret of a sign-in that waits for a code, and the code, for a session.
    pub async fn finish_sign_in(
        &self,
        waiting: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<Code<Secret>, StoreError> {
        let waiting = hash(waiting);
        let row = session::Entity::find_by_id(&waiting).one(self.reader()).await?;
        let row = row.filter(|row| row.kind == "code" && row.expires_at > millis(now));
        let Some(row) = row else { return Ok(Code::Wrong) };
        match self.check_code(row.person.into(), code, now).await? {
            Code::Right(()) => {}
            Code::Wrong => return Ok(Code::Wrong),
            Code::TooMany => return Ok(Code::TooMany),
        }
        // Two codes for one waiting sign-in are one session: whoever takes the row away has it.
        let taken = self
            .write(move |tx| {
                let waiting = waiting.clone();
                Box::pin(async move {
                    Ok(session::Entity::delete_by_id(waiting).exec(tx).await?.rows_affected)
                })
            })
            .await?;
        if taken == 0 {
            return Ok(Code::Wrong);
        }
        self.begin_session(row.person, now).await.map(Code::Right)
    }

    pub(super) async fn person_row(&self, id: Uuid) -> Result<person::Model, StoreError> {
        let row = person::Entity::find_by_id(id).one(self.reader()).await?;
        let row = row.filter(|row| row.disabled_at.is_none());
        row.ok_or(StoreError::NotFound("person"))
    }

    async fn factor_secret(&self, key: Uuid) -> Result<Secret, StoreError> {
        let secret = self.vault_get(&name_in_vault(key)).await?;
        secret.ok_or(StoreError::NotFound("second factor"))
    }
}

async fn locked(tx: &DatabaseTransaction, id: Uuid) -> Result<person::Model, StoreError> {
    let row = person::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    let row = row.filter(|row| row.disabled_at.is_none());
    row.ok_or(StoreError::NotFound("person"))
}

/// The person themselves, as the audit trail names them.
pub(super) fn of(row: &person::Model) -> Actor {
    Actor { kind: ActorKind::Agent, id: Some(row.id), name: row.name.clone() }
}

fn too_many(row: &person::Model, now: Timestamp) -> bool {
    row.second_failures >= FAILURES_MAX && row.second_failed_at > millis(now - FAILURES_WITHIN)
}

/// Judges a code and keeps count, under the lock of the person's row. A right one is used up.
async fn looked_at(
    tx: &DatabaseTransaction,
    row: &person::Model,
    secret: &Secret,
    code: &str,
    now: Timestamp,
) -> Result<Code<i64>, StoreError> {
    if too_many(row, now) {
        return Ok(Code::TooMany);
    }
    let mut change = person::ActiveModel { id: Set(row.id), ..Default::default() };
    let step = match totp::step_of(secret, code, row.second_step, now) {
        Some(step) => Some(step),
        None if used_up(tx, row.id, code).await? => Some(row.second_step),
        None => None,
    };
    if let Some(step) = step {
        change.second_step = Set(step);
        change.second_failures = Set(0);
    } else {
        let recent = row.second_failed_at > millis(now - FAILURES_WITHIN);
        change.second_failures =
            Set(if recent { row.second_failures.saturating_add(1) } else { 1 });
        change.second_failed_at = Set(millis(now));
    }
    person::Entity::update(change).exec(tx).await?;
    Ok(step.map_or(Code::Wrong, Code::Right))
}

/// Is it a recovery code of theirs? Then it is none any more.
async fn used_up(tx: &DatabaseTransaction, person: Uuid, code: &str) -> Result<bool, StoreError> {
    let gone = recovery_code::Entity::delete_many()
        .filter(recovery_code::Column::Hash.eq(code_hash(person, code)))
        .filter(recovery_code::Column::Person.eq(person))
        .exec(tx)
        .await?;
    Ok(gone.rows_affected > 0)
}

async fn forget_codes(tx: &DatabaseTransaction, person: Uuid) -> Result<(), StoreError> {
    let theirs = recovery_code::Column::Person.eq(person);
    recovery_code::Entity::delete_many().filter(theirs).exec(tx).await?;
    Ok(())
}

/// However it is typed: with or without dashes and blanks, in capitals or not.
fn code_hash(person: Uuid, code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    hash(&format!("{person} {}", plain.to_ascii_lowercase()))
}
