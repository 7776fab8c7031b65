//! `[channels.<name>]` with `kind = "whatsapp"`: read and checked.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::account::Account;
use super::hook::Door;
use crate::channel::shared::http::{Http, base_url};
use crate::channel::{BadChannel, Table, settings};
use crate::model::{Address, ChannelName, Scheme, Secret};

const API_URL: &str = "https://graph.facebook.com";
const MEDIA_URL: &str = "https://lookaside.fbsbx.com";
/// The version for which this was written.
const API_VERSION: &str = "v25.0";

/// The table as it stands in TOML.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The service's id of our number: digits, not the number itself.
    phone_number_id: String,
    /// Our number as people dial it, `+4915112345678`.
    number: Option<String>,
    /// The id of the WhatsApp Business account to which the number belongs: news of other accounts are then
    /// ignored.
    account: Option<String>,
    /// The token of a system user, with the rights `whatsapp_business_messaging` and
    /// `whatsapp_business_management`.
    token: Secret,
    /// The app's secret: the service signs with it what it pushes.
    app_secret: Secret,
    /// The secret before it, as long as both are in use.
    previous_app_secret: Option<Secret>,
    /// What was entered as «verify token» beside the address to push to.
    verify_token: Secret,
    /// Where the Graph API is.
    api_url: Option<String>,
    /// Its version.
    api_version: Option<String>,
    /// Where files are: no other host but this and that of `api_url` is given the token.
    media_url: Option<String>,
}

pub(super) fn schema() -> Schema {
    schemars::schema_for!(Given)
}

/// What the settings say.
pub(super) struct Settings {
    pub(super) phone_number_id: String,
    /// The business account, if it is told.
    pub(super) business: Option<String>,
    pub(super) number: Option<String>,
    pub(super) door: Door,
    pub(super) account: Account,
}

pub(super) fn read(name: &ChannelName, table: Table) -> Result<Settings, BadChannel> {
    let given: Given = settings(name, table)?;
    let at = |path: &str, problem: String| BadChannel::at(name, path, problem);
    let digits = |path: &str, text: &str| {
        let fits = (5..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let expected = "expected the id that the app's dashboard shows, in digits";
        if fits { Ok(text.to_owned()) } else { Err(at(path, expected.to_owned())) }
    };
    let phone_number_id = digits("phone_number_id", given.phone_number_id.trim())?;
    let account = given.account.as_deref().map(|id| digits("account", id.trim())).transpose()?;
    let number = match given.number.as_deref() {
        None => None,
        Some(text) => {
            let read = Address::typed(Scheme::Tel, None, &text.replace(' ', ""));
            let expected = "expected +, the country and the number, in digits";
            Some(read.ok_or_else(|| at("number", expected.to_owned()))?.value)
        }
    };
    for (path, secret) in [
        ("token", Some(&given.token)),
        ("app_secret", Some(&given.app_secret)),
        ("previous_app_secret", given.previous_app_secret.as_ref()),
        ("verify_token", Some(&given.verify_token)),
    ] {
        if secret.is_some_and(|secret| !is_sane(secret)) {
            let expected =
                "expected what the app's dashboard shows, without blanks; it is empty or too short";
            return Err(at(path, expected.to_owned()));
        }
    }
    let version = given.api_version.unwrap_or_else(|| API_VERSION.to_owned());
    let numbers = version.strip_prefix('v').and_then(|version| version.split_once('.'));
    let whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !numbers.is_some_and(|(major, minor)| whole(major) && whole(minor)) {
        return Err(at("api_version", format!("expected a version like {API_VERSION}")));
    }
    let url = |path: &str, given: Option<String>, usual: &str| {
        base_url(given.as_deref().unwrap_or(usual)).map_err(|problem| at(path, problem))
    };
    let api = url("api_url", given.api_url, API_URL)?;
    let media = url("media_url", given.media_url, MEDIA_URL)?;
    let http = Http::new(&[api.clone(), media]);
    let secrets = std::iter::once(given.app_secret).chain(given.previous_app_secret).collect();
    Ok(Settings {
        door: Door { secrets, verify_token: given.verify_token },
        account: Account {
            http,
            api,
            version,
            token: given.token,
            phone_number_id: phone_number_id.clone(),
        },
        phone_number_id,
        business: account,
        number,
    })
}

/// Short ones can be guessed, and blanks come from copying.
fn is_sane(secret: &Secret) -> bool {
    const BYTES_MIN: usize = 8;
    let text = secret.reveal();
    text.len() >= BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic())
}
