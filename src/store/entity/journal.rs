//! Table `journal`: everything that came in, as it came. state: pending, applied, ignored, failed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "journal")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    #[sea_orm(column_type = "Text")]
    pub dedupe: String,
    pub node: Uuid,
    pub received_at: i64,
    pub appended_at: i64,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    pub attempts: i32,
    pub retry_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub ticket: Option<Uuid>,
    pub message: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub transport: String,
    pub size: i64,
    pub seal: Uuid,
    pub sealed: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
