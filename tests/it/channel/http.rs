//! The HTTP client of all kinds: where it goes, where it does not, and what it makes of bad servers.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tributary::channel::DeliverError;
use tributary::channel::shared::http::{Call, Credentials, Http, HttpError, Lookup, delivered};
use tributary::model::Secret;
use url::Url;

use crate::support::desk::chain;
use crate::support::receiver::{Does, Receiver};
use crate::support::tls::{Authority, Flaw};

/// Spellings of this machine, of networks inside, of clouds' metadata, and of what is no web at all.
/// `{port}` is where the test listens.
const SPELLINGS: &[&str] = &[
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.1:{port}/",
    "http://017700000001:{port}/",
    "http://00000177.0.0.1:{port}/",
    "http://127.000.000.001:{port}/",
    "http://127.0.0.2:{port}/",
    "http://127.255.255.254:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0x0:{port}/",
    "http://00:{port}/",
    "http://0.1:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[0000::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fc00::1]:{port}/",
    "http://[fd12:3456::1]:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[ff02::1]:{port}/",
    "http://[100::1]:{port}/",
    "http://[2001:db8::1]:{port}/",
    "http://[4000::1]:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://localhost.:{port}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "http://ｌｏｃａｌｈｏｓｔ:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://loop\u{ad}back.test:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:word@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "http://example.com%40@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}?@example.com/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:/127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "  http://127.0.0.1:{port}/  ",
    "ht\ntp://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254.:80/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://[::ffff:169.254.169.254]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://metadata.test/",
    "http://10.0.0.1/",
    "http://10.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.257/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://inside.test/",
    "http://mapped.test:{port}/",
    "http://nat64.test:{port}/",
    "http://loopback.test:{port}/",
    "http://loopback.test:25/",
    "http://93.184.215.14:22/",
    "http://93.184.215.14:25/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "unix:/run/x.sock",
    "data:text/plain,x",
    "jar:http://127.0.0.1:{port}/!/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    "",
];

/// Names of the test; `localhost` too, so that no test depends on the machine's resolver.
fn names() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let address = match name.trim_end_matches('.') {
                "localhost" | "loopback.test" => "127.0.0.1",
                "inside.test" => "10.1.2.3",
                "metadata.test" => "169.254.169.254",
                "mapped.test" => "::ffff:127.0.0.1",
                "nat64.test" => "64:ff9b::7f00:1",
                _ => return Err(std::io::Error::other("no such name")),
            };
            Ok(vec![address.parse::<IpAddr>().unwrap()])
        })
    })
}

fn get(url: &str) -> Call {
    Call::get(Url::parse(url).unwrap())
}

/// FAULTS 195, SECURITY 7: whatever the spelling, nothing inside is even connected to.
#[tokio::test]
async fn no_spelling_of_an_inner_address_is_connected_to() {
    let receiver = Receiver::answering(200);
    let http = Http::with_lookup(&[], names());
    let mut tried = 0;
    for spelling in SPELLINGS {
        let spelling = spelling.replace("{port}", &receiver.port().to_string());
        tried += 1;
        // What is no address at all was refused before.
        let Ok(url) = Url::parse(&spelling) else { continue };
        let began = Instant::now();
        let error = http.send(Call::get(url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused { .. }), "{spelling}: {error}");
        assert!(began.elapsed() < Duration::from_secs(2), "{spelling}");
    }
    assert!(tried >= 80, "{tried}");
    assert_eq!(receiver.connections(), 0);
}

