//! The test servers themselves: a test that stands on them has to know that they behave.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use crate::support::dovecot::{Dovecot, Storage};
use crate::support::lmtp_client::{Greeting, Submitter};
use crate::support::postfix::{DEFERRED, Postfix, REFUSED};
use crate::support::postgres::{Database, Postgres};
use crate::support::proxy::{Fault, Moment, Proxy, Way};
use crate::support::tls::Flaw;
use crate::support::wait_blocking;

const ANNA: &str = "anna@customer.example";
const DESK: &str = "support@example.com";
const USERS: [(&str, &str); 2] = [(ANNA, "anna's word"), (DESK, "the desk's word")];
const LIMIT: Duration = Duration::from_secs(20);

fn mail(subject: &str) -> Vec<u8> {
    format!("From: <{ANNA}>\r\nTo: <{DESK}>\r\nSubject: {subject}\r\n\r\n.dot\r\n").into_bytes()
}

#[test]
fn dovecot_holds_what_was_delivered_over_a_kill() {
    for storage in [Storage::Maildir, Storage::Sdbox] {
        let mut dovecot = Dovecot::start_with(&USERS, storage, Flaw::None);
        dovecot.deliver_many(DESK, (0..50).map(|number| mail(&format!("number {number}"))));
        assert_eq!(dovecot.count(DESK, "INBOX"), 50);
        dovecot.kill();
        dovecot.start_again();
        let found = dovecot.messages(DESK, "INBOX");
        assert_eq!(found.len(), 50);
        assert!(found[7].ends_with(b"Subject: number 7\r\n\r\n.dot\r\n"), "{storage:?}");
        dovecot.expunge(DESK, "INBOX", "1:10");
        dovecot.set_seen(DESK, "INBOX", "11");
        dovecot.restart();
        assert_eq!(dovecot.count(DESK, "INBOX"), 40);
    }
}

#[test]
fn dovecot_changes_the_uidvalidity_of_inbox_and_of_a_folder() {
    let dovecot = Dovecot::start(&USERS);
    dovecot.deliver(DESK, &mail("stays"));
    let before = dovecot.uid_validity(DESK, "INBOX");
    dovecot.change_uid_validity(DESK, "INBOX");
    assert_ne!(dovecot.uid_validity(DESK, "INBOX"), before);
    assert_eq!(dovecot.count(DESK, "INBOX"), 1);
    dovecot.imap_client(DESK).append("Archive", "\\Seen", &mail("goes"));
    let before = dovecot.uid_validity(DESK, "Archive");
    dovecot.recreate_folder(DESK, "Archive");
    assert_ne!(dovecot.uid_validity(DESK, "Archive"), before);
    assert_eq!(dovecot.count(DESK, "Archive"), 0);
}

#[test]
fn postfix_delivers_into_dovecot_and_bounces_what_dovecot_refuses() {
    let dovecot = Dovecot::start(&USERS);
    let mut postfix = Postfix::start(&dovecot);
    let mut session = postfix.client();
    session.send(DESK, ANNA, &mail("hello"));
    session.send(DESK, "stranger@customer.example", &mail("nobody there"));
    assert_eq!(session.try_send(DESK, REFUSED, &mail("x")).code, 550);
    assert_eq!(session.try_send(DESK, DEFERRED, &mail("x")).code, 450);
    wait_blocking("the mail", LIMIT, || dovecot.count(ANNA, "INBOX") == 1);
    wait_blocking("the bounce", LIMIT, || dovecot.count(DESK, "INBOX") == 1);
    let bounce = dovecot.messages(DESK, "INBOX").concat();
    assert!(String::from_utf8_lossy(&bounce).contains("message/delivery-status"));
    let mut submission = Submitter::connect(postfix.submission_port(), Greeting::Smtp);
    assert_eq!(submission.try_send(DESK, ANNA, &mail("no login")).code, 530);
    postfix.stop();
    postfix.start_again();
    postfix.client().send(DESK, ANNA, &mail("after a restart"));
    wait_blocking("the second mail", LIMIT, || dovecot.count(ANNA, "INBOX") == 2);
}

#[test]
fn postgres_keeps_what_was_committed_over_a_kill() {
    let mut cluster = Postgres::start();
    let database = cluster.database();
    database.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (7)");
    cluster.kill();
    cluster.start_again();
    assert_eq!(database.sql("SELECT n FROM t").trim(), "7");
    cluster.stop();
    cluster.start_again();
    assert_eq!(database.sql("SHOW fsync").trim(), "on");
}

#[test]
fn each_test_gets_a_database_of_its_own() {
    let (one, two) = (Database::fresh(), Database::fresh());
    one.sql("CREATE TABLE t (n int)");
    two.sql("CREATE TABLE t (n int)");
    assert_ne!(one.url(), two.url());
}

/// A server that says every byte back.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut copy = stream.try_clone().unwrap();
                drop(std::io::copy(&mut copy, &mut stream));
            });
        }
    });
    port
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

/// Sends a text and reads as much back, or the error.
fn ask(stream: &mut TcpStream, text: &str) -> Result<String, ErrorKind> {
    stream.write_all(text.as_bytes()).map_err(|error| error.kind())?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).map_err(|error| error.kind())?;
    Ok(String::from_utf8(answer).unwrap())
}

#[test]
fn the_proxy_refuses_resets_and_swallows() {
    let proxy = Proxy::to(echo());
    let mut line = connect(&proxy);
    assert_eq!(ask(&mut line, "hello").unwrap(), "hello");
    proxy.set(Fault::Blackhole);
    assert_eq!(ask(&mut line, "lost").unwrap_err(), ErrorKind::WouldBlock);
    proxy.set(Fault::None);
    assert_eq!(ask(&mut line, "found").unwrap(), "found");
    proxy.reset_all();
    assert_eq!(ask(&mut line, "gone").unwrap_err(), ErrorKind::ConnectionReset);
    proxy.set(Fault::Refuse);
    wait_blocking("a refusal", LIMIT, || {
        let answer = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()));
        answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    proxy.set(Fault::Reset);
    wait_blocking("a reset", LIMIT, || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
            .is_ok_and(|mut line| line.read(&mut [0]).is_err())
    });
    proxy.set(Fault::None);
    wait_blocking("the line's return", LIMIT, || ask(&mut connect(&proxy), "back").is_ok());
}

#[test]
fn the_proxy_cuts_at_a_byte_and_at_a_word_and_then_heals() {
    let proxy = Proxy::to(echo());
    proxy.set(Fault::CutAfter { way: Way::FromServer, bytes: 7 });
    let mut line = connect(&proxy);
    assert_eq!(ask(&mut line, "12345").unwrap(), "12345");
    line.write_all(b"6789").unwrap();
    let mut two = [0; 2];
    line.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"67");
    assert_eq!(line.read(&mut two).unwrap_err().kind(), ErrorKind::ConnectionReset);
    for (moment, arrives) in [(Moment::Before, "ab"), (Moment::After, "abSTOP")] {
        let text = "STOP".to_owned();
        proxy.set(Fault::CutAt { way: Way::FromServer, text, moment });
        let mut line = connect(&proxy);
        line.write_all(b"abST").unwrap();
        line.write_all(b"OPcd").unwrap();
        let mut answer = Vec::new();
        assert_eq!(line.read_to_end(&mut answer).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(arrives.starts_with(std::str::from_utf8(&answer).unwrap()), "{answer:?}");
        assert!(answer.len() >= arrives.len().min(4) - 2);
    }
    assert_eq!(proxy.cuts(), 3);
    assert_eq!(ask(&mut connect(&proxy), "whole again").unwrap(), "whole again");
}
