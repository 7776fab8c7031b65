//! Teams: who works on which queue. A team has no other name than its queue's.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
};
use uuid::Uuid;

use super::super::entity::{person, team_member};
use super::super::{Store, StoreError, event};
use super::acted;
use crate::model::{Actor, Timestamp, UserId};

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

    /// Puts somebody into these teams and takes them out of all others.
    pub async fn set_teams(
        &self,
        who: UserId,
        queues: BTreeSet<String>,
        by: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, by) = (who.uuid(), by.clone());
        self.write(move |tx| {
            let (queues, by) = (queues.clone(), by.clone());
            Box::pin(async move {
                if person::Entity::find_by_id(id).one(tx).await?.is_none() {
                    return Err(StoreError::NotFound("person"));
                }
                let theirs = team_member::Column::Person.eq(id);
                team_member::Entity::delete_many().filter(theirs).exec(tx).await?;
                let mut event = acted("person.teams_changed", id, &by);
                event.data = serde_json::json!({ "id": id, "queues": queues });
                let rows: Vec<_> = queues
                    .into_iter()
                    .map(|queue| team_member::Model { person: id, queue }.into_active_model())
                    .collect();
                if !rows.is_empty() {
                    team_member::Entity::insert_many(rows).exec_without_returning(tx).await?;
                }
                event::record(tx, vec![event], now).await
            })
        })
        .await
    }
}
