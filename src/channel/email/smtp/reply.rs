//! What an SMTP server answers: three digits, perhaps an enhanced code (RFC 3463), words.

use std::fmt;

/// Longest text of a server that is kept, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// One whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// `5.1.1`
    pub(super) enhanced: Option<(u16, u16, u16)>,
    /// The words of each line, without codes.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// Puts the lines of one reply together, each without its line end. `None`: that is no reply.
    pub(super) fn read(lines: &[Vec<u8>]) -> Option<Self> {
        let mut reply = Self { code: 0, enhanced: None, lines: Vec::new() };
        for line in lines {
            let text = String::from_utf8_lossy(line);
            let code = code_of(line)?;
            if reply.code != 0 && reply.code != code {
                return None;
            }
            reply.code = code;
            let words = text.get(4..).unwrap_or_default().trim();
            let (enhanced, words) = split_enhanced(code, words);
            reply.enhanced = reply.enhanced.or(enhanced);
            reply.lines.push(clean(words));
        }
        (reply.code != 0).then_some(reply)
    }

    /// Done as asked.
    pub(super) const fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    /// No, but perhaps later.
    pub(super) const fn is_passing(&self) -> bool {
        self.code / 100 == 4
    }

    /// No.
    pub(super) const fn is_final(&self) -> bool {
        self.code / 100 == 5
    }

    /// Takes a text out that nobody may read: a server may quote what it refuses.
    pub(super) fn without(mut self, secret: &str) -> Self {
        if !secret.is_empty() {
            for line in &mut self.lines {
                *line = line.replace(secret, "***");
            }
        }
        self
    }

    /// The words of all lines.
    pub(super) fn text(&self) -> String {
        let words: Vec<&str> =
            self.lines.iter().map(String::as_str).filter(|line| !line.is_empty()).collect();
        words.join(" ").chars().take(TEXT_CHARS_MAX).collect()
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some((class, subject, detail)) = self.enhanced {
            write!(f, " {class}.{subject}.{detail}")?;
        }
        let text = self.text();
        if text.is_empty() { Ok(()) } else { write!(f, " {text}") }
    }
}

/// Does another line of the same reply follow this one?
pub(super) fn goes_on(line: &[u8]) -> bool {
    line.get(3) == Some(&b'-')
}

/// `250`, followed by a space, a hyphen or nothing.
fn code_of(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    let behind = matches!(line.get(3), None | Some(b' ' | b'-'));
    let valid =
        matches!(digits.first(), Some(b'2'..=b'5')) && digits.iter().all(u8::is_ascii_digit);
    (valid && behind).then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// An enhanced code counts only if its class is that of the reply.
fn split_enhanced(code: u16, words: &str) -> (Option<(u16, u16, u16)>, &str) {
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    let mut numbers = word.splitn(3, '.').map(|number| {
        let valid = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        valid.then(|| number.parse::<u16>().ok()).flatten()
    });
    match (numbers.next().flatten(), numbers.next().flatten(), numbers.next().flatten()) {
        (Some(class), Some(subject), Some(detail)) if class == code / 100 => {
            (Some((class, subject, detail)), rest.trim_start())
        }
        _ => (None, words),
    }
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Reply> {
        let lines: Vec<Vec<u8>> = text.split('|').map(|line| line.as_bytes().to_vec()).collect();
        Reply::read(&lines)
    }

    #[test]
    fn replies_of_all_shapes_are_read() {
        let cases = [
            ("250 OK", 250, None, "250 OK"),
            ("250", 250, None, "250"),
            ("250-a|250 b", 250, None, "250 a b"),
            ("550 5.1.1 no such user", 550, Some((5, 1, 1)), "550 5.1.1 no such user"),
            ("550-5.7.26 This|550-5.7.26 mail|550 5.7.26 no", 550, Some((5, 7, 26)), {
                "550 5.7.26 This mail no"
            }),
            ("535 5.7.139 Authentication", 535, Some((5, 7, 139)), "535 5.7.139 Authentication"),
            ("550 4.1.1 odd", 550, None, "550 4.1.1 odd"),
            ("250 2.0 half", 250, None, "250 2.0 half"),
            ("550 5.1.1", 550, Some((5, 1, 1)), "550 5.1.1"),
            ("421 b\u{7}el", 421, None, "421 b el"),
        ];
        for (text, code, enhanced, shown) in cases {
            let reply = read(text).unwrap();
            assert_eq!((reply.code, reply.enhanced), (code, enhanced), "{text}");
            assert_eq!(reply.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_reply_is_not_taken_for_one() {
        for text in ["", "25", "2500 x", "25x y", "199 x", "600 x", "250-a|251 b", "* OK", " 250 a"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_quoted_secret_is_taken_out() {
        let reply = read("535 5.7.8 bad: AGEAZ2VoZWlt").unwrap().without("AGEAZ2VoZWlt");
        assert_eq!(reply.to_string(), "535 5.7.8 bad: ***");
    }
}
