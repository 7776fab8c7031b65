//! Table `event`: the audit trail and the feed of everything that happens; seq is the commit
//! order.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    pub id: Uuid,
    pub at: i64,
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    pub ticket: Option<Uuid>,
    pub ticket_seq: Option<i64>,
    pub message: Option<Uuid>,
    #[sea_orm(column_type = "Text", nullable)]
    pub channel: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub actor_kind: String,
    pub actor_id: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub actor_name: String,
    #[sea_orm(column_type = "Text")]
    pub data: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
