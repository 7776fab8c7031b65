//! Tickets, messages and the people who write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ChannelName, ContactId, Trust};

/// Where a person can be reached, and so who they are until a human says otherwise.
///
/// `value` is in the form in which two spellings of one address are equal (mail: lower case, domain in
/// ASCII; telephone: E.164); [`Party::name`](super::Party) and the raw keep the original spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// What sort of address.
    pub scheme: Scheme,
    /// Set where the remote service gives one person another id for each of our accounts.
    pub scope: Option<ChannelName>,
    /// The address in comparable form.
    pub value: String,
}

impl Address {
    /// A mail address, in the form in which two spellings are equal: all in lower case. The domain must
    /// already be in ASCII (`channel/email` does that while reading).
    #[must_use]
    pub fn email(value: &str) -> Self {
        Self { scheme: Scheme::Email, scope: None, value: value.trim().to_lowercase() }
    }

    /// An address as a person typed it, brought into comparable form. `None`: it is none of this sort.
    #[must_use]
    pub fn typed(scheme: Scheme, scope: Option<ChannelName>, text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > 254 || text.chars().any(|c| c.is_control() || c == ' ') {
            return None;
        }
        let value = match scheme {
            Scheme::Email => typed_email(text)?,
            Scheme::Tel => {
                let digits = text.strip_prefix('+')?.replace(['-', '.', '(', ')'], "");
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                let long = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
                (plain && long).then(|| format!("+{digits}"))?
            }
            Scheme::Telegram | Scheme::Web | Scheme::Meta | Scheme::Api => text.to_owned(),
        };
        Some(Self { scheme, scope, value })
    }

    /// What people are called of whom nothing but the address is known: visitors of a page by four letters of their
    /// id, so that agents can tell them apart, all others by the address.
    #[must_use]
    pub fn nameless(&self) -> String {
        match self.scheme {
            Scheme::Web => {
                // Before them stands what sort of visitor it is (`a:`, `u:`).
                let short: String = self.value.chars().skip(2).take(4).collect();
                format!("Visitor {}", short.to_uppercase())
            }
            Scheme::Email | Scheme::Tel | Scheme::Telegram | Scheme::Meta | Scheme::Api => {
                self.value.clone()
            }
        }
    }
}

fn typed_email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let odd = |c: char| c.is_whitespace() || "<>,;:()[]\\\"@".contains(c);
    let domain = idna::domain_to_ascii_strict(domain).ok()?;
    let local_fits = (1..=64).contains(&local.len()) && !local.contains(odd);
    let fits = local_fits && !domain.is_empty() && !domain.starts_with('.');
    fits.then(|| format!("{local}@{domain}").to_lowercase())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

/// Gives an enum of plain words its text form, for the store and the wire alike.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            utoipa::ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$item])* $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word in the API, the store and the settings.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownWord {
                        word: text.to_owned(),
                        known: Self::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", "),
                    }),
                }
            }
        }
    };
}
pub(crate) use words;

/// The text is none of the words allowed here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not one of {known}")]
pub struct UnknownWord {
    /// What was given.
    pub word: String,
    /// What is allowed.
    pub known: String,
}

words! {
    /// What sort of address an [`Address`] is.
    Scheme {
        /// RFC 5322.
        Email = "email",
        /// E.164.
        Tel = "tel",
        /// A numeric user id.
        Telegram = "telegram",
        /// A visitor of the web chat.
        Web = "web",
        /// A user id of a Meta product, scoped to our page or number.
        Meta = "meta",
        /// A user of a system that is attached by the API channel.
        Api = "api",
    }
}

words! {
    /// Where a ticket stands.
    TicketStatus {
        /// Somebody here has to act.
        Open = "open",
        /// The customer, or a date, has to act.
        Pending = "pending",
        /// Done, but the customer may come back to it.
        Solved = "solved",
        /// Done for good: a late message opens a new, linked ticket.
        Closed = "closed",
        /// Not a customer. Messages are kept and nothing is answered.
        Spam = "spam",
    }
}

words! {
    /// How much it hurts to wait.
    Priority {
        /// It may wait.
        Low = "low",
        /// As everybody.
        Normal = "normal",
        /// Before everybody.
        High = "high",
        /// Now.
        Urgent = "urgent",
    }
}

words! {
    /// Which way a message went.
    Direction {
        /// From the customer.
        In = "in",
        /// To the customer.
        Out = "out",
        /// Between agents; never leaves the house.
        Internal = "internal",
    }
}

words! {
    /// What a message is.
    MessageKind {
        /// Written text with attachments.
        Message = "message",
        /// Between agents.
        Note = "note",
        /// A telephone call.
        Call = "call",
        /// A recording that a caller left.
        Voicemail = "voicemail",
        /// Under a public post.
        Comment = "comment",
        /// A notice of a machine: a bounce, a hand-over.
        System = "system",
    }
}

words! {
    /// Who did something.
    ActorKind {
        /// A customer.
        Contact = "contact",
        /// A human who works here.
        Agent = "agent",
        /// A program with an API token.
        Token = "token",
        /// The daemon itself.
        System = "system",
    }
}

words! {
    /// What a user or token may do. Each includes those before it.
    Role {
        /// Look.
        ReadOnly = "read_only",
        /// Look, write, change tickets.
        Agent = "agent",
        /// All of it: channels, outbox, quarantine, people, tokens, erasing.
        Admin = "admin",
    }
}

/// A person who writes to us.
#[derive(Debug, Clone)]
pub struct Contact {
    /// Ours.
    pub id: ContactId,
    /// As the person last gave it, or as an agent set it.
    pub name: String,
    /// All addresses known to be theirs.
    pub identities: Vec<Identity>,
}

/// One address of a contact, and how far it is known to be theirs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The address.
    pub address: Address,
    /// What speaks for it.
    pub trust: Trust,
}

/// Who did something, as the audit trail keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What sort of being.
    pub kind: ActorKind,
    /// Its id, where it has one.
    pub id: Option<uuid::Uuid>,
    /// The name to show.
    pub name: String,
}

impl Actor {
    /// The daemon itself.
    #[must_use]
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: None, name: "tributary".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_address_is_comparable_or_none() {
        let typed = |scheme, text| Address::typed(scheme, None, text).map(|known| known.value);
        for (text, expected) in [
            (" Jane@Example.COM ", Some("jane@example.com")),
            ("jane@bücher.example", Some("jane@xn--bcher-kva.example")),
            ("小明@例子.公司", Some("小明@xn--fsqu00a.xn--55qx5d")),
            ("jane", None),
            ("@example.com", None),
            ("jane@", None),
            ("a@b@example.com", None),
            ("a@exa mple.com", None),
            ("a@example.com\r\nBcc: x@y.z", None),
            ("<a@example.com>", None),
            ("a,b@example.com", None),
        ] {
            assert_eq!(typed(Scheme::Email, text).as_deref(), expected, "{text}");
        }
        assert_eq!(typed(Scheme::Tel, "+49-(30).901820").as_deref(), Some("+4930901820"));
        for text in ["030901820", "+0301234567", "+12", "+1234567890123456", "+49x30901820"] {
            assert_eq!(typed(Scheme::Tel, text), None, "{text}");
        }
    }
}
