//! Table `person`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "person")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    #[sea_orm(column_type = "Text")]
    pub email: String,
    #[sea_orm(column_type = "Text")]
    pub role: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub password: Option<String>,
    pub created_at: i64,
    pub disabled_at: Option<i64>,
    pub given_at: Option<i64>,
    pub second_secret: Option<Uuid>,
    pub second_since: Option<i64>,
    pub second_step: i64,
    pub second_failures: i32,
    pub second_failed_at: i64,
    #[sea_orm(column_type = "Text")]
    pub signatures: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
