//! Table `survey`: what customers were asked about a ticket, and how they judged.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "survey")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub ticket: Uuid,
    pub contact: Uuid,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub language: Option<String>,
    pub message: Uuid,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub asked_at: i64,
    pub score: Option<i32>,
    #[sea_orm(column_type = "Text", nullable)]
    pub comment: Option<String>,
    pub answered_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub topics: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
