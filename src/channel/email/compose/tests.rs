use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::model::{DeliveryId, OutboundMedia, RemoteId};

fn letterhead() -> Letterhead {
    Letterhead {
        address: "support@desk.test".to_owned(),
        name: Some("Desk Support".to_owned()),
        agent_name: "{agent} ({name})".to_owned(),
        subject_tag: true,
        plus_address: true,
        signature: Some("{agent}\n{name}, case {number}".to_owned()),
        signature_html: None,
        own: OwnAddresses([Address::email("support@desk.test")].into()),
        signer: Signer::new(vec![[7; 32]]),
    }
}

fn party(address: &str, name: Option<&str>) -> Party {
    Party { address: Address::email(address), name: name.map(str::to_owned) }
}

fn outbound() -> Outbound {
    Outbound {
        delivery: "0192f0c4-7a10-7c3e-8f00-0000000000aa".parse().unwrap(),
        ticket_number: 42,
        to: party("ann@example.test", Some("Ann 王")),
        cc: vec![],
        thread: None,
        in_reply_to: Some(RemoteId::new("<q1@example.test>")),
        references: vec![RemoteId::new("<q0@example.test>")],
        subject: Some("Re: AW: Where is my order?".to_owned()),
        text: "Dear Ann,\nit is on its way: https://track.test/?a=1&b=2.\n.\n好的".to_owned(),
        html: None,
        media: vec![],
        author: Some("Bob".to_owned()),
        automated: false,
        private: false,
        choices: Vec::new(),
        language: None,
        bridge: None,
        signature: None,
        begun_at: chrono::DateTime::UNIX_EPOCH,
        tried_since: None,
        customer_wrote_at: None,
        template: None,
    }
}

fn text_of(composed: &Composed) -> String {
    String::from_utf8(composed.bytes.clone()).unwrap()
}

fn head_of(composed: &Composed) -> String {
    text_of(composed).split_once("\r\n\r\n").unwrap().0.to_owned()
}

#[test]
fn a_reply_says_what_it_answers_and_who_wrote_it() {
    let composed = compose(&letterhead(), &outbound()).unwrap();
    let mail = MessageParser::new().parse(&composed.bytes).unwrap();
    assert_eq!(mail.subject(), Some("Re: [#42] Where is my order?"));
    let from = mail.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("Bob (Desk Support)"));
    assert_eq!(from.address(), Some("support@desk.test"));
    assert_eq!(mail.to().unwrap().first().unwrap().name(), Some("Ann 王"));
    assert_eq!(mail.message_id(), Some(composed.message_id.trim_matches(['<', '>'])));
    assert_eq!(mail.in_reply_to().as_text(), Some("q1@example.test"));
    assert_eq!(
        mail.references().as_text_list().unwrap().to_vec(),
        ["q0@example.test", "q1@example.test"]
    );
    let reply = mail.reply_to().unwrap();
    let token = letterhead().signer.ticket(42);
    assert!(reply.iter().any(|it| it.address() == Some(&format!("support+{token}@desk.test"))));
    assert_eq!(mail.date().unwrap().to_rfc3339(), "2024-11-03T06:44:21Z");
    for absent in ["Auto-Submitted", "Bcc", "X-Tributary-Loop"] {
        assert!(mail.header(absent).is_none(), "{absent} on a mail that a human wrote");
    }
}

#[test]
fn text_and_html_say_the_same_and_end_with_the_signature() {
    let mail = compose(&letterhead(), &outbound()).unwrap();
    let mail = MessageParser::new().parse(&mail.bytes).unwrap();
    let text = mail.body_text(0).unwrap();
    assert!(text.contains("\n.\r\n好的") || text.contains("\n.\n好的"), "{text}");
    assert!(text.trim_end().ends_with("case 42"), "{text}");
    let html = mail.body_html(0).unwrap();
    let link = r#"<a href="https://track.test/?a=1&amp;b=2">https://track.test/?a=1&amp;b=2</a>."#;
    assert!(html.contains(link), "{html}");
    assert!(html.contains("Bob<br>"), "{html}");
}

