//! What the service's error codes mean, and what follows: for calls that it refused, and for messages that it
//! took and could not deliver. The codes are those of the Cloud API's list of errors. They are not
//! those of Messenger: one code may mean something else there.

use crate::channel::shared::codes::{Codes, Follows, Known};
use crate::channel::shared::graph::code::common;

/// The table, for calls.
pub(super) const CODES: Codes = Codes { service: "WhatsApp", known };

/// A code, what follows, and what a person should know or do.
type Row = (u64, Follows, &'static str);

const ROWS: &[Row] = &[
    (0, Follows::Human, "the token is not valid"),
    (1, Follows::Later, "WhatsApp has trouble of its own"),
    (2, Follows::Later, "WhatsApp is not available for the moment"),
    (3, Follows::Human, "the token lacks a capability"),
    (4, Follows::Later, "too many calls by this app"),
    (10, Follows::Human, "the token lacks a permission, or lost it"),
    (100, Follows::Never, "WhatsApp did not understand the message"),
    (102, Follows::Human, "the session of the token has ended"),
    (190, Follows::Human, "the token has expired or was revoked: make a new one"),
    (368, Follows::Human, "the account is blocked for a violation of policy"),
    (80_007, Follows::Later, "too many calls for this account"),
    (130_429, Follows::Later, "too many messages in a second"),
    (
        130_472,
        Follows::Never,
        "WhatsApp keeps messages from this person for an experiment of its own",
    ),
    (130_497, Follows::Human, "the account may not write to people in this country"),
    (131_000, Follows::Later, "WhatsApp has trouble of its own"),
    (131_005, Follows::Human, "the token lacks a permission, or lost it"),
    (131_008, Follows::Never, "something is missing in the message"),
    (131_009, Follows::Never, "something in the message is not valid"),
    (131_016, Follows::Later, "WhatsApp is not available for the moment"),
    (131_021, Follows::Never, "sender and recipient are the same number"),
    (
        131_026,
        Follows::Never,
        "it cannot be delivered: no WhatsApp at this number, an old version of it, or its owner does not take \
         it; another channel may reach them",
    ),
    (
        131_030,
        Follows::Never,
        "the number is not on the list of those that a test number may write to: add it in the app's dashboard",
    ),
    (131_031, Follows::Human, "the account is locked: look at the business manager"),
    (131_037, Follows::Human, "the number's display name is not approved yet"),
    (
        131_042,
        Follows::Human,
        "the account has trouble with its payment: look at the billing settings",
    ),
    (
        131_044,
        Follows::Human,
        "the account has trouble with its payment: look at the billing settings",
    ),
    (131_045, Follows::Human, "the number is not registered properly: its certificate is at fault"),
    (
        131_047,
        Follows::Never,
        "the customer has not written within the last 24 hours: only an approved template goes through",
    ),
    (
        131_048,
        Follows::Human,
        "too many people called messages of this number spam: WhatsApp slows it down",
    ),
    (
        131_049,
        Follows::Never,
        "WhatsApp held it back, since this person gets a lot of marketing: do not send it again soon",
    ),
    (131_050, Follows::Never, "this person wants no marketing messages from you any more"),
    (131_051, Follows::Never, "WhatsApp does not know this type of message"),
    (
        131_052,
        Follows::Never,
        "WhatsApp could not fetch the customer's file: ask them to send it again",
    ),
    (131_053, Follows::Never, "WhatsApp did not take the file: try another format"),
    (131_056, Follows::Later, "too many messages to this person in a short time"),
    (131_057, Follows::Later, "the account is under maintenance"),
    (131_062, Follows::Never, "this cannot be sent to somebody who hides their number"),
    (131_063, Follows::Never, "marketing templates are switched off for this account"),
    (
        131_064,
        Follows::Human,
        "the account has reached its limit of people whom it may write to first",
    ),
    (132_000, Follows::Never, "the template has another number of blanks than were filled"),
    (132_001, Follows::Never, "there is no approved template of this name in this language"),
    (132_005, Follows::Never, "the template becomes too long with what was filled in"),
    (132_007, Follows::Never, "the template's words are against the rules"),
    (132_008, Follows::Never, "what was filled into the template is not of the form that it wants"),
    (132_012, Follows::Never, "what was filled into the template is not of the form that it wants"),
    (132_015, Follows::Never, "the template is paused, since people did not like it"),
    (
        132_016,
        Follows::Never,
        "the template was switched off for good, since people did not like it",
    ),
    (132_068, Follows::Never, "the flow within the template is blocked"),
    (132_069, Follows::Never, "the flow within the template is sent too often"),
    (133_010, Follows::Human, "the number is not registered with the Cloud API"),
    (133_016, Follows::Later, "the number was registered too often in a short time"),
    (135_000, Follows::Later, "WhatsApp has trouble of its own"),
    (
        137_000,
        Follows::Never,
        "the customer's security code has changed: make sure whom you write to before you send it again",
    ),
];

fn known(code: u64, subcode: u64) -> Option<Known> {
    if (code, subcode) == (100, 33) {
        // «Does not exist, or may not be seen»: it is our own number that was called.
        return Some((Follows::Human, "the number does not exist, or the token may not see it"));
    }
    match ROWS.iter().find(|(known, ..)| *known == code) {
        Some((_, follows, words)) => Some((*follows, words)),
        None => common(code),
    }
}

/// What a person is told of an error in the news.
pub(super) fn told(code: Option<u64>, words: &str) -> String {
    CODES.told(code.map(|code| (code, 0)), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_in_order() {
        assert!(ROWS.windows(2).all(|two| two[0].0 < two[1].0));
    }

    #[test]
    fn people_are_told_what_to_do_and_what_the_service_said() {
        let told_of = |code| told(Some(code), "Re-engagement\nmessage");
        assert!(told_of(131_047).contains("template"), "{}", told_of(131_047));
        assert!(told_of(131_047).ends_with("(code 131047: Re-engagement message)"));
        assert!(told_of(999_999).contains("999999"));
        assert_eq!(known(999_999, 0), None);
        assert_eq!(known(100, 33).map(|(follows, _)| follows), Some(Follows::Human));
        assert_eq!(known(100, 0).map(|(follows, _)| follows), Some(Follows::Never));
    }
}
