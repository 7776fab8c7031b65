//! Signing in by an identity provider: which of its accounts is whom, and what they may do from then on.
//!
//! What the provider says was checked before (`web/sso`). An account is known by its issuer and subject, which
//! the provider never gives to somebody else; the mail address is looked at only to find somebody once.

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
};

use super::super::entity::{person, sign_on};
use super::super::{Store, StoreError, event, millis};
use super::secret::random_secret;
use super::{acted, entry, new_person, second, set_role};
use crate::model::{Actor, Role, Secret, Timestamp};

/// Somebody's account at a provider.
#[derive(Debug, Clone)]
pub struct Account {
    /// What the admin calls the provider, for the audit trail.
    pub provider: String,
    /// Who vouches for it.
    pub issuer: String,
    /// Which of the issuer's.
    pub subject: String,
    /// A mail address that the provider has made sure of.
    pub email: Option<String>,
    /// As they are to be called, if they are new here.
    pub name: String,
}

/// What an account may lead to.
#[derive(Debug, Clone, Copy)]
pub struct Admission {
    /// Is somebody made whom nobody knows here?
    pub create: bool,
    /// The role of whoever is made.
    pub role: Role,
    /// Does everybody get that role, each time they sign in?
    pub role_always: bool,
}

/// Why somebody whose account is right is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Nobody here has this address, and nobody is made.
    Unknown,
    /// The provider does not say that the address is theirs, so it proves nothing.
    Unverified,
    /// Their address belongs to somebody who signs in by another account of this provider.
    Taken,
    /// They work here no more.
    Disabled,
}

impl Store {
    /// Begins a session for whoever has this account: who was linked to it, or whose address it has, or
    /// somebody new. The provider asked for the second factor, or did not: none of ours is asked for.
    pub async fn sign_on(
        &self,
        account: &Account,
        admission: Admission,
        now: Timestamp,
    ) -> Result<Result<Secret, NotAdmitted>, StoreError> {
        let (account, secret) = (account.clone(), random_secret());
        self.write(move |tx| {
            let (account, secret) = (account.clone(), secret.clone());
            Box::pin(async move {
                let row = match whose(tx, &account, admission, now).await? {
                    Ok(row) => row,
                    Err(why) => return Ok(Err(why)),
                };
                let row = if admission.role_always && row.role != admission.role.as_str() {
                    match set_role(tx, row.id, admission.role, &by(&account), now).await {
                        Ok(row) => row,
                        // The last admin stays one, whatever the groups say: somebody has to let others in.
                        Err(StoreError::Refused(_)) => row,
                        Err(error) => return Err(error),
                    }
                } else {
                    row
                };
                let mut signed_in = acted("person.signed_in", row.id, &second::of(&row));
                signed_in.data = serde_json::json!({ "id": row.id, "sso": account.provider });
                entry::open_session(tx, (&secret, row.id), signed_in, now).await?;
                Ok(Ok(secret))
            })
        })
        .await
    }

    /// Forgets by which accounts somebody signs in: the next one with their address is linked anew.
    pub async fn forget_sign_on(
        &self,
        who: crate::model::UserId,
        by: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, by) = (who.uuid(), by.clone());
        self.write(move |tx| {
            let by = by.clone();
            Box::pin(async move {
                let theirs = sign_on::Column::Person.eq(id);
                let gone = sign_on::Entity::delete_many().filter(theirs).exec(tx).await?;
                if gone.rows_affected == 0 {
                    return Err(StoreError::NotFound("account of a sign-on service"));
                }
                event::record(tx, vec![acted("person.account_unlinked", id, &by)], now).await
            })
        })
        .await
    }
}

/// The provider, as the audit trail names it.
fn by(account: &Account) -> Actor {
    Actor { name: format!("sso.{}", account.provider), ..Actor::system() }
}

/// Whose account it is; links it when it is seen for the first time.
async fn whose(
    tx: &DatabaseTransaction,
    account: &Account,
    admission: Admission,
    now: Timestamp,
) -> Result<Result<person::Model, NotAdmitted>, StoreError> {
    let key = (account.issuer.clone(), account.subject.clone());
    if let Some(link) = sign_on::Entity::find_by_id(key).one(tx).await? {
        let row = person::Entity::find_by_id(link.person).one(tx).await?;
        let row = row.ok_or(StoreError::NotFound("person"))?;
        return Ok(if row.disabled_at.is_none() { Ok(row) } else { Err(NotAdmitted::Disabled) });
    }
    let Some(email) = account.email.as_deref().map(|email| email.trim().to_lowercase()) else {
        return Ok(Err(NotAdmitted::Unverified));
    };
    let known = person::Entity::find().filter(person::Column::Email.eq(&email)).one(tx).await?;
    let row = match known {
        Some(row) if row.disabled_at.is_some() => return Ok(Err(NotAdmitted::Disabled)),
        Some(row) => {
            let theirs = sign_on::Entity::find()
                .filter(sign_on::Column::Person.eq(row.id))
                .filter(sign_on::Column::Issuer.eq(&account.issuer));
            if theirs.one(tx).await?.is_some() {
                return Ok(Err(NotAdmitted::Taken));
            }
            row
        }
        None if !admission.create => return Ok(Err(NotAdmitted::Unknown)),
        None => {
            let row = new_person((&account.name, &email), admission.role, None, now)?;
            person::Entity::insert(row.clone().into_active_model())
                .exec_without_returning(tx)
                .await?;
            event::record(tx, vec![acted("person.added", row.id, &by(account))], now).await?;
            row
        }
    };
    let link = sign_on::Model {
        issuer: account.issuer.clone(),
        subject: account.subject.clone(),
        person: row.id,
        linked_at: millis(now),
    };
    sign_on::Entity::insert(link.into_active_model()).exec_without_returning(tx).await?;
    let mut event = acted("person.account_linked", row.id, &by(account));
    event.data = serde_json::json!({ "id": row.id, "sso": account.provider });
    event::record(tx, vec![event], now).await?;
    Ok(Ok(row))
}
