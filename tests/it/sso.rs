//! Signing in by an identity provider: over HTTP with everything that can go wrong, and in a real browser.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tributary::model::{Actor, Role, Secret};
use tributary::web::SsoSettings;

use crate::support::app::App;
use crate::support::browser::{Browser, Screen};
use crate::support::daemon::Daemon;
use crate::support::identity_provider::{CLIENT, IdentityProvider, SECRET, Wrong};

fn settings(issuer: &str) -> SsoSettings {
    SsoSettings {
        name: "company".to_owned(),
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(Secret::new(SECRET)),
        label: "Company <account>".to_owned(),
        scopes: vec!["groups".to_owned()],
        domains: Vec::new(),
        groups_claim: "groups".to_owned(),
        groups: BTreeMap::new(),
        role: None,
        create: false,
    }
}

/// A program with Lena in it, and the provider.
async fn desk(change: impl FnOnce(&mut SsoSettings)) -> (App, IdentityProvider) {
    let provider = IdentityProvider::start().await;
    let mut sso = settings(&provider.issuer);
    change(&mut sso);
    let app = App::start_with("", |web| web.sso = vec![sso]).await;
    let now = app.engine.clock.now();
    let lena = ("Lena", "lena@desk.test");
    app.store.add_person(lena, Role::Agent, None, &Actor::system(), now).await.unwrap();
    (app, provider)
}

fn browser() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

/// What the browser holds while it is at the provider, and where that sends it back to.
struct Trip {
    cookie: String,
    back: String,
}

async fn out(app: &App) -> Trip {
    let begun = browser().get(format!("{}/console/sso/company", app.base)).send().await.unwrap();
    assert_eq!(begun.status().as_u16(), 303, "{}", begun.text().await.unwrap());
    let set = begun.headers()[SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let cookie = set.split(';').next().unwrap().to_owned();
    let there = begun.headers()[LOCATION].to_str().unwrap();
    let secret = cookie.split('=').nth(1).unwrap();
    assert!(!there.contains(secret), "the secret stays in the browser");
    let sent = browser().get(there).send().await.unwrap();
    assert_eq!(sent.status().as_u16(), 303, "{}", sent.text().await.unwrap());
    Trip { cookie, back: sent.headers()[LOCATION].to_str().unwrap().to_owned() }
}

async fn come_back(trip: &Trip) -> Response {
    browser().get(&trip.back).header(COOKIE, &trip.cookie).send().await.unwrap()
}

async fn there_and_back(app: &App) -> Response {
    come_back(&out(app).await).await
}

/// Who the session is of, if it is one.
async fn me(app: &App, answer: &Response) -> Option<Value> {
    let cookies = answer.headers().get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap());
    let session = cookies
        .filter_map(|set| set.split(';').next())
        .find(|set| set.starts_with("tributary="))?;
    let asked = browser().get(format!("{}/api/v1/me", app.base)).header(COOKIE, session);
    let shown = asked.send().await.unwrap();
    (shown.status().as_u16() == 200).then_some(shown.json().await.unwrap())
}

/// Fails the test unless nobody was let in, for this reason.
async fn refused(app: &App, answer: Response, status: u16, words: &str, why: &str) {
    assert_eq!(answer.status().as_u16(), status);
    let sets = answer.headers().get_all(SET_COOKIE);
    assert!(!sets.iter().any(|set| set.to_str().unwrap().starts_with("tributary=")));
    let html = answer.text().await.unwrap();
    assert!(html.contains(words), "no `{words}` in {html}");
    assert!(html.contains("name=\"password\""), "another way is offered: {html}");
    let trail = app.store.audit_trail(None, i64::MAX, 1).await.unwrap();
    assert_eq!(trail[0].kind, "person.sign_in_failed", "{trail:?}");
    assert_eq!(
        (&trail[0].data["way"], &trail[0].data["why"]),
        (&"sso.company".into(), &why.into())
    );
}

