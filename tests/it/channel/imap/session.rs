//! Connecting, logging in, waiting for news, and the folders of a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary::channel::email::settings::Imap;
use tributary::channel::shared::tls::TlsMode;
use tributary::channel::{Pull, PullError};

use super::{account, pull, retry, settings};
use crate::support::desk::{Desk, chain};
use crate::support::imap_script::{Fake, Folder, Reaction, mail_text, play, say};

#[tokio::test]
async fn no_and_bad_never_look_like_nothing_new() {
    // CRATES trap 2
    for answer in ["{tag} NO not now\r\n", "{tag} BAD\r\n", "{tag} BAD what?\r\n"] {
        for command in ["UID SEARCH", "EXAMINE", "CAPABILITY"] {
            let fake = Fake::start().await;
            fake.fill(1);
            fake.script(move |turn| {
                if turn.line.starts_with(command) { say(answer) } else { Reaction::Normal }
            });
            let pull = pull(settings(fake.port));
            let mut desk = Desk::new(&pull);
            let error = desk.until_end().await;
            assert!(desk.kept.is_empty() && desk.cursor.is_none(), "{command} {answer}");
            drop(error);
        }
    }
}

#[tokio::test]
async fn a_select_without_uidvalidity_is_an_error_and_alerts_are_shown() {
    // CRATES traps 2, 3
    let fake = Fake::start().await;
    fake.fill(1);
    fake.script(|turn| match turn.line.starts_with("EXAMINE") {
        true => say("* NO [ALERT] disk nearly full\r\n* 1 EXISTS\r\n{tag} OK done\r\n"),
        false => Reaction::Normal,
    });
    let pull = pull(settings(fake.port));
    let text = retry(&Desk::new(&pull).until_end().await);
    assert!(text.contains("UIDVALIDITY") && text.contains("disk nearly full"), "{text}");
    fake.script(|turn| match turn.line.starts_with("EXAMINE") {
        true => Reaction::First(b"* NO [ALERT] disk nearly full\r\n".to_vec()),
        false => Reaction::Normal,
    });
    Desk::new(&pull).gather(1).await;
}

#[tokio::test]
async fn answers_that_nobody_asked_for_do_no_harm() {
    // CRATES traps 6, 11; FAULTS 69
    let fake = Fake::start().await;
    fake.fill(20);
    let noise = "* 3 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (UID 4294967296 FLAGS ())\r\n\
        * 20 EXISTS\r\n* 1 RECENT\r\n* 4 FETCH (UID 999 BODY[] {3}\r\nabc)\r\n\
        * OK [ALERT]\u{e9}t\u{e9}\r\n* OK (((({99999999}\r\n";
    fake.script(move |turn| match turn.line.starts_with("UID") {
        true => Reaction::First(noise.as_bytes().to_vec()),
        false => Reaction::Normal,
    });
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.gather(20).await;
    assert_eq!((desk.kept.len(), desk.ends.len()), (20, 0), "{:?}", desk.ends);
    assert_eq!(desk.body("INBOX:7:4"), mail_text(4));
}

#[tokio::test]
async fn a_silent_server_is_noticed_at_every_step() {
    // COMPLAINTS L11; FAULTS 68
    let steps =
        ["greeting", "CAPABILITY", "AUTHENTICATE", "ID", "EXAMINE", "UID SEARCH", "UID FETCH"];
    for step in steps {
        let fake = Fake::start().await;
        fake.fill(1);
        if step == "greeting" {
            fake.store().greeting = String::new();
        }
        fake.script(move |turn| match turn.line.starts_with(step) {
            true => Reaction::Silence,
            false => Reaction::Normal,
        });
        let pull = pull(settings(fake.port));
        let began = Instant::now();
        let text = retry(&Desk::new(&pull).until_end().await);
        assert!(text.contains("in time"), "{step}: {text}");
        assert!(began.elapsed() < Duration::from_secs(3), "{step}");
    }
}

#[tokio::test]
async fn a_slow_server_is_not_a_silent_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let (mut stream, _) = listener.accept().await.unwrap();
        for byte in b"* OK slowly\r\n" {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.write_all(&[*byte]).await.unwrap();
        }
        stream.write_all(b"* BYE at last\r\n").await.unwrap();
    });
    let pull = pull(settings(port));
    let text = retry(&Desk::new(&pull).until_end().await);
    assert!(text.contains("at last"), "{text}");
    server.await.unwrap();
}

