//! Each kind of channel against a real or a scripted service.

mod api;
mod comments;
mod direct;
mod http;
mod imap;
mod lmtp;
mod mail;
mod mail_auth;
mod oauth;
mod phone;
mod sent;
mod smtp;
mod smtp_login;
mod smtp_server;
mod sms;
mod telegram;
mod twilio;
mod webchat;
mod whatsapp;
