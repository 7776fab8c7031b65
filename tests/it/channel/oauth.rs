//! Access tokens: asked for in time, once, and never at the price of the refresh token.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tributary::channel::email::imap::ImapPull;
use tributary::channel::email::oauth::{Prompt, TokenError, TokenSource, Way, login};
use tributary::channel::email::settings::{Grant, Imap, Login, OAuth};
use tributary::channel::{PullError, Vault};
use tributary::model::Secret;
use url::Url;

use super::imap::settings;
use crate::support::desk::{Desk, chain};
use crate::support::imap_script::Fake;
use crate::support::token_endpoint::{Fields, MemoryVault, TokenEndpoint, failure, success};

fn oauth(url: &str) -> OAuth {
    rustls::crypto::ring::default_provider().install_default().ok();
    OAuth {
        vault_name: "oauth/mail/oauth".to_owned(),
        client_id: "our-app".to_owned(),
        client_secret: Some(Secret::new("app-secret")),
        grant: Grant::RefreshToken(Some(Secret::new("refresh-0"))),
        scope: "mail".to_owned(),
        token_url: Url::parse(url).unwrap(),
        authorize_url: Some(Url::parse("https://provider.example/authorize").unwrap()),
        device_url: Some(Url::parse(&url.replace("/token", "/device")).unwrap()),
    }
}

fn source(oauth: OAuth, vault: &Arc<MemoryVault>) -> TokenSource {
    TokenSource::new("mail".parse().unwrap(), oauth, Arc::clone(vault) as Arc<dyn Vault>)
}

/// Lets the clock of the tokens go on without waiting.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn many_who_need_a_token_ask_once() {
    let endpoint = TokenEndpoint::rotating().await;
    let source = source(oauth(&endpoint.url), &Arc::default());
    let tokens = futures::future::join_all((0..20).map(|_| source.access())).await;
    assert!(tokens.into_iter().all(|token| token.unwrap().reveal() == "access-1"));
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_five_minutes_before_it_ends_for_thirty_days() {
    // COMPLAINTS L5, O3
    let endpoint = TokenEndpoint::rotating().await;
    let source = source(oauth(&endpoint.url), &Arc::default());
    assert_eq!(source.access().await.unwrap().reveal(), "access-1");
    pass(3290).await;
    assert_eq!(source.access().await.unwrap().reveal(), "access-1");
    pass(20).await;
    assert_eq!(source.access().await.unwrap().reveal(), "access-2");
    for day in 0..30 {
        pass(86_400).await;
        assert_eq!(source.access().await.unwrap().reveal(), format!("access-{}", day + 3));
    }
}

#[tokio::test]
async fn a_rotated_refresh_token_survives_a_crash_right_after_the_refresh() {
    // COMPLAINTS O1, O6: this endpoint takes each refresh token once.
    let endpoint = TokenEndpoint::rotating().await;
    let vault = Arc::new(MemoryVault::default());
    for expected in ["access-1", "access-2", "access-3"] {
        // Each round is a new process that begins with the token of the settings.
        let source = source(oauth(&endpoint.url), &vault);
        assert_eq!(source.access().await.unwrap().reveal(), expected);
        drop(source);
    }
}

#[tokio::test]
async fn no_token_is_used_before_the_rotated_one_is_durable() {
    // COMPLAINTS O1
    let endpoint = TokenEndpoint::rotating().await;
    let vault = Arc::new(MemoryVault::default());
    let source = source(oauth(&endpoint.url), &vault);
    *vault.broken.lock().unwrap() = true;
    for _ in 0..3 {
        let error = source.access().await.unwrap_err();
        assert!(matches!(error, TokenError::Retry { .. }), "{}", chain(&error));
        assert!(chain(&error).contains("the disk is full"));
    }
    assert_eq!(endpoint.requests().len(), 1, "the only copy is not risked by asking again");
    *vault.broken.lock().unwrap() = false;
    assert_eq!(source.access().await.unwrap().reveal(), "access-2");
}

