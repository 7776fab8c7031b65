//! What a mail means.

mod address;
mod charset;
mod headers;
mod mime;
mod name;
mod params;
mod text;
mod words;
