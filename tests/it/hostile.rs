//! Words that want to be programs, through every channel of the demo: in texts, names, subjects, file names and HTML.
//! They are shown as words on every page, in a real Chromium, and nothing of them runs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::console::{self, Desk};
use crate::dashboard::at;
use crate::support::browser::Screen;
use crate::support::demo::Demo;
use crate::support::{daemon, output, twilio, wait_until};

/// Each sets `owned` if it runs, wherever it lands: in a text, an attribute, a script, an address, a template.
const CORPUS: &[&str] = &[
    "<script>window.owned=1</script>",
    "<img src=x onerror=window.owned=2>",
    "\"><svg/onload=window.owned=3>",
    "'\"--><details open ontoggle=window.owned=4>",
    "<iframe srcdoc=\"<script>parent.owned=5</script>\"></iframe>",
    "</textarea></title></style></script><script>window.owned=6</script>",
    "<a href=\"javascript:window.owned=7\">javascript:window.owned=7</a>",
    "${window.owned=8}{{constructor.constructor('window.owned=9')()}}",
    "<math><mtext></p><style><img src onerror=window.owned=10></style>",
    "<form action=javascript:window.owned=11><button autofocus onfocus=window.owned=12>",
    "<base href=https://evil.example/><meta http-equiv=refresh content=0;url=javascript:window.owned=13>",
    "\u{202e}<xss onpointerenter=window.owned=14 style=position:fixed;inset:0>\u{0}x",
    "https://evil.example/\"onmouseover=window.owned=15//",
    "&lt;img src=x onerror=window.owned=16&gt;&#60;script&#62;window.owned=17&#60;/script&#62;",
];

/// What the page holds that no text may become: [what ran, elements, links that lead to no page, where we are].
const HARMLESS: &str = "const inside = document.querySelectorAll('.text :not(mark, i, a), a.row :not(span, b, time), iframe[srcdoc], base, meta[http-equiv], [onerror], [onload], [onfocus]'); \
        const links = [...document.querySelectorAll('a')].filter((one) => !['http:', 'https:', 'tel:', 'mailto:'].includes(one.protocol)); \
        return [window.owned ?? null, [...inside].map((one) => one.outerHTML.slice(0, 120)), links.map((one) => one.href), location.pathname]";

/// All of it in one text; NUL is in no service's texts.
fn words() -> String {
    CORPUS.join("\n").replace('\0', "")
}

/// One name: services keep them short.
fn name() -> &'static str {
    "\"><img src=x onerror=owned=20>"
}