#[tokio::test]
async fn a_token_that_an_admin_changed_in_the_settings_wins() {
    let vault = Arc::new(MemoryVault::default());
    let endpoint = TokenEndpoint::rotating().await;
    source(oauth(&endpoint.url), &vault).access().await.unwrap();
    let endpoint = TokenEndpoint::start(|_| success("access", 3600)).await;
    let with = |token: &str| OAuth {
        grant: Grant::RefreshToken(Some(Secret::new(token))),
        ..oauth(&endpoint.url)
    };
    source(with("refresh-0"), &vault).access().await.unwrap();
    source(with("from-a-human"), &vault).access().await.unwrap();
    let sent: Vec<String> =
        endpoint.requests().iter().map(|fields| fields["refresh_token"].clone()).collect();
    assert_eq!(sent, ["refresh-1", "from-a-human"]);
}

#[tokio::test]
async fn what_the_endpoint_says_decides_between_a_human_and_another_try() {
    // COMPLAINTS O3, O4, O5, O7: only a refusal is «bad credentials», and no answer is more than an error.
    let cases = [
        (failure(400, "invalid_grant"), true),
        (failure(401, "invalid_client"), true),
        (failure(400, "unauthorized_client"), true),
        ((404, "no such page".to_owned()), true),
        (failure(400, "temporarily_unavailable"), false),
        ((429, String::new()), false),
        ((500, "<html>".to_owned()), false),
        ((503, String::new()), false),
        ((200, "<html>access_token=geheim".to_owned()), false),
        ((200, "x".repeat(1 << 20)), false),
    ];
    for (answer, human) in cases {
        let given = answer.clone();
        let endpoint = TokenEndpoint::start(move |_| given.clone()).await;
        endpoint.retry_after("17");
        let error = source(oauth(&endpoint.url), &Arc::default()).access().await.unwrap_err();
        let text = chain(&error);
        assert_eq!(error.retry_after().is_none(), human, "{answer:?}: {text}");
        assert!(!text.contains("refresh-0") && !text.contains("app-secret"), "{text}");
        assert!(!text.contains("geheim"), "{text}");
        if matches!(answer.0, 429 | 503) {
            assert_eq!(error.retry_after(), Some(Some(Duration::from_secs(17))));
        }
        if answer.1.contains("invalid_grant") {
            assert!(text.contains("AADSTS70008"), "{text}");
        }
    }
    let nobody = source(oauth("http://127.0.0.1:1/token"), &Arc::default());
    assert!(nobody.access().await.unwrap_err().retry_after().is_some());
}

#[tokio::test]
async fn nobody_has_agreed_yet_says_which_command_helps() {
    let endpoint = TokenEndpoint::rotating().await;
    let empty = OAuth { grant: Grant::RefreshToken(None), ..oauth(&endpoint.url) };
    let error = source(empty, &Arc::default()).access().await.unwrap_err();
    assert!(chain(&error).contains("tributary channel login mail"), "{}", chain(&error));
    assert!(error.retry_after().is_none() && endpoint.requests().is_empty());
}

