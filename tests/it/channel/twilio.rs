//! Twilio, as all of its channels need it: signatures against its own library, calls against a server.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use tributary::channel::shared::http::{Credentials, Http};
use tributary::channel::shared::twilio::form::Form;
use tributary::channel::shared::twilio::rest::Account;
use tributary::channel::shared::twilio::signature::{Door, Hash, sign};
use tributary::channel::{DeliverError, DownloadError};
use tributary::model::Secret;
use url::Url;

use crate::support::receiver::{Asked, Does, Receiver};

const SID: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Signs (or judges, where a signature is given) each case of its input with Twilio's own library.
const JUDGE: &str = r#"
import json, sys
from twilio.request_validator import RequestValidator

class Several(dict):
    def getall(self, name):
        return self[name]

said = []
for case in json.load(sys.stdin):
    validator = RequestValidator(case["token"])
    fields = case["fields"]
    if not isinstance(fields, str):
        several = Several()
        for name, value in fields:
            several.setdefault(name, []).append(value)
        fields = several
    hash = case["hash"]
    signed = {} if isinstance(fields, str) else fields
    said.append({
        "signature": validator.compute_signature(case["url"], signed, hash),
        "valid": validator.validate(case["judged"], fields, case["signature"], hash),
    })
json.dump(said, sys.stdout)
"#;

fn ask_library(cases: &Value) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/twilio-python/bin/python");
    let mut asked = Command::new(&python)
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/setup-test.sh", python.display()));
    asked.stdin.take().unwrap().write_all(cases.to_string().as_bytes()).unwrap();
    let output = asked.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What it signs, we take; what we sign, it takes; and what we refuse, it refuses.
#[test]
fn signatures_are_those_of_twilios_own_library() {
    let bases = [
        "https://desk.example.com",
        "https://desk.example.com:8443",
        "http://desk.example.com",
        "https://desk.example.com/behind/a/path",
    ];
    let paths = ["/hooks/sms", "/hooks/sms?d=0190a0b0&x=a%20b", "/hooks/sms/call?step=1&l=zh-CN"];
    let bodies: [&[(&str, &str)]; 4] = [
        &[],
        &[
            ("From", "+15005550006"),
            ("Body", "Hi & bye 你好 😀\r\n"),
            ("NumMedia", "0"),
            ("Empty", ""),
        ],
        &[
            ("b", "2"),
            ("a", " z "),
            ("b", "1"),
            ("b", "2"),
            ("B", "upper"),
            ("a.b", "1"),
            ("aé", "2"),
        ],
        &[(
            "ChannelMetadata",
            r#"{"type":"whatsapp","data":{"context":{"ProfileName":"Ann 安"}}}"#,
        )],
    ];
    let mut cases = Vec::new();
    let mut ours = Vec::new();
    for (hash, word) in [(Hash::Sha1, "HMAC_SHA1"), (Hash::Sha256, "HMAC_SHA256")] {
        for base in bases {
            for path in paths {
                for fields in bodies {
                    let url = format!("{base}{path}");
                    let signature =
                        sign(&Secret::new(TOKEN), hash, &url, &fields.iter().copied().collect());
                    cases.push(json!({ "token": TOKEN, "url": url, "judged": url, "hash": word,
                        "fields": fields, "signature": signature }));
                    ours.push((base, path, fields, word));
                }
            }
        }
    }
    let said = ask_library(&json!(cases));
    assert_eq!(said.len(), 96);
    for ((said, case), (base, path, fields, word)) in said.iter().zip(&cases).zip(ours) {
        assert_eq!(said["valid"], true, "{case}");
        assert_eq!(said["signature"], case["signature"], "{case}");
        let body: Form = fields.iter().copied().collect();
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(body.iter()).finish();
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
            .header("x-twilio-webhooks-signature-settings", format!("key=k,algorithm={word}"))
            .header("x-twilio-signature", said["signature"].as_str().unwrap());
        let tokens = vec![Secret::new("another-token"), Secret::new(TOKEN)];
        let door = Door { public_url: base.to_owned(), tokens };
        assert!(door.admit(&request.body(Bytes::from(body)).unwrap()).is_ok(), "{case}");
    }
    let changed: Vec<Value> = cases
        .iter()
        .map(|case| {
            let mut case = case.clone();
            case["judged"] = json!(format!("{}&y=1", case["url"].as_str().unwrap()));
            case
        })
        .collect();
    assert!(ask_library(&json!(changed)).iter().all(|said| said["valid"] == false));
}

