//! Any bytes as a mail: no panic, no loop, and nothing in the meaning that must not be there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::channel::Interpret;
use tributary::channel::email::read::Reader;
use tributary::channel::shared::sign::Signer;
use tributary::model::{Address, DedupeKey, Event, Inbound, Meaning, Raw, Transport};

fuzz_target!(|bytes: &[u8]| {
    let reader = Reader::new(
        vec![Address::email("support@desk.example")],
        Signer::new(vec![[9; 32]]),
        vec!["mx.desk.example".to_owned()],
    );
    let raw = Raw {
        dedupe: DedupeKey::new("fuzz".to_owned()),
        body: bytes.to_vec().into(),
        transport: Transport::new(),
        received_at: None,
    };
    let Ok(Meaning::Events(events)) = reader.interpret(&raw) else { return };
    for event in events {
        if let Event::Message(inbound) = event {
            check(&inbound);
        }
    }
});

fn check(inbound: &Inbound) {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!inbound.text.is_empty() && !inbound.text_full.is_empty());
    assert!(!inbound.text.contains(control) && !inbound.text_full.contains(control));
    assert!(inbound.subject.iter().all(|subject| !subject.contains(char::is_control)));
    assert!(inbound.sender.name.iter().all(|name| !name.contains(char::is_control)));
    assert!(!inbound.remote_id.as_str().is_empty());
    assert!(inbound.thread.parents.iter().all(|id| !id.as_str().trim().is_empty()));
    // Nobody can forge what our key signs.
    assert!(inbound.thread.tokens.is_empty());
    for media in &inbound.media {
        let name = &media.name;
        assert!(!name.is_empty() && !name.contains(['/', '\\']) && !name.contains(char::is_control));
        assert!(!media.mime.is_empty());
    }
}
