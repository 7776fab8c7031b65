//! People who work here, API tokens, sessions and one-time sign-in links. Nothing that lets anybody in is
//! kept in clear: passwords as argon2id, the rest as SHA-256 of 256 random bits.

mod entry;
mod second;
mod secret;
mod sign_on;
mod team;
mod totp;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use uuid::Uuid;

pub use entry::{Entry, FailedSignIn, SessionView};
pub use second::{Code, NewFactor};
pub use secret::TOKEN_PREFIX;
pub use sign_on::{Account, Admission, NotAdmitted};

use super::entity::{person, session, token};
use super::event::{self, NewEvent};
use super::{Store, StoreError, millis, moment};
use crate::model::{Actor, ActorKind, Role, Secret, Timestamp, TokenId, UserId};
pub(super) use secret::{hash, random_secret};
use secret::{hash_password, looks_like_token, same, token_secret};

/// «Last used» is noted this often at most: looking must not cost a commit each time.
const NOTE_USE_EVERY: chrono::Duration = chrono::Duration::minutes(5);

/// Somebody who works here.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    /// Their id.
    pub id: Uuid,
    /// As shown beside what they write.
    pub name: String,
    /// What they sign in with, lower case.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Can they sign in with a password?
    pub has_password: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub disabled_at: Option<Timestamp>,
    /// Since when a code is asked for too.
    pub second_factor_at: Option<Timestamp>,
}

/// An API token, without what lets anybody in.
#[derive(Debug, Clone, Serialize)]
pub struct ApiToken {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take five minutes.
    pub last_used_at: Option<Timestamp>,
    /// When somebody revoked it.
    pub revoked_at: Option<Timestamp>,
}

/// Somebody (or some program) who has shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// For the audit trail.
    pub actor: Actor,
    /// What they may do.
    pub role: Role,
    /// A name that nobody else has: `token:…`, `person:…`.
    pub key: String,
    /// Came with a cookie, so a browser may have been led here by another site.
    pub cookie: bool,
    /// The id of the session that the cookie is of.
    pub session: Option<String>,
}

