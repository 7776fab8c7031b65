//! What becomes of the words with which an agent answers a notification. Pure.

use super::above;

/// In the first line: a note between agents. The second is how commands are written on chat services.
const NOTES: [&str; 2] = ["#note", "/note"];

/// What is known of an answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerFacts<'a> {
    /// Does it come from the one who alone was told?
    pub proven: bool,
    /// The address that it names as its sender.
    pub from: &'a str,
    /// Has it files that are more than pictures within its text?
    pub files: bool,
    /// Was a secret masked in it?
    pub masked: bool,
}

/// What an answer becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// A reply to the customer.
    Reply(String),
    /// A note of the agent.
    Note(String),
    /// A note of ours: it is not sure who wrote it.
    Unproven(String),
}

/// Decides. Whatever is not surely meant for the customer stays here. `new`: without what it quotes, as far as
/// that was recognised; `whole`: all of it.
#[must_use]
pub fn answered(facts: &AnswerFacts<'_>, new: &str, whole: &str) -> Answered {
    let text = above(new);
    let text = if text.is_empty() { above(whole) } else { text };
    if !facts.proven {
        let from = facts.from;
        return Answered::Unproven(format!(
            "[not sent: this answer to a notification came from «{from}», and nothing shows that it is by whoever \
             was notified]\n\n{text}"
        ));
    }
    if let Some(note) = as_note(text) {
        return Answered::Note(note.to_owned());
    }
    // What has no text is shown as one line in brackets: our words, not the agent's.
    let bare = text.starts_with('[') && text.ends_with(']') && !text.contains('\n');
    let hindrance = if text.is_empty() || bare {
        "it is empty"
    } else if facts.files {
        "files go out by the console only"
    } else if facts.masked {
        "it held a secret, which was masked"
    } else {
        return Answered::Reply(text.to_owned());
    };
    Answered::Note(format!("[not sent: {hindrance}]\n\n{text}"))
}

/// What follows `#note` or `/note` at the very beginning.
fn as_note(text: &str) -> Option<&str> {
    NOTES.into_iter().find_map(|word| {
        let (head, rest) = (text.get(..word.len())?, text.get(word.len()..)?);
        let meant =
            head.eq_ignore_ascii_case(word) && !rest.starts_with(|c: char| c.is_alphanumeric());
        // `/note@our_bot`, as programs write a command in a group.
        let rest = match rest.strip_prefix('@') {
            Some(named) => named.split_once(char::is_whitespace).map_or("", |(_, rest)| rest),
            None => rest,
        };
        meant.then(|| rest.trim_start_matches([':', '：']).trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: AnswerFacts<'_> =
        AnswerFacts { proven: true, from: "anna@desk.test", files: false, masked: false };

    #[test]
    fn only_a_plain_answer_of_whoever_was_told_goes_out() {
        let judge = |facts: AnswerFacts<'_>, text: &str| answered(&facts, text, text);
        assert_eq!(judge(GOOD, " Hello \n"), Answered::Reply("Hello".to_owned()));
        assert_eq!(judge(GOOD, "#tag is no note"), Answered::Reply("#tag is no note".to_owned()));
        assert_eq!(judge(GOOD, "#notes"), Answered::Reply("#notes".to_owned()));
        for (facts, why) in [
            (AnswerFacts { files: true, ..GOOD }, "files"),
            (AnswerFacts { masked: true, ..GOOD }, "secret"),
        ] {
            let Answered::Note(text) = judge(facts, "Hello") else { panic!("{why}") };
            assert!(
                text.starts_with("[not sent: ") && text.contains(why) && text.ends_with("Hello")
            );
        }
        for nothing in [" ", "[no text]", "[encrypted]"] {
            assert!(matches!(judge(GOOD, nothing), Answered::Note(_)), "{nothing}");
        }
        let foreign = AnswerFacts { proven: false, from: "eve@evil.test", ..GOOD };
        let Answered::Unproven(text) = judge(foreign, "#note Hello") else {
            panic!("it is proven")
        };
        assert!(text.contains("eve@evil.test") && text.ends_with("#note Hello"));
    }

    #[test]
    fn a_first_line_makes_it_a_note_and_nothing_else_does() {
        for (text, expected) in [
            ("#note Ask Bob", Some("Ask Bob")),
            ("#Note: Ask Bob", Some("Ask Bob")),
            ("#NOTE\r\n\r\nAsk Bob", Some("Ask Bob")),
            ("#note：问小明", Some("问小明")),
            ("#note", Some("")),
            ("/note Ask Bob", Some("Ask Bob")),
            ("/note@desk_bot Ask Bob", Some("Ask Bob")),
            ("/notes", None),
            ("Ask Bob\n#note", None),
            ("# note", None),
            ("#n", None),
            ("小明", None),
        ] {
            assert_eq!(as_note(text), expected, "{text}");
        }
    }
}
