//! Sending through a real Postfix into a real Dovecot.

use std::time::Duration;

use mail_parser::MessageParser;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tributary::channel::email::read::Reader;
use tributary::channel::email::settings::{Dkim, Login, Mechanism, Submission};
use tributary::channel::email::verify::Verifier;
use tributary::channel::shared::tls::TlsMode;
use tributary::channel::{Deliver, Interpret};
use tributary::model::{Address, DedupeKey, Event, Meaning, Raw, ReceiptState, Secret, Transport};

use crate::support::dns::Dns;
use crate::support::dovecot::Dovecot;
use crate::support::outbound::{
    DESK, attachment, outbound, outcome, party, signer, smtp, submission,
};
use crate::support::postfix::{DEFERRED, Postfix, REFUSED};
use crate::support::wait_blocking;

const ANNA: &str = "anna@customer.example";
const USERS: [(&str, &str); 2] = [(ANNA, "anna's word"), (DESK, "the desk's word")];
const LIMIT: Duration = Duration::from_secs(30);

/// With TLS and a login, as at a provider.
fn provider(dovecot: &Dovecot, port: u16, tls: TlsMode) -> Submission {
    let mut settings = submission(port);
    let pem = dovecot.authority().pem().as_bytes();
    settings.endpoint.roots = vec![CertificateDer::from_pem_slice(pem).unwrap()];
    settings.endpoint.tls = tls;
    settings.login = Login::Password {
        username: DESK.to_owned(),
        password: Secret::new(dovecot.password(DESK)),
    };
    settings
}

fn wait_count(dovecot: &Dovecot, user: &str, count: usize) {
    wait_blocking("the mail", LIMIT, || dovecot.count(user, "INBOX") == count);
}

#[tokio::test]
async fn mail_goes_out_by_relay_by_starttls_and_by_tls_and_arrives_as_it_was() {
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let relay = submission(postfix.relay_port());
    let starttls = provider(&dovecot, postfix.submission_port(), TlsMode::StartTls);
    let implicit = provider(&dovecot, postfix.smtps_port(), TlsMode::Implicit);
    let login = Submission { auth: Some(Mechanism::Login), ..implicit.clone() };
    for (number, settings) in [relay, starttls, implicit, login].iter().enumerate() {
        let smtp = smtp(settings);
        smtp.probe().await.unwrap();
        let text = format!("你好 number {number}\n.\nFrom here on\n..");
        let mut mail = outbound(ANNA, &text);
        mail.media.push(attachment(300_000));
        let accepted = smtp.deliver(&mail).await.unwrap();
        wait_count(&dovecot, ANNA, number + 1);
        let arrived = dovecot.messages(ANNA, "INBOX").pop().unwrap();
        let parsed = MessageParser::new().parse(&arrived).unwrap();
        assert_eq!(parsed.message_id(), Some(accepted.remote_id.as_str()));
        let body = parsed.body_text(0).unwrap().replace("\r\n", "\n");
        assert_eq!(body.trim_end(), text);
        assert_eq!(parsed.attachments().next().unwrap().contents(), mail.media[0].bytes);
    }
    // Without a login, and with a wrong one.
    let open = Submission {
        login: Login::Nobody,
        ..provider(&dovecot, postfix.submission_port(), TlsMode::StartTls)
    };
    let (word, why) = outcome(&smtp(&open).deliver(&outbound(ANNA, "x")).await);
    assert_eq!(word, "rejected");
    assert!(why.contains("554 5.7.1") && why.contains("Access denied"), "{why}");
    let mut wrong = provider(&dovecot, postfix.submission_port(), TlsMode::StartTls);
    wrong.login =
        Login::Password { username: DESK.to_owned(), password: Secret::new("not the word") };
    let (word, why) = outcome(&smtp(&wrong).deliver(&outbound(ANNA, "x")).await);
    assert_eq!(word, "account");
    assert!(why.contains("535") && !why.contains("not the word"), "{why}");
    assert_eq!(dovecot.count(ANNA, "INBOX"), 4);
}

