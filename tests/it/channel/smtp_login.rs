//! From a host name to a session that may send: TLS and logins, and what a server may do to spoil them.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tributary::channel::email::oauth::TokenSource;
use tributary::channel::email::settings::{Grant, Login, Mechanism, OAuth, Submission};
use tributary::channel::email::smtp::Smtp;
use tributary::channel::shared::tls::TlsMode;
use tributary::channel::{Deliver, Vault};
use tributary::model::Secret;
use url::Url;

use crate::support::outbound::{letterhead, outbound, outcome, smtp, submission};
use crate::support::smtp_script::{Fake, Reaction, say};
use crate::support::tls::{Authority, Flaw};
use crate::support::token_endpoint::{MemoryVault, TokenEndpoint, failure, success};

const ANN: &str = "ann@customer.example";
const LIMIT: Duration = Duration::from_secs(30);

async fn send(smtp: &Smtp) -> (&'static str, String) {
    let mail = outbound(ANN, "hello");
    outcome(&tokio::time::timeout(LIMIT, smtp.deliver(&mail)).await.expect("no end in time"))
}

fn password(word: &str) -> Login {
    Login::Password { username: "us".to_owned(), password: Secret::new(word) }
}

fn by_password(port: u16) -> Submission {
    Submission { login: password("geheim"), ..submission(port) }
}

/// With TLS, and our authority trusted.
fn encrypted(port: u16, tls: TlsMode, authority: &Authority) -> Submission {
    let mut settings = by_password(port);
    settings.endpoint.tls = tls;
    settings.endpoint.host = "localhost".to_owned();
    settings.endpoint.roots =
        vec![CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()];
    settings
}

/// Nothing secret and no mail left the house.
fn nothing_was_said(fake: &Fake, case: &str) {
    let lines = fake.lines();
    let known = ["EHLO example.com", "STARTTLS"];
    assert!(lines.iter().all(|line| known.contains(&line.as_str())), "{case}: {lines:?}");
    assert_eq!(fake.mails(), [], "{case}");
}

#[tokio::test]
async fn passwords_are_given_by_the_best_mechanism_that_is_offered_and_wanted() {
    let cases = [
        ("AUTH PLAIN LOGIN", None, "AUTH PLAIN "),
        ("AUTH LOGIN PLAIN", Some(Mechanism::Login), "AUTH LOGIN"),
        ("AUTH=LOGIN", None, "AUTH LOGIN"),
        ("AUTH CRAM-MD5 LOGIN", None, "AUTH LOGIN"),
    ];
    for (offer, wish, expected) in cases {
        let fake = Fake::start().await;
        fake.store().abilities = vec![offer.to_owned()];
        let smtp = smtp(&Submission { auth: wish, ..by_password(fake.port) });
        let (word, why) = send(&smtp).await;
        assert_eq!(word, "accepted", "{offer}: {why}");
        assert_eq!(fake.count(expected), 1, "{offer}: {:?}", fake.lines());
        assert!(fake.mails()[0].logged_in);
    }
    for (offer, wish) in
        [("AUTH CRAM-MD5", None), ("8BITMIME", None), { ("AUTH LOGIN", Some(Mechanism::Plain)) }]
    {
        let fake = Fake::start().await;
        fake.store().abilities = vec![offer.to_owned()];
        let (word, why) = send(&smtp(&Submission { auth: wish, ..by_password(fake.port) })).await;
        assert_eq!(word, "account", "{offer}: {why}");
        nothing_was_said(&fake, offer);
    }
}

#[tokio::test]
async fn a_refused_login_needs_a_human_and_a_passing_one_only_time() {
    let cases = [
        ("535 5.7.8 Username and Password not accepted", "account"),
        ("534 5.7.9 Application-specific password required", "account"),
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled",
            "account",
        ),
        ("550 5.7.30 Basic authentication is not supported for Client Submission", "account"),
        ("502 5.5.1 not implemented", "account"),
        ("454 4.7.0 Temporary authentication failure", "offline"),
        ("421 4.7.0 Try again later", "offline"),
        ("hello", "offline"),
    ];
    for (reply, expected) in cases {
        let fake = Fake::start().await;
        fake.at("AUTH", move |_| say(reply));
        let smtp = smtp(&by_password(fake.port));
        let (word, why) = send(&smtp).await;
        assert_eq!(word, expected, "{why}");
        assert!(reply == "hello" || why.contains(reply), "{why}");
        assert_eq!((fake.mails().len(), fake.count("AUTH"), fake.count("MAIL")), (0, 1, 0));
        fake.behave();
        assert_eq!(send(&smtp).await.0, "accepted", "after {reply}");
    }
}

