//! Twilio, as messages and calls need it.
//!
//! How its requests to us are proven (`signature`, over a `form`), how it is called (`rest`), how far
//! it was asked for what is new (`since`), what its errors mean (`code`), how far a message is (`status`), and the
//! settings that all of its channels have (`settings`).

pub mod code;
pub mod form;
pub mod rest;
pub mod settings;
pub mod signature;
pub mod since;
pub mod status;