#[test]
fn what_the_desk_chose_stands_below_instead_of_the_channels_own() {
    let signature = Some("Ann <x>\nChain team".to_owned());
    let mail = compose(&letterhead(), &Outbound { signature, ..outbound() }).unwrap();
    let mail = MessageParser::new().parse(&mail.bytes).unwrap();
    let text = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert!(text.trim_end().ends_with("\n\n-- \nAnn <x>\nChain team"), "{text}");
    let html = mail.body_html(0).unwrap();
    assert!(html.contains("Ann &lt;x&gt;<br>"), "{html}");
    assert!(!text.contains("case 42") && !html.contains("case 42"));
}

#[test]
fn html_of_an_agent_is_sent_as_it_is() {
    let html = Some("<p>Hello <img src=\"cid:logo@x\"></p>".to_owned());
    let picture = OutboundMedia {
        name: "logo.png".to_owned(),
        mime: "image/png".to_owned(),
        content_id: Some("logo@x".to_owned()),
        bytes: vec![1, 2, 3].into(),
    };
    let mail = compose(&letterhead(), &Outbound { html, media: vec![picture], ..outbound() });
    let mail = mail.unwrap();
    let mail = MessageParser::new().parse(&mail.bytes).unwrap();
    assert!(mail.body_html(0).unwrap().contains("<img src=\"cid:logo@x\">"));
    let picture = mail.parts.iter().find(|part| part.content_id().is_some()).unwrap();
    assert_eq!(picture.content_id(), Some("logo@x"));
    assert_eq!(picture.contents(), [1, 2, 3]);
}

#[test]
fn the_same_bytes_come_out_at_every_attempt() {
    let media = vec![OutboundMedia {
        name: "a.txt".to_owned(),
        mime: "text/plain".to_owned(),
        content_id: None,
        bytes: "a\nb".into(),
    }];
    let outbound = Outbound { media, ..outbound() };
    let first = compose(&letterhead(), &outbound).unwrap();
    assert_eq!(first.bytes, compose(&letterhead(), &outbound).unwrap().bytes);
    let other = Outbound { delivery: DeliveryId::new(), ..outbound };
    assert_ne!(first.message_id, compose(&letterhead(), &other).unwrap().message_id);
}

#[test]
fn attachments_arrive_byte_for_byte() {
    let eml = "Subject: x\r\n\r\nhello\r\n";
    let cases: [(&str, &str, &[u8]); 5] = [
        ("смета 2026.pdf", "application/pdf", &[0, 255, 13, 10, 10]),
        ("../../etc/passwd", "text/plain", b"bare\nline\rends\n"),
        ("x\r\nBcc: eve@evil.test", "image/png\r\nX: y", b"q"),
        ("mail.eml", "message/rfc822", eml.as_bytes()),
        ("", "message/rfc822", "Subject: é\n\nbare".as_bytes()),
    ];
    for (name, mime, bytes) in cases {
        let media = OutboundMedia {
            name: name.to_owned(),
            mime: mime.to_owned(),
            content_id: None,
            bytes: bytes.to_vec().into(),
        };
        let composed = compose(&letterhead(), &Outbound { media: vec![media], ..outbound() });
        let composed = composed.unwrap();
        let mail = MessageParser::new().parse(&composed.bytes).unwrap();
        let part = mail.attachments().next().unwrap();
        if let PartType::Message(inner) = &part.body {
            assert_eq!(inner.raw_message(), bytes, "{name}");
        } else {
            assert_eq!(part.contents(), bytes, "{name}");
        }
        let shown = part.attachment_name().unwrap();
        assert!(!shown.contains(['/', '\r', '\n']) && !shown.is_empty(), "{shown}");
        assert!(!text_of(&composed).contains("\r\nBcc:"));
    }
}