#[tokio::test]
async fn somebody_comes_in_by_their_account_and_the_answer_is_good_once() {
    let (app, provider) = desk(|_| {}).await;
    let page = browser().get(format!("{}/console/sign-in", app.base)).send().await.unwrap();
    let html = page.text().await.unwrap();
    assert!(html.contains("href=\"/console/sso/company\">Company &lt;account>"), "{html}");
    let trip = out(&app).await;
    let answer = come_back(&trip).await;
    assert_eq!(answer.headers()[LOCATION], "/console/");
    let shown = me(&app, &answer).await.expect("a session");
    assert_eq!((&shown["name"], &shown["role"]), (&"Lena".into(), &"agent".into()));
    let gone = answer.headers().get_all(SET_COOKIE).iter().next_back().unwrap().to_str().unwrap();
    assert!(gone.starts_with("tributary-sso=;") && gone.contains("Max-Age=0"), "{gone}");
    let again = come_back(&trip).await;
    refused(&app, again, 502, "cannot be trusted", "untrusted").await;
    assert_eq!(provider.asked("discovery"), 1, "what is published is not asked for each time");
    let trail = app.store.audit_trail(None, i64::MAX, 10).await.unwrap();
    let signed_in = trail.iter().find(|event| event.kind == "person.signed_in").unwrap();
    assert_eq!(
        (signed_in.data["sso"].as_str(), signed_in.actor.name.as_str()),
        (Some("company"), "Lena")
    );
}

#[tokio::test]
async fn an_answer_that_this_browser_did_not_ask_for_is_not_looked_at() {
    let (app, provider) = desk(|_| {}).await;
    let (mine, theirs) = (out(&app).await, out(&app).await);
    let stolen = Trip { cookie: mine.cookie.clone(), back: theirs.back.clone() };
    let none = Trip { cookie: "a=b".to_owned(), back: theirs.back.clone() };
    let empty = Trip { cookie: "tributary-sso=".to_owned(), back: theirs.back.clone() };
    let callback = format!("{}/console/sso/company/callback", app.base);
    let bare = Trip { cookie: mine.cookie.clone(), back: callback };
    for trip in [stolen, none, empty, bare] {
        let answer = come_back(&trip).await;
        refused(&app, answer, 400, "begun in another browser", "stale").await;
    }
    assert_eq!(provider.asked("token"), 0);
    assert!(me(&app, &come_back(&mine).await).await.is_some());
}

#[tokio::test]
async fn what_does_not_hold_lets_nobody_in() {
    let (app, provider) = desk(|_| {}).await;
    for (wrong, status, words, why) in [
        (Wrong::Nonce, 502, "cannot be trusted", "untrusted"),
        (Wrong::Audience, 502, "cannot be trusted", "untrusted"),
        (Wrong::Issuer, 502, "cannot be trusted", "untrusted"),
        (Wrong::Expired, 502, "cannot be trusted", "untrusted"),
        (Wrong::Unsigned, 502, "cannot be trusted", "untrusted"),
        (Wrong::ForeignKey, 502, "cannot be trusted", "untrusted"),
        (Wrong::MixedUp, 502, "cannot be trusted", "untrusted"),
        (Wrong::Broken, 502, "does not answer", "unreachable"),
        (Wrong::Declines, 403, "did not let you in", "declined"),
    ] {
        provider.does(wrong);
        refused(&app, there_and_back(&app).await, status, words, why).await;
    }
    provider.does(Wrong::Nothing);
    assert!(me(&app, &there_and_back(&app).await).await.is_some());
}

#[tokio::test]
async fn a_provider_that_says_nothing_is_given_up() {
    let (app, provider) = desk(|_| {}).await;
    provider.does(Wrong::Slow);
    refused(&app, there_and_back(&app).await, 502, "does not answer", "unreachable").await;
    let issuer = provider.issuer.clone();
    drop(provider);
    let app = App::start_with("", |web| web.sso = vec![settings(&issuer)]).await;
    let begun = browser().get(format!("{}/console/sso/company", app.base));
    let begun = begun.header("accept-language", "zh-CN").send().await.unwrap();
    refused(&app, begun, 502, "登录服务没有响应", "unreachable").await;
}

