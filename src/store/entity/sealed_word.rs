//! Table `sealed_word`: what a delivery says in the place of dots, until it went out.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sealed_word")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery: Uuid,
    pub proof: Uuid,
    pub seal: Uuid,
    pub sealed: Vec<u8>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
