//! Any text as the HTML of a mail: what is shown holds no element and no attribute that runs or loads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::channel::Interpret;
use tributary::channel::email::read::Reader;
use tributary::channel::shared::sign::Signer;
use tributary::model::{DedupeKey, Event, Meaning, Raw, Transport};

const HEADER: &str = "Subject: x\r\nIn-Reply-To: <a@b>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n";

/// Elements of which none may be left.
const FORBIDDEN: &[&str] = &[
    "script", "iframe", "style", "object", "embed", "form", "input", "meta", "base", "link", "svg",
    "math", "template", "noscript", "frame", "frameset", "applet", "audio", "video", "button",
];

fuzz_target!(|html: &str| {
    let reader = Reader::new(Vec::new(), Signer::new(vec![[9; 32]]), Vec::new());
    let raw = Raw {
        dedupe: DedupeKey::new("fuzz".to_owned()),
        body: format!("{HEADER}{html}").into(),
        transport: Transport::new(),
        received_at: None,
    };
    let Ok(Meaning::Events(events)) = reader.interpret(&raw) else { return };
    for event in events {
        if let Event::Message(inbound) = event {
            check(inbound.html.as_deref().unwrap_or_default());
        }
    }
});

fn check(clean: &str) {
    for piece in clean.split('<').skip(1) {
        let name = piece.trim_start_matches('/');
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name[..end].to_ascii_lowercase();
        assert!(!FORBIDDEN.contains(&name.as_str()), "<{name}> in {clean}");
    }
    for word in [" onerror=\"", " onload=\"", " onclick=\"", " srcset=\"", " src=\"http"] {
        let within_quotes = |at: usize| clean[..at].matches('"').count() % 2 == 1;
        let found = clean.match_indices(word).any(|(at, _)| !within_quotes(at));
        let in_tag = |at: usize| clean[..at].rfind('<') > clean[..at].rfind('>');
        let bad = found && clean.match_indices(word).any(|(at, _)| in_tag(at) && !within_quotes(at));
        assert!(!bad, "{word} in {clean}");
    }
}
