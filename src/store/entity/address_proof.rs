//! Table `address_proof`: codes that were sent to an address, and the conversation that can bring one back.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "address_proof")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub ticket: Uuid,
    pub contact: Uuid,
    /// The message that brought the code to the address.
    pub message: Uuid,
    #[sea_orm(column_type = "Text")]
    pub asker_channel: String,
    #[sea_orm(column_type = "Text")]
    pub asker_scheme: String,
    #[sea_orm(column_type = "Text")]
    pub asker_scope: String,
    #[sea_orm(column_type = "Text")]
    pub asker_value: String,
    #[sea_orm(column_type = "Text")]
    pub channel: String,
    #[sea_orm(column_type = "Text")]
    pub scheme: String,
    #[sea_orm(column_type = "Text")]
    pub value: String,
    #[sea_orm(column_type = "Text")]
    pub hash: String,
    /// The conversation got a half of the code, too.
    pub both_sides: bool,
    pub tries: i32,
    #[sea_orm(column_type = "Text")]
    pub state: String,
    pub made_at: i64,
    pub expires_at: i64,
    pub ended_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
