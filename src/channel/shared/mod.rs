//! What several kinds need. Knows no kind.

pub mod check;
pub mod codes;
pub mod endpoint;
pub mod graph;
pub mod heard;
pub mod html;
pub mod http;
pub mod json;
pub mod look;
pub mod public_file;
pub mod segments;
pub mod sign;
pub mod tls;
pub mod twilio;
pub mod webhook;
pub mod words;
