//! What people write, held to limits: no text that a list, a mail header or a database would stumble over.

use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::{Problem, State};
use crate::model::{Address, Scheme, Template};

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

/// A mail address, or a telephone number, as people type them.
pub(super) fn address(field: &str, text: &str) -> Result<Address, Problem> {
    let scheme = if text.contains('@') { Scheme::Email } else { Scheme::Tel };
    Address::typed(scheme, None, &text.replace(' ', "")).ok_or_else(|| {
        let detail =
            format!("{field}: neither a mail address nor a telephone number like +15005550006");
        Problem::invalid(field, detail)
    })
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

/// Longest text, in characters.
const TEXT_CHARS_MAX: usize = 100_000;
/// Longest HTML, in bytes.
const HTML_BYTES_MAX: usize = 1024 * 1024;
/// Elements: what makes HTML safe takes time by the square of how many are within each other, and how many
/// those are only the same parser could tell. With so many it is a quarter of a second at worst.
const ELEMENTS_MAX: usize = 10_000;

/// A text of several lines.
pub(super) fn text(field: &str, text: String) -> Result<String, Problem> {
    if text.chars().count() > TEXT_CHARS_MAX {
        let detail = format!("{field}: {TEXT_CHARS_MAX} characters at most");
        return Err(Problem::invalid(field, detail));
    }
    Ok(text)
}

/// A text (or HTML) that stays here and is searched: no secret belongs into it.
pub(super) async fn no_secret(state: &State, field: &str, text: &str) -> Result<(), Problem> {
    no_secrets(state, vec![(field.to_owned(), text.to_owned())]).await
}

/// The same of several, each with the name of its field.
pub(super) async fn no_secrets(state: &State, texts: Vec<(String, String)>) -> Result<(), Problem> {
    if texts.is_empty() {
        return Ok(());
    }
    let safety = state.engine.store.safety();
    let found = tokio::task::spawn_blocking(move || {
        texts.into_iter().find_map(|(field, text)| {
            let plain = safety.scanner.scan(&text).first().map(|find| find.sort);
            let sort = plain.or_else(|| safety.scanner.mask_html(&text)?.sorts.first().copied());
            Some((field, sort?))
        })
    });
    match found.await {
        Ok(None) => Ok(()),
        Ok(Some((field, sort))) => {
            let detail =
                format!("{field}: it holds a {}: such a thing is kept nowhere", sort.words());
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Err(Problem { field: Some(field), ..Problem::new(status, "secret", detail) })
        }
        Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "try again")),
    }
}

/// HTML that can be made safe in a short time. An empty one is none.
pub(super) fn html(field: &str, html: Option<String>) -> Result<Option<String>, Problem> {
    let Some(html) = html.filter(|html| !html.trim().is_empty()) else { return Ok(None) };
    if html.len() > HTML_BYTES_MAX {
        return Err(Problem::invalid(field, format!("{field}: {HTML_BYTES_MAX} bytes at most")));
    }
    let begins = |piece: &str| piece.starts_with(|c: char| c.is_ascii_alphabetic());
    if html.split('<').skip(1).filter(|piece| begins(piece)).count() > ELEMENTS_MAX {
        let detail = format!("{field}: {ELEMENTS_MAX} elements at most");
        return Err(Problem::invalid(field, detail));
    }
    Ok(Some(html))
}

/// A message that the channel's service approved beforehand; it goes out instead of the text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenTemplate {
    /// Its name at the service.
    name: String,
    /// Which of its translations, as the service writes it: `en_US`.
    language: String,
    /// What goes into its blanks, in the service's own form.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    components: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// A template: whether it exists, and what fits into it, says the service.
pub(super) fn template(
    field: &str,
    given: Option<GivenTemplate>,
) -> Result<Option<Template>, Problem> {
    const COMPONENTS_BYTES_MAX: usize = 64 * 1024;
    let Some(given) = given else { return Ok(None) };
    let components: Vec<_> = given.components.into_iter().map(serde_json::Value::Object).collect();
    let size: usize = components.iter().map(|component| component.to_string().len()).sum();
    if size > COMPONENTS_BYTES_MAX {
        let field = format!("{field}.components");
        let detail = format!("{field}: {COMPONENTS_BYTES_MAX} bytes at most");
        return Err(Problem::invalid(&field, detail));
    }
    Ok(Some(Template {
        name: line(&format!("{field}.name"), &given.name, 512)?,
        language: line(&format!("{field}.language"), &given.language, 35)?,
        components,
    }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_that_would_take_long_is_refused() {
        assert!(html("html", Some("<div>".repeat(ELEMENTS_MAX + 1))).is_err());
        assert!(html("html", Some("<div></x>".repeat(ELEMENTS_MAX + 1))).is_err());
        let flat = Some("<p>a < b</p>".repeat(ELEMENTS_MAX));
        assert!(html("html", flat).unwrap().is_some());
        assert!(html("html", Some("x".repeat(HTML_BYTES_MAX + 1))).is_err());
        assert_eq!(html("html", Some(" ".to_owned())).unwrap(), None);
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(line("subject", "  Hello  ", 10).unwrap(), "Hello");
        for bad in ["", "  ", "a\r\nBcc: b@example.com", "a\u{1b}[31m", "far too long for it"] {
            assert_eq!(line("subject", bad, 10).unwrap_err().field.as_deref(), Some("subject"));
        }
    }

    #[test]
    fn a_template_is_named_and_not_endless() {
        let given = |name: &str, components: serde_json::Value| {
            let body =
                serde_json::json!({ "name": name, "language": "en", "components": components });
            template("template", Some(serde_json::from_value(body).unwrap()))
        };
        assert!(given("hello", serde_json::json!([{ "type": "body" }])).unwrap().is_some());
        assert_eq!(
            given(" ", serde_json::json!([])).unwrap_err().field.as_deref(),
            Some("template.name")
        );
        let long = given("hello", serde_json::json!([{ "type": "x".repeat(70_000) }]));
        assert_eq!(long.unwrap_err().field.as_deref(), Some("template.components"));
    }

    #[test]
    fn tags_are_few_and_sorted() {
        let given = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert_eq!(tags(&given(&["b", " a ", "b"])).unwrap(), ["a", "b"]);
        assert!(tags(&given(&["a,b"])).is_err());
        assert!(tags(&vec!["x".to_owned(); 51]).is_err());
    }
}
