//! What the errors of Messenger and Instagram mean, by code and subcode (Messenger Platform, «Error codes»).

use crate::channel::shared::codes::{Follows, Known};
use crate::channel::shared::graph::code::common;

/// A code, its subcode (`None`: whatever it is), what follows, and what a person should know or do.
type Row = (u64, Option<u64>, Follows, &'static str);

const WINDOW: &str =
    "the customer has not written within the last 24 hours, and the service lets nothing through";
const GONE: &str =
    "this person cannot be reached: they blocked us, switched messages off, or are gone";
const FILE: &str = "the file was not taken: try another format, or a smaller one";
const ELSEWHERE: &str =
    "another app has this conversation: take it over there before you answer here";

/// The first that fits counts.
const ROWS: &[Row] = &[
    (1, None, Follows::Later, "the service has trouble of its own"),
    (2, Some(2_018_344), Follows::Never, GONE),
    (2, None, Follows::Later, "the service is not available for the moment"),
    (10, Some(1_893_063), Follows::Human, "the page may not send: look at its status at Meta"),
    (10, Some(2_018_065), Follows::Never, WINDOW),
    (10, Some(2_018_108), Follows::Never, WINDOW),
    (10, Some(2_018_278), Follows::Never, WINDOW),
    (10, Some(2_534_022), Follows::Never, WINDOW),
    (10, Some(2_018_300), Follows::Never, ELSEWHERE),
    (
        100,
        Some(33),
        Follows::Human,
        "the page or account does not exist, or the token may not see it",
    ),
    (
        100,
        Some(2_018_001),
        Follows::Never,
        "there is nobody with this id: it belongs to another page, or is gone",
    ),
    (100, Some(2_018_007), Follows::Never, FILE),
    (100, Some(2_018_008), Follows::Never, FILE),
    (100, Some(2_018_047), Follows::Never, FILE),
    (100, Some(2_018_109), Follows::Never, FILE),
    (100, None, Follows::Never, "the service did not understand the message"),
    (200, Some(1_545_041), Follows::Gone, GONE),
    (551, None, Follows::Gone, GONE),
    (1200, None, Follows::Later, "the service has trouble of its own"),
    (
        10_900,
        None,
        Follows::Never,
        "this comment was already answered in private: the service allows it once",
    ),
];

/// What is known of a code.
pub(super) fn known(code: u64, subcode: u64) -> Option<Known> {
    let fits = |row: &&Row| row.0 == code && row.1.is_none_or(|known| known == subcode);
    match ROWS.iter().find(fits) {
        Some((_, _, follows, words)) => Some((*follows, words)),
        None => common(code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subcode_counts_before_its_code() {
        let follows = |code, subcode| known(code, subcode).map(|(follows, _)| follows);
        assert_eq!(follows(10, 2_018_278), Some(Follows::Never));
        assert_eq!(follows(10, 1_893_063), Some(Follows::Human));
        assert_eq!(follows(10, 0), Some(Follows::Human));
        assert_eq!(follows(2, 2_018_344), Some(Follows::Never));
        assert_eq!(follows(2, 0), Some(Follows::Later));
        assert_eq!(follows(200, 1_545_041), Some(Follows::Gone));
        assert_eq!(follows(200, 7), Some(Follows::Human));
        assert_eq!(follows(551, 1_545_041), Some(Follows::Gone));
        assert_eq!(follows(190, 463), Some(Follows::Human));
        assert_eq!(follows(613, 0), Some(Follows::Later));
        assert_eq!(follows(999_999, 0), None);
    }
}
