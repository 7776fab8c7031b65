//! `/console/`: the pages for agents. Files that are compiled in; all that they show comes through the API,
//! with the session of whoever looks.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use tower_http::compression::CompressionLayer;

use super::{Problem, State};

/// Pages, styles and scripts.
#[derive(RustEmbed)]
#[folder = "src/web/assets/console/"]
struct Files;

/// Only our own files, and no markup is ever made of a text. Formatted mail and PDFs are shown in frames, whose pages
/// bring policies of their own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    media-src 'self'; frame-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/console/", get(|headers: HeaderMap| async move { page(&headers) }))
        .route(
            "/console/assets/{name}",
            get(
                |Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) },
            ),
        )
        .layer(CompressionLayer::new())
}

/// The languages that there are words for: each is one file.
fn languages() -> Vec<String> {
    let language = |name: &str| Some(name.strip_prefix("words.")?.strip_suffix(".js")?.to_owned());
    let mut known: Vec<String> = Files::iter().filter_map(|name| language(&name)).collect();
    known.sort();
    known
}

/// The page itself, which is told the languages, and its hash.
static PAGE: LazyLock<Option<(String, [u8; 32])>> = LazyLock::new(|| {
    let found = Files::get("index.html")?;
    let text = String::from_utf8_lossy(&found.data).replace("{languages}", &languages().join(" "));
    let hash = Sha256::digest(&text).into();
    Some((text, hash))
});

fn page(headers: &HeaderMap) -> Response {
    match &*PAGE {
        Some((text, hash)) => {
            answer(Cow::Borrowed(text.as_bytes()), hash, "text/html; charset=utf-8", headers)
        }
        None => Problem::no_such("page").into_response(),
    }
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    match Files::get(name) {
        Some(found) => {
            let known = found.metadata;
            answer(found.data, &known.sha256_hash(), known.mimetype(), headers)
        }
        None => Problem::no_such("page").into_response(),
    }
}

/// The bytes, or «you have it already».
fn answer(
    bytes: Cow<'static, [u8]>,
    hash: &[u8],
    media_type: &str,
    headers: &HeaderMap,
) -> Response {
    let tag = data_encoding::HEXLOWER.encode(hash.get(..16).unwrap_or_default());
    // Weak: it is the same whether it travels compressed or not.
    let tag = format!("W/\"{tag}\"");
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let always = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    (always, [(header::CONTENT_TYPE, media_type.to_owned())], bytes).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::EVENT_KINDS;

    /// The keys of a language: what stands before a text, at the beginning of a line or behind a comma.
    fn keys(language: &str) -> BTreeSet<String> {
        let file = Files::get(&format!("words.{language}.js")).unwrap();
        let text = String::from_utf8(file.data.into_owned()).unwrap();
        let mut keys = BTreeSet::new();
        let mut rest = text.split_once("export const words = {").unwrap().1.trim_start();
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once(':').unwrap();
            let key = key.trim().trim_matches('"').to_owned();
            let after = after.trim_start().strip_prefix('"').unwrap_or_else(|| panic!("{key}"));
            // Up to the quote that is not escaped.
            let mut escaped = false;
            let end = after.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = after.split_at(end.unwrap()).1.trim_start_matches('"');
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            assert!(keys.insert(key.clone()), "«{key}» twice in {language}");
        }
        keys
    }

    #[test]
    fn every_language_has_a_text_for_each_key() {
        let languages = languages();
        assert!(["en", "zh"].iter().all(|one| languages.contains(&(*one).to_owned())));
        let english = keys("en");
        assert!(english.len() > 200, "{}", english.len());
        for language in languages {
            let theirs = keys(&language);
            let differ: Vec<_> = english.symmetric_difference(&theirs).collect();
            assert!(differ.is_empty(), "{language}: {differ:?}");
        }
    }

    /// The console listens for kinds by name: one that it does not name it never hears of.
    #[test]
    fn every_kind_of_event_is_listened_for() {
        let file = Files::get("api.js").unwrap();
        let text = String::from_utf8(file.data.into_owned()).unwrap();
        let (_, after) = text.split_once("const KINDS = [").unwrap();
        let (named, _) = after.split_once(']').unwrap();
        let named: BTreeSet<&str> = named.split('"').skip(1).step_by(2).collect();
        assert_eq!(named, EVENT_KINDS.iter().copied().collect());
    }

    /// A key that is asked for, in whatever way, has words.
    #[test]
    fn every_key_that_a_page_asks_for_has_words() {
        let english = keys("en");
        for name in Files::iter().filter(|name| name.ends_with(".js") && !name.starts_with("words"))
        {
            let file = Files::get(&name).unwrap();
            let text = String::from_utf8(file.data.into_owned()).unwrap();
            for after in text.split("say(\"").skip(1) {
                let key = after.split('"').next().unwrap();
                assert!(english.contains(key), "{name}: {key}");
            }
        }
    }
}
