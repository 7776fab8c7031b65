//! Acknowledgements, and the loop guard that stops them.

use crate::model::{Acknowledge, Flag, Form, Inbound, OwnAddresses, Trust};

/// What the store knows that matters for one acknowledgement.
#[derive(Debug, Clone, Copy, Default)]
pub struct AckFacts {
    /// Acknowledgements sent to this address within [`Acknowledge::per_address`].
    pub to_address: u64,
    /// Acknowledgements sent by this channel within the last hour.
    pub in_hour: u64,
    /// The address bounced or complained before.
    pub suppressed: bool,
}

/// May this message, which opened a ticket, be acknowledged? `Err`: why not, for the decision trace.
///
/// Asked by everything that sends without a human: a loop needs two sides, and this is ours.
pub fn acknowledge(
    inbound: &Inbound,
    setting: &Acknowledge,
    own: &OwnAddresses,
    facts: AckFacts,
) -> Result<(), &'static str> {
    answerable(inbound, own)?;
    if facts.suppressed {
        return Err("the address bounced or complained before");
    }
    if facts.to_address > 0 {
        return Err("the address had an acknowledgement not long ago");
    }
    if facts.in_hour >= u64::from(setting.per_hour_max) {
        return Err("the channel has sent enough acknowledgements this hour");
    }
    Ok(())
}

/// May a machine answer this message at all? `Err`: why not.
pub fn answerable(inbound: &Inbound, own: &OwnAddresses) -> Result<(), &'static str> {
    let Some(address) = &inbound.sender.address else { return Err("the sender is unknown") };
    if let Some(why) = inbound.automated {
        return Err(why);
    }
    if inbound.form != Form::Message {
        return Err("only messages are acknowledged");
    }
    if own.contains(address) {
        return Err("the sender is one of our own addresses");
    }
    if inbound.reply_to.as_ref().is_some_and(|party| own.contains(&party.address)) {
        return Err("the answer would go to one of our own addresses");
    }
    if inbound.sender.trust == Trust::Forged {
        return Err("the sender failed its checks");
    }
    if inbound.flags.contains(&Flag::Spam) || inbound.flags.contains(&Flag::Imported) {
        return Err("spam and imported messages are not acknowledged");
    }
    Ok(())
}

/// Replaces `{number}`, `{subject}` and `{name}`; what else stands in braces stays.
#[must_use]
pub fn fill(template: &str, number: u64, subject: &str, name: &str) -> String {
    let mut filled = String::with_capacity(template.len() + subject.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(word, tail)| match word {
            "number" => Some((number.to_string(), tail)),
            "subject" => Some((subject.to_owned(), tail)),
            "name" => Some((name.to_owned(), tail)),
            _ => None,
        });
        if let Some((value, tail)) = value {
            filled.push_str(&value);
            rest = tail;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::TimeZone as _;

    use super::super::triage::tests::inbound as sample;
    use super::*;
    use crate::model::{Address, Party, Timestamp};

    fn inbound() -> Inbound {
        Inbound { occurred_at: now(), ..sample("text") }
    }

    fn now() -> Timestamp {
        chrono::Utc.with_ymd_and_hms(2026, 11, 26, 8, 0, 0).unwrap()
    }

    /// Each line is one reason why two machines could write to each other for ever.
    #[test]
    fn only_a_persons_first_word_is_acknowledged() {
        let ours = Address::email("support@desk.example");
        let own = OwnAddresses([ours.clone()].into());
        let setting = Acknowledge {
            text: String::new(),
            per_address: Duration::from_secs(86_400),
            per_hour_max: 2,
        };
        let party = |value: &str| Party { address: Address::email(value), name: None };
        let facts = AckFacts::default();
        let allowed = |one: &Inbound, facts| acknowledge(one, &setting, &own, facts).is_ok();
        assert!(allowed(&inbound(), facts));
        let mut elsewhere = inbound();
        elsewhere.reply_to = Some(party("anna.private@customer.example"));
        elsewhere.recipients = vec![party("support@desk.example")];
        assert!(allowed(&elsewhere, facts));

        let changes: &[fn(&mut Inbound)] = &[
            |one| one.sender.address = None,
            |one| one.automated = Some("Precedence: bulk"),
            |one| one.form = Form::Notice,
            |one| one.form = Form::Comment,
            |one| one.form = Form::Call,
            |one| one.sender.address = Some(Address::email("support@desk.example")),
            |one| one.sender.address = Some(Address::email("support+t1.x@desk.example")),
            |one| one.sender.trust = Trust::Forged,
            |one| _ = one.flags.insert(Flag::Spam),
            |one| _ = one.flags.insert(Flag::Imported),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut one = inbound();
            change(&mut one);
            assert!(!allowed(&one, facts), "line {number}");
        }
        let mut to_us = inbound();
        to_us.reply_to = Some(party("support+x@desk.example"));
        assert!(!allowed(&to_us, facts));
        for facts in [
            AckFacts { to_address: 1, ..facts },
            AckFacts { in_hour: 2, ..facts },
            AckFacts { suppressed: true, ..facts },
        ] {
            assert!(!allowed(&inbound(), facts), "{facts:?}");
        }
        assert!(allowed(&inbound(), AckFacts { in_hour: 1, ..facts }));
    }

    #[test]
    fn a_template_is_filled_once_and_not_from_what_the_customer_wrote() {
        assert_eq!(fill("[#{number}] {subject} {x}{", 7, "{name}", "Bob"), "[#7] {name} {x}{");
    }
}
