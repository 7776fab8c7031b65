//! Table `original`: what was written before it was masked, sealed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "original")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub message: Option<Uuid>,
    pub attachment: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub found: String,
    pub kept_at: i64,
    pub untold: bool,
    pub seal: Uuid,
    pub sealed: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
