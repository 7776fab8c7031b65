//! Mail in, a ticket, a reply, the customer's answer: the real daemon between real mail servers.

use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::dovecot::Dovecot;
use crate::support::postfix::Postfix;
use crate::support::rig::Rig;
use crate::support::smtp_script::{Fake, Reaction};
use crate::support::token_endpoint::{TokenEndpoint, failure};
use crate::support::{Signal, free_port, wait_until};

const ANNA: &str = "anna@customer.example";
const DESK: &str = "support@example.com";
const SALES: &str = "sales@example.com";
const USERS: [(&str, &str); 3] =
    [(ANNA, "anna's word"), (DESK, "the desk's word"), (SALES, "the sellers' word")];
const LIMIT: Duration = Duration::from_secs(60);

/// The table of a channel that receives from a mailbox of the test's Dovecot, with TLS.
fn receive(address: &str, dovecot: &Dovecot) -> String {
    format!(
        "kind = \"email\"\naddress = \"{address}\"\nname = \"Example Support\"\n\
         [receive]\nprotocol = \"imap\"\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\n\
         username = \"{address}\"\npassword = \"{}\"\npoll_seconds = 1\n",
        dovecot.imaps_port(),
        dovecot.authority_file().display(),
        dovecot.password(address),
    )
}

/// How it sends: through the test's Postfix, after STARTTLS and a login.
fn send(address: &str, dovecot: &Dovecot, postfix: &Postfix) -> String {
    format!(
        "[send]\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\nusername = \"{address}\"\n\
         password = \"{}\"\nsave_to_sent = \"auto\"\n",
        postfix.submission_port(),
        dovecot.authority_file().display(),
        dovecot.password(address),
    )
}

/// A table as it stands in the configuration.
fn under(name: &str, table: &str) -> String {
    format!("[channels.{name}]\n{}\n", table.replace("\n[", &format!("\n[channels.{name}.")))
}

/// The daemon with one channel, and a desk beside it that reads tickets and queues replies.
async fn daemon_with(table: &str) -> (Daemon, Rig) {
    let daemon = Daemon::start(&under("mail", table)).await;
    let rig = Rig::beside(&daemon.state_folder(), &[("mail", table)]).await;
    (daemon, rig)
}

fn mail(id: &str, headers: &str, text: &str) -> Vec<u8> {
    format!(
        "From: Anna <{ANNA}>\r\nTo: <{DESK}>\r\nMessage-ID: <{id}>\r\n\
         Date: Thu, 26 Nov 2026 08:00:00 +0000\r\n{headers}\r\n{text}\r\n"
    )
    .into_bytes()
}

async fn messages(rig: &Rig) -> Vec<Value> {
    let all = rig.messages().await;
    all.iter().map(|message| serde_json::to_value(message).unwrap()).collect()
}

/// Waits for a message that came in (`in`) or went out (`out`) with these words.
async fn wait_message(rig: &Rig, direction: &str, text: &str) -> Value {
    wait_for(rig, text, |message| message["direction"] == direction).await
}

/// Waits until the reply with these words has this state.
async fn wait_status(rig: &Rig, text: &str, status: &str) -> Value {
    wait_for(rig, text, |message| message["delivery"]["status"] == status).await
}

