//! tributary: every customer message, on whatever channel, as a ticket, exactly once; every reply back
//! on the channel it came from.
//!
//! Read top to bottom: each module may use the ones above it, never one below (`tests/tidy.rs`).

pub mod telemetry;
pub mod systemd;
pub mod model;
pub mod channel;
pub mod desk;
pub mod store;
pub mod engine;
pub mod web;
pub mod settings;
pub mod cli;
