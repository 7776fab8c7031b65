//! Who may what (FAULTS #179), on every route there is.

use reqwest::Method;
use serde_json::Value;
use tributary::model::Role;
use tributary::store::Entry;

use super::{NO_ID, refused, send};
use crate::support::app::App;
use crate::support::daemon::{Api, client};

/// Every route of the API with the least role that may use it. A route that is not here fails the test,
/// so that nobody adds one without deciding who may use it.
const ROUTES: &[(&str, &str, Role)] = &[
    ("GET", "/attachments/{id}", Role::ReadOnly),
    ("GET", "/contacts", Role::ReadOnly),
    ("GET", "/channels", Role::ReadOnly),
    ("GET", "/channels/{name}", Role::ReadOnly),
    ("POST", "/channels/{name}/check", Role::Admin),
    ("POST", "/channels/{name}/pause", Role::Admin),
    ("POST", "/channels/{name}/resume", Role::Admin),
    ("GET", "/events", Role::ReadOnly),
    ("GET", "/me", Role::ReadOnly),
    ("GET", "/me/signature", Role::ReadOnly),
    ("PUT", "/me/signature", Role::Agent),
    ("GET", "/tickets/{id}/signature", Role::Agent),
    ("GET", "/callbacks/slots", Role::ReadOnly),
    ("GET", "/callbacks", Role::ReadOnly),
    ("POST", "/callbacks", Role::Agent),
    ("GET", "/callbacks/{id}", Role::ReadOnly),
    ("POST", "/callbacks/{id}/call", Role::Agent),
    ("POST", "/callbacks/{id}/cancel", Role::Agent),
    ("POST", "/callbacks/{id}/outcome", Role::Agent),
    ("GET", "/outbox", Role::ReadOnly),
    ("POST", "/outbox/retry", Role::Agent),
    ("GET", "/outbox/{id}", Role::ReadOnly),
    ("POST", "/outbox/{id}/cancel", Role::Agent),
    ("POST", "/outbox/{id}/hold", Role::Agent),
    ("POST", "/outbox/{id}/release", Role::Agent),
    ("POST", "/outbox/{id}/retry", Role::Agent),
    ("GET", "/quarantine", Role::ReadOnly),
    ("POST", "/quarantine/retry", Role::Agent),
    ("GET", "/quarantine/{id}", Role::ReadOnly),
    ("DELETE", "/quarantine/{id}", Role::Admin),
    ("GET", "/quarantine/{id}/raw", Role::Admin),
    ("POST", "/quarantine/{id}/retry", Role::Agent),
    ("GET", "/faq", Role::ReadOnly),
    ("GET", "/macros", Role::ReadOnly),
    ("POST", "/macros", Role::Agent),
    ("PATCH", "/macros/{id}", Role::Agent),
    ("DELETE", "/macros/{id}", Role::Agent),
    ("POST", "/tickets/{id}/macros/{macro}", Role::Agent),
    ("GET", "/views", Role::ReadOnly),
    ("POST", "/views", Role::ReadOnly),
    ("DELETE", "/views/{id}", Role::ReadOnly),
    ("POST", "/callbacks/{id}/connect", Role::Agent),
    ("POST", "/tickets/counts", Role::ReadOnly),
    ("GET", "/tickets/{id}/draft", Role::ReadOnly),
    ("PUT", "/tickets/{id}/draft", Role::Agent),
    ("GET", "/stats", Role::ReadOnly),
    ("GET", "/stats/board", Role::ReadOnly),
    ("GET", "/stats/plots/{name}", Role::ReadOnly),
    ("GET", "/stats/tables/{name}", Role::ReadOnly),
    ("GET", "/tokens", Role::Admin),
    ("POST", "/tokens", Role::Admin),
    ("DELETE", "/tokens/{id}", Role::Admin),
    ("GET", "/users", Role::ReadOnly),
    ("POST", "/users", Role::Admin),
    ("POST", "/users/{id}/disable", Role::Admin),
    ("POST", "/users/{id}/sign-in-link", Role::Admin),
    ("PATCH", "/users/{id}", Role::Admin),
    ("DELETE", "/users/{id}/second-factor", Role::Admin),
    ("DELETE", "/users/{id}/sign-on", Role::Admin),
    ("GET", "/me/notifications", Role::ReadOnly),
    ("PUT", "/me/notifications", Role::ReadOnly),
    ("POST", "/me/second-factor", Role::ReadOnly),
    ("POST", "/me/second-factor/confirm", Role::ReadOnly),
    ("POST", "/me/second-factor/remove", Role::ReadOnly),
    ("GET", "/sessions", Role::ReadOnly),
    ("DELETE", "/sessions/{id}", Role::ReadOnly),
    ("GET", "/audit", Role::Admin),
    ("GET", "/contacts/{id}", Role::ReadOnly),
    ("PATCH", "/contacts/{id}", Role::Agent),
    ("DELETE", "/contacts/{id}", Role::Admin),
    ("GET", "/contacts/{id}/export", Role::Admin),
    ("POST", "/contacts/{id}/links", Role::Agent),
    ("POST", "/contacts/{id}/merge", Role::Agent),
    ("POST", "/contacts/{id}/unmerge", Role::Agent),
    ("GET", "/contacts/{id}/merged", Role::ReadOnly),
    ("GET", "/contacts/{id}/similar", Role::ReadOnly),
    ("GET", "/messages", Role::ReadOnly),
    ("GET", "/messages/{id}", Role::ReadOnly),
    ("GET", "/messages/{id}/raw", Role::Agent),
    ("GET", "/messages/{id}/page", Role::ReadOnly),
    ("POST", "/messages/{id}/unseal", Role::Admin),
    ("GET", "/tickets", Role::ReadOnly),
    ("POST", "/tickets", Role::Agent),
    ("GET", "/tickets/words", Role::ReadOnly),
    ("GET", "/tickets/{id}", Role::ReadOnly),
    ("PATCH", "/tickets/{id}", Role::Agent),
    ("DELETE", "/tickets/{id}", Role::Admin),
    ("GET", "/tickets/{id}/events", Role::ReadOnly),
    ("GET", "/tickets/{id}/messages", Role::ReadOnly),
    ("POST", "/tickets/{id}/messages", Role::Agent),
    ("GET", "/tickets/{id}/live", Role::ReadOnly),
    ("POST", "/tickets/{id}/merge", Role::Agent),
    ("POST", "/tickets/{id}/unmerge", Role::Agent),
    ("GET", "/tickets/{id}/merged", Role::ReadOnly),
    ("POST", "/tickets/{id}/seen", Role::Agent),
    ("POST", "/tickets/{id}/typing", Role::Agent),
    ("POST", "/tickets/{id}/split", Role::Agent),
    ("GET", "/tickets/{id}/proofs", Role::ReadOnly),
    ("GET", "/tickets/{id}/customer", Role::ReadOnly),
    ("POST", "/tickets/{id}/customer", Role::Agent),
    ("DELETE", "/tickets/{id}/customer", Role::Agent),
    ("DELETE", "/tickets/{id}/customer/suggested", Role::Agent),
    ("POST", "/tickets/{id}/proofs", Role::Agent),
    ("GET", "/tickets/{id}/suggestions", Role::ReadOnly),
    ("POST", "/uploads", Role::Agent),
];

