//! Which conversation a mail belongs to: the marks that we put on our mails, and how they are read back.
//!
//! Knows header values as text; knows nothing of MIME, tickets or the store.

mod digest;
mod ids;
mod subject;

pub use digest::digest;
pub use ids::ids;
pub use subject::{base_subject, comparable_subject, is_forward, is_reply, subject_tag};

use crate::channel::shared::sign::Signer;
use crate::model::{DeliveryId, RemoteId, ThreadHint, Token};

/// Longest local part of an address (RFC 5321, section 4.5.3.1.1).
const LOCAL_PART_MAX: usize = 64;

/// Parents that we keep of one mail. A thread of 10,000 mails names them all in each; the nearest
/// ones decide.
const PARENTS_MAX: usize = 200;

/// The `Message-ID` of a delivery, without angle brackets: the same at every attempt.
#[must_use]
pub fn message_id(signer: &Signer, delivery: DeliveryId, domain: &str) -> String {
    format!("{}@{domain}", signer.delivery(delivery))
}

/// The address that an answer to this ticket comes back to: `support+t12.mac@example.com`.
///
/// `address` itself when the local part would be longer than any mail server has to accept.
#[must_use]
pub fn reply_address(signer: &Signer, number: u64, address: &str) -> String {
    plus(address, &signer.ticket(number))
}

/// The envelope sender of a delivery, so that a bounce names it whatever else it holds.
///
/// `address` itself when the local part would be longer than any mail server has to accept.
#[must_use]
pub fn bounce_address(signer: &Signer, delivery: DeliveryId, address: &str) -> String {
    plus(address, &signer.delivery(delivery))
}

fn plus(address: &str, token: &str) -> String {
    let Some((local, domain)) = address.rsplit_once('@') else { return address.to_owned() };
    let quoted = local.starts_with('"');
    if quoted || local.len() + 1 + token.len() > LOCAL_PART_MAX {
        return address.to_owned();
    }
    format!("{local}+{token}@{domain}")
}

/// The token in a message id of ours, if one of our keys signed it.
#[must_use]
pub fn token_of_id(signer: &Signer, id: &str) -> Option<Token> {
    let local = id.trim_matches(['<', '>', ' ']).rsplit_once('@').map_or(id, |(local, _)| local);
    signer.read_delivery(local.trim()).map(Token::Delivery)
}

/// The token in a plus address of ours, if one of our keys signed it.
///
/// Some mail servers separate by `-` or `=`; what is signed is ours, however it is set apart.
#[must_use]
pub fn token_of_address(signer: &Signer, address: &str) -> Option<Token> {
    let (local, _) = address.trim_matches(['<', '>', ' ']).rsplit_once('@')?;
    local.split(['+', '-', '=']).skip(1).find_map(|piece| {
        let ticket = signer.read_ticket(piece).map(Token::Ticket);
        ticket.or_else(|| signer.read_delivery(piece).map(Token::Delivery))
    })
}

/// What a mail says about its conversation, as text.
#[derive(Debug, Default)]
pub struct Marks<'a> {
    /// Every address it went to: envelope, `To`, `Cc`, `Delivered-To` and its like.
    pub addresses: Vec<&'a str>,
    /// Values of `In-Reply-To`.
    pub in_reply_to: Vec<&'a str>,
    /// Values of `References`.
    pub references: Vec<&'a str>,
    /// The subject, if there is one.
    pub subject: Option<&'a str>,
}

