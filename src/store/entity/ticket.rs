//! Table `ticket`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "ticket")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub number: i64,
    #[sea_orm(column_type = "Text")]
    pub subject: String,
    #[sea_orm(column_type = "Text")]
    pub status: String,
    #[sea_orm(column_type = "Text")]
    pub priority: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub queue: Option<String>,
    pub assignee: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    pub contact: Uuid,
    #[sea_orm(column_type = "Text", nullable)]
    pub thread: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub language: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    pub first_response_at: Option<i64>,
    pub last_inbound_at: Option<i64>,
    pub last_outbound_at: Option<i64>,
    pub solved_at: Option<i64>,
    pub snoozed_until: Option<i64>,
    pub message_count: i64,
    pub event_count: i64,
    pub version: i64,
    pub merged_into: Option<Uuid>,
    pub linked_to: Option<Uuid>,
    pub deleted_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
