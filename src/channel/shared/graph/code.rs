//! The codes of the Graph API that hold for all of its products.

use crate::channel::shared::codes::{Follows, Known};

/// The codes of the Graph API itself: tokens, rights, and too many calls.
#[must_use]
pub fn common(code: u64) -> Option<Known> {
    match code {
        0 => Some((Follows::Human, "the token is not valid")),
        3 => Some((Follows::Human, "the token lacks a capability")),
        102 => Some((Follows::Human, "the session of the token has ended")),
        190 => Some((Follows::Human, "the token has expired or was revoked: make a new one")),
        368 => Some((Follows::Human, "the account is blocked for a violation of policy")),
        10 | 200..300 => Some((Follows::Human, "the token lacks a permission, or lost it")),
        // For apps, users and each of its products.
        4 | 17 | 32 | 613 | 80_000..=80_014 => Some((Follows::Later, "too many calls")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_need_a_human_and_what_is_new_is_nobodys() {
        assert_eq!(common(230).map(|(follows, _)| follows), Some(Follows::Human));
        assert_eq!(common(999_999), None);
    }
}