impl Store {
    /// Adds somebody. The mail address is theirs alone.
    pub async fn add_person(
        &self,
        (name, email): (&str, &str),
        role: Role,
        password: Option<Secret>,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Person, StoreError> {
        let password = match password {
            Some(password) => Some(hash_password(password).await?),
            None => None,
        };
        let row = new_person((name, email), role, password, now)?;
        let by = by.clone();
        self.write(move |tx| {
            let (row, by) = (row.clone(), by.clone());
            Box::pin(async move {
                let known = person::Entity::find().filter(person::Column::Email.eq(&row.email));
                if known.one(tx).await?.is_some() {
                    let text = format!("there is a person with the address {}", row.email);
                    return Err(StoreError::Refused(text));
                }
                person::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                event::record(tx, vec![acted("person.added", row.id, &by)], now).await?;
                person_view(row)
            })
        })
        .await
    }

    /// The signatures of somebody who works here, by language, and the address that they sign in with.
    pub async fn signatures(
        &self,
        who: UserId,
    ) -> Result<(BTreeMap<String, String>, String), StoreError> {
        let row = person::Entity::find_by_id(who.uuid()).one(self.reader()).await?;
        let row = row.ok_or(StoreError::NotFound("person"))?;
        let texts = serde_json::from_str(&row.signatures);
        Ok((texts.map_err(|error| StoreError::Database(error.into()))?, row.email))
    }

    /// Changes them: these and no others.
    pub async fn set_signatures(
        &self,
        who: UserId,
        texts: &BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let texts =
            serde_json::to_string(texts).map_err(|error| StoreError::Database(error.into()))?;
        self.write(move |tx| {
            let texts = texts.clone();
            Box::pin(async move {
                let changed = person::Entity::update_many()
                    .set(person::ActiveModel { signatures: Set(texts), ..Default::default() })
                    .filter(person::Column::Id.eq(who.uuid()))
                    .exec(tx)
                    .await?;
                if changed.rows_affected == 0 {
                    return Err(StoreError::NotFound("person"));
                }
                Ok(())
            })
        })
        .await
    }

    /// Everybody, those who left too.
    pub async fn people(&self) -> Result<Vec<Person>, StoreError> {
        let rows = person::Entity::find().order_by_asc(person::Column::Email);
        rows.all(self.reader()).await?.into_iter().map(person_view).collect()
    }

    /// Lets somebody in no more: their sessions end, their links are void.
    pub async fn disable_person(
        &self,
        who: &str,
        by: &Actor,
        now: Timestamp,
    ) -> Result<Person, StoreError> {
        let (who, by) = (who.to_owned(), by.clone());
        self.write(move |tx| {
            let (who, by) = (who.clone(), by.clone());
            Box::pin(async move {
                let id = super::ticket::person_of(tx, &who).await?;
                keep_an_admin(tx, id).await?;
                let change = person::ActiveModel {
                    id: Set(id),
                    disabled_at: Set(Some(millis(now))),
                    ..Default::default()
                };
                let row = person::Entity::update(change).exec(tx).await?;
                let theirs = session::Column::Person.eq(id);
                session::Entity::delete_many().filter(theirs).exec(tx).await?;
                event::record(tx, vec![acted("person.disabled", id, &by)], now).await?;
                person_view(row)
            })
        })
        .await
    }

    /// Gives somebody another role, at once in all their sessions, and puts them into these teams and out of
    /// all others; both or neither, and what is `None` stays. One admin has to stay.
    pub async fn change_person(
        &self,
        who: UserId,
        (role, queues): (Option<Role>, Option<BTreeSet<String>>),
        by: &Actor,
        now: Timestamp,
    ) -> Result<Person, StoreError> {
        let (id, by) = (who.uuid(), by.clone());
        self.write(move |tx| {
            let (queues, by) = (queues.clone(), by.clone());
            Box::pin(async move {
                if let Some(role) = role {
                    set_role(tx, id, role, &by, now).await?;
                }
                let row = person::Entity::find_by_id(id).one(tx).await?;
                let row = row.ok_or(StoreError::NotFound("person"))?;
                if let Some(queues) = queues {
                    team::set(tx, id, queues, &by, now).await?;
                }
                person_view(row)
            })
        })
        .await
    }

    /// Gives somebody a new password; their sessions end.
    pub async fn set_password(
        &self,
        who: &str,
        password: Secret,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (who, hash) = (who.to_owned(), hash_password(password).await?);
        self.write(move |tx| {
            let (who, hash) = (who.clone(), hash.clone());
            Box::pin(async move {
                let id = super::ticket::person_of(tx, &who).await?;
                let change = person::ActiveModel {
                    id: Set(id),
                    password: Set(Some(hash)),
                    ..Default::default()
                };
                person::Entity::update(change).exec(tx).await?;
                let theirs = session::Column::Person.eq(id);
                session::Entity::delete_many().filter(theirs).exec(tx).await?;
                event::record(tx, vec![acted("person.password_set", id, &Actor::system())], now)
                    .await
            })
        })
        .await
    }

    // ---- tokens --------------------------------------------------------------------------

    /// Makes an API token. The secret is shown this once.
    pub async fn create_token(
        &self,
        name: &str,
        role: Role,
        expires_at: Option<Timestamp>,
        by: &Actor,
        now: Timestamp,
    ) -> Result<(ApiToken, Secret), StoreError> {
        let secret = token_secret();
        let row = token::Model {
            id: TokenId::new().uuid(),
            name: name.to_owned(),
            role: role.as_str().to_owned(),
            person: None,
            hash: hash(secret.reveal()),
            created_at: millis(now),
            expires_at: expires_at.map(millis),
            last_used_at: None,
            revoked_at: None,
        };
        let by = by.clone();
        let made = self
            .write(move |tx| {
                let (row, by) = (row.clone(), by.clone());
                Box::pin(async move {
                    token::Entity::insert(row.clone().into_active_model())
                        .exec_without_returning(tx)
                        .await?;
                    let mut event = acted("token.created", row.id, &by);
                    event.data =
                        serde_json::json!({ "id": row.id, "name": row.name, "role": row.role });
                    event::record(tx, vec![event], now).await?;
                    token_view(row)
                })
            })
            .await?;
        Ok((made, secret))
    }

    /// All tokens, newest first.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let rows = token::Entity::find().order_by_desc(token::Column::Id);
        rows.all(self.reader()).await?.into_iter().map(token_view).collect()
    }

    /// Makes a token worthless, by its id or its name.
    pub async fn revoke_token(
        &self,
        which: &str,
        by: &Actor,
        now: Timestamp,
    ) -> Result<ApiToken, StoreError> {
        let (which, by) = (which.to_owned(), by.clone());
        self.write(move |tx| {
            let (which, by) = (which.clone(), by.clone());
            Box::pin(async move {
                let named = match Uuid::parse_str(&which) {
                    Ok(id) => token::Column::Id.eq(id),
                    Err(_) => token::Column::Name.eq(which.as_str()),
                };
                let rows = token::Entity::find()
                    .filter(named)
                    .filter(token::Column::RevokedAt.is_null())
                    .limit(2)
                    .all(tx)
                    .await?;
                let row = match <[token::Model; 1]>::try_from(rows) {
                    Ok([row]) => row,
                    Err(rows) if rows.is_empty() => return Err(StoreError::NotFound("token")),
                    Err(_) => {
                        let text = format!("more than one token is called {which}: use the id");
                        return Err(StoreError::Refused(text));
                    }
                };
                let mut row = row.into_active_model();
                row.revoked_at = Set(Some(millis(now)));
                let row = token::Entity::update(row).exec(tx).await?;
                event::record(tx, vec![acted("token.revoked", row.id, &by)], now).await?;
                token_view(row)
            })
        })
        .await
    }

