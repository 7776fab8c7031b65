//! A message with a few answers to choose from: as buttons where the channel has them, else as digits.

use super::split;
use super::split::measure;
use crate::model::{Capabilities, Choice, TextLimit};

/// What goes out, in order; the choices are those of the last part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The parts, each within the channel's limit.
    pub texts: Vec<String>,
    /// All of it without the link, if there is one: whoever has that is the customer.
    pub told: Option<String>,
    /// Buttons below the last part; empty where the answers are told in words.
    pub choices: Vec<Choice>,
}

impl Offer {
    /// What people here see of it.
    #[must_use]
    pub fn told(&self) -> String {
        self.told.clone().unwrap_or_else(|| self.texts.join("\n\n"))
    }
}

/// Puts `question` with its answers behind `text` (which may be empty).
///
/// Without choices it is the text and the question. A question that is too long for buttons is asked with
/// digits. With digits goes the link at which it can be answered too, where texts are long enough for it and
/// addresses can be pressed.
#[must_use]
pub fn offer(
    text: &str,
    question: &str,
    (choices, link): (&[Choice], Option<&str>),
    can: &Capabilities,
) -> Offer {
    let fits = can.choices.filter(|limit| {
        choices.len() <= limit.count
            && choices.iter().all(|choice| choice.label.chars().count() <= limit.label_chars)
            && measure(question, can.text.unit) <= u64::from(limit.text.min(can.text.max))
    });
    let Some(limit) = fits.filter(|_| !choices.is_empty()) else {
        let asked = [text, question, &digits(choices)];
        let asked: Vec<&str> = asked.into_iter().filter(|part| !part.is_empty()).collect();
        let told = asked.join("\n\n");
        let Some(link) = link.filter(|_| can.html && !choices.is_empty()) else {
            return Offer { texts: split(&told, can.text), told: None, choices: Vec::new() };
        };
        let texts = split(&format!("{told}\n\n{link}"), can.text);
        return Offer { texts, told: Some(told), choices: Vec::new() };
    };
    let mut texts = if text.is_empty() { Vec::new() } else { split(text, can.text) };
    let with_buttons = TextLimit { max: limit.text.min(can.text.max), ..can.text };
    let joined = texts.last().map(|last| format!("{last}\n\n{question}"));
    match joined.filter(|one| measure(one, with_buttons.unit) <= u64::from(with_buttons.max)) {
        Some(joined) => {
            texts.pop();
            texts.push(joined);
        }
        None => texts.push(question.to_owned()),
    }
    Offer { texts, told: None, choices: choices.to_vec() }
}

/// `1 = Yes`, a line for each.
fn digits(choices: &[Choice]) -> String {
    let lines = choices.iter().enumerate();
    let lines: Vec<String> =
        lines.map(|(at, choice)| format!("{} = {}", at + 1, choice.label)).collect();
    lines.join("\n")
}

/// Which of so many choices an answer names, from 0: by the label that stands on a button, or by a digit that
/// stands alone. `labels` may hold those of several languages, each language's in order.
#[must_use]
pub fn chosen(answer: &str, labels: &[Vec<&str>]) -> Option<usize> {
    let said = bare(answer);
    let by_label = labels.iter().find_map(|one| one.iter().position(|label| bare(label) == said));
    let count = labels.iter().map(Vec::len).max().unwrap_or(0);
    by_label.or_else(|| digit(&said).filter(|at| (1..=count).contains(at)).map(|at| at - 1))
}

