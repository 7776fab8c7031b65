use super::*;

const BASE: &str = "https://hooks.example.net";
const PATH: &str = "/v1/channels/sms-main/inbound?x=1";
const FORM: &str = "MessageSid=SM00000000000000000000000000000001&From=%2B15005550006&To=%2B15005550001\
                    &Body=Hi+%26+bye+%E4%BD%A0%E5%A5%BD&NumMedia=0&EmptyOne=";
/// Made with Python's `hmac`, and taken by Twilio's own library.
const PLAIN: &str = "+pefhupfbNMAI4UONGEe6CGBml8=";
/// The same with `:443` behind the host.
const WITH_PORT: &str = "GvCCYbaAJ7XzxebX6tClUP1JrEM=";

fn door(tokens: &[&str]) -> Door {
    door_at(BASE, tokens)
}

fn door_at(public_url: &str, tokens: &[&str]) -> Door {
    let tokens = tokens.iter().map(|token| Secret::new(*token)).collect();
    Door { public_url: public_url.to_owned(), tokens }
}

fn request(path: &str, kind: &str, signature: &str, body: &[u8]) -> Request<Bytes> {
    let request = Request::post(path)
        .header("content-type", kind)
        // What a proxy or an attacker says of the host counts for nothing.
        .header("host", "elsewhere.example")
        .header("x-forwarded-proto", "http")
        .header("x-twilio-signature", signature);
    request.body(Bytes::copy_from_slice(body)).unwrap()
}

fn form(signature: &str, body: &str) -> Request<Bytes> {
    let kind = "application/x-www-form-urlencoded; charset=UTF-8";
    request(PATH, kind, signature, body.as_bytes())
}

fn why(result: Result<Signed, Refused>) -> &'static str {
    result.map_or_else(|refused| refused.why, |_| "let in")
}

#[test]
fn a_form_is_let_in_with_and_without_the_port() {
    for signature in [PLAIN, WITH_PORT] {
        let signed = door(&["12345"]).admit(&form(signature, FORM)).unwrap();
        assert_eq!(signed.fields.get("Body"), Some("Hi & bye 你好"));
        assert_eq!(signed.query.get("x"), Some("1"));
    }
    // The port may stand in our own settings, too.
    let port = door_at("https://hooks.example.net:443", &["12345"]);
    assert!(port.admit(&form(PLAIN, FORM)).is_ok() && port.admit(&form(WITH_PORT, FORM)).is_ok());
    let http = door_at("http://hooks.example.net", &["12345"]);
    let fields = Form::read(FORM.as_bytes()).unwrap();
    let url = format!("http://hooks.example.net:80{PATH}");
    let signature = sign(&Secret::new("12345"), Hash::Sha1, &url, &fields);
    assert!(http.admit(&form(&signature, FORM)).is_ok());
    assert_eq!(why(http.admit(&form(WITH_PORT, FORM))), "signature_wrong", "http is not https");
}

#[test]
fn json_is_covered_by_its_hash() {
    let body = "{\"a\":1,\"b\":\"é\"}".as_bytes();
    let hash = "09ad9fd2fb648cb2f62141215828ea00a62c299db05d20aa9ade2f527a301cc6";
    let path = format!("/v1/json?bodySHA256={hash}");
    let signature = "plItvWrz7IVYu+JhnWilqG4CRBg=";
    let door = door(&["12345"]);
    let json = "application/json";
    let signed = door.admit(&request(&path, json, signature, body)).unwrap();
    assert_eq!(signed.fields, Form::default());
    for other in [&b"{\"b\":\"\\u00e9\",\"a\":1}"[..], b"{}", b"\n"] {
        assert_eq!(why(door.admit(&request(&path, json, signature, other))), "body");
    }
    // A body that nothing covers is none of Twilio's, whatever the address.
    let url = format!("{BASE}/v1/json");
    let bare = sign(&Secret::new("12345"), Hash::Sha1, &url, &Form::default());
    assert_eq!(why(door.admit(&request("/v1/json", json, &bare, body))), "body");
    assert_eq!(why(door.admit(&request("/v1/json", "", &bare, body))), "body");
    assert!(door.admit(&request("/v1/json", json, &bare, b"")).is_ok());
}

#[test]
fn a_get_is_its_address() {
    let url = format!("{BASE}/in?Body=a%20b&From=%2B1");
    let signature = sign(&Secret::new("12345"), Hash::Sha1, &url, &Form::default());
    let asked = |path: &str, signature: &str| {
        let request = Request::get(path).header("x-twilio-signature", signature);
        door(&["12345"]).admit(&request.body(Bytes::new()).unwrap())
    };
    let signed = asked("/in?Body=a%20b&From=%2B1", &signature).unwrap();
    assert_eq!(signed.query.get("From"), Some("+1"));
    assert_eq!(why(asked("/in?Body=a%20c&From=%2B1", &signature)), "signature_wrong");
    // As old versions write a query: it is read and written again.
    let other = asked("/in?Body=a+b&From=%2b1", &signature).unwrap();
    assert_eq!(other.query.get("Body"), Some("a b"));
}

