//! `[channels.<name>]` with `kind = "sms"`: read and checked.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::callback;
use super::files::Network;
use crate::channel::shared::tls::is_loopback;
use crate::channel::shared::twilio::rest::Account;
use crate::channel::shared::twilio::settings::{Access, Given as Common, name_of};
use crate::channel::shared::twilio::signature::Door;
use crate::channel::{BadChannel, Site, Table, settings};
use crate::model::{Address, ChannelName, Scheme, Secret};

const POLL_SECONDS: u16 = 60;
const POLL_SECONDS_MAX: u16 = 3600;
/// What stands before a number on WhatsApp.
pub(super) const WHATSAPP: &str = "whatsapp:";

/// The table as it stands in TOML.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The account's name at Twilio: `AC` and 32 digits.
    account_sid: String,
    /// The account's token: Twilio signs with it what it pushes, and it opens the interface unless there is an
    /// `api_key`.
    auth_token: Secret,
    /// Another token that signs, while one is replaced by the other.
    secondary_auth_token: Option<Secret>,
    /// A key that opens the interface instead of the token: `SK` and 32 digits.
    api_key: Option<String>,
    /// The key's secret.
    api_secret: Option<Secret>,
    /// Our number: `+15005550006`, a short code, a name that sends only, or `whatsapp:+15005550006`.
    number: Option<String>,
    /// A messaging service (`MG` and 32 digits), which chooses the number that sends. Instead of `number`, or
    /// beside it.
    messaging_service_sid: Option<String>,
    /// Does Twilio reach us at `http.public_url`? It does, unless that is this machine's own address.
    webhook: Option<bool>,
    /// May files go out? Twilio fetches them from `http.public_url`, so it has to reach us. On WhatsApp they may, if
    /// it does; as MMS only if this says so: most numbers outside of the USA and Canada send none.
    files: Option<bool>,
    /// Does each part of a text that is too long for one message say which one it is, `(1/3)`? Default: no. Not on
    /// WhatsApp.
    numbered: Option<bool>,
    /// Who writes one of these, alone or before a number, wants to be called; without it: CALL, CALL ME, CALL BACK,
    /// CALLBACK, 回电, 请回电, 给我回电. Empty: nobody does so by SMS.
    call_words: Option<Vec<String>>,
    /// How often Twilio is asked for what it could not push, in seconds.
    poll_seconds: Option<u16>,
    /// How many messages we hand over in a minute; what is more waits here. Twilio sends one a second for a
    /// number, and keeps the rest for hours.
    rate_per_minute: Option<u32>,
    /// Where Twilio is called: the address of one of its regions, for example.
    api_url: Option<String>,
    /// Where files are, if they do not lie on the open internet: a proxy of one's own. It is given no token.
    media_url: Option<String>,
}

pub(super) fn schema() -> Schema {
    schemars::schema_for!(Given)
}

/// Who we are at Twilio.
#[derive(Debug, Clone)]
pub(super) struct Own {
    /// As Twilio writes it: `+15005550006`, `whatsapp:+15005550006`.
    pub(super) number: Option<String>,
    pub(super) service: Option<String>,
    pub(super) whatsapp: bool,
}

impl Own {
    /// Is it for, or from, this number or service of ours?
    pub(super) fn is(&self, number: Option<&str>, service: Option<&str>) -> bool {
        match &self.number {
            Some(own) => {
                number == Some(own.as_str()) || (service.is_some() && self.serves(service))
            }
            None => self.serves(service),
        }
    }

    fn serves(&self, service: Option<&str>) -> bool {
        self.service.as_deref().is_some_and(|own| service == Some(own))
    }

    /// Somebody's number as calls want it.
    pub(super) fn dialled(&self, value: &str) -> String {
        if self.whatsapp { format!("{WHATSAPP}{value}") } else { value.to_owned() }
    }

