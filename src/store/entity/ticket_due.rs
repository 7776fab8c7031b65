//! Table `ticket_due`: when an answer is due.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ticket_due")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub ticket: Uuid,
    pub version: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub awaited: Option<String>,
    pub since: Option<i64>,
    pub warn_at: Option<i64>,
    pub due_at: Option<i64>,
    pub told: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
