//! Checks that the settings of several kinds need.

use url::Url;

use crate::channel::BadChannel;
use crate::channel::shared::http::base_url;
use crate::model::{ChannelName, Secret};

/// Secrets by their keys: short ones can be guessed, and blanks come from copying.
pub fn secrets<'s>(
    name: &ChannelName,
    given: impl IntoIterator<Item = (&'static str, Option<&'s Secret>)>,
) -> Result<(), BadChannel> {
    const BYTES_MIN: usize = 8;
    let sane = |secret: &Secret| {
        let text = secret.reveal();
        text.len() >= BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    for (path, secret) in given {
        if secret.is_some_and(|secret| !sane(secret)) {
            let expected = "expected what the service's own pages show, without blanks; it is empty or too short";
            return Err(BadChannel::at(name, path, expected));
        }
    }
    Ok(())
}

/// An address at `path`, or the usual one.
pub fn url(
    name: &ChannelName,
    path: &str,
    given: Option<&str>,
    usual: &str,
) -> Result<Url, BadChannel> {
    base_url(given.unwrap_or(usual)).map_err(|problem| BadChannel::at(name, path, problem))
}
