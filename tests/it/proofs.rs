//! A code that is sent to an address and comes back on another channel, through the whole program.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::desk::proof::codes_in;
use tributary::engine::ProofRequest;
use tributary::model::{Actor, ActorKind, Address};

use crate::console::{Desk, sending_to};
use crate::support::browser::Screen;
use crate::support::daemon::{Api, Daemon};
use crate::support::rig::{PATIENCE, Rig};
use crate::support::sink::{Sink, Taken};
use crate::support::twilio::{NUMBER, Twilio};
use crate::support::visitor::Visitor;
use crate::support::wait_until;

const LIMIT: Duration = Duration::from_secs(40);
const JANE: &str = "jane@customer.example";

fn configuration(sink: &Sink) -> String {
    format!("[channels.web]\nkind = \"webchat\"\n{}", sending_to(sink.port()))
}

/// The mail that brought a code, and the code.
async fn mailed(sink: &Sink, count: usize) -> (Taken, String) {
    wait_until("the mail", LIMIT, async || sink.count() == count).await;
    let mail = sink.taken().pop().unwrap();
    let codes = codes_in(&mail.text);
    assert_eq!(codes.len(), 1, "{}", mail.text);
    let (first, second) = codes[0].reveal().split_at_checked(4).unwrap();
    let code = format!("{first}-{second}");
    (mail, code)
}

async fn addresses(api: &Api, ticket: &str) -> Vec<String> {
    let ticket = api.get(&format!("/tickets/{ticket}")).await;
    let known = ticket["contact"]["identities"].as_array().unwrap().iter();
    known.map(|one| format!("{} {}", one["value"].as_str().unwrap(), one["trust"])).collect()
}

async fn proven(api: &Api, ticket: &str) {
    let theirs = format!("{JANE} \"proven\"");
    wait_until("they are joined", LIMIT, async || addresses(api, ticket).await.contains(&theirs))
        .await;
}

/// A visitor who wrote, and their ticket.
async fn visitor(daemon: &Daemon) -> (Visitor, Api, String) {
    let (visitor, api) = (Visitor::new(daemon.port(), "web").await, daemon.api());
    visitor.write("1", "Hello, I have lost my phone. My mail address is the one of Jane.").await;
    wait_until("their ticket", LIMIT, async || !api.tickets().await.is_empty()).await;
    let ticket = api.tickets().await[0]["id"].as_str().unwrap().to_owned();
    (visitor, api, ticket)
}

