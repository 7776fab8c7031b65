//! Agents are told of what happens by mail, and answer it: a real daemon, a strict SMTP server, and no customer
//! who gets a word that was not meant for them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::console;
use crate::support::browser::Screen;
use crate::support::daemon::{Api, Daemon};
use crate::support::receiver::{Asked, Receiver};
use crate::support::sink::{Sink, Taken};
use crate::support::telegram::{BOT, Telegram, message};
use crate::support::wait_until;

const LIMIT: Duration = Duration::from_secs(40);
const ANNA: &str = "anna@desk.test";
const JANE: &str = "jane@customer.example";

struct Desk {
    daemon: Daemon,
    sink: Sink,
    mails: u32,
}

fn configuration(sink: &Sink, more: &str) -> String {
    format!(
        "{more}[notifications]\nmail = \"mail\"\n\
         [channels.mail]\nkind = \"email\"\naddress = \"support@desk.test\"\n\
         [channels.mail.receive]\nprotocol = \"pipe\"\ntrusted_authserv = [\"mx.desk.test\"]\n\
         [channels.mail.send]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n",
        sink.port()
    )
}

impl Desk {
    /// A desk where Anna works.
    async fn open(more: &str) -> Self {
        let sink = Sink::start();
        let daemon = Daemon::start(&configuration(&sink, more)).await;
        let added = daemon.run(&["user", "add", "Anna", ANNA, "--role", "agent", "--json"]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        Self { daemon, sink, mails: 0 }
    }

    fn api(&self) -> Api {
        self.daemon.api()
    }

    /// Anna chooses what she is told of.
    async fn anna_wants(&self, occasions: &[&str]) {
        self.anna_says(|told| told["mail"] = json!(occasions)).await;
    }

    /// Anna changes what she is told of, in a session of her own.
    async fn anna_says(&self, change: impl FnOnce(&mut Value)) {
        let link = self.daemon.run(&["user", "link", ANNA, "--json"]);
        let link: Value = serde_json::from_slice(&link.stdout).unwrap();
        let token = link["sign_in"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();
        let base = format!("http://127.0.0.1:{}", self.daemon.port());
        let client = crate::support::daemon::client();
        let form = [("token", token.as_str())];
        let entered = client.post(format!("{base}/console/sign-in"));
        let entered = entered.header("origin", &base).header("accept", "application/json");
        let entered = entered.form(&form).send().await.unwrap();
        assert_eq!(entered.status().as_u16(), 204);
        let cookie = entered.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap();
        let path = format!("{base}/api/v1/me/notifications");
        let shown = client.get(&path).header("cookie", cookie).send().await.unwrap();
        let mut told = shown.json::<Value>().await.unwrap();
        assert_eq!(told["mail"], true);
        change(&mut told["told"]);
        let put = client.put(&path).header("origin", &base).header("cookie", cookie);
        let kept = put.json(&told["told"]).send().await.unwrap();
        assert_eq!(kept.status().as_u16(), 204, "{}", kept.text().await.unwrap());
    }

    /// A mail comes in.
    fn ingest(&mut self, from: &str, headers: &str, text: &str) -> String {
        self.ingest_on("mail", from, headers, text)
    }

    /// A mail comes in on a channel.
    fn ingest_on(&mut self, channel: &str, from: &str, headers: &str, text: &str) -> String {
        self.mails += 1;
        let id = format!("<{}@elsewhere.example>", self.mails);
        self.hand_over(channel, from, &format!("Message-ID: {id}\r\n{headers}"), text);
        id
    }

    fn hand_over(&self, channel: &str, from: &str, headers: &str, text: &str) {
        let mail = format!(
            "From: <{from}>\r\nTo: support@desk.test\r\nSubject: Lost\r\n{headers}\
             Date: Thu, 26 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n"
        );
        let file = self.daemon.folder().join("mail.eml");
        std::fs::write(&file, mail).unwrap();
        let output = self.daemon.run(&["ingest", channel, file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn to(&self, address: &str) -> Vec<Taken> {
        let mut taken = self.sink.taken();
        taken.retain(|mail| mail.recipients.iter().any(|one| one.contains(address)));
        taken
    }

    async fn wait_to(&self, address: &str, count: usize) -> Vec<Taken> {
        wait_until(&format!("{count} mails to {address}"), LIMIT, async || {
            self.to(address).len() >= count
        })
        .await;
        self.to(address)
    }

    /// The one ticket, and what was written in it.
    async fn messages(&self) -> Vec<Value> {
        let tickets = self.api().tickets().await;
        assert_eq!(tickets.len(), 1, "{tickets:#?}");
        self.api().ticket_messages(tickets[0]["id"].as_str().unwrap()).await
    }

    async fn wait_note(&self, words: &str) -> Value {
        let mut found = Value::Null;
        wait_until(&format!("a note with «{words}»"), LIMIT, async || {
            let messages = self.messages().await;
            let note = |one: &&Value| {
                one["kind"] == "note" && one["text"].as_str().unwrap().contains(words)
            };
            found = messages.iter().find(note).cloned().unwrap_or_default();
            !found.is_null()
        })
        .await;
        found
    }
}

fn quoted(mail: &Taken) -> String {
    let lines = mail.text.lines().map(|line| format!("> {line}\r\n"));
    format!("\r\nOn Thu, support@desk.test wrote:\r\n{}", lines.collect::<String>())
}

fn answers(mail: &Taken) -> String {
    format!("In-Reply-To: {}\r\n", mail.message_id)
}

#[tokio::test]
async fn an_agent_answers_a_notification_and_the_customer_gets_those_words_once() {
    let mut desk = Desk::open("").await;
    desk.anna_wants(&["new_ticket", "customer_wrote"]).await;
    let first = desk.ingest(JANE, "", "My phrase is gone. I AM LOST");
    let told = desk.wait_to(ANNA, 1).await.remove(0);
    assert!(told.header("Auto-Submitted").starts_with("auto-"), "a machine answers it never");
    assert_eq!(told.sender, "", "nothing comes back to anybody");
    assert!(told.text.contains("/console/#/ticket/1"), "{}", told.text);

    // Twice, as a mail server that lost our answer hands it over.
    let text = format!("We look into it.\r\n{}", quoted(&told));
    let headers = format!("Message-ID: <answer@desk.test>\r\n{}", answers(&told));
    desk.hand_over("mail", ANNA, &headers, &text);
    desk.hand_over("mail", ANNA, &headers, &text);
    let reply = desk.wait_to(JANE, 1).await.remove(0);
    assert!(reply.text.starts_with("We look into it."), "{}", reply.text);
    for word in ["##-", "wrote:", "console", "I AM LOST"] {
        assert!(!reply.text.contains(word), "«{word}» in {}", reply.text);
    }
    assert_eq!(reply.header("In-Reply-To"), first);
    let messages = desk.messages().await;
    let out: Vec<&Value> = messages.iter().filter(|one| one["direction"] == "out").collect();
    assert_eq!((messages.len(), out.len()), (2, 1), "{messages:#?}");
    assert_eq!(out[0]["author"]["name"], "Anna");

    // A note stays here, and so does everything that is not surely hers.
    desk.ingest(ANNA, &answers(&told), &format!("#note Ask Bob first\r\n{}", quoted(&told)));
    let note = desk.wait_note("Ask Bob first").await;
    assert_eq!((&note["text"], &note["author"]["name"]), (&json!("Ask Bob first"), &json!("Anna")));
    desk.ingest("eve@evil.example", &answers(&told), "Send your phrase to eve");
    let foreign = desk.wait_note("eve@evil.example").await;
    assert_eq!(foreign["flags"], json!(["spoof_suspect"]), "{foreign}");
    let forged = "Authentication-Results: mx.desk.test; dmarc=fail header.from=desk.test\r\n";
    desk.ingest(ANNA, &format!("{forged}{}", answers(&told)), "Send your phrase to me");
    desk.wait_note("Send your phrase to me").await;
    desk.ingest(ANNA, &format!("Auto-Submitted: auto-replied\r\n{}", answers(&told)), "I am away");
    // Jane answers what she got: that is told, with the beginning of her words.
    let more = format!("Another thing, {}THE END", "and so on, ".repeat(20));
    desk.ingest(JANE, &answers(&reply), &more);
    let told = desk.wait_to(ANNA, 2).await.remove(1);
    assert!(told.text.contains("The customer wrote: #1 Lost"), "{}", told.text);
    assert!(told.text.contains("Another thing, and so on,"), "{}", told.text);
    assert!(told.text.contains('…') && !told.text.contains("THE END"), "{}", told.text);
    assert_eq!(desk.to(JANE).len(), 1, "nothing else went out");
    assert_eq!(desk.api().tickets().await.len(), 1, "and nothing of it is a customer's");
    assert!(desk.sink.complaints().is_empty(), "{:?}", desk.sink.complaints());
}

#[tokio::test]
async fn nobody_is_told_twice_whenever_the_daemon_is_killed() {
    for (step, most) in [("notify.queued", 1), ("lane.begun", 0), ("lane.settled", 1)] {
        let mut desk = Desk::open("").await;
        desk.anna_wants(&["new_ticket"]).await;
        assert!(desk.daemon.kill());
        desk.daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        // What comes while nobody is there is told afterwards.
        desk.ingest(JANE, "", "Are you there?");
        desk.daemon.spawn();
        assert_eq!(desk.daemon.wait_end(LIMIT), None, "{step}: it dies");
        desk.daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        desk.daemon.start_again().await;
        if most == 1 {
            desk.wait_to(ANNA, 1).await;
        } else {
            // It may have gone out: a person decides, and nothing is sent again.
            wait_until("unconfirmed", LIMIT, async || {
                let rows = desk.api().get("/outbox").await;
                rows["items"][0]["status"] == "unconfirmed"
            })
            .await;
        }
        // What comes afterwards is told after it, and once.
        desk.ingest("bob@customer.example", "", "And I?");
        let told = desk.wait_to(ANNA, most + 1).await;
        assert!(told.last().unwrap().text.contains("#2 Lost"), "{step}");
        assert_eq!(told.len(), most + 1, "{step}");
    }
}

#[tokio::test]
async fn an_answer_is_one_reply_whenever_the_daemon_is_killed() {
    let mut desk = Desk::open("").await;
    desk.anna_wants(&["new_ticket"]).await;
    desk.ingest(JANE, "", "Are you there?");
    let told = desk.wait_to(ANNA, 1).await.remove(0);
    for (number, step) in ["reply.queued", "agent.replied"].into_iter().enumerate() {
        assert!(desk.daemon.kill());
        desk.daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        desk.ingest(ANNA, &answers(&told), &format!("Answer {number}"));
        desk.daemon.spawn();
        assert_eq!(desk.daemon.wait_end(LIMIT), None, "{step}: it dies");
        desk.daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        desk.daemon.start_again().await;
        desk.wait_to(JANE, number + 1).await;
    }
    desk.ingest(ANNA, &answers(&told), "The last one");
    let sent: Vec<String> = desk.wait_to(JANE, 3).await.into_iter().map(|one| one.text).collect();
    let begins = |at: usize, words: &str| sent[at].starts_with(words);
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(begins(0, "Answer 0") && begins(1, "Answer 1") && begins(2, "The last"), "{sent:?}");
}

#[tokio::test]
async fn what_cannot_go_out_stays_as_a_note_with_the_reason() {
    let mut desk = Desk::open("").await;
    desk.anna_wants(&["new_ticket"]).await;
    desk.ingest(JANE, "", "Are you there?");
    let told = desk.wait_to(ANNA, 1).await.remove(0);
    desk.ingest(ANNA, &answers(&told), "Card 4111 1111 1111 1111, expires 10/29, code 123");
    let note = desk.wait_note("[not sent: it held a secret").await;
    assert!(!note["text"].as_str().unwrap().contains("4111"), "{note}");
    desk.ingest(ANNA, &answers(&told), "");
    desk.wait_note("[not sent: it is empty]").await;
    assert!(desk.to(JANE).is_empty());
}

#[tokio::test]
async fn what_the_channel_cannot_send_stays_as_a_note_with_the_reason() {
    let deaf = "[channels.orders]\nkind = \"email\"\naddress = \"orders@desk.test\"\n\
                [channels.orders.receive]\nprotocol = \"pipe\"\n";
    let mut desk = Desk::open(deaf).await;
    desk.anna_wants(&["new_ticket"]).await;
    desk.ingest_on("orders", JANE, "", "Are you there?");
    let told = desk.wait_to(ANNA, 1).await.remove(0);
    desk.ingest(ANNA, &answers(&told), "We are");
    let why = "[not sent: the channel orders is not configured, or cannot send]";
    let note = desk.wait_note(why).await;
    assert_eq!(
        (&note["text"], &note["author"]["name"]),
        (&json!(format!("{why}\n\nWe are")), &json!("Anna"))
    );
    assert!(desk.to(JANE).is_empty());
}

#[tokio::test]
async fn a_rule_tells_whom_it_names_and_nobody_else() {
    let rule = "[[notify]]\non = [\"new_ticket\"]\nto = [\"Team@desk.test\"]\nlanguage = \"zh\"\n";
    let mut desk = Desk::open(rule).await;
    for number in 0..7 {
        desk.ingest(&format!("c{number}@customer.example"), "", "Hello");
    }
    let told = desk.wait_to("team@desk.test", 5).await;
    assert!(told[0].text.contains("新工单: #1 Lost"), "{}", told[0].text);
    assert!(!told[0].text.contains("##-"), "who does not work here answers nothing");
    assert!(desk.to(ANNA).is_empty(), "she chose nothing");
}

/// An endpoint that wants no event of its own gets those that a rule names, once, and no words of the customer.
#[tokio::test]
async fn a_rule_tells_by_a_webhook() {
    let pager = Receiver::answering(204);
    let rule = format!(
        "[[notify]]\non = [\"new_ticket\"]\npriorities = [\"urgent\"]\nwebhook = \"pager\"\n\
         [webhooks.pager]\nurl = \"{}\"\nevents = [\"contact.erased\"]\n\
         allow_private_network = true\nsecret = \"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\"\n",
        pager.url("/page")
    );
    let mut desk = Desk::open(&rule).await;
    desk.ingest("calm@customer.example", "", "Where do I find the fees?");
    desk.ingest(JANE, "", "My coins are being stolen right now, someone is emptying my wallet!");
    wait_until("the page", LIMIT, async || !pager.asked().is_empty()).await;
    desk.ingest("calm@customer.example", "", "And the taxes?");
    wait_until("three tickets", LIMIT, async || desk.api().tickets().await.len() == 3).await;
    let paged: Vec<Value> = pager.asked().iter().map(Asked::json).collect();
    assert_eq!(paged.len(), 1, "{paged:#?}");
    assert_eq!(paged[0]["type"], "ticket.created");
    assert!(!paged[0].to_string().contains("stolen"), "{:#}", paged[0]);
}

/// In a browser: what was chosen is shown, in a tab in the background too, and what one did oneself is not.
#[tokio::test]
async fn the_browser_tells_of_what_was_chosen() {
    let first = [console::mail(1, "Jane", "Lost", "My phrase is gone")];
    let desk = console::Desk::open(Screen::Desktop, &first).await;
    let browser = &desk.browser;
    browser.run("location.hash = '#/notifications'", json!([])).await;
    desk.wait("the page", "return !!document.querySelector('.notifications table')").await;
    let asked = browser.run("return !!document.querySelector('button.allow')", json!([])).await;
    assert_eq!(asked, true, "the browser is asked on a click, and not before");
    browser.screenshot("notifications").await;
    desk.click("input[name='browser.new_ticket']").await;
    let kept = "return document.querySelector(\"input[name='browser.new_ticket']\")?.checked \
                && !document.querySelector(\"input[name='sound']\").checked \
                && document.querySelector(\"input[name='mail.new_ticket']\").disabled \
                && document.querySelectorAll('.toast').length > 0";
    desk.wait("it is kept", kept).await;
    browser.allow_notifications().await;
    // The real thing, and a list of what was shown.
    let record = "window.shown = []; const Real = window.Notification; window.Notification = \
        class extends Real { constructor(title, more) { super(title, more); \
        window.shown.push([title, more.body]); } }; return Notification.permission";
    assert_eq!(browser.run(record, json!([])).await, "granted");
    console::ingest(&desk.daemon, &console::mail(2, "Ann", "Where is it", "I AM LOST"));
    let shown =
        desk.wait("a notification", "return window.shown.length === 1 && window.shown").await;
    assert_eq!(shown, json!([["New ticket", "#2 Where is it"]]));
    let here = browser.tab().await;
    browser.new_tab().await;
    console::ingest(&desk.daemon, &console::mail(3, "Bob", "And I", "Hello"));
    let there = async || desk.daemon.api().tickets().await.len() == 3;
    wait_until("the third ticket", LIMIT, there).await;
    browser.to_tab(&here).await;
    desk.wait("another", "return window.shown.length === 2").await;
    browser.run("location.hash = '#/ticket/1'", json!([])).await;
    // She takes a ticket: that is no news to her. The next one is.
    let take = "const take = [...document.querySelectorAll('button')] \
        .find((one) => one.textContent === 'Take it'); take?.click(); return !!take";
    desk.wait("she takes it", take).await;
    console::ingest(&desk.daemon, &console::mail(4, "Eve", "Last", "Hello"));
    let last = "return window.shown.length > 2 && window.shown[2]";
    assert_eq!(desk.wait("the last one", last).await, json!(["New ticket", "#4 Last"]));
}

/// A group in which people who work here talk.
const GROUP: i64 = -1_001_234_567_890;

#[tokio::test]
async fn agents_answer_in_their_group_on_telegram_and_talk_there_among_themselves() {
    let service = Telegram::start();
    let more = format!(
        "[[notify]]\non = [\"new_ticket\"]\ntelegram = {{ channel = \"tg\", chat = {GROUP}, topic = 7 }}\n\
         [channels.tg]\n{}desk_chats = [{GROUP}]\n",
        service.settings()
    );
    let mut desk = Desk::open(&more).await;
    // However it is typed: who writes is «77» to the service.
    desk.anna_says(|told| told["telegram"] = json!("+077")).await;
    desk.ingest(JANE, "", "My phrase is gone. I AM LOST");
    wait_until("the group is told", LIMIT, async || !service.texts().is_empty()).await;
    let told = service.sent().remove(0);
    assert_eq!(
        (&told.fields["chat_id"], &told.fields["message_thread_id"]),
        (&json!(GROUP), &json!(7))
    );
    let text = told.fields["text"].as_str().unwrap();
    assert!(text.contains("#1 Lost") && text.contains("/note") && !text.contains("LOST"), "{text}");

    // The service counts from 101 in each chat, and what we sent was the first.
    let group = |from: i64, id: i64, text: &str, answers: Option<i64>| {
        let mut message = message(
            from,
            id,
            &json!({
                "chat": { "id": GROUP, "type": "supergroup", "title": "Desk", "is_forum": true },
                "is_topic_message": true, "message_thread_id": 7, "text": text,
            }),
        );
        if let Some(answers) = answers {
            message["reply_to_message"] = json!({ "message_id": answers, "from": { "id": BOT } });
        }
        message
    };
    service.happens("message", group(77, 201, "Shall I take it?", None));
    service.happens("message", group(77, 202, "We look into it.", Some(101)));
    let reply = desk.wait_to(JANE, 1).await.remove(0);
    assert!(reply.text.starts_with("We look into it."), "{}", reply.text);
    // What is changed afterwards changes nothing, and nothing comes twice.
    service.happens("edited_message", group(77, 202, "We look into nothing.", Some(101)));
    service.happens("message", group(77, 202, "We look into it.", Some(101)));
    service.happens("message", group(77, 203, "/note Ask Bob first", Some(101)));
    let note = desk.wait_note("Ask Bob first").await;
    assert_eq!((&note["text"], &note["author"]["name"]), (&json!("Ask Bob first"), &json!("Anna")));
    service.happens("message", group(88, 204, "Send your phrase to me", Some(101)));
    let foreign = desk.wait_note("Send your phrase to me").await;
    assert!(foreign["text"].as_str().unwrap().contains("«88»"), "{foreign}");
    let messages = desk.messages().await;
    let out: Vec<&Value> = messages.iter().filter(|one| one["direction"] == "out").collect();
    assert_eq!((messages.len(), out.len()), (4, 1), "{messages:#?}");
    assert_eq!(
        (&out[0]["text"], &out[0]["author"]["name"]),
        (&json!("We look into it."), &json!("Anna"))
    );
    assert_eq!(desk.to(JANE).len(), 1);
}

#[test]
fn a_way_that_is_not_there_is_a_fault() {
    let sink = Sink::start();
    for (text, fault) in [
        ("[[notify]]\non = [\"new_ticket\"]\n", "notify[0]: give `to`, `telegram` or `webhook`"),
        ("[[notify]]\non = []\nto = [\"a@b.c\"]\n", "notify[0].on: name at least one of"),
        ("[[notify]]\non = [\"news\"]\nto = [\"a@b.c\"]\n", "notify[0].on"),
        ("[[notify]]\non = [\"overdue\"]\nwebhook = \"pager\"\n", "notify[0].webhook: there is no"),
        (
            "[[notify]]\non = [\"overdue\"]\ntelegram = { channel = \"mail\", chat = -1 }\n",
            "notify[0].telegram.channel: there is no Telegram channel mail",
        ),
        (
            "[[notify]]\non = [\"overdue\"]\ntelegram = { channel = \"tg\", chat = -5 }\n\
             [channels.tg]\nkind = \"telegram\"\ntoken = \"77:abc\"\ndesk_chats = [-4]\n",
            "notify[0].telegram.chat: name it in channels.tg.desk_chats too",
        ),
        (
            "[[notify]]\non = [\"overdue\"]\nto = [\"a@b.c\"]\nchannels = [\"mail\", \"mial\"]\n",
            "notify[0].channels[1]: there is no channel `mial`",
        ),
    ] {
        let daemon = Daemon::prepare(&configuration(&sink, text));
        let output = daemon.run(&["check"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(fault), "no `{fault}` in {told}");
    }
    let daemon = Daemon::prepare("[notifications]\nmail = \"api\"\n");
    let told = daemon.run(&["check"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("notifications.mail: there is no mail channel api"), "{told}");
}
