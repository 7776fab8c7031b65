//! What people write, held to limits: no text that a list, a mail header or a database would stumble over.

use super::super::Problem;

/// A text of one line: a subject, a name, a tag. Blanks around it are cut away.
pub(super) fn line(field: &str, text: &str, chars_max: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::invalid(field, format!("{field}: it is empty")));
    }
    if text.chars().any(char::is_control) {
        let detail = format!("{field}: no line breaks or other control characters");
        return Err(Problem::invalid(field, detail));
    }
    if text.chars().count() > chars_max {
        return Err(Problem::invalid(field, format!("{field}: {chars_max} characters at most")));
    }
    Ok(text.to_owned())
}

/// The same where an empty text (or null) empties it.
pub(super) fn line_or_none(
    field: &str,
    text: Option<String>,
    chars_max: usize,
) -> Result<Option<String>, Problem> {
    let text = text.filter(|text| !text.trim().is_empty());
    text.map(|text| line(field, &text, chars_max)).transpose()
}

/// Tags. No commas: lists of them are separated by those.
pub(super) fn tags(tags: &[String]) -> Result<Vec<String>, Problem> {
    const COUNT_MAX: usize = 50;
    if tags.len() > COUNT_MAX {
        return Err(Problem::invalid("tags", format!("tags: {COUNT_MAX} at most")));
    }
    let checked = tags.iter().map(|tag| {
        if tag.contains(',') {
            return Err(Problem::invalid("tags", "tags: no commas within one"));
        }
        line("tags", tag, 64)
    });
    let mut checked = checked.collect::<Result<Vec<String>, Problem>>()?;
    checked.sort();
    checked.dedup();
    Ok(checked)
}
