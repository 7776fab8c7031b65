//! The LMTP server, conversation by conversation. What it promises: 250 only for what is stored.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tributary::channel::email::lmtp::{Lmtp, Patience, Recipients};
use tributary::channel::{Intake, Listen};
use tributary::model::{Address, Cause, OwnAddresses, Raw};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Store {
    taken: Mutex<Vec<Raw>>,
    away: Mutex<bool>,
}

#[async_trait]
impl Intake for Store {
    async fn take(&self, raws: Vec<Raw>) -> Result<(), Cause> {
        if *self.away.lock().unwrap() {
            return Err("disk full at /var/lib".into());
        }
        self.taken.lock().unwrap().extend(raws);
        Ok(())
    }
}

fn lmtp() -> Lmtp {
    Lmtp {
        listen: "127.0.0.1:0".to_owned(),
        host: "desk.test".to_owned(),
        recipients: Recipients::Own(OwnAddresses(
            ["support@desk.test", "help@xn--bcher-kva.test"].map(Address::email).into(),
        )),
        size_max: 4096,
        patience: Patience { command: LIMIT, piece: LIMIT, mail: LIMIT },
        verifier: None,
    }
}

/// Sends all of `input`, closes, and returns all that the server said and took.
async fn talk(lmtp: &Lmtp, store: &Store, input: &[u8]) -> String {
    let (mut ours, theirs) = tokio::io::duplex(1 << 20);
    let client = async move {
        ours.write_all(input).await.unwrap();
        ours.shutdown().await.unwrap();
        let mut output = String::new();
        ours.read_to_string(&mut output).await.unwrap();
        output
    };
    let both = async { tokio::join!(client, lmtp.serve(Box::new(theirs), store)) };
    let (output, served) = tokio::time::timeout(LIMIT, both).await.expect("it hangs");
    served.unwrap();
    output
}

/// The code of each reply, without the lines before the last of a reply.
fn codes(output: &str) -> Vec<String> {
    let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
    output.lines().filter(last).map(|line| line.chars().take(3).collect()).collect()
}

const HEAD: &str = "LHLO mx.test\r\nMAIL FROM:<ann@example.test>\r\n";
const ONE: &str = "RCPT TO:<support@desk.test>\r\n";

#[tokio::test]
async fn a_mail_is_taken_with_its_envelope_and_byte_for_byte() {
    let store = Store::default();
    let mail = "Subject: x\r\n\r\n..dots\r\n.\r\n";
    let output =
        talk(&lmtp(), &store, format!("{HEAD}{ONE}DATA\r\n{mail}QUIT\r\n").as_bytes()).await;
    assert_eq!(codes(&output), ["220", "250", "250", "250", "354", "250", "221"], "{output}");
    let taken = store.taken.lock().unwrap();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].body, "Subject: x\r\n\r\n.dots\r\n".as_bytes());
    assert_eq!(taken[0].transport["mail_from"], "ann@example.test");
    assert_eq!(taken[0].transport["rcpt_to"], "support@desk.test");
}

#[tokio::test]
async fn what_is_offered_is_what_rfc_2033_asks_for() {
    let output = talk(&lmtp(), &Store::default(), b"LHLO mx.test\r\n").await;
    for line in ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8", "SIZE 4096"] {
        assert!(output.contains(&format!("{line}\r\n")), "{line}: {output}");
    }
}