fn described() -> Vec<(String, String)> {
    let document = serde_json::to_value(tributary::web::openapi()).unwrap();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").expect("the document describes the API");
        let methods = ["get", "post", "put", "patch", "delete"];
        for method in methods.iter().filter(|method| item.get(**method).is_some()) {
            routes.push((method.to_uppercase(), path.to_owned()));
        }
    }
    routes.sort();
    routes
}

#[test]
fn every_route_is_listed_with_the_role_that_it_needs() {
    let mut listed: Vec<(String, String)> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    listed.sort();
    assert_eq!(described(), listed);
}

#[tokio::test]
async fn a_route_is_closed_to_whoever_has_not_the_role() {
    let app = App::start("").await;
    let anybody = client();
    for (method, path, least) in ROUTES {
        let method: Method = method.parse().unwrap();
        let path = path.replace("{id}", NO_ID).replace("{name}", "none");
        let address = format!("{}/api/v1{path}", app.base);
        let request = || anybody.request(method.clone(), &address);
        refused(request(), 401, "unauthorized").await;
        // A stream has no end that could be waited for.
        let streams = path == "/events";
        let wrong = format!("trb_{}", "x".repeat(49));
        let (status, ..) = send(request().bearer_auth(wrong)).await;
        assert!(matches!(status.as_u16(), 401 | 429), "{method} {path}: {status}");
        for role in [Role::ReadOnly, Role::Agent, Role::Admin] {
            let request = app.api(role).request(method.clone(), &path);
            if role < *least {
                refused(request, 403, "forbidden").await;
            } else if streams {
                let status = request.send().await.unwrap().status();
                assert_eq!(status.as_u16(), 200, "{method} {path} {role}");
            } else {
                let (status, _, body) = send(request).await;
                assert!(!matches!(status.as_u16(), 401 | 403), "{method} {path} {role}: {body}");
                assert_ne!(status.as_u16(), 503, "{method} {path} {role}: {body}");
                assert_ne!(status.as_u16(), 500, "{method} {path} {role}: {body}");
                // FAULTS #180: what is not there for the caller is not there, for whatever role. A token is nobody,
                // who has nothing of their own.
                let own = path.starts_with("/views/") || path.ends_with("/draft");
                if own {
                    assert!(matches!(status.as_u16(), 409 | 415), "{method} {path} {role}: {body}");
                } else if path.contains(NO_ID) && matches!(method, Method::GET | Method::DELETE) {
                    assert_eq!(status.as_u16(), 404, "{method} {path} {role}: {body}");
                }
            }
        }
    }
}