/// COMPLAINTS B13: what a machine wrote goes to the one who asked, and to nobody else.
#[test]
fn automatic_mail_is_marked_and_has_no_copies_and_no_sender() {
    let outbound = Outbound {
        automated: true,
        author: None,
        cc: vec![party("boss@example.test", None)],
        ..outbound()
    };
    let composed = compose(&letterhead(), &outbound).unwrap();
    let head = head_of(&composed);
    assert!(composed.cc.is_empty() && composed.sender.is_none());
    for line in [
        "Auto-Submitted: auto-replied",
        "X-Auto-Response-Suppress: All",
        "Precedence: bulk",
        "X-Tributary-Loop: support@desk.test",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    assert!(!head.contains("boss@"), "{head}");
}

/// COMPLAINTS W17: Outlook threads by these.
#[test]
fn every_mail_of_a_ticket_has_the_same_thread_header() {
    let index = |outbound: &Outbound| {
        use base64::Engine;
        let head = head_of(&compose(&letterhead(), outbound).unwrap());
        let line = head.lines().find_map(|line| line.strip_prefix("Thread-Index: ")).unwrap();
        base64::engine::general_purpose::STANDARD.decode(line).unwrap()
    };
    let first = Outbound { in_reply_to: None, references: vec![], ..outbound() };
    let later = Outbound { delivery: DeliveryId::new(), ..outbound() };
    let elsewhere = Outbound { ticket_number: 43, ..outbound() };
    let (first, second, later) = (index(&first), index(&outbound()), index(&later));
    assert_eq!(first.len(), 22);
    assert_eq!((second.len(), later.len()), (27, 27));
    assert_eq!(first, second[..22]);
    assert_eq!(first, later[..22]);
    assert!(second[22..26] < later[22..26], "a later mail has a later child block");
    assert_ne!(first, index(&elsewhere)[..22]);
}

/// COMPLAINTS W18: the answer to a mail that an agent began finds its way by the id and the token.
#[test]
fn the_first_mail_of_a_ticket_carries_the_tokens_without_re() {
    let first = Outbound { in_reply_to: None, references: vec![], ..outbound() };
    let composed = compose(&letterhead(), &first).unwrap();
    let mail = MessageParser::new().parse(&composed.bytes).unwrap();
    assert_eq!(mail.subject(), Some("[#42] Where is my order?"));
    let token = composed.message_id.trim_start_matches('<').split_once('@').unwrap().0;
    assert_eq!(letterhead().signer.read_delivery(token), Some(first.delivery));
    assert!(head_of(&composed).contains(&letterhead().signer.ticket(42)));
    assert!(!head_of(&composed).contains("In-Reply-To"));
}

#[test]
fn copies_go_to_everybody_once_and_never_to_us() {
    let cc = vec![
        party("boss@example.test", Some("The, Boss")),
        party("BOSS@example.test", None),
        party("ann@example.test", None),
        party("support+t1.x@desk.test", None),
        party("not an address", None),
        party("用户@example.test", None),
        party("x@bücher.test", None),
    ];
    let composed = compose(&letterhead(), &Outbound { cc, ..outbound() }).unwrap();
    let cc: Vec<String> = composed.cc.iter().map(ToString::to_string).collect();
    assert_eq!(cc, ["boss@example.test", "用户@example.test", "x@xn--bcher-kva.test"]);
    assert_eq!(composed.skipped, ["not an address"]);
}

#[test]
fn nothing_is_sent_to_ourselves_or_to_no_address() {
    let to_us = Outbound { to: party("support+x@desk.test", None), ..outbound() };
    assert!(matches!(compose(&letterhead(), &to_us), Err(NotComposable::Ourselves(_))));
    for broken in ["", "ann", "a@b@", "a b@c.test", "a@c.test>\r\nRCPT TO:<eve@evil.test", "a@"] {
        let outbound = Outbound { to: party(broken, None), ..outbound() };
        let refused = compose(&letterhead(), &outbound);
        assert!(matches!(refused, Err(NotComposable::Recipient(_))), "{broken}: {refused:?}");
    }
}

#[test]
fn of_many_references_the_first_and_the_last_are_kept() {
    let references = (0..60).map(|n| RemoteId::new(format!("<m{n}@x.test>"))).collect();
    let ids = message_ids(&Outbound { references, ..outbound() }, REFERENCES_MAX);
    assert_eq!(ids.chain.len(), REFERENCES_MAX);
    assert_eq!(ids.chain[0], "<m0@x.test>");
    assert_eq!(ids.chain[1], "<m42@x.test>");
    assert_eq!(ids.chain[19], "<q1@example.test>");
}

/// CRATES 2b: lettre would make an encoded word of a bad id, which is no id.
#[test]
fn ids_that_are_none_are_left_out() {
    let bad = ["", "<>", "<a b@c>", "<é@x>", "<a@x>\r\nBcc: eve@evil.test", "a@x><b@x"];
    let references = bad.into_iter().map(RemoteId::new).collect();
    let in_reply_to = Some(RemoteId::new("<a\r\nX: y@x>"));
    let outbound = Outbound { references, in_reply_to, ..outbound() };
    let ids = message_ids(&outbound, REFERENCES_MAX);
    assert!(ids.parent.is_none() && ids.chain.is_empty(), "{:?}", ids.chain);
    assert!(compose(&letterhead(), &outbound).is_ok());
}

#[test]
fn prefixes_of_all_languages_become_one_re() {
    for subject in ["Re: Re: x", "AW: WG: x", "回复：Re[3]: x", "FWD:x", "RE：x", "x"] {
        assert_eq!(headers::without_prefixes(subject), "x", "{subject}");
    }
    for subject in ["Report: x", "Re x", "https://x", "Re[x]: y"] {
        assert_eq!(headers::without_prefixes(subject), subject);
    }
}

#[test]
fn a_name_that_looks_like_a_placeholder_stays_a_name() {
    let outbound = Outbound { author: Some("{number} {x} <b>".to_owned()), ..outbound() };
    let mail = compose(&letterhead(), &outbound).unwrap();
    let mail = MessageParser::new().parse(&mail.bytes).unwrap();
    assert!(mail.body_text(0).unwrap().contains("{number} {x} <b>"));
    assert!(mail.body_html(0).unwrap().contains("{number} {x} &lt;b&gt;"));
}

/// Text of every sort that hurts: line ends, dots, controls, long words, encoded words, other scripts.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("\r\nBcc: eve@evil.test\r\n".to_owned()),
        Just("\r".to_owned()),
        Just("\n.\n".to_owned()),
        Just("\r\n.\r\nMAIL FROM:<eve@evil.test>\r\n".to_owned()),
        Just("x".repeat(1500)),
        Just("=?utf-8?q?=0D=0ABcc:?=".to_owned()),
        Just("\u{85}\u{2028}\0\u{7f}\"\\<>,;:".to_owned()),
        Just("密码🙂".repeat(40)),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn nasty_outbound() -> impl Strategy<Value = Outbound> {
    let strings = proptest::collection::vec(nasty(), 9);
    (strings, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(
        |(strings, automated, bytes)| {
            let [subject, text, html, to, cc, author, parent, file, mime] =
                strings.try_into().unwrap();
            Outbound {
                subject: Some(subject),
                text,
                html: automated.then_some(html.clone()),
                to: party("ann@example.test", Some(&to)),
                cc: vec![party("boss@example.test", Some(&cc)), party(&cc, None)],
                author: Some(author),
                in_reply_to: Some(RemoteId::new(parent.clone())),
                references: vec![RemoteId::new(parent)],
                media: vec![OutboundMedia {
                    name: file,
                    mime,
                    content_id: Some(html),
                    bytes: bytes.into(),
                }],
                automated,
                ..outbound()
            }
        },
    )
}

/// Names of the headers that we write on purpose.
const HEADERS: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Date",
    "Thread-Topic",
    "Thread-Index",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Precedence",
    "X-Tributary-Loop",
    "MIME-Version",
    "Content-Type",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// FAULTS 111, 112: nothing that anybody writes makes a header, a line too long or a bare line end.
    #[test]
    fn no_text_breaks_out_of_its_place(outbound in nasty_outbound()) {
        let composed = compose(&letterhead(), &outbound).unwrap();
        prop_assert_eq!(fault(&composed.bytes), None);
        let head = head_of(&composed);
        prop_assert!(head.is_ascii());
        for line in head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
            let name = line.split_once(':').map_or(line, |(name, _)| name);
            prop_assert!(HEADERS.contains(&name), "{}", line);
        }
        prop_assert_eq!(head.matches("\r\nSubject:").count(), 1);
        let mail = MessageParser::new().parse(&composed.bytes).unwrap();
        prop_assert_eq!(mail.attachment_count(), 1);
    }

    /// What the customer wrote as a subject comes back as it was, but for controls and prefixes.
    #[test]
    fn subjects_survive_the_encoding(subject in "[ -~é密🙂]{0,300}") {
        let expected = one_line(&subject, SUBJECT_CHARS_MAX);
        let wire = format!("Subject: {}\r\n\r\nx", encoded_text(&expected));
        let mail = MessageParser::new().parse(wire.as_bytes()).unwrap();
        prop_assert_eq!(mail.subject().unwrap_or_default(), expected);
    }

    #[test]
    fn subjects_are_encoded_into_short_lines(subject in nasty()) {
        let line = one_line(&subject, SUBJECT_CHARS_MAX);
        for line in encoded_text(&line).split("\r\n") {
            prop_assert!(line.len() <= 76, "{}", line);
        }
    }
}