#[tokio::test]
async fn an_application_asks_for_itself() {
    let endpoint = TokenEndpoint::start(|_| success("app-token", 3600)).await;
    let settings = OAuth { grant: Grant::ClientCredentials, ..oauth(&endpoint.url) };
    let source = source(settings, &Arc::default());
    assert_eq!(source.access().await.unwrap().reveal(), "app-token");
    let fields = &endpoint.requests()[0];
    let expected: Fields = [
        ("scope", "mail"),
        ("grant_type", "client_credentials"),
        ("client_id", "our-app"),
        ("client_secret", "app-secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(*fields, expected);
}

#[tokio::test]
async fn a_service_account_signs_for_the_mailbox() {
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject as _;
    let pem = include_str!("../../fixtures/oauth/service_account.pem");
    let key = serde_json::json!({
        "type": "service_account",
        "client_email": "desk@project.iam.example",
        "private_key_id": "k1",
        "private_key": pem,
    });
    let endpoint = TokenEndpoint::start(|_| success("sa-token", 3600)).await;
    let grant = Grant::ServiceAccount {
        key: Secret::new(key.to_string()),
        subject: "support@example.com".to_owned(),
    };
    let source = source(OAuth { grant, ..oauth(&endpoint.url) }, &Arc::default());
    assert_eq!(source.access().await.unwrap().reveal(), "sa-token");
    let assertion = endpoint.requests()[0]["assertion"].clone();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let json = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(
        (json(header)["alg"].as_str(), json(header)["kid"].as_str()),
        (Some("RS256"), Some("k1"))
    );
    let claims = json(claims);
    assert_eq!(claims["iss"], "desk@project.iam.example");
    assert_eq!((&claims["sub"], &claims["scope"]), (&"support@example.com".into(), &"mail".into()));
    assert_eq!(claims["aud"], endpoint.url);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let public = key.public_key().unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let (_, algorithms) = provider
        .signature_verification_algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == rustls::SignatureScheme::RSA_PKCS1_SHA256)
        .unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // The bare key stands behind 24 bytes that say what sort of key it is.
    let verified = algorithms[0].verify_signature(&public[24..], signed.as_bytes(), &signature);
    assert!(verified.is_ok());
}

#[tokio::test]
async fn the_time_that_is_left_is_a_metric() {
    // COMPLAINTS O4
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let endpoint = TokenEndpoint::rotating().await;
    let source = source(oauth(&endpoint.url), &Arc::default());
    source.access().await.unwrap();
    pass(600).await;
    source.observe();
    let text = recorder.handle().render();
    let line = text.lines().find(|line| line.contains("{channel=\"mail\"}")).unwrap();
    assert!(line.starts_with("tributary_token_expires_seconds"), "{line}");
    let left: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((2990.0..=3000.0).contains(&left), "{left}");
}

fn token_pull(port: u16, endpoint: &TokenEndpoint, mailbox: &str) -> ImapPull {
    let oauth = oauth(&endpoint.url);
    let source = Arc::new(source(oauth.clone(), &Arc::default()));
    let login = Login::OAuth { username: mailbox.to_owned(), oauth: Box::new(oauth) };
    let settings = Imap { login, ..settings(port) };
    ImapPull::new("mail".parse().unwrap(), settings, Some(source)).unwrap()
}

#[tokio::test]
async fn a_shared_mailbox_is_opened_with_the_users_token() {
    // COMPLAINTS O8
    for abilities in ["IMAP4rev1 AUTH=XOAUTH2 SASL-IR", "IMAP4rev1 AUTH=XOAUTH2"] {
        let fake = Fake::start().await;
        fake.fill(1);
        abilities.clone_into(&mut fake.store().before);
        "access-1".clone_into(&mut fake.store().token);
        let endpoint = TokenEndpoint::rotating().await;
        let pull = token_pull(fake.port, &endpoint, "shared@example.com");
        Desk::new(&pull).gather(1).await;
        let proofs = fake.lines().into_iter().filter_map(|line| {
            let last = line.rsplit(' ').next()?.to_owned();
            String::from_utf8(STANDARD.decode(last).ok()?).ok()
        });
        let proofs: Vec<String> = proofs.collect();
        let expected = "user=shared@example.com\x01auth=Bearer access-1\x01\x01";
        assert!(proofs.iter().any(|proof| proof == expected), "{proofs:?}");
    }
}

#[tokio::test]
async fn a_token_that_ended_early_is_replaced_and_a_fresh_one_that_is_refused_needs_a_human() {
    // FAULTS 72; CRATES trap 12
    let fake = Fake::start().await;
    fake.fill(1);
    "access-1".clone_into(&mut fake.store().token);
    let endpoint = TokenEndpoint::rotating().await;
    let pull = token_pull(fake.port, &endpoint, "support@example.com");
    let mut desk = Desk::new(&pull);
    desk.gather(1).await;
    fake.fill(1);
    "access-2".clone_into(&mut fake.store().token);
    desk.gather(2).await;
    assert_eq!((desk.ends.len(), endpoint.requests().len()), (1, 2), "{:?}", desk.ends);
    "nothing-fits".clone_into(&mut fake.store().token);
    let error = desk.until_end().await;
    assert!(matches!(error, PullError::Retry { .. }), "it worked before: {}", chain(&error));
    let error = desk.until_end().await;
    let text = chain(&error);
    assert!(matches!(error, PullError::Account(_)) && text.contains("401"), "{text}");
    assert!(!text.contains("access-"), "{text}");
}

#[tokio::test]
async fn a_dead_refresh_token_needs_a_human_and_nothing_is_asked_of_the_mail_server() {
    // COMPLAINTS O4
    let fake = Fake::start().await;
    let endpoint = TokenEndpoint::start(|_| failure(400, "invalid_grant")).await;
    let pull = token_pull(fake.port, &endpoint, "support@example.com");
    let error = Desk::new(&pull).until_end().await;
    assert!(matches!(error, PullError::Account(_)), "{}", chain(&error));
    assert_eq!((fake.count("AUTHENTICATE"), endpoint.requests().len()), (0, 1));
}

/// What a browser does after the person agreed: it goes to the address that the provider gives.
async fn visit(redirect: &str, query: &str) -> String {
    let url = Url::parse(redirect).unwrap();
    let mut stream =
        tokio::net::TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let request = format!("GET /?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_person_agrees_in_a_browser() {
    // COMPLAINTS O9
    let challenge = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&challenge);
    let endpoint = TokenEndpoint::start(move |fields| {
        let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(fields["code_verifier"].as_bytes()));
        if fields["code"] != "the-code" || proof != *known.lock().unwrap() {
            return failure(400, "invalid_grant");
        }
        let body = serde_json::json!({ "access_token": "a", "refresh_token": "agreed" });
        (200, body.to_string())
    })
    .await;
    let vault = Arc::new(MemoryVault::default());
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let settings = OAuth { grant: Grant::RefreshToken(None), ..oauth(&endpoint.url) };
    let show = |prompt: Prompt| {
        let Prompt::Open(url) = prompt else { panic!("{prompt:?}") };
        tell.lock().unwrap().take().unwrap().send(url).unwrap();
    };
    let person = async {
        let url = told.await.unwrap();
        let fields: Fields = url.query_pairs().into_owned().collect();
        (*challenge.lock().unwrap()).clone_from(&fields["code_challenge"]);
        let (redirect, state) = (&fields["redirect_uri"], &fields["state"]);
        assert!(visit(redirect, "code=evil&state=guessed").await.starts_with("HTTP/1.1 404"));
        visit(redirect, &format!("code=the-code&state={state}")).await
    };
    let limit = Duration::from_secs(20);
    let (outcome, page) =
        tokio::join!(login(&settings, &*vault, Way::Browser, limit, &show), person);
    outcome.unwrap();
    assert!(page.starts_with("HTTP/1.1 200"));
    // What was agreed to is what the channel then uses.
    let endpoint = TokenEndpoint::start(|_| success("access", 3600)).await;
    let settings = OAuth { grant: Grant::RefreshToken(None), ..oauth(&endpoint.url) };
    source(settings, &vault).access().await.unwrap();
    assert_eq!(endpoint.requests()[0]["refresh_token"], "agreed");
}