#[test]
fn what_is_changed_in_any_way_is_refused() {
    let door = door(&["12345"]);
    let pairs = [
        ("Hi", "Ho"),
        ("EmptyOne=", "EmptyOne=+"),
        ("NumMedia=0", "NumMedia=1"),
        ("&EmptyOne=", ""),
        ("EmptyOne=", "EmptyOne=&Extra=1"),
        ("Hi+%26", "Hi%2B%26"),
        ("%E4%BD%A0", "%E4%BD"),
    ];
    for (from, to) in pairs {
        let body = FORM.replace(from, to);
        assert_ne!(body, FORM, "{from}");
        assert_eq!(why(door.admit(&form(PLAIN, &body))), "signature_wrong", "{from} {to}");
    }
    // Another spelling of the same fields is the same.
    assert!(door.admit(&form(PLAIN, &FORM.replace("Hi+", "Hi%20"))).is_ok());
    let other = "application/x-www-form-urlencoded";
    for path in ["/v1/channels/sms-main/inbound?x=2", "/v1/channels/sms-other/inbound?x=1", "/"] {
        let request = request(path, other, PLAIN, FORM.as_bytes());
        assert_eq!(why(door.admit(&request)), "signature_wrong", "{path}");
    }
    for signature in [
        "",
        "x",
        "+pefhupfbNMAI4UONGEe",
        &PLAIN.to_uppercase(),
        "sha1=+pefhupfbNMAI4UONGEe6CGBml8=",
    ] {
        assert_eq!(why(door.admit(&form(signature, FORM))), "signature_wrong", "{signature}");
    }
    assert_eq!(why(door.admit(&form(PLAIN, ""))), "signature_wrong", "no body");
}

#[test]
fn a_signature_is_there_once_and_requests_have_their_limits() {
    let door = door(&["12345"]);
    let mut without = form(PLAIN, FORM);
    without.headers_mut().remove("x-twilio-signature");
    assert_eq!(why(door.admit(&without)), "signature_missing");
    let mut twice = form(PLAIN, FORM);
    twice.headers_mut().append("x-twilio-signature", PLAIN.parse().unwrap());
    assert_eq!(why(door.admit(&twice)), "signature_missing");
    let large = door.admit(&form(PLAIN, &"a".repeat(20 * 1024 * 1024))).unwrap_err();
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let many = door.admit(&form(PLAIN, &"a=1&".repeat(1000)));
    assert_eq!(why(many), "body");
    let mut put = form(PLAIN, FORM);
    *put.method_mut() = Method::PUT;
    assert_eq!(door.admit(&put).unwrap_err().status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn two_tokens_hold_while_one_is_replaced() {
    let fields = Form::read(FORM.as_bytes()).unwrap();
    let by = |token: &str| sign(&Secret::new(token), Hash::Sha1, &format!("{BASE}{PATH}"), &fields);
    assert_eq!(by("12345"), PLAIN);
    let both = door(&["12345", "67890"]);
    assert!(both.admit(&form(&by("12345"), FORM)).is_ok());
    assert!(both.admit(&form(&by("67890"), FORM)).is_ok());
    assert_eq!(why(both.admit(&form(&by("other"), FORM))), "signature_wrong");
    assert_eq!(why(door(&["67890"]).admit(&form(PLAIN, FORM))), "signature_wrong");
}

#[test]
fn a_shared_key_signs_with_another_hash() {
    let fields = Form::read(FORM.as_bytes()).unwrap();
    let url = format!("{BASE}{PATH}");
    let signature = sign(&Secret::new("12345"), Hash::Sha256, &url, &fields);
    let by = |settings: &str, signature: &str| {
        let mut request = form(signature, FORM);
        request.headers_mut().insert(SETTINGS, settings.parse().unwrap());
        why(door(&["12345"]).admit(&request))
    };
    assert_eq!(by("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256", &signature), "let in");
    assert_eq!(by("algorithm=HMAC_SHA256", PLAIN), "signature_wrong");
    assert_eq!(by("key=x", PLAIN), "let in");
    assert_eq!(by("algorithm=HMAC_MD5", PLAIN), "signature_hash");
    assert_eq!(why(door(&["12345"]).admit(&form(&signature, FORM))), "signature_wrong");
}

#[test]
fn a_field_that_comes_twice_counts_with_each_of_its_values_once() {
    let url = "https://x.example/a";
    let of = |body: &str| {
        let fields = Form::read(body.as_bytes()).unwrap();
        sign(&Secret::new("12345"), Hash::Sha1, url, &fields)
    };
    assert_eq!(of("b=2&a=z&b=1&b=2"), of("a=z&b=1&b=2"));
    assert_ne!(of("b=2&a=z&b=1"), of("a=z&b=1"));
    // What stands behind `#` is for Twilio itself.
    let fields = Form::read(b"a=1").unwrap();
    let token = Secret::new("12345");
    assert_eq!(
        sign(&token, Hash::Sha1, "https://x.example/a#rc=2&rp=ct", &fields),
        sign(&token, Hash::Sha1, url, &fields)
    );
}

#[test]
fn our_own_address_says_when_to_call_again() {
    let url = callback(BASE, "/hooks/sms", &[("d", "1 2")]).unwrap();
    assert_eq!(url.as_str(), "https://hooks.example.net/hooks/sms?d=1+2#rc=2&rp=ct,rt,5xx");
    let plain = callback("https://x.example/desk", "/hooks/sms", &[]).unwrap();
    assert_eq!(plain.as_str(), "https://x.example/desk/hooks/sms#rc=2&rp=ct,rt,5xx");
}

#[test]
fn an_address_in_brackets_has_its_port_behind_them() {
    let of = |url: &str| spellings(url).into_iter().collect::<Vec<_>>();
    assert_eq!(
        of("https://[::1]:8443/x"),
        ["https://[::1]/x", "https://[::1]:8443/x"],
        "the colons of the address are no port"
    );
    assert_eq!(of("http://[::1]/x"), ["http://[::1]/x", "http://[::1]:80/x"]);
    assert_eq!(of("https://a/x?b=c"), ["https://a/x?b=c", "https://a:443/x?b=c"]);
}