    /// Our own address, as people know it. A short code, a name or a service stands for itself: it is nobody's number.
    pub(super) fn address(&self) -> Option<Address> {
        let own = self.number.as_deref().or(self.service.as_deref())?;
        let own = own.strip_prefix(WHATSAPP).unwrap_or(own);
        let number = Address::typed(Scheme::Tel, None, own);
        let named = || Address { scheme: Scheme::Tel, scope: None, value: own.to_owned() };
        Some(number.unwrap_or_else(named))
    }
}

/// What the settings say.
pub(super) struct Settings {
    pub(super) account: Account,
    pub(super) door: Door,
    pub(super) own: Own,
    pub(super) webhook: bool,
    /// How files go out; `None`: they do not.
    pub(super) files: Option<Network>,
    pub(super) numbered: bool,
    pub(super) call_words: Vec<String>,
    pub(super) poll_seconds: u16,
    pub(super) rate_per_minute: Option<u32>,
}

pub(super) fn read(name: &ChannelName, table: Table, site: &Site) -> Result<Settings, BadChannel> {
    let given: Given = settings(name, table)?;
    let common = Common {
        account_sid: given.account_sid,
        auth_token: given.auth_token,
        secondary_auth_token: given.secondary_auth_token,
        api_key: given.api_key,
        api_secret: given.api_secret,
        api_url: given.api_url,
        media_url: given.media_url,
    };
    let Access { account, door } = common.check(name, site)?;
    let number = given.number.as_deref().map(|number| own_number(name, number)).transpose()?;
    let service = given.messaging_service_sid.as_deref();
    let service =
        service.map(|sid| name_of(name, "messaging_service_sid", "MG", sid)).transpose()?;
    if number.is_none() && service.is_none() {
        let expected = "expected a number of ours, or messaging_service_sid";
        return Err(BadChannel::at(name, "number", expected));
    }
    let poll_seconds = given.poll_seconds.unwrap_or(POLL_SECONDS);
    if !(1..=POLL_SECONDS_MAX).contains(&poll_seconds) {
        return Err(BadChannel::at(name, "poll_seconds", "expected 1 to 3600 seconds"));
    }
    let whatsapp = number.as_deref().is_some_and(|number| number.starts_with(WHATSAPP));
    let own = Own { number, service, whatsapp };
    let numbered = given.numbered.unwrap_or(false);
    if numbered && whatsapp {
        let problem = "only the parts of an SMS are numbered, and this is a number on WhatsApp";
        return Err(BadChannel::at(name, "numbered", problem));
    }
    // Twilio refuses every message whose news it is to bring to an address that it cannot reach.
    let reachable = reaches_us(&site.public_url) || !reaches_us(account.api().as_str());
    let webhook = given.webhook.unwrap_or(reachable);
    if given.files == Some(true) && !webhook {
        let problem = "Twilio fetches files from us, and does not reach us: see `webhook` and http.public_url";
        return Err(BadChannel::at(name, "files", problem));
    }
    let call_words = given
        .call_words
        .unwrap_or_else(|| callback::WORDS.iter().map(|word| (*word).to_owned()).collect());
    let fits = |word: &String| {
        let chars = word.chars().count();
        let named = !callback::bare(word).is_empty() && chars <= callback::WORD_CHARS_MAX;
        word.trim() == word && named
    };
    if !call_words.iter().all(fits) {
        let problem = "expected words of 1 to 40 characters, with no space around them";
        return Err(BadChannel::at(name, "call_words", problem));
    }
    let network = if whatsapp { Network::Whatsapp } else { Network::Mms };
    let files = given.files.unwrap_or(whatsapp && webhook).then_some(network);
    Ok(Settings {
        account,
        door,
        own,
        webhook,
        files,
        numbered,
        call_words,
        poll_seconds,
        rate_per_minute: given.rate_per_minute,
    })
}