#[tokio::test]
async fn news_that_come_while_idling_wake_at_once() {
    let fake = Fake::start().await;
    fake.fill(1);
    let long = Duration::from_secs(60);
    let pull = pull(Imap { idle: long, poll: long, ..settings(fake.port) });
    let mut desk = Desk::new(&pull);
    let mut session = desk.connect().await.unwrap();
    desk.step(&mut *session).await.unwrap();
    for expected in 2..5 {
        let began = Instant::now();
        let (step, ()) = tokio::join!(desk.step(&mut *session), async {
            while fake.lines().last().is_none_or(|line| !line.ends_with("IDLE")) {
                tokio::task::yield_now().await;
            }
            fake.fill(1);
        });
        assert_eq!((step.unwrap(), desk.kept.len()), (1, expected));
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_exists_before_the_plus_is_noticed() {
    // CRATES trap 4
    let fake = Fake::start().await;
    fake.fill(1);
    let long = Duration::from_secs(60);
    let pull = pull(Imap { idle: long, poll: long, ..settings(fake.port) });
    let fake = Arc::new(fake);
    let inner = Arc::clone(&fake);
    let mut idle = String::new();
    fake.script(move |turn| {
        if turn.line == "IDLE" && turn.before == 0 {
            idle.clone_from(&turn.tag);
            inner.fill(1);
            return Reaction::Say(b"* 2 EXISTS\r\n+ idling\r\n".to_vec());
        }
        match turn.tag.as_str() {
            // The end of that IDLE, which the server takes for a command.
            "DONE" => say(&format!("{idle} OK done\r\n")),
            _ => Reaction::Normal,
        }
    });
    let mut desk = Desk::new(&pull);
    let mut session = desk.connect().await.unwrap();
    desk.step(&mut *session).await.unwrap();
    assert_eq!(desk.step(&mut *session).await.unwrap(), 1);
    fake.script(|_| Reaction::Normal);
}

#[tokio::test]
async fn a_server_that_refuses_idle_is_polled() {
    // CRATES trap 4: NO hangs, BAD without text panics.
    for answer in ["{tag} NO not for you\r\n", "{tag} BAD\r\n"] {
        let fake = Fake::start().await;
        fake.fill(1);
        fake.script(move |turn| match turn.line == "IDLE" {
            true => say(answer),
            false => Reaction::Normal,
        });
        let pull = pull(settings(fake.port));
        let mut desk = Desk::new(&pull);
        let mut session = desk.connect().await.unwrap();
        desk.step(&mut *session).await.unwrap();
        desk.step(&mut *session).await.unwrap();
        fake.fill(1);
        while desk.kept.len() < 2 {
            desk.step(&mut *session).await.unwrap();
        }
        assert_eq!(fake.count("IDLE"), 1, "it is asked once");
    }
}

#[tokio::test]
async fn an_idle_that_never_tells_anything_is_looked_behind() {
    // COMPLAINTS L4, L8: IDLE accepted, but mute.
    let fake = Fake::start().await;
    fake.fill(1);
    fake.script(|turn| match (turn.line.as_str(), turn.tag.as_str()) {
        ("IDLE", _) => say("+ idling\r\n"),
        (_, "DONE") => Reaction::Silence,
        _ => Reaction::Normal,
    });
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    let text = retry(&desk.until_end().await);
    assert!(text.contains("the end of IDLE"), "a dead line is noticed after DONE: {text}");
    let tags = Arc::new(std::sync::Mutex::new(String::new()));
    let known = Arc::clone(&tags);
    fake.script(move |turn| {
        if turn.line == "IDLE" {
            (*known.lock().unwrap()).clone_from(&turn.tag);
            return say("+ idling\r\n");
        }
        match turn.tag.as_str() {
            "DONE" => say(&format!("{} OK done\r\n", known.lock().unwrap())),
            _ => Reaction::Normal,
        }
    });
    let mut session = desk.connect().await.unwrap();
    desk.step(&mut *session).await.unwrap();
    fake.fill(1);
    while desk.kept.len() < 2 {
        desk.step(&mut *session).await.unwrap();
    }
}

#[tokio::test]
async fn a_goodbye_while_idling_means_again_later() {
    // CRATES trap 4: BYE and EOF look like news.
    for last in ["* BYE Session expired\r\n", ""] {
        let fake = Fake::start().await;
        fake.script(move |turn| match turn.line == "IDLE" {
            true => Reaction::SayAndClose(format!("+ idling\r\n{last}").into_bytes()),
            false => Reaction::Normal,
        });
        let pull = pull(settings(fake.port));
        retry(&Desk::new(&pull).until_end().await);
    }
}

#[tokio::test]
async fn the_engine_gets_a_sign_of_life_from_an_empty_folder() {
    for abilities in ["IMAP4rev1 IDLE", "IMAP4rev1"] {
        let fake = Fake::start().await;
        abilities.clone_into(&mut fake.store().after);
        let pull = pull(settings(fake.port));
        let mut desk = Desk::new(&pull);
        let mut session = desk.connect().await.unwrap();
        for _ in 0..3 {
            assert_eq!(desk.step(&mut *session).await.unwrap(), 0);
        }
        assert_eq!(session.backlog(), Some(0));
        fake.fill(1);
        while desk.kept.is_empty() {
            desk.step(&mut *session).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_wrong_password_needs_a_human_and_is_not_repeated() {
    // FAULTS 71; CRATES trap 12
    for abilities in ["IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN SASL-IR", "IMAP4rev1"] {
        let fake = Fake::start().await;
        abilities.clone_into(&mut fake.store().before);
        "another".clone_into(&mut fake.store().password);
        let pull = pull(settings(fake.port));
        let text = account(&Desk::new(&pull).until_end().await);
        assert!(text.contains("AUTHENTICATIONFAILED") && !text.contains("geheim"), "{text}");
        assert_eq!(fake.store().connections, 1);
    }
}

#[tokio::test]
async fn a_server_that_quotes_the_login_does_not_make_us_print_the_password() {
    let fake = Fake::start().await;
    "IMAP4rev1".clone_into(&mut fake.store().before);
    fake.script(|turn| match turn.line.starts_with("LOGIN") {
        true => Reaction::Say(format!("{} BAD what is {}\r\n", turn.tag, turn.line).into_bytes()),
        false => Reaction::Normal,
    });
    let pull = pull(settings(fake.port));
    let text = account(&Desk::new(&pull).until_end().await);
    assert!(text.contains("what is LOGIN") && !text.contains("geheim"), "{text}");
}

#[tokio::test]
async fn a_server_that_takes_no_password_gets_none() {
    let fake = Fake::start().await;
    "IMAP4rev1 LOGINDISABLED".clone_into(&mut fake.store().before);
    let pull = pull(settings(fake.port));
    let text = account(&Desk::new(&pull).until_end().await);
    assert!(text.contains("LOGINDISABLED"), "{text}");
    assert_eq!(fake.count("LOGIN "), 0);
}

#[tokio::test]
async fn what_throttling_servers_say_is_heeded() {
    // FAULTS 70
    let cases = [
        ("AUTHENTICATE", "{tag} NO [ALERT] Too many simultaneous connections. (Failure)\r\n", 60),
        (
            "EXAMINE",
            "{tag} BAD Request is throttled. Suggested Backoff Time: 92000 milliseconds\r\n",
            92,
        ),
        ("UID FETCH", "{tag} NO [OVERQUOTA] Account exceeded bandwidth limits.\r\n", 3600),
    ];
    for (command, answer, seconds) in cases {
        let fake = Fake::start().await;
        fake.fill(1);
        fake.script(move |turn| match turn.line.starts_with(command) {
            true => say(answer),
            false => Reaction::Normal,
        });
        let pull = pull(settings(fake.port));
        let error = Desk::new(&pull).until_end().await;
        let PullError::Retry { after, .. } = error else { panic!("{}", chain(&error)) };
        assert_eq!(after, Some(Duration::from_secs(seconds)), "{command}");
    }
    let fake = Fake::start().await;
    fake.script(|turn| {
        match turn.line.starts_with("EXAMINE") {
        true => Reaction::SayAndClose(
            b"{tag} BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14\r\n"
                .to_vec(),
        ),
        false => Reaction::Normal,
    }
    });
    let pull = pull(settings(fake.port));
    account(&Desk::new(&pull).until_end().await);
}

#[tokio::test]
async fn odd_greetings_and_lost_hellos() {
    for (greeting, expected) in
        [("* BYE too busy", "too busy"), ("Server Unavailable. 15", "greeting")]
    {
        let fake = Fake::start().await;
        greeting.clone_into(&mut fake.store().greeting);
        let pull = pull(settings(fake.port));
        let text = retry(&Desk::new(&pull).until_end().await);
        assert!(text.contains(expected), "{text}");
    }
    let fake = Fake::start().await;
    fake.fill(1);
    "* PREAUTH welcome".clone_into(&mut fake.store().greeting);
    let pull = pull(settings(fake.port));
    Desk::new(&pull).gather(1).await;
    assert_eq!(fake.count("AUTHENTICATE"), 0);
}

#[tokio::test]
async fn an_answer_to_id_that_cannot_be_read_costs_one_session() {
    let fake = Fake::start().await;
    fake.fill(1);
    fake.script(|turn| match turn.line.starts_with("ID") {
        true => say("* ID of some sort\r\n{tag} OK done\r\n"),
        false => Reaction::Normal,
    });
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.gather(1).await;
    assert_eq!(desk.ends.len(), 1, "{:?}", desk.ends);
}

#[tokio::test]
async fn a_folder_that_vanished_is_named_and_does_not_stop_the_others() {
    // FAULTS 75
    let fake = Fake::start().await;
    fake.fill(70);
    let folders = vec!["Sales".to_owned(), "INBOX".to_owned()];
    let pull = pull(Imap { folders, ..settings(fake.port) });
    let mut desk = Desk::new(&pull);
    let mut session = desk.connect().await.unwrap();
    while desk.kept.len() < 70 {
        desk.step(&mut *session).await.unwrap();
    }
    let told = session.trouble().expect("it is told");
    assert!(told.contains("\"Sales\""), "{told}");
    assert_eq!(fake.count("CREATE"), 0);
}

#[tokio::test]
async fn several_folders_take_turns() {
    let fake = Fake::start().await;
    fake.fill(120);
    let folder = Folder { validity: 3, next: 1, mails: Vec::new() };
    fake.store().folders.insert("&ZeVnLIqe-".to_owned(), folder);
    fake.deliver("&ZeVnLIqe-", b"Subject: x\r\n\r\n1");
    let folders = vec!["INBOX".to_owned(), "日本語".to_owned()];
    let pull = pull(Imap { folders, ..settings(fake.port) });
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    assert_eq!(desk.kept.len(), 121);
    let other = desk.order.iter().position(|key| key == "日本語:3:1").unwrap();
    assert!(other <= 50, "the small folder does not wait for the large one");
    // The one that is not idled on is polled.
    let mut session = desk.connect().await.unwrap();
    desk.step(&mut *session).await.unwrap();
    fake.deliver("&ZeVnLIqe-", b"Subject: x\r\n\r\n2");
    while desk.kept.len() < 122 {
        desk.step(&mut *session).await.unwrap();
    }
}

#[tokio::test]
async fn starttls_that_is_stripped_or_injected_gets_no_password() {
    // FAULTS 74
    let cases: [(&[&str], bool); 4] = [
        (&["* OK hello\r\n", "T0 BAD unknown command\r\n", ""], true),
        (&["* OK hello\r\n", "* 1 EXISTS\r\nT0 NO not today\r\n", ""], true),
        (&["* PREAUTH no need to log in\r\n", ""], true),
        (&["* OK hello\r\n", "T0 OK go\r\n* OK injected\r\nT1 OK logged in\r\n", ""], false),
    ];
    for (sends, human) in cases {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut settings = settings(listener.local_addr().unwrap().port());
        settings.endpoint.tls = TlsMode::StartTls;
        let pull = pull(settings);
        let (heard, outcome) = tokio::join!(play(&listener, sends), pull.connect(None));
        let Err(error) = outcome else { panic!("connected to {sends:?}") };
        let text = chain(&error);
        assert_eq!(matches!(error, PullError::Account(_)), human, "{text}");
        for line in heard {
            let upper = line.to_ascii_uppercase();
            assert!(!upper.contains("LOGIN") && !upper.contains("AUTH"), "{line}");
        }
    }
}
