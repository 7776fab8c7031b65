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
    use super::*;

    #[test]
    fn a_template_is_filled_once_and_not_from_what_the_customer_wrote() {
        assert_eq!(fill("[#{number}] {subject} {x}{", 7, "{name}", "Bob"), "[#7] {name} {x}{");
    }
}
