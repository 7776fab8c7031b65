//! Table `delivery`: the outbox: one row is one call to a remote service.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub seq: i64,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    pub ticket: Uuid,
    pub message: Uuid,
    pub part: i32,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub attempt: i32,
    pub not_before: Option<i64>,
    pub since: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub error: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub realm: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub remote_id: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub to_scheme: String,
    #[sea_orm(column_type = "Text")]
    pub to_value: String,
    #[sea_orm(column_type = "Text")]
    pub outbound: String,
    pub automated: bool,
    pub unless_answered: bool,
    pub queued_at: i64,
    pub event: Option<i64>,
    pub tried_since: Option<i64>,
    pub updated_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
