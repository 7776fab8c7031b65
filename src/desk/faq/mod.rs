//! Known answers: articles that somebody wrote once, and which of them fits what a customer wrote.
//!
//! Pure: [`article`] reads an article, [`Matcher`] finds the one that fits and abstains when it is not sure.
//! Who may see or send an answer is decided elsewhere.

pub mod answer;
pub mod article;
pub mod follow;
mod matcher;
mod words;

pub use answer::{AnswerFacts, AnswerPolicy, AnswerTexts, Said, answered, may_answer, may_follow};
pub use article::{Answer, Article, Flaw};
pub use follow::{FollowUp, Reader, picked};
pub use matcher::{Hit, Matcher};
