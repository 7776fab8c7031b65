//! Sending against a server that does everything wrong that servers do: at each step the outcome is exact,
//! and what the server really took is what we say.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mail_parser::MessageParser;
use tributary::channel::Deliver;
use tributary::channel::email::smtp::Smtp;
use tributary::model::Outbound;

use crate::support::outbound::{DESK, attachment, outbound, outcome, party, smtp, submission};
use crate::support::smtp_script::{Fake, Mail, Reaction, say};
use crate::support::wait_until;

const ANN: &str = "ann@customer.example";
const LIMIT: Duration = Duration::from_secs(30);

/// Sends one mail; the outcome in one word, and its words.
async fn send(smtp: &Smtp, outbound: &Outbound) -> (&'static str, String) {
    outcome(&tokio::time::timeout(LIMIT, smtp.deliver(outbound)).await.expect("no end in time"))
}

fn close() -> Reaction {
    Reaction::SayAndClose(Vec::new())
}

/// The server behaves again: the next mail must go through, and be the only one with its text.
async fn works_again(fake: &Fake, smtp: &Smtp, case: &str) {
    fake.behave();
    let before = fake.mails().len();
    let (word, why) = send(smtp, &outbound(ANN, "after the trouble")).await;
    assert_eq!(word, "accepted", "after {case}: {why}");
    assert_eq!(fake.mails().len(), before + 1, "after {case}");
}

#[tokio::test]
async fn a_mail_arrives_once_and_is_known_by_the_id_that_was_noted_before() {
    let fake = Fake::start().await;
    let smtp = smtp(&submission(fake.port));
    let text = "你好,\n.\n..two dots\n.\r\nMAIL FROM:<eve@evil.example>\nlast line";
    let mail = outbound(ANN, text);
    let accepted = smtp.deliver(&mail).await.unwrap();
    assert_eq!(accepted.warning, None);
    assert_eq!(Some(&accepted.remote_id), smtp.remote_id(&mail).as_ref());
    let mails = fake.mails();
    let [taken] = mails.as_slice() else { panic!("{mails:?}") };
    assert_eq!((taken.from.as_str(), taken.to.as_slice()), (DESK, &[ANN.to_owned()][..]));
    assert_eq!(taken.parameters, format!("SIZE={}", taken.bytes.len()));
    let parsed = MessageParser::new().parse(&taken.bytes).unwrap();
    assert_eq!(parsed.message_id(), Some(accepted.remote_id.as_str()));
    let arrived = parsed.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(arrived.trim_end(), text.replace("\r\n", "\n"));
    assert_eq!(fake.lines()[0], "EHLO example.com");
}

/// `docs/channels/email.md`, «What becomes of a delivery», each row at each step.
#[tokio::test]
async fn each_refusal_at_each_step_has_its_outcome_and_nothing_went_out() {
    let cases = [
        ("GREETING", "421 4.7.0 busy", "offline"),
        ("GREETING", "451 4.3.0 later", "offline"),
        ("GREETING", "554 5.7.1 go away", "account"),
        ("EHLO", "421 4.7.0 busy", "offline"),
        ("EHLO", "451 4.3.0 later", "offline"),
        ("EHLO", "550 5.7.1 your name is wrong", "account"),
        ("MAIL", "421 4.3.2 shutting down", "offline"),
        ("MAIL", "451 4.3.0 later", "retry"),
        ("MAIL", "530 5.7.0 log in first", "account"),
        ("MAIL", "550 5.1.8 bad sender", "rejected"),
        ("MAIL", "552 5.3.4 too big", "rejected"),
        ("RCPT", "421 4.4.2 time-out", "retry"),
        ("RCPT", "450 4.2.0 greylisted", "retry"),
        ("RCPT", "451 4.3.0 later", "retry"),
        ("RCPT", "550 5.1.1 no such user", "rejected"),
        ("RCPT", "552 5.2.2 mailbox full", "rejected"),
        ("DATA", "421 4.3.2 shutting down", "retry"),
        ("DATA", "451 4.3.0 later", "retry"),
        ("DATA", "550 5.7.1 no", "rejected"),
        ("DATA", "552 5.3.4 too big", "rejected"),
        ("DOT", "421 4.3.2 shutting down", "retry"),
        ("DOT", "451 4.3.0 later", "retry"),
        ("DOT", "550 5.7.1 spam", "rejected"),
        ("DOT", "550 5.7.60 no permission to send as this sender", "account"),
        ("DOT", "552 5.3.4 too big", "rejected"),
    ];
    for pipelining in [true, false] {
        let fake = Fake::start().await;
        if !pipelining {
            fake.store().abilities.retain(|word| word != "PIPELINING");
        }
        for (step, reply, expected) in cases {
            let case = format!("{step} {reply} (pipelining: {pipelining})");
            let smtp = smtp(&submission(fake.port));
            let closes = reply.starts_with("421");
            fake.at(step, move |_| {
                if closes {
                    Reaction::SayAndClose(format!("{reply}\r\n").into_bytes())
                } else {
                    say(reply)
                }
            });
            let before = fake.mails().len();
            let (word, why) = send(&smtp, &outbound(ANN, "x")).await;
            assert_eq!(word, expected, "{case}: {why}");
            assert!(why.contains(reply), "{case}: the server's words are missing in {why}");
            assert_eq!(fake.mails().len(), before, "{case}");
            works_again(&fake, &smtp, &case).await;
        }
    }
}

