//! What the OpenAPI document says of the API as a whole.

use std::collections::BTreeMap;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr,
    Response, ResponseBuilder, SecurityRequirement, Server,
};
use utoipa::{IntoResponses, PartialSchema as _, ToSchema as _};

use super::super::error::ProblemBody;

const TOKEN: &str = "token";
const SESSION: &str = "session";

const ABOUT: &str = "Every customer message, on whatever channel, as a ticket. \
    Lists come in pages: `limit` (200 at most) and `cursor`. Errors are RFC 9457 problem details. \
    A `POST` that creates takes an `Idempotency-Key`: the same key again gives the same answer and does \
    nothing (not where the answer shows a secret once: nothing keeps that to show it again). A change of a ticket or contact takes `If-Match` with its `version`: 412 when it has \
    changed since.";

/// The document without its paths.
pub(super) fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tributary")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::new("MIT")));
    let session = ApiKeyValue::with_description("__Host-tributary", "a session of the console");
    let components = ComponentsBuilder::new()
        .schema(ProblemBody::name(), ProblemBody::schema())
        .security_scheme(TOKEN, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let none: [&str; 0] = [];
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/")]))
        .components(Some(components.build()))
        .security(Some([
            SecurityRequirement::new(TOKEN, none),
            SecurityRequirement::new(SESSION, none),
        ]))
        .build()
}

/// The errors that any route may answer with.
pub(super) struct Errors;

const ERRORS: &[(u16, &str)] = &[
    (400, "the request cannot be read: a key of the query, a header, the JSON"),
    (401, "no token, or a wrong one"),
    (403, "the token may not do this, or a cookie came from another site"),
    (404, "there is no such thing"),
    (409, "it makes no sense in the present state"),
    (412, "`If-Match` names a version that is not the present one"),
    (413, "the body is too large"),
    (415, "the body is of another media type"),
    (422, "the body says something that will not do; `field` names the key"),
    (429, "too many wrong tokens from this address"),
    (503, "the store is not available, or busy; try again"),
];

impl IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let body = || {
            let schema = Ref::from_schema_name(ProblemBody::name());
            ContentBuilder::new().schema(Some(schema)).build()
        };
        let described = ERRORS.iter().map(|(status, text)| {
            let response = ResponseBuilder::new().description(*text);
            let response = response.content("application/problem+json", body()).build();
            (status.to_string(), RefOr::T(response))
        });
        described.collect()
    }
}
