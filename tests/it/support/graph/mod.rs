//! Meta's Graph API, one module for each product.

pub mod pages;
pub mod whatsapp;
