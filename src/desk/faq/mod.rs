//! Known answers: articles that somebody wrote once, and which of them fits what a customer wrote.
//!
//! Pure: [`article`] reads an article, [`Matcher`] finds the one that fits and abstains when it is not sure.
//! Who may see or send an answer is decided elsewhere.

pub mod answer;
pub mod article;
mod matcher;
mod words;

pub use answer::{AnswerFacts, AnswerPolicy, AnswerTexts, Said, answered, may_answer};
pub use article::{Answer, Article, Flaw};
pub use matcher::{Hit, Matcher};
