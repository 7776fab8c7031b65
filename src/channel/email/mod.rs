//! Mail: IMAP, LMTP or a pipe in, SMTP out.

pub mod compose;
pub mod dkim;
pub mod lmtp;
pub mod read;
pub mod thread;
pub mod verify;

use super::{BadChannel, Channel, Kind, Site, Table};
use crate::model::{ChannelName, Policy};

pub mod imap;
pub mod oauth;
pub mod settings;

/// `kind = "email"`.
pub const KIND: Kind = Kind { name: "email", build };

#[expect(clippy::needless_pass_by_value, reason = "the contract hands the name over")]
fn build(name: ChannelName, table: Table, _: Policy, _: &Site) -> Result<Channel, BadChannel> {
    settings::read(&name, table)?;
    Err(BadChannel::at(&name, "kind", "mail is not there yet"))
}
