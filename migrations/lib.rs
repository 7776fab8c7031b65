//! The schema of tributary's store, one file for each step, the same on SQLite and PostgreSQL.
//!
//! A released file never changes. A step never uses today's entities: this crate cannot see them.

#![expect(
    elided_lifetimes_in_paths,
    reason = "the trait of the framework is written so, and async_trait needs both alike"
)]

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

mod m20261124_000001_first;
mod m20261126_000002_tries_and_raws;
mod m20261126_000010_visitor;
mod m20261126_000020_webhooks;
mod m20261126_000033_watermarks;
mod m20261126_000041_unscanned;
mod m20261126_000050_language;
mod m20261126_000051_rules;
mod m20261126_000052_safety;
mod m20261126_000053_due;
mod m20261126_000060_callbacks;
mod m20261126_000070_second_factor;
mod m20261126_000080_originals;
mod m20261126_000090_faq_answers;
mod m20261126_000090_link_codes;
mod m20261126_000091_merges;
mod m20261126_000091_surveys;
mod m20261126_000092_macros;
mod m20261126_000110_desk;
mod m20261126_000120_composer;
mod m20261126_000130_bridged_calls;
mod m20261126_000131_forget;
mod m20261126_000140_contact_tags;
mod m20261126_000140_sign_on;
mod m20261126_000141_untold;
mod m20261126_000142_due;
mod m20261126_000150_notifications;
mod m20261126_000160_teams;
mod m20261126_000170_follow_ups;
mod m20261126_000171_topics;
mod m20261127_000170_proofs;
mod m20261127_000171_handed_on;
mod m20261127_000172_customer_message;
mod m20261127_000180_shown_by_link;

/// All steps, oldest first.
pub struct Migrator;

#[sea_orm_migration::async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261124_000001_first::Migration),
            Box::new(m20261126_000002_tries_and_raws::Migration),
            Box::new(m20261126_000010_visitor::Migration),
            Box::new(m20261126_000020_webhooks::Migration),
            Box::new(m20261126_000033_watermarks::Migration),
            Box::new(m20261126_000041_unscanned::Migration),
            Box::new(m20261126_000050_language::Migration),
            Box::new(m20261126_000051_rules::Migration),
            Box::new(m20261126_000052_safety::Migration),
            Box::new(m20261126_000053_due::Migration),
            Box::new(m20261126_000060_callbacks::Migration),
            Box::new(m20261126_000070_second_factor::Migration),
            Box::new(m20261126_000080_originals::Migration),
            Box::new(m20261126_000090_faq_answers::Migration),
            Box::new(m20261126_000090_link_codes::Migration),
            Box::new(m20261126_000091_merges::Migration),
            Box::new(m20261126_000091_surveys::Migration),
            Box::new(m20261126_000092_macros::Migration),
            Box::new(m20261126_000110_desk::Migration),
            Box::new(m20261126_000120_composer::Migration),
            Box::new(m20261126_000130_bridged_calls::Migration),
            Box::new(m20261126_000131_forget::Migration),
            Box::new(m20261126_000140_contact_tags::Migration),
            Box::new(m20261126_000140_sign_on::Migration),
            Box::new(m20261126_000141_untold::Migration),
            Box::new(m20261126_000142_due::Migration),
            Box::new(m20261126_000150_notifications::Migration),
            Box::new(m20261126_000160_teams::Migration),
            Box::new(m20261126_000170_follow_ups::Migration),
            Box::new(m20261126_000171_topics::Migration),
            Box::new(m20261127_000170_proofs::Migration),
            Box::new(m20261127_000171_handed_on::Migration),
            Box::new(m20261127_000172_customer_message::Migration),
            Box::new(m20261127_000180_shown_by_link::Migration),
        ]
    }
}