/// Each command where it may not stand, and what is answered.
#[tokio::test]
async fn commands_out_of_order_are_refused_and_the_session_goes_on() {
    let cases: &[(&str, &[&str])] = &[
        ("EHLO x\r\nHELO x\r\n", &["500", "500"]),
        ("MAIL FROM:<a@b.test>\r\n", &["503"]),
        ("LHLO x\r\nRCPT TO:<support@desk.test>\r\n", &["250", "503"]),
        ("LHLO x\r\nDATA\r\n", &["250", "503"]),
        ("LHLO x\r\nMAIL FROM:<a@b.test>\r\nMAIL FROM:<c@d.test>\r\n", &["250", "250", "503"]),
        ("LHLO x\r\nMAIL FROM:<a@b.test>\r\nDATA\r\n", &["250", "250", "503"]),
        (
            "LHLO x\r\nMAIL FROM:<>\r\nRSET\r\nRCPT TO:<support@desk.test>\r\n",
            &["250", "250", "250", "503"],
        ),
        ("LHLO x\r\nMAIL FROM:<>\r\nLHLO x\r\nMAIL FROM:<>\r\n", &["250", "250", "250", "250"]),
        ("LHLO x\r\nMAIL FROM:<a@b.test> SIZE=5000\r\n", &["250", "552"]),
        ("LHLO x\r\nMAIL FROM:<a@b.test> RET=HDRS\r\n", &["250", "555"]),
        (
            "LHLO x\r\nMAIL FROM:a@b.test\r\nXYZ\r\nNOOP\r\nVRFY a\r\n",
            &["250", "501", "500", "250", "252"],
        ),
        // A bare LF is no line end: the two lines are one, and nothing in it is obeyed.
        ("LHLO x\nMAIL FROM:<a@b.test>\r\n", &["501"]),
    ];
    for (input, expected) in cases {
        let output = talk(&lmtp(), &Store::default(), format!("{input}QUIT\r\n").as_bytes()).await;
        let expected = [&["220"], *expected, &["221"]].concat();
        assert_eq!(codes(&output), expected, "{input}\n{output}");
    }
}

#[tokio::test]
async fn only_mail_for_our_own_addresses_is_taken() {
    let cases = [
        ("support@desk.test", "250"),
        ("SUPPORT@Desk.Test", "250"),
        ("support+t12.abc@desk.test", "250"),
        ("help@bücher.test", "250"),
        ("sales@desk.test", "550 5.1.1"),
        ("support@evil.test", "550 5.1.1"),
        ("postmaster", "550 5.1.1"),
    ];
    for (recipient, expected) in cases {
        let input = format!("{HEAD}RCPT TO:<{recipient}>\r\n");
        let output = talk(&lmtp(), &Store::default(), input.as_bytes()).await;
        let answer = output.lines().nth_back(1).unwrap();
        assert!(answer.starts_with(expected), "{recipient}: {output}");
    }
    let any = Lmtp { recipients: Recipients::Any, ..lmtp() };
    let input = format!("{HEAD}RCPT TO:<x@y.test>\r\n");
    let output = talk(&any, &Store::default(), input.as_bytes()).await;
    assert_eq!(codes(&output), ["220", "250", "250", "250", "421"]);
}

/// RFC 2033 section 4.2: one answer for each recipient that was taken, in their order.
#[tokio::test]
async fn each_recipient_gets_an_answer_of_its_own() {
    let store = Store::default();
    let rcpt = "RCPT TO:<support@desk.test>\r\nRCPT TO:<nobody@desk.test>\r\n\
                RCPT TO:<support+a@desk.test>\r\n";
    let output = talk(&lmtp(), &store, format!("{HEAD}{rcpt}DATA\r\nx\r\n.\r\n").as_bytes()).await;
    let stored: Vec<&str> = output.lines().filter(|line| line.contains("2.0.0 Stored")).collect();
    assert_eq!(
        stored,
        ["250 2.0.0 Stored <support@desk.test>", "250 2.0.0 Stored <support+a@desk.test>"]
    );
    assert_eq!(store.taken.lock().unwrap().len(), 1, "it is one mail");
}

#[tokio::test]
async fn a_store_that_is_away_leaves_the_mail_with_the_sender() {
    let store = Store::default();
    *store.away.lock().unwrap() = true;
    let two = format!("{ONE}RCPT TO:<support+a@desk.test>\r\n");
    let input = format!("{HEAD}{two}DATA\r\nx\r\n.\r\nNOOP\r\n");
    let output = talk(&lmtp(), &store, input.as_bytes()).await;
    assert_eq!(output.matches("451 4.3.0").count(), 2, "{output}");
    assert!(!output.contains("/var/lib"), "our troubles are not the sender's: {output}");
    assert!(codes(&output).ends_with(&["250".to_owned(), "421".to_owned()]), "{output}");
}