#[tokio::test]
async fn wrong_tokens_become_too_many_and_right_ones_are_let_in_all_the_same() {
    let app = App::start("").await;
    let anybody = client();
    let address = format!("{}/api/v1/tickets", app.base);
    for _ in 0..20 {
        refused(anybody.get(&address).bearer_auth("trb_wrong"), 401, "unauthorized").await;
    }
    let request = anybody.get(&address).bearer_auth("trb_wrong");
    let (status, headers, _) = send(request).await;
    assert_eq!((status.as_u16(), &headers["retry-after"]), (429, &"60".parse().unwrap()));
    app.api(Role::ReadOnly).get("/tickets").await;
    refused(anybody.get(&address), 401, "unauthorized").await;
}

/// FAULTS #181: and it is told in the same words as one that never was.
#[tokio::test]
async fn a_revoked_or_expired_token_opens_nothing() {
    let app = App::start("").await;
    let now = app.engine.clock.now();
    let until = Some(now - chrono::Duration::seconds(1));
    let (_, old) = app
        .store
        .create_token("old", Role::Admin, until, &tributary::model::Actor::system(), now)
        .await
        .unwrap();
    let (token, gone) = app
        .store
        .create_token("gone", Role::Admin, None, &tributary::model::Actor::system(), now)
        .await
        .unwrap();
    app.store
        .revoke_token(&token.id.to_string(), &tributary::model::Actor::system(), now)
        .await
        .unwrap();
    let never = format!("trb_{}", "x".repeat(49));
    let mut told = std::collections::BTreeSet::new();
    for secret in [old.reveal(), gone.reveal(), &never, "", "x y", "trb_"] {
        let request = client().get(format!("{}/api/v1/tickets", app.base));
        told.insert(refused(request.bearer_auth(secret), 401, "unauthorized").await);
    }
    assert_eq!(told.len(), 1, "{told:?}");
    let (token, used) = app
        .store
        .create_token("used", Role::ReadOnly, None, &tributary::model::Actor::system(), now)
        .await
        .unwrap();
    Api::new(app.base.clone(), used.reveal().to_owned()).get("/tickets").await;
    let known = app.store.tokens().await.unwrap();
    let known = known.iter().find(|known| known.id == token.id).unwrap();
    assert!(known.last_used_at.is_some(), "its use is noted");
}

#[tokio::test]
async fn a_session_reads_from_anywhere_and_changes_from_our_own_pages_only() {
    let app = App::start("").await;
    let now = app.engine.clock.now();
    let valid = chrono::Duration::minutes(5);
    let link = app.store.admin_sign_in_link(valid, now).await.unwrap();
    let entry = app.store.use_sign_in_link(link.reveal(), now).await.unwrap();
    let Some(Entry::Session(session)) = entry else { panic!("no session") };
    let anybody = client();
    let cookie = format!("tributary={}", session.reveal());
    let get = anybody.get(format!("{}/api/v1/tickets", app.base));
    let (status, ..) = send(get.header("cookie", &cookie)).await;
    assert_eq!(status.as_u16(), 200);
    let change = || {
        let path = format!("{}/api/v1/tickets/{NO_ID}", app.base);
        anybody.patch(path).header("cookie", &cookie).json(&serde_json::json!({}))
    };
    refused(change(), 403, "foreign_origin").await;
    refused(change().header("origin", "https://evil.example"), 403, "foreign_origin").await;
    let cross = change().header("origin", &app.base).header("sec-fetch-site", "cross-site");
    refused(cross, 403, "foreign_origin").await;
    let (status, _, body) = send(change().header("origin", &app.base)).await;
    assert_ne!(status.as_u16(), 403, "{body}");
    app.store.end_session(session.reveal()).await.unwrap();
    let get = anybody.get(format!("{}/api/v1/tickets", app.base));
    refused(get.header("cookie", &cookie), 401, "unauthorized").await;
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let app = App::start("").await;
    let api = app.api(Role::Admin);
    refused(api.request(Method::GET, "/nothing/here"), 404, "not_found").await;
    refused(api.request(Method::GET, "/tickets/x"), 404, "not_found").await;
    refused(api.request(Method::GET, "/tickets/%ff"), 404, "not_found").await;
    refused(api.request(Method::GET, "/tickets?limit=-1"), 400, "bad_query").await;
    refused(api.request(Method::GET, "/tickets?cursor=forged"), 400, "bad_cursor").await;
    let (_, headers, _) = send(api.request(Method::DELETE, "/tickets")).await;
    assert!(headers["allow"].to_str().unwrap().contains("GET"));
    refused(api.request(Method::DELETE, "/tickets"), 405, "method_not_allowed").await;
    let posted = client().post(format!("{}/healthz", app.base));
    refused(posted, 405, "method_not_allowed").await;
}

#[test]
fn the_document_is_openapi_3_1_and_its_references_lead_somewhere() {
    let document = serde_json::to_value(tributary::web::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                    references += 1;
                }
                open.extend(map.values());
            }
            Value::Array(list) => open.extend(list),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(references > 10);
}