#[tokio::test]
async fn a_line_cut_before_the_last_dot_means_again_and_after_it_means_unknown() {
    // FAULTS: the outcome is known to the step. COMPLAINTS D12: accepted, and the 250 never reached us.
    let half = |text: &str| Reaction::SayAndClose(text.as_bytes().to_vec());
    let fake = Fake::start().await;
    for (step, expected) in [
        ("GREETING", "offline"),
        ("EHLO", "offline"),
        ("MAIL", "retry"),
        ("RCPT", "retry"),
        ("DATA", "retry"),
        ("DOT", "unknown"),
    ] {
        for (words, cut) in [("nothing", ""), ("half a code", "25"), ("half a reply", "250-so\r\n")]
        {
            let case = format!("{words} at {step}");
            let smtp = smtp(&submission(fake.port));
            fake.at(step, move |_| half(cut));
            let before = fake.mails().len();
            let (word, why) = send(&smtp, &outbound(ANN, "x")).await;
            assert_eq!(word, expected, "{case}: {why}");
            assert_eq!(fake.mails().len(), before, "{case}");
            works_again(&fake, &smtp, &case).await;
        }
    }
    let smtp = smtp(&submission(fake.port));
    for cut in ["", "25", "250-so\r\n", "hello\r\n", "354 more\r\n", "299999\r\n"] {
        let before = fake.mails().len();
        fake.at("DOT", move |_| Reaction::KeepAndClose(cut.as_bytes().to_vec()));
        let (word, why) = send(&smtp, &outbound(ANN, "it did go out")).await;
        assert_eq!(word, "unknown", "{cut:?}: {why}");
        assert_eq!(fake.mails().len(), before + 1, "{cut:?}");
    }
    works_again(&fake, &smtp, "unknown outcomes").await;
}

#[tokio::test]
async fn a_mail_cut_in_its_middle_is_not_sent_and_the_servers_last_words_count() {
    let fake = Fake::start().await;
    let mut mail = outbound(ANN, "large");
    mail.media.push(attachment(6 << 20));
    for (last_words, expected) in [
        ("", "retry"),
        ("451 4.3.0 disk full\r\n", "retry"),
        ("552 5.3.4 too big\r\n", "rejected"),
        ("250 2.0.0 thank you\r\n", "retry"),
    ] {
        let smtp = smtp(&submission(fake.port));
        let before = fake.mails().len();
        fake.at("BODY", move |_| Reaction::Cut(100_000, last_words.as_bytes().to_vec()));
        let (word, why) = send(&smtp, &mail).await;
        assert_eq!(word, expected, "{last_words}: {why}");
        assert_eq!(fake.mails().len(), before);
        works_again(&fake, &smtp, last_words).await;
    }
}

#[tokio::test]
async fn a_silent_server_is_noticed_at_every_step() {
    // COMPLAINTS D12: after the last dot a silence is no reason to send again.
    let cases = [
        ("GREETING", "offline"),
        ("EHLO", "offline"),
        ("MAIL", "retry"),
        ("RCPT", "retry"),
        ("DATA", "retry"),
        ("BODY", "retry"),
        ("DOT", "unknown"),
    ];
    let all = cases.map(|(step, expected)| async move {
        let fake = Fake::start().await;
        let mut settings = submission(fake.port);
        settings.timeout = Duration::from_millis(1500);
        let smtp = smtp(&settings);
        fake.at(step, |_| Reaction::Silence);
        let mut mail = outbound(ANN, "x");
        if step == "BODY" {
            mail.media.push(attachment(12 << 20));
        }
        let (word, why) = send(&smtp, &mail).await;
        assert_eq!(word, expected, "{step}: {why}");
        assert!(why.contains("within"), "{step}: {why}");
        assert_eq!(fake.mails(), []);
        works_again(&fake, &smtp, step).await;
    });
    join_all(all).await;
}

