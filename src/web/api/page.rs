//! Lists in pages: a limit, and a cursor that goes on behind the last item, whatever came meanwhile.

use axum::http::StatusCode;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::Problem;

/// Items of one page where nothing else was asked for.
const LIMIT_USUAL: u32 = 50;
/// Items of one page.
const LIMIT_MAX: u32 = 200;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// In order.
    pub(super) items: Vec<T>,
    /// For `cursor` of the next page. Null: there is nothing more.
    pub(super) next_cursor: Option<String>,
}

/// Which part of a list, where nothing else can be asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    pub(super) cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of a list that was asked for one item more than is wanted, to see whether there is one.
    pub(super) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| cursor(last).text());
        Self { items, next_cursor }
    }
}

/// How many items are wanted.
pub(super) fn limit(wanted: Option<u32>) -> Result<usize, Problem> {
    match wanted.unwrap_or(LIMIT_USUAL) {
        0 => {
            let text = format!("limit: 1 to {LIMIT_MAX}");
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", text))
        }
        wanted => Ok(usize::try_from(wanted.min(LIMIT_MAX)).unwrap_or(1)),
    }
}

/// How many items to ask the store for, to see whether there are more.
pub(super) const fn and_one(limit: usize) -> u64 {
    limit as u64 + 1
}

/// Where a list goes on. Outside it is an opaque text; inside it names the list and the order that it was
/// made for, so that no other list takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    list: &'static str,
    place: Vec<String>,
}

impl Cursor {
    pub(super) fn new(list: &'static str, place: impl IntoIterator<Item = String>) -> Self {
        Self { list, place: place.into_iter().collect() }
    }

    pub(super) fn text(&self) -> String {
        let parts = std::iter::once(self.list).chain(self.place.iter().map(String::as_str));
        BASE64URL_NOPAD.encode(parts.collect::<Vec<_>>().join(" ").as_bytes())
    }

    /// The place that a cursor of this list names.
    pub(super) fn read(list: &str, text: &str) -> Result<Vec<String>, Problem> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let plain = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let place = plain.as_deref().and_then(|plain| plain.strip_prefix(list)?.strip_prefix(' '));
        let place = place.ok_or_else(bad_cursor)?;
        Ok(place.split(' ').map(str::to_owned).collect())
    }

    /// The same where the place is a single number.
    pub(super) fn number(list: &str, text: &str) -> Result<i64, Problem> {
        match Self::read(list, text)?.as_slice() {
            [number] => number.parse().map_err(|_| bad_cursor()),
            _ => Err(bad_cursor()),
        }
    }
}

pub(super) fn bad_cursor() -> Problem {
    let text = "cursor: not one that this list gave in this order";
    Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = Cursor::new("messages", ["42".to_owned()]);
        assert_eq!(Cursor::number("messages", &cursor.text()).unwrap(), 42);
        for (list, text) in [
            ("tickets", cursor.text()),
            ("message", cursor.text()),
            ("messages", "!".to_owned()),
            ("messages", String::new()),
            ("messages", Cursor::new("messages", ["x".to_owned()]).text()),
            ("messages", Cursor::new("messages", ["1".to_owned(), "2".to_owned()]).text()),
        ] {
            assert_eq!(
                Cursor::number(list, &text).unwrap_err().code,
                "bad_cursor",
                "{list} {text}"
            );
        }
    }

    #[test]
    fn a_limit_is_capped_and_never_nothing() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some(1_000_000)).unwrap(), 200);
        assert!(limit(Some(0)).is_err());
    }
}
