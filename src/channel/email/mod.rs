//! Mail: IMAP, LMTP or a pipe in, SMTP out.

use super::{BadChannel, Channel, Kind, Site, Table};
use crate::model::{ChannelName, Policy};

/// `kind = "email"`.
pub const KIND: Kind = Kind { name: "email", build };

#[expect(clippy::needless_pass_by_value, reason = "the contract hands the name over")]
fn build(name: ChannelName, _: Table, _: Policy, _: &Site) -> Result<Channel, BadChannel> {
    Err(BadChannel::at(&name, "kind", "mail is not there yet"))
}
