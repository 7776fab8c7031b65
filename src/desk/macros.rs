//! Canned answers: texts with variables, and what else is done to the ticket. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::language::fitting;
use crate::model::{Priority, TicketStatus};

/// What may stand between `{{` and `}}`.
pub const VARIABLES: &[&str] = &[
    "agent.email",
    "agent.name",
    "channel.name",
    "contact.name",
    "ticket.number",
    "ticket.priority",
    "ticket.queue",
    "ticket.status",
    "ticket.subject",
];
/// Longest text.
const TEXT_CHARS_MAX: usize = 20_000;
/// Longest name.
const NAME_CHARS_MAX: usize = 100;
/// Most languages, and most tags.
const LIST_MAX: usize = 50;

/// `[[macros]]`: a canned answer, and what else is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Macro {
    /// What it is called; no two have the same name.
    pub name: String,
    /// What is answered, by language, with variables like `{{contact.name}}`. None: nothing is.
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
    /// What is done to the ticket.
    #[serde(default)]
    pub actions: MacroActions,
}

/// What a macro does to the ticket besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MacroActions {
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["open", "pending", "solved", "closed", "spam"]))]
    pub status: Option<TicketStatus>,
    /// How much it hurts to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("enum" = ["low", "normal", "high", "urgent"]))]
    pub priority: Option<Priority>,
    /// By which agents share work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Who has it: a person's mail address or name; `me`: whoever uses the macro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Added to its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl Macro {
    /// What is wrong with it, with the key.
    #[must_use]
    pub fn fault(&self) -> Option<(String, String)> {
        let fault = |key: &str, reason: String| Some((key.to_owned(), reason));
        let name = self.name.trim().chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&name) {
            return fault("name", format!("expected 1 to {NAME_CHARS_MAX} characters"));
        }
        if self.texts.is_empty() && self.actions == MacroActions::default() {
            return fault("texts", "expected a text or an action: it would do nothing".to_owned());
        }
        if self.texts.len() > LIST_MAX || self.actions.tags.len() > LIST_MAX {
            return fault("texts", format!("at most {LIST_MAX} languages and tags"));
        }
        for (language, text) in &self.texts {
            let key = format!("texts.{language}");
            if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
                return fault(&key, format!("expected 1 to {TEXT_CHARS_MAX} characters"));
            }
            if let Err(reason) = variables(text) {
                return fault(&key, reason);
            }
        }
        let empty = self.actions.tags.iter().any(|tag| tag.trim().is_empty());
        if empty { fault("actions.tags", "an empty tag".to_owned()) } else { None }
    }

    /// The text for somebody who reads `wanted`, with the tag of its language.
    #[must_use]
    pub fn text(&self, wanted: Option<&str>) -> Option<(&str, &str)> {
        let text = fitting(&self.texts, wanted)?;
        let tag = self.texts.iter().find(|(_, given)| *given == text)?.0;
        Some((tag, text))
    }
}

/// What is wrong with a list of them, with the key: `macros[1].name`.
pub(super) fn faults(macros: &[Macro]) -> Vec<(String, String)> {
    let of = |(at, one): (usize, &Macro)| {
        let twice = macros.iter().take(at).any(|other| other.name == one.name);
        let twice = twice.then(|| ("name".to_owned(), "another macro has this name".to_owned()));
        let found = one.fault().into_iter().chain(twice);
        found.map(|(key, reason)| (format!("macros[{at}].{key}"), reason)).collect::<Vec<_>>()
    };
    macros.iter().enumerate().flat_map(of).collect()
}

/// The variables of a text, in order. `Err`: one that is not known, or that has no end.
pub fn variables(text: &str) -> Result<Vec<&str>, String> {
    variables_among(text, VARIABLES)
}

/// The same for a text that knows only these.
pub(super) fn variables_among<'t>(text: &'t str, known: &[&str]) -> Result<Vec<&'t str>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{{") {
        let (name, tail) = after
            .split_once("}}")
            .ok_or_else(|| "a variable has no end: expected `}}`".to_owned())?;
        let name = name.trim();
        if !known.contains(&name) {
            let known = known.join(", ");
            return Err(format!("there is no variable `{name}`: expected one of {known}"));
        }
        found.push(name);
        rest = tail;
    }
    Ok(found)
}

/// Fills the variables, each once: what stands in a value stays as it is. What has no value becomes nothing.
#[must_use]
pub fn render(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        filled.push_str(values.get(name.trim()).map_or("", String::as_str));
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(text: &str) -> Macro {
        Macro {
            name: "m".to_owned(),
            texts: BTreeMap::from([("en".to_owned(), text.to_owned())]),
            actions: MacroActions::default(),
        }
    }

    #[test]
    fn an_unknown_variable_is_named() {
        assert_eq!(with("Dear {{ contact.name }}, #{{ticket.number}} {x}").fault(), None);
        for (text, told) in [
            ("Dear {{contact.nmae}}", "there is no variable `contact.nmae`"),
            ("Dear {{contact.name", "has no end"),
            ("{{}}", "there is no variable ``"),
            (" ", "expected 1 to"),
        ] {
            let (key, reason) = with(text).fault().unwrap();
            assert_eq!(key, "texts.en");
            assert!(reason.contains(told), "{text}: {reason}");
        }
        let nothing = Macro { name: "m".to_owned(), ..Macro::default() };
        assert_eq!(nothing.fault().unwrap().0, "texts");
        assert_eq!(Macro { name: " ".to_owned(), ..with("a") }.fault().unwrap().0, "name");
    }

    #[test]
    fn values_are_put_in_once_and_not_read_again() {
        let values = BTreeMap::from([
            ("contact.name", "{{agent.name}}".to_owned()),
            ("ticket.number", "7".to_owned()),
        ]);
        let text = "Dear {{contact.name}}: #{{ ticket.number }}{{agent.email}}.";
        assert_eq!(render(text, &values), "Dear {{agent.name}}: #7.");
        let mut both = with("hi");
        both.texts.insert("zh".to_owned(), "你好".to_owned());
        assert_eq!(both.text(Some("zh-CN")), Some(("zh", "你好")));
        assert_eq!(both.text(Some("fr")), Some(("en", "hi")));
    }

    proptest! {
        #[test]
        fn whatever_passes_the_check_is_filled_wholly(text in "[a-z{}. ]{0,60}") {
            if variables(&text).is_ok() {
                let values: BTreeMap<&str, String> =
                    VARIABLES.iter().map(|name| (*name, "x".to_owned())).collect();
                prop_assert!(!render(&text, &values).contains("{{"));
            }
        }
    }
}
