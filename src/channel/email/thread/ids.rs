//! Message ids as the world writes them.

/// Longest id that we keep. A line of a mail has at most 998 bytes; longer ones are noise.
const ID_BYTES_MAX: usize = 998;

/// The message ids in a header value, in order and without angle brackets.
///
/// Takes folded ids, ids with blanks inside, without brackets, with only one of them, with commas
/// between, and words around them («Your message of Tuesday <a@b>»). Never gives an empty id.
#[must_use]
pub fn ids(value: &str) -> Vec<String> {
    if value.contains('<') { bracketed(value) } else { bare(value) }
}

/// Everything between `<` and `>`; text outside counts only where it can be nothing but an id.
fn bracketed(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut pieces = value.split('<');
    if let Some(before) = pieces.next() {
        found.extend(sole(before));
    }
    for piece in pieces {
        match piece.split_once('>') {
            Some((inside, after)) => {
                found.extend(inner(inside));
                found.extend(sole(after));
            }
            // The bracket was never closed: what follows up to the next one is the id.
            None => found.extend(inner(piece)),
        }
    }
    found
}

/// An id inside brackets. Blanks in it come from folding in the middle of an id; if every piece is
/// an id by itself, then brackets are missing between them.
fn inner(text: &str) -> Vec<String> {
    let pieces: Vec<&str> = text.split_whitespace().collect();
    if pieces.len() > 1 && pieces.iter().all(|piece| looks_like_id(piece)) {
        return pieces.into_iter().filter_map(kept).collect();
    }
    kept(&pieces.concat()).into_iter().collect()
}

/// Text outside of brackets that consists of nothing but ids.
fn sole(text: &str) -> Vec<String> {
    let pieces: Vec<&str> = pieces(text).collect();
    if pieces.iter().all(|piece| looks_like_id(piece)) {
        pieces.into_iter().filter_map(kept).collect()
    } else {
        Vec::new()
    }
}

fn bare(value: &str) -> Vec<String> {
    pieces(value).filter(|piece| looks_like_id(piece)).filter_map(kept).collect()
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>'))
        .map(|piece| piece.trim_matches(['"', '\'']))
        .filter(|piece| !piece.is_empty())
}

fn looks_like_id(text: &str) -> bool {
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

fn kept(id: &str) -> Option<String> {
    let noise = |c: &char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    let id: String = id.chars().filter(|c| !noise(c)).collect();
    let id = id.trim_matches('"');
    (!id.is_empty() && id != "@" && id.len() <= ID_BYTES_MAX).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::ids;

    // COMPLAINTS W1, W4, L26: how clients write ids. An empty one is never an id.
    #[test]
    fn every_shape_gives_its_ids_and_nothing_gives_an_empty_one() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("   ", &[]),
            ("<>", &[]),
            ("< >", &[]),
            ("<> <a@b> <\r\n\t>", &["a@b"]),
            ("@", &[]),
            ("<@>", &[]),
            // Gmail, Thunderbird
            ("<CAF+x=1@mail.gmail.com>", &["CAF+x=1@mail.gmail.com"]),
            ("<a@b> <c@d>", &["a@b", "c@d"]),
            // Apple Mail: one line each
            (
                "<A1B2-1@me.com>\n <A1B2-2@me.com>\n <A1B2-3@me.com>",
                &["A1B2-1@me.com", "A1B2-2@me.com", "A1B2-3@me.com"],
            ),
            // Outlook folds inside of long ids
            (
                "\r\n <DB7PR01MB1234\r\n 567890@DB7PR01.prod.outlook.com>",
                &["DB7PR01MB1234567890@DB7PR01.prod.outlook.com"],
            ),
            // Outlook Web: commas; others: no blank at all
            ("<a@b>,<c@d>", &["a@b", "c@d"]),
            ("<a@b><c@d>", &["a@b", "c@d"]),
            // Lotus
            (
                "<OF1234ABCD.5678EF90-ON85257B5E.0012@LocalDomain> from \"J Doe\"",
                &["OF1234ABCD.5678EF90-ON85257B5E.0012@LocalDomain"],
            ),
            // the old form of RFC 822
            ("Your message of \"Tue, 1 Jan 2019 10:00:00 +0100\" <a@b>", &["a@b"]),
            ("message from Jane on Monday", &[]),
            // brackets missing, in all ways
            ("a@b", &["a@b"]),
            ("a@b c@d", &["a@b", "c@d"]),
            ("a@b <c@d>", &["a@b", "c@d"]),
            ("<a@b", &["a@b"]),
            ("a@b>", &["a@b"]),
            ("<a@b <c@d>", &["a@b", "c@d"]),
            ("<a@b c@d>", &["a@b", "c@d"]),
            ("\"<a@b>\"", &["a@b"]),
            ("<<a@b>>", &["a@b"]),
            ("a>@b", &[]),
            ("a@b>c@d", &["a@b", "c@d"]),
            // without @, but with brackets: broken, yet it names a mail
            ("<20190101.1234>", &["20190101.1234"]),
            // blanks inside
            ("<a b@c>", &["ab@c"]),
            ("<a\0b@c>", &["ab@c"]),
        ];
        for (value, expected) in table {
            assert_eq!(ids(value), *expected, "{value:?}");
        }
    }
}
