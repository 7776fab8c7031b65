//! What follows from an error by its number, and what a person is told of it. Each service (and each of its
//! products) brings a table of its own.

/// What follows from a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// Nothing went out, and later it may.
    Later,
    /// This one will never go out; the next one may.
    Never,
    /// Nothing goes out to this person until they act: they blocked us, or are no longer there.
    Gone,
    /// Nothing goes out until somebody has acted on the account.
    Human,
}

/// What follows, and what a person should know or do.
pub type Known = (Follows, &'static str);

/// What a product's errors mean.
#[derive(Clone, Copy)]
pub struct Codes {
    /// What people call the product.
    pub service: &'static str,
    /// What is known of a code and its subcode (0: there is none); `None`: it is new to us.
    pub known: fn(u64, u64) -> Option<Known>,
}

impl Codes {
    /// What a person is told: our words, the code, and the service's own words.
    #[must_use]
    pub fn told(&self, code: Option<(u64, u64)>, words: &str) -> String {
        const CHARS_MAX: usize = 300;
        let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
        let theirs: String = plain.take(CHARS_MAX).collect();
        let service = self.service;
        let number = |(code, subcode): (u64, u64)| match subcode {
            0 => code.to_string(),
            _ => format!("{code}/{subcode}"),
        };
        let code = code.map(|both| (number(both), (self.known)(both.0, both.1)));
        match (code, theirs.trim()) {
            (Some((code, Some((_, words)))), "") => format!("{words} (code {code})"),
            (Some((code, Some((_, words)))), theirs) => format!("{words} (code {code}: {theirs})"),
            (Some((code, None)), theirs) => {
                format!("{service} refused it (code {code}: {theirs})")
            }
            (None, "") => format!("{service} refused it, and did not say why"),
            (None, theirs) => format!("{service} refused it: {theirs}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_what_to_do_and_what_the_service_said() {
        let known = |code, subcode| match (code, subcode) {
            (1, 7) => Some((Follows::Never, "a row")),
            (190, _) => Some((Follows::Human, "the token has expired")),
            _ => None,
        };
        let codes = Codes { service: "Somebody", known };
        assert_eq!(codes.told(Some((1, 7)), "Their\nwords"), "a row (code 1/7: Their words)");
        assert_eq!(codes.told(Some((1, 7)), ""), "a row (code 1/7)");
        assert_eq!(codes.told(Some((9, 0)), "x"), "Somebody refused it (code 9: x)");
        assert_eq!(codes.told(None, ""), "Somebody refused it, and did not say why");
        assert!(codes.told(Some((190, 463)), &"x".repeat(1000)).len() < 500);
    }
}
