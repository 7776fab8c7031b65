//! What customers should never have sent: it is masked before anything is written, sealed, and answered at once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tributary::channel::shared::webhook::WebhookKeys;
use tributary::desk::{Advice, Safety, Scanner, SecretSort};
use tributary::model::{Role, Secret};
use tributary::store::Afterwards;

use crate::support::app::App;
use crate::support::daemon::Daemon;
use crate::support::postgres::Postgres;
use crate::support::receiver::Receiver;
use crate::support::visitor::Visitor;
use crate::support::wait_until;

const PHRASE: &str =
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
const KEY: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const LIMIT: Duration = Duration::from_secs(20);

const CHANNELS: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "pipe"
[channels.mail.send]
host = "127.0.0.1"
port = 9
tls = "none"

[channels.crm]
kind = "api"
secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
reply_secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
reply_url = "http://127.0.0.1:9/in"
"#;

async fn app() -> App {
    let app = App::start(CHANNELS).await;
    let advice = |name: &str| Advice {
        wallet: format!("{name}: move your funds"),
        other: format!("{name}: other"),
    };
    let answers = BTreeMap::from(["en", "zh"].map(|tag| (tag.to_owned(), advice(tag))));
    app.store.guard(Safety { answers, ..Safety::default() });
    app
}

fn entry(id: &str, text: &str) -> String {
    json!({ "id": id, "conversation": "c1", "sender": { "id": "u1", "name": "Ann" }, "text": text })
        .to_string()
}

async fn ticket_messages(app: &App, id: impl std::fmt::Display) -> Vec<Value> {
    app.api(Role::ReadOnly).ticket_messages(&id.to_string()).await
}

/// The messages that the customer wrote.
fn theirs(messages: &[Value]) -> Vec<&str> {
    let theirs = messages.iter().filter(|message| message["direction"] == "in");
    theirs.map(|message| message["text"].as_str().unwrap()).collect()
}

fn answers(messages: &[Value]) -> Vec<&str> {
    let ours = messages.iter().filter(|message| message["direction"] == "out");
    ours.map(|message| message["text"].as_str().unwrap()).collect()
}

async fn unseal(app: &App, role: Role, message: &Value, reason: &str) -> (u16, Value) {
    let path = format!("/messages/{}/unseal", message["id"].as_str().unwrap());
    let answer = app.api(role).post(&path, &json!({ "reason": reason }), "").await.unwrap();
    (answer.status.as_u16(), answer.body)
}

/// A mail with a secret wherever one can stand.
fn mail() -> String {
    format!(
        "From: \"{PHRASE}\" <jane@customer.example>\r\nTo: support@example.com\r\nSubject: lost {KEY}\r\n\
         Message-ID: <one@test>\r\nDate: Thu, 26 Nov 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
         --a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease look. {PHRASE}. 谢谢\r\n\
         --a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Please look. <b>{}</b></p>\r\n--a--\r\n\
         --b\r\nContent-Type: text/plain; name=\"{KEY}.txt\"\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"{KEY}.txt\"\r\n\r\n{}\r\n--b--\r\n",
        PHRASE.replace(' ', "</b> <i></i><b>"),
        data_encoding::BASE64.encode(format!("my words\n{PHRASE}\n").as_bytes()),
    )
}

