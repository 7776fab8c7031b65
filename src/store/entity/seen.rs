//! Table `seen`: which message of the remote side is which of ours. Stays when the message is
//! deleted, so that it does not come back at the next poll.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "seen")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub realm: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub remote_id: String,
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub digest: String,
    pub message: Option<Uuid>,
    pub ticket: Option<Uuid>,
    pub added_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