#[tokio::test]
async fn a_server_that_quotes_the_login_does_not_make_us_print_the_password() {
    let fake = Fake::start().await;
    fake.at("AUTH", |turn| say(&format!("535 5.7.8 what is {}? geheim?", turn.line)));
    let (word, why) = send(&smtp(&by_password(fake.port))).await;
    assert_eq!(word, "account");
    assert!(why.contains("AUTH PLAIN ***") && !why.contains("geheim"), "{why}");
}

#[tokio::test]
async fn tls_is_spoken_from_the_first_byte_or_after_starttls() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(Flaw::None);
    let implicit = Fake::start_tls(&certificate, &key).await;
    let later = Fake::start_starttls(&certificate, &key).await;
    for (fake, mode) in [(&implicit, TlsMode::Implicit), (&later, TlsMode::StartTls)] {
        let smtp = smtp(&encrypted(fake.port, mode, &authority));
        for _ in 0..2 {
            let (word, why) = send(&smtp).await;
            assert_eq!(word, "accepted", "{mode:?}: {why}");
        }
        let mails = fake.mails();
        assert!(mails.iter().all(|mail| mail.encrypted && mail.logged_in));
        assert_eq!((mails.len(), fake.connections()), (2, 1), "{mode:?}");
    }
    // What was said in plain text counts no more: greeted again.
    assert_eq!(later.lines()[..3], ["EHLO example.com", "STARTTLS", "EHLO example.com"]);
}

#[tokio::test]
async fn starttls_that_is_stripped_or_injected_gets_no_password() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate(Flaw::None);
    let cases = [
        ("stripped", "", "account"),
        ("454 4.7.0 TLS not available due to temporary reason", "454", "offline"),
        ("502 5.5.1 no", "502", "account"),
        ("220 go\r\n250 2.0.0 injected", "plain text before", "offline"),
        ("nonsense", "makes no sense", "offline"),
    ];
    for (reply, words, expected) in cases {
        let fake = Fake::start_starttls(&certificate, &key).await;
        if reply == "stripped" {
            fake.store().abilities.retain(|word| word != "STARTTLS");
        } else {
            fake.at("STARTTLS", move |_| say(reply));
        }
        let smtp = smtp(&encrypted(fake.port, TlsMode::StartTls, &authority));
        let (word, why) = send(&smtp).await;
        assert_eq!(word, expected, "{reply}: {why}");
        assert!(why.contains(words), "{reply}: {why}");
        nothing_was_said(&fake, reply);
    }
}

