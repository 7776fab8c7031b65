//! What Twilio's error codes mean, and what follows.
//!
//! For calls that it refused, and for what it took and could not deliver. The numbers are those of its own catalogue; one number means the same wherever it stands.

use std::time::Duration;

use crate::channel::shared::codes::{Codes, Follows, Known};
use crate::model::Reach;

/// The table.
pub const CODES: Codes = Codes { service: "Twilio", known };

/// They said STOP.
const STOPPED: u64 = 21_610;

/// A code, what follows, and what a person should know or do.
type Row = (u64, Follows, &'static str);

use Follows::{Gone, Human, Later, Never};

const ROWS: &[Row] = &[
    (10_004, Later, "too many calls at once"),
    (
        11_200,
        Never,
        "Twilio could not fetch the file from us: is http.public_url reached from outside?",
    ),
    (11_751, Never, "the file cannot be carried by MMS"),
    (13_223, Never, "it is not a number that can be dialled"),
    (13_224, Never, "it is not a number that can be called"),
    (13_225, Never, "Twilio does not call this number"),
    (13_226, Never, "there is no country of this code"),
    (13_227, Human, "the account may not call this country: see Geographic Permissions"),
    (14_107, Later, "too many messages in a short time"),
    (14_111, Human, "a trial account may only reach numbers that were verified"),
    (20_003, Human, "account_sid, auth_token or api_key is not valid (any more)"),
    (20_005, Human, "the account is not active: look at Twilio's console"),
    (20_403, Human, "the account may not do this"),
    (20_404, Human, "Twilio knows no such account, or nothing of this name in it"),
    (20_429, Later, "too many requests at once"),
    (20_500, Later, "Twilio has trouble of its own"),
    (20_503, Later, "Twilio is not available for the moment"),
    (21_201, Never, "there is no number to call"),
    (21_202, Never, "it is a number at a premium, which Twilio does not call"),
    (21_203, Human, "the account may not call other countries"),
    (21_205, Human, "our own address for the call is not valid: see http.public_url"),
    (21_210, Human, "our number is not one from which this account may call"),
    (21_211, Never, "it is not a number that messages can be sent to"),
    (21_212, Human, "our number or sender is not valid"),
    (21_213, Human, "there is no number of ours to call from"),
    (21_214, Never, "the number cannot be reached"),
    (21_215, Human, "the account may not call this country: see Geographic Permissions"),
    (21_216, Never, "Twilio does not call this number"),
    (21_217, Never, "the number is not complete"),
    (21_218, Human, "there is no application of this name in the account"),
    (21_219, Human, "a trial account may only reach numbers that were verified"),
    (21_220, Never, "the call has ended already"),
    (21_408, Human, "the account may not write to this country: see Geographic Permissions"),
    (21_602, Never, "there is nothing in the message"),
    (21_603, Human, "there is neither a number of ours nor a messaging service"),
    (21_605, Never, "the message is longer than the channel takes"),
    (21_606, Human, "our number cannot send messages (to this destination)"),
    (21_608, Human, "a trial account may only reach numbers that were verified"),
    (
        21_610,
        Gone,
        "this person has asked for no more messages (STOP): only they can change that, by START",
    ),
    (21_611, Later, "too many messages of our number are waiting already"),
    (21_612, Never, "our number cannot reach this one"),
    (21_614, Never, "it is not the number of a mobile telephone"),
    (21_617, Never, "the message is longer than 1600 characters"),
    (21_618, Never, "the message may not contain this"),
    (21_620, Never, "the address of the file is not valid"),
    (21_623, Never, "there are too many files, or files of a sort that is not taken"),
    (21_654, Never, "there is no template of this ContentSid"),
    (21_655, Never, "the ContentSid is not valid"),
    (21_656, Never, "what was filled into the template is not of the form that it wants"),
    (21_703, Human, "the messaging service has no numbers"),
    (21_704, Human, "the messaging service has no number that can send this"),
    (21_705, Human, "the messaging service is not valid"),
    (30_001, Later, "too many messages are waiting already"),
    (30_002, Human, "the account is suspended: look at Twilio's console"),
    (30_003, Never, "the telephone was switched off or without a network: try again later"),
    (30_004, Never, "the recipient blocks these messages, or their provider does"),
    (30_005, Never, "the number is unknown, or no longer in use"),
    (30_006, Never, "it is a landline, or its provider takes no messages"),
    (30_007, Never, "a provider's filter took it for spam"),
    (30_008, Never, "the provider did not deliver it, and did not say why"),
    (30_009, Never, "a part of the message was lost on its way"),
    (30_010, Never, "it costs more than was allowed"),
    (30_011, Never, "the recipient's provider takes no MMS"),
    (30_017, Later, "the provider's network is too busy"),
    (30_018, Human, "our sender must be registered in this country"),
    (30_019, Never, "the content is too large for the provider"),
    (30_022, Later, "too many messages for our registration (10DLC)"),
    (30_023, Later, "no more messages today for our registration (10DLC)"),
    (30_024, Human, "our sender must be registered in this country"),
    (30_027, Later, "no more messages to T-Mobile today"),
    (30_032, Human, "our toll-free number is not verified"),
    (30_033, Human, "our campaign (10DLC) is suspended"),
    (30_034, Human, "our number is not registered for messages in the USA (10DLC)"),
    (30_035, Human, "our number is still being set up at Twilio"),
    (30_036, Never, "it could not be delivered for as long as it was valid"),
    (30_410, Later, "the provider did not answer in time"),
    (30_450, Never, "Twilio protects this number from messages that somebody else makes happen"),
    (32_009, Never, "the SIP telephone is not registered"),
    (32_011, Never, "the other side of the SIP line cannot be reached"),
    (32_201, Human, "the other side of the SIP line takes no calls from this address"),
    (32_202, Human, "the credentials of the SIP line are not valid"),
    (32_203, Never, "the other side of the SIP line blocks the call"),
    (63_001, Human, "the channel could not prove who we are"),
    (63_002, Human, "our number is not a sender of this channel"),
    (63_003, Never, "there is nobody on the channel by this number"),
    (63_005, Never, "the channel did not take the content"),
    (63_006, Never, "the message could not be put into the channel's form"),
    (63_007, Human, "our number is not a sender of this channel"),
    (63_008, Human, "the channel is set up wrongly at Twilio"),
    (63_009, Later, "the channel has trouble of its own"),
    (63_010, Later, "the channel has trouble of its own"),
    (63_012, Later, "the channel is not available for the moment"),
    (63_013, Never, "it is against the channel's rules"),
    (63_014, Gone, "the recipient blocks our messages"),
    (63_015, Human, "the recipient has to join the sandbox first"),
    (
        63_016,
        Never,
        "the customer has not written within the last 24 hours: only an approved template goes through",
    ),
    (63_017, Later, "too many messages on the channel in a short time"),
    (63_018, Later, "too many messages on the channel in a short time"),
    (63_019, Never, "the file could not be fetched"),
    (63_020, Human, "Twilio has not been accepted as the account's partner on WhatsApp"),
    (63_021, Never, "the content is not valid on this channel"),
    (63_024, Never, "the number is not on WhatsApp"),
    (63_026, Never, "WhatsApp took it for spam"),
    (63_027, Never, "there is no such template in this language"),
    (63_028, Never, "the template has another number of blanks than were filled"),
    (63_032, Never, "WhatsApp keeps messages of businesses from this person"),
    (63_033, Gone, "the recipient blocks our messages"),
    (63_034, Never, "the file is too large for the channel"),
    (63_036, Never, "the recipient could not be reached on the channel: try again later"),
    (63_038, Later, "no more messages of this account today"),
    (63_040, Never, "the template was rejected by WhatsApp"),
    (63_041, Never, "the template is paused, since people did not like it"),
    (63_042, Never, "the template was switched off by WhatsApp"),
    (63_051, Human, "the account on WhatsApp is locked or was deleted"),
    (90_010, Human, "the account is not active: look at Twilio's console"),
];

fn known(code: u64, _: u64) -> Option<Known> {
    let row = ROWS.binary_search_by_key(&code, |(known, ..)| *known).ok()?;
    ROWS.get(row).map(|(_, follows, words)| (*follows, *words))
}

/// What a person is told of an error in the news of a message or a call.
#[must_use]
pub fn told(code: Option<u64>, words: &str) -> String {
    CODES.told(code.map(|code| (code, 0)), &without_numbers(words))
}

/// The number itself is at fault: nothing should be sent there by itself again.
#[must_use]
pub const fn is_bad_address(code: u64) -> bool {
    matches!(code, 21_211 | 21_214 | 21_217 | 21_614 | 30_005 | 30_006 | 63_003 | 63_024)
}

/// What a code says of somebody whom nothing reaches until they act.
#[must_use]
pub fn reach(code: u64) -> Option<Reach> {
    match known(code, 0) {
        Some((Gone, _)) if code == STOPPED => Some(Reach::OptedOut),
        Some((Gone, _)) => Some(Reach::Unreachable),
        Some((Later | Never | Human, _)) | None => None,
    }
}

/// How long to wait at least, where the usual pause is too short.
#[must_use]
pub const fn pause(code: u64) -> Option<Duration> {
    match code {
        // It is counted by the day.
        30_023 | 30_027 | 63_038 => Some(Duration::from_secs(6 * 3600)),
        // Hours of messages wait at Twilio.
        21_611 | 30_001 => Some(Duration::from_secs(10 * 60)),
        _ => None,
    }
}

/// The service's words, without the numbers that it puts into them: people's numbers belong into no error.
fn without_numbers(words: &str) -> String {
    const DIGITS_MIN: usize = 5;
    let mut shown = String::with_capacity(words.len());
    let mut digits = String::new();
    let end = |digits: &mut String, shown: &mut String| {
        if digits.len() < DIGITS_MIN {
            shown.push_str(digits);
        } else {
            shown.push('…');
        }
        digits.clear();
    };
    for c in words.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
        } else {
            end(&mut digits, &mut shown);
            shown.push(c);
        }
    }
    end(&mut digits, &mut shown);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_in_order() {
        assert!(ROWS.windows(2).all(|two| two[0].0 < two[1].0));
        assert!(ROWS.iter().all(|(code, ..)| known(*code, 0).is_some()));
        assert_eq!(known(99_999, 0), None);
    }

    #[test]
    fn people_are_told_what_to_do_and_no_number() {
        let words = "The 'To' number +15005550001 is not a valid phone number (1600).";
        assert_eq!(
            told(Some(21_211), words),
            "it is not a number that messages can be sent to (code 21211: The 'To' number +… is not a \
             valid phone number (1600).)"
        );
        assert_eq!(told(Some(30_007), ""), "a provider's filter took it for spam (code 30007)");
        assert_eq!(told(Some(99_999), "New"), "Twilio refused it (code 99999: New)");
        assert_eq!(without_numbers("12345"), "…");
        assert_eq!(without_numbers("a 1234 你5"), "a 1234 你5");
    }

    /// What Twilio says of calls.
    #[test]
    fn each_class_of_calls_follows() {
        let of = |code| known(code, 0).map(|(follows, _)| follows);
        for code in [
            21_201, 21_202, 21_211, 21_214, 21_216, 21_217, 13_223, 13_224, 13_225, 13_226, 32_009,
            32_011, 32_203,
        ] {
            assert_eq!(of(code), Some(Never), "{code}");
        }
        for code in [
            21_203, 21_205, 21_210, 21_212, 21_213, 21_215, 21_218, 21_219, 13_227, 14_111, 32_201,
            32_202, 90_010,
        ] {
            assert_eq!(of(code), Some(Human), "{code}");
        }
    }

    #[test]
    fn each_class_follows() {
        let of = |code| known(code, 0).map(|(follows, _)| follows);
        for code in [20_429, 20_503, 14_107, 21_611, 30_001, 30_017, 30_022, 30_410, 63_009, 63_018]
        {
            assert_eq!(of(code), Some(Later), "{code}");
        }
        for code in [21_211, 21_614, 30_005, 30_007, 63_016, 63_041, 21_656, 30_036] {
            assert_eq!(of(code), Some(Never), "{code}");
        }
        for code in [20_003, 20_005, 21_408, 21_606, 21_608, 30_034, 63_007, 63_051] {
            assert_eq!(of(code), Some(Human), "{code}");
        }
        assert!(pause(30_023) > pause(21_611) && pause(20_429).is_none());
        assert!(is_bad_address(30_005) && !is_bad_address(30_003));
        let reaches = [21_610, 63_014, 30_007, 99_999].map(reach);
        assert_eq!(reaches, [Some(Reach::OptedOut), Some(Reach::Unreachable), None, None]);
    }
}
