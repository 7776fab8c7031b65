//! Table `faq_answer`: known answers that went out by themselves, and what came of them.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "faq_answer")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub ticket: Uuid,
    pub contact: Uuid,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    #[sea_orm(column_type = "Text")]
    pub article: String,
    #[sea_orm(column_type = "Text")]
    pub language: String,
    pub message: Uuid,
    #[sea_orm(column_type = "Text")]
    pub outcome: String,
    pub until: i64,
    pub shown_at: i64,
    pub ended_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub follow_ups: Option<String>,
    /// In a message, and not on the page of a link.
    pub sent: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