/// Is it somewhere else than on this machine?
fn reaches_us(address: &str) -> bool {
    let url = url::Url::parse(address).ok();
    url.is_some_and(|url| url.host_str().is_some_and(|host| !is_loopback(host)))
}

/// A number, a short code, or a name of up to eleven letters and digits.
fn own_number(name: &ChannelName, given: &str) -> Result<String, BadChannel> {
    let given = given.replace(' ', "");
    let (prefix, number) = match given.strip_prefix(WHATSAPP) {
        Some(number) => (WHATSAPP, number),
        None => ("", given.as_str()),
    };
    if let Some(address) = Address::typed(Scheme::Tel, None, number) {
        return Ok(format!("{prefix}{}", address.value));
    }
    let plain = number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if prefix.is_empty() && plain && (3..=11).contains(&number.len()) {
        return Ok(given);
    }
    let expected =
        "expected +, the country and the number; a short code; or whatsapp: and a number";
    Err(BadChannel::at(name, "number", expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::shared::twilio::settings::trial;

    /// At which key, and why, this is refused.
    fn refused(more: &str) -> Option<(String, String)> {
        let read = read(&"sms".parse().unwrap(), trial::table(more), &trial::site());
        let BadChannel::Setting { path, problem, .. } = read.err()? else { panic!("no setting") };
        Some((path, problem))
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        let (sms, whatsapp) = ("number = '+15005550006'", "number = 'whatsapp:+15005550006'");
        for good in ["", "numbered = true", "call_words = []", "call_words = ['Ring me!', '回电']"]
        {
            assert_eq!(refused(&format!("{sms}\n{good}")), None, "{good}");
        }
        assert_eq!(refused(&format!("{whatsapp}\nnumbered = false")), None);
        let (path, problem) = refused(&format!("{whatsapp}\nnumbered = true")).unwrap();
        assert!(path == "numbered" && problem.contains("WhatsApp"), "{path}: {problem}");
        for bad in ["''", "'!'", "' call'", &format!("'{}'", "x".repeat(41))] {
            let (path, problem) = refused(&format!("{sms}\ncall_words = [{bad}]")).unwrap();
            assert!(path == "call_words" && problem.contains("40"), "{bad}: {path}: {problem}");
        }
    }

    #[test]
    fn a_number_is_written_in_one_way() {
        let name: ChannelName = "sms".parse().unwrap();
        let of = |given: &str| own_number(&name, given).ok();
        assert_eq!(of("+1 500 555-0006").as_deref(), Some("+15005550006"));
        assert_eq!(of("whatsapp:+15005550006").as_deref(), Some("whatsapp:+15005550006"));
        assert_eq!(of("12345").as_deref(), Some("12345"));
        assert_eq!(of("ACME").as_deref(), Some("ACME"));
        for bad in [
            "",
            "+",
            "+1",
            "15005550006x!",
            "whatsapp:12345",
            "whatsapp:",
            "a b c d e f g h i j k l",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_for_another_number_is_not_ours() {
        let own = |number: Option<&str>, service: Option<&str>| Own {
            number: number.map(str::to_owned),
            service: service.map(str::to_owned),
            whatsapp: false,
        };
        let number = own(Some("+1"), None);
        assert!(number.is(Some("+1"), None) && number.is(Some("+1"), Some("MG2")));
        assert!(!number.is(Some("+2"), Some("MG2")) && !number.is(None, None));
        let service = own(None, Some("MG1"));
        assert!(service.is(Some("+2"), Some("MG1")) && !service.is(Some("+2"), None));
        let both = own(Some("+1"), Some("MG1"));
        assert!(both.is(Some("+1"), None) && both.is(Some("+2"), Some("MG1")));
        assert!(!both.is(Some("+2"), None));
        let addresses = [&number, &service, &both].map(|own| own.address().unwrap().value);
        assert_eq!(
            addresses,
            ["+1", "MG1", "+1"],
            "a channel without an address could not write first"
        );
    }
}
