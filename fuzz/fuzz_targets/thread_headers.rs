//! Any text in the headers that say which conversation a mail belongs to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::channel::email::thread::{self, Marks};
use tributary::channel::shared::sign::Signer;

fuzz_target!(|text: &str| {
    let signer = Signer::new(vec![[9; 32]]);
    let lines: Vec<&str> = text.split('\n').collect();
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    let marks = Marks {
        addresses: vec![line(0), line(1)],
        in_reply_to: vec![line(2)],
        references: lines.iter().skip(3).copied().collect(),
        subject: Some(line(0)),
    };
    let hint = thread::hint(&signer, &marks);
    assert!(hint.tokens.is_empty(), "nobody can forge what our key signs");
    for parent in &hint.parents {
        let id = parent.as_str();
        assert!(!id.is_empty() && !id.contains(|c: char| c.is_whitespace() || c.is_control()));
    }
    for id in thread::ids(text) {
        // What was read once is read again in the same way.
        assert_eq!(thread::ids(&format!("<{id}>")).len(), 1, "{id:?}");
    }
    let base = thread::base_subject(text);
    assert!(base.len() <= text.len());
    thread::comparable_subject(text);
    thread::subject_tag(text);
    assert!(!(thread::is_forward(text) && thread::is_reply(text)));
    thread::digest(&[text.as_bytes()], text.as_bytes());
});