#[tokio::test]
async fn after_the_dot_a_slow_server_has_ten_times_as_long() {
    let fake = Fake::start().await;
    let mut settings = submission(fake.port);
    settings.timeout = Duration::from_secs(1);
    let smtp = smtp(&settings);
    fake.at("DOT", |_| Reaction::KeepAndWait);
    let mail = outbound(ANN, "x");
    let (result, ()) = tokio::join!(smtp.deliver(&mail), async {
        wait_until("the mail", LIMIT, async || fake.mails().len() == 1).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        fake.release();
    });
    assert_eq!(outcome(&result).0, "accepted");
    assert_eq!(fake.mails().len(), 1);
}

#[tokio::test]
async fn the_answer_to_a_mail_that_was_given_up_is_not_taken_for_the_next_ones() {
    // CRATES 2b trap 2: a cancelled mail left its answer in the connection, and a refused one counted as sent.
    let fake = Fake::start().await;
    let mut settings = submission(fake.port);
    settings.connections_max = 1;
    let smtp = smtp(&settings);
    fake.at(
        "DOT",
        |turn| if turn.before == 0 { Reaction::KeepAndWait } else { say("554 5.7.1 no") },
    );
    let first = outbound(ANN, "first");
    tokio::select! {
        result = smtp.deliver(&first) => panic!("{:?}", outcome(&result)),
        () = wait_until("the first mail", LIMIT, async || fake.mails().len() == 1) => {}
    }
    fake.release();
    let (word, why) = send(&smtp, &outbound(ANN, "second")).await;
    assert_eq!(word, "rejected", "{why}");
    assert_eq!((fake.mails().len(), fake.connections()), (1, 2));
}

#[tokio::test]
async fn a_connection_is_used_again_only_while_it_is_in_step() {
    let fake = Fake::start().await;
    let smtp = smtp(&submission(fake.port));
    for number in 0..3 {
        assert_eq!(send(&smtp, &outbound(ANN, &format!("mail {number}"))).await.0, "accepted");
    }
    assert_eq!((fake.connections(), fake.count("RSET"), fake.count("EHLO")), (1, 2, 1));
    // An answer that nobody asked for, the end, and a refused RSET: each time a new connection, and no error.
    fake.at("DOT", |_| Reaction::Say(b"250 ok\r\n250 and more\r\n".to_vec()));
    assert_eq!(send(&smtp, &outbound(ANN, "with news")).await.0, "accepted");
    fake.behave();
    assert_eq!(send(&smtp, &outbound(ANN, "after news")).await.0, "accepted");
    assert_eq!(fake.connections(), 2);
    fake.at("DOT", |_| Reaction::KeepAndClose(b"250 ok, and good bye\r\n".to_vec()));
    assert_eq!(send(&smtp, &outbound(ANN, "last of its connection")).await.0, "accepted");
    fake.at("RSET", |_| say("421 4.7.0 enough"));
    assert_eq!(send(&smtp, &outbound(ANN, "on a new one")).await.0, "accepted");
    assert_eq!(fake.connections(), 3);
    assert_eq!(send(&smtp, &outbound(ANN, "on another")).await.0, "accepted");
    assert_eq!((fake.connections(), fake.mails().len()), (4, 8));
    // A refused recipient leaves it in step.
    fake.at("RCPT", |_| say("550 5.1.1 no such user"));
    assert_eq!(send(&smtp, &outbound(ANN, "x")).await.0, "rejected");
    works_again(&fake, &smtp, "a refused recipient").await;
    assert_eq!(fake.connections(), 4);
}

#[tokio::test]
async fn there_are_never_more_connections_than_allowed() {
    // CRATES 2b trap 4: a pool that bounds only what is parked makes a server with a limit refuse mails.
    let fake = Fake::start().await;
    fake.store().connections_max = 50;
    let mut settings = submission(fake.port);
    settings.connections_max = 50;
    let smtp = Arc::new(smtp(&settings));
    let sends = (0..200).map(|number| {
        let smtp = Arc::clone(&smtp);
        async move { send(&smtp, &outbound(ANN, &format!("mail number {number}."))).await }
    });
    for (word, why) in join_all(sends).await {
        assert_eq!(word, "accepted", "{why}");
    }
    let mails = fake.mails();
    assert!(fake.peak() <= 50, "{} at once", fake.peak());
    assert_eq!(mails.len(), 200);
    for number in 0..200 {
        let text = format!("mail number {number}.");
        assert_eq!(mails.iter().filter(|mail| mail.text().contains(&text)).count(), 1);
    }
}

