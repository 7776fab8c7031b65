use proptest::prelude::*;

use super::command::{BadCommand, Command, parse};
use super::data::{DataReader, Progress};
use super::*;

fn path(address: &str) -> Path {
    Path { address: address.to_owned() }
}

#[test]
fn commands_are_read_strictly() {
    let mail = |from: &str, size| Ok(Command::Mail { from: path(from), size });
    let rcpt = |to: &str| Ok(Command::Rcpt { to: path(to) });
    let cases: &[(&str, Result<Command, BadCommand>)] = &[
        ("LHLO mx.test", Ok(Command::Lhlo)),
        ("lhlo mx.test", Ok(Command::Lhlo)),
        ("LHLO", Err(BadCommand::Syntax)),
        ("EHLO mx.test", Ok(Command::NotLmtp)),
        ("HELO", Ok(Command::NotLmtp)),
        ("MAIL FROM:<a@b.test>", mail("a@b.test", None)),
        ("mail from: <a@b.test> size=10 BODY=8bitmime SMTPUTF8", mail("a@b.test", Some(10))),
        ("MAIL FROM:<>", mail("", None)),
        ("MAIL FROM:<@x,@y:a@b.test>", mail("a@b.test", None)),
        ("MAIL FROM:<\"a> b\"@b.test>", mail("\"a> b\"@b.test", None)),
        ("MAIL FROM:<用户@b.test> SMTPUTF8", mail("用户@b.test", None)),
        ("MAIL FROM:a@b.test", Err(BadCommand::Path)),
        ("MAIL FROM:<a@b.test", Err(BadCommand::Path)),
        ("MAIL FROM:<a@b.test>SIZE=1", Err(BadCommand::Path)),
        ("MAIL FROM:<a b@b.test>", Err(BadCommand::Path)),
        ("MAIL FROM:<@b.test>", Err(BadCommand::Path)),
        ("MAIL FROM:<a@b.test> SIZE=-1", Err(BadCommand::Parameter)),
        ("MAIL FROM:<a@b.test> SIZE=99999999999999999999", Err(BadCommand::Parameter)),
        ("MAIL FROM:<a@b.test> BODY=BINARYMIME", Err(BadCommand::Parameter)),
        ("MAIL FROM:<a@b.test> AUTH=<>", Err(BadCommand::Parameter)),
        ("MAIL TO:<a@b.test>", Err(BadCommand::Syntax)),
        ("MAIL", Err(BadCommand::Syntax)),
        ("RCPT TO:<a@b.test>", rcpt("a@b.test")),
        ("RCPT TO:<Postmaster>", rcpt("Postmaster")),
        ("RCPT TO:<>", Err(BadCommand::Path)),
        ("RCPT TO:<a@b.test> NOTIFY=NEVER", Err(BadCommand::Parameter)),
        ("RCPT TO:<a@b.test>\n RSET", Err(BadCommand::Syntax)),
        ("DATA", Ok(Command::Data)),
        ("DATA now", Err(BadCommand::Syntax)),
        ("BDAT 10 LAST", Err(BadCommand::Unknown)),
        ("RSET", Ok(Command::Rset)),
        ("NOOP whatever", Ok(Command::Noop)),
        ("VRFY support", Ok(Command::Vrfy)),
        ("QUIT", Ok(Command::Quit)),
        ("STARTTLS", Err(BadCommand::Unknown)),
        ("", Err(BadCommand::Unknown)),
        ("é", Err(BadCommand::Unknown)),
        ("QUIT\r", Err(BadCommand::Syntax)),
    ];
    for (line, expected) in cases {
        assert_eq!(&parse(line.as_bytes()), expected, "{line}");
    }
    assert_eq!(parse(b"MAIL FROM:<\xff@b.test>"), Err(BadCommand::Syntax));
    let long = format!("RCPT TO:<{}@b.test>", "a".repeat(600));
    assert_eq!(parse(long.as_bytes()), Err(BadCommand::Path));
}

fn read_all(bytes: &[u8]) -> (Progress, Option<Vec<u8>>) {
    let mut reader = DataReader::new(1 << 20);
    let progress = reader.feed(bytes);
    (progress, reader.into_mail())
}

