//! Which article fits: BM25 over its questions and answers, and how near the nearest question is.
//!
//! BM25 ranks; the nearness (cosine of the weighted terms, between 0 and 1 whatever the articles) decides
//! whether it is shown and whether it is sure. The thresholds come from the labelled questions in
//! `tests/fixtures/faq`; `cargo bench --bench faq` prints what they lead to.

use std::collections::HashMap;

use super::answer::AnswerPolicy;
use super::article::Article;
use super::words::telling;

/// BM25: how soon repetition stops counting, how much length counts.
const K1: f32 = 1.2;
const B: f32 = 0.5;
/// What a term of the answer counts, beside one of a question.
const ANSWER_WEIGHT: f32 = 0.2;
/// What a term that stands in no article counts.
const UNKNOWN_WEIGHT: f32 = 0.6;
/// Below this an agent is shown nothing.
const SHOWN_MIN: f32 = 0.25;
/// From here on an answer may go out by itself.
const SURE_MIN: f32 = 0.6;
/// And only if the second-best article is this much farther away.
const SURE_LEAD: f32 = 0.12;
/// More characters than this are a story, of which no single article is the answer.
const CHARS_MAX: usize = 2000;
/// A question of more telling terms than this is never sure.
const SURE_TERMS_MAX: usize = 40;

/// Finds the article that fits.
#[derive(Debug, Default)]
pub struct Matcher {
    articles: Vec<Article>,
    questions: Vec<Question>,
    /// By article: terms with their weight, and how many.
    bodies: Vec<(HashMap<String, f32>, f32)>,
    mean_length: f32,
    /// In how many articles a term stands.
    holding: HashMap<String, usize>,
    /// What becomes of an article that surely fits.
    policy: AnswerPolicy,
}

#[derive(Debug)]
struct Question {
    article: usize,
    /// Weighted and of length 1.
    terms: HashMap<String, f32>,
}

/// An article that may fit.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'m> {
    /// The article.
    pub article: &'m Article,
    /// How well it fits, from 0 to 1.
    pub score: f32,
    /// Is it so sure that nobody need look at it? At most one of a list is.
    pub sure: bool,
}

impl Matcher {
    /// Learns the articles.
    #[must_use]
    pub fn new(articles: Vec<Article>) -> Self {
        let mut matcher = Self { articles, ..Self::default() };
        for article in &matcher.articles {
            let mut body: HashMap<String, f32> = HashMap::new();
            let mut add = |text: &str, weight: f32| {
                for (term, times) in telling(text) {
                    *body.entry(term).or_insert(0.0) += times * weight;
                }
            };
            article.questions.values().flatten().for_each(|asked| add(asked, 1.0));
            for answer in article.answers.values() {
                add(&answer.title, 1.0);
                add(&answer.text, ANSWER_WEIGHT);
            }
            for term in body.keys() {
                *matcher.holding.entry(term.clone()).or_insert(0) += 1;
            }
            let length = body.values().sum();
            matcher.bodies.push((body, length));
        }
        let lengths: f32 = matcher.bodies.iter().map(|(_, length)| length).sum();
        matcher.mean_length = lengths / count(matcher.bodies.len().max(1));
        matcher.questions = matcher.learn_questions();
        matcher
    }

    /// The same, with what the admin decided about answers that go out by themselves.
    #[must_use]
    pub fn answering(self, policy: AnswerPolicy) -> Self {
        Self { policy, ..self }
    }

    /// What the admin decided about answers that go out by themselves.
    #[must_use]
    pub const fn policy(&self) -> &AnswerPolicy {
        &self.policy
    }

    /// All articles, in the order of their names.
    #[must_use]
    pub fn articles(&self) -> &[Article] {
        &self.articles
    }

    /// The article of this name.
    #[must_use]
    pub fn article(&self, name: &str) -> Option<&Article> {
        self.articles.iter().find(|article| article.name == name)
    }

