//! What the service tells in one request: where, and the fields of its form.

use chrono::DateTime;

use super::menu::Heard;
use crate::channel::shared::twilio::form::Form;
use crate::model::{Address, Scheme, Timestamp};

/// Longest name of a call, in bytes.
const SID_BYTES_MAX: usize = 64;
/// «ANONYMOUS», «RESTRICTED», «BLOCKED», «UNKNOWN», «UNAVAILABLE» on the keys of a telephone: what the service
/// gives as the number of whoever hides theirs.
const HIDDEN: &[&str] = &["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'r> {
    /// Behind `/hooks/<channel>/`.
    pub(super) path: &'r str,
    /// What we wrote into the address.
    pub(super) query: &'r Form,
    /// What the service says.
    pub(super) form: &'r Form,
}

impl Told<'_> {
    /// A field of the form that is not empty; the first, if there are several.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.form.text(name).map(|value| value.trim().to_owned())
    }

    /// A field of the query, which we wrote ourselves.
    pub(super) fn ours(&self, name: &str) -> Option<String> {
        self.query.text(name).map(|value| value.trim().to_owned())
    }

    /// Is it about an agent's line, and not the caller's?
    pub(super) fn is_of_agent(&self) -> bool {
        self.path.starts_with("agent/")
    }

    /// The call that came in; where an agent's line is told of, it is in the address. `None`: it is named in a way
    /// that is no name.
    pub(super) fn call_at_stake(&self) -> Option<String> {
        let call = if self.is_of_agent() { self.ours("c") } else { self.field("CallSid") };
        call.filter(|sid| is_sid(sid))
    }

    /// A number of seconds.
    pub(super) fn seconds(&self, name: &str) -> Option<u32> {
        self.field(name)?.parse().ok()
    }

    /// When that was which it tells of, by the service's clock.
    pub(super) fn at(&self) -> Option<Timestamp> {
        DateTime::parse_from_rfc2822(&self.field("Timestamp")?).ok().map(Into::into)
    }

    /// Was this very key pressed?
    pub(super) fn pressed(&self, key: &str) -> bool {
        self.field("Digits").as_deref() == Some(key)
    }

    /// Is the call over?
    pub(super) fn is_over(&self) -> bool {
        let status = self.field("CallStatus").unwrap_or_default();
        matches!(status.as_str(), "completed" | "busy" | "failed" | "no-answer" | "canceled")
    }

    /// Did a machine answer?
    pub(super) fn by_machine(&self) -> bool {
        let by = self.field("AnsweredBy").unwrap_or_default();
        by.starts_with("machine") || by == "fax"
    }

    /// Who calls, if they show their number.
    pub(super) fn caller(&self) -> Option<String> {
        let from = if self.is_of_agent() { self.ours("f") } else { self.field("From") }?;
        let number = Address::typed(Scheme::Tel, None, &from)?.value;
        (!HIDDEN.contains(&number.as_str())).then_some(number)
    }

    /// Did somebody of ours speak with the caller? Tells it of the end of a call to an agent.
    pub(super) fn connected(&self) -> bool {
        let status = self.field("DialCallStatus").unwrap_or_default();
        match self.field("DialBridged").as_deref() {
            Some("true") => true,
            Some(_) => false,
            // Not told: whoever answered and spoke for no second, did not speak.
            None => {
                matches!(status.as_str(), "completed" | "answered")
                    && self.seconds("DialCallDuration").unwrap_or(0) > 0
            }
        }
    }

    /// What the menu has to know.
    pub(super) fn heard(&self) -> Heard {
        Heard {
            call: self.call_at_stake().unwrap_or_default(),
            keys: self.field("Digits").filter(|keys| keys != "hangup"),
            from: self.caller(),
            connected: self.connected(),
        }
    }
}

/// Names of the service are letters and digits.
pub(super) fn is_sid(text: &str) -> bool {
    (1..=SID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_it<T>(form: &str, what: impl FnOnce(Told<'_>) -> T) -> T {
        let (form, query) = (Form::read(form.as_bytes()).unwrap(), Form::read(b"c=CA1").unwrap());
        what(Told { path: "", query: &query, form: &form })
    }

    #[test]
    fn whoever_hides_their_number_has_none() {
        assert_eq!(
            try_it("From=%2B4915112345678", |told| told.caller()).as_deref(),
            Some("+4915112345678")
        );
        for hidden in [
            "%2B266696687",
            "%2B86282452253",
            "anonymous",
            "client%3Aanna",
            "sip%3Aa%40b.example",
            "",
        ] {
            assert_eq!(try_it(&format!("From={hidden}"), |told| told.caller()), None, "{hidden}");
        }
    }

    #[test]
    fn only_who_was_connected_was_spoken_to() {
        for (form, connected) in [
            ("DialCallStatus=completed&DialBridged=true", true),
            ("DialCallStatus=completed&DialBridged=false&DialCallDuration=9", false),
            ("DialCallStatus=completed&DialCallDuration=9", true),
            ("DialCallStatus=completed", false),
            ("DialCallStatus=no-answer&DialCallDuration=9", false),
            ("", false),
        ] {
            assert_eq!(try_it(form, |told| told.connected()), connected, "{form}");
        }
    }

    #[test]
    fn a_call_has_a_plain_name() {
        assert_eq!(try_it("CallSid=CA12", |told| told.call_at_stake()).as_deref(), Some("CA12"));
        for bad in ["", "CA 1", "CA%2F..", &"x".repeat(65)] {
            assert_eq!(
                try_it(&format!("CallSid={bad}"), |told| told.call_at_stake()),
                None,
                "{bad}"
            );
        }
        assert_eq!(try_it("", |told| told.ours("c")).as_deref(), Some("CA1"));
    }
}
