//! The console in a real Chromium, against the real daemon: what an agent sees and does.
//!
//! Pictures of what was seen are kept under `target/tmp/screenshots`, for people to look at.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::channel::shared::segments::{Encoding, count, economical};

use crate::support::browser::{Browser, Screen};
use crate::support::daemon::Daemon;
use crate::support::{free_port, totp, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const XSS: &str = "<img src=x onerror=document.title='owned'>";

/// A desk whose mail server is away: what is sent stays in the outbox.
pub(crate) fn configuration() -> String {
    sending_to(free_port())
}

/// A desk that sends to this port of this machine.
pub(crate) fn sending_to(port: u16) -> String {
    format!(
        "[channels.mail]\nkind = \"email\"\naddress = \"support@desk.test\"\n\
         [channels.mail.receive]\nprotocol = \"pipe\"\n\
         [channels.mail.send]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n"
    )
}

pub(crate) fn mail(number: u32, name: &str, subject: &str, text: &str) -> String {
    format!(
        "From: {name} <customer{number}@customer.example>\r\nTo: support@desk.test\r\n\
         Subject: {subject}\r\nMessage-ID: <console.{number}@customer.example>\r\n\
         Date: Thu, 26 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n\
         --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         <p>{text}</p><script>parent.document.title='owned'</script>\
         <img src=\"http://127.0.0.1:1/pixel.png\">\r\n--b--\r\n"
    )
}

pub(crate) fn ingest(daemon: &Daemon, mail: &str) {
    let file = daemon.folder().join("mail.eml");
    fs::write(&file, mail).unwrap();
    let output = daemon.run(&["ingest", "mail", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A desk with somebody signed in.
pub(crate) struct Desk {
    pub(crate) daemon: Daemon,
    pub(crate) browser: Browser,
}

impl Desk {
    /// Signed in by a one-time link, as the daemon prints it.
    pub(crate) async fn open(screen: Screen, mails: &[String]) -> Self {
        Self::open_with(screen, &configuration(), mails).await
    }

    pub(crate) async fn open_with(screen: Screen, configuration: &str, mails: &[String]) -> Self {
        let daemon = Daemon::start(configuration).await;
        for mail in mails {
            ingest(&daemon, mail);
        }
        let added =
            daemon.run(&["user", "add", "Lena", "lena@desk.test", "--role", "admin", "--json"]);
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let added: Value = serde_json::from_slice(&added.stdout).unwrap();
        let browser = Browser::start(screen).await;
        browser.open(added["sign_in"].as_str().unwrap()).await;
        let button = browser.element("the button", "return document.querySelector('button')").await;
        browser.click(&button).await;
        browser.wait("the console", "return !!document.querySelector('a.row')").await;
        Self { daemon, browser }
    }

    pub(crate) async fn wait(&self, what: &str, script: &str) -> Value {
        self.browser.wait(what, script).await
    }

    pub(crate) async fn click(&self, selector: &str) {
        let script = format!(
            "const found = document.querySelector(\"{selector}\"); \
             return found && found.checkVisibility() ? found : null;"
        );
        let element = self.browser.element(selector, &script).await;
        self.browser.click(&element).await;
    }

    /// What the pages complained of: a policy that was broken, a script that failed.
    pub(crate) async fn complaints(&self) -> Vec<Value> {
        let mut log = self.browser.complaints().await;
        // A picture of the mail that was not loaded is what we want.
        log.retain(|entry| !entry.to_string().contains("pixel.png"));
        log
    }
}

#[tokio::test]
async fn an_agent_reads_answers_and_solves_without_reloading() {
    let first =
        mail(1, "王小明", "=?utf-8?B?6L2s6LSm5rKh5pyJ5Yiw6LSm?=", &format!("还没有到账。{XSS}"));
    let desk = Desk::open(Screen::Desktop, &[first]).await;
    desk.click("a.row").await;
    let said =
        desk.wait("the words", "return document.querySelector('.bubble .text')?.textContent").await;
    assert!(said.as_str().unwrap().contains("还没有到账"), "{said}");
    // Markup of a customer is shown, never obeyed; formatted mail sits in a frame without rights.
    assert!(said.as_str().unwrap().contains("onerror"), "{said}");
    assert_eq!(
        desk.browser.run("return document.querySelectorAll('.bubble img').length", json!([])).await,
        0
    );
    let formatted = "return [...document.querySelectorAll('.bubble footer button')]\
        .find((button) => /formatted|格式/.test(button.textContent))";
    let button = desk.browser.element("the switch", formatted).await;
    desk.browser.click(&button).await;
    desk.wait(
        "the frame",
        "return document.querySelector('iframe.mail')?.getAttribute('sandbox') === ''",
    )
    .await;

    desk.click(".composer textarea").await;
    desk.browser.press("We look into it. 请稍等。").await;
    desk.click(".composer button.primary").await;
    let reply = "return [...document.querySelectorAll('.bubble.out .text')].map((text) => text.textContent).join()";
    let said = desk.wait("the reply", &format!("{reply} || null")).await;
    assert_eq!(said, "We look into it. 请稍等。");
    let api = desk.daemon.api();
    let tickets = api.tickets().await;
    let ticket = tickets[0]["id"].as_str().unwrap();
    let sent = api.ticket_messages(ticket).await;
    assert_eq!(sent.iter().filter(|message| message["direction"] == "out").count(), 1);
    desk.browser.screenshot("console_ticket").await;

    // What comes in meanwhile appears by itself.
    ingest(&desk.daemon, &mail(2, "Anna Berger", "Lost my phone", "How do I get back in?"));
    desk.wait("the second row", "return document.querySelectorAll('a.row').length === 2").await;
    desk.click("header button.primary").await;
    wait_until("solved", LIMIT, async || {
        api.get(&format!("/tickets/{ticket}")).await["status"] == "solved"
    })
    .await;
    let complaints = desk.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
    let title = desk.browser.run("return document.title", json!([])).await;
    assert_eq!(title, "tributary");
}

#[tokio::test]
async fn a_reply_is_taken_back_within_seconds_and_stopped_when_somebody_was_faster() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    desk.click("a.row").await;
    desk.click(".composer textarea").await;
    desk.browser.press("Too early").await;
    desk.click(".composer button.primary").await;
    desk.click(".toast button").await;
    desk.wait(
        "the words are back",
        "return document.querySelector('.composer textarea').value === 'Too early'",
    )
    .await;
    let api = desk.daemon.api();
    let tickets = api.tickets().await;
    let ticket = tickets[0]["id"].as_str().unwrap();
    assert_eq!(api.ticket_messages(ticket).await.len(), 1);
    // Another agent answers while this one still writes.
    api.reply(ticket, "I was faster", "another agent").await;
    desk.wait("their reply", "return !!document.querySelector('.bubble.out')").await;
    desk.click(".composer button.primary").await;
    desk.wait("the warning", "return !!document.querySelector('.toast.error')").await;
    desk.wait(
        "the words are kept",
        "return document.querySelector('.composer textarea').value === 'Too early'",
    )
    .await;
    let sent = api.ticket_messages(ticket).await;
    assert_eq!(sent.iter().filter(|message| message["direction"] == "out").count(), 1);
}

#[tokio::test]
async fn an_agent_goes_about_by_keys_alone() {
    let (control, enter, escape) = ("\u{e009}", "\u{e007}", "\u{e00c}");
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "One", "first")]).await;
    ingest(&desk.daemon, &mail(2, "Bob", "Two", "second"));
    desk.wait("both rows", "return document.querySelectorAll('a.row').length === 2").await;
    for (key, number) in [("j", 2), ("j", 1), ("k", 2)] {
        desk.browser.press(key).await;
        let opened = format!(
            "return document.querySelector('.title .small')?.textContent.startsWith('#{number} ') \
             && !!document.querySelector('.composer')"
        );
        desk.wait(&format!("ticket {number}"), &opened).await;
    }
    for (key, note) in [("r", false), ("n", true)] {
        desk.browser.press(key).await;
        let writes = format!(
            "return document.activeElement === document.querySelector('.composer textarea') \
             && document.querySelector('.composer').classList.contains('note') === {note}"
        );
        desk.wait("where to write", &writes).await;
        desk.browser.press(escape).await;
        desk.wait("out of it", "return document.activeElement === document.body").await;
    }
    desk.browser.press("?").await;
    desk.wait("the keys", "return !!document.querySelector('dialog[open] .keys')").await;
    desk.browser.press(escape).await;
    desk.wait("they are gone", "return !document.querySelector('dialog')").await;
    desk.browser.chord(control, "k").await;
    desk.wait("what can be done", "return document.activeElement.closest('dialog.picker')").await;
    desk.browser.press("channels").await;
    let found = "const found = document.querySelectorAll('dialog .options li'); \
        return found.length === 1 && found[0].textContent.startsWith('Channels')";
    desk.wait("the page", found).await;
    desk.browser.press(enter).await;
    desk.wait(
        "it is there",
        "return location.hash === '#/channels' && !!document.querySelector('.cards .card')",
    )
    .await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_console_works_on_a_phone_and_in_chinese() {
    let desk = Desk::open(Screen::Phone, &[mail(1, "李婷", "Help", "忘记密码")]).await;
    desk.browser
        .run("localStorage.setItem('tributary.language', 'zh'); location.reload()", json!([]))
        .await;
    desk.wait(
        "Chinese words",
        "return document.querySelector('#search')?.placeholder.startsWith('搜索')",
    )
    .await;
    desk.click("a.row").await;
    desk.wait(
        "the ticket",
        "return document.querySelector('.bubble .text')?.textContent.includes('忘记密码')",
    )
    .await;
    let wide = desk
        .browser
        .run("return document.documentElement.scrollWidth <= innerWidth", json!([]))
        .await;
    assert_eq!(wide, true, "nothing may be wider than the screen");
    desk.browser.screenshot("console_phone_zh").await;
}

/// Signs in by link; then sets up an authenticator as it is shown, signs out, and needs a code.
#[tokio::test]
async fn an_admin_sets_up_a_second_factor_and_looks_after_people() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    desk.click("a.nav[data-view='people']").await;
    desk.click(".account button").await;
    let secret =
        desk.wait("the secret", "return document.querySelector('.secret')?.textContent").await;
    let drawn = "return document.querySelector('svg.qr path')?.getBBox().width > 20";
    desk.wait("the picture", drawn).await;
    desk.browser.screenshot("console_second_factor").await;
    desk.click(".enrol input[name='code']").await;
    desk.browser.press(&totp::code(secret.as_str().unwrap(), chrono::Utc::now())).await;
    desk.click(".enrol form.confirm button").await;
    let codes = "const shown = document.querySelector('pre.once')?.textContent; return shown?.includes('-') && shown";
    let codes = desk.wait("the recovery codes", codes).await;
    let codes: Vec<&str> = codes.as_str().unwrap().lines().collect();
    assert_eq!(codes.len(), 10);
    desk.click("dialog button.primary").await;

    desk.click(".add-user input[name='name']").await;
    desk.browser.press("Bo").await;
    desk.click(".add-user input[name='email']").await;
    desk.browser.press("bo@desk.test").await;
    desk.click(".add-user button").await;
    let link = "return document.querySelector('pre.once')?.textContent.includes('/console/sign-in?token=')";
    desk.wait("the link", link).await;
    desk.click("dialog button.primary").await;
    desk.wait("the row", "return !!document.querySelector(\"tr[data-email='bo@desk.test']\")")
        .await;
    desk.browser.screenshot("console_people").await;
    desk.click("a.nav[data-view='audit']").await;
    let trail = "const text = document.querySelector('.audit')?.textContent ?? ''; \
        return ['person.added', 'person.second_factor_set', 'person.signed_in'].every((kind) => text.includes(kind))";
    desk.wait("the trail", trail).await;
    desk.browser.screenshot("console_audit").await;
    let complaints = desk.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");

    // Whoever has a new link still needs a code; a recovery code will do, once.
    desk.click(".foot form button").await;
    desk.wait("the way in", "return !!document.querySelector(\"input[name='password']\")").await;
    for code in [codes[0], codes[0], codes[1]] {
        let link = desk.daemon.run(&["user", "link", "lena@desk.test", "--json"]);
        let link: Value = serde_json::from_slice(&link.stdout).unwrap();
        desk.browser.open(link["sign_in"].as_str().unwrap()).await;
        desk.click("button").await;
        desk.click("input[name='code']").await;
        desk.browser.press(code).await;
        desk.click("button").await;
        let outcome = "return document.querySelector('a.nav') ? 'in' : document.querySelector(\"[role='alert']\") && 'refused'";
        let outcome = desk.wait("an answer", outcome).await;
        assert_eq!(
            outcome == "in",
            desk.browser.run("return location.pathname", json!([])).await == "/console/"
        );
        if outcome == "in" {
            desk.click(".foot form button").await;
            desk.wait("the way in", "return !!document.querySelector(\"input[name='password']\")")
                .await;
        } else {
            assert_eq!(code, codes[0], "a fresh code was refused");
        }
    }
    let reset = desk.daemon.run(&["user", "reset-second-factor", "lena@desk.test"]);
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
}

