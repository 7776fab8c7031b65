//! What stands in a request of Twilio: fields with values, as `application/x-www-form-urlencoded`.

use url::form_urlencoded;

/// More fields than this are none of Twilio's: its largest requests have about sixty.
const FIELDS_MAX: usize = 500;

/// Fields in the order in which they came; a name may come several times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a body or a query, which somebody has limited in size. `None`: there are too many fields in it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let fields = form_urlencoded::parse(bytes).take(FIELDS_MAX + 1);
        let fields: Vec<(String, String)> =
            fields.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        (fields.len() <= FIELDS_MAX).then_some(Self(fields))
    }

    /// The first value of a field, as it came: it may be empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a field, if it says anything.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// A field that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.trim().parse().ok()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<'s> FromIterator<(&'s str, &'s str)> for Form {
    fn from_iter<I: IntoIterator<Item = (&'s str, &'s str)>>(fields: I) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(fields.into_iter().map(owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_meant_and_not_without_end() {
        let form = Form::read(b"Body=a+b%2Bc&Empty=&Body=again&Num=+7+&%FF=%E4%BD%A0").unwrap();
        assert_eq!(form.get("Body"), Some("a b+c"));
        assert_eq!((form.get("Empty"), form.text("Empty")), (Some(""), None));
        assert_eq!(form.number("Num"), Some(7));
        assert_eq!(form.get("\u{fffd}"), Some("你"));
        assert_eq!(form.get("body"), None, "names have their case");
        assert_eq!(Form::read(b""), Some(Form::default()));
        assert!(Form::read("a=1&".repeat(500).as_bytes()).is_some());
        assert!(Form::read("a=1&".repeat(501).as_bytes()).is_none());
    }
}
