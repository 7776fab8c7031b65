//! Table `handed_on`: mails of customers that people who work here handed on.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "handed_on")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message: Uuid,
    pub person: Uuid,
    #[sea_orm(column_type = "Text")]
    pub said: String,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
