//! What stands below the text, and in front of the address: templates of the admin, or what the desk chose.

use super::headers::one_line;
use super::{Letterhead, NAME_CHARS_MAX, Outbound};

/// The two forms of one signature, filled in; empty when there is none.
pub(super) struct Signature {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

impl Signature {
    pub(super) fn of(letterhead: &Letterhead, outbound: &Outbound) -> Self {
        if let Some(given) = &outbound.signature {
            let html = super::body::html_of(given);
            return Self { text: Some(given.clone()), html: Some(html) };
        }
        let words = Words::of(letterhead, outbound);
        let text = letterhead.signature.as_deref().map(|template| words.fill(template));
        let html = match &letterhead.signature_html {
            Some(template) => Some(words.escaped().fill(template)),
            None => text.as_deref().map(super::body::html_of),
        };
        Self { text, html }
    }
}

/// The display name of `From`: the agent's where one wrote, else the desk's.
pub(super) fn from_name(letterhead: &Letterhead, outbound: &Outbound) -> Option<String> {
    let name = match (&outbound.author, &letterhead.name) {
        (Some(_), _) => Words::of(letterhead, outbound).fill(&letterhead.agent_name),
        (None, Some(name)) => name.clone(),
        (None, None) => return None,
    };
    let name = one_line(&name, NAME_CHARS_MAX);
    (!name.is_empty()).then_some(name)
}

struct Words {
    agent: String,
    name: String,
    number: String,
}

impl Words {
    fn of(letterhead: &Letterhead, outbound: &Outbound) -> Self {
        let name = letterhead.name.as_deref().unwrap_or(&letterhead.address);
        let agent = outbound.author.as_deref().unwrap_or(name);
        Self {
            agent: one_line(agent, NAME_CHARS_MAX),
            name: name.to_owned(),
            number: outbound.ticket_number.to_string(),
        }
    }

    fn escaped(self) -> Self {
        Self {
            agent: super::body::escape(&self.agent),
            name: super::body::escape(&self.name),
            number: self.number,
        }
    }

    /// One pass: a name that looks like a placeholder stays what it is.
    fn fill(&self, template: &str) -> String {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = [("agent}", &self.agent), ("name}", &self.name), ("number}", &self.number)];
            let found = known
                .into_iter()
                .find_map(|(word, value)| Some((after.strip_prefix(word)?, value)));
            match found {
                Some((after, value)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}
