//! Table `channel_state`: what a human decided about a channel, and how it was last seen by the
//! node that ran it.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "channel_state")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub channel: String,
    pub paused: bool,
    #[sea_orm(column_type = "Text", nullable)]
    pub paused_by: Option<String>,
    pub paused_at: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub cause: Option<String>,
    pub since: i64,
    pub last_success_at: Option<i64>,
    pub last_error_at: Option<i64>,
    #[sea_orm(column_type = "Text", nullable)]
    pub last_error: Option<String>,
    pub backlog: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
