//! `/openapi.json` and `/docs`: described from the code, complete, and without a foreign script.

use std::collections::HashSet;
use std::process::Command;

use reqwest::header;
use serde_json::Value;

use crate::support::app::App;
use crate::support::daemon::client;

async fn document(app: &App) -> Value {
    let answer = client().get(format!("{}/openapi.json", app.base)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let methods = ["get", "post", "put", "patch", "delete"];
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let there = methods.iter().filter_map(move |method| Some((method, item.get(*method)?)));
        there.map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

#[tokio::test]
async fn the_document_is_whole() {
    let app = App::start("").await;
    let document = document(&app).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document["openapi"]);
    assert_eq!(document["servers"][0]["url"], "/");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes["token"]["scheme"], "bearer");
    assert_eq!(schemes["session"]["in"], "cookie");
    let mut names = HashSet::new();
    let operations = operations(&document);
    assert!(operations.len() > 30, "only {} operations", operations.len());
    for (place, operation) in operations {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{place} has no id"));
        assert!(names.insert(id.to_owned()), "{place}: {id} is there twice");
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{place}: no summary"
        );
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{place}: one tag");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|code| code.starts_with('2')), "{place}: no success");
        assert!(responses.contains_key("401"), "{place}: nobody is refused");
        let wanted: Vec<&str> =
            place.split('{').skip(1).filter_map(|one| one.split('}').next()).collect();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for name in wanted {
            let described = parameters.iter().any(|one| one["in"] == "path" && one["name"] == name);
            assert!(described, "{place}: {name} is not described");
        }
    }
    references(&document, &document);
}

/// Every `$ref` leads somewhere.
fn references(root: &Value, at: &Value) {
    match at {
        Value::Object(keys) => {
            if let Some(reference) = keys.get("$ref").and_then(Value::as_str) {
                let found = root.pointer(reference.trim_start_matches('#'));
                assert!(found.is_some(), "{reference} leads nowhere");
            }
            keys.values().for_each(|value| references(root, value));
        }
        Value::Array(items) => items.iter().for_each(|value| references(root, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_command_prints_the_same_and_no_secret_is_in_it() {
    let app = App::start("").await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    let printed = command.arg("openapi").env_clear().current_dir(std::env::temp_dir()).output();
    let printed = printed.unwrap().stdout;
    let printed: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(printed, document(&app).await);
    let text = printed.to_string();
    for secret in ["trb_", "Bearer ey", "hunter2", "/work/", "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret} is in the document");
    }
}

#[tokio::test]
async fn the_page_runs_its_own_files_only() {
    let app = App::start("").await;
    let get = async |path: &str| client().get(format!("{}{path}", app.base)).send().await.unwrap();
    let page = get("/docs").await;
    assert_eq!(page.url().path(), "/docs/");
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    let scripts = policy.split(';').find(|one| one.trim().starts_with("script-src")).unwrap();
    assert_eq!(scripts.trim(), "script-src 'self'");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    let html = page.text().await.unwrap();
    let mut files = 0;
    for tag in html.split('<').filter(|tag| tag.starts_with("script") || tag.starts_with("link")) {
        let source = tag.split("src=\"").nth(1).or_else(|| tag.split("href=\"").nth(1));
        let source = source.unwrap_or_else(|| panic!("a script stands in the page: {tag}"));
        let name = source.split('"').next().unwrap().trim_start_matches("./");
        assert!(!name.contains("//"), "{name} is of another site");
        let file = get(&format!("/docs/{name}")).await;
        assert_eq!(file.status().as_u16(), 200, "{name}");
        let kind = file.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let wanted = if name.ends_with(".js") {
            "javascript"
        } else if name.ends_with(".css") {
            "css"
        } else {
            "image/png"
        };
        assert!(kind.contains(wanted), "{name}: {kind}");
        files += 1;
    }
    assert!(files >= 4, "only {files} files: {html}");
    let start = get("/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(start.contains("\"/openapi.json\""), "{start}");
    for nothing in ["/docs/nothing.js", "/docs/..%2f..%2fetc%2fpasswd"] {
        assert_eq!(get(nothing).await.status().as_u16(), 404, "{nothing}");
    }
}
