//! A real Chromium, driven over `WebDriver` (W3C) by plain HTTP.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Process, free_port, open_folder, port_answers, program};

/// The key under which `WebDriver` names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long a page may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// A root needs `--no-sandbox`; the rest keeps the browser from talking to anybody but us.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// How the browser looks at the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Desktop,
    /// 390 × 844 points, two pixels each, with touch.
    Phone,
}

/// One browser with a profile of its own.
pub struct Browser {
    driver: Process,
    base: String,
    client: reqwest::Client,
    profile: TempDir,
}

/// An element of a page.
#[derive(Debug, Clone)]
pub struct Element(String);

impl Browser {
    pub async fn start(screen: Screen) -> Self {
        let profile = open_folder("browser");
        let port = free_port();
        let mut command = Command::new(program("chromedriver"));
        // A group of its own: with the driver go all processes of the browser.
        command.arg(format!("--port={port}")).process_group(0);
        command.env("HOME", profile.path());
        let mut driver =
            Process::start("chromedriver", &mut command, &profile.path().join("driver.log"));
        driver.wait_ready(|| port_answers(port));
        let client = super::daemon::client();
        let mut arguments: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        let folder = profile.path().join("profile");
        arguments.push(format!("--user-data-dir={}", folder.display()));
        arguments.push("--window-size=1200,860".to_owned());
        let mut options = json!({ "args": arguments, "binary": program("chromium") });
        if screen == Screen::Phone {
            options["mobileEmulation"] = json!({
                "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 2, "touch": true },
            });
        }
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let mut browser =
            Self { driver, base: format!("http://127.0.0.1:{port}"), client, profile };
        let session = browser.post("/session", &wanted).await;
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.base = format!("{}/session/{id}", browser.base);
        browser
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        Self::answer(request).await
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.base));
        Self::answer(request).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Value, String> {
        let answer = request.timeout(Duration::from_secs(60)).send().await.unwrap();
        let good = answer.status().is_success();
        let mut body: Value = answer.json().await.unwrap();
        let value = body["value"].take();
        if good { Ok(value) } else { Err(value["message"].to_string()) }
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url })).await;
    }

    /// Something that only this browser's own protocol (`DevTools`) can do.
    pub async fn command(&self, name: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": name, "params": parameters })).await
    }

    /// Loads everything anew from now on.
    pub async fn without_cache(&self) {
        self.command("Network.enable", json!({})).await;
        self.command("Network.setCacheDisabled", json!({ "cacheDisabled": true })).await;
    }

    pub async fn reload(&self) {
        self.post("/refresh", &json!({})).await;
    }

    /// The person lets the page show notifications.
    pub async fn allow_notifications(&self) {
        let wish = json!({ "descriptor": { "name": "notifications" }, "state": "granted" });
        self.post("/permissions", &wish).await;
    }

    /// Runs a script's body in the page; `arguments` are its arguments.
    pub async fn run(&self, script: &str, arguments: Value) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    /// Runs a script again and again until it gives something true.
    pub async fn wait(&self, what: &str, script: &str) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let body = json!({ "script": script, "args": [] });
            let value = self.try_post("/execute/sync", &body).await.unwrap_or(Value::Null);
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return value;
            }
            if tokio::time::Instant::now() >= deadline {
                let log = self.log().await;
                panic!("waited in vain for: {what}\nconsole: {log:#?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for an element; `script` gives it, or nothing.
    pub async fn element(&self, what: &str, script: &str) -> Element {
        let found = self.wait(what, script).await;
        Element(found[ELEMENT].as_str().expect("the script gives an element").to_owned())
    }

    /// A click as a person makes it: refused where something lies above the element.
    pub async fn click(&self, element: &Element) {
        self.post(&format!("/element/{}/click", element.0), &json!({})).await;
    }

    /// Keys as a person presses them; also the path of a file, for a file chooser.
    pub async fn keys(&self, element: &Element, text: &str) {
        self.post(&format!("/element/{}/value", element.0), &json!({ "text": text })).await;
    }

    /// Keys for whatever has the focus, however deep it is in shadow trees.
    pub async fn press(&self, text: &str) {
        let keys: Vec<Value> = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|way| json!({ "type": way, "value": key })))
            .collect();
        let source = json!({ "type": "key", "id": "keyboard", "actions": keys });
        self.post("/actions", &json!({ "actions": [source] })).await;
    }

    /// A key while another one is held.
    pub async fn chord(&self, held: &str, key: &str) {
        let actions = [("keyDown", held), ("keyDown", key), ("keyUp", key), ("keyUp", held)]
            .map(|(way, key)| json!({ "type": way, "value": key }));
        let source = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.post("/actions", &json!({ "actions": [source] })).await;
    }

    /// The element that a selector finds, as soon as it is seen.
    pub async fn seen(&self, selector: &str) -> Element {
        let script = format!(
            "const found = document.querySelector(\"{selector}\"); \
             return found && found.checkVisibility() ? found : null"
        );
        self.element(selector, &script).await
    }

    /// Clicks what a selector finds, as soon as it is seen.
    pub async fn click_on(&self, selector: &str) {
        let element = self.seen(selector).await;
        self.click(&element).await;
    }

    /// Another tab of the same browser; returns its handle and makes it the current one.
    pub async fn new_tab(&self) -> String {
        let made = self.post("/window/new", &json!({ "type": "tab" })).await;
        let handle = made["handle"].as_str().unwrap().to_owned();
        self.to_tab(&handle).await;
        handle
    }

    pub async fn tab(&self) -> String {
        self.get("/window").await.as_str().unwrap().to_owned()
    }

    pub async fn to_tab(&self, handle: &str) {
        self.post("/window", &json!({ "handle": handle })).await;
    }

    /// What the page wrote to its console since the last question.
    pub async fn log(&self) -> Vec<Value> {
        let entries = self.try_post("/se/log", &json!({ "type": "browser" })).await;
        entries.ok().and_then(|entries| entries.as_array().cloned()).unwrap_or_default()
    }

    /// What the pages complained of: a policy that was broken, a script that failed.
    pub async fn complaints(&self) -> Vec<Value> {
        let mut log = self.log().await;
        log.retain(|entry| entry["level"] == "SEVERE");
        log
    }

    /// From now on its person likes it dark.
    pub async fn like_it_dark(&self) {
        let wish = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.command("Emulation.setEmulatedMedia", wish).await;
    }

    /// A picture of what is seen, kept for people under `target/tmp/screenshots`.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let taken = self.get("/screenshot").await;
        let bytes = BASE64.decode(taken.as_str().unwrap()).unwrap();
        assert!(bytes.len() > 2000, "an empty picture");
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser leaves the driver's group: it is known by its profile, which is nobody else's.
        let script = format!(
            "kill -KILL -- -{}; for one in /proc/[0-9]*; do \
             [ $one != /proc/$$ ] && grep -aqs -- '{}' $one/cmdline && kill -KILL ${{one#/proc/}}; done",
            self.driver.id(),
            self.profile.path().join("profile").display()
        );
        let ended = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
        drop(ended);
    }
}