#[tokio::test]
async fn an_agent_calls_somebody_back_and_says_how_it_ended() {
    let desk =
        Desk::open(Screen::Desktop, &[mail(1, "Jane", "Lost phone", "please call me")]).await;
    let api = desk.daemon.api();
    let body = json!({ "ticket": 1, "phone": "+86 138 0013 8000", "note": "in the afternoon" });
    let asked = api.post("/callbacks", &body, "1").await.unwrap().body;
    desk.click("a.nav[data-view=calls]").await;
    let shown = "return document.querySelector('td a.phone')?.getAttribute('href')";
    assert_eq!(desk.wait("the number", shown).await, "tel:+8613800138000");
    desk.click("td.choices button").await;
    desk.wait(
        "the ways to end",
        "return document.querySelectorAll('td.choices button').length > 3",
    )
    .await;
    desk.browser.screenshot("console_calls").await;
    let path = format!("/callbacks/{}", asked["id"].as_str().unwrap());
    let taken = api.get(&path).await;
    assert_eq!((&taken["status"], &taken["agent"]), (&json!("calling"), &json!("Lena")));
    // The ticket shows it too, and there it is ended.
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    desk.wait(
        "the call-back",
        "return document.querySelector('aside .calls .choices button')?.textContent",
    )
    .await;
    desk.browser.screenshot("console_ticket_call").await;
    desk.click("aside .calls .choices button").await;
    desk.wait("its end", "return !document.querySelector('aside .calls')").await;
    assert_eq!(api.get(&path).await["outcome"], "reached");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_agent_inserts_a_known_answer_and_sees_it_before_it_is_sent() {
    let articles = concat!(env!("CARGO_MANIFEST_DIR"), "/config/faq");
    let configuration = format!("[faq]\ndir = \"{articles}\"\n{}", configuration());
    let asked = mail(1, "Jane", "Wallet", "My transfer has not arrived");
    let desk = Desk::open_with(Screen::Desktop, &configuration, &[asked]).await;
    desk.click("a.row").await;
    desk.click("aside .known summary").await;
    desk.click("aside .known .choices button").await;
    let written = "return document.querySelector('.composer textarea').value || null";
    let text = desk.wait("the answer", written).await;
    assert!(text.as_str().unwrap().starts_with("Look up the transaction hash"), "{text}");
    let sent = "return document.querySelectorAll('.bubble.out').length";
    assert_eq!(desk.browser.run(sent, json!([])).await, 0);
    desk.browser.screenshot("console_known_answers").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn pages_carry_a_strict_policy_and_are_cached_by_their_content() {
    let daemon = Daemon::start(&configuration()).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://127.0.0.1:{}/console/", daemon.port());
    let page = client.get(&base).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let tag = page.headers()["etag"].clone();
    let again = client.get(&base).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    for name in ["main.js", "console.css", "icon.svg"] {
        assert_eq!(
            client.get(format!("{base}assets/{name}")).send().await.unwrap().status(),
            200,
            "{name}"
        );
    }
    for name in ["..%2f..%2fmod.rs", "%2e%2e/x", "nothing.js"] {
        assert_eq!(
            client.get(format!("{base}assets/{name}")).send().await.unwrap().status(),
            404,
            "{name}"
        );
    }
}

/// M14: an agent sees what a text costs while they write it, counted as the daemon counts.
#[tokio::test]
async fn an_agent_sees_how_many_short_messages_an_answer_is() {
    let sms = "[channels.sms]\nkind = \"sms\"\naccount_sid = \"AC00000000000000000000000000000001\"\n\
               auth_token = \"canary-of-the-console\"\nnumber = \"+15005550006\"\n\
               api_url = \"http://127.0.0.1:9\"\n";
    let first = mail(1, "Ann", "hello", "by mail");
    let desk =
        Desk::open_with(Screen::Desktop, &format!("{}{sms}", configuration()), &[first]).await;
    let file = desk.daemon.folder().join("sms.txt");
    let body =
        "MessageSid=SM1&From=%2B15005550010&To=%2B15005550006&SmsStatus=received&Body=by+SMS";
    fs::write(&file, body).unwrap();
    let output = desk.daemon.run(&["ingest", "sms", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    desk.wait("both tickets", "return document.querySelectorAll('a.row').length === 2").await;
    desk.click("a.row").await;
    desk.wait(
        "the ticket",
        "return document.querySelector('.bubble .text')?.textContent === 'by SMS'",
    )
    .await;
    let shown = |text: &str, words: &str| {
        format!(
            "const box = document.querySelector('.composer textarea'); box.value = {}; \
             box.dispatchEvent(new Event('input')); \
             return document.querySelector('.composer .counter').textContent === {};",
            json!(text),
            json!(words)
        )
    };
    let plain = "a".repeat(161);
    desk.wait("the count", &shown(&plain, "Short messages: 2, GSM-7, 145 left")).await;
    desk.wait("the count", &shown("你好 😀", "Short messages: 1, UCS-2, 65 left")).await;
    desk.wait("nothing", &shown("", "")).await;
    // This number sends no files, which is told before they are sent.
    let paste = "const data = new DataTransfer(); data.items.add(new File(['x'], 'a.png')); \
                 document.querySelector('.composer textarea').dispatchEvent( \
                 new ClipboardEvent('paste', { clipboardData: data }));";
    desk.browser.run(paste, json!([])).await;
    let refused = "return document.querySelector('.composer .counter').textContent \
                   === 'no files on this channel'";
    desk.wait("the refusal", refused).await;
    let texts = ["", "a", "€{}", "“It’s” – fine…", "ça va – merci", "😀😀", "ab\tc\u{200b}"];
    let texts: Vec<String> = texts
        .iter()
        .flat_map(|text| [1, 7, 34, 68, 153, 161, 400].map(|times| text.repeat(times)))
        .collect();
    let script = "return import('/console/assets/segments.js').then((counts) => \
                  arguments[0].map((text) => { const one = counts.count(text); \
                  return [one.encoding, one.n]; }));";
    let theirs = desk.browser.run(script, json!([texts])).await;
    for (text, theirs) in texts.iter().zip(theirs.as_array().unwrap()) {
        let ours = count(&economical(text));
        let encoding = if ours.encoding == Encoding::Gsm7 { "GSM-7" } else { "UCS-2" };
        assert_eq!(*theirs, json!([encoding, ours.segments]), "{text}");
    }
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
