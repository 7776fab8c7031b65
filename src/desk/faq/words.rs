//! Words that say nothing about what a question is about, and the stems of English ones.

use std::collections::HashMap;

use crate::desk::terms::terms;

/// English words that stand in any question.
const EMPTY: &[&str] = &[
    "a", "about", "am", "an", "and", "any", "anyone", "are", "as", "at", "be", "been", "but", "by",
    "can", "could", "d", "did", "do", "does", "doing", "for", "from", "get", "got", "had", "has",
    "have", "hello", "help", "hey", "hi", "how", "i", "if", "im", "in", "is", "it", "its", "just",
    "ll", "m", "me", "my", "need", "of", "on", "or", "please", "pls", "re", "s", "so", "some", "t",
    "thank", "thanks", "that", "the", "them", "then", "there", "they", "this", "to", "u", "ve",
    "want", "was", "we", "what", "when", "where", "which", "why", "will", "with", "would", "you",
    "your", "id", "also", "really", "know", "tell",
];

/// Pairs and characters that stand in any Chinese question: they are the joints between words.
const JOINTS: &[char] = &[
    '的', '了', '吗', '呢', '啊', '吧', '么', '我', '你', '您', '们', '是', '在', '有', '和', '就',
    '都', '也', '请', '问', '要', '把', '给', '个', '这', '那', '很', '想', '呀', '麻', '烦', '嗎',
    '們', '個', '這', '請', '問', '為',
];

/// The terms of a text that say what it is about, with how often each stands there.
pub(super) fn telling(text: &str) -> HashMap<String, f32> {
    let mut counted = HashMap::new();
    for term in terms(text) {
        let is_latin = term.is_ascii();
        if is_latin && EMPTY.contains(&term.as_str()) {
            continue;
        }
        // A pair with a joint in it belongs to no word; single characters only close a run.
        if !is_latin && (term.chars().any(|c| JOINTS.contains(&c)) || term.chars().count() < 2) {
            continue;
        }
        let term = if is_latin { stem(&term) } else { term };
        *counted.entry(term).or_insert(0.0) += 1.0;
    }
    counted
}

/// Cuts the commonest endings: `transfers`, `transferred`, `transferring` are one word.
fn stem(word: &str) -> String {
    if word.chars().any(|c| c.is_ascii_digit()) {
        return word.to_owned();
    }
    for (ending, instead) in [
        ("ations", "at"),
        ("ation", "at"),
        ("ies", "y"),
        ("sses", "ss"),
        ("ments", "ment"),
        ("ing", ""),
        ("ed", ""),
        ("es", "e"),
        ("ly", ""),
        ("s", ""),
    ] {
        let Some(rest) = word.strip_suffix(ending) else { continue };
        if rest.len() < 3 || (ending == "s" && rest.ends_with(['s', 'u', 'i'])) {
            continue;
        }
        return bare(&format!("{rest}{instead}"));
    }
    bare(word)
}

/// `stopp` and `stop`, `receive` and `receiv` are the same.
fn bare(word: &str) -> String {
    let word = if word.len() > 4 { word.strip_suffix('e').unwrap_or(word) } else { word };
    let mut last = word.chars().rev();
    match (last.next(), last.next()) {
        (Some(one), Some(other)) if word.len() > 4 && one == other => {
            word.strip_suffix(one).unwrap_or(word).to_owned()
        }
        _ => word.to_owned(),
    }
}