fn account(receiver: &Receiver, bare: &[Url]) -> Account {
    let api = Url::parse(&receiver.url("/")).unwrap();
    let http = Http::beside(std::slice::from_ref(&api), bare);
    let credentials = Credentials::Basic(SID.to_owned(), Secret::new(TOKEN));
    Account::new(http, api, SID.to_owned(), credentials).unwrap()
}

fn json_answer(status: u16, body: &Value) -> Does {
    let kind = ("content-type", "application/json".to_owned());
    Does::Answer(status, vec![kind], body.to_string())
}

fn refusal(status: u16, code: u64) -> Does {
    json_answer(status, &json!({ "code": code, "message": "No +15005550009", "status": status }))
}

/// What the outcome says, in one word, and why.
fn word<T>(outcome: &Result<T, DeliverError>) -> (&'static str, String) {
    let Err(error) = outcome else { return ("done", String::new()) };
    let cause = std::error::Error::source(error).unwrap().to_string();
    let word = match error {
        DeliverError::Rejected(_) => "rejected",
        DeliverError::Unreachable { .. } => "unreachable",
        DeliverError::Retry { .. } => "retry",
        DeliverError::Offline(_) => "offline",
        DeliverError::Unknown(_) => "unknown",
        DeliverError::Account(_) => "account",
    };
    (word, cause)
}

#[tokio::test]
async fn a_request_is_the_one_that_twilio_wants() {
    let receiver = Receiver::start(|asked| match asked.method.as_str() {
        "DELETE" => Does::status(204),
        _ => json_answer(201, &json!({ "sid": "SM1", "status": "accepted", "from": null })),
    });
    let account = account(&receiver, &[]);
    let fields =
        [("To", "+15005550001"), ("Body", "a & b 你"), ("MediaUrl", "x"), ("MediaUrl", "y")];
    let made = account.create("Messages.json", &fields).await.unwrap();
    assert_eq!(made["sid"], "SM1");
    account.delete("Recordings/RE1.json").await.unwrap();
    assert!(account.get("Messages/SM1.json").await.unwrap().is_some());
    let asked = receiver.asked();
    let lines: Vec<String> =
        asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    assert_eq!(
        lines,
        [
            format!("POST /2010-04-01/Accounts/{SID}/Messages.json"),
            format!("DELETE /2010-04-01/Accounts/{SID}/Recordings/RE1.json"),
            format!("GET /2010-04-01/Accounts/{SID}/Messages/SM1.json"),
        ]
    );
    assert_eq!(asked[0].header("content-type"), "application/x-www-form-urlencoded");
    let form = Form::read(&asked[0].body).unwrap();
    assert_eq!(form.iter().collect::<Vec<_>>(), fields);
    let basic = data_encoding::BASE64.encode(format!("{SID}:{TOKEN}").as_bytes());
    let basic = format!("Basic {basic}");
    assert!(asked.iter().all(|asked| asked.header("authorization") == basic));
}

#[tokio::test]
async fn each_answer_says_what_became_of_it() {
    let receiver = Receiver::answering(200);
    let account = account(&receiver, &[]);
    let html = || Does::Answer(503, vec![], "<html>Service Unavailable</html>".to_owned());
    let cases: Vec<(Does, &str, &str)> = vec![
        (refusal(400, 21_211), "rejected", "not a number"),
        (refusal(400, 21_610), "unreachable", "STOP"),
        (refusal(400, 63_016), "rejected", "template"),
        (refusal(400, 21_606), "account", "cannot send"),
        (refusal(401, 20_003), "account", "not valid"),
        (refusal(404, 20_404), "account", "account"),
        (refusal(429, 20_429), "retry", "at once"),
        (refusal(400, 21_611), "retry", "waiting"),
        (refusal(400, 77_777), "rejected", "77777"),
        (refusal(500, 77_777), "retry", "77777"),
        (html(), "retry", "503"),
        (Does::status(502), "unknown", "502"),
        (Does::Answer(201, vec![], "<html>".to_owned()), "unknown", "not what it should be"),
        (Does::Close, "unknown", "gave no answer"),
        (Does::HangInBody(201), "unknown", "in time"),
    ];
    for (does, expected, words) in cases {
        let case = format!("{does:?}");
        receiver.does(move |_| does.clone());
        let outcome = account.create("Messages.json", &[("To", "+15005550009")]).await;
        let (word, cause) = word(&outcome);
        assert_eq!(word, expected, "{case}: {cause}");
        assert!(cause.contains(words), "{case}: {cause}");
        assert!(!cause.contains("5005550009") && !cause.contains(TOKEN), "{cause}");
    }
    // The same for what may be done twice: nothing is in doubt.
    receiver.does(|_| Does::Close);
    assert_eq!(
        word(&account.change("Calls/CA1.json", &[("Status", "completed")]).await).0,
        "retry"
    );
    assert_eq!(word(&account.delete("Recordings/RE1.json").await).0, "retry");
    receiver.does(|_| refusal(404, 20_404));
    assert_eq!(word(&account.delete("Recordings/RE1.json").await).0, "done");
    assert!(account.get("Messages/SM1.json").await.unwrap().is_none());
    let asked = Some(Duration::from_secs(6 * 3600));
    receiver.does(|_| refusal(400, 30_023));
    let outcome = account.create("Messages.json", &[]).await;
    assert!(matches!(outcome, Err(DeliverError::Retry { after, .. }) if after == asked));
}