/// Posts the wish; its answer.
async fn prove(api: &Api, ticket: &str, address: &str, key: &str) -> (u16, Value) {
    let body = json!({ "address": address });
    let answer = api.post(&format!("/tickets/{ticket}/proofs"), &body, key).await.unwrap();
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn a_visitor_of_the_chat_proves_a_mail_address_and_nobody_else_reads_the_code() {
    let sink = Sink::start();
    let daemon = Daemon::start(&configuration(&sink)).await;
    let (chat, api, ticket) = visitor(&daemon).await;
    let (status, made) = prove(&api, &ticket, " Jane@Customer.example", "one").await;
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["state"], &made["address"]), (&json!("sent"), &json!(JANE)));
    assert_eq!((&made["both_sides"], &made["channel"]), (&json!(false), &json!("mail")));
    assert_eq!(prove(&api, &ticket, " Jane@Customer.example", "one").await.1["id"], made["id"]);
    let (mail, code) = mailed(&sink, 1).await;
    assert_eq!(mail.recipients, [JANE]);
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    for words in ["support@desk.test", "30 minutes", "nobody who calls"] {
        assert!(mail.text.contains(words), "{words} is not in {}", mail.text);
    }
    assert!(!mail.text.contains("phone") && !mail.header("Subject").contains("phone"));
    let told = chat.wait_message(|one| one["text"].to_string().contains("sent a code")).await;
    assert!(told["text"].as_str().unwrap().contains("j…@customer.example"), "{told}");

    // By mail, from the very address: it proves nothing of the chat.
    let quoted = format!(
        "From: Jane <{JANE}>\r\nTo: support@desk.test\r\nSubject: {}\r\nMessage-ID: <q@customer.example>\r\n\
         In-Reply-To: {}\r\nDate: Thu, 26 Nov 2026 08:00:00 +0000\r\n\r\nIt is {code}\r\n",
        mail.header("Subject"),
        mail.message_id
    );
    crate::console::ingest(&daemon, &quoted);
    let tickets = api.tickets().await;
    assert_eq!(tickets.len(), 2, "a ticket of its own: {tickets:?}");
    assert_eq!(addresses(&api, &ticket).await.len(), 1);

    chat.write("2", &format!("here: {code}")).await;
    proven(&api, &ticket).await;
    chat.wait_message(|one| one["text"].to_string().contains("the code is right")).await;
    let others = api.all("/tickets").await;
    let theirs = &api.get(&format!("/tickets/{ticket}")).await["contact"]["id"];
    assert!(others.iter().all(|one| one["contact"]["id"] == *theirs), "{others:?}");
    let listed = api.get(&format!("/tickets/{ticket}/proofs")).await;
    assert_eq!(listed["items"][0]["state"], "proven");

    // Nowhere but where the customer wrote it themselves.
    let events = api.all(&format!("/tickets/{ticket}/events")).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"contact.proof_sent") && kinds.contains(&"contact.proven"));
    let messages = api.ticket_messages(&ticket).await;
    let ours = messages.iter().filter(|message| message["direction"] == "out");
    let ours: Vec<String> = ours.map(ToString::to_string).collect();
    let plain = code.replace('-', "");
    for place in [&json!(events).to_string(), &ours.join("\n"), &daemon.log(), &listed.to_string()]
    {
        assert!(!place.contains(&code) && !place.contains(&plain), "the code is in {place}");
    }
    for (address, status, why) in [
        ("nobody", 422, "neither a mail address nor a telephone number"),
        ("support@desk.test", 409, "one of our own"),
        ("+15005550099", 409, "no channel can write to such an address"),
    ] {
        let (got, problem) = prove(&api, &ticket, address, "").await;
        assert_eq!(got, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
}

/// Whoever writes by SMS could be anybody: they have to show that they read there, too.
#[tokio::test]
async fn who_writes_by_sms_brings_back_both_halves() {
    let (service, sink) = (Twilio::start(), Sink::start());
    let mail = format!(
        "kind = \"email\"\naddress = \"support@desk.test\"\n[receive]\nprotocol = \"pipe\"\n\
         [send]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
        sink.port()
    );
    let rig = Rig::start(&[("sms", &service.settings(NUMBER)), ("mail", &mail)]).await;
    let asked = async || !service.state().asked.is_empty();
    wait_until("a question", PATIENCE, asked).await;
    let says = async |count: usize, text: &str| {
        let message = service.write("+15005550010", NUMBER, text);
        let sms = "sms".parse().unwrap();
        assert_eq!(rig.engine.take_hook(&sms, service.push(&message)).await.status(), 200);
        wait_until("it came", PATIENCE, async || rig.messages().await.len() >= count).await;
        rig.messages().await
    };
    let ticket = says(1, "my mail address is jane at customer example").await[0].ticket_id;
    let request = ProofRequest {
        ticket: ticket.into(),
        version: None,
        address: Address::email(JANE),
        via: None,
        actor: Actor { kind: ActorKind::Agent, id: None, name: "Ben".to_owned() },
        once: None,
    };
    rig.engine.check_address(request).await.unwrap();
    wait_until("both went out", PATIENCE, async || sink.count() == 1 && service.sent().len() == 1)
        .await;
    let half = |text: &str| {
        let word = |word: &&str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_uppercase());
        let mut words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(word);
        words.next().unwrap_or_else(|| panic!("no half in {text}")).to_owned()
    };
    let (first, second) = (half(&service.sent()[0].body), half(&sink.taken()[0].text));
    says(4, &format!("{first} {second}")).await;
    let theirs = async || {
        let known = rig.store.ticket(tributary::store::TicketName::Id(ticket)).await.unwrap();
        known.contact.identities.iter().any(|one| one.value == JANE && one.trust == "proven")
    };
    wait_until("they are joined", PATIENCE, theirs).await;
    rig.engine.stop().await;
}

