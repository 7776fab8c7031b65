//! Sessions of the console, one-time sign-in links, and sign-ins that wait for a code.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use uuid::Uuid;

use super::super::entity::{person, session};
use super::super::event::{self, NewEvent};
use super::super::{Store, StoreError, millis, moment};
use super::secret::{hash, random_secret, same, verify_password};
use super::{NOTE_USE_EVERY, Principal, acted, second, word};
use crate::model::{Actor, Role, Secret, Timestamp, UserId};

/// A session ends when it was not used for so long …
const SESSION_IDLE: chrono::Duration = chrono::Duration::hours(12);
/// … or is so old.
const SESSION_MAX: chrono::Duration = chrono::Duration::days(7);
/// A code has to follow the password within this time.
const CODE_WITHIN: chrono::Duration = chrono::Duration::minutes(5);
/// Characters of a session's hash that name it: enough to tell all apart, and nobody gets in with them.
const ID_CHARS: usize = 32;
/// What is kept of the words in which a browser describes itself, in characters.
const CLIENT_CHARS_MAX: usize = 300;

/// What a password or a link opens.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// The session.
    Session(Secret),
    /// The second factor: [`Store::finish_sign_in`] takes this and a code.
    Code(Secret),
}

/// A sign-in that failed, for the audit trail.
#[derive(Debug, Clone)]
pub struct FailedSignIn {
    /// `password`, `link`, `code`, or `sso.` and the provider's name.
    pub way: String,
    /// A stable word.
    pub why: &'static str,
    /// As whom. An address that is nobody's is not kept: it may be a password in the wrong field.
    pub email: Option<String>,
    /// The network address that it came from.
    pub address: String,
    /// Others that failed since the last one that was noted.
    pub unnoted: u32,
}

/// A session, without what lets anybody in.
#[derive(Debug, Clone, Serialize)]
pub struct SessionView {
    /// Names it.
    pub id: String,
    /// Whose.
    pub person: Uuid,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used, give or take five minutes.
    pub used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The network address that it began from.
    pub address: String,
    /// How the browser describes itself.
    pub client: String,
}

