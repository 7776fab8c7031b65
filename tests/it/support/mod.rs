//! Servers, proxies and a daemon for the tests.

pub(crate) mod dns;
