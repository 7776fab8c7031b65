//! Canned answers that people keep.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::canned;
use super::{Store, StoreError, millis, moment};
use crate::desk::macros::Macro;
use crate::model::Timestamp;

/// More are not kept.
const MACROS_MAX: u64 = 1000;

/// A canned answer that somebody keeps here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeptMacro {
    /// Its id.
    pub id: Uuid,
    /// What it says and does.
    #[serde(flatten)]
    pub what: Macro,
    /// Grows with each change.
    pub version: i64,
    /// When it was first kept.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

fn kept(row: &canned::Model) -> Result<KeptMacro, StoreError> {
    let what =
        serde_json::from_str(&row.what).map_err(|error| StoreError::Database(error.into()))?;
    Ok(KeptMacro {
        id: row.id,
        what,
        version: row.version,
        created_at: moment(row.created_at),
        updated_at: moment(row.updated_at),
    })
}

impl Store {
    /// All of them by name.
    pub async fn macros(&self) -> Result<Vec<KeptMacro>, StoreError> {
        let rows = canned::Entity::find().order_by_asc(canned::Column::Name);
        rows.all(self.reader()).await?.iter().map(kept).collect()
    }

    /// One of them.
    pub async fn kept_macro(&self, id: Uuid) -> Result<KeptMacro, StoreError> {
        let row = canned::Entity::find_by_id(id).one(self.reader()).await?;
        kept(&row.ok_or(StoreError::NotFound("macro"))?)
    }

    /// Keeps a new one. No two have the same name.
    pub async fn add_macro(&self, what: &Macro, now: Timestamp) -> Result<KeptMacro, StoreError> {
        let row = canned::Model {
            id: Uuid::now_v7(),
            name: what.name.clone(),
            what: serde_json::json!(what).to_string(),
            version: 1,
            created_at: millis(now),
            updated_at: millis(now),
        };
        self.write(move |tx| {
            let row = row.clone();
            Box::pin(async move {
                if canned::Entity::find().count(tx).await? >= MACROS_MAX {
                    return Err(StoreError::Refused(format!("{MACROS_MAX} macros at most")));
                }
                unused(tx, &row.name, row.id).await?;
                canned::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                kept(&row)
            })
        })
        .await
    }

    /// Changes one, if it still has the version that the caller knew.
    pub async fn change_macro(
        &self,
        id: Uuid,
        what: &Macro,
        version: Option<i64>,
        now: Timestamp,
    ) -> Result<KeptMacro, StoreError> {
        let what = what.clone();
        self.write(move |tx| {
            let what = what.clone();
            Box::pin(async move {
                let row = canned::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
                let row = row.ok_or(StoreError::NotFound("macro"))?;
                if let Some(given) = version.filter(|given| *given != row.version) {
                    return Err(StoreError::Stale { given, current: row.version });
                }
                unused(tx, &what.name, id).await?;
                let current = row.version;
                let mut row = row.into_active_model();
                row.name = Set(what.name.clone());
                row.what = Set(serde_json::json!(what).to_string());
                row.version = Set(current + 1);
                row.updated_at = Set(millis(now));
                kept(&canned::Entity::update(row).exec(tx).await?)
            })
        })
        .await
    }

    /// Forgets one.
    pub async fn forget_macro(&self, id: Uuid) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let gone = canned::Entity::delete_by_id(id).exec(tx).await?;
                if gone.rows_affected == 0 {
                    return Err(StoreError::NotFound("macro"));
                }
                Ok(())
            })
        })
        .await
    }
}

async fn unused(tx: &DatabaseTransaction, name: &str, but: Uuid) -> Result<(), StoreError> {
    let other = canned::Entity::find()
        .filter(canned::Column::Name.eq(name))
        .filter(canned::Column::Id.ne(but))
        .one(tx)
        .await?;
    match other {
        None => Ok(()),
        Some(_) => Err(StoreError::Refused(format!("there is a macro «{name}» already"))),
    }
}