fn envelope(object: &str, own: &str, list: &str, element: &Value) -> String {
    json!({ "object": object, "entry": [{ "id": own, "time": 1_795_000_000, list: [element] }] })
        .to_string()
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What each channel's service hands over when somebody writes so.
fn raws() -> Vec<(&'static str, String)> {
    let (words, name) = (words(), name());
    let direct = |own: &str| {
        json!({ "sender": { "id": "990001" }, "recipient": { "id": own }, "timestamp": 1_795_000_000_000_i64,
            "message": { "mid": format!("m_hostile_{own}"), "text": words } })
    };
    let whatsapp = json!({ "field": "messages", "value": { "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "15550783881", "phone_number_id": "106540352242922" },
        "contacts": [{ "profile": { "name": name }, "wa_id": "447700900999" }],
        "messages": [{ "from": "447700900999", "id": "wamid.hostile", "type": "text",
            "timestamp": "1795000000", "text": { "body": words } }] } });
    let comment = json!({ "field": "feed", "value": { "item": "comment", "verb": "add", "comment_id": "77_hostile",
        "post_id": "1234567890_77", "parent_id": "1234567890_77", "created_time": 1_795_000_000,
        "message": words, "from": { "id": "990002", "name": name } } });
    let under_picture = json!({ "field": "comments", "value": { "id": "1785990", "text": words,
        "from": { "id": "990003", "username": name }, "media": { "id": "1790", "media_product_type": "FEED" } } });
    let telegram = json!({ "update_id": 99_000_001, "message": { "message_id": 1, "date": 1_795_000_000,
        "chat": { "id": 990_004, "type": "private", "first_name": name },
        "from": { "id": 990_004, "is_bot": false, "first_name": name, "language_code": name }, "text": words } });
    let chat = json!({ "type": "message", "visitor": { "id": "u:hostile", "identified": true, "name": name, "language": "en" },
        "at": "2026-11-26T08:00:00Z", "client_id": "hostile-1", "text": words });
    let app = json!({ "id": "hostile", "subject": name, "text": words, "html": words,
        "sender": { "id": "user-hostile", "name": name }, "occurred_at": "2026-11-26T08:00:00Z" });
    let number = "+447700900998";
    let sid = "SM00000000000000000000000000009900";
    vec![
        ("mail", mail(&words, name)),
        ("telegram", telegram.to_string()),
        (
            "whatsapp",
            envelope("whatsapp_business_account", "102290129340398", "changes", &whatsapp),
        ),
        (
            "sms",
            form(&[
                ("MessageSid", sid),
                ("SmsStatus", "received"),
                ("From", number),
                ("To", "+15005550006"),
                ("Body", &words),
            ]),
        ),
        ("messenger", envelope("page", "1234567890", "messaging", &direct("1234567890"))),
        (
            "instagram",
            envelope("instagram", "17841400000000001", "messaging", &direct("17841400000000001")),
        ),
        ("facebook", envelope("page", "1234567890", "changes", &comment)),
        ("instagram_posts", envelope("instagram", "17841400000000001", "changes", &under_picture)),
        ("app", app.to_string()),
        ("web", chat.to_string()),
    ]
}

fn mail(words: &str, name: &str) -> String {
    let word = |text: &str| format!("=?utf-8?B?{}?=", BASE64.encode(text));
    let file = "x\"><img src=x onerror=owned=21>.html";
    format!(
        "From: {} <hostile@mail.example>\r\nTo: support@wallet.example\r\nSubject: {}\r\n\
         Date: Thu, 26 Nov 2026 08:00:00 +0000\r\nMessage-ID: <hostile@mail.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--m\r\nContent-Type: text/html; name=\"{}\"\r\n\
         Content-Disposition: attachment; filename=\"{}\"\r\n\r\n<script>parent.owned=22;top.owned=22</script>\r\n--m--\r\n",
        word(name),
        word(name),
        BASE64.encode(format!("<p>Look:</p>{words}")),
        word(file),
        word(file)
    )
}

fn ingest(settings: &Path, channel: &str, body: &str) {
    let file = settings.with_file_name(format!("{channel}.raw"));
    fs::write(&file, body).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.arg("--config").arg(settings).args(["ingest", channel]).arg(&file);
    output(&mut command);
}

#[tokio::test]
async fn nothing_that_a_customer_writes_runs_in_the_console() {
    let demo = Demo::start();
    let (api, settings) = (demo.api(&demo.settings()), demo.settings());
    let before = api.get("/messages?direction=in&limit=1").await;
    assert!(!before["items"].as_array().unwrap().is_empty());
    let known = api.messages().await.len();
    let raws = raws();
    let channels = api.get("/channels").await;
    let mut configured: Vec<&str> = channels["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    let mut told: Vec<&str> = raws.iter().map(|(channel, _)| *channel).collect();
    configured.sort_unstable();
    // A call comes by a signed hook, which a demo has none of: it has a test of its own.
    configured.retain(|channel| *channel != "hotline");
    told.sort_unstable();
    assert_eq!(told, configured, "every channel of the demo brings it");
    for (channel, body) in &raws {
        ingest(&settings, channel, body);
    }
    // Some have an answer by itself besides.
    wait_until("all of it is here", Duration::from_secs(40), async || {
        let messages = api.messages().await;
        let theirs = |channel: &str| {
            messages[known..]
                .iter()
                .any(|one| one["channel"] == channel && one["direction"] == "in")
        };
        raws.iter().all(|(channel, _)| theirs(channel))
    })
    .await;
    let messages = api.messages().await.split_off(known);
    let mut tickets: Vec<String> =
        messages.iter().map(|one| one["ticket_id"].as_str().unwrap().to_owned()).collect();
    tickets.sort_unstable();
    tickets.dedup();

    let browser = at(&demo, Screen::Desktop, "en", "#/all").await;
    browser.wait("the rows", "return document.querySelectorAll('a.row').length > 10").await;
    let check = async |where_: &str| {
        let found = browser.run(HARMLESS, json!([])).await;
        assert_eq!(found, json!([null, [], [], "/console/"]), "{where_}");
    };
    check("the list").await;
    for ticket in &tickets {
        browser.run("location.hash = `#/ticket/${arguments[0]}`", json!([ticket])).await;
        browser
            .wait(
                "its words",
                "return document.querySelector('.bubble .text')?.textContent.length > 0",
            )
            .await;
        // Everything that can be unfolded, formatted mail too.
        let unfold = "document.querySelectorAll('.bubble footer button').forEach((one) => { \
            if (/whole|everything|formatted|why/i.test(one.textContent)) one.click(); })";
        browser.run(unfold, json!([])).await;
        browser.wait("it is unfolded", "return [...document.querySelectorAll('iframe.mail')].every((one) => one.src.includes('/page'))").await;
        check(ticket).await;
    }
    browser.screenshot("console_hostile").await;
    // What names somebody elsewhere: the palette, the outbox, calls, the trail.
    for page in ["#/outbox", "#/calls", "#/audit", "#/quarantine", "#/dashboard"] {
        browser.run("location.hash = arguments[0]", json!([page])).await;
        browser.wait(page, "return !!document.querySelector('.plain-page .body > *')").await;
        check(page).await;
    }
    let complaints = browser.log().await;
    let broken: Vec<_> = complaints.iter().filter(|entry| entry["level"] == "SEVERE").collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test]
async fn what_a_caller_says_is_words_too() {
    let configuration = format!(
        "{}[channels.hotline]\nkind = \"phone\"\naccount_sid = \"AC00000000000000000000000000000001\"\n\
         auth_token = \"canary-of-the-caller\"\nnumber = \"+15005550007\"\napi_url = \"http://127.0.0.1:9\"\n\
         transcribe = true\nwait_seconds_max = 300\n",
        console::configuration()
    );
    let other = console::mail(1, "Ann", "By mail", "so that the console is not empty");
    let desk = Desk::open_with(Screen::Desktop, &configuration, &[other]).await;
    let base = format!("http://127.0.0.1:{}", desk.daemon.port());
    let (client, words) = (daemon::client(), words());
    let recording = ("RecordingSid", "RE00000000000000000000000000009900");
    let told: [(&str, &[(&str, &str)]); 3] = [
        (
            "recording?k=voicemail",
            &[recording, ("RecordingStatus", "completed"), ("RecordingDuration", "14")],
        ),
        (
            "words",
            &[recording, ("TranscriptionStatus", "completed"), ("TranscriptionText", &words)],
        ),
        ("status", &[("CallStatus", "completed"), ("CallDuration", "48")]),
    ];
    for (path, more) in told {
        let usual = [
            ("CallSid", "CA00000000000000000000000000009900"),
            ("From", "+447700900997"),
            ("To", "+15005550007"),
            ("CallerName", name()),
        ];
        let fields: Vec<(String, String)> = usual
            .iter()
            .chain(more)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let url = format!("{base}/hooks/hotline/{path}");
        let (head, body) = twilio::signed(&url, "canary-of-the-caller", &fields).into_parts();
        let mut request = client.post(&url).body(body);
        for key in ["content-type", "x-twilio-signature"] {
            request = request.header(key, head.headers[key].clone());
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }
    desk.wait("its row", "return document.querySelectorAll('a.row').length === 2").await;
    desk.browser.run("location.hash = '#/ticket/2'", json!([])).await;
    desk.wait("its words", "return [...document.querySelectorAll('.bubble .text')].some((one) => one.textContent.includes('onerror'))").await;
    let found = desk.browser.run(HARMLESS, json!([])).await;
    assert_eq!(found, json!([null, [], [], "/console/"]));
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
