//! Teams: who works on which queue. A team has no other name than its queue's.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _,
};
use uuid::Uuid;

use super::super::entity::team_member;
use super::super::{Store, StoreError, event};
use super::acted;
use crate::model::{Actor, Timestamp};

impl Store {
    /// The queues of everybody who works on some.
    pub async fn teams(&self) -> Result<BTreeMap<Uuid, Vec<String>>, StoreError> {
        let rows = team_member::Entity::find().order_by_asc(team_member::Column::Queue);
        let mut teams: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
        for row in rows.all(self.reader()).await? {
            teams.entry(row.person).or_default().push(row.queue);
        }
        Ok(teams)
    }
}

/// Puts somebody who is there into these teams and takes them out of all others.
pub(super) async fn set(
    tx: &DatabaseTransaction,
    person: Uuid,
    queues: BTreeSet<String>,
    by: &Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let theirs = team_member::Column::Person.eq(person);
    team_member::Entity::delete_many().filter(theirs).exec(tx).await?;
    let mut event = acted("person.teams_changed", person, by);
    event.data = serde_json::json!({ "id": person, "queues": queues });
    let rows: Vec<_> = queues
        .into_iter()
        .map(|queue| team_member::Model { person, queue }.into_active_model())
        .collect();
    if !rows.is_empty() {
        team_member::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    event::record(tx, vec![event], now).await
}