/// Reads all marks, strongest first.
#[must_use]
pub fn hint(signer: &Signer, marks: &Marks<'_>) -> ThreadHint {
    let parents = parents(marks);
    let mut tokens: Vec<Token> = Vec::new();
    let by_address = marks.addresses.iter().filter_map(|address| token_of_address(signer, address));
    let by_id = parents.iter().filter_map(|id| token_of_id(signer, id));
    for token in by_address.chain(by_id) {
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    ThreadHint {
        tokens,
        parents: parents.into_iter().map(RemoteId).collect(),
        key: None,
        tag: marks.subject.and_then(subject_tag),
    }
}

/// Nearest first: `In-Reply-To`, then `References` from its end.
fn parents(marks: &Marks<'_>) -> Vec<String> {
    let nearest = marks.in_reply_to.iter().flat_map(|value| ids(value));
    let mut chain: Vec<String> = marks.references.iter().flat_map(|value| ids(value)).collect();
    chain.reverse();
    let mut seen = std::collections::HashSet::new();
    nearest.chain(chain).filter(|id| seen.insert(id.clone())).take(PARENTS_MAX).collect()
}

/// The domain of message ids that we made up for mails without one.
pub const MADE_UP: &str = "@missing.invalid";

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new(vec![[7; 32]])
    }

    #[test]
    fn our_marks_come_back_from_ids_and_addresses() {
        let (signer, delivery) = (signer(), DeliveryId::new());
        let id = message_id(&signer, delivery, "example.com");
        assert_eq!(token_of_id(&signer, &id), Some(Token::Delivery(delivery)));
        assert_eq!(token_of_id(&signer, &format!("<{}>", id.to_uppercase())), {
            Some(Token::Delivery(delivery))
        });
        let reply = reply_address(&signer, 1234, "support@example.com");
        assert!(reply.starts_with("support+t1234."), "{reply}");
        assert_eq!(token_of_address(&signer, &reply), Some(Token::Ticket(1234)));
        assert_eq!(token_of_address(&signer, &reply.replace('+', "-")), Some(Token::Ticket(1234)));
        let bounce = bounce_address(&signer, delivery, "support@example.com");
        assert_eq!(token_of_address(&signer, &bounce), Some(Token::Delivery(delivery)));
        let local = bounce.split('@').next().map(str::len);
        assert!(local <= Some(LOCAL_PART_MAX), "{bounce}");
    }

    #[test]
    fn a_local_part_that_would_be_too_long_stays_as_it_is() {
        let long = "customer-care-department@example.com";
        assert_eq!(bounce_address(&signer(), DeliveryId::new(), long), long);
        let longer = format!("{}@example.com", "a".repeat(60));
        assert_eq!(reply_address(&signer(), 1, &longer), longer);
        assert_eq!(reply_address(&signer(), 1, "no address"), "no address");
    }

    // FAULTS 91, 101: a token of somebody else is no token.
    #[test]
    fn foreign_tokens_prove_nothing() {
        let foreign = Signer::new(vec![[8; 32]]);
        let id = message_id(&foreign, DeliveryId::new(), "example.com");
        let address = reply_address(&foreign, 1, "support@example.com");
        let marks = Marks {
            addresses: vec![&address, "support+t1.aaaa@example.com", "x"],
            in_reply_to: vec![&id],
            ..Marks::default()
        };
        let hint = hint(&signer(), &marks);
        assert_eq!(hint.tokens, []);
        assert_eq!(hint.parents, [RemoteId(id)]);
    }

    #[test]
    fn parents_come_nearest_first_without_doubles() {
        let marks = Marks {
            in_reply_to: vec!["<c@x>"],
            references: vec!["<a@x> <b@x>", "<c@x>\r\n\t<d@x>"],
            subject: Some("Re: [#77] Wallet"),
            ..Marks::default()
        };
        let hint = hint(&signer(), &marks);
        let parents: Vec<&str> = hint.parents.iter().map(RemoteId::as_str).collect();
        assert_eq!(parents, ["c@x", "d@x", "b@x", "a@x"]);
        assert_eq!(hint.tag, Some(77));
    }

    // FAULTS 80: ten thousand ids cost no more than the nearest two hundred.
    #[test]
    fn a_chain_of_ten_thousand_ids_is_cut_to_the_nearest() {
        let chain: String = (0..10_000).map(|n| format!("<{n}@x> ")).collect();
        let hint = hint(&signer(), &Marks { references: vec![&chain], ..Marks::default() });
        assert_eq!(hint.parents.len(), PARENTS_MAX);
        assert_eq!(hint.parents.first().map(RemoteId::as_str), Some("9999@x"));
    }
}
