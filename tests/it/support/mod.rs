//! Servers, proxies and a daemon for the tests.