#[tokio::test]
async fn keys_that_were_changed_are_read_again() {
    let (app, provider) = desk(|_| {}).await;
    assert!(me(&app, &there_and_back(&app).await).await.is_some());
    for id in ["new", "rsa"] {
        // The second time under the name of a key that we have seen.
        provider.change_keys(id);
        assert!(me(&app, &there_and_back(&app).await).await.is_some(), "{id}");
    }
    assert_eq!(provider.asked("keys"), 3);
}

#[tokio::test]
async fn an_address_links_only_if_it_was_verified_and_its_domain_is_let_in() {
    let (app, provider) = desk(|sso| {
        sso.domains = vec!["desk.test".to_owned()];
        sso.create = true;
        sso.role = Some(Role::ReadOnly);
    })
    .await;
    let account = |sub: &str, email: &str, verified: bool| {
        provider.knows(json!({ "sub": sub, "email": email, "email_verified": verified }));
    };
    account("1", "lena@desk.test", false);
    refused(&app, there_and_back(&app).await, 403, "of your domain", "domain").await;
    account("1", "lena@evil.test", true);
    refused(&app, there_and_back(&app).await, 403, "of your domain", "domain").await;
    account("1", "lena@desk.test", true);
    let lena = me(&app, &there_and_back(&app).await).await.unwrap();
    assert_eq!((&lena["name"], &lena["role"]), (&"Lena".into(), &"agent".into()));
    account("2", "Carla@desk.test", true);
    let carla = me(&app, &there_and_back(&app).await).await.unwrap();
    assert_eq!((&carla["name"], &carla["role"]), (&"Carla".into(), &"read_only".into()));
    account("3", "lena@desk.test", true);
    refused(&app, there_and_back(&app).await, 403, "another account", "taken").await;
    let api = app.api(Role::Admin);
    let id = lena["id"].as_str().unwrap();
    let forget = api.request(Method::DELETE, &format!("/users/{id}/sign-on"));
    assert_eq!(forget.send().await.unwrap().status().as_u16(), 204);
    assert_eq!(me(&app, &there_and_back(&app).await).await.unwrap()["name"], "Lena");
    let disable = api.request(Method::POST, &format!("/users/{id}/disable"));
    assert_eq!(disable.send().await.unwrap().status().as_u16(), 200);
    refused(&app, there_and_back(&app).await, 403, "not let in here any more", "disabled").await;
}

#[tokio::test]
async fn who_is_unknown_or_unverified_or_in_no_group_stays_out() {
    let (app, provider) = desk(|sso| {
        sso.groups = BTreeMap::from([("support".to_owned(), Role::Agent)]);
    })
    .await;
    let account = |email: &str, verified: bool, groups: Value| {
        provider.knows(json!({
            "sub": email, "email": email, "email_verified": verified, "groups": groups,
        }));
    };
    account("lena@desk.test", true, json!(["canteen"]));
    refused(&app, there_and_back(&app).await, 403, "none of your groups", "groups").await;
    account("lena@desk.test", false, json!(["support"]));
    refused(&app, there_and_back(&app).await, 403, "not confirmed your mail", "unverified").await;
    account("who@desk.test", true, json!(["support"]));
    refused(&app, there_and_back(&app).await, 403, "nobody here has your mail", "unknown").await;
    account("lena@desk.test", true, json!(["support"]));
    assert_eq!(me(&app, &there_and_back(&app).await).await.unwrap()["role"], "agent");
}

#[tokio::test]
async fn whoever_fails_again_and_again_has_to_wait() {
    let (app, provider) = desk(|_| {}).await;
    let callback = format!("{}/console/sso/company/callback?code=x&state=y", app.base);
    for _ in 0..21 {
        assert_eq!(browser().get(&callback).send().await.unwrap().status().as_u16(), 400);
    }
    assert_eq!(browser().get(&callback).send().await.unwrap().status().as_u16(), 429);
    let begin = format!("{}/console/sso/company", app.base);
    assert_eq!(browser().get(&begin).send().await.unwrap().status().as_u16(), 429);
    assert_eq!(provider.asked("discovery"), 0);
    let noted = app.store.audit_trail(None, i64::MAX, 200).await.unwrap();
    let noted = noted.iter().filter(|event| event.kind == "person.sign_in_failed").count();
    assert_eq!(noted, 10, "an attacker fills no store");
}

