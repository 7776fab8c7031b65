//! Table `link_code`: codes that prove that whoever brings one is a contact that we know.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "link_code")]
pub struct Model {
    /// Of the code.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub hash: String,
    pub contact: Uuid,
    pub made_at: i64,
    pub expires_at: i64,
    pub used_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
