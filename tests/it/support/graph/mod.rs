//! Meta's Graph API, one module for each product.

pub mod whatsapp;