async fn wait_for(rig: &Rig, text: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + LIMIT;
    loop {
        let all = messages(rig).await;
        let has =
            |message: &Value| message["text"].as_str().is_some_and(|body| body.contains(text));
        if let Some(found) = all.iter().find(|message| has(message) && fits(message)) {
            return found.clone();
        }
        assert!(Instant::now() < deadline, "waited in vain for «{text}» among {all:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn ticket(message: &Value) -> uuid::Uuid {
    message["ticket_id"].as_str().expect("a message has a ticket").parse().unwrap()
}

#[tokio::test]
async fn a_mail_becomes_a_ticket_and_the_answer_to_our_answer_joins_it() {
    // COMPLAINTS A12: without plus addresses, the signed Message-ID finds the ticket.
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let table = receive(DESK, &dovecot) + &send(DESK, &dovecot, &postfix);
    let (mut daemon, rig) = daemon_with(&table).await;

    let question = mail("q1@customer.example", "Subject: 钱包密码\r\n", "I lost my password");
    postfix.client().send(ANNA, DESK, &question);
    let first = wait_message(&rig, "in", "I lost my password").await;
    assert_eq!(first["author"]["address"], ANNA);

    rig.reply(ticket(&first), "Please try the backup.").await;
    wait_until("the reply", LIMIT, async || dovecot.count(ANNA, "INBOX") == 1).await;
    let arrived = dovecot.messages(ANNA, "INBOX").pop().unwrap();
    let reply = MessageParser::new().parse(&arrived).unwrap();
    assert_eq!(reply.in_reply_to().as_text(), Some("q1@customer.example"));
    assert_eq!(reply.subject(), Some("Re: 钱包密码"));
    let from = reply.from().unwrap().first().unwrap();
    assert_eq!((from.name(), from.address()), (Some("Example Support"), Some(DESK)));
    assert!(reply.body_text(0).unwrap().contains("Please try the backup."));
    let id = reply.message_id().unwrap().to_owned();
    let sent = wait_status(&rig, "Please try the backup.", "sent").await;
    assert_eq!(sent["external_id"], id.as_str());
    wait_until("the copy", LIMIT, async || dovecot.count(DESK, "Sent") == 1).await;

    // Her program keeps only the id of what she answers.
    let answer = mail(
        "q2@customer.example",
        &format!("Subject: thanks\r\nIn-Reply-To: <{id}>\r\n"),
        "It works now, thank you",
    );
    postfix.client().send(ANNA, DESK, &answer);
    let second = wait_message(&rig, "in", "It works now").await;
    assert_eq!(ticket(&second), ticket(&first));

    // Nothing comes twice: not by a crash, and not by a server that was restored.
    daemon.signal(Signal::Kill);
    daemon.wait_end(LIMIT);
    dovecot.change_uid_validity(DESK, "INBOX");
    daemon.start_again().await;
    let another = mail("q3@customer.example", "Subject: something else\r\n", "A new question");
    postfix.client().send(ANNA, DESK, &another);
    let third = wait_message(&rig, "in", "A new question").await;
    assert_ne!(ticket(&third), ticket(&first));
    assert_eq!(messages(&rig).await.len(), 4);
    assert_eq!((dovecot.count(ANNA, "INBOX"), dovecot.count(DESK, "Sent")), (1, 1));
    assert_eq!(dovecot.count(DESK, "INBOX"), 3, "the mailbox is left as it was");
}

#[tokio::test]
async fn a_reply_that_comes_back_is_shown_as_bounced() {
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let table = receive(DESK, &dovecot) + &send(DESK, &dovecot, &postfix);
    let (_daemon, rig) = daemon_with(&table).await;
    let stranger = "stranger@customer.example";
    let text =
        String::from_utf8(mail("q1@customer.example", "Subject: hello\r\n", "help")).unwrap();
    postfix.client().send(stranger, DESK, text.replace(ANNA, stranger).as_bytes());
    let first = wait_message(&rig, "in", "help").await;
    rig.reply(ticket(&first), "To nobody.").await;
    let bounced = wait_status(&rig, "To nobody.", "bounced").await;
    assert!(bounced["delivery"]["error"].as_str().is_some_and(|error| !error.is_empty()));
    let all = messages(&rig).await;
    assert!(all.iter().all(|message| ticket(message) == ticket(&first)), "{all:#?}");
}

#[tokio::test]
async fn a_reply_whose_acceptance_got_lost_is_never_sent_again_by_itself() {
    // COMPLAINTS D12
    let dovecot = Dovecot::start(&USERS);
    let fake = Fake::start().await;
    fake.at("DOT", |turn| {
        if turn.before == 0 { Reaction::KeepAndClose(Vec::new()) } else { Reaction::Normal }
    });
    let send = format!("[send]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n", fake.port);
    let (mut daemon, rig) = daemon_with(&(receive(DESK, &dovecot) + &send)).await;
    dovecot.deliver(DESK, &mail("q1@customer.example", "Subject: a\r\n", "question one"));
    let first = wait_message(&rig, "in", "question one").await;
    rig.reply(ticket(&first), "The only answer.").await;
    wait_status(&rig, "The only answer.", "unconfirmed").await;
    // Others go on, also after a crash.
    daemon.signal(Signal::Kill);
    daemon.wait_end(LIMIT);
    daemon.start_again().await;
    dovecot.deliver(DESK, &mail("q2@customer.example", "Subject: b\r\n", "question two"));
    let second = wait_message(&rig, "in", "question two").await;
    rig.reply(ticket(&second), "Another answer.").await;
    wait_status(&rig, "Another answer.", "sent").await;
    wait_status(&rig, "The only answer.", "unconfirmed").await;
    let mails = fake.mails();
    let holding = |text: &str| mails.iter().filter(|mail| mail.text().contains(text)).count();
    assert_eq!((holding("The only answer."), holding("Another answer."), mails.len()), (1, 1, 2));
}

#[tokio::test]
async fn broken_channels_do_not_stop_the_others() {
    // COMPLAINTS O2: a dead token, a wrong password, a server that is away.
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let dead = TokenEndpoint::start(|_| failure(400, "invalid_grant")).await;
    let away = receive(SALES, &dovecot)
        .replace(&format!("port = {}", dovecot.imaps_port()), &format!("port = {}", free_port()));
    let wrong = receive(SALES, &dovecot).replace("the sellers' word", "not the word");
    let (imaps, submission) = (dovecot.imaps_port(), postfix.submission_port());
    let (ca, url) = (dovecot.authority_file(), &dead.url);
    let token = format!(
        "kind = \"email\"\naddress = \"token@example.com\"\n[oauth]\nprovider = \"custom\"\n\
         client_id = \"id\"\nscope = \"mail\"\nrefresh_token = \"dead\"\ntoken_url = \"{url}\"\n\
         [receive]\nprotocol = \"imap\"\nhost = \"localhost\"\nport = {imaps}\n\
         ca_file = \"{ca}\"\n[send]\nhost = \"localhost\"\nport = {submission}\nca_file = \"{ca}\"\n",
        ca = ca.display(),
    );
    let good = receive(DESK, &dovecot) + &send(DESK, &dovecot, &postfix);
    let channels = [("away", &away), ("wrong", &wrong), ("token", &token), ("mail", &good)];
    let configuration: String = channels.map(|(name, table)| under(name, table)).concat();
    let daemon = Daemon::start(&configuration).await;
    let rig = Rig::beside(&daemon.state_folder(), &[("mail", &good)]).await;
    dovecot.deliver(DESK, &mail("q1@customer.example", "Subject: a\r\n", "question one"));
    let first = wait_message(&rig, "in", "question one").await;
    rig.reply(ticket(&first), "An answer.").await;
    wait_status(&rig, "An answer.", "sent").await;
    let sentences =
        ["wrong needs a human", "token needs a human", "away stopped to receive and tries again"];
    wait_until("each broken channel to say so", LIMIT, async || {
        let log = daemon.log();
        sentences.iter().all(|sentence| log.contains(sentence))
    })
    .await;
    let log = daemon.log();
    assert!(!log.contains("mail needs a human"), "{log}");
    for secret in ["not the word", "the desk's word", ANNA, "question one"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn our_own_mail_is_never_acknowledged() {
    // COMPLAINTS B11: our own mailbox in Cc, or writing to itself.
    let dovecot = Dovecot::start(&USERS);
    let postfix = Postfix::start(&dovecot);
    let table =
        receive(DESK, &dovecot).replacen("name =", "aliases = \"help@example.com\"\nname =", 1)
            + &send(DESK, &dovecot, &postfix)
            + "[acknowledge]\ntext = \"We got {number}.\"\n";
    let sales = under("sales", &receive(SALES, &dovecot));
    let daemon = Daemon::start(&(under("mail", &table) + &sales)).await;
    let rig = Rig::beside(&daemon.state_folder(), &[("mail", &table)]).await;
    let headers = format!("Cc: {SALES}, help@example.com\r\n");
    postfix.client().send(ANNA, DESK, &mail("q1@customer.example", &headers, "a question"));
    for (id, from) in
        [("o1@x.example", DESK), ("o2@x.example", "help@example.com"), { ("o3@x.example", SALES) }]
    {
        let words = format!("written from {from}");
        let text = String::from_utf8(mail(id, "Subject: own\r\n", &words)).unwrap();
        let text = text.replace(&format!("Anna <{ANNA}>"), from);
        postfix.client().send(from, DESK, text.as_bytes());
        wait_message(&rig, "in", &words).await;
    }
    wait_status(&rig, "We got", "sent").await;
    wait_until("the acknowledgement", LIMIT, async || dovecot.count(ANNA, "INBOX") == 1).await;
    let all = messages(&rig).await;
    let sent: Vec<&Value> = all.iter().filter(|message| message["direction"] == "out").collect();
    assert_eq!(sent.len(), 1, "{sent:#?}");
    let arrived = String::from_utf8(dovecot.messages(ANNA, "INBOX").concat()).unwrap();
    assert!(!arrived.contains("\r\nCc:"), "{arrived}");
    assert!(arrived.contains("Auto-Submitted: auto-replied"), "{arrived}");
    assert_eq!((dovecot.count(DESK, "INBOX"), dovecot.count(SALES, "INBOX")), (4, 0));
}
