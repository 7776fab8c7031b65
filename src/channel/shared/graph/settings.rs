//! Checks that the settings of all products need.

use crate::channel::BadChannel;
use crate::channel::shared::http::base_url;
use crate::model::{ChannelName, Secret};
use url::Url;

/// The version for which this was written.
const API_VERSION: &str = "v25.0";

/// An id that the app's dashboard shows, in digits.
pub fn digits(name: &ChannelName, path: &str, given: &str) -> Result<String, BadChannel> {
    let text = given.trim();
    let fits = (5..=30).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let expected = "expected the id that the app's dashboard shows, in digits";
    if fits { Ok(text.to_owned()) } else { Err(BadChannel::at(name, path, expected)) }
}

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
            let expected =
                "expected what the app's dashboard shows, without blanks; it is empty or too short";
            return Err(BadChannel::at(name, path, expected));
        }
    }
    Ok(())
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

/// An address at `path`, or the usual one.
pub fn url(
    name: &ChannelName,
    path: &str,
    given: Option<&str>,
    usual: &str,
) -> Result<Url, BadChannel> {
    base_url(given.unwrap_or(usual)).map_err(|problem| BadChannel::at(name, path, problem))
}