fn only(fake: &Fake) -> Mail {
    let mails = fake.mails();
    assert_eq!(mails.len(), 1);
    mails[0].clone()
}

#[tokio::test]
async fn a_refused_copy_is_noted_and_a_refused_customer_stops_everything() {
    for pipelining in [true, false] {
        let fake = Fake::start().await;
        if !pipelining {
            fake.store().abilities.retain(|word| word != "PIPELINING");
        }
        let smtp = smtp(&submission(fake.port));
        let mut mail = outbound(ANN, "x");
        mail.cc =
            vec![party("boss@customer.example"), party("gone@customer.example"), party("none")];
        fake.at("RCPT", |turn| {
            if turn.line.contains("gone@") {
                say("550 5.1.1 no such user")
            } else {
                Reaction::Normal
            }
        });
        let (word, warning) = send(&smtp, &mail).await;
        assert_eq!(word, "accepted", "{warning}");
        assert!(warning.contains("gone@customer.example: 550 5.1.1 no such user"), "{warning}");
        assert!(warning.contains("no copy to none"), "{warning}");
        assert_eq!(only(&fake).to, [ANN, "boss@customer.example"]);
        // The other way round nobody gets it.
        fake.at("RCPT", |turn| {
            if turn.line.contains(ANN) { say("550 5.1.1 no such user") } else { Reaction::Normal }
        });
        let data = fake.count("DATA");
        let (word, why) = send(&smtp, &mail).await;
        assert_eq!(word, "rejected", "{why}");
        assert_eq!((fake.mails().len(), fake.count("DATA")), (1, data));
        works_again(&fake, &smtp, "a refused customer").await;
    }
}

#[tokio::test]
async fn a_server_that_takes_no_empty_sender_gets_our_address() {
    let fake = Fake::start().await;
    let smtp = smtp(&submission(fake.port));
    let mut mail = outbound(ANN, "we got your mail");
    mail.automated = true;
    assert_eq!(send(&smtp, &mail).await.0, "accepted");
    assert_eq!(only(&fake).from, "");
    fake.at("MAIL", |turn| {
        let empty = turn.line.starts_with("MAIL FROM:<>");
        if empty { say("553 Mail from must equal authorized user") } else { Reaction::Normal }
    });
    assert_eq!(send(&smtp, &mail).await.0, "accepted");
    assert_eq!((fake.mails()[1].from.as_str(), fake.mails().len()), (DESK, 2));
    assert_eq!(fake.connections(), 1);
    // «Not now» is no reason to ask in another way.
    fake.at("MAIL", |_| say("451 4.3.0 later"));
    let before = fake.count("MAIL");
    assert_eq!(send(&smtp, &mail).await.0, "retry");
    assert_eq!(fake.count("MAIL"), before + 1);
}

#[tokio::test]
async fn addresses_of_all_scripts_go_out_where_the_server_can_take_them() {
    let foreign = "用户@customer.example";
    let fake = Fake::start().await;
    let smtp_utf8 = smtp(&submission(fake.port));
    let mut mail = outbound(foreign, "你好");
    mail.cc = vec![party("x@bücher.example")];
    let (word, why) = send(&smtp_utf8, &mail).await;
    assert_eq!((word, why.as_str()), ("accepted", ""));
    let taken = only(&fake);
    assert_eq!(taken.to, [foreign, "x@xn--bcher-kva.example"]);
    assert!(taken.parameters.ends_with("BODY=8BITMIME SMTPUTF8"), "{}", taken.parameters);
    assert!(taken.text().contains(&format!("To: {foreign}")));

    let plain = Fake::start().await;
    plain.store().abilities.retain(|word| word != "SMTPUTF8" && word != "8BITMIME");
    let smtp = smtp(&submission(plain.port));
    let (word, why) = send(&smtp, &mail).await;
    assert_eq!(word, "rejected", "{why}");
    assert!(why.contains("SMTPUTF8"), "{why}");
    assert_eq!((plain.mails().len(), plain.count("MAIL")), (0, 0));
    // A copy is no reason to keep the customer waiting.
    let mut mail = outbound(ANN, "你好");
    mail.cc = vec![party(foreign), party("boss@customer.example")];
    let (word, warning) = send(&smtp, &mail).await;
    assert_eq!(word, "accepted", "{warning}");
    assert!(warning.contains(foreign), "{warning}");
    let taken = only(&plain);
    assert_eq!(taken.to, [ANN, "boss@customer.example"]);
    assert!(taken.bytes.is_ascii());
    let parsed = MessageParser::new().parse(&taken.bytes).unwrap();
    assert_eq!(parsed.body_text(0).unwrap().trim_end(), "你好");
}

