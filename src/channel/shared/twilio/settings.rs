//! The settings that all channels by Twilio have.

use url::Url;

use super::rest::Account;
use super::signature::Door;
use crate::channel::shared::check;
use crate::channel::shared::http::{Credentials, Http};
use crate::channel::{BadChannel, Site};
use crate::model::{ChannelName, Secret};

const API_URL: &str = "https://api.twilio.com";

/// What stands in a table, whatever else does.
pub struct Given {
    /// The account's name: `AC…`.
    pub account_sid: String,
    /// The account's token: signs what is pushed to us, and opens the interface unless there is a key.
    pub auth_token: Secret,
    /// Another token that signs, while one is replaced by the other.
    pub secondary_auth_token: Option<Secret>,
    /// The name of a key that opens the interface instead of the token: `SK…`.
    pub api_key: Option<String>,
    /// Its secret.
    pub api_secret: Option<Secret>,
    /// Where Twilio is called: the address of a region, for example.
    pub api_url: Option<String>,
    /// Where its files are, if they do not lie on the open internet.
    pub media_url: Option<String>,
}

/// How an account is spoken for.
pub struct Access {
    /// What is called.
    pub account: Account,
    /// Who may call us.
    pub door: Door,
}

impl Given {
    /// Checks all of it, and connects to nothing.
    pub fn check(self, name: &ChannelName, site: &Site) -> Result<Access, BadChannel> {
        let sid = name_of(name, "account_sid", "AC", &self.account_sid)?;
        check::secrets(
            name,
            [
                ("auth_token", Some(&self.auth_token)),
                ("secondary_auth_token", self.secondary_auth_token.as_ref()),
                ("api_secret", self.api_secret.as_ref()),
            ],
        )?;
        let credentials = match (self.api_key, self.api_secret) {
            (Some(key), Some(secret)) => {
                Credentials::Basic(name_of(name, "api_key", "SK", &key)?, secret)
            }
            (None, None) => Credentials::Basic(sid.clone(), self.auth_token.clone()),
            (Some(_), None) => {
                return Err(BadChannel::at(name, "api_secret", "api_key is set, and this is not"));
            }
            (None, Some(_)) => {
                return Err(BadChannel::at(name, "api_key", "api_secret is set, and this is not"));
            }
        };
        let api = check::url(name, "api_url", self.api_url.as_deref(), API_URL)?;
        let media = self.media_url.as_deref();
        let media =
            media.map(|given| check::url(name, "media_url", Some(given), "")).transpose()?;
        let media: Vec<Url> = media.into_iter().collect();
        let http = Http::beside(std::slice::from_ref(&api), &media);
        let account = Account::new(http, api, sid, credentials);
        let account = account.map_err(|problem| BadChannel::at(name, "account_sid", problem))?;
        let tokens = std::iter::once(self.auth_token).chain(self.secondary_auth_token).collect();
        let door = Door { public_url: site.public_url.clone(), tokens };
        Ok(Access { account, door })
    }
}

/// A name that Twilio gave: two letters and 32 hexadecimal digits.
pub fn name_of(
    channel: &ChannelName,
    path: &str,
    letters: &str,
    given: &str,
) -> Result<String, BadChannel> {
    let given = given.trim();
    let digits = given.strip_prefix(letters).unwrap_or_default();
    if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(given.to_owned());
    }
    let expected = format!("expected {letters} and 32 digits, as Twilio's console shows it");
    Err(BadChannel::at(channel, path, expected))
}

/// What settings are tried with.
#[cfg(test)]
pub(crate) mod trial {
    use std::sync::Arc;

    use async_trait::async_trait;

    use crate::channel::shared::sign::Signer;
    use crate::channel::{Site, Table, Vault};
    use crate::model::{Cause, Secret};

    struct NoVault;

    #[async_trait]
    impl Vault for NoVault {
        async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
            Ok(None)
        }

        async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
            Ok(())
        }
    }

    /// An installation.
    pub(crate) fn site() -> Site {
        let (public_url, signer) = ("https://desk.test".to_owned(), Signer::new(vec![[7; 32]]));
        Site { public_url, signer, vault: Arc::new(NoVault) }
    }

    /// The table of a channel: an account, and `more`.
    pub(crate) fn table(more: &str) -> Table {
        let sid = format!("AC{:032}", 1);
        let token = "0123456789abcdef0123456789abcdef";
        let text = format!("account_sid = '{sid}'\nauth_token = '{token}'\n{more}\n");
        let file = config::File::from_str(&text, config::FileFormat::Toml);
        let table = config::Config::builder().add_source(file).build().unwrap();
        table.try_deserialize().unwrap()
    }
}
