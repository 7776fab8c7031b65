//! Files of a conversation, to whom they belong.

use axum::body::Body;
use axum::extract::{Path, State as Get};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::{Inside, Refusal};
use crate::web::State;

/// Types that are named as they are; everything else is bytes.
const NAMED: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "video/mp4",
    "video/webm",
    "audio/mpeg",
    "audio/ogg",
    "text/plain",
];

/// `GET /chat/{channel}/attachments/{id}`: always to be saved, never to be shown by the browser itself.
pub(super) async fn give(
    Get(state): Get<State>,
    inside: Inside,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let id: Uuid = id.parse().map_err(|_| Refusal::nothing_here())?;
    let file = state.engine.store.chat_attachment(&inside.guest, id).await?;
    let bytes = file.bytes.ok_or_else(Refusal::nothing_here)?;
    let claimed = file.view.media_type.as_str();
    let named = NAMED.iter().find(|known| **known == claimed);
    let media_type = named.copied().unwrap_or("application/octet-stream");
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, sandbox);
    if let Ok(value) = HeaderValue::from_str(&disposition(&file.view.name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    let cached = HeaderValue::from_static("private, max-age=3600");
    headers.insert(header::CACHE_CONTROL, cached);
    Ok(response)
}

/// RFC 6266, the name in UTF-8 alone: nothing of it is read as syntax.
fn disposition(name: &str) -> String {
    let kept = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let mut text = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        if kept(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_file_name_is_never_syntax() {
        let header = super::disposition("a\"; filename=x.html\r\nSet-Cookie: 合同.pdf");
        assert!(
            header.is_ascii() && !header.contains(['"', '\r', '\n', ' '])
                || header.matches(' ').count() == 1
        );
        assert!(
            header.starts_with("attachment; filename*=UTF-8''a%22%3B%20filename%3Dx.html%0D%0A")
        );
    }
}
