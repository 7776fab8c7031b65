//! Table `message`: seq is the commit order of all messages of the store.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub seq: i64,
    pub ticket: Uuid,
    pub contact: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub direction: String,
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    #[sea_orm(column_type = "Text")]
    pub realm: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub remote_id: Option<String>,
    pub reply_to: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub author_kind: String,
    pub author_id: Option<Uuid>,
    #[sea_orm(column_type = "Text")]
    pub author_name: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub author_scheme: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub author_scope: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub author_value: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub subject: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub text_full: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub html: Option<String>,
    pub sent_at: i64,
    pub received_at: Option<i64>,
    pub edited_at: Option<i64>,
    pub deleted_at: Option<i64>,
    #[sea_orm(column_type = "Text")]
    pub flags: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub auth: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub routing: String,
    #[sea_orm(column_type = "Text")]
    pub why: String,
    pub raw: Option<Uuid>,
    #[sea_orm(column_type = "Text", nullable)]
    pub language: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
