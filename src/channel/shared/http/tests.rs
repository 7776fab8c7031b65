use super::*;
use crate::channel::{DeliverError, DownloadError, PullError};

fn answer(status: u16, headers: &[(HeaderName, &str)], body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect(),
        host: "api.example.com".to_owned(),
        body: Ok(Bytes::copy_from_slice(body.as_bytes())),
    }
}

fn word(outcome: &Result<Answer, DeliverError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(DeliverError::Rejected(_)) => "rejected",
        Err(DeliverError::Retry { .. }) => "retry",
        Err(DeliverError::Offline(_)) => "offline",
        Err(DeliverError::Unknown(_)) => "unknown",
        Err(DeliverError::Account(_)) => "account",
        Err(DeliverError::Unreachable { .. }) => "unreachable",
    }
}

#[test]
fn each_status_has_one_meaning_for_a_delivery() {
    for (status, meaning) in [
        (200, "ok"),
        (202, "ok"),
        (204, "ok"),
        (301, "account"),
        (302, "account"),
        (307, "account"),
        (400, "rejected"),
        (401, "account"),
        (403, "account"),
        (404, "rejected"),
        (408, "retry"),
        (410, "rejected"),
        (413, "rejected"),
        (422, "rejected"),
        (425, "retry"),
        (429, "retry"),
        (500, "retry"),
        (501, "retry"),
        (502, "unknown"),
        (503, "retry"),
        (504, "unknown"),
        (599, "retry"),
    ] {
        assert_eq!(word(&delivered(Ok(answer(status, &[], "")))), meaning, "{status}");
    }
    let (host, why) = ("api.example.com".to_owned(), "x".to_owned());
    let unreachable = HttpError::Unreachable { host: host.clone(), why: why.clone() };
    assert_eq!(word(&delivered(Err(unreachable))), "offline");
    let silent = HttpError::NoAnswer { host: host.clone(), why: why.clone() };
    assert_eq!(word(&delivered(Err(silent))), "unknown");
    assert_eq!(word(&delivered(Err(HttpError::Refused { host, why }))), "account");
}

#[test]
fn an_attachment_is_fetched_later_or_never() {
    let word = |outcome: Result<Bytes, DownloadError>| match outcome {
        Ok(_) => "ok",
        Err(DownloadError::Retry { .. }) => "retry",
        Err(DownloadError::Never(_)) => "never",
    };
    for (status, meaning) in [
        (200, "ok"),
        (302, "never"),
        (401, "retry"),
        (403, "never"),
        (404, "never"),
        (410, "never"),
        (429, "retry"),
        (500, "retry"),
        (503, "retry"),
    ] {
        assert_eq!(word(downloaded(Ok(answer(status, &[], "x")))), meaning, "{status}");
    }
    for (why, meaning) in [(TOO_LONG, "never"), ("broke off", "retry")] {
        let cut = Answer { body: Err(why), ..answer(200, &[], "") };
        assert_eq!(word(downloaded(Ok(cut))), meaning);
    }
}

#[test]
fn a_pause_is_taken_from_seconds_or_from_the_services_own_clock() {
    let date = "Wed, 21 Oct 2026 07:28:00 GMT";
    let later = "Wed, 21 Oct 2026 07:30:05 GMT";
    for (headers, pause) in [
        (vec![(header::RETRY_AFTER, "7")], Some(7)),
        (vec![(header::RETRY_AFTER, " 7 ")], Some(7)),
        (vec![(header::RETRY_AFTER, later), (header::DATE, date)], Some(125)),
        (vec![(header::RETRY_AFTER, date), (header::DATE, later)], Some(0)),
        (vec![(header::RETRY_AFTER, "999999999999")], Some(24 * 3600)),
        (vec![(header::RETRY_AFTER, later)], None),
        (vec![(header::RETRY_AFTER, "soon")], None),
        (vec![], None),
    ] {
        let given = answer(429, &headers, "");
        assert_eq!(after(&given), pause.map(Duration::from_secs), "{headers:?}");
        let Err(DeliverError::Retry { after, .. }) = delivered(Ok(given)) else { panic!() };
        assert_eq!(after, pause.map(Duration::from_secs));
    }
    let asked = pulled(Ok(answer(503, &[(header::RETRY_AFTER, "9")], "")));
    assert!(
        matches!(asked, Err(PullError::Retry { after: Some(after), .. }) if after.as_secs() == 9)
    );
    assert!(matches!(pulled(Ok(answer(404, &[], ""))), Err(PullError::Account(_))));
}

#[test]
fn the_services_words_are_shown_in_one_short_line() {
    let long = format!("no\n\tsuch \u{7} chat{}", "x".repeat(1000));
    let shown = answer(400, &[], &long).excerpt();
    assert!(shown.starts_with("no such chatx") || shown.starts_with("no such  chatx"), "{shown}");
    assert_eq!(shown.chars().count(), EXCERPT_CHARS_MAX);
}

#[test]
fn a_base_address_is_encrypted_or_on_this_machine() {
    for good in [
        "https://api.example.com",
        "https://10.0.0.1:8443/x/",
        "http://127.0.0.1:1",
        "http://localhost/",
        "http://[::1]:8080",
    ] {
        assert!(base_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "api.example.com",
        "http://api.example.com",
        "ftp://127.0.0.1/",
        "https://u:p@example.com",
        "https://u@example.com",
        "https://example.com?x",
        "https://example.com#x",
        "file:///etc/passwd",
        "https://",
    ] {
        assert!(base_url(bad).is_err(), "{bad}");
    }
}

/// FAULTS 199: the same host on another port, or without encryption, is somebody else.
#[test]
fn credentials_are_for_the_configured_origin_alone() {
    let url = |text: &str| Url::parse(text).unwrap();
    let http = Http::new(&[url("https://api.example.com/v1")]);
    let credentials = Credentials::Bearer(Secret::new("x"));
    let given = |text: &str| http.for_whom(&url(text), Some(&credentials)).is_some();
    for own in
        ["https://api.example.com/", "https://api.example.com:443/x", "https://API.example.com/v2"]
    {
        assert!(given(own), "{own}");
    }
    for other in [
        "http://api.example.com/",
        "https://api.example.com:444/",
        "https://example.com/",
        "https://api.example.com.evil.test/",
        "https://evil.test/?https://api.example.com/",
        "https://api.example.com@evil.test/",
    ] {
        assert!(!given(other), "{other}");
    }
}

#[test]
fn steps_below_a_base_stay_below_it() {
    let base = Url::parse("https://api.example.com/v1/").unwrap();
    assert_eq!(
        below(&base, &["bot1:a", "send"]).as_str(),
        "https://api.example.com/v1/bot1:a/send"
    );
    assert_eq!(
        below(&base, &["a/../b?c#d"]).as_str(),
        "https://api.example.com/v1/a%2F..%2Fb%3Fc%23d"
    );
}