/// FAULTS 112: SMTP smuggling. None of these ends a mail, in whatever way it is cut.
#[test]
fn only_crlf_dot_crlf_ends_a_mail() {
    for tricky in ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r\n.\r\r\n", "\r.\r\n"] {
        let wire = format!("a{tricky}MAIL FROM:<eve@evil.test>\r\n");
        let (progress, mail) = read_all(wire.as_bytes());
        assert_eq!(progress, Progress::More, "{tricky:?}");
        assert!(mail.unwrap().ends_with(b"MAIL FROM:<eve@evil.test>\r\n"), "{tricky:?}");
    }
    assert_eq!(read_all(b".\r\nQUIT\r\n"), (Progress::Done(3), Some(Vec::new())));
    assert_eq!(read_all(b"a\r\n.\r\nQUIT").0, Progress::Done(6));
}

#[test]
fn doubled_dots_are_halved_at_the_start_of_a_line_only() {
    let (_, mail) = read_all(b"..\r\n.x\r\n...\r\na..b\r\n.\r\n");
    assert_eq!(mail.unwrap(), b".\r\nx\r\n..\r\na..b\r\n");
}

#[test]
fn of_a_mail_that_is_too_big_nothing_is_kept_and_its_end_is_found() {
    let mut reader = DataReader::new(10);
    assert_eq!(reader.feed(b"0123456789"), Progress::More);
    assert_eq!(reader.feed(b"x\r\n.\r\nQUIT"), Progress::Done(6));
    assert_eq!(reader.into_mail(), None);
}

#[test]
fn a_redelivery_has_the_same_key_and_nothing_else_has() {
    let key = |recipients: &[&str], mail: &str| {
        let recipients = recipients.iter().map(|it| (*it).to_owned()).collect();
        dedupe(&Envelope { sender: String::new(), recipients }, mail.as_bytes())
    };
    let one = key(&["a@x.test", "B@x.test"], "mail");
    assert_eq!(one, key(&["b@x.test", "a@x.test"], "mail"), "order and case do not matter");
    let others = [
        key(&["a@x.test"], "mail"),
        key(&["a@x.test", "b@x.test"], "mail "),
        key(&["a@x.test", "b@x.test", "c@x.test"], "mail"),
        key(&["a@x.test"], "b@x.test\nmail"),
    ];
    for other in others {
        assert_ne!(one, other);
    }
}

/// As a mail server sends it.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut at_start = true;
    for (index, &byte) in mail.iter().enumerate() {
        if at_start && byte == b'.' {
            wire.push(b'.');
        }
        wire.push(byte);
        at_start = byte == b'\n' && index > 0 && mail.get(index - 1) == Some(&b'\r');
    }
    wire
}

/// Bytes of which many are those that matter here.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => Just(b'.'), 3 => Just(b'\r'), 3 => Just(b'\n'), 2 => any::<u8>(),
    ];
    proptest::collection::vec(byte, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_mail_comes_out_as_it_went_in(mail in bytes(), cuts in any::<u64>()) {
        // A mail on the wire always ends in a line end.
        let mail = [mail.as_slice(), b"\r\n"].concat();
        let wire = [stuffed(&mail).as_slice(), b".\r\n", b"NOOP\r\n"].concat();
        let mut reader = DataReader::new(1 << 20);
        let (mut at, mut done) = (0, None);
        while done.is_none() {
            let piece = 1 + usize::try_from(cuts.rotate_left(u32::try_from(at % 64).unwrap()) % 7)
                .unwrap();
            let end = (at + piece).min(wire.len());
            if let Progress::Done(used) = reader.feed(&wire[at..end]) {
                done = Some(at + used);
            }
            at = end;
        }
        prop_assert_eq!(done, Some(wire.len() - b"NOOP\r\n".len()));
        prop_assert_eq!(reader.into_mail(), Some(mail));
    }

    #[test]
    fn no_line_makes_the_parser_panic(line in proptest::collection::vec(any::<u8>(), 0..80)) {
        drop(parse(&line));
        let mail = [b"MAIL FROM:<".as_slice(), &line].concat();
        if let Ok(Command::Mail { from, .. }) = parse(&mail) {
            prop_assert!(!from.address.contains(['\r', '\n']));
        }
    }
}
