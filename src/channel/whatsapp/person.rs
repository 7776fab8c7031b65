//! Who is who: numbers, and the ids that stand for people who hide theirs.
//!
//! A person's business-scoped id (`US.1349…`) is theirs for as long as they keep their account, and the same
//! for all our numbers within one portfolio; the number may be absent, and may get another owner.

use serde_json::Value;

use crate::channel::shared::graph::is_about;
pub(super) use crate::channel::shared::graph::notice::by_id as by_user;
use crate::channel::shared::look;
use crate::model::{Address, ChannelName, Party, Scheme, ThreadKey};

/// Somebody on WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Digits, country first, as the service writes them: calls take this form only.
    pub(super) number: Option<String>,
    /// The business-scoped id.
    pub(super) user: Option<String>,
    /// As they call themselves.
    pub(super) name: Option<String>,
}

impl Person {
    /// Who is meant by an element's fields, `from` and `from_user_id` say; the change's contacts tell the rest.
    pub(super) fn of(value: &Value, element: &Value, number: &str, user: &str) -> Self {
        let mut person = Self { number: None, user: look::word(element, user), name: None };
        person.take_number(look::word(element, number));
        let contacts: Vec<&Value> = look::list(value, "/contacts").collect();
        // A single one that gives no number is that of somebody who hides it.
        let alone = |contact: &&&Value| {
            contacts.len() == 1
                && (person.number.is_none() || look::word(contact, "/wa_id").is_none())
        };
        let contact = contacts
            .iter()
            .find(|contact| is_about(contact, element))
            .or_else(|| contacts.first().filter(alone));
        if let Some(contact) = contact {
            person.name = look::text(contact, "/profile/name")
                .or_else(|| look::text(contact, "/profile/username"))
                .map(|name| name.trim().to_owned());
            if person.user.is_none() {
                person.user = look::word(contact, "/user_id");
            }
            if person.number.is_none() {
                person.take_number(look::word(contact, "/wa_id"));
            }
        }
        person
    }

    /// A number; or an id that stands where a number used to.
    fn take_number(&mut self, given: Option<String>) {
        let Some(given) = given else { return };
        let digits = given.strip_prefix('+').unwrap_or(&given);
        let is_number =
            (5..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            self.number = Some(digits.to_owned());
        } else if self.user.is_none() {
            self.user = Some(given);
        }
    }

    /// What they are known by.
    pub(super) fn address(&self, channel: &ChannelName) -> Option<Address> {
        match (&self.user, &self.number) {
            (Some(user), _) => Some(by_user(channel, user)),
            (None, Some(number)) => Some(by_number(number)),
            (None, None) => None,
        }
    }

    /// What else they are known by.
    pub(super) fn also(&self) -> Vec<Address> {
        let number = self.number.as_deref().filter(|_| self.user.is_some());
        number.map(by_number).into_iter().collect()
    }

    /// Where an answer goes, if that is not their address: every call takes a number, and some take nothing
    /// else, so it is used as long as it is shown, as the service writes it.
    pub(super) fn answer_to(&self) -> Option<Party> {
        let number = self.number.as_deref()?;
        let value = format!("+{number}");
        if self.user.is_none() && by_number(number).value == value {
            return None;
        }
        let address = Address { scheme: Scheme::Tel, scope: None, value };
        Some(Party { address, name: self.name.clone() })
    }

    /// The conversation with them.
    pub(super) fn thread(&self) -> Option<ThreadKey> {
        match (&self.user, &self.number) {
            (Some(user), _) => Some(user_thread(user)),
            (None, Some(number)) => Some(number_thread(number)),
            (None, None) => None,
        }
    }
}

/// A number as other channels write it, so that one person is one contact.
pub(super) fn by_number(number: &str) -> Address {
    Address { scheme: Scheme::Tel, scope: None, value: format!("+{}", dialled(number)) }
}

pub(super) fn user_thread(user: &str) -> ThreadKey {
    ThreadKey(format!("u:{user}"))
}

pub(super) fn number_thread(number: &str) -> ThreadKey {
    ThreadKey(format!("n:{number}"))
}

/// Two countries changed how their mobile numbers are written, and WhatsApp kept the old form: Mexico had a 1
/// after the country, and Brazil has a 9 after the area by now.
fn dialled(number: &str) -> String {
    if let Some(rest) = number.strip_prefix("521")
        && rest.len() == 10
    {
        return format!("52{rest}");
    }
    if let Some(rest) = number.strip_prefix("55")
        && rest.len() == 10
        && let Some((area, line)) = rest.split_at_checked(2)
        && line.starts_with(['6', '7', '8', '9'])
    {
        return format!("55{area}9{line}");
    }
    number.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn channel() -> ChannelName {
        "wa".parse().unwrap()
    }

    fn of(value: &Value) -> Person {
        Person::of(value, &value["message"], "/from", "/from_user_id")
    }

    /// COMPLAINTS M6: one person is one contact, however their country writes numbers, and answers go to the
    /// form that the service wrote.
    #[test]
    fn m6_numbers_are_kept_as_people_dial_them_and_answered_as_the_service_writes_them() {
        for (given, known) in [
            ("5215512345678", "+525512345678"),
            ("525512345678", "+525512345678"),
            ("553188887777", "+5531988887777"),
            ("5531988887777", "+5531988887777"),
            ("551132221111", "+551132221111"),
            ("5491112345678", "+5491112345678"),
            ("4915112345678", "+4915112345678"),
        ] {
            let person = of(&json!({ "message": { "from": given } }));
            assert_eq!(person.address(&channel()).unwrap().value, known);
            let goes_to =
                person.answer_to().map_or_else(|| known.to_owned(), |to| to.address.value);
            assert_eq!(goes_to, format!("+{given}"));
        }
    }

    #[test]
    fn somebody_is_known_by_their_id_and_else_by_their_number() {
        let contact = json!({ "wa_id": "4911", "user_id": "DE.1", "profile": { "name": "Ann" } });
        let person = of(&json!({ "contacts": [contact], "message": { "from": "4911111" } }));
        assert_eq!(person.user, None, "it is somebody else's contact");
        let contact =
            json!({ "wa_id": "4911111", "user_id": "DE.1", "profile": { "name": "Ann" } });
        let both = of(&json!({ "contacts": [contact], "message": { "from": "4911111" } }));
        assert_eq!(both.address(&channel()).unwrap(), by_user(&channel(), "DE.1"));
        assert_eq!(both.also(), [by_number("4911111")]);
        assert_eq!(both.answer_to().unwrap().address.value, "+4911111");
        assert_eq!(both.thread().unwrap().as_str(), "u:DE.1");
        let contact = json!({ "user_id": "DE.1", "profile": { "username": "ann" } });
        let hidden = of(&json!({ "contacts": [contact], "message": { "from_user_id": "DE.1" } }));
        assert_eq!(hidden.address(&channel()), both.address(&channel()));
        assert_eq!((hidden.thread(), hidden.answer_to()), (both.thread(), None));
        assert_eq!(hidden.name.as_deref(), Some("ann"));
        let odd = of(&json!({ "message": { "from": "US.1349" } }));
        assert_eq!(odd.user.as_deref(), Some("US.1349"));
        assert_eq!(of(&json!({ "message": {} })).address(&channel()), None);
    }
}
