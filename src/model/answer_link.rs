//! Links by which customers answer a question of ours.

use super::TicketId;

/// What a customer is asked by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Whether a known answer helped.
    Helped,
    /// For a score.
    Score,
}

/// Makes such links, and reads what they hold. Nobody else can make one.
pub trait AnswerLinks: Send + Sync {
    /// Where a question about a ticket is answered.
    fn address(&self, asked: Asked, ticket: TicketId) -> String;

    /// The question that a link's token is about.
    fn read(&self, token: &str) -> Option<(Asked, TicketId)>;
}