#[tokio::test]
async fn a_provider_that_nobody_named_leads_nowhere() {
    let (app, provider) = desk(|_| {}).await;
    for path in ["nobody", "nobody/callback?code=x&state=y"] {
        let asked = browser().get(format!("{}/console/sso/{path}", app.base)).send().await.unwrap();
        assert_eq!(asked.status().as_u16(), 404, "{path}");
        let html = asked.text().await.unwrap();
        assert!(html.contains("there is no such sign-in service here"), "{html}");
    }
    assert_eq!(provider.asked("discovery"), 0);
}

fn configuration(issuer: &str) -> String {
    format!(
        "[sso.company]\nissuer = \"{issuer}\"\nclient_id = \"{CLIENT}\"\n\
         client_secret = \"{SECRET}\"\nlabel = \"Company account\"\ncreate = true\nrole = \"agent\"\n"
    )
}

/// In a browser: the cookie of the sign-in comes back with whom another site leads here.
#[tokio::test]
async fn a_browser_is_led_to_the_provider_and_back_into_the_console() {
    let provider = IdentityProvider::start().await;
    // Another name of this machine is another site.
    let daemon = Daemon::start(&configuration(&provider.issuer)).await;
    let browser = Browser::start(Screen::Desktop).await;
    browser.open(&format!("http://127.0.0.1:{}/console/", daemon.port())).await;
    let button = "return document.querySelector('a.sso')";
    let button = browser.element("the button", button).await;
    browser.screenshot("sign_in_sso").await;
    browser.click(&button).await;
    let go = browser.element("the provider", "return document.querySelector('#go')").await;
    browser.click(&go).await;
    browser.wait("the console", "return !!document.querySelector('nav.side .who')").await;
    let name = "return document.querySelector('nav.side .who').textContent";
    assert_eq!(browser.run(name, json!([])).await, "Lena");
    let address = browser.run("return location.href", json!([])).await;
    assert!(!address.as_str().unwrap().contains("code="), "{address}");
    let severe = browser.log().await.into_iter().filter(|entry| entry["level"] == "SEVERE");
    // The page that asked who we are before anybody had signed in; and the provider has no icon.
    let known =
        |entry: &Value| ["401", "favicon"].iter().any(|word| entry.to_string().contains(word));
    let odd: Vec<Value> = severe.filter(|entry| !known(entry)).collect();
    assert!(odd.is_empty(), "{odd:#?}");
}

#[tokio::test]
async fn a_check_online_asks_the_provider_and_faults_are_named() {
    let provider = IdentityProvider::start().await;
    let daemon = Daemon::prepare(&configuration(&provider.issuer));
    let checked = tokio::task::spawn_blocking(move || {
        let output = daemon.run(&["check", "--online"]);
        (String::from_utf8_lossy(&output.stdout).into_owned(), daemon)
    });
    let (told, daemon) = checked.await.unwrap();
    let good = format!("ok       sso.company discovery: {} publishes", provider.issuer);
    assert!(told.contains(&good), "{told}");
    daemon.configure(&configuration("http://127.0.0.1:1"));
    let output = daemon.run(&["check", "--online"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("failed   sso.company discovery: 127.0.0.1 cannot be reached"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
    for (text, fault) in [
        ("issuer = \"http://login.example\"", "sso.company.issuer: plain http"),
        ("issuer = \"https://login.example\"\ndomains = [\"@a.b\"]", "sso.company.domains: "),
        ("issuer = \"https://login.example\"\ncreate = true", "sso.company.create: "),
        ("issuer = \"https://login.example\"\nscopes = [\"a b\"]", "sso.company.scopes: "),
        ("issuer = \"https://login.example\"\nrole = \"boss\"", "sso.company.role: "),
    ] {
        daemon.configure(&format!("[sso.company]\nclient_id = \"x\"\nlabel = \"x\"\n{text}\n"));
        let output = daemon.run(&["check"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(fault), "no `{fault}` in {told}");
    }
}
