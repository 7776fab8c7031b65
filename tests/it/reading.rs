//! One ticket in a real Chromium: formatted mail and its pictures, recordings, documents, masked secrets, what happened
//! in between, and tickets that are put away for a while.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::console::{Desk, ingest, mail};
use crate::support::browser::Screen;
use crate::support::wait_until;

const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A server of pictures somewhere else, which counts who looks.
fn pictures() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let looked = Arc::new(AtomicUsize::new(0));
    let count = looked.clone();
    std::thread::spawn(move || {
        let pixel = BASE64.decode(PIXEL).unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(stream.read(&mut [0; 4096]));
            count.fetch_add(1, Ordering::SeqCst);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                pixel.len()
            );
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&pixel)));
        }
    });
    (port, looked)
}

/// A mail with everything that can be looked at or listened to.
fn rich(port: u16) -> String {
    let tone = BASE64.encode(wave());
    let document = BASE64.encode(pdf());
    format!(
        "From: Ann <customer1@customer.example>\r\nTo: support@desk.test\r\nSubject: Everything\r\n\
         Message-ID: <rich@customer.example>\r\nDate: Thu, 26 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n\
         --r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
         <p>See <b>this</b>: <img src=\"cid:one@x\" alt=\"own\"> <img src=\"http://127.0.0.1:{port}/seen.png\" alt=\"far\"></p>\
         <script>parent.owned = 1</script>\r\n\
         --r\r\nContent-Type: image/png; name=one.png\r\nContent-ID: <one@x>\r\nContent-Disposition: inline; filename=one.png\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{PIXEL}\r\n--r--\r\n\
         --m\r\nContent-Type: audio/wav; name=voice.wav\r\nContent-Disposition: attachment; filename=voice.wav\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{tone}\r\n\
         --m\r\nContent-Type: application/pdf; name=paper.pdf\r\nContent-Disposition: attachment; filename=paper.pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{document}\r\n\
         --m\r\nContent-Type: application/pdf; name=page.pdf\r\nContent-Disposition: attachment; filename=page.pdf\r\n\r\n\
         <html><script>parent.owned = 1</script></html>\r\n--m--\r\n"
    )
}