#[tokio::test]
async fn a_list_is_followed_at_the_configured_address_only() {
    let next =
        format!("/2010-04-01/Accounts/{SID}/Messages.json?PageSize=1&Page=1&PageToken=PASM1");
    let page = next.clone();
    let receiver = Receiver::start(move |asked: &Asked| {
        let last = asked.path.contains("PageToken");
        let next = (!last).then_some(&page);
        let body = json!({ "messages": [{ "sid": "SM1" }], "next_page_uri": next });
        let date = ("date", "Thu, 26 Nov 2026 10:00:00 GMT".to_owned());
        Does::Answer(200, vec![date], body.to_string())
    });
    let account = account(&receiver, &[]);
    let list = ("Messages.json", "messages");
    let first = account.list(list, &[("To", "+1"), ("DateSent>", "2026-11-26")]).await.unwrap();
    assert_eq!(first.items, [json!({ "sid": "SM1" })]);
    assert_eq!(first.at.unwrap().to_rfc3339(), "2026-11-26T10:00:00+00:00");
    let second = account.further(first.next.unwrap(), "messages").await.unwrap();
    assert!(second.next.is_none());
    let asked = receiver.asked();
    assert!(asked[0].path.ends_with("Messages.json?To=%2B1&DateSent%3E=2026-11-26"), "{asked:?}");
    assert_eq!(asked[1].path, next);
    for elsewhere in ["https://evil.example/x", "//evil.example/x", "@evil.example/"] {
        receiver.does(move |_| {
            json_answer(200, &json!({ "messages": [], "next_page_uri": elsewhere }))
        });
        assert_eq!(word(&account.list(list, &[]).await).0, "retry", "{elsewhere}");
    }
    receiver.does(|_| json_answer(200, &json!({ "calls": [] })));
    assert_eq!(word(&account.list(list, &[]).await).0, "retry");
}

/// A file lies somewhere else than at the address that is asked: the credentials stay behind.
#[tokio::test]
async fn a_file_is_fetched_without_showing_the_token_elsewhere() {
    let store = Receiver::start(|asked| match asked.header("authorization") {
        "" => Does::body("the bytes"),
        _ => Does::status(400),
    });
    let target = store.url("/signed?expires=1");
    let home = Receiver::start(move |_| Does::with(307, "location", target.clone()));
    let account = account(&home, &[Url::parse(&store.url("/")).unwrap()]);
    let path = format!("/2010-04-01/Accounts/{SID}/Messages/MM1/Media/ME1");
    // Twilio names its usual host, whatever we call.
    let address = format!("https://api.twilio.com{path}");
    assert_eq!(account.file(&address).await.unwrap(), "the bytes");
    assert!(home.asked()[0].header("authorization").starts_with("Basic "));
    assert_eq!(home.asked()[0].path, path);
    home.does(|_| refusal(404, 20_404));
    assert!(matches!(account.file(&address).await, Err(DownloadError::Retry { .. })));
    home.does(|_| Does::with(302, "location", "http://127.0.0.1:1/inside"));
    assert!(matches!(account.file(&address).await, Err(DownloadError::Never(_))));
    let others =
        ["https://evil.example/x", "file:///etc/passwd", "nothing", "http://169.254.169.254/"];
    for other in others {
        assert!(matches!(account.file(other).await, Err(DownloadError::Never(_))), "{other}");
    }
}
