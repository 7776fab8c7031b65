//! Each kind of channel against a real or a scripted service.

mod http;
mod imap;
mod lmtp;
mod mail;
mod mail_auth;
mod oauth;
