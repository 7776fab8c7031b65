//! What holds for any bytes, any text, any reply.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64;
use encoding_rs::Encoding;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tributary::channel::email::compose::{Composed, Letterhead, compose};
use tributary::channel::email::lmtp::{Lmtp, Patience, Recipients};
use tributary::channel::email::read::Reader;
use tributary::channel::email::thread;
use tributary::channel::shared::sign::Signer;
use tributary::channel::{Intake, Interpret, Listen};
use tributary::model::{
    Address, Cause, DeliveryId, Inbound, Meaning, Outbound, OutboundMedia, OwnAddresses, Party,
    Raw, RemoteId, Token,
};

use super::corpus::mails;
use super::{DESK, MX, raw, read, reader, signer};

/// Pieces that mails consist of, so that chance finds more than a wall of letters.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "From: a@b.example\r\n",
        "To: support@desk.example\r\n",
        "Subject: ",
        "=?utf-8?B?6ZKx5YyF?=",
        "=?gb2312?Q?=C7=AE?=",
        "=?",
        "?=",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: text/html; charset=gbk\r\n",
        "Content-Type: text/plain; format=flowed\r\n",
        "Content-Transfer-Encoding: base64\r\n",
        "Content-Transfer-Encoding: quoted-printable\r\n",
        "Content-Disposition: attachment; filename*0*=utf-8''%E9",
        "; filename*1=x\r\n",
        "\r\n\r\n",
        "--b\r\n",
        "--b--\r\n",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "> ",
        "On 3 May 2026 10:00 a <a@b.c> wrote:\n",
        "-----Original Message-----\n",
        "-- \n",
        "begin 644 a\n#0V%T\nend\n",
        "<div class=gmail_quote>",
        "<blockquote type=cite>",
        "</div>",
        "<table><tr>",
        "&nbsp;",
        "\u{1b}$B",
        "\u{1b}(B",
        "钱包",
        "Auto-Submitted: auto-replied\r\n",
        "Return-Path: <>\r\n",
        "message/delivery-status",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
        "Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "=C3=A9",
        "=\r\n",
        "In-Reply-To: <>\r\n",
        "References: <a@b> <c\r\n d@e>\r\n",
        "BEGIN:VEVENT\nSUMMARY:x\n",
    ]);
    prop_oneof![
        6 => known.prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 0..40),
        2 => "\\PC{0,30}".prop_map(String::into_bytes),
    ]
}

fn mailish() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

/// What no mail may put before an agent.
fn check(inbound: &Inbound) {
    let control = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!inbound.text.is_empty() && !inbound.text.contains(control), "{:?}", inbound.text);
    assert!(!inbound.text_full.is_empty() && !inbound.text_full.contains(control));
    // «[1 attachment: a.pdf]» instead of nothing but «Sent from my phone».
    let made_up = !inbound.media.is_empty() && inbound.text.starts_with('[');
    assert!(
        made_up || is_taken_from(&inbound.text, &inbound.text_full),
        "{:?} of {:?}",
        inbound.text,
        inbound.text_full
    );
    assert!(inbound.subject.iter().all(|subject| !subject.contains(char::is_control)));
    assert!(inbound.sender.name.iter().all(|name| !name.contains(char::is_control)));
    assert!(inbound.thread.parents.iter().all(|id| !id.as_str().trim().is_empty()));
    for media in &inbound.media {
        assert!(!media.name.is_empty() && !media.name.contains(['/', '\\', '\n', '\0']));
    }
}

/// The new words are the whole text with something left out, never anything else.
fn is_taken_from(part: &str, whole: &str) -> bool {
    let filled = |c: &char| !c.is_whitespace();
    let mut rest = whole.chars().filter(filled);
    part.chars().filter(filled).all(|wanted| rest.any(|c| c == wanted))
}