#[tokio::test]
async fn a_mail_that_turns_out_too_big_is_refused_and_the_session_goes_on() {
    let store = Store::default();
    let big = "y".repeat(5000);
    let input = format!("{HEAD}{ONE}DATA\r\n{big}\r\n.\r\nMAIL FROM:<>\r\n{ONE}DATA\r\nx\r\n.\r\n");
    let output = talk(&lmtp(), &store, input.as_bytes()).await;
    assert_eq!(
        codes(&output),
        ["220", "250", "250", "250", "354", "552", "250", "250", "354", "250", "421"]
    );
    assert_eq!(store.taken.lock().unwrap().len(), 1);
}

/// L-lines of COMPLAINTS are kept by this: half a mail is no mail.
#[tokio::test]
async fn a_mail_whose_end_never_comes_is_not_taken() {
    let store = Store::default();
    let output = talk(&lmtp(), &store, format!("{HEAD}{ONE}DATA\r\nhalf\r\n.").as_bytes()).await;
    assert_eq!(codes(&output), ["220", "250", "250", "250", "354"]);
    assert!(store.taken.lock().unwrap().is_empty());
}

/// FAULTS 112: what looks like a second mail to a loose reader is text of the first.
#[tokio::test]
async fn a_smuggled_mail_stays_inside_the_first() {
    let store = Store::default();
    let smuggled = "MAIL FROM:<ceo@desk.test>\r\nRCPT TO:<support@desk.test>\r\nDATA\r\nevil\r\n";
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n"] {
        store.taken.lock().unwrap().clear();
        let input = format!("{HEAD}{ONE}DATA\r\nhello{end}{smuggled}.\r\n");
        talk(&lmtp(), &store, input.as_bytes()).await;
        let taken = store.taken.lock().unwrap();
        assert_eq!(taken.len(), 1, "{end:?}");
        assert_eq!(taken[0].transport["mail_from"], "ann@example.test");
    }
}

#[tokio::test]
async fn the_same_mail_again_has_the_same_key() {
    let store = Store::default();
    let once = format!("MAIL FROM:<a@b.test>\r\n{ONE}DATA\r\nx\r\n.\r\n");
    let other = once.replace("x\r\n.", "y\r\n.");
    talk(&lmtp(), &store, format!("LHLO x\r\n{once}{once}{other}").as_bytes()).await;
    let taken = store.taken.lock().unwrap();
    assert_eq!(taken[0].dedupe, taken[1].dedupe);
    assert_ne!(taken[0].dedupe, taken[2].dedupe);
}

#[tokio::test]
async fn nobody_talks_for_ever() {
    let noops = format!("LHLO x\r\n{}", "NOOP\r\n".repeat(1100));
    let output = talk(&lmtp(), &Store::default(), noops.as_bytes()).await;
    assert!(output.ends_with("421 4.7.0 Too many commands\r\n"));
    assert_eq!(codes(&output).len(), 1002);
    let output = talk(&lmtp(), &Store::default(), "X\r\n".repeat(100).as_bytes()).await;
    assert!(output.ends_with("421 4.7.0 Too many errors\r\n"));
    let long = format!("LHLO {}\r\nNOOP\r\n", "x".repeat(3000));
    assert_eq!(
        codes(&talk(&lmtp(), &Store::default(), long.as_bytes()).await),
        ["220", "500", "250", "421"]
    );
    let endless = "x".repeat(200_000);
    assert_eq!(codes(&talk(&lmtp(), &Store::default(), endless.as_bytes()).await), ["220", "421"]);
}

#[tokio::test]
async fn at_most_a_hundred_recipients_are_taken() {
    let many: String = (0..101).map(|n| format!("RCPT TO:<support+{n}@desk.test>\r\n")).collect();
    let output = talk(&lmtp(), &Store::default(), format!("{HEAD}{many}").as_bytes()).await;
    assert_eq!(output.matches("250 2.1.5").count(), 100);
    assert_eq!(output.matches("452 4.5.3").count(), 1);
}