#[tokio::test]
async fn a_mail_that_is_too_large_for_the_server_is_not_even_begun() {
    let fake = Fake::start().await;
    fake.store().abilities[1] = "SIZE 100000".to_owned();
    let smtp = smtp(&submission(fake.port));
    let mut mail = outbound(ANN, "x");
    mail.media.push(attachment(200_000));
    let (word, why) = send(&smtp, &mail).await;
    assert_eq!(word, "rejected");
    assert!(why.contains("no more than 100000"), "{why}");
    assert_eq!(fake.count("MAIL"), 0);
    works_again(&fake, &smtp, "a large mail").await;
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn replies_without_end_or_sense_do_no_harm() {
    let endless = "250-x\r\n".repeat(100_000);
    let long = "250 ".to_owned() + &"x".repeat(1 << 20);
    let cases =
        [endless.as_str(), long.as_str(), "hello\r\n", "250-a\r\n550 b\r\n", "\r\n", "99 x\r\n"];
    for (number, words) in cases.into_iter().enumerate() {
        let fake = Fake::start().await;
        let smtp = smtp(&submission(fake.port));
        for (step, expected) in [("EHLO", "offline"), ("MAIL", "retry"), ("DOT", "unknown")] {
            let bytes = words.as_bytes().to_vec();
            fake.at(step, move |_| Reaction::SayAndClose(bytes.clone()));
            let (word, why) = send(&smtp, &outbound(ANN, "x")).await;
            assert_eq!(word, expected, "case {number} at {step}: {why}");
            works_again(&fake, &smtp, &format!("case {number} at {step}")).await;
        }
    }
}

#[tokio::test]
async fn a_server_that_is_away_says_nothing_about_the_mail() {
    let fake = Fake::start().await;
    let port = fake.port;
    drop(fake);
    let smtp = smtp(&submission(port));
    wait_until("the port to close", LIMIT, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()
    })
    .await;
    let (word, why) = send(&smtp, &outbound(ANN, "x")).await;
    assert_eq!(word, "offline", "{why}");
    assert!(matches!(smtp.probe().await, Err(tributary::channel::DeliverError::Offline(_))));
}

#[tokio::test]
async fn a_probe_finds_what_would_stop_a_mail_and_sends_none() {
    let fake = Fake::start().await;
    let smtp = smtp(&submission(fake.port));
    smtp.probe().await.unwrap();
    assert_eq!((fake.count("MAIL"), fake.count("RCPT"), fake.count("QUIT")), (1, 0, 1));
    fake.at("MAIL", |_| say("553 5.7.1 you are not support@example.com"));
    let error = smtp.probe().await.map(|()| unreachable!()).unwrap_err();
    let (word, why) = outcome(&Err(error));
    assert_eq!(word, "account");
    assert!(why.contains("you are not"), "{why}");
    assert_eq!(fake.mails(), []);
}

#[tokio::test]
async fn nothing_that_is_no_mail_is_tried() {
    // COMPLAINTS B11: never to ourselves.
    let fake = Fake::start().await;
    let smtp = smtp(&submission(fake.port));
    for to in [DESK, "support+x@example.com", "no address", "a@b\r\nRCPT TO:<eve@evil.example>"] {
        let (word, why) = send(&smtp, &outbound(to, "x")).await;
        assert_eq!(word, "rejected", "{why}");
    }
    let mut mail = outbound(ANN, "x");
    mail.cc = vec![party(DESK), party("SUPPORT+y@example.com")];
    assert_eq!(send(&smtp, &mail).await.0, "accepted");
    assert_eq!(only(&fake).to, [ANN]);
    assert!(!only(&fake).text().contains("\r\nCc:"));
}

#[tokio::test]
async fn a_hang_up_at_quit_or_after_the_answer_is_no_fault() {
    let fake = Fake::start().await;
    let smtp = smtp(&submission(fake.port));
    fake.at("QUIT", |_| close());
    smtp.probe().await.unwrap();
    fake.at("DOT", |_| Reaction::KeepAndClose(b"250 2.0.0 ok\r\n".to_vec()));
    for number in 0..3 {
        let (word, why) = send(&smtp, &outbound(ANN, &format!("mail {number}"))).await;
        assert_eq!(word, "accepted", "{why}");
    }
    assert_eq!(fake.mails().len(), 3);
}