fn interpret(bytes: &[u8]) {
    if let Ok(Meaning::Events(_)) = reader().interpret(&raw(bytes)) {
        check(&read(bytes).0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_are_a_mail_or_none(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        interpret(&bytes);
    }

    #[test]
    fn any_pieces_of_mails_are_a_mail_or_none(bytes in mailish()) {
        interpret(&bytes);
    }

    // COMPLAINTS W1, W4
    #[test]
    fn no_text_gives_an_empty_parent(parent in "[<> @a\\r\\n\\t.,]{0,30}", chain in "[<> @a\\r\\n\\t.,\\PC]{0,60}") {
        let mail = format!("From: a@b.example\r\nIn-Reply-To: {}\r\nReferences: {}\r\n\r\nx",
            parent.replace(['\r', '\n'], "\r\n "), chain.replace(['\r', '\n'], "\r\n "));
        for id in read(mail.as_bytes()).0.thread.parents {
            prop_assert!(!id.as_str().is_empty());
            prop_assert!(!id.as_str().contains(|c: char| c.is_whitespace() || c == '<' || c == '>'), "{:?}", id);
        }
    }

    #[test]
    fn folding_changes_no_subject(words in prop::collection::vec("[!-~&&[^=?]]{1,30}|[а-яё]{1,10}|[一-龥]{1,10}", 1..12), fold in any::<u16>()) {
        let subject = words.join(" ");
        let mut folded = String::new();
        for (at, word) in words.iter().enumerate() {
            if at > 0 {
                folded.push_str(if fold >> (at % 16) & 1 == 1 { "\r\n " } else { " " });
            }
            folded.push_str(word);
        }
        let mail = format!("From: a@b.example\r\nSubject: {folded}\r\n\r\nx");
        prop_assert_eq!(read(mail.as_bytes()).0.subject, Some(subject));
    }

    // COMPLAINTS E2
    #[test]
    fn words_may_be_cut_anywhere(text in "[一-龥а-яёぁ-ん가-힣!-~&&[^=?_]]{1,40}", cut in 1_usize..30, q in any::<bool>()) {
        let word = |bytes: &[u8]| if q {
            let hex: String = bytes.iter().map(|byte| format!("={byte:02X}")).collect();
            format!("=?utf-8?Q?{hex}?=")
        } else {
            format!("=?utf-8?B?{}?=", BASE64.encode(bytes))
        };
        let words: Vec<String> = text.as_bytes().chunks(cut).map(word).collect();
        let mail = format!("From: a@b.example\r\nSubject: {}\r\n\r\nx", words.join("\r\n "));
        prop_assert_eq!(read(mail.as_bytes()).0.subject, Some(text));
    }
}

/// Words as people write them, for each charset that such words are written in.
const SCRIPTS: &[(&[&str], &str)] = &[
    (&["utf-8"], "Größe 钱包 кошелёк 財布 지갑 กระเป๋า محفظة"),
    (&["gb2312", "gbk", "gb18030"], "我的钱包余额显示不正确 请尽快帮我检查一下 谢谢"),
    (&["big5"], "我的錢包餘額顯示不正確 請儘快幫我檢查一下 謝謝"),
    (
        &["shift_jis", "euc-jp", "iso-2022-jp"],
        "財布の残高が正しくありません 至急ご確認をお願いします",
    ),
    (&["euc-kr"], "지갑 잔액이 올바르게 표시되지 않습니다 확인 부탁드립니다"),
    (
        &["koi8-r", "windows-1251", "iso-8859-5", "ibm866"],
        "Баланс моего кошелька показан неверно помогите пожалуйста",
    ),
    (&["windows-1250", "iso-8859-2"], "Saldo mojego portfela jest złe proszę o pomoc żółć"),
    (
        &["windows-1252", "iso-8859-1", "iso-8859-15"],
        "Mein Guthaben fehlt für größere Beträge café señor",
    ),
    (&["windows-1253", "iso-8859-7"], "Το υπόλοιπο στο πορτοφόλι μου είναι λάθος"),
    (&["windows-1254", "iso-8859-9"], "Cüzdanımdaki bakiye yanlış görünüyor lütfen yardım edin"),
    (&["windows-1255"], "היתרה בארנק שלי שגויה אנא עזרו"),
    (&["windows-1256", "iso-8859-6"], "الرصيد في محفظتي غير صحيح"),
    (&["windows-874"], "ยอดเงินในกระเป๋าของฉันไม่ถูกต้อง"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // COMPLAINTS E1, E7, E12, E13
    #[test]
    fn what_was_written_in_a_charset_is_read_back(script in prop::sample::select(SCRIPTS.to_vec()), order in prop::collection::vec(any::<prop::sample::Index>(), 3..7)) {
        let (labels, sample) = script;
        let words: Vec<&str> = sample.split(' ').collect();
        let text: Vec<&str> = order.iter().map(|index| *index.get(&words)).collect();
        let text = text.join(" ");
        for label in labels {
            let (bytes, _, failed) = Encoding::for_label(label.as_bytes()).unwrap().encode(&text);
            prop_assert!(!failed, "{} cannot hold {}", label, text);
            let mail = format!("From: a@b.example\r\nSubject: =?{label}?B?{0}?=\r\nContent-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: base64\r\n\r\n{0}\r\n", BASE64.encode(&bytes));
            let (inbound, _) = read(mail.as_bytes());
            prop_assert_eq!(&inbound.text_full, &text, "{}", label);
            prop_assert_eq!(inbound.subject.as_deref(), Some(text.as_str()), "{}", label);
        }
    }

    #[test]
    fn no_bytes_hurt_any_charset(label in "[a-z0-9_-]{0,12}|utf-7|hz|iso-2022-kr|iso-2022-jp|utf-16|gb18030|cp850", bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let mail = format!("From: a@b.example\r\nContent-Type: text/plain; charset={label}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", BASE64.encode(&bytes));
        interpret(mail.as_bytes());
        let html = mail.replace("text/plain", "text/html");
        interpret(html.as_bytes());
    }
}

// ---- replies ------------------------------------------------------------------------------------

/// Words of many scripts, as an agent or a customer types them.
fn words() -> impl Strategy<Value = String> {
    let word = "[a-zA-Z0-9]{1,12}|[一-龥]{1,8}|[а-яё]{1,10}|[ぁ-んァ-ン]{1,8}|[가-힣]{1,6}|[ก-ฮ]{1,6}|[א-ת]{1,6}|[ا-ي]{1,6}|🦀|👍|[äöüßéèñç]{1,6}";
    prop::collection::vec(word, 1..8).prop_map(|words| words.join(" "))
}

/// Several lines, among them empty ones, long ones and lone dots.
fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        6 => words(),
        1 => Just(String::new()),
        1 => Just(".".to_owned()),
        1 => Just("..x".to_owned()),
        1 => Just("From here on".to_owned()),
        1 => words().prop_map(|words| words.repeat(60)),
    ];
    (words(), prop::collection::vec(line, 0..8), words()).prop_map(|(first, lines, last)| {
        let text = format!("{first}\n{}\n{last}", lines.join("\n"));
        let mut kept: Vec<&str> = Vec::new();
        for line in text.split('\n') {
            if !line.is_empty() || kept.last().is_some_and(|last| !last.is_empty()) {
                kept.push(line);
            }
        }
        kept.join("\n")
    })
}

fn letterhead() -> Letterhead {
    Letterhead {
        address: DESK.to_owned(),
        name: Some("Desk".to_owned()),
        agent_name: "{agent}".to_owned(),
        subject_tag: false,
        plus_address: true,
        signature: None,
        signature_html: None,
        own: OwnAddresses([Address::email(DESK)].into()),
        signer: signer(),
    }
}

fn outbound(text: String) -> Outbound {
    Outbound {
        delivery: DeliveryId::new(),
        ticket_number: 42,
        to: Party { address: Address::email("jane@customer.example"), name: None },
        cc: Vec::new(),
        thread: None,
        in_reply_to: None,
        references: Vec::new(),
        subject: None,
        text,
        html: None,
        media: Vec::new(),
        author: None,
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

/// The customer's side: another desk, with other keys.
fn at_the_customer(composed: &Composed) -> Inbound {
    let customer = Address::email("jane@customer.example");
    let reader = Reader::new(vec![customer], Signer::new(vec![[8; 32]]), vec![MX.to_owned()]);
    let Meaning::Events(events) = reader.interpret(&raw(&composed.bytes)).unwrap() else {
        panic!("ignored")
    };
    for event in events {
        if let tributary::model::Event::Message(inbound) = event {
            return *inbound;
        }
    }
    panic!("no message");
}

/// Header names, and the longest line of the whole mail.
fn shape(composed: &Composed) -> (Vec<String>, usize) {
    let text = String::from_utf8_lossy(&composed.bytes);
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    let names = names.map(|line| line.split(':').next().unwrap().to_ascii_lowercase()).collect();
    (names, composed.bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max().unwrap())
}

const HEADERS: &[&str] = &[
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "thread-topic",
    "thread-index",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
    "x-auto-response-suppress",
    "precedence",
    "x-tributary-loop",
];

fn is_clean(composed: &Composed) -> Result<(), TestCaseError> {
    let (names, longest) = shape(composed);
    for (at, name) in names.iter().enumerate() {
        prop_assert!(HEADERS.contains(&name.as_str()), "{} among {:?}", name, names);
        prop_assert!(!names[..at].contains(name), "{} twice", name);
    }
    prop_assert!(longest <= 999, "a line of {} bytes", longest);
    prop_assert!(composed.bytes.windows(2).all(|pair| (pair[1] == b'\n') == (pair[0] == b'\r')));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn a_reply_is_read_as_it_was_written(text in text(), subject in words(), name in words(), author in words(), files in prop::collection::vec(words(), 0..3)) {
        let media = files.iter().map(|name| OutboundMedia {
            name: format!("{name}.pdf"), mime: "application/pdf".to_owned(), content_id: None, bytes: b"%PDF".to_vec().into(),
        }).collect();
        let to = Party { address: Address::email("jane@customer.example"), name: Some(name.clone()) };
        let outbound = Outbound { to, subject: Some(subject.clone()), author: Some(author.clone()), media, ..outbound(text.clone()) };
        let composed = compose(&letterhead(), &outbound).unwrap();
        is_clean(&composed)?;
        let inbound = at_the_customer(&composed);
        prop_assert_eq!(inbound.text_full, text);
        prop_assert_eq!(inbound.subject, Some(subject));
        prop_assert_eq!(inbound.sender.name, Some(author));
        prop_assert_eq!(inbound.recipients[0].name.as_deref(), Some(name.as_str()));
        let names: Vec<String> = inbound.media.into_iter().map(|media| media.name).collect();
        prop_assert_eq!(names, files.iter().map(|name| format!("{name}.pdf")).collect::<Vec<_>>());
    }

    // FAULTS 111, 112
    #[test]
    fn nothing_that_anybody_types_becomes_a_header(subject in "\\PC{0,40}|[\\x00-\\x7f]{0,60}|(a|\r\nBcc: x@y.example|\r\n\r\n|=\\?|\u{2028}){0,6}", name in "[\\x00-\\x7f]{0,40}|(\"|\r|\n|<|,|ж){0,20}", file in "[\\x00-\\x7f]{0,40}", id in "[\\x00-\\x7f]{0,40}", text in "[\\x00-\\x7f]{0,200}|[\r\n.]{0,40}") {
        let to = Party { address: Address::email("jane@customer.example"), name: Some(name.clone()) };
        let media = vec![OutboundMedia { name: file, mime: id.clone(), content_id: Some(id.clone()), bytes: text.clone().into() }];
        let outbound = Outbound {
            to: to.clone(), cc: vec![to, Party { address: Address::email("bob@customer.example"), name: Some(name.clone()) }],
            subject: Some(subject), author: Some(name), media, in_reply_to: Some(RemoteId::new(id.clone())),
            references: vec![RemoteId::new(id)], ..outbound(text)
        };
        is_clean(&compose(&letterhead(), &outbound).unwrap())?;
    }

    // COMPLAINTS W3, S2; FAULTS 91, 101
    #[test]
    fn a_mark_comes_back_whole_or_not_at_all(number in 1_u64..1_000_000_000, at in any::<prop::sample::Index>(), letter in "[a-z2-7]") {
        let delivery = DeliveryId::new();
        let address = thread::reply_address(&signer(), number, DESK);
        let id = thread::message_id(&signer(), delivery, "desk.example");
        let tokens = |address: &str, id: &str| {
            let mail = format!("From: a@b.example\r\nTo: {address}\r\nIn-Reply-To: <{id}>\r\n\r\nx");
            read(mail.as_bytes()).0.thread.tokens
        };
        prop_assert_eq!(tokens(&address, &id), [Token::Ticket(number), Token::Delivery(delivery)]);
        prop_assert_eq!(tokens(&address.to_uppercase(), &id.to_uppercase()), [Token::Ticket(number), Token::Delivery(delivery)]);
        let tampered = |text: &str| {
            let from = text.find('+').map_or(0, |plus| plus + 1);
            let at = from + at.index(text.find('@').unwrap() - from);
            let mut bytes = text.as_bytes().to_vec();
            let letter = letter.as_bytes()[0];
            let same = bytes[at].eq_ignore_ascii_case(&letter);
            bytes[at] = if same { if letter == b'a' { b'b' } else { b'a' } } else { letter };
            String::from_utf8(bytes).unwrap()
        };
        prop_assert_eq!(tokens(&tampered(&address), &tampered(&id)), []);
    }
}

#[derive(Default)]
struct Store(Mutex<Vec<Raw>>);

#[async_trait]
impl Intake for Store {
    async fn take(&self, raws: Vec<Raw>) -> Result<(), Cause> {
        self.0.lock().unwrap().extend(raws);
        Ok(())
    }
}

/// What the server says and takes when `wire` comes in pieces of these sizes.
fn session(wire: &[u8], sizes: &[usize]) -> (Vec<u8>, Vec<Raw>) {
    const LIMIT: Duration = Duration::from_secs(20);
    let lmtp = Lmtp {
        listen: String::new(),
        host: "desk.example".to_owned(),
        recipients: Recipients::Any,
        size_max: 4096,
        patience: Patience { command: LIMIT, piece: LIMIT, mail: LIMIT },
        verifier: None,
    };
    let store = Store::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let output = runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (mut from, mut to) = tokio::io::split(ours);
        let write = async {
            let mut rest = wire;
            for size in sizes.iter().cycle() {
                let (piece, tail) = rest.split_at((*size).min(rest.len()));
                if to.write_all(piece).await.is_err() || tail.is_empty() {
                    break;
                }
                tokio::task::yield_now().await;
                rest = tail;
            }
            to.shutdown().await.ok();
        };
        let mut output = Vec::new();
        let both = async {
            tokio::join!(write, from.read_to_end(&mut output), lmtp.serve(Box::new(theirs), &store))
        };
        let ended = tokio::time::timeout(LIMIT, both).await;
        assert!(ended.is_ok(), "the session hangs");
        output
    });
    (output, store.0.into_inner().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_session_is_the_same_in_pieces_of_any_size(mail in mailish(), sizes in prop::collection::vec(1_usize..40, 1..20)) {
        let stuffed: Vec<u8> = String::from_utf8_lossy(&mail).replace("\r\n.", "\r\n..").into_bytes();
        let wire = [b"LHLO mx.test\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<support@desk.example>\r\nDATA\r\nX: y\r\n".as_slice(), &stuffed, b"\r\n.\r\nQUIT\r\n"].concat();
        let (said, taken) = session(&wire, &sizes);
        let (said_at_once, taken_at_once) = session(&wire, &[wire.len()]);
        prop_assert_eq!(taken.len(), taken_at_once.len());
        prop_assert_eq!(said, said_at_once);
        for (one, other) in taken.iter().zip(&taken_at_once) {
            prop_assert_eq!(&one.body, &other.body);
        }
    }

    #[test]
    fn any_bytes_end_a_session(bytes in prop::collection::vec(any::<u8>(), 0..400), sizes in prop::collection::vec(1_usize..40, 1..5)) {
        let (said, taken) = session(&bytes, &sizes);
        prop_assert!(said.starts_with(b"220 ") && taken.is_empty());
    }
}

#[test]
fn a_mail_that_was_cut_anywhere_is_still_read() {
    for (name, bytes) in mails() {
        let step = (bytes.len() / 12).max(1);
        for cut in (1..bytes.len()).step_by(step) {
            let part = &bytes[..cut];
            let read = std::panic::catch_unwind(|| interpret(part));
            assert!(read.is_ok(), "{name} cut at {cut}");
        }
    }
}
