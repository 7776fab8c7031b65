//! Table `callback`: customers who want to be called.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "callback")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub ticket: Uuid,
    #[sea_orm(column_type = "Text")]
    pub phone: String,
    #[sea_orm(column_type = "Text")]
    pub status: String,
    #[sea_orm(column_type = "Text")]
    pub wanted: String,
    #[sea_orm(column_type = "Text")]
    pub note: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub time_zone: Option<String>,
    pub due_at: i64,
    pub due_told: bool,
    pub attempts: i32,
    pub agent: Option<Uuid>,
    #[sea_orm(column_type = "Text", nullable)]
    pub agent_name: Option<String>,
    pub called_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub outcome: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub asked_by: String,
    pub message: Option<Uuid>,
    pub confirm_id: Uuid,
    pub confirm_at: Option<i64>,
    pub remind_id: Uuid,
    pub remind_at: Option<i64>,
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    /// The delivery that made the last call, if we made it.
    pub delivery: Option<Uuid>,
    /// What is known of the end of that call: an outcome, or that the customer was not called.
    #[sea_orm(column_type = "Text", nullable)]
    pub heard: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