/// The same spellings for the admin's own address: the guard is about who wrote it.
#[tokio::test]
async fn what_an_admin_wrote_may_lie_inside() {
    let receiver = Receiver::answering(204);
    let base = Url::parse(&receiver.url("/")).unwrap();
    let http = Http::with_lookup(&[base], names());
    assert_eq!(http.send(get(&receiver.url("/x"))).await.unwrap().status, 204);
    // Another port of the same host is another server.
    let other = Receiver::answering(200);
    let error = http.send(get(&other.url("/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::Refused { .. }), "{error}");
    assert_eq!(other.connections(), 0);
}

/// FAULTS 196: one resolution for each connection, and that very address is connected to.
#[tokio::test]
async fn a_name_that_changes_its_mind_leads_nowhere() {
    let receiver = Receiver::answering(200);
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    // First a public address that nobody answers at (TEST-NET would be refused), then this machine.
    let flipping: Lookup = Arc::new(move |_| {
        let address = match counting.fetch_add(1, Ordering::SeqCst) {
            0 => vec!["64:ff9b::1".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            _ => vec!["127.0.0.1".parse().unwrap()],
        };
        Box::pin(async move { Ok(address) })
    });
    let http = Http::with_lookup(&[], flipping);
    let url = format!("http://rebind.test:{}/", receiver.port());
    for round in 1..=3 {
        let error = http.send(get(&url)).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused { .. }), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), round, "it is resolved once for each call");
    }
    assert_eq!(receiver.connections(), 0);
}

/// FAULTS 196: of several addresses only those outside are used.
#[tokio::test]
async fn an_inner_address_among_outer_ones_is_left_out() {
    let receiver = Receiver::answering(200);
    // Nobody is at the first one: a special-purpose address that is routed nowhere from here.
    let mixed: Lookup = Arc::new(|_| {
        Box::pin(async {
            Ok(vec!["2001:200::dead".parse().unwrap(), "127.0.0.1".parse().unwrap()])
        })
    });
    let http = Http::with_lookup(&[], mixed);
    let url = format!("http://mixed.test:{}/", receiver.port());
    let outcome = http.send(get(&url)).await;
    assert!(matches!(outcome, Err(HttpError::Unreachable { .. } | HttpError::NoAnswer { .. })));
    assert_eq!(receiver.connections(), 0);
}

/// FAULTS 197 and 199: each hop is judged, and credentials stay at home.
#[tokio::test]
async fn a_redirect_inside_is_not_followed_and_credentials_stay_at_home() {
    let inside = Receiver::answering(200);
    let target = inside.url("/latest/meta-data/");
    let home = Receiver::start(move |asked| match asked.path.as_str() {
        "/once" => Does::with(302, "location", "/here"),
        "/away" => Does::with(302, "location", target.clone()),
        "/loop" => Does::with(302, "location", "/loop"),
        "/nowhere" => Does::with(302, "location", "http://["),
        _ => Does::status(200),
    });
    let base = Url::parse(&home.url("/")).unwrap();
    let http = Http::with_lookup(&[base], names());
    let token = || Credentials::Bearer(Secret::new("the-token"));
    let call = |path: &str| get(&home.url(path)).credentials(token());
    assert_eq!(http.send(call("/once")).await.unwrap().status, 302, "not followed unasked");
    assert_eq!(http.send(call("/once").redirects_max(1)).await.unwrap().status, 200);
    let error = http.send(call("/away").redirects_max(3)).await.unwrap_err();
    assert!(matches!(error, HttpError::Refused { .. }), "{error}");
    assert_eq!(http.send(call("/loop").redirects_max(3)).await.unwrap().status, 302);
    let error = http.send(call("/nowhere").redirects_max(3)).await.unwrap_err();
    assert!(matches!(error, HttpError::Unusable { .. }), "{error}");
    assert_eq!(inside.connections(), 0);
    assert!(home.asked().iter().all(|asked| asked.header("authorization") == "Bearer the-token"));
    // A post is never followed: it would be done twice, or elsewhere.
    let url = Url::parse(&home.url("/once")).unwrap();
    let post = Call::post(url, "x".into(), "text/plain").redirects_max(3);
    assert_eq!(http.send(post).await.unwrap().status, 302);
    // A server that is the admin's too gets the redirect, and credentials only if it was the first one.
    let both = [Url::parse(&home.url("/")).unwrap(), Url::parse(&inside.url("/")).unwrap()];
    let http = Http::with_lookup(&both, names());
    assert_eq!(http.send(call("/away").redirects_max(3)).await.unwrap().status, 200);
    let stranger = Call::get(Url::parse("http://93.184.215.14/x").unwrap()).credentials(token());
    let error = http.send(stranger).await.unwrap_err();
    assert!(matches!(error, HttpError::Refused { .. }), "{error}");
}

/// FAULTS 198: huge, slow, never ending, and what each says about a delivery.
#[tokio::test]
async fn a_bad_answer_costs_bounded_time_and_memory() {
    let receiver = Receiver::answering(200);
    let http = Http::new(&[Url::parse(&receiver.url("/")).unwrap()]);
    let call = || get(&receiver.url("/secret-path?token=canary")).time_max(Duration::from_secs(10));
    receiver.does(|_| Does::Endless(200));
    let answer = http.send(call().answer_bytes_max(64 * 1024)).await.unwrap();
    assert_eq!(answer.status, 200, "what is known is told");
    assert!(matches!(answer.bytes(), Err(HttpError::Unusable { .. })));
    assert!(receiver.bytes_sent() < 32 * 1024 * 1024, "{}", receiver.bytes_sent());
    for (does, word) in [(Does::Hang, "too long"), (Does::Close, "closed")] {
        receiver.does(move |_| does.clone());
        let began = Instant::now();
        let outcome = delivered(http.send(call()).await);
        let Err(DeliverError::Unknown(cause)) = outcome else { panic!("{word}: {outcome:?}") };
        let text = chain(&*cause);
        assert!(text.contains(word), "{text}");
        assert!(!text.contains("canary") && !text.contains("secret-path"), "{text}");
        assert!(began.elapsed() < Duration::from_secs(13));
    }
    receiver.does(|_| Does::HangInBody(200));
    let answer = http.send(call()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.bytes().is_err());
    receiver.does(|_| Does::body("\u{1f}\u{8b}"));
    let error = http.send(call()).await.unwrap().json::<serde_json::Value>().unwrap_err();
    assert!(matches!(error, HttpError::Unusable { .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_reached_was_not_written() {
    let mut receiver = Receiver::answering(200);
    let http = Http::new(&[Url::parse(&receiver.url("/")).unwrap()]);
    receiver.stop();
    let outcome = delivered(http.send(get(&receiver.url("/"))).await);
    assert!(matches!(outcome, Err(DeliverError::Offline(_))), "{outcome:?}");
    let http = Http::with_lookup(&[], names());
    let outcome = delivered(http.send(get("https://nobody.test/")).await);
    assert!(matches!(outcome, Err(DeliverError::Offline(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_that_is_wrong_ends_it_before_anything_is_written() {
    let authority = Authority::new();
    for flaw in [Flaw::None, Flaw::OtherName, Flaw::Expired, Flaw::SelfSigned] {
        // The authority is none that this machine trusts, so each of them is wrong.
        let receiver = Receiver::tls(&authority, flaw);
        let url = format!("https://127.0.0.1:{}/", receiver.port());
        let http = Http::new(&[Url::parse(&url).unwrap()]);
        let call = get(&url).credentials(Credentials::Basic("u".into(), Secret::new("word")));
        let outcome = delivered(http.send(call).await);
        assert!(matches!(outcome, Err(DeliverError::Offline(_))), "{flaw:?}: {outcome:?}");
        assert_eq!(receiver.asked().len(), 0, "{flaw:?}");
        assert_eq!(receiver.connections(), 1, "{flaw:?}");
    }
}