impl Store {
    /// Signs in with a password. `None`: wrong, in whatever way; each way takes as long as the others.
    pub async fn sign_in(
        &self,
        email: &str,
        password: Secret,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
        let row = person::Entity::find()
            .filter(person::Column::Email.eq(email.trim().to_lowercase()))
            .filter(person::Column::DisabledAt.is_null())
            .one(self.reader())
            .await?;
        let (id, known) = row.map_or((None, None), |row| (Some(row.id), row.password));
        let right = verify_password(password, known).await?;
        match id.filter(|_| right) {
            Some(id) => self.enter(id, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// The first factor was right: a session, or the question for the second one.
    async fn enter(&self, person: Uuid, now: Timestamp) -> Result<Entry, StoreError> {
        if self.person_row(person).await?.second_since.is_none() {
            return self.begin_session(person, now).await.map(Entry::Session);
        }
        self.keep("code", person, CODE_WITHIN, now).await.map(Entry::Code)
    }

    /// A secret for a link that signs its bearer in once, as this person.
    pub async fn sign_in_link(
        &self,
        person: UserId,
        valid_for: chrono::Duration,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        self.keep("link", person.uuid(), valid_for, now).await
    }

    /// Keeps something that is traded for a session later.
    async fn keep(
        &self,
        kind: &str,
        person: Uuid,
        valid_for: chrono::Duration,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        let secret = random_secret();
        let row = row(&secret, kind, person, now + valid_for, now);
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
            None => {
                let first = ("admin", "admin@localhost");
                self.add_person(first, Role::Admin, None, &Actor::system(), now).await?
            }
        };
        self.sign_in_link(admin.id.into(), valid_for, now).await
    }

    /// Trades the secret of a sign-in link for a session. `None`: unknown, used or too old.
    pub async fn use_sign_in_link(
        &self,
        secret: &str,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
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
            Some(person) => self.enter(person, now).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn begin_session(
        &self,
        person: Uuid,
        now: Timestamp,
    ) -> Result<Secret, StoreError> {
        let secret = random_secret();
        let actor = second::of(&self.person_row(person).await?);
        let opened = secret.clone();
        self.write(move |tx| {
            let (opened, actor) = (opened.clone(), actor.clone());
            Box::pin(async move {
                let signed_in = acted("person.signed_in", person, &actor);
                open_session(tx, (&opened, person), signed_in, now).await
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
            actor: second::of(&person),
            role: word(&person.role)?,
            key: format!("person:{}", person.id),
            cookie: true,
            session: Some(id_of(&row.hash)),
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

    /// Puts a sign-in that failed into the audit trail. The caller sees to it that they are not too many.
    pub async fn note_failed_sign_in(
        &self,
        failed: FailedSignIn,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let failed = failed.clone();
            Box::pin(async move {
                let email = failed.email.map(|email| email.trim().to_lowercase());
                let person = match email {
                    Some(email) => {
                        let row = person::Entity::find().filter(person::Column::Email.eq(email));
                        row.one(tx).await?.map(|row| row.id)
                    }
                    None => None,
                };
                let mut event = acted("person.sign_in_failed", Uuid::nil(), &Actor::system());
                event.data = serde_json::json!({
                    "id": person,
                    "way": failed.way,
                    "why": failed.why,
                    "address": failed.address,
                    "unnoted": failed.unnoted,
                });
                event::record(tx, vec![event], now).await
            })
        })
        .await
    }

    /// Notes where a session that has just begun comes from, for whoever looks through the list.
    pub async fn note_session_origin(
        &self,
        secret: &Secret,
        address: String,
        client: &str,
    ) -> Result<(), StoreError> {
        let hash = hash(secret.reveal());
        let client: String = client.chars().take(CLIENT_CHARS_MAX).collect();
        self.write(move |tx| {
            let change = session::ActiveModel {
                hash: Set(hash.clone()),
                address: Set(address.clone()),
                client: Set(client.clone()),
                ..Default::default()
            };
            Box::pin(async move {
                session::Entity::update(change).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Sessions that are not over, the one used last first: somebody's, or everybody's.
    pub async fn sessions(
        &self,
        person: Option<UserId>,
        now: Timestamp,
    ) -> Result<Vec<SessionView>, StoreError> {
        let mut rows = session::Entity::find()
            .filter(session::Column::Kind.eq("session"))
            .filter(session::Column::ExpiresAt.gt(millis(now)))
            .filter(session::Column::UsedAt.gt(millis(now - SESSION_IDLE)))
            .order_by_desc(session::Column::UsedAt);
        if let Some(person) = person {
            rows = rows.filter(session::Column::Person.eq(person.uuid()));
        }
        Ok(rows.all(self.reader()).await?.into_iter().map(view).collect())
    }

    /// Ends the session of this id; with `person`, only if it is theirs.
    pub async fn revoke_session(
        &self,
        id: &str,
        person: Option<UserId>,
        by: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let by = by.clone();
        let id = (id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then(|| id.to_owned())
            .ok_or(StoreError::NotFound("session"))?;
        self.write(move |tx| {
            let (id, by) = (id.clone(), by.clone());
            Box::pin(async move {
                let mut rows = session::Entity::find()
                    .filter(session::Column::Kind.eq("session"))
                    .filter(session::Column::Hash.starts_with(&id));
                if let Some(person) = person {
                    rows = rows.filter(session::Column::Person.eq(person.uuid()));
                }
                let row = rows.one(tx).await?.ok_or(StoreError::NotFound("session"))?;
                session::Entity::delete_by_id(row.hash).exec(tx).await?;
                let event = acted("person.session_revoked", row.person, &by);
                event::record(tx, vec![event], now).await
            })
        })
        .await
    }
}

/// Opens a session for somebody who has shown who they are; those that are over are cleared away.
pub(super) async fn open_session(
    tx: &DatabaseTransaction,
    (secret, person): (&Secret, Uuid),
    signed_in: NewEvent,
    now: Timestamp,
) -> Result<(), StoreError> {
    let over = session::Column::ExpiresAt.lt(millis(now));
    session::Entity::delete_many().filter(over).exec(tx).await?;
    let row = row(secret, "session", person, now + SESSION_MAX, now);
    session::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    event::record(tx, vec![signed_in], now).await
}

fn row(
    secret: &Secret,
    kind: &str,
    person: Uuid,
    expires_at: Timestamp,
    now: Timestamp,
) -> session::Model {
    session::Model {
        hash: hash(secret.reveal()),
        kind: kind.to_owned(),
        person,
        created_at: millis(now),
        used_at: millis(now),
        expires_at: millis(expires_at),
        address: String::new(),
        client: String::new(),
    }
}

fn id_of(hash: &str) -> String {
    hash.chars().take(ID_CHARS).collect()
}

fn view(row: session::Model) -> SessionView {
    SessionView {
        id: id_of(&row.hash),
        person: row.person,
        created_at: moment(row.created_at),
        used_at: moment(row.used_at),
        expires_at: moment(row.expires_at),
        address: row.address,
        client: row.client,
    }
}
