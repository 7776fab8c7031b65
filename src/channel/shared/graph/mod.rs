//! Meta's Graph API, as far as its products have it in common. Knows no product.
//!
//! `hook` takes in what is pushed, `cut` cuts it into pieces, `heard` gathers what is found in them, `notice` tells
//! people of the account; `account` makes calls in the name of a number, a page or an account, `code` says
//! what follows from an error, `look` looks into JSON that grows.

pub mod account;
pub mod code;
mod cut;
pub mod heard;
pub mod hook;
pub mod look;
pub mod media;
pub mod notice;
pub mod settings;

pub use cut::is_about;
pub use heard::Heard;

use crate::model::Event;

/// What a part of a request says.
pub type Read = Result<Vec<Event>, Nothing>;

/// Why something makes no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// It is nothing for us.
    Ignored(&'static str),
    /// We should have understood it.
    Unreadable(&'static str),
}
