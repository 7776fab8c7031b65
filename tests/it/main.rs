//! One test binary, so that everything links once. Each module below is one subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected has to fail"
)]

mod api;
mod canned;
mod channel;
mod cli;
mod composer;
mod conformance;
mod console;
mod dashboard;
mod demo;
mod engine;
mod faq;
mod handed;
mod hostile;
mod inbox;
mod kill;
mod mail_accounts;
mod mail_faults;
mod mail_handed;
mod mail_loops;
mod mail_round_trip;
mod notify;
mod safety;
mod scan;
mod sending;
mod parting;
mod proofs;
mod readers;
mod retention;
mod reading;
mod running;
mod servers;
mod settings;
mod sso;
mod store;
mod store_faults;
mod support;
mod systemd;
mod together;
mod webhooks;
mod widget;
