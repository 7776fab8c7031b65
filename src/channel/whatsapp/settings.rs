//! `[channels.<name>]` with `kind = "whatsapp"`: read and checked.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::account::Account;
use super::code;
use crate::channel::shared::graph::account::Graph;
use crate::channel::shared::graph::hook::Door;
use crate::channel::shared::graph::settings as check;
use crate::channel::shared::http::Http;
use crate::channel::{BadChannel, Table, settings};
use crate::model::{Address, ChannelName, Scheme, Secret};

const API_URL: &str = "https://graph.facebook.com";
const MEDIA_URL: &str = "https://lookaside.fbsbx.com";

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
    let phone_number_id = check::digits(name, "phone_number_id", &given.phone_number_id)?;
    let account = given.account.as_deref().map(|id| check::digits(name, "account", id));
    let number = match given.number.as_deref() {
        None => None,
        Some(text) => {
            let read = Address::typed(Scheme::Tel, None, &text.replace(' ', ""));
            let expected = "expected +, the country and the number, in digits";
            Some(read.ok_or_else(|| BadChannel::at(name, "number", expected))?.value)
        }
    };
    check::secrets(
        name,
        [
            ("token", Some(&given.token)),
            ("app_secret", Some(&given.app_secret)),
            ("previous_app_secret", given.previous_app_secret.as_ref()),
            ("verify_token", Some(&given.verify_token)),
        ],
    )?;
    let api = check::url(name, "api_url", given.api_url.as_deref(), API_URL)?;
    let media = check::url(name, "media_url", given.media_url.as_deref(), MEDIA_URL)?;
    let graph = Graph {
        http: Http::new(&[api.clone(), media]),
        api,
        version: check::version(name, given.api_version)?,
        token: given.token,
        app_secret: given.app_secret.clone(),
        codes: code::CODES,
    };
    let secrets = std::iter::once(given.app_secret).chain(given.previous_app_secret).collect();
    Ok(Settings {
        door: Door { secrets, verify_token: given.verify_token },
        account: Account { graph, phone_number_id: phone_number_id.clone() },
        phone_number_id,
        business: account.transpose()?,
        number,
    })
}
