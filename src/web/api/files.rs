//! `/uploads` and `/attachments`: files in, files out. What comes out is never trusted: a browser saves it
//! or shows it as a picture, and runs nothing of it.

use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State as Get};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Agent, Reader};
use super::describe::Errors;
use super::once::{Wish, answered};
use super::read::{Filters, Id, fingerprint, unread_body};
use crate::store::{NewUpload, StoreError, Upload};

/// What stands around a file in its body.
const AROUND_BYTES_MAX: usize = 64 * 1024;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;
/// What a browser may show by itself: pictures and sound, nothing that can hold a program.
const SHOWN: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "audio/wav",
    "video/mp4",
    "video/webm",
];

const PDF: &str = "application/pdf";
/// What a file may do in a browser: nothing.
pub(in super::super) const POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";
/// What the readers of browsers need; the console shows it in a frame.
const PDF_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; frame-ancestors 'self'";

/// Can a page show such a file as a picture?
pub(super) fn is_picture(media_type: &str) -> bool {
    media_type.starts_with("image/") && SHOWN.contains(&media_type)
}

pub(super) fn routes(upload_bytes_max: usize) -> OpenApiRouter<State> {
    let body_bytes_max = upload_bytes_max.saturating_add(AROUND_BYTES_MAX);
    let uploads = OpenApiRouter::new().routes(routes!(upload_file));
    let uploads = uploads.layer(DefaultBodyLimit::max(body_bytes_max));
    OpenApiRouter::new().routes(routes!(download_attachment)).merge(uploads)
}

/// A form with one file.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described: the form is read piece by piece")]
struct UploadForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Upload a file
///
/// Gives an id for `attachments` of a reply or note. What no message uses within two days is forgotten.
#[utoipa::path(post, path = "/uploads", tag = "files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once")),
    responses((status = 201, body = Upload), Errors))]
async fn upload_file(
    Get(state): Get<State>,
    Agent(caller): Agent,
    wish: Wish,
    request: Request,
) -> Result<Response, Problem> {
    let form = Multipart::from_request(request, &state).await;
    let mut form = form.map_err(|_| {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Problem::new(status, "unsupported_media_type", "the body must be multipart/form-data")
    })?;
    let mut file = None;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_none() && name != "file" {
            return Err(Problem::invalid(&name, format!("`{name}`: the form has one file only")));
        }
        if file.is_some() {
            return Err(Problem::invalid(&name, "one file at a time"));
        }
        file = Some(read_file(field, state.settings.upload_bytes_max).await?);
    }
    let file = file.ok_or_else(|| Problem::invalid("file", "file: there is none in the form"))?;
    let told = [file.name.as_bytes(), file.media_type.as_bytes(), &file.bytes];
    let once = wish.once(&caller, fingerprint(&told), StatusCode::CREATED);
    let kept = state.engine.keep_upload(file, once).await?;
    answered(kept, StatusCode::CREATED)
}

/// Reads as it comes, and no further than the limit.
async fn read_file(mut field: Field<'_>, bytes_max: usize) -> Result<NewUpload, Problem> {
    let name = shown_name(field.file_name().unwrap_or_default());
    let media_type = media_type(field.content_type().unwrap_or_default());
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + piece.len() > bytes_max {
            let text = format!("a file has {bytes_max} bytes at most");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(NewUpload { name, media_type, bytes: Bytes::from(bytes) })
}

fn broken(error: &MultipartError) -> Problem {
    unread_body(error.status())
}

/// The last part of a path, without what a person does not see and what turns the text around.
fn shown_name(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    let plain = base.chars().filter(|c| {
        let hidden = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}');
        !c.is_control() && !hidden
    });
    let plain: String = plain.collect();
    let plain = plain.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if plain.is_empty() {
        return "file".to_owned();
    }
    let ending = plain.rfind('.').and_then(|dot| plain.get(dot..)).unwrap_or_default();
    let ending = Some(ending).filter(|ending| ending.len() <= 16).unwrap_or_default();
    let stem = plain.strip_suffix(ending).unwrap_or(plain);
    let room = NAME_BYTES_MAX.saturating_sub(ending.len());
    format!("{}{ending}", stem.get(..stem.floor_char_boundary(room)).unwrap_or_default())
}

/// `image/png`, lower case, without parameters; what is none is any bytes.
fn media_type(claimed: &str) -> String {
    let kind = claimed.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=100).contains(&part.len()) && part.bytes().all(plain)
    };
    let fits = kind.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    if fits { kind } else { "application/octet-stream".to_owned() }
}