#[tokio::test]
async fn a_wrong_certificate_gets_no_password_and_needs_a_human() {
    for flaw in [Flaw::OtherName, Flaw::Expired, Flaw::SelfSigned] {
        for mode in [TlsMode::Implicit, TlsMode::StartTls] {
            let authority = Authority::new();
            let (certificate, key) = authority.certificate(flaw);
            let fake = match mode {
                TlsMode::Implicit => Fake::start_tls(&certificate, &key).await,
                TlsMode::StartTls | TlsMode::None => Fake::start_starttls(&certificate, &key).await,
            };
            let (word, why) = send(&smtp(&encrypted(fake.port, mode, &authority))).await;
            assert_eq!(word, "account", "{flaw:?} {mode:?}: {why}");
            assert!(why.contains("certificate"), "{why}");
            nothing_was_said(&fake, &format!("{flaw:?} {mode:?}"));
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_at_all_is_away() {
    let authority = Authority::new();
    let fake = Fake::start().await;
    let (word, why) = send(&smtp(&encrypted(fake.port, TlsMode::Implicit, &authority))).await;
    assert_eq!(word, "offline", "{why}");
    assert_eq!(fake.mails(), []);
}

fn by_token(port: u16, endpoint: &TokenEndpoint) -> Smtp {
    let oauth = OAuth {
        vault_name: "oauth/mail/oauth".to_owned(),
        client_id: "our-app".to_owned(),
        client_secret: None,
        grant: Grant::RefreshToken(Some(Secret::new("refresh-0"))),
        scope: "mail".to_owned(),
        token_url: Url::parse(&endpoint.url).unwrap(),
        authorize_url: None,
        device_url: None,
    };
    let login =
        Login::OAuth { username: "shared@example.com".to_owned(), oauth: Box::new(oauth.clone()) };
    let settings = Submission { login, ..submission(port) };
    let vault: Arc<dyn Vault> = Arc::new(MemoryVault::default());
    let source = Arc::new(TokenSource::new("mail".parse().unwrap(), oauth, vault));
    Smtp::new(&settings, letterhead(), Some(source), None).map_err(|(key, _)| key).unwrap()
}

#[tokio::test]
async fn a_token_that_ended_is_replaced_within_the_attempt_and_a_fresh_one_that_is_refused_needs_a_human()
 {
    // COMPLAINTS L5, O3, O8: the mailbox is not the user's own.
    let fake = Fake::start().await;
    "access-1".clone_into(&mut fake.store().token);
    let endpoint = TokenEndpoint::rotating().await;
    let smtp = by_token(fake.port, &endpoint);
    let (word, why) = send(&smtp).await;
    assert_eq!(word, "accepted", "{why}");
    assert!(fake.mails()[0].logged_in);
    // The provider ends it early, and the server the connection.
    "access-2".clone_into(&mut fake.store().token);
    fake.at("RSET", |_| Reaction::SayAndClose(b"421 4.7.0 your token has ended\r\n".to_vec()));
    let (word, why) = send(&smtp).await;
    assert_eq!(word, "accepted", "{why}");
    assert_eq!((fake.count("AUTH XOAUTH2"), endpoint.requests().len()), (3, 2));
    "nothing-fits".clone_into(&mut fake.store().token);
    let (word, why) = send(&smtp).await;
    assert_eq!(word, "account", "{why}");
    assert!(why.contains("535") && why.contains("401"), "{why}");
    assert!(!why.contains("access-"), "{why}");
    assert_eq!((fake.mails().len(), endpoint.requests().len()), (2, 3));
}

#[tokio::test]
async fn a_token_endpoint_that_is_away_is_no_bad_login() {
    // COMPLAINTS O3, O4, O7
    let fake = Fake::start().await;
    let away = TokenEndpoint::start(|_| failure(503, "temporarily_unavailable")).await;
    assert_eq!(send(&by_token(fake.port, &away)).await.0, "offline");
    away.retry_after("77");
    let mail = outbound(ANN, "x");
    match by_token(fake.port, &away).deliver(&mail).await {
        Err(tributary::channel::DeliverError::Retry { after, .. }) => {
            assert_eq!(after, Some(Duration::from_secs(77)));
        }
        other => panic!("{:?}", outcome(&other)),
    }
    let dead = TokenEndpoint::start(|_| failure(400, "invalid_grant")).await;
    assert_eq!(send(&by_token(fake.port, &dead)).await.0, "account");
    assert_eq!((fake.count("AUTH"), fake.mails().len()), (0, 0));
}

#[tokio::test]
async fn a_server_that_takes_no_tokens_gets_none() {
    let fake = Fake::start().await;
    fake.store().abilities = vec!["AUTH PLAIN LOGIN".to_owned()];
    let endpoint = TokenEndpoint::start(|_| success("good-token", 3600)).await;
    let (word, why) = send(&by_token(fake.port, &endpoint)).await;
    assert_eq!(word, "account");
    assert!(why.contains("XOAUTH2"), "{why}");
    nothing_was_said(&fake, "no tokens");
}

#[tokio::test]
async fn a_passing_refusal_of_a_token_costs_no_token() {
    let fake = Fake::start().await;
    let endpoint = TokenEndpoint::start(|_| success("good-token", 3600)).await;
    let smtp = by_token(fake.port, &endpoint);
    fake.at("AUTH", |_| say("454 4.7.0 Temporary authentication failure"));
    assert_eq!(send(&smtp).await.0, "offline");
    fake.behave();
    assert_eq!(send(&smtp).await.0, "accepted");
    assert_eq!(endpoint.requests().len(), 1);
}
