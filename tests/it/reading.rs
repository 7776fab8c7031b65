//! One ticket in a real Chromium: formatted mail and its pictures, recordings, documents, masked secrets, what happened
//! in between, and tickets that are put away for a while.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::console::{Desk, ingest, mail};
use crate::support::browser::Screen;

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

#[tokio::test]
async fn formatted_mail_loads_nothing_until_it_is_asked_and_files_are_seen_and_heard() {
    let (port, looked) = pictures();
    let desk = Desk::open(Screen::Desktop, &[rich(port)]).await;
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    let button = |words: &str| {
        format!(
            "return [...document.querySelectorAll('.bubble footer button')].find((one) => one.textContent === '{words}')"
        )
    };
    let formatted = desk.browser.element("the switch", &button("Show as formatted mail")).await;
    desk.browser.click(&formatted).await;
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
    let load = desk.browser.element("the question", &button("Load pictures from the sender")).await;
    desk.browser.click(&load).await;
    crate::support::wait_until("it is loaded", std::time::Duration::from_secs(20), async || {
        looked.load(Ordering::SeqCst) > 0
    })
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
    let button = "return [...document.querySelectorAll('.bubble footer button')].find((one) => one.textContent === 'Unseal')";
    let button = desk.browser.element("the button", button).await;
    desk.browser.click(&button).await;
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
    let check = "return [...document.querySelectorAll('.cards button')].find((one) => one.textContent === 'Check')";
    let check = desk.browser.element("the button", check).await;
    desk.browser.click(&check).await;
    // Nobody listens where this desk sends its mail.
    desk.wait(
        "what is wrong",
        "return document.querySelector('.toast.error')?.textContent.startsWith('mail · sending: ')",
    )
    .await;
    desk.browser.screenshot("console_check").await;
}
