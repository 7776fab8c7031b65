//! The copy in the folder of sent mail: a comfort that must never cost a mail.

use std::sync::Arc;
use std::time::Duration;

use tributary::channel::Deliver;
use tributary::channel::email::imap::SentFolder;
use tributary::channel::email::settings::{Imap, Login, SaveToSent};
use tributary::model::Secret;

use super::imap::settings;
use crate::support::dovecot::Dovecot;
use crate::support::imap_script::{Fake as Mailbox, Folder, Reaction, say};
use crate::support::outbound::{DESK, outbound, outcome, smtp_with, submission};
use crate::support::smtp_script::Fake;

const ANN: &str = "ann@customer.example";
const USERS: [(&str, &str); 1] = [(DESK, "the desk's word")];

fn dovecot_settings(dovecot: &Dovecot, word: &str) -> Imap {
    Imap {
        login: Login::Password { username: DESK.to_owned(), password: Secret::new(word) },
        timeout: Duration::from_secs(20),
        ..settings(dovecot.imap_port())
    }
}

fn folder(wish: &SaveToSent, settings: &Imap) -> Option<SentFolder> {
    rustls::crypto::ring::default_provider().install_default().ok();
    SentFolder::new(wish, settings, None).unwrap()
}

#[tokio::test]
async fn a_copy_is_kept_once_however_often_the_delivery_is_tried() {
    let dovecot = Dovecot::start(&USERS);
    dovecot.create_folder(DESK, "Ticketed");
    let fake = Fake::start().await;
    let imap = dovecot_settings(&dovecot, "the desk's word");
    for (wish, name) in
        [(SaveToSent::Auto, "Sent"), (SaveToSent::Folder("Ticketed".to_owned()), "Ticketed")]
    {
        let smtp = smtp_with(&submission(fake.port), folder(&wish, &imap));
        smtp.probe().await.unwrap();
        let mail = outbound(ANN, "你好\n.\n");
        for _ in 0..2 {
            // As after a crash between the 250 and the store: a human sends it again.
            assert_eq!(smtp.deliver(&mail).await.unwrap().warning, None);
        }
        assert_eq!(dovecot.count(DESK, name), 1);
        let sent = fake.mails().pop().unwrap();
        assert_eq!(dovecot.messages(DESK, name), [sent.bytes]);
        smtp.deliver(&outbound(ANN, "another")).await.unwrap();
        assert_eq!(dovecot.count(DESK, name), 2);
    }
    let mut client = dovecot.imap_client(DESK);
    client.command("EXAMINE Sent");
    let unseen = client.command("SEARCH UNSEEN").concat();
    assert_eq!(String::from_utf8_lossy(&unseen).trim(), "* SEARCH", "a copy is no news");
}

#[tokio::test]
async fn a_copy_that_cannot_be_kept_is_a_note_on_a_mail_that_went_out() {
    let dovecot = Dovecot::start(&USERS);
    let fake = Fake::start().await;
    let good = dovecot_settings(&dovecot, "the desk's word");
    let wrong = dovecot_settings(&dovecot, "not the word");
    let mut away = good.clone();
    away.endpoint.port = crate::support::free_port();
    let cases = [
        (SaveToSent::Folder("No such folder".to_owned()), &good),
        (SaveToSent::Auto, &wrong),
        (SaveToSent::Auto, &away),
    ];
    for (number, (wish, imap)) in cases.into_iter().enumerate() {
        let smtp = smtp_with(&submission(fake.port), folder(&wish, imap));
        let (word, warning) = outcome(&smtp.deliver(&outbound(ANN, "x")).await);
        assert_eq!(word, "accepted", "{warning}");
        assert!(warning.starts_with("no copy in the folder of sent mail: "), "{warning}");
        assert!(!warning.contains("not the word"));
        assert_eq!(fake.mails().len(), number + 1);
        assert!(smtp.probe().await.is_err(), "a probe finds it");
    }
}

fn with_folder(mailbox: &Mailbox, name: &str) {
    let folder = Folder { validity: 3, next: 1, mails: Vec::new() };
    mailbox.store().folders.insert(name.to_owned(), folder);
}

fn copies(mailbox: &Mailbox, name: &str) -> usize {
    mailbox.store().folders[name].mails.len()
}

#[tokio::test]
async fn what_the_server_says_before_it_asks_for_the_copy_does_no_harm() {
    // CRATES 2a trap 5: an untagged line before the `+` broke the APPEND.
    let mailbox = Mailbox::start().await;
    with_folder(&mailbox, "Sent Items");
    mailbox.script(|turn| {
        let append = turn.line.starts_with("APPEND");
        if append {
            Reaction::First(b"* 12 EXISTS\r\n* OK still here\r\n".to_vec())
        } else {
            Reaction::Normal
        }
    });
    let fake = Fake::start().await;
    let smtp =
        smtp_with(&submission(fake.port), folder(&SaveToSent::Auto, &settings(mailbox.port)));
    assert_eq!(smtp.deliver(&outbound(ANN, "x")).await.unwrap().warning, None);
    assert_eq!(copies(&mailbox, "Sent Items"), 1);
}

#[tokio::test]
async fn a_mailbox_that_refuses_hangs_or_vanishes_costs_only_the_copy() {
    let fake = Fake::start().await;
    for step in ["LIST", "EXAMINE", "UID SEARCH", "APPEND"] {
        for reaction in ["refused", "gone", "silent"] {
            let mailbox = Mailbox::start().await;
            with_folder(&mailbox, "Sent");
            mailbox.script(move |turn| match (turn.line.starts_with(step), reaction) {
                (true, "refused") => say("{tag} NO [OVERQUOTA] full\r\n"),
                (true, "gone") => Reaction::SayAndClose(Vec::new()),
                (true, _) => Reaction::Silence,
                (false, _) => Reaction::Normal,
            });
            let sent = folder(&SaveToSent::Auto, &settings(mailbox.port));
            let smtp = Arc::new(smtp_with(&submission(fake.port), sent));
            let before = fake.mails().len();
            let (word, warning) = outcome(&smtp.deliver(&outbound(ANN, "x")).await);
            assert_eq!(word, "accepted", "{step} {reaction}: {warning}");
            assert!(warning.contains("no copy in the folder"), "{step} {reaction}: {warning}");
            assert_eq!((fake.mails().len(), copies(&mailbox, "Sent")), (before + 1, 0));
        }
    }
}

#[tokio::test]
async fn without_a_folder_for_it_the_settings_are_to_be_changed() {
    let mailbox = Mailbox::start().await;
    let fake = Fake::start().await;
    let smtp =
        smtp_with(&submission(fake.port), folder(&SaveToSent::Auto, &settings(mailbox.port)));
    let (word, warning) = outcome(&smtp.deliver(&outbound(ANN, "x")).await);
    assert_eq!(word, "accepted");
    assert!(warning.contains("send.save_to_sent"), "{warning}");
    assert!(folder(&SaveToSent::No, &settings(mailbox.port)).is_none());
}
