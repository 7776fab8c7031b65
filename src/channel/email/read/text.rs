//! Text as it is shown: no control characters, one kind of line end, flowed lines joined.

/// Text of several lines, fit to be shown: line ends become `\n`; NUL, other controls, and what turns
/// the direction of writing around are left out.
pub(super) fn shown(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' => {
                let mut more = 0_usize;
                while rest.next_if_eq(&'\r').is_some() {
                    more += 1;
                }
                // Some relays write CR CR LF for one line end.
                if rest.next_if_eq(&'\n').is_some() {
                    more = 0;
                }
                kept.extend(std::iter::repeat_n('\n', more + 1));
            }
            '\u{2028}' | '\u{2029}' | '\u{85}' | '\u{b}' | '\u{c}' => kept.push('\n'),
            '\n' | '\t' => kept.push(c),
            _ if c.is_control() || turns_direction(c) || is_noise(c) => {}
            _ => kept.push(c),
        }
    }
    tidy(&kept)
}

/// No blanks at line ends, never more than two empty lines, none at the begin and end.
fn tidy(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut empty = 0_usize;
    for line in text.split('\n') {
        // The blank of a signature's `-- ` has to stay: it is what tells it apart.
        let line = if line == "-- " { line } else { line.trim_end() };
        if line.is_empty() {
            empty += 1;
            continue;
        }
        if !kept.is_empty() {
            for _ in 0..=empty.min(2) {
                kept.push('\n');
            }
        }
        empty = 0;
        kept.push_str(line);
    }
    kept
}

/// One line, fit to be shown: subject, name.
pub(super) fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_whitespace() || is_line_end(c) { ' ' } else { c })
        .filter(|c| !c.is_control() && !turns_direction(*c) && !is_noise(*c) && !is_invisible(*c))
        .collect();
    plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}' | '\0')
}

/// Overrides and isolates of the bidirectional algorithm: with one, `exe.pdf` is really `fdp.exe`.
pub(super) fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Marks of byte order and of objects, which no one types.
fn is_noise(c: char) -> bool {
    matches!(c, '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}' | '\u{FFFE}' | '\u{FFFF}')
}

/// Takes no room on the screen, and so makes two names look the same. Joiners are kept in running
/// text, where emoji and some scripts need them.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{00AD}'
        | '\u{180E}' | '\u{E0000}'..='\u{E007F}')
}

/// The first `max` bytes, cut between two characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Joins the lines of `format=flowed` (RFC 3676). `delsp`: the blank before the break goes, too.
pub(super) fn unflow(text: &str, delsp: DelSp) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut open: Option<usize> = None;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let depth = line.bytes().take_while(|byte| *byte == b'>').count();
        let content = line.get(depth..).unwrap_or_default();
        let content = content.strip_prefix(' ').unwrap_or(content);
        let signature = content == "-- ";
        let continues = open == Some(depth) && !signature;
        if !continues {
            if !joined.is_empty() || open.is_some() {
                joined.push('\n');
            }
            joined.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !content.is_empty() {
                joined.push(' ');
            }
        }
        let flows = content.ends_with(' ') && !signature;
        match delsp {
            DelSp::Yes if flows => joined.push_str(content.strip_suffix(' ').unwrap_or(content)),
            DelSp::Yes | DelSp::No => joined.push_str(content),
        }
        open = flows.then_some(depth);
        if joined.is_empty() && open.is_none() {
            joined.push('\n');
        }
    }
    joined
}

/// The parameter `DelSp` of `format=flowed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DelSp {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    // FAULTS 83, 87
    #[test]
    fn controls_and_overrides_are_not_shown() {
        assert_eq!(shown("a\0b\x1b[31m\r\nc\rd\u{202E}e\u{9b}\u{FEFF}  \n\n\n\n\nf\n\n"), {
            "ab[31m\nc\nde\n\n\nf"
        });
        assert_eq!(shown("a\r\r\nb\r\rc"), "a\nb\n\nc");
        assert_eq!(one_line(" a\r\n\tb\0c\u{202E}\u{200B}d\u{2028}e "), "a b cd e");
        assert_eq!(shown("x 👩‍👩‍👧 y"), "x 👩‍👩‍👧 y", "joiners stay");
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("钱包", 4), "钱");
        assert_eq!(cut("ab", 9), "ab");
    }

    #[test]
    fn flowed_lines_are_joined_by_depth() {
        let text = "This is \r\none line.\r\n\r\n> quoted \r\n> text\r\n>> deeper \r\n> back\r\n- -\r\n-- \r\nMe \r\nhere";
        let joined = unflow(text, DelSp::No);
        assert_eq!(
            joined,
            "This is one line.\n\n> quoted text\n>> deeper \n> back\n- -\n-- \nMe here"
        );
        assert_eq!(unflow("钱 \r\n包 \r\n \r\nx", DelSp::Yes), "钱包\nx");
        assert_eq!(unflow(" >not a quote", DelSp::No), ">not a quote");
    }
}