#[tokio::test]
async fn a_person_who_does_not_agree_is_believed() {
    let endpoint = TokenEndpoint::rotating().await;
    let vault = MemoryVault::default();
    let (tell, told) = tokio::sync::oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let settings = oauth(&endpoint.url);
    let show = |prompt: Prompt| {
        let Prompt::Open(url) = prompt else { panic!("{prompt:?}") };
        tell.lock().unwrap().take().unwrap().send(url).unwrap();
    };
    let person = async {
        let fields: Fields = told.await.unwrap().query_pairs().into_owned().collect();
        visit(&fields["redirect_uri"], &format!("error=access_denied&state={}", fields["state"]))
            .await
    };
    let limit = Duration::from_secs(20);
    let (outcome, _) = tokio::join!(login(&settings, &vault, Way::Browser, limit, &show), person);
    let text = chain(&outcome.unwrap_err());
    assert!(text.contains("access_denied"), "{text}");
    assert!(vault.kept.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_person_agrees_with_a_code_on_another_device() {
    // COMPLAINTS O9
    let mut polls = 0;
    let endpoint = TokenEndpoint::start(move |fields| {
        if !fields.contains_key("device_code") {
            let body = serde_json::json!({
                "device_code": "dc", "user_code": "ABCD-EFGH",
                "verification_uri": "https://provider.example/device", "interval": 0,
            });
            return (200, body.to_string());
        }
        polls += 1;
        if polls < 3 {
            return failure(400, "authorization_pending");
        }
        let body = serde_json::json!({ "access_token": "a", "refresh_token": "agreed" });
        (200, body.to_string())
    })
    .await;
    let vault = MemoryVault::default();
    let seen = Mutex::new(String::new());
    let show = |prompt: Prompt| {
        let Prompt::Enter { code, .. } = prompt else { panic!("{prompt:?}") };
        *seen.lock().unwrap() = code;
    };
    let limit = Duration::from_secs(20);
    login(&oauth(&endpoint.url), &vault, Way::Device, limit, &show).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), "ABCD-EFGH");
    assert!(vault.kept.lock().unwrap()["oauth/mail/oauth"].reveal().contains("agreed"));
}
