//! The widget's own files, compiled in, and a page to try it on.

use std::sync::LazyLock;

use axum::extract::{Path, State as Get};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::HEXLOWER;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use super::Refusal;
use crate::model::ChannelName;
use crate::web::State;

#[derive(RustEmbed)]
#[folder = "src/web/assets/widget/"]
struct Files;

/// Stands in the loader where the version goes.
const PLACE: &str = "__VERSION__";

/// Changes with every byte of the files: those can be kept for ever, only the loader is asked for again.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Files::iter().collect();
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        if let Some(file) = Files::get(&name) {
            hash.update(name.as_bytes());
            hash.update(&file.data);
        }
    }
    let hash = HEXLOWER.encode(&hash.finalize());
    hash.chars().take(12).collect()
});

/// The pages that show the demo may do no more than it needs.
const DEMO_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// `GET /widget.js`: the one script tag. Small; it loads the rest when the page has settled.
pub(super) async fn loader(headers: HeaderMap) -> Response {
    let etag = format!("\"{}\"", *VERSION);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known == Some(etag.as_str()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match text("loader.js") {
            Some(source) => source.replace(PLACE, &VERSION).into_response(),
            None => return Refusal::nothing_here().into_response(),
        }
    };
    for_any_site(&mut response, "text/javascript; charset=utf-8", "public, max-age=300");
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// `GET /widget/{version}/{file}`: its modules.
pub(super) async fn file(Path((version, name)): Path<(String, String)>) -> Response {
    let media_type = match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => return Refusal::nothing_here().into_response(),
    };
    let Some(source) = text(&name) else { return Refusal::nothing_here().into_response() };
    let mut response = source.into_response();
    // While nodes are being upgraded, another one's version may be asked for here.
    let kept = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-cache" };
    for_any_site(&mut response, media_type, kept);
    response
}

/// `GET /chat/{channel}/demo`: where the settings allow it.
pub(super) async fn demo(
    Get(state): Get<State>,
    Path(channel): Path<String>,
) -> Result<Response, Refusal> {
    let name: ChannelName = channel.parse().map_err(|_| Refusal::nothing_here())?;
    let shown = state
        .engine
        .with_channel(&name, |channel| channel.chat.as_ref().is_some_and(|chat| chat.rules().demo));
    if shown != Some(true) {
        return Err(Refusal::nothing_here());
    }
    let page = text("demo.html").ok_or_else(Refusal::nothing_here)?;
    // A channel's name has no character that means something in HTML.
    let mut response = page.replace("__CHANNEL__", name.as_str()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = HeaderValue::from_static(DEMO_POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn text(name: &str) -> Option<String> {
    let file = Files::get(name)?;
    let text = std::str::from_utf8(&file.data).ok()?;
    // Comments and indentation are for those who read the source, not for every visitor.
    let spare = |line: &&str| !line.is_empty() && !line.starts_with("//");
    let lines: Vec<&str> = text.lines().map(str::trim_start).filter(spare).collect();
    Some(lines.join("\n"))
}

/// Scripts are public: any site may load them. What they may do is decided by the chat's own rules.
fn for_any_site(response: &mut Response, media_type: &'static str, kept: &'static str) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let cross = HeaderValue::from_static("cross-origin");
    headers.insert("cross-origin-resource-policy", cross);
}