/// How a file is handed out.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DownloadQuery {
    /// Shown in the page rather than saved, where it is a picture, sound, film or PDF.
    #[serde(default)]
    #[param(required = false)]
    inline: bool,
}

/// Download an attachment
#[utoipa::path(get, path = "/attachments/{id}", tag = "files",
    params(("id" = Uuid, Path, description = "its id"), DownloadQuery),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>,
        description = "the file"), (status = 410, description = "it was erased"), Errors))]
async fn download_attachment(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
    Filters(query): Filters<DownloadQuery>,
) -> Result<Response, Problem> {
    let file = state.engine.store.attachment(id.of("attachment")?).await?;
    let Some(bytes) = file.bytes else {
        let (status, code, text) = match file.view.state.as_str() {
            "pending" => {
                let text = "the file is still being fetched from the service; try again";
                (StatusCode::CONFLICT, "pending", text)
            }
            "unscanned" => {
                let text = "the virus scanner has not seen the file yet; try again";
                (StatusCode::CONFLICT, "unscanned", text)
            }
            "infected" => {
                let text = "the virus scanner found something in the file";
                (StatusCode::FORBIDDEN, "infected", text)
            }
            _ => return Err(gone()),
        };
        return Err(Problem::new(status, code, text));
    };
    let (name, media_type) = (&file.view.name, &file.view.media_type);
    let kept = Kept { name, media_type, bytes: Bytes::from(bytes) };
    Ok(download(kept, query.inline))
}

/// It was here.
pub(super) fn gone() -> Problem {
    Problem::new(StatusCode::GONE, "gone", "it was erased, or could not be fetched")
}

/// Bytes that somebody sent us.
pub(super) struct Kept<'a> {
    pub(super) name: &'a str,
    /// As claimed.
    pub(super) media_type: &'a str,
    pub(super) bytes: Bytes,
}

/// Hands bytes out so that a browser runs nothing of them.
pub(super) fn download(kept: Kept<'_>, inline: bool) -> Response {
    let shown = SHOWN.iter().find(|known| **known == kept.media_type).copied();
    // The browser's own reader runs it apart from every page, and only where no sandbox is around it.
    let pdf = kept.media_type == PDF && kept.bytes.starts_with(b"%PDF-");
    let shown = shown.or(pdf.then_some(PDF));
    let kind = shown.unwrap_or("application/octet-stream");
    let how = if inline && shown.is_some() { "inline" } else { "attachment" };
    let policy = if inline && pdf { PDF_POLICY } else { POLICY };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, disposition(how, kept.name)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
    ];
    (headers, kept.bytes).into_response()
}

/// RFC 6266: the name in ASCII for the old, and whole for the others.
pub(in super::super) fn disposition(how: &'static str, name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' })
        .map(|c| if matches!(c, '"' | '\\' | '%') { '_' } else { c })
        .collect();
    let mut whole = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    let text = format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{whole}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Uploads that a body names, with their sizes.
pub(super) async fn uploads(
    state: &State,
    field: &str,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, u64)>, Problem> {
    let mut once: Vec<Uuid> = ids.to_vec();
    once.sort();
    once.dedup();
    if once.len() != ids.len() {
        return Err(Problem::invalid(field, format!("{field}: an upload can be used once")));
    }
    match state.engine.store.unused_uploads(ids).await {
        Err(StoreError::NotFound(_)) => {
            let text = format!("{field}: there is no such upload, or a message has it already");
            Err(Problem::invalid(field, text))
        }
        sizes => Ok(ids.iter().copied().zip(sizes?).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        for (given, expected) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\账单.pdf", "账单.pdf"),
            ("a\u{202e}gpj.exe", "agpj.exe"),
            ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
            ("..", "file"),
            ("", "file"),
        ] {
            assert_eq!(shown_name(given), expected);
        }
        let long = shown_name(&format!("{}.pdf", "钱".repeat(300)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("钱.pdf"));
        assert!(shown_name(&format!("a.{}", "b".repeat(300))).len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn a_media_type_is_one_or_is_any_bytes() {
        assert_eq!(media_type("Image/PNG; x=y"), "image/png");
        for odd in ["", "png", "a/b/c", "a/b\r\nx", "/", "a/", "é/x"] {
            assert_eq!(media_type(odd), "application/octet-stream", "{odd}");
        }
    }

    #[test]
    fn a_name_never_ends_its_header() {
        let text = disposition("attachment", "a\"; x=\"\r\n账.html");
        let expected = "attachment; filename=\"a_; x=____.html\"; \
            filename*=UTF-8''a%22%3B%20x%3D%22%0D%0A%E8%B4%A6.html";
        assert_eq!(text.to_str().unwrap(), expected);
    }
}
