//! Table `visitor`: who talks to us by web chat, and what each side has read.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "visitor")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub channel: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub visitor: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub email: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub language: Option<String>,
    pub created_at: i64,
    pub seen_at: i64,
    pub tokens_after: Option<i64>,
    pub typing_until: i64,
    pub agent_typing_until: i64,
    #[sea_orm(column_type = "Text", nullable)]
    pub agent_name: Option<String>,
    pub read: i64,
    pub agent_read: i64,
    pub continued: i64,
    pub seq: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