#[tokio::test]
async fn a_secret_is_masked_wherever_it_stands_and_seen_only_by_who_may_and_says_why() {
    let app = app().await;
    let placed = app.receive("mail", mail()).await;
    let messages = ticket_messages(&app, placed.ticket).await;
    let message = &messages[0];
    let shown = format!(
        "{message}{}",
        app.api(Role::ReadOnly).get(&format!("/tickets/{}", placed.ticket)).await
    );
    for word in ["advice", "acoustic", KEY] {
        assert!(!shown.contains(word), "{word} in {shown}");
    }
    assert_eq!(message["text"], "Please look. [seed phrase removed]. 谢谢");
    assert!(message["html"].as_str().unwrap().contains("Please look. "), "{message}");
    assert_eq!(message["subject"], "lost [private key removed]");
    assert!(message["flags"].as_array().unwrap().contains(&json!("redacted")));
    let kinds: Vec<_> =
        message["secrets"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["seed_phrase", "private_key"], "{message}");
    assert!(message["why"].to_string().contains("masked before it was stored"), "{message}");

    let file = message["attachments"][0]["id"].as_str().unwrap();
    let request = app.api(Role::Agent).request(Method::GET, &format!("/attachments/{file}"));
    let bytes = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(bytes, "my words\n[seed phrase removed]\n");
    let path = format!("/messages/{}/raw", message["id"].as_str().unwrap());
    let raw = app.api(Role::Agent).request(Method::GET, &path).send().await.unwrap();
    assert!(raw.status() == 200 || raw.status() == 403, "{}", raw.status());
    let raw = raw.text().await.unwrap();
    assert!(!raw.contains("acoustic") && !raw.contains(KEY), "{raw}");

    assert_eq!(unseal(&app, Role::Agent, message, "just looking").await.0, 403);
    assert_eq!(unseal(&app, Role::Admin, message, " ").await.0, 422);
    let reason = format!("the customer asked; {KEY}");
    let (status, unsealed) = unseal(&app, Role::Admin, message, &reason).await;
    assert_eq!(status, 200, "{unsealed}");
    let words = unsealed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["words"].is_object())
        .unwrap();
    assert!(words["words"]["text"].as_str().unwrap().contains(PHRASE), "{unsealed}");
    assert_eq!(words["words"]["subject"], format!("lost {KEY}"));
    let file =
        unsealed["items"].as_array().unwrap().iter().find(|item| item["file"].is_string()).unwrap();
    let file = data_encoding::BASE64.decode(file["file"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(String::from_utf8(file).unwrap(), format!("my words\n{PHRASE}\n"));
    let trail = app.api(Role::ReadOnly).all(&format!("/tickets/{}/events", placed.ticket)).await;
    let told = trail.iter().find(|event| event["kind"] == "message.unsealed");
    let told = told.unwrap_or_else(|| panic!("{trail:?}")).to_string();
    assert!(told.contains("the customer asked; [private key removed]"), "{told}");
}

#[tokio::test]
async fn a_phrase_in_pieces_is_masked_in_all_of_them() {
    let app = app().await;
    let words: Vec<&str> = PHRASE.split(' ').collect();
    let placed = app.receive("crm", entry("m0", "Hello, nothing works")).await;
    for (number, piece) in words.chunks(4).enumerate() {
        app.receive("crm", entry(&format!("m{}", number + 1), &piece.join(" "))).await;
    }
    app.receive("crm", entry("m9", "thanks a lot")).await;
    let messages = ticket_messages(&app, placed.ticket).await;
    let mask = "[seed phrase removed]";
    assert_eq!(theirs(&messages), ["Hello, nothing works", mask, mask, mask, "thanks a lot"]);
    assert_eq!(
        messages.iter().filter(|one| one["flags"].to_string().contains("redacted")).count(),
        3
    );
    for word in ["acoustic", "absurd", "above"] {
        let found = app.api(Role::ReadOnly).get(&format!("/tickets?q={word}")).await;
        assert_eq!(found["items"], json!([]), "{word}");
    }
    let (status, unsealed) = unseal(&app, Role::Admin, &messages[1], "proof").await;
    assert_eq!(
        (status, &unsealed["items"][0]["words"]["text"]),
        (200, &json!(words[..4].join(" ")))
    );

    // In one batch, a word a message, into a ticket that is called by its first message.
    for (number, word) in words.iter().enumerate() {
        let one = json!({ "id": format!("w{number}"), "conversation": "c2", "sender": { "id": "u2" }, "text": word });
        app.take("crm", one.to_string()).await;
    }
    app.engine.drain_journal().await.unwrap();
    let tickets = app.api(Role::ReadOnly).tickets().await;
    let shown = format!("{tickets:?}{:?}", app.api(Role::ReadOnly).messages().await);
    assert!(!shown.contains("acoustic") && !shown.contains("letter"), "{shown}");
}

/// S4: what stands around a mask is found, in Chinese too.
#[tokio::test]
async fn s4_the_words_around_a_mask_are_found_in_chinese_too() {
    let app = app().await;
    let text = format!("我的钱包打不开，助记词是：{PHRASE}，请帮忙");
    let placed = app.receive("crm", entry("m1", &text)).await;
    let messages = ticket_messages(&app, placed.ticket).await;
    assert_eq!(theirs(&messages), ["我的钱包打不开，助记词是：[seed phrase removed]，请帮忙"]);
    for (query, count) in [("钱包", 1), ("帮忙", 1), ("acoustic", 0)] {
        let found = app.api(Role::ReadOnly).get(&format!("/tickets?q={query}")).await;
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
}

/// S3: what was masked by mistake is not lost, and an admin can say what is none.
#[tokio::test]
async fn s3_a_long_number_that_is_no_card_can_be_recovered_and_allowed() {
    let app = app().await;
    let text = "the card machine printed 4111 1111 1111 1111";
    let placed = app.receive("crm", entry("m1", text)).await;
    let messages = ticket_messages(&app, placed.ticket).await;
    assert_eq!(theirs(&messages), ["the card machine printed [card number removed]"]);
    let (_, unsealed) = unseal(&app, Role::Admin, &messages[0], "not a card").await;
    assert_eq!(unsealed["items"][0]["words"]["text"], text);
    let allow = vec![regex::Regex::new("^4111").unwrap()];
    let scanner = Scanner::new(SecretSort::ALL.into(), allow);
    app.store.guard(Safety { scanner, ..Safety::default() });
    app.receive("crm", entry("m2", text)).await;
    assert_eq!(theirs(&ticket_messages(&app, placed.ticket).await)[1], text);
}

#[tokio::test]
async fn an_edit_is_masked_and_so_is_the_event_that_tells_of_it() {
    let app = app().await;
    let placed = app.receive("crm", entry("m1", "hello")).await;
    for text in [format!("it is {KEY}"), "sorry".to_owned()] {
        let edit = json!({ "type": "edit", "id": "m1", "text": text });
        app.take("crm", edit.to_string()).await;
        app.engine.drain_journal().await.unwrap();
    }
    let messages = ticket_messages(&app, placed.ticket).await;
    assert_eq!(theirs(&messages), ["sorry"]);
    let trail = app.api(Role::ReadOnly).all(&format!("/tickets/{}/events", placed.ticket)).await;
    let trail = format!("{trail:?}");
    assert!(trail.contains("it is [private key removed]") && !trail.contains(KEY), "{trail}");
    let (_, unsealed) = unseal(&app, Role::Admin, &messages[0], "proof").await;
    assert_eq!(unsealed["items"][0]["words"]["text"], format!("it is {KEY}"));
}

/// What was masked in an edit or in a file that came later is answered, too, and not twice within the hour.
#[tokio::test]
async fn a_secret_that_comes_late_is_answered_once() {
    let app = app().await;
    let told = async |ticket: uuid::Uuid| {
        for _ in 0..2 {
            app.engine.tend_advice().await.unwrap();
        }
        answers(&ticket_messages(&app, ticket).await)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let placed = app.receive("crm", entry("m1", "please help me with my wallet")).await;
    assert_eq!(told(placed.ticket).await, [""; 0]);
    for text in [format!("my words are {PHRASE}"), format!("and the key is {KEY}")] {
        let edit = json!({ "type": "edit", "id": "m1", "text": text });
        app.take("crm", edit.to_string()).await;
        app.engine.drain_journal().await.unwrap();
    }
    assert_eq!(told(placed.ticket).await, ["en: move your funds"]);
    // They were told: what comes with a message of theirs now is not answered again.
    app.receive("crm", entry("m2", &format!("again {KEY}"))).await;
    assert_eq!(told(placed.ticket).await.len(), 1);

    let late = json!({ "id": "f1", "conversation": "files", "sender": { "id": "u2" },
        "text": "here is the file that you wanted, thank you",
        "attachments": [{ "name": "backup.txt", "url": "https://files.example/backup.txt" }] });
    let placed = app.receive("crm", late.to_string()).await;
    assert_eq!(told(placed.ticket).await, [""; 0]);
    let now = app.engine.clock.now();
    for media in app.store.take_due_media(5, now).await.unwrap() {
        let file = (PHRASE.as_bytes(), Afterwards::Stay);
        assert!(app.store.keep_media(&media, file, now).await.unwrap());
    }
    assert_eq!(told(placed.ticket).await, ["en: move your funds"]);
    // A machine is told nothing, and neither is anybody about what one of ours wrote.
    let machine = json!({ "id": "a1", "conversation": "auto", "sender": { "id": "u3" },
        "text": "I am away", "automated": true });
    let placed = app.receive("crm", machine.to_string()).await;
    let edit = json!({ "type": "edit", "id": "a1", "text": PHRASE });
    app.take("crm", edit.to_string()).await;
    app.engine.drain_journal().await.unwrap();
    assert_eq!(told(placed.ticket).await, [""; 0]);
}

#[tokio::test]
async fn the_customer_is_told_at_once_in_their_language_and_once_an_hour() {
    let app = app().await;
    let placed =
        app.receive("crm", entry("m1", &format!("please help me with my wallet: {PHRASE}"))).await;
    app.receive("crm", entry("m2", &format!("again {KEY}"))).await;
    let messages = ticket_messages(&app, placed.ticket).await;
    assert_eq!(answers(&messages), ["en: move your funds"]);
    let queued = app.api(Role::ReadOnly).all("/outbox").await;
    assert_eq!(queued.len(), 1, "{queued:?}");

    let one = json!({ "id": "z1", "conversation": "z", "sender": { "id": "z" }, "text": "你好，我的密码是 Hunter2!x" });
    let placed = app.receive("crm", one.to_string()).await;
    assert_eq!(answers(&ticket_messages(&app, placed.ticket).await), ["zh: other"]);

    // A machine is told nothing.
    let auto = mail()
        .replace("MIME-Version", "Auto-Submitted: auto-replied\r\nMIME-Version")
        .replace("one@test", "two@test");
    let placed = app.receive("mail", auto).await;
    assert_eq!(answers(&ticket_messages(&app, placed.ticket).await), [""; 0]);
}

#[tokio::test]
async fn nobody_here_writes_one_down_or_sends_one() {
    let app = app().await;
    let placed = app.receive("crm", entry("m1", "hello")).await;
    let path = format!("/tickets/{}/messages", placed.ticket);
    let bold = PHRASE.replace(' ', "</b> <b>");
    for (body, code) in [
        (json!({ "kind": "note", "text": PHRASE }), "secret"),
        (json!({ "kind": "note", "text": "see", "html": format!("<b>{bold}</b>") }), "secret"),
        (json!({ "kind": "note", "text": "his password is Hunter2!x" }), "secret"),
        (json!({ "kind": "reply", "text": format!("is it {KEY}?") }), "cannot_reply"),
        (json!({ "kind": "reply", "text": "your card 4111 1111 1111 1111" }), "cannot_reply"),
    ] {
        let answer = app.api(Role::Agent).post(&path, &body, "").await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (422, &json!(code)), "{body}");
    }
    for body in [
        json!({ "kind": "note", "text": "he lost his seed phrase" }),
        json!({ "kind": "reply", "text": "Your verification code: 482913" }),
    ] {
        let answer = app.api(Role::Agent).post(&path, &body, "").await.unwrap();
        assert!(answer.status.is_success(), "{}", answer.body);
    }
}

/// What agents write beside messages is kept in clear and shown: lists, search, webhooks, the customer's mail.
#[tokio::test]
async fn no_field_that_is_kept_takes_one() {
    let app = app().await;
    let placed = app.receive("crm", entry("m1", "hello")).await;
    let api = app.api(Role::Admin);
    let ticket = format!("/tickets/{}", placed.ticket);
    let contact = api.get(&ticket).await["contact"]["id"].as_str().unwrap().to_owned();
    let contact = format!("/contacts/{contact}");
    let long = format!("about {KEY}");
    let opened = |field: &str, value: Value| {
        let mut wish =
            json!({ "channel": "mail", "to": { "address": "ann@example.test" }, "subject": "x" });
        wish[field] = value;
        wish
    };
    let fields = [
        (Method::POST, "/tickets", opened("subject", json!(long)), "subject"),
        (Method::POST, "/tickets", opened("tags", json!([KEY])), "tags"),
        (Method::POST, "/tickets", opened("queue", json!(KEY)), "queue"),
        (
            Method::POST,
            "/tickets",
            opened("to", json!({ "address": "ann@example.test", "name": KEY })),
            "to.name",
        ),
        (Method::PATCH, &ticket, json!({ "subject": long }), "subject"),
        (Method::PATCH, &ticket, json!({ "tags": ["a", KEY] }), "tags[1]"),
        (Method::PATCH, &ticket, json!({ "queue": KEY }), "queue"),
        (Method::PATCH, &contact, json!({ "note": PHRASE }), "note"),
        (Method::PATCH, &contact, json!({ "name": KEY }), "name"),
        (Method::PATCH, &contact, json!({ "tags": [KEY] }), "tags[0]"),
        (
            Method::POST,
            "/callbacks",
            json!({ "ticket": placed.ticket.to_string(), "phone": "+15005550006", "note": long }),
            "note",
        ),
        (
            Method::POST,
            "/macros",
            json!({ "name": "m", "texts": { "en": format!("it is {PHRASE}") } }),
            "texts.en",
        ),
        (Method::POST, "/views", json!({ "name": KEY, "query": "status=open" }), "name"),
        (
            Method::POST,
            &format!("{ticket}/customer"),
            json!({ "address": "ann@example.test", "name": KEY }),
            "name",
        ),
    ];
    for (method, path, body, field) in fields {
        let request = api.request(method.clone(), path).json(&body);
        let answer = api.send(request).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"], &answer.body["field"]),
            (422, &json!("secret"), &json!(field)),
            "{method} {path} {body}: {}",
            answer.body
        );
        assert!(!answer.body.to_string().contains(KEY), "{}", answer.body);
    }
    let before = api.get(&ticket).await;
    let answer = api.send(api.request(Method::PATCH, &ticket).json(&json!({ "subject": "fees" })));
    assert_eq!(answer.await.unwrap().body["subject"], "fees", "{before}");
}

// ---- the dump ---------------------------------------------------------------------------

/// What is sent, and what of it is looked for afterwards.
const SENT: &[(&str, &[&str])] = &[
    (
        "my words are letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
        &["acoustic", "absurd"],
    ),
    ("key 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", &["5HueCGU8", "LvyTJ"]),
    ("my card is 4111 1111 1111 1111", &["1111 1111", "41111111"]),
    ("Das Passwort lautet Zitrone77!Mond", &["Zitrone77"]),
    ("739154 is your verification code", &["739154"]),
];

fn configuration(hook: &str, store: &str) -> String {
    format!(
        "{store}\n{CHANNELS}\n[channels.web]\nkind = \"webchat\"\n\n[log]\nlevel = \"trace\"\n\n\
         [webhooks.all]\nurl = \"{hook}\"\nsecret = \"{SECRET}\"\nevents = [\"*\"]\nallow_private_network = true\n"
    )
}

/// Hands the daemon a raw by the command line.
async fn ingest(daemon: &Daemon, channel: &str, body: &str) {
    let file = daemon.folder().join("one");
    std::fs::write(&file, body).unwrap();
    let output = daemon.run(&["ingest", channel, file.to_str().unwrap()]);
    std::fs::remove_file(file).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn post(daemon: &Daemon, body: &str) -> u16 {
    let keys = WebhookKeys::read([&Secret::new(SECRET)]).unwrap();
    let seconds = u64::try_from(chrono::Utc::now().timestamp()).unwrap();
    let id = uuid::Uuid::new_v4().to_string();
    let request = crate::support::daemon::client()
        .post(format!("http://127.0.0.1:{}/hooks/crm", daemon.port()))
        .header("content-type", "application/json")
        .header("webhook-signature", keys.sign(&id, seconds, body.as_bytes()))
        .header("webhook-timestamp", seconds)
        .header("webhook-id", id)
        .body(body.to_owned());
    request.send().await.unwrap().status().as_u16()
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// By mail, by the API channel, and in the web chat.
async fn send_all(daemon: &Daemon, visitor: &Visitor) {
    for (number, (text, _)) in SENT.iter().enumerate() {
        let mail = format!(
            "From: a{number}@customer.example\r\nTo: support@example.com\r\nSubject: {text}\r\n\
             Message-ID: <{number}@test>\r\nContent-Type: text/plain\r\n\r\nHello,\r\n{text}\r\n"
        );
        ingest(daemon, "mail", &mail).await;
        assert_eq!(post(daemon, &entry(&format!("p{number}"), text)).await, 202);
        visitor.write(&format!("v{number}"), text).await;
    }
    // What is refused at the door says why, and quotes it.
    let refused = post(
        daemon,
        &json!({ "id": "bad", "conversation": "c", "sender": SENT[1].0, "text": "x" }).to_string(),
    )
    .await;
    assert_eq!(refused, 422);
}

/// What a masked phrase looks like: whoever finds none looks in the wrong place.
const MARK: &[u8] = b"[seed phrase removed]";

#[tokio::test]
async fn no_file_no_log_no_figure_no_webhook_and_no_backup_ever_holds_a_secret() {
    // As docs/OPERATING.md says: never the file alone.
    let backup = async |daemon: &Daemon| {
        let file = daemon.folder().join("backup.db");
        let url = format!("sqlite://{}", daemon.state_folder().join("tributary.db").display());
        let db = sea_orm::Database::connect(url).await.unwrap();
        db.execute_unprepared(&format!("VACUUM INTO '{}'", file.display())).await.unwrap();
        db.close().await.unwrap();
        std::fs::read(file).unwrap()
    };
    no_secret_anywhere("", None, backup).await;
}

#[tokio::test]
async fn no_table_no_log_of_writes_and_no_dump_of_postgresql_ever_holds_a_secret() {
    let server = Postgres::start();
    let database = server.database();
    let store = format!("[store]\nurl = \"{}\"\n", database.url());
    let backup = async |_: &Daemon| database.dump().into_bytes();
    no_secret_anywhere(&store, Some(server.folder()), backup).await;
}

/// 1. A secret comes by each way. 2. Everything that the daemon, or its database, wrote anywhere is looked through.
async fn no_secret_anywhere(
    store: &str,
    database: Option<&Path>,
    backup: impl AsyncFn(&Daemon) -> Vec<u8>,
) {
    let hook = Receiver::answering(200);
    let mut daemon = Daemon::start(&configuration(&hook.url("/"), store)).await;
    let api = daemon.api();
    let mut events = api.events(Some("0")).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    send_all(&daemon, &visitor).await;
    let count = SENT.len() * 3;
    wait_until("all messages", LIMIT, async || {
        api.messages()
            .await
            .iter()
            .filter(|one| one["flags"].to_string().contains("redacted"))
            .count()
            >= count
    })
    .await;
    let ticket = api.tickets().await[0]["id"].as_str().unwrap().to_owned();
    for (text, _) in &SENT[..3] {
        let body = json!({ "kind": "note", "text": text });
        assert_eq!(
            api.post(&format!("/tickets/{ticket}/messages"), &body, "k").await.unwrap().status,
            422
        );
        assert_eq!(api.try_reply(&ticket, text, "").await.unwrap().status, 422);
    }
    let told = visitor
        .wait_message(|one| one["text"].as_str().is_some_and(|text| text.contains("new wallet")))
        .await;
    assert_ne!(told["author"], "visitor", "{told}");

    let mut seen = String::new();
    while seen.matches("message.created").count() < count {
        seen.push_str(&format!("{:?}", events.next(LIMIT).await));
    }
    wait_until("the webhooks", LIMIT, async || hook.asked().len() >= count).await;
    for asked in hook.asked() {
        seen.push_str(&String::from_utf8_lossy(&asked.body));
    }
    seen.push_str(&daemon.metrics().await);
    seen.push_str(&format!(
        "{:?}{:?}{:?}",
        api.messages().await,
        api.tickets().await,
        visitor.read().await
    ));
    seen.push_str(&format!("{:?}{:?}", api.all("/quarantine").await, api.all("/outbox").await));
    look("what was told", seen.as_bytes());
    let kept = backup(&daemon).await;
    look("the backup", &kept);
    assert!(holds(&kept, MARK), "the backup holds no message at all");
    // While it runs: the database, its log, the log of the daemon; then what is left of them.
    for round in ["running", "stopped"] {
        look_through(&daemon, database, round);
        if round == "running" {
            assert_eq!(daemon.stop(), Some(0));
        }
    }
}

/// All files of the daemon and of its database.
fn look_through(daemon: &Daemon, database: Option<&Path>, round: &str) {
    let mut found = Vec::new();
    files(daemon.folder(), &mut found);
    database.into_iter().for_each(|folder| files(folder, &mut found));
    let mut marked = false;
    for path in found {
        let bytes = std::fs::read(&path).unwrap_or_default();
        marked |= holds(&bytes, MARK) && !path.ends_with("backup.db");
        look(&format!("{} ({round})", path.display()), &bytes);
    }
    assert!(marked, "none of the files is the database");
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

fn look(place: &str, bytes: &[u8]) {
    for word in SENT.iter().flat_map(|(_, words)| *words) {
        let at = bytes.windows(word.len()).position(|window| window == word.as_bytes());
        let near = at.map(|at| {
            String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 40).min(bytes.len())])
        });
        assert!(near.is_none(), "{word} in {place}: {near:?}");
    }
}
