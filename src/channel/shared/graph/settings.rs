//! Checks that the settings of all products need, and the settings of channels that speak for a page or an account.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use url::Url;

use super::account::Graph;
use super::hook::Door;
use super::media::Hosts;
pub use crate::channel::shared::check::{secrets, url};
use crate::channel::shared::codes::Codes;
use crate::channel::shared::http::Http;
use crate::channel::{BadChannel, Table, settings};
use crate::model::{ChannelName, Realm, Secret};

/// Where pages are called.
const FACEBOOK_URL: &str = "https://graph.facebook.com";
/// Where accounts with the Instagram login are called.
const INSTAGRAM_URL: &str = "https://graph.instagram.com";
/// The version for which this was written.
const API_VERSION: &str = "v25.0";

/// An id that the app's dashboard shows, in digits.
pub fn digits(name: &ChannelName, path: &str, given: &str) -> Result<String, BadChannel> {
    let text = given.trim();
    let fits = (5..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let expected = "expected the id that the app's dashboard shows, in digits";
    if fits { Ok(text.to_owned()) } else { Err(BadChannel::at(name, path, expected)) }
}

/// `api_version`, or the one for which this was written.
pub fn version(name: &ChannelName, given: Option<String>) -> Result<String, BadChannel> {
    let version = given.unwrap_or_else(|| API_VERSION.to_owned());
    let numbers = version.strip_prefix('v').and_then(|version| version.split_once('.'));
    let whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.is_some_and(|(major, minor)| whole(major) && whole(minor)) {
        return Ok(version);
    }
    let problem = format!("expected a version like {API_VERSION}");
    Err(BadChannel::at(name, "api_version", problem))
}

/// A channel that speaks for a page: `messenger`, `facebook_comments`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PageGiven {
    /// The page's id: digits.
    page_id: String,
    /// The page's token, with the rights that the manual names.
    token: Secret,
    /// The app's secret: the service signs with it what it pushes.
    app_secret: Secret,
    /// The secret before it, as long as both are in use.
    previous_app_secret: Option<Secret>,
    /// What was entered as «verify token» beside the address to push to.
    verify_token: Secret,
    /// The app has the permission «Human Agent»: answers go out for seven days instead of one. Private messages
    /// only.
    human_agent: Option<bool>,
    /// Where the Graph API is.
    api_url: Option<String>,
    /// Its version.
    api_version: Option<String>,
    /// Where files are, beside Meta's own hosts.
    media_url: Option<String>,
}

/// A channel that speaks for a professional account on Instagram: `instagram`, `instagram_comments`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccountGiven {
    /// The account's id: digits.
    account_id: String,
    /// The page that the account is linked to, if the token is that page's. Without it, the token is one of the
    /// Instagram login.
    page_id: Option<String>,
    /// The token, with the rights that the manual names.
    token: Secret,
    /// The app's secret: the service signs with it what it pushes.
    app_secret: Secret,
    /// The secret before it, as long as both are in use.
    previous_app_secret: Option<Secret>,
    /// What was entered as «verify token» beside the address to push to.
    verify_token: Secret,
    /// The app has the permission «Human Agent»: answers go out for seven days instead of one. Private messages
    /// only.
    human_agent: Option<bool>,
    /// Where the Graph API is.
    api_url: Option<String>,
    /// Its version.
    api_version: Option<String>,
    /// Where files are, beside Meta's own hosts.
    media_url: Option<String>,
}

/// The keys of a page's private messages.
pub fn page_schema() -> Schema {
    schemars::schema_for!(PageGiven)
}

/// The keys of an account's private messages.
pub fn account_schema() -> Schema {
    schemars::schema_for!(AccountGiven)
}

/// The same for comments, which nobody may answer later by being human.
#[must_use]
pub fn of_comments(mut schema: Schema) -> Schema {
    if let Some(keys) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
        keys.remove("human_agent");
    }
    schema
}

/// How a page or an account is spoken for.
pub struct Access {
    /// Its id: requests bear it.
    pub own: String,
    /// Whose id stands in calls that send.
    pub sender: String,
    /// The same for all channels of one page or account.
    pub realm: Realm,
    /// What is pushed.
    pub door: Door,
    /// What is called.
    pub graph: Graph,
    /// May answers go out for longer?
    pub human_agent: Option<bool>,
    /// Where files are.
    pub hosts: Hosts,
}

/// What all of them are given.
struct Common {
    token: Secret,
    app_secret: Secret,
    previous_app_secret: Option<Secret>,
    verify_token: Secret,
    api_url: (Option<String>, &'static str),
    api_version: Option<String>,
    media_url: Option<String>,
}

/// Reads the settings of a channel that speaks for a page.
pub fn page(name: &ChannelName, table: Table, codes: &Codes) -> Result<Access, BadChannel> {
    let given: PageGiven = settings(name, table)?;
    let own = digits(name, "page_id", &given.page_id)?;
    let common = Common {
        token: given.token,
        app_secret: given.app_secret,
        previous_app_secret: given.previous_app_secret,
        verify_token: given.verify_token,
        api_url: (given.api_url, FACEBOOK_URL),
        api_version: given.api_version,
        media_url: given.media_url,
    };
    let (door, graph, hosts) = common.check(name, codes)?;
    let realm = Realm(format!("page:{own}"));
    Ok(Access {
        sender: own.clone(),
        own,
        realm,
        door,
        graph,
        human_agent: given.human_agent,
        hosts,
    })
}

/// Reads the settings of a channel that speaks for an account on Instagram.
pub fn account(name: &ChannelName, table: Table, codes: &Codes) -> Result<Access, BadChannel> {
    let given: AccountGiven = settings(name, table)?;
    let own = digits(name, "account_id", &given.account_id)?;
    let page = given.page_id.as_deref().map(|id| digits(name, "page_id", id)).transpose()?;
    let usual = if page.is_some() { FACEBOOK_URL } else { INSTAGRAM_URL };
    let common = Common {
        token: given.token,
        app_secret: given.app_secret,
        previous_app_secret: given.previous_app_secret,
        verify_token: given.verify_token,
        api_url: (given.api_url, usual),
        api_version: given.api_version,
        media_url: given.media_url,
    };
    let (door, graph, hosts) = common.check(name, codes)?;
    let realm = Realm(format!("instagram:{own}"));
    Ok(Access {
        sender: page.unwrap_or_else(|| own.clone()),
        own,
        realm,
        door,
        graph,
        human_agent: given.human_agent,
        hosts,
    })
}

impl Common {
    fn check(self, name: &ChannelName, codes: &Codes) -> Result<(Door, Graph, Hosts), BadChannel> {
        secrets(
            name,
            [
                ("token", Some(&self.token)),
                ("app_secret", Some(&self.app_secret)),
                ("previous_app_secret", self.previous_app_secret.as_ref()),
                ("verify_token", Some(&self.verify_token)),
            ],
        )?;
        let (given, usual) = &self.api_url;
        let api = url(name, "api_url", given.as_deref(), usual)?;
        let media = self.media_url.as_deref().map(|given| url(name, "media_url", Some(given), ""));
        let configured: Vec<Url> = std::iter::once(api.clone()).chain(media.transpose()?).collect();
        let graph = Graph {
            http: Http::new(&configured),
            api,
            version: version(name, self.api_version)?,
            token: self.token,
            app_secret: self.app_secret.clone(),
            codes: *codes,
        };
        let secrets = std::iter::once(self.app_secret).chain(self.previous_app_secret).collect();
        let door = Door { secrets, verify_token: self.verify_token };
        Ok((door, graph, Hosts(configured.iter().map(Url::origin).collect())))
    }
}
