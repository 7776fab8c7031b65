//! Files that nobody gets until a virus scanner has seen them.

use std::sync::atomic::Ordering;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QuerySelect as _,
};
use serde_json::json;

use super::entity::attachment;
use super::media::{due, take_due, tell};
use super::{Store, StoreError, blob, millis};
use crate::model::{AttachmentId, Timestamp};

/// A file to be scanned.
#[derive(Debug, Clone, Copy)]
pub struct DueScan {
    /// Which attachment.
    pub id: AttachmentId,
    /// Attempts begun, this one included.
    pub attempt: u32,
}

/// How a scan ended.
#[derive(Debug, Clone)]
pub enum ScanEnd {
    /// Nothing was found.
    Clean,
    /// The scanner could not look, and the settings give the file out all the same.
    Allowed,
    /// What was found.
    Infected(String),
    /// The scanner takes no files of this size.
    TooLarge,
    /// The scanner did not answer.
    NotYet {
        /// When it is asked again.
        retry_at: Timestamp,
    },
}

impl Store {
    /// From now on, what comes in is given out only after a scan.
    pub fn scan_first(&self) {
        self.0.scans.store(true, Ordering::Relaxed);
    }

    /// The state of a file that has just come in.
    pub(super) fn arrived(&self) -> &'static str {
        if self.0.scans.load(Ordering::Relaxed) { "unscanned" } else { "stored" }
    }

    /// Is there a file to be scanned now?
    pub async fn has_due_scans(&self, now: Timestamp) -> Result<bool, StoreError> {
        Ok(due("unscanned", now).limit(1).one(self.reader()).await?.is_some())
    }

    /// Takes files that are to be scanned; nobody else takes them until `until`.
    pub async fn take_due_scans(
        &self,
        limit: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<DueScan>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let rows = take_due(tx, "unscanned", limit, (now, until)).await?;
                let taken = rows.into_iter().map(|row| DueScan {
                    id: row.id.into(),
                    attempt: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                });
                Ok(taken.collect())
            })
        })
        .await
    }

    /// The bytes of a file that waits for its scan. `None`: it was erased, or does not wait.
    pub async fn unscanned(&self, id: AttachmentId) -> Result<Option<Vec<u8>>, StoreError> {
        let row = attachment::Entity::find_by_id(id.uuid()).one(self.reader()).await?;
        let Some(row) = row.filter(|row| row.state == "unscanned") else { return Ok(None) };
        blob::load(self.reader(), self.keys(), row.id, row.seal, row.sealed.as_deref()).await
    }

    /// Notes how a scan ended; people are told.
    pub async fn end_scan(
        &self,
        id: AttachmentId,
        end: ScanEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let end = end.clone();
            Box::pin(async move {
                let row =
                    attachment::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let Some(row) = row.filter(|row| row.state == "unscanned") else { return Ok(()) };
                let mut changed = row.clone().into_active_model();
                changed.retry_at = Set(None);
                let (state, error) = match end {
                    ScanEnd::Clean => ("stored", None),
                    ScanEnd::Allowed => ("stored", Some("not scanned".to_owned())),
                    ScanEnd::Infected(name) => ("infected", Some(name)),
                    ScanEnd::TooLarge => {
                        ("failed", Some("too large for the virus scanner".to_owned()))
                    }
                    ScanEnd::NotYet { retry_at } => {
                        changed.retry_at = Set(Some(millis(retry_at)));
                        attachment::Entity::update(changed).exec(tx).await?;
                        return Ok(());
                    }
                };
                changed.state = Set(state.to_owned());
                attachment::Entity::update(changed).exec(tx).await?;
                let data = json!({ "attachment": row.id, "state": state, "error": error });
                tell(tx, &row, data, now).await
            })
        })
        .await
    }

    /// Gives out what waits for a scanner that there is no more. Returns how many files that were.
    pub async fn release_unscanned(&self, now: Timestamp) -> Result<usize, StoreError> {
        if !self.has_due_scans(Timestamp::MAX_UTC).await? {
            return Ok(0);
        }
        let waiting: Vec<uuid::Uuid> = attachment::Entity::find()
            .select_only()
            .column(attachment::Column::Id)
            .filter(attachment::Column::State.eq("unscanned"))
            .limit(100)
            .into_tuple()
            .all(self.reader())
            .await?;
        for id in &waiting {
            self.end_scan((*id).into(), ScanEnd::Allowed, now).await?;
        }
        Ok(waiting.len())
    }
}
