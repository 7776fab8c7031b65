//! People who work here, API tokens, sessions and one-time sign-in links. Nothing that lets anybody in is
//! kept in clear: passwords as argon2id, the rest as SHA-256 of 256 random bits.

mod secret;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use uuid::Uuid;

pub use secret::TOKEN_PREFIX;

use super::entity::{person, session, token};
use super::event::{self, NewEvent};
use super::{Store, StoreError, millis, moment};
use crate::model::{Actor, ActorKind, Role, Secret, Timestamp, TokenId, UserId};
use secret::{
    hash, hash_password, looks_like_token, random_secret, same, token_secret, verify_password,
};

/// A session ends when it was not used for so long …
const SESSION_IDLE: chrono::Duration = chrono::Duration::hours(12);
/// … or is so old.
const SESSION_MAX: chrono::Duration = chrono::Duration::days(7);
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
}

impl Store {
    /// Adds somebody. The mail address is theirs alone.
    pub async fn add_person(
        &self,
        (name, email): (&str, &str),
        role: Role,
        password: Option<Secret>,
        now: Timestamp,
    ) -> Result<Person, StoreError> {
        let email = email.trim().to_lowercase();
        if name.trim().is_empty() || !email.contains('@') {
            let text = "a person needs a name and a mail address".to_owned();
            return Err(StoreError::Refused(text));
        }
        let row = person::Model {
            id: UserId::new().uuid(),
            name: name.trim().to_owned(),
            email,
            role: role.as_str().to_owned(),
            password: match password {
                Some(password) => Some(hash_password(password).await?),
                None => None,
            },
            created_at: millis(now),
            disabled_at: None,
            given_at: None,
        };
        self.write(move |tx| {
            let row = row.clone();
            Box::pin(async move {
                let known = person::Entity::find().filter(person::Column::Email.eq(&row.email));
                if known.one(tx).await?.is_some() {
                    let text = format!("there is a person with the address {}", row.email);
                    return Err(StoreError::Refused(text));
                }
                person::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                event::record(tx, vec![plain_event("person.added", row.id)], now).await?;
                person_view(row)
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
    pub async fn disable_person(&self, who: &str, now: Timestamp) -> Result<Person, StoreError> {
        let who = who.to_owned();
        self.write(move |tx| {
            let who = who.clone();
            Box::pin(async move {
                let id = super::ticket::person_of(tx, &who).await?;
                let change = person::ActiveModel {
                    id: Set(id),
                    disabled_at: Set(Some(millis(now))),
                    ..Default::default()
                };
                let row = person::Entity::update(change).exec(tx).await?;
                let theirs = session::Column::Person.eq(id);
                session::Entity::delete_many().filter(theirs).exec(tx).await?;
                event::record(tx, vec![plain_event("person.disabled", id)], now).await?;
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
                event::record(tx, vec![plain_event("person.password_set", id)], now).await
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
        let made = self
            .write(move |tx| {
                let row = row.clone();
                Box::pin(async move {
                    token::Entity::insert(row.clone().into_active_model())
                        .exec_without_returning(tx)
                        .await?;
                    event::record(tx, vec![plain_event("token.created", row.id)], now).await?;
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
    pub async fn revoke_token(&self, which: &str, now: Timestamp) -> Result<ApiToken, StoreError> {
        let which = which.to_owned();
        self.write(move |tx| {
            let which = which.clone();
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
                event::record(tx, vec![plain_event("token.revoked", row.id)], now).await?;
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

    // ---- sessions ------------------------------------------------------------------------

    /// Signs in with a password. `None`: wrong, in whatever way; each way takes as long as the others.
    pub async fn sign_in(
        &self,
        email: &str,
        password: Secret,
        now: Timestamp,
    ) -> Result<Option<Secret>, StoreError> {
        let row = person::Entity::find()
            .filter(person::Column::Email.eq(email.trim().to_lowercase()))
            .filter(person::Column::DisabledAt.is_null())
            .one(self.reader())
            .await?;
        let (id, known) = row.map_or((None, None), |row| (Some(row.id), row.password));
        let right = verify_password(password, known).await?;
        match id.filter(|_| right) {
            Some(id) => self.begin_session(id, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// A secret for a link that signs its bearer in once, as this person.
    pub async fn sign_in_link(
        &self,
        person: UserId,
        valid_for: chrono::Duration,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        let secret = random_secret();
        let row = session::Model {
            hash: hash(secret.reveal()),
            kind: "link".to_owned(),
            person: person.uuid(),
            created_at: millis(now),
            used_at: millis(now),
            expires_at: millis(now + valid_for),
        };
        self.write(move |tx| {
            let row = row.clone().into_active_model();
            Box::pin(async move {
                session::Entity::insert(row).exec_without_returning(tx).await?;
                Ok(())
            })
        })
        .await?;
        Ok(secret)
    }

    /// The same for the first admin; makes one if there is none, so that a new installation can be entered.
    pub async fn admin_sign_in_link(
        &self,
        valid_for: chrono::Duration,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        let admins = self.people().await?.into_iter();
        let mut admins = admins.filter(|one| one.role == Role::Admin && one.disabled_at.is_none());
        let admin = match admins.next() {
            Some(admin) => admin,
            None => self.add_person(("admin", "admin@localhost"), Role::Admin, None, now).await?,
        };
        self.sign_in_link(admin.id.into(), valid_for, now).await
    }

    /// Trades the secret of a sign-in link for a session. `None`: unknown, used or too old.
    pub async fn use_sign_in_link(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<Secret>, StoreError> {
        let hash = hash(secret);
        let person = self
            .write(move |tx| {
                let hash = hash.clone();
                Box::pin(async move {
                    let row = session::Entity::find_by_id(hash).lock_exclusive().one(tx).await?;
                    let Some(row) = row.filter(|row| row.kind == "link") else { return Ok(None) };
                    session::Entity::delete_by_id(row.hash).exec(tx).await?;
                    Ok((row.expires_at > millis(now)).then_some(row.person))
                })
            })
            .await?;
        match person {
            Some(person) => self.begin_session(person, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn begin_session(&self, person: Uuid, now: Timestamp) -> Result<Secret, StoreError> {
        let secret = random_secret();
        let row = session::Model {
            hash: hash(secret.reveal()),
            kind: "session".to_owned(),
            person,
            created_at: millis(now),
            used_at: millis(now),
            expires_at: millis(now + SESSION_MAX),
        };
        self.write(move |tx| {
            let row = row.clone().into_active_model();
            Box::pin(async move {
                let over = session::Column::ExpiresAt.lt(millis(now));
                session::Entity::delete_many().filter(over).exec(tx).await?;
                session::Entity::insert(row).exec_without_returning(tx).await?;
                event::record(tx, vec![plain_event("person.signed_in", person)], now).await
            })
        })
        .await?;
        Ok(secret)
    }

    /// Whose session this is. `None`: nobody's (any more).
    pub async fn by_session(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<Principal>, StoreError> {
        let hash = hash(secret);
        let row = session::Entity::find_by_id(&hash).one(self.reader()).await?;
        let Some(row) = row.filter(|row| row.kind == "session" && same(&row.hash, &hash)) else {
            return Ok(None);
        };
        let over = row.expires_at <= millis(now) || row.used_at <= millis(now - SESSION_IDLE);
        let person = person::Entity::find_by_id(row.person).one(self.reader()).await?;
        let person = person.filter(|person| person.disabled_at.is_none());
        let Some(person) = person.filter(|_| !over) else { return Ok(None) };
        if row.used_at < millis(now - NOTE_USE_EVERY) {
            self.note_session_use(hash, now).await;
        }
        Ok(Some(Principal {
            actor: Actor { kind: ActorKind::Agent, id: Some(person.id), name: person.name },
            role: word(&person.role)?,
            key: format!("person:{}", person.id),
            cookie: true,
        }))
    }

    async fn note_session_use(&self, hash: String, now: Timestamp) {
        let noted = self.write(move |tx| {
            let used = session::ActiveModel {
                hash: Set(hash.clone()),
                used_at: Set(millis(now)),
                ..Default::default()
            };
            Box::pin(async move {
                session::Entity::update(used).exec(tx).await?;
                Ok(())
            })
        });
        if let Err(error) = noted.await {
            tracing::debug!(%error, "the use of a session was not noted");
        }
    }

    /// Signs out.
    pub async fn end_session(&self, secret: &str) -> Result<(), StoreError> {
        let hash = hash(secret);
        self.write(move |tx| {
            let hash = hash.clone();
            Box::pin(async move {
                session::Entity::delete_by_id(hash).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }
}

fn plain_event(kind: &'static str, id: Uuid) -> NewEvent {
    NewEvent {
        kind,
        ticket: None,
        ticket_seq: None,
        message: None,
        channel: None,
        actor: Actor::system(),
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
