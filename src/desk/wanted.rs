//! Which events an outgoing webhook wants. Pure.

use serde_json::Value;

/// A list of patterns; an event is wanted if one of them fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    kinds: Kinds,
    /// What the event must say besides: a direction, a state, the name of what changed.
    word: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kinds {
    /// `*`
    All,
    /// `ticket.*`
    Group(String),
    /// `ticket.created`
    One(String),
}

impl Wanted {
    /// Reads patterns like `*`, `ticket.*`, `message.created`, `message.created:in`,
    /// `delivery.updated:failed`, `ticket.updated:status`. `known` are all kinds there are. The error is the
    /// place in the list, and the reason.
    pub fn read(patterns: &[String], known: &[&str]) -> Result<Self, (usize, String)> {
        let read = |(at, text): (usize, &String)| pattern(text, known).map_err(|why| (at, why));
        let patterns: Result<Vec<_>, _> = patterns.iter().enumerate().map(read).collect();
        let patterns = patterns?;
        if patterns.is_empty() {
            return Err((0, format!("name at least one of {}, or `*`", known.join(", "))));
        }
        Ok(Self(patterns))
    }

    /// Does one of them fit?
    #[must_use]
    pub fn wants(&self, kind: &str, data: &Value) -> bool {
        self.0.iter().any(|pattern| {
            let fits = match &pattern.kinds {
                Kinds::All => true,
                Kinds::Group(group) => {
                    kind.split_once('.').is_some_and(|(before, _)| before == group)
                }
                Kinds::One(one) => kind == one,
            };
            fits && pattern.word.as_deref().is_none_or(|word| says(data, word))
        })
    }
}

fn pattern(text: &str, known: &[&str]) -> Result<Pattern, String> {
    let (kind, word) = match text.split_once(':') {
        Some((kind, word)) if !word.is_empty() => (kind, Some(word.to_owned())),
        Some(_) => return Err("expected a word after the `:`".to_owned()),
        None => (text, None),
    };
    let kinds = match kind.strip_suffix(".*") {
        _ if kind == "*" => Kinds::All,
        Some(group) if known.iter().any(|known| known.split('.').next() == Some(group)) => {
            Kinds::Group(group.to_owned())
        }
        None if known.contains(&kind) => Kinds::One(kind.to_owned()),
        Some(_) | None => {
            return Err(format!(
                "there are no such events; known: {}, `ticket.*`, `*`",
                known.join(", ")
            ));
        }
    };
    Ok(Pattern { kinds, word })
}

/// Is it the direction, the state, or among the things that changed?
fn says(data: &Value, word: &str) -> bool {
    let is = |key: &str| data.get(key).and_then(Value::as_str) == Some(word);
    let changed = data.get("changes").is_some_and(|changes| changes.get(word).is_some());
    is("direction") || is("status") || is("state") || is("kind") || is("rule") || changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: &[&str] =
        &["message.created", "ticket.created", "ticket.updated", "delivery.updated"];

    fn read(patterns: &[&str]) -> Result<Wanted, (usize, String)> {
        let patterns: Vec<String> = patterns.iter().map(|&text| text.to_owned()).collect();
        Wanted::read(&patterns, KNOWN)
    }

    #[test]
    fn an_event_is_wanted_if_one_pattern_fits() {
        let incoming = json!({ "direction": "in", "kind": "message" });
        let failed = json!({ "status": "failed" });
        let assigned = json!({ "changes": { "assignee": ["a", "b"] } });
        for (pattern, kind, data, fits) in [
            ("*", "message.created", &incoming, true),
            ("message.*", "message.created", &incoming, true),
            ("ticket.*", "message.created", &incoming, false),
            ("message.created", "message.created", &incoming, true),
            ("message.created:in", "message.created", &incoming, true),
            ("message.created:out", "message.created", &incoming, false),
            ("delivery.updated:failed", "delivery.updated", &failed, true),
            ("delivery.updated:sent", "delivery.updated", &failed, false),
            ("ticket.updated:assignee", "ticket.updated", &assigned, true),
            ("ticket.updated:status", "ticket.updated", &assigned, false),
            ("*:failed", "delivery.updated", &failed, true),
        ] {
            assert_eq!(read(&[pattern]).unwrap().wants(kind, data), fits, "{pattern} {kind}");
        }
        let both = read(&["ticket.*", "message.created:in"]).unwrap();
        assert!(
            both.wants("ticket.created", &Value::Null) && both.wants("message.created", &incoming)
        );
    }

    #[test]
    fn what_can_never_fit_is_refused() {
        for (patterns, at) in [
            (vec![], 0),
            (vec!["*", "ticket.creatd"], 1),
            (vec!["tickets.*"], 0),
            (vec![""], 0),
            (vec!["ticket"], 0),
            (vec!["ticket.created:"], 0),
        ] {
            assert_eq!(read(&patterns).unwrap_err().0, at, "{patterns:?}");
        }
    }
}