    /// Who comes with this token. `None`: nobody.
    pub async fn by_token(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        if !looks_like_token(secret) {
            return Ok(None);
        }
        let hash = hash(secret);
        let row = token::Entity::find()
            .filter(token::Column::Hash.eq(&hash))
            .filter(token::Column::RevokedAt.is_null())
            .one(self.reader())
            .await?;
        let Some(row) = row.filter(|row| same(&row.hash, &hash)) else { return Ok(None) };
        if row.expires_at.is_some_and(|end| end <= millis(now)) {
            return Ok(None);
        }
        if row.last_used_at.is_none_or(|at| at < millis(now - NOTE_USE_EVERY)) {
            self.note_token_use(row.id, now).await;
        }
        Ok(Some(Principal {
            actor: Actor { kind: ActorKind::Token, id: Some(row.id), name: row.name },
            role: word(&row.role)?,
            key: format!("token:{}", row.id),
            cookie: false,
            session: None,
        }))
    }

    /// A store that cannot be written to is still good for looking.
    async fn note_token_use(&self, id: Uuid, now: Timestamp) {
        let noted = self.write(move |tx| {
            Box::pin(async move {
                let used = token::ActiveModel {
                    id: Set(id),
                    last_used_at: Set(Some(millis(now))),
                    ..Default::default()
                };
                token::Entity::update(used).exec(tx).await?;
                Ok(())
            })
        });
        if let Err(error) = noted.await {
            tracing::debug!(token.id = %id, %error, "the use of a token was not noted");
        }
    }
}

/// Somebody new, as they are kept.
fn new_person(
    (name, email): (&str, &str),
    role: Role,
    password: Option<String>,
    now: Timestamp,
) -> Result<person::Model, StoreError> {
    let email = email.trim().to_lowercase();
    if name.trim().is_empty() || !email.contains('@') {
        let text = "a person needs a name and a mail address".to_owned();
        return Err(StoreError::Refused(text));
    }
    Ok(person::Model {
        id: UserId::new().uuid(),
        name: name.trim().to_owned(),
        email,
        role: role.as_str().to_owned(),
        password,
        created_at: millis(now),
        disabled_at: None,
        given_at: None,
        second_secret: None,
        second_since: None,
        second_step: 0,
        second_failures: 0,
        second_failed_at: 0,
        signatures: "{}".to_owned(),
    })
}

/// Gives somebody who works here another role.
async fn set_role(
    tx: &DatabaseTransaction,
    id: Uuid,
    role: Role,
    by: &Actor,
    now: Timestamp,
) -> Result<person::Model, StoreError> {
    if role != Role::Admin {
        keep_an_admin(tx, id).await?;
    }
    let row = person::Entity::find_by_id(id).one(tx).await?;
    let row = row.filter(|row| row.disabled_at.is_none());
    let row = row.ok_or(StoreError::NotFound("person"))?;
    let mut event = acted("person.role_changed", id, by);
    event.data = serde_json::json!({ "id": id, "from": row.role, "to": role });
    let mut row = row.into_active_model();
    row.role = Set(role.as_str().to_owned());
    let row = person::Entity::update(row).exec(tx).await?;
    event::record(tx, vec![event], now).await?;
    Ok(row)
}

/// Refuses what would leave nobody who may let others in. The rows stay locked, so that two admins who let
/// each other go at once do not both succeed.
async fn keep_an_admin(tx: &DatabaseTransaction, id: Uuid) -> Result<(), StoreError> {
    let admins = person::Entity::find()
        .filter(person::Column::Role.eq(Role::Admin.as_str()))
        .filter(person::Column::DisabledAt.is_null())
        .lock_exclusive();
    let admins = admins.all(tx).await?;
    if admins.len() == 1 && admins.iter().any(|admin| admin.id == id) {
        let text = "this is the last admin: make somebody else one first".to_owned();
        return Err(StoreError::Refused(text));
    }
    Ok(())
}

/// Something that was done with a person or a token, and by whom.
fn acted(kind: &'static str, id: Uuid, by: &Actor) -> NewEvent {
    NewEvent {
        kind,
        ticket: None,
        ticket_seq: None,
        message: None,
        channel: None,
        actor: by.clone(),
        data: serde_json::json!({ "id": id }),
    }
}

fn person_view(row: person::Model) -> Result<Person, StoreError> {
    Ok(Person {
        id: row.id,
        name: row.name,
        email: row.email,
        role: word(&row.role)?,
        has_password: row.password.is_some(),
        created_at: moment(row.created_at),
        disabled_at: row.disabled_at.map(moment),
        second_factor_at: row.second_since.map(moment),
    })
}

fn token_view(row: token::Model) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        id: row.id,
        name: row.name,
        role: word(&row.role)?,
        created_at: moment(row.created_at),
        expires_at: row.expires_at.map(moment),
        last_used_at: row.last_used_at.map(moment),
        revoked_at: row.revoked_at.map(moment),
    })
}

fn word(text: &str) -> Result<Role, StoreError> {
    text.parse().map_err(|error| StoreError::Database(Box::new(error)))
}