#[tokio::test]
async fn a_code_is_sent_once_and_counts_once_whenever_the_daemon_is_killed() {
    let sink = Sink::start();
    let mut daemon = Daemon::start(&configuration(&sink)).await;
    let (chat, _, ticket) = visitor(&daemon).await;
    // Between queueing it and sending it.
    daemon.kill();
    daemon.set_environment("TRIBUTARY_FAILPOINT", "proof.queued");
    daemon.start_again().await;
    let api = daemon.api();
    let wish = json!({ "address": JANE });
    let lost = api.post(&format!("/tickets/{ticket}/proofs"), &wish, "one").await;
    assert!(lost.is_err(), "nobody answered");
    assert_eq!(daemon.wait_end(LIMIT), None, "it dies");
    // Between understanding what the customer brings and having it written.
    daemon.set_environment("TRIBUTARY_FAILPOINT", "ingest.interpreted");
    daemon.start_again().await;
    let api = daemon.api();
    assert_eq!(prove(&api, &ticket, JANE, "one").await.0, 201);
    let (_, code) = mailed(&sink, 1).await;
    let chat = Visitor { base: format!("http://127.0.0.1:{}/chat/web", daemon.port()), ..chat };
    let body = json!({ "client_id": "2", "text": code });
    drop(chat.try_post("messages", &body).await);
    assert_eq!(daemon.wait_end(LIMIT), None, "it dies");
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
    let api = daemon.api();
    let chat = Visitor { base: format!("http://127.0.0.1:{}/chat/web", daemon.port()), ..chat };
    let again = chat.post("messages", &body).await;
    assert_eq!(again.status, 201, "{}", again.body);
    proven(&api, &ticket).await;
    let thanks = |one: &Value| one["text"].to_string().contains("the code is right");
    chat.wait_message(thanks).await;
    assert_eq!(chat.read().await.iter().filter(|one| thanks(one)).count(), 1);
    assert_eq!(sink.count(), 1, "one mail");
    let merged = api.get(&format!("/tickets/{ticket}")).await["contact"]["id"].clone();
    let merged = api.get(&format!("/contacts/{}/merged", merged.as_str().unwrap())).await;
    assert_eq!(merged["items"].as_array().unwrap().len(), 1, "{merged}");
}

#[tokio::test]
async fn an_agent_has_an_address_checked_beside_the_ticket() {
    let sink = Arc::new(Sink::start());
    let other = crate::console::mail(1, "Ann", "By mail", "so that the console is not empty");
    let desk = Desk::open_with(Screen::Desktop, &configuration(&sink), &[other]).await;
    let chat = Visitor::new(desk.daemon.port(), "web").await;
    chat.write("1", "Hello, my mail address is the one of Jane.").await;
    desk.wait("its row", "return document.querySelectorAll('a.row').length === 2").await;
    desk.browser.run("location.hash = '#/ticket/2'", json!([])).await;
    desk.click("aside .prove summary").await;
    desk.click("aside .prove input").await;
    desk.browser.press(JANE).await;
    desk.browser.screenshot("console_prove").await;
    desk.click("aside .prove form button").await;
    desk.wait("it waits", &format!("return document.querySelector('aside .waits')?.textContent.includes('{JANE}') && !document.querySelector('aside .prove[open]')")).await;
    let (_, code) = mailed(&sink, 1).await;
    chat.write("2", &code).await;
    desk.wait("theirs", &format!("return [...document.querySelectorAll('aside .customer ul li')].some((one) => one.textContent.includes('{JANE}') && one.querySelector('.proven'))")).await;
    desk.wait("its trail", "return !!document.querySelector(\".event[data-kind='contact.proven']\") && !document.querySelector('aside .waits')").await;
    desk.browser.screenshot("console_proven").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