/// Lower case, without what stands around the words: brackets, full stops, the mark of a pressed button.
pub(super) fn bare(text: &str) -> String {
    let text = text.trim();
    let pressed = text.strip_prefix("[pressed:").and_then(|rest| rest.strip_suffix(']'));
    let text = pressed.unwrap_or(text).to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '★')
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// A digit that stands alone, in any of the forms in which keyboards write it.
fn digit(said: &str) -> Option<usize> {
    let mut chars = said.chars();
    let only = chars.next().filter(|_| chars.next().is_none())?;
    match only {
        '0'..='9' => only.to_digit(10).map(|digit| digit as usize),
        '０'..='９' => Some((only as usize) - ('０' as usize)),
        '一' => Some(1),
        '二' => Some(2),
        '三' => Some(3),
        '四' => Some(4),
        '五' => Some(5),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reply::tests::can;
    use super::*;
    use crate::model::{ChoiceLimit, TextUnit};

    fn choices() -> Vec<Choice> {
        let choice = |id: &str, label: &str| Choice { id: id.to_owned(), label: label.to_owned() };
        vec![choice("yes", "Yes, thanks"), choice("no", "No, a person")]
    }

    fn with(text: u32, limit: Option<ChoiceLimit>) -> Capabilities {
        let text = TextLimit { max: text, unit: TextUnit::Chars };
        Capabilities { text, choices: limit, ..can() }
    }

    const BUTTONS: ChoiceLimit = ChoiceLimit { count: 3, label_chars: 20, text: 40 };

    #[test]
    fn buttons_where_they_fit_and_digits_where_not() {
        let asked =
            |can: &Capabilities, text: &str| offer(text, "Did it help?", (&choices(), None), can);
        let plain = asked(&with(100, None), "It is so.");
        let told = "It is so.\n\nDid it help?\n\n1 = Yes, thanks\n2 = No, a person";
        assert_eq!(plain, Offer { texts: vec![told.to_owned()], told: None, choices: vec![] });

        let buttons = asked(&with(100, Some(BUTTONS)), "It is so.");
        let told = "It is so.\n\nDid it help?";
        assert_eq!(buttons, Offer { texts: vec![told.to_owned()], told: None, choices: choices() });

        // Too long for a message with buttons: the question goes alone.
        let long = "word ".repeat(8);
        let apart = asked(&with(100, Some(BUTTONS)), long.trim());
        assert_eq!(apart.texts, [long.trim(), "Did it help?"]);
        assert_eq!(apart.choices, choices());

        for limit in [
            ChoiceLimit { count: 1, ..BUTTONS },
            ChoiceLimit { label_chars: 5, ..BUTTONS },
            ChoiceLimit { text: 5, ..BUTTONS },
        ] {
            let told = asked(&with(100, Some(limit)), "It is so.");
            assert!(told.choices.is_empty() && told.texts.concat().contains("1 = Yes"), "{told:?}");
        }
        let buttons = with(100, Some(BUTTONS));
        assert_eq!(offer("", "Did it help?", (&choices(), None), &buttons).texts.len(), 1);
    }

    #[test]
    fn a_link_goes_out_with_digits_and_is_not_told_here() {
        let link = Some("https://desk.example/say/a1");
        let asked = |can: &Capabilities| offer("So.", "Did it help?", (&choices(), link), can);
        let html = Capabilities { html: true, ..with(200, None) };
        let told = "So.\n\nDid it help?\n\n1 = Yes, thanks\n2 = No, a person";
        let made = asked(&html);
        assert_eq!(made.texts, [format!("{told}\n\nhttps://desk.example/say/a1")]);
        assert_eq!(made.told(), told);
        for can in [
            Capabilities { html: false, ..html.clone() },
            Capabilities { choices: Some(BUTTONS), ..html },
        ] {
            let made = asked(&can);
            assert!(!made.texts.concat().contains("https"), "{made:?}");
            assert_eq!(made.told(), made.texts.join("\n\n"));
        }
    }

    #[test]
    fn an_answer_names_a_choice_by_label_or_digit() {
        let labels = [vec!["Yes, thanks", "No, a person"], vec!["有帮助", "没有，转人工"]];
        for (answer, expected) in [
            ("Yes, thanks", Some(0)),
            ("[pressed: No, a person]", Some(1)),
            ("yes THANKS!", Some(0)),
            ("没有，转人工", Some(1)),
            ("1", Some(0)),
            (" 2. ", Some(1)),
            ("２", Some(1)),
            ("3", None),
            ("0", None),
            ("12", None),
            ("2 of my coins are gone", None),
            ("", None),
        ] {
            assert_eq!(chosen(answer, &labels), expected, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn every_part_fits_and_nothing_is_lost(
            text in "[a-z \n]{0,300}", max in 40u32..120, buttons in any::<bool>(),
        ) {
            let can = with(max, buttons.then_some(BUTTONS));
            let made = offer(&text, "Did it help?", (&choices(), None), &can);
            for part in &made.texts {
                prop_assert!(part.chars().count() <= max as usize, "{part:?}");
            }
            if let Some(last) = made.texts.last().filter(|_| !made.choices.is_empty()) {
                prop_assert!(last.chars().count() <= 40 && last.ends_with("Did it help?"));
            }
            let words = |text: &str| -> String {
                text.chars().filter(|c| !c.is_whitespace()).collect()
            };
            prop_assert!(words(&made.texts.concat()).starts_with(&words(&text)));
        }
    }
}