/// A sender that stalls is let go: in a command, and in the middle of a mail.
#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_let_go() {
    let second = Duration::from_secs(1);
    let patience = Patience { command: second, piece: second, mail: second * 3 };
    let lmtp = Lmtp { patience, ..lmtp() };
    for (said, drip) in [
        ("NOO", false),
        ("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<support@desk.test>\r\nDATA\r\n", true),
    ] {
        let store = Store::default();
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        ours.write_all(said.as_bytes()).await.unwrap();
        let stalling = async {
            // A byte now and then resets no clock but the one for the next piece.
            while drip && ours.write_all(b"x").await.is_ok() {
                tokio::time::sleep(second / 2).await;
            }
            read_to_end(ours).await
        };
        let both = async { tokio::join!(stalling, lmtp.serve(Box::new(theirs), &store)) };
        let (_, served) = tokio::time::timeout(second * 10, both).await.expect("it still waits");
        served.unwrap();
        assert!(store.taken.lock().unwrap().is_empty());
    }
}

async fn read_to_end(mut stream: DuplexStream) -> Vec<u8> {
    let mut output = Vec::new();
    stream.read_to_end(&mut output).await.unwrap();
    output
}

/// Commands of a session, in any order, whole and broken.
fn session() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        Just("LHLO x".to_owned()),
        Just("MAIL FROM:<a@b.test>".to_owned()),
        Just("RCPT TO:<support@desk.test>".to_owned()),
        Just("RCPT TO:<no@desk.test>".to_owned()),
        Just("RSET".to_owned()),
        Just("NOOP".to_owned()),
        "[ -~]{0,40}",
        Just("DATA\r\nx\r\n..\r\n.".to_owned()),
    ];
    proptest::collection::vec(line, 0..30)
}

/// Something that the session below does not count on.
fn is_other_command(line: &str) -> bool {
    let word: String = line.chars().take(4).collect();
    let known = ["QUIT", "MAIL", "RCPT", "DATA", "LHLO", "RSET"];
    known.contains(&word.to_ascii_uppercase().as_str()) && line != "RCPT TO:<no@desk.test>"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// As many answers as a client counts on; so many raws as mails were promised to be stored.
    #[test]
    fn answers_are_counted_right(lines in session()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = Store::default();
        // A mail is sent only after 354, as a client would: without one, its lines are commands.
        let (mut greeted, mut mail, mut rcpts) = (false, false, 0_usize);
        let (mut input, mut expected, mut stored) = (String::new(), 1_usize, 0_usize);
        for line in &lines {
            match line.as_str() {
                "LHLO x" => (greeted, mail, rcpts) = (true, false, 0),
                "MAIL FROM:<a@b.test>" => mail = mail || greeted,
                "RCPT TO:<support@desk.test>" if mail => rcpts += 1,
                "RSET" => (mail, rcpts) = (false, 0),
                text if text.starts_with("DATA\r\n") => {
                    if rcpts == 0 {
                        continue;
                    }
                    expected += rcpts;
                    stored += 1;
                    (mail, rcpts) = (false, 0);
                }
                text if is_other_command(text) => continue,
                _ => {}
            }
            expected += 1;
            input.push_str(line);
            input.push_str("\r\n");
        }
        input.push_str("QUIT\r\n");
        let output = runtime.block_on(talk(&lmtp(), &store, input.as_bytes()));
        if !output.contains("421 4.7.0") {
            prop_assert_eq!(codes(&output).len(), expected + 1, "{}\n{}", input, output);
            prop_assert_eq!(store.taken.lock().unwrap().len(), stored);
        }
    }

    /// Whatever comes, there is an end without a panic, and every line of ours begins with a code.
    #[test]
    fn no_bytes_break_the_server(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let input = [HEAD.as_bytes(), ONE.as_bytes(), b"DATA\r\n", &bytes, b"\r\n.\r\n", &bytes].concat();
        let output = runtime.block_on(talk(&lmtp(), &Store::default(), &input));
        for line in output.lines() {
            prop_assert!(line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{}", line);
        }
    }
}
