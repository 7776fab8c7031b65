//! Table `close_warning`: whose customer was told that a ticket is about to end.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "close_warning")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub ticket: Uuid,
    pub message: Uuid,
    pub warned_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