#[tokio::test]
async fn postfix_refuses_defers_and_takes_some_of_several() {
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let smtp = smtp(&submission(postfix.relay_port()));
    let (word, why) = outcome(&smtp.deliver(&outbound(REFUSED, "x")).await);
    assert_eq!(word, "rejected");
    assert!(why.contains("550 5.1.1") && why.contains("no such customer"), "{why}");
    let (word, why) = outcome(&smtp.deliver(&outbound(DEFERRED, "x")).await);
    assert_eq!(word, "retry");
    assert!(why.contains("450 4.2.0"), "{why}");
    let mut mail = outbound(ANNA, "to several");
    mail.cc = vec![party(REFUSED), party(DEFERRED)];
    let (word, warning) = outcome(&smtp.deliver(&mail).await);
    assert_eq!(word, "accepted");
    assert!(warning.contains(REFUSED) && warning.contains(DEFERRED), "{warning}");
    wait_count(&dovecot, ANNA, 1);
}

#[tokio::test]
async fn a_restart_of_postfix_costs_no_mail_and_doubles_none() {
    let dovecot = Dovecot::start(&USERS);
    let mut postfix = Postfix::start(&dovecot);
    let smtp = smtp(&submission(postfix.relay_port()));
    smtp.deliver(&outbound(ANNA, "before")).await.unwrap();
    // A Postfix that is stopped while it hands a mail on may hand it on twice.
    wait_count(&dovecot, ANNA, 1);
    postfix.stop();
    let waiting = outbound(ANNA, "in between");
    let (word, why) = outcome(&smtp.deliver(&waiting).await);
    assert_eq!(word, "offline", "{why}");
    postfix.start_again();
    smtp.deliver(&waiting).await.unwrap();
    smtp.deliver(&outbound(ANNA, "after")).await.unwrap();
    wait_count(&dovecot, ANNA, 3);
    let mails = dovecot.messages(ANNA, "INBOX");
    for text in ["before", "in between", "after"] {
        let line = format!("\r\n{text}\r\n");
        let holds = |mail: &&Vec<u8>| String::from_utf8_lossy(mail).contains(&line);
        assert_eq!(mails.iter().filter(holds).count(), 1, "{text}");
    }
}

#[tokio::test]
async fn a_bounce_of_postfix_names_the_delivery_that_it_is_about() {
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let smtp = smtp(&submission(postfix.relay_port()));
    let mail = outbound("stranger@customer.example", "to nobody");
    smtp.deliver(&mail).await.unwrap();
    wait_count(&dovecot, DESK, 1);
    let raw = Raw {
        dedupe: DedupeKey::new("INBOX:1:1"),
        body: dovecot.messages(DESK, "INBOX").pop().unwrap().into(),
        transport: Transport::new(),
        received_at: None,
    };
    let reader = Reader::new(vec![Address::email(DESK)], signer(), vec![]);
    let Meaning::Events(events) = reader.interpret(&raw).unwrap() else { panic!("ignored") };
    let receipt = events.iter().find(|event| matches!(event, Event::Receipt(_)));
    let Some(Event::Receipt(receipt)) = receipt else { panic!("no receipt") };
    assert_eq!(receipt.delivery, Some(mail.delivery));
    assert!(matches!(&receipt.state, ReceiptState::Failed { .. }), "{:?}", receipt.state);
}

#[tokio::test]
async fn what_arrives_through_postfix_still_bears_a_valid_signature() {
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let record = include_str!("../../fixtures/dkim/rsa.dns");
    let dns = Dns::start(&[
        ("s1._domainkey.example.com", record),
        ("_dmarc.example.com", "v=DMARC1; p=reject"),
    ])
    .await;
    let mut settings = submission(postfix.relay_port());
    settings.dkim = Some(Dkim {
        domain: "example.com".to_owned(),
        selector: "s1".to_owned(),
        key: Secret::new(include_str!("../../fixtures/dkim/rsa_pkcs8.pem")),
    });
    let mut mail = outbound(ANNA, ".\n..\n你好\n");
    mail.cc = vec![party("boss@customer.example")];
    mail.media.push(attachment(10_000));
    smtp(&settings).deliver(&mail).await.unwrap();
    wait_count(&dovecot, ANNA, 1);
    let arrived = dovecot.messages(ANNA, "INBOX").pop().unwrap();
    let verifier = Verifier::new(dns.authenticator(), Duration::from_secs(20));
    let verdicts = verifier.verify(arrived.clone().into(), DESK).await;
    assert_eq!((verdicts.dkim, verdicts.dmarc), ("pass", "pass"));
    let changed = String::from_utf8(arrived).unwrap().replacen("Where is my", "Where was my", 1);
    assert_ne!(verifier.verify(changed.into(), DESK).await.dkim, "pass");
}