/// A tenth of a second of silence.
fn wave() -> Vec<u8> {
    let data = [128_u8; 800];
    let mut file = b"RIFF".to_vec();
    file.extend((36 + 800_u32).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(8000_u32.to_le_bytes());
    file.extend(8000_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(8_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(800_u32.to_le_bytes());
    file.extend(data);
    file
}

fn pdf() -> String {
    "%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
     3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
        .to_owned()
}

/// Clicks the button at a place that bears these words.
async fn press(desk: &Desk, place: &str, words: &str) {
    let script = format!(
        "return [...document.querySelectorAll('{place} button')].find((one) => one.textContent === '{words}')"
    );
    let button = desk.browser.element(words, &script).await;
    desk.browser.click(&button).await;
}

#[tokio::test]
async fn formatted_mail_loads_nothing_until_it_is_asked_and_files_are_seen_and_heard() {
    let (port, looked) = pictures();
    let desk = Desk::open(Screen::Desktop, &[rich(port)]).await;
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    press(&desk, ".bubble footer", "Show as formatted mail").await;
    desk.wait(
        "the frame",
        "return document.querySelector('iframe.mail')?.getAttribute('sandbox') === ''",
    )
    .await;
    let message = desk.daemon.api().ticket_messages("1").await.remove(0);
    let address = format!("/messages/{}/page", message["id"].as_str().unwrap());
    let page = desk.daemon.api().request(reqwest::Method::GET, &address).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("sandbox; default-src 'none'") && policy.contains("img-src data:;"),
        "{policy}"
    );
    let html = page.text().await.unwrap();
    assert!(
        html.contains("src=\"data:image/png;base64,") && html.contains("data-src=\"http://127"),
        "{html}"
    );
    assert!(!html.contains("<script"), "{html}");
    desk.browser.screenshot("console_formatted").await;
    assert_eq!(looked.load(Ordering::SeqCst), 0, "nobody knows that somebody looks");
    press(&desk, ".bubble footer", "Load pictures from the sender").await;
    wait_until("it is loaded", Duration::from_secs(20), async || looked.load(Ordering::SeqCst) > 0)
        .await;

    // A recording plays; its bytes come from here alone.
    let heard = "const voice = document.querySelector('audio'); voice.preload = 'auto'; voice.load(); return true";
    desk.wait("a player", heard).await;
    desk.wait("it has a length", "return document.querySelector('audio').duration > 0.05").await;
    // What calls itself a PDF and is none is saved, never shown.
    desk.wait("the document", "return [...document.querySelectorAll('.files .file')].filter((one) => one.textContent.includes('.pdf')).length === 2").await;
    let api = desk.daemon.api();
    for file in message["attachments"].as_array().unwrap() {
        let path = format!("/attachments/{}?inline=true", file["id"].as_str().unwrap());
        let got = api.request(reqwest::Method::GET, &path).send().await.unwrap();
        let inline = got.headers()["content-disposition"].to_str().unwrap().starts_with("inline");
        assert_eq!(inline, file["name"] != "page.pdf", "{file}");
    }
    let look = "return [...document.querySelectorAll('.file button')].find((one) => one.closest('.file').textContent.includes('paper.pdf'))";
    let look = desk.browser.element("the button", look).await;
    desk.browser.click(&look).await;
    desk.wait("the reader", "return !!document.querySelector('dialog.pdf iframe')").await;
    desk.browser.screenshot("console_pdf").await;
    assert_eq!(desk.browser.run("return window.owned ?? null", json!([])).await, Value::Null);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn old_words_and_why_a_message_is_here_are_shown_when_they_are_asked_for() {
    let words = "Thank you\r\n\r\nOn 03/03/2026 10:00, Lena wrote:\r\n> all the old words";
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Re: Hello", words)]).await;
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    let shown = "document.querySelector('.bubble .text')?.textContent";
    desk.wait("the new words alone", &format!("return {shown} === 'Thank you'")).await;
    press(&desk, ".bubble footer", "Show everything").await;
    desk.wait("the old ones too", &format!("return {shown}.includes('all the old words')")).await;
    press(&desk, ".bubble footer", "Show less").await;
    desk.wait("the new words again", &format!("return {shown} === 'Thank you'")).await;

    press(&desk, ".bubble footer", "Why is this here?").await;
    let told = "const reasons = [...document.querySelectorAll('.bubble .why li')]; \
        return reasons.length > 0 && reasons.map((one) => one.textContent)";
    let told = desk.wait("the reasons", told).await;
    assert_eq!(told, desk.daemon.api().ticket_messages("1").await[0]["why"]);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_answer_that_comes_late_shows_nothing_older_than_what_is_shown() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    let api = desk.daemon.api();
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    desk.wait("the ticket", "return !!document.querySelector('.bubble.in')").await;
    // The next time that the messages are read, they are on their way until they are let go.
    let hold = "const real = window.fetch; window.fetch = async (...asked) => { \
        const answer = await real(...asked); \
        if (window.letGo || !asked[0].includes('/messages?')) return answer; \
        const text = await answer.text(); \
        await new Promise((go) => { window.letGo = go; }); return new Response(text); }";
    desk.browser.run(hold, json!([])).await;
    api.reply("1", "One", "first").await;
    desk.wait("it is held", "return !!window.letGo").await;
    api.reply("1", "Two", "second").await;
    let drawn = "document.querySelectorAll('.bubble.out').length";
    desk.wait("both replies", &format!("return {drawn} === 2")).await;
    let late =
        format!("letGo(); return new Promise((done) => setTimeout(() => done({drawn}), 500))");
    assert_eq!(desk.browser.run(&late, json!([])).await, 2);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

/// A message that is edited may lose its formatted text while somebody looks at it.
#[tokio::test]
async fn a_formatted_text_that_is_gone_is_shown_as_its_words() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    // From the second time on, the daemon says that there is none.
    let edit = "const real = window.fetch; window.fetch = async (...asked) => { \
        const answer = await real(...asked); \
        if (!window.edited || !asked[0].includes('/messages?')) return answer; \
        const body = await answer.json(); body.items.forEach((one) => { one.html = null; }); \
        return Response.json(body); }; location.hash = '#/ticket/1'";
    desk.browser.run(edit, json!([])).await;
    press(&desk, ".bubble footer", "Show as formatted mail").await;
    desk.wait("the frame", "return !!document.querySelector('iframe.mail')").await;
    desk.browser.run("window.edited = true", json!([])).await;
    desk.daemon.api().reply("1", "Yes", "something happens").await;
    desk.wait("the words", "return !document.querySelector('iframe.mail') && document.querySelector('.bubble.in .text')?.textContent === 'Are you there?'").await;
    desk.wait("what happened", "return !!document.querySelector('.bubble.out')").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_was_masked_is_unsealed_with_a_reason_and_the_trail_shows_it() {
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "My wallet", words)]).await;
    desk.browser
        .run(
            "window.prompt = () => 'Ann asked us to look'; location.hash = '#/ticket/1'",
            json!([]),
        )
        .await;
    desk.wait(
        "the mask",
        "return document.querySelector('.bubble .masked')?.textContent === '[seed phrase removed]'",
    )
    .await;
    press(&desk, ".bubble footer", "Unseal").await;
    desk.wait(
        "the words",
        "return document.querySelector('.unsealed')?.textContent.includes('abandon about')",
    )
    .await;
    desk.wait("the trail", "return document.querySelector(\".event[data-kind='message.unsealed']\")?.textContent.includes('Ann asked us to look')").await;
    desk.browser.screenshot("console_unsealed").await;
    desk.browser.run("location.hash = '#/inbox'", json!([])).await;
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    desk.wait("it is masked again", "return !!document.querySelector('.bubble .masked') && !document.querySelector('.unsealed')").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_ticket_is_put_away_until_tomorrow_and_taken_back() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Later", "No hurry")]).await;
    ingest(&desk.daemon, &mail(2, "Bob", "Now", "Hurry"));
    let api = desk.daemon.api();
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    let choose = |option: &str| {
        format!(
            "const box = document.querySelector('.snooze'); const option = {option}; if (!option) return false; \
             box.value = option.value; box.dispatchEvent(new Event('change')); return true"
        )
    };
    let tomorrow = "[...box.options].find((one) => one.textContent.startsWith('Until tomorrow'))";
    desk.wait("the box", &choose(tomorrow)).await;
    desk.wait("it left «Open»", "return document.querySelectorAll('a.row').length === 1 && document.querySelector('a.row').dataset.number === '2'").await;
    let ticket = api.get("/tickets/1").await;
    assert_eq!(ticket["status"], "pending");
    let until: chrono::DateTime<chrono::Utc> =
        ticket["snoozed_until"].as_str().unwrap().parse().unwrap();
    assert!(until > chrono::Utc::now() && until < chrono::Utc::now() + chrono::Duration::hours(48));
    desk.wait("what happened", "return [...document.querySelectorAll('.event')].some((one) => one.textContent.includes('Open → Pending'))").await;
    desk.browser.screenshot("console_snoozed").await;
    desk.wait("the box again", &choose("[...box.options].find((one) => one.value === 'wake')"))
        .await;
    desk.wait("it is back", "return document.querySelectorAll('a.row').length === 2").await;
    assert_eq!(api.get("/tickets/1").await["snoozed_until"], Value::Null);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

/// An administrator tries a channel from the page, and reads what is wrong.
#[tokio::test]
async fn a_channel_is_tried_from_its_page() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    desk.browser.run("location.hash = '#/channels'", json!([])).await;
    press(&desk, ".cards", "Check").await;
    // Nobody listens where this desk sends its mail.
    desk.wait(
        "what is wrong",
        "return document.querySelector('.toast.error')?.textContent.startsWith('mail · sending: ')",
    )
    .await;
    desk.browser.screenshot("console_check").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_channel_is_paused_and_what_waits_in_it_is_held_and_given_up() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    let api = desk.daemon.api();
    // As of a service that says how much it still holds.
    let lag = "const real = window.fetch; window.fetch = async (...asked) => { \
        const answer = await real(...asked); if (!asked[0].endsWith('/channels')) return answer; \
        const body = await answer.json(); body.items[0].backlog = 7; return Response.json(body); }; \
        location.hash = '#/channels'";
    desk.browser.run(lag, json!([])).await;
    desk.wait("what is not fetched", "return document.querySelector('.lag')?.textContent === '7'")
        .await;
    let offers = |words: &str| {
        format!(
            "return [...document.querySelectorAll('.plain-page button')].some((one) => one.textContent === '{words}')"
        )
    };
    press(&desk, ".cards", "Pause").await;
    desk.wait("it stands still", &offers("Resume")).await;
    assert_eq!(api.get("/channels/mail").await["paused"], true);

    let waiting = api.reply("1", "We look into it", "waits").await;
    let path = format!("/messages/{}", waiting["id"].as_str().unwrap());
    desk.browser.run("location.hash = '#/outbox'", json!([])).await;
    press(&desk, ".plain-page", "Hold").await;
    desk.wait("it is held", &offers("Release")).await;
    assert_eq!(api.get(&path).await["delivery"]["status"], "held");
    press(&desk, ".plain-page", "Cancel").await;
    wait_until("it is given up", Duration::from_secs(20), async || {
        api.get(&path).await["delivery"]["status"] == "cancelled"
    })
    .await;

    desk.browser.run("location.hash = '#/channels'", json!([])).await;
    press(&desk, ".cards", "Resume").await;
    desk.wait("it runs", &offers("Pause")).await;
    assert_eq!(api.get("/channels/mail").await["paused"], false);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
