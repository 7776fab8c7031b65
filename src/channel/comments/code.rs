//! What errors mean where comments are answered.

use crate::channel::shared::codes::{Follows, Known};
use crate::channel::shared::graph::code::common;

const GONE: &str = "the comment is gone, or hidden from us";

/// What is known of a code.
pub(super) fn known(code: u64, subcode: u64) -> Option<Known> {
    let known = match (code, subcode) {
        (1 | 2 | 1200, _) => (Follows::Later, "the service has trouble of its own"),
        (10, 1_893_063) => (Follows::Human, "the page may not send: look at its status at Meta"),
        (10, 2_018_065 | 2_018_108 | 2_018_278 | 2_534_022) | (10_903, _) => {
            (Follows::Never, "it is too long ago: the service lets no private answer through")
        }
        (10_900, _) => (
            Follows::Never,
            "this comment was already answered in private: the service allows it once",
        ),
        (100, 33) | (803, _) => (Follows::Never, GONE),
        (100, 2_018_001) | (200, 1_545_041) | (551, _) => {
            (Follows::Never, "this person cannot be reached in private: answer in public")
        }
        (100, _) => (Follows::Never, "the service did not take it"),
        _ => return common(code),
    };
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_one_comment_stops_no_other() {
        let follows = |code, subcode| known(code, subcode).map(|(follows, _)| follows);
        for (code, subcode) in [(100, 33), (10_900, 0), (551, 0), (10, 2_018_278), (100, 1)] {
            assert_eq!(follows(code, subcode), Some(Follows::Never), "{code}/{subcode}");
        }
        for (code, subcode) in [(190, 460), (10, 0), (10, 1_893_063), (200, 0), (368, 0)] {
            assert_eq!(follows(code, subcode), Some(Follows::Human), "{code}/{subcode}");
        }
        assert_eq!((follows(2, 0), follows(32, 0)), (Some(Follows::Later), Some(Follows::Later)));
        assert_eq!(follows(999_999, 0), None);
    }
}
