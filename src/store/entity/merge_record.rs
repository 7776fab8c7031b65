//! Table `merge_record`: what the merge of a ticket or contact moved, so that it can be undone.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "merge_record")]
pub struct Model {
    /// The ticket or contact that ended.
    #[sea_orm(primary_key, auto_increment = false)]
    pub gone: Uuid,
    pub merged_at: i64,
    /// JSON.
    #[sea_orm(column_type = "Text")]
    pub moved: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