    fn learn_questions(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for (at, article) in self.articles.iter().enumerate() {
            let titles = article.answers.values().map(|answer| &answer.title);
            for asked in article.questions.values().flatten().chain(titles) {
                let terms = self.weighted(telling(asked));
                if !terms.is_empty() {
                    questions.push(Question { article: at, terms });
                }
            }
        }
        questions
    }

    /// The articles that may fit `text` among those that `allowed` lets through, the best first.
    pub fn find(&self, text: &str, max: usize, allowed: impl Fn(&Article) -> bool) -> Vec<Hit<'_>> {
        let text: String = text.chars().take(CHARS_MAX).collect();
        let asked = telling(&text);
        if asked.is_empty() {
            return Vec::new();
        }
        let near = self.nearness(&self.weighted(asked.clone()));
        let rank = self.bm25(&asked);
        let best = rank.iter().copied().fold(f32::EPSILON, f32::max);
        let mut scored: Vec<(f32, &Article)> = self
            .articles
            .iter()
            .zip(near.iter().zip(&rank))
            .map(|(article, (near, rank))| (near * (0.75 + 0.25 * rank / best), article))
            .filter(|(score, article)| *score >= SHOWN_MIN && allowed(article))
            .collect();
        scored.sort_by(|one, other| {
            other.0.total_cmp(&one.0).then_with(|| one.1.name.cmp(&other.1.name))
        });
        let lead = scored.first().map_or(0.0, |first| first.0)
            - scored.get(1).map_or(0.0, |second| second.0);
        let may_be_sure = lead >= SURE_LEAD && asked.len() <= SURE_TERMS_MAX;
        let hits = scored.into_iter().take(max).enumerate().map(|(at, (score, article))| Hit {
            article,
            score,
            sure: at == 0 && may_be_sure && score >= SURE_MIN,
        });
        hits.collect()
    }

    /// How near the nearest question of each article is.
    fn nearness(&self, asked: &HashMap<String, f32>) -> Vec<f32> {
        let mut near = vec![0.0_f32; self.articles.len()];
        for question in &self.questions {
            let product: f32 = question
                .terms
                .iter()
                .filter_map(|(term, weight)| Some(weight * asked.get(term)?))
                .sum();
            if let Some(best) = near.get_mut(question.article) {
                *best = best.max(product);
            }
        }
        near
    }

    fn bm25(&self, asked: &HashMap<String, f32>) -> Vec<f32> {
        let score = |(body, length): &(HashMap<String, f32>, f32)| {
            let norm = K1 * (1.0 - B + B * length / self.mean_length.max(1.0));
            let terms = asked.keys().filter_map(|term| {
                let times = body.get(term)?;
                Some(self.rarity(term) * times * (K1 + 1.0) / (times + norm))
            });
            terms.sum()
        };
        self.bodies.iter().map(score).collect()
    }

    /// A term that few articles have tells more. One that none has tells that the question is about
    /// something else, or only when and where it happened; so it counts for half.
    fn rarity(&self, term: &str) -> f32 {
        let known = self.holding.get(term).copied();
        let (holding, all) = (count(known.unwrap_or(0)), count(self.articles.len()));
        let rarity = (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
        if known.is_some() { rarity } else { rarity * UNKNOWN_WEIGHT }
    }

    /// Weighted by rarity, with the length 1, so that a product of two is a cosine.
    fn weighted(&self, terms: HashMap<String, f32>) -> HashMap<String, f32> {
        let weighted: HashMap<String, f32> = terms
            .into_iter()
            .map(|(term, times)| {
                let weight = self.rarity(&term) * (1.0 + times.ln());
                (term, weight)
            })
            .collect();
        let length = weighted.values().map(|weight| weight * weight).sum::<f32>().sqrt();
        weighted.into_iter().map(|(term, weight)| (term, weight / length.max(1e-6))).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of articles are small")]
fn count(number: usize) -> f32 {
    number as f32
}
