//! The widget in a real Chromium, against the real daemon: what a customer sees and does.
//!
//! Pictures of what was seen are kept under `target/tmp/screenshots`, for people to look at.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::browser::{Browser, Element, Screen};
use crate::support::daemon::{self, Daemon};
use crate::support::{open_folder, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const CHAT: &str = "[channels.web]\nkind = \"webchat\"\ndemo = true\ncallback = true\n\
    [channels.web.limits]\nmessages_per_minute = 500\nrequests_per_minute = 10000\n";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const ROOT: &str =
    "const root = document.querySelector('tributary-chat')?.shadowRoot; if (!root) return null;";

/// A page with the widget on it.
struct Page {
    browser: Browser,
    address: String,
}

impl Page {
    async fn open(daemon: &Daemon, screen: Screen, query: &str) -> Self {
        let browser = Browser::start(screen).await;
        let address = format!("http://127.0.0.1:{}/chat/web/demo?{query}", daemon.port());
        browser.open(&address).await;
        Self { browser, address }
    }

    async fn find(&self, selector: &str) -> Element {
        let script = format!(
            "{ROOT} const found = root.querySelector(\"{selector}\"); \
             return found && found.checkVisibility() ? found : null;"
        );
        self.browser.element(selector, &script).await
    }

    async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.browser.click(&element).await;
    }

    async fn show(&self) {
        self.click(".launch").await;
        self.wait("the conversation", "return !root.querySelector('.panel').hidden").await;
    }

    async fn wait(&self, what: &str, script: &str) -> Value {
        self.browser.wait(what, &format!("{ROOT} {script}")).await
    }

    async fn write(&self, text: &str) {
        let input = self.find(".write textarea").await;
        self.browser.keys(&input, text).await;
        self.browser.keys(&input, ENTER).await;
    }

    /// What stands in the bubbles, without what is there for screen readers only.
    async fn bubbles(&self) -> Vec<String> {
        let script = format!(
            "{ROOT} return [...root.querySelectorAll('.bubble')].map((one) => {{ \
             const copy = one.cloneNode(true); copy.querySelector('.sr')?.remove(); \
             return copy.textContent; }});"
        );
        let found = self.browser.run(&script, json!([])).await;
        let texts = found.as_array().cloned().unwrap_or_default();
        texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    async fn wait_bubble(&self, text: &str) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while !self.bubbles().await.iter().any(|bubble| bubble == text) {
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "no «{text}» among {:#?}", self.bubbles().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All that was written has arrived.
    async fn wait_sent(&self) {
        let script =
            "return !root.querySelector('.waiting') && root.querySelectorAll('.own').length > 0";
        self.wait("everything to be sent", script).await;
    }

    async fn picture(&self, name: &str) {
        // Settled: pictures are loaded, nothing moves.
        let script = "return root.getAnimations().length === 0 && \
            [...root.querySelectorAll('img')].every((one) => one.complete)";
        self.wait("the page to settle", script).await;
        self.browser.screenshot(name).await;
    }

    /// Nothing was blocked, nothing failed in the scripts.
    async fn nothing_went_wrong(&self) {
        let log = self.browser.log().await;
        let bad: Vec<_> = log
            .iter()
            .filter(|entry| {
                let text = entry["message"].as_str().unwrap_or_default();
                text.contains("Content Security Policy") || text.contains("Uncaught")
            })
            .collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

async fn ticket_id(daemon: &Daemon) -> String {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let tickets = daemon.api().tickets().await;
        if let Some(ticket) = tickets.first() {
            assert_eq!(tickets.len(), 1, "{tickets:#?}");
            return ticket["id"].as_str().unwrap().to_owned();
        }
        assert!(tokio::time::Instant::now() < deadline, "no ticket came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn reply(daemon: &Daemon, text: &str) {
    let id = ticket_id(daemon).await;
    daemon.api().reply(&id, text, &uuid::Uuid::new_v4().to_string()).await;
}

/// Texts of customers in the store, each as often as it is there.
async fn stored(daemon: &Daemon) -> Vec<String> {
    let messages = daemon.api().messages().await;
    let theirs = messages.iter().filter(|message| message["direction"] == "in");
    theirs.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_conversation_is_still_there_after_a_reload_and_in_another_tab() {
    let daemon = Daemon::start(CHAT).await;
    let page = Page::open(&daemon, Screen::Desktop, "language=en").await;
    page.find(".launch").await;
    page.picture("desktop-closed").await;
    page.show().await;
    page.write("Hello! I sent 200 USDT an hour ago and they have not arrived yet.").await;
    page.wait_sent().await;
    reply(&daemon, "I can see the transfer: it waits for two more confirmations.\nIt is here: https://example.com/tx/1?a=b, please have a look.").await;
    page.wait("the agent's answer", "return root.querySelectorAll('.msg:not(.own)').length >= 2")
        .await;
    page.write("Thank you, that was quick!").await;
    page.wait_bubble("Thank you, that was quick!").await;
    page.wait_sent().await;
    let link = page.wait("a link", "return root.querySelector('.bubble a')?.href").await;
    assert_eq!(link, "https://example.com/tx/1?a=b");
    page.picture("desktop-english").await;
    let before = page.bubbles().await;
    assert_eq!(before.len(), 4, "{before:#?}");

    page.browser.reload().await;
    page.show().await;
    page.wait_bubble(&before[3]).await;
    assert_eq!(page.bubbles().await, before, "the same after a reload");

    let first = page.browser.tab().await;
    page.browser.new_tab().await;
    page.browser.open(&page.address).await;
    page.show().await;
    page.wait_bubble(&before[3]).await;
    page.write("from the second tab").await;
    page.wait_bubble("from the second tab").await;
    page.wait_sent().await;
    page.browser.to_tab(&first).await;
    page.wait_bubble("from the second tab").await;
    page.wait_sent().await;
    assert_eq!(daemon.api().tickets().await.len(), 1, "one conversation");
    let all = stored(&daemon).await;
    assert_eq!(all.len(), 3, "{all:#?}");
    page.nothing_went_wrong().await;
}

#[tokio::test]
async fn what_is_written_without_a_connection_arrives_exactly_once() {
    let mut daemon = Daemon::start(CHAT).await;
    let page = Page::open(&daemon, Screen::Desktop, "language=en").await;
    page.show().await;
    page.write("before").await;
    page.wait_sent().await;
    daemon.kill();
    for n in 0..3 {
        page.write(&format!("offline {n}")).await;
    }
    page.wait("the notice", "return !root.querySelector('.bar').hidden && root.querySelector('.bar').textContent.includes('No connection')").await;
    page.picture("desktop-offline").await;
    daemon.start_again().await;
    page.wait_sent().await;
    // Once more, and the page is left before anything could be sent.
    daemon.kill();
    page.write("left behind").await;
    page.wait_bubble("left behind").await;
    daemon.start_again().await;
    page.browser.reload().await;
    page.show().await;
    page.wait_sent().await;
    reply(&daemon, "all is here").await;
    page.wait_bubble("all is here").await;
    assert_eq!(
        stored(&daemon).await,
        ["before", "offline 0", "offline 1", "offline 2", "left behind"]
    );
    assert_eq!(page.bubbles().await.len(), 7, "each once, and the greeting");
}

#[tokio::test]
async fn files_go_both_ways_and_hostile_words_stay_words() {
    let daemon = Daemon::start(CHAT).await;
    let page = Page::open(&daemon, Screen::Desktop, "language=en").await;
    page.show().await;
    let picture = page.browser.screenshot("desktop-empty").await;
    let folder = open_folder("files");
    let bad = folder.path().join("page.png");
    fs::write(&bad, "<html><script>window.pwned = 1</script></html>").unwrap();
    let chooser = page
        .browser
        .element(
            "the file chooser",
            &format!("{ROOT} return root.querySelector('input[type=file]')"),
        )
        .await;
    page.browser.keys(&chooser, bad.to_str().unwrap()).await;
    page.wait("a refusal", "return root.querySelector('.bar').textContent.includes('page.png')")
        .await;
    page.browser.keys(&chooser, picture.to_str().unwrap()).await;
    page.wait(
        "the upload",
        "return root.querySelector('.chip') && !root.querySelector('.chip progress')",
    )
    .await;
    page.write("This is what I see:").await;
    page.wait(
        "the picture itself",
        "return root.querySelector('.picture img')?.naturalWidth > 100",
    )
    .await;
    let words = [
        "<img src=x onerror='window.pwned=1'>",
        "<script>window.pwned=1</script>",
        "javascript:window.pwned=1",
        "\"><svg/onload=window.pwned=1>",
        "https://a.b/\"onmouseover=\"window.pwned=1",
    ];
    for text in words {
        page.write(text).await;
        page.wait_bubble(text).await;
    }
    for text in words {
        reply(&daemon, &format!("agent: {text}")).await;
        page.wait_bubble(&format!("agent: {text}")).await;
    }
    let found = page.browser.run(&format!("{ROOT} return [window.pwned ?? null, root.querySelectorAll('.bubble script, .bubble img, .bubble svg, .bubble iframe').length, [...root.querySelectorAll('.bubble a')].filter((one) => !/^https?:/.test(one.href)).length]"), json!([])).await;
    assert_eq!(found, json!([null, 0, 0]));
    page.picture("desktop-files").await;
    let messages = daemon.api().messages().await;
    let files: Vec<_> = messages
        .iter()
        .filter(|one| one["attachments"].as_array().is_some_and(|all| !all.is_empty()))
        .collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0]["attachments"][0]["media_type"], "image/png");
    page.nothing_went_wrong().await;
}

#[tokio::test]
async fn it_speaks_chinese_on_a_phone_and_can_run_from_right_to_left() {
    let daemon = Daemon::start(CHAT).await;
    let page = Page::open(&daemon, Screen::Phone, "language=zh-CN").await;
    page.find(".launch").await;
    page.picture("phone-closed").await;
    page.show().await;
    let title = page.wait("the title", "return root.querySelector('h2').textContent").await;
    assert_eq!(title, "在线客服");
    page.write("您好，我一小时前转出了 200 USDT，到现在还没有到账。").await;
    page.wait_sent().await;
    reply(&daemon, "您好！我看到这笔转账了，还需要两次区块确认，预计十分钟内到账。").await;
    page.wait_bubble("您好！我看到这笔转账了，还需要两次区块确认，预计十分钟内到账。").await;
    page.picture("phone-chinese").await;
    let wide = page.wait("the panel", "return JSON.stringify([root.querySelector('.panel').getBoundingClientRect().width, innerWidth, document.documentElement.scrollWidth])").await;
    assert_eq!(wide, "[390,390,390]", "as wide as the screen, and nothing beside it");
    page.click(".extra button").await;
    page.find("form.sheet input[type=tel]").await;
    page.picture("phone-callback").await;
    let phone = page.find("form.sheet input[type=tel]").await;
    page.browser.keys(&phone, "13800138000").await;
    page.click("form.sheet .main").await;
    page.wait(
        "the fault",
        "return root.querySelector('.wrong:not([hidden])')?.textContent.includes('国家区号')",
    )
    .await;
    page.browser.keys(&phone, "\u{e011}+86 ").await;
    let chosen = page
        .wait(
            "times to choose from",
            "const slots = root.querySelector('form.sheet select'); if (slots.options.length < 3) return null; \
             slots.selectedIndex = 2; return `${slots.value}|${slots.selectedOptions[0].textContent}`",
        )
        .await;
    let (at, words) = chosen.as_str().unwrap().split_once('|').unwrap();
    page.click("form.sheet .main").await;
    let wish = format!("请给我回电：+8613800138000\n{words}");
    wait_until("the wish", LIMIT, async || stored(&daemon).await.contains(&wish)).await;
    let calls = daemon.api().all("/callbacks").await;
    assert_eq!((calls.len(), &calls[0]["due_at"]), (1, &json!(at)), "{calls:#?}");

    let desktop = Page::open(&daemon, Screen::Desktop, "language=ar&scheme=dark").await;
    desktop.show().await;
    desktop.write("مرحبا، كيف حالك؟ order #42").await;
    desktop.wait_sent().await;
    let left = desktop
        .wait(
            "the button",
            "return String(root.querySelector('.launch').getBoundingClientRect().left < 100)",
        )
        .await;
    assert_eq!(left, "true", "at the other side");
    desktop.picture("desktop-rtl-dark").await;
    page.nothing_went_wrong().await;
    desktop.nothing_went_wrong().await;
}

#[tokio::test]
async fn forms_ask_before_the_first_word_and_the_keyboard_is_enough() {
    let asks = format!(
        "{}[channels.web.ask]\nname = \"optional\"\nemail = \"required\"\n\
         [[channels.web.topics]]\nid = \"withdrawal\"\nlabel = {{ en = \"Withdrawal\", zh = \"提现\" }}\n\
         queue = \"payments\"\n",
        CHAT.replace(
            "callback = true",
            "callback = true\naccent = \"#0f766e\"\nurgencies = [\"normal\", \"urgent\"]"
        )
    );
    let daemon = Daemon::start(&asks).await;
    let page = Page::open(&daemon, Screen::Desktop, "language=en").await;
    page.find(".launch").await;
    // By keys alone: to the button, open, out again, back.
    page.browser.run(&format!("{ROOT} root.querySelector('.launch').focus()"), json!([])).await;
    page.browser.press(ENTER).await;
    page.wait("the focus in the form", "return root.activeElement?.closest('form') && true").await;
    page.browser.press(ESCAPE).await;
    page.wait("the focus back", "return root.activeElement?.classList.contains('launch')").await;
    page.browser.press(ENTER).await;
    page.find("form.sheet").await;
    page.picture("desktop-form").await;
    page.click("form.sheet .main").await;
    let faults = page
        .wait("the faults", "return [...root.querySelectorAll('.wrong:not([hidden])')].length")
        .await;
    assert_eq!(faults, 3, "mail, topic and message");
    let email = page.find("input[type=email]").await;
    page.browser.keys(&email, "lei@example.com").await;
    let topic = page.find("select").await;
    page.browser.keys(&topic, "W").await;
    page.browser.click(&page.find(".pick label:nth-child(2)").await).await;
    let text = page.find("form.sheet textarea").await;
    page.browser.keys(&text, "Where is my withdrawal?").await;
    page.picture("desktop-form-filled").await;
    page.click("form.sheet .main").await;
    page.wait_bubble("Where is my withdrawal?").await;
    page.wait_sent().await;
    let ticket = daemon.api().tickets().await[0].clone();
    assert_eq!((&ticket["queue"], &ticket["priority"]), (&json!("payments"), &json!("urgent")));
    // Solved: asked once how it was.
    let path = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    let change =
        daemon.api().request(reqwest::Method::PATCH, &path).json(&json!({ "status": "solved" }));
    let change = change.header("If-Match", format!("\"{}\"", ticket["version"]));
    assert!(daemon::send(change).await.unwrap().status.is_success());
    page.click(".stars button:nth-child(4)").await;
    page.picture("desktop-rating").await;
    page.click(".rate .main").await;
    daemon.api().wait_message(LIMIT, |message| message["text"] == "Rated 4 of 5").await;
    page.nothing_went_wrong().await;
}

#[tokio::test]
async fn without_sockets_answers_come_by_events_and_a_closed_chat_counts_them() {
    let daemon = Daemon::start(CHAT).await;
    let page = Page::open(&daemon, Screen::Desktop, "language=en").await;
    page.find(".launch").await;
    page.browser
        .run("window.WebSocket = class { constructor() { throw new Error('none'); } };", json!([]))
        .await;
    page.show().await;
    page.write("no sockets here").await;
    page.wait_sent().await;
    reply(&daemon, "by events").await;
    page.wait_bubble("by events").await;
    page.browser.press(ESCAPE).await;
    reply(&daemon, "unread 1").await;
    reply(&daemon, "unread 2").await;
    page.wait("the count", "return root.querySelector('.badge').textContent === '2' && !root.querySelector('.badge').hidden").await;
    page.picture("desktop-unread").await;
    let arrived = |message: &Value| {
        message["text"] == "unread 2" && message["delivery"]["status"] == "delivered"
    };
    daemon.api().wait_message(LIMIT, arrived).await;
    page.show().await;
    let read =
        |message: &Value| message["text"] == "unread 2" && message["delivery"]["status"] == "read";
    daemon.api().wait_message(LIMIT, read).await;
    page.wait("no count", "return root.querySelector('.badge').hidden").await;
}

#[tokio::test]
async fn all_of_it_is_below_twenty_kilobytes_on_the_wire() {
    let daemon = Daemon::start(CHAT).await;
    let base = format!("http://127.0.0.1:{}", daemon.port());
    let client = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let get = async |path: &str| {
        let request = client.get(format!("{base}{path}")).header("Accept-Encoding", "gzip");
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        assert_eq!(answer.headers()["access-control-allow-origin"], "*", "{path}");
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin", "{path}");
        answer.bytes().await.unwrap().len()
    };
    let loader =
        client.get(format!("{base}/widget.js")).send().await.unwrap().text().await.unwrap();
    let version = loader.split("/widget/").nth(1).unwrap().split('/').next().unwrap();
    assert!(version.len() == 12 && !loader.contains("__VERSION__"), "{version}");
    let mut sizes = vec![("loader", get("/widget.js").await)];
    let mut wanted = BTreeSet::from(["chat.js".to_owned()]);
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop_first() {
        let path = format!("/widget/{version}/{name}");
        let source =
            client.get(format!("{base}{path}")).send().await.unwrap().text().await.unwrap();
        assert!(!source.contains("innerHTML") && !source.contains("eval("), "{name}");
        let imports = source.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
        wanted.extend(imports.map(str::to_owned).filter(|name| !seen.contains(name)));
        sizes.push(("module", get(&path).await));
        seen.insert(name);
    }
    assert!(seen.contains("client.js") && seen.contains("style.js"), "{seen:?}");
    let en = get(&format!("/widget/{version}/en.js")).await;
    let zh = get(&format!("/widget/{version}/zh.js")).await;
    let all = sizes.iter().map(|(_, size)| size).sum::<usize>() + en.max(zh);
    assert!(all < 20_000, "{all} bytes: {sizes:?}, {en}, {zh}");
}
