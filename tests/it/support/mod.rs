//! Servers, proxies and a daemon for the tests.

#![expect(dead_code, unreachable_pub, reason = "a shelf that each test takes from")]

pub mod desk;
pub mod dns;
pub mod imap_script;
pub mod token_endpoint;
