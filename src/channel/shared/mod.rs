//! What several kinds need. Knows no kind.

pub mod sign;
pub mod tls;
