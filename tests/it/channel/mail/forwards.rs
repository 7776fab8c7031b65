//! COMPLAINTS C4 (zm#1596, zm#1351, fs#1177): a customer's mail that an agent hands on. Whose it was and who wrote
//! what is read in the forms of the usual programs.

use tributary::model::{Flag, Forward};

use super::corpus::mails;
use super::{DESK, read};

fn handed_on(subject: &str, text: &str) -> Option<Forward> {
    let mail = format!(
        "From: Anna <anna@desk.example>\r\nTo: {DESK}\r\nSubject: {subject}\r\n\
         Message-ID: <f1@desk.example>\r\nDate: Tue, 3 Mar 2026 10:15:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}",
        text.replace('\n', "\r\n")
    );
    read(mail.as_bytes()).0.wishes.forward.map(|one| *one)
}

/// Name, address, subject, what stood above, and the words.
fn parts(one: &Forward) -> (&str, &str, &str, &str, &str) {
    (
        one.from.name.as_deref().unwrap_or_default(),
        &one.from.address.value,
        one.subject.as_deref().unwrap_or_default(),
        &one.above,
        &one.text,
    )
}

/// Program, subject, and text of a mail that it hands on.
const FORMS: &[(&str, &str, &str)] = &[
    (
        "Gmail",
        "Fwd: Lost",
        "Please help her.\n\n---------- Forwarded message ---------\nFrom: Jane Doe <jane@customer.example>\nDate: Tue, Mar 3, 2026 at 9:00 AM\nSubject: Lost\nTo: <anna@desk.example>\n\n\nI lost it.",
    ),
    (
        "Apple Mail",
        "Fwd: Lost",
        "Please help her.\n\n> Begin forwarded message:\n> \n> From: Jane Doe <jane@customer.example>\n> Subject: Lost\n> Date: 3 March 2026 at 09:00:00 GMT\n> To: anna@desk.example\n> \n> I lost it.",
    ),
    (
        "Apple Mail, Chinese",
        "转发：Lost",
        "Please help her.\n\n下面是被转发的邮件：\n\n发件人: Jane Doe <jane@customer.example>\n主题: Lost\n日期: 2026年3月3日 GMT+8 09:00:00\n收件人: anna@desk.example\n\nI lost it.",
    ),
    (
        "Outlook",
        "FW: Lost",
        "Please help her.\n\nFrom: Jane Doe <jane@customer.example>\nSent: Tuesday, March 3, 2026 9:00 AM\nTo: Anna <anna@desk.example>\nCc: Bob <bob@desk.example>;\n Carol <carol@desk.example>\nSubject: Lost\n\nI lost it.",
    ),
    (
        "Outlook of old",
        "WG: Lost",
        "Please help her.\n\n________________________________\nVon: Jane Doe [mailto:jane@customer.example]\nGesendet: Dienstag, 3. März 2026 09:00\nAn: Anna\nBetreff: Lost\n\nI lost it.",
    ),
    (
        "Outlook, Chinese",
        "转发: Lost",
        "Please help her.\n\n发件人: Jane Doe <jane@customer.example>\n发送时间: 2026年3月3日 9:00\n收件人: Anna <anna@desk.example>\n主题: Lost\n\nI lost it.",
    ),
    (
        "Thunderbird",
        "Fwd: Lost",
        "Please help her.\n\n-------- Forwarded Message --------\nSubject: \tLost\nDate: \tTue, 3 Mar 2026 09:00:00 +0000\nFrom: \tJane Doe <jane@customer.example>\nTo: \tanna@desk.example\n\n\n\nI lost it.",
    ),
    (
        "Thunderbird, German",
        "Fwd: Lost",
        "Please help her.\n\n-------- Weitergeleitete Nachricht --------\nBetreff: \tLost\nDatum: \tTue, 3 Mar 2026 09:00:00 +0000\nVon: \tJane Doe <jane@customer.example>\nAn: \tanna@desk.example\n\n\nI lost it.",
    ),
    (
        "QQ",
        "转发：Lost",
        "Please help her.\n\n------------------ 原始邮件 ------------------\n发件人: \"Jane Doe\" <jane@customer.example>;\n发送时间: 2026年3月3日(星期二) 上午9:00\n收件人: \"anna\"<anna@desk.example>;\n主题: Lost\n\nI lost it.",
    ),
    (
        "Foxmail",
        "转发: Lost",
        "Please help her.\n\n发件人： Jane Doe<jane@customer.example>\n发送时间： 2026-03-03 09:00\n收件人： anna\n主题： Lost\n\nI lost it.",
    ),
    (
        "NetEase",
        "转发：Lost",
        "Please help her.\n\n---- 转发的邮件 ----\n| 发件人 | Jane Doe<jane@customer.example> |\n| 日期 | 2026年03月03日 09:00 |\n| 收件人 | anna@desk.example |\n| 主题 | Lost |\n\nI lost it.",
    ),
    (
        "Yahoo",
        "Fw: Lost",
        "Please help her.\n\n----- Forwarded Message -----\nFrom: Jane Doe <jane@customer.example>\nTo: anna@desk.example <anna@desk.example>\nSent: Tuesday, March 3, 2026 at 09:00:00 AM GMT\nSubject: Lost\n\nI lost it.",
    ),
    (
        "French",
        "TR: Lost",
        "Please help her.\n\n---------- Message transféré ---------\nDe : Jane Doe <jane@customer.example>\nDate : mar. 3 mars 2026 à 09:00\nObjet : Lost\nÀ : <anna@desk.example>\n\nI lost it.",
    ),
];

#[test]
fn what_programs_hand_on_is_read_in_their_forms() {
    let jane = ("Jane Doe", "jane@customer.example", "Lost", "Please help her.");
    for (program, subject, text) in FORMS {
        let one =
            handed_on(subject, text).unwrap_or_else(|| panic!("{program}: nothing is handed on"));
        let (name, address, subject, above, words) = parts(&one);
        assert_eq!((name, address, subject, above), jane, "{program}");
        assert_eq!(words, "I lost it.", "{program}");
    }
}

#[test]
fn the_corpus_hands_on_in_many_languages() {
    let mut found = 0;
    for (name, bytes) in mails() {
        if !name.starts_with("forward-inline-") {
            continue;
        }
        let inbound = read(&bytes).0;
        let one = inbound.wishes.forward.unwrap_or_else(|| panic!("{name}"));
        let (who, address, subject, above, words) = parts(&one);
        assert_eq!((who, address, subject), ("Bob", "bob@x.example", "hi"), "{name}");
        assert!(above.starts_with("see this (") && words == "forwarded words", "{name}: {one:?}");
        assert!(inbound.flags.contains(&Flag::Forwarded), "{name}");
        found += 1;
    }
    assert!(found >= 12, "only {found}");
}

#[test]
fn an_attached_mail_is_handed_on_with_its_name() {
    let inner = "From: Jane Doe <jane@customer.example>\r\nTo: anna@desk.example\r\nSubject: Lost\r\n\
         Message-ID: <inner@customer.example>\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\n\r\nI lost it.\r\n";
    let mail = |parts: &str| {
        format!(
            "From: Anna <anna@desk.example>\r\nTo: {DESK}\r\nSubject: a customer\r\nMessage-ID: <f2@desk.example>\r\n\
             Date: Tue, 3 Mar 2026 10:15:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             {parts}--b--\r\n"
        )
    };
    let words =
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nPlease help her.\r\n-- \r\nAnna\r\n";
    let attached = format!("--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}");
    let one = read(mail(&format!("{words}{attached}")).as_bytes()).0.wishes.forward.unwrap();
    let expected = ("Jane Doe", "jane@customer.example", "Lost", "Please help her.", "I lost it.");
    assert_eq!(parts(&one), expected);
    assert_eq!(one.sent_at.unwrap().to_rfc3339(), "2026-03-02T09:00:00+00:00");
    assert_eq!(one.remote_id.unwrap().0, "inner@customer.example");
    // Nobody knows which of two is meant.
    let two = mail(&format!("{words}{attached}{attached}"));
    assert_eq!(read(two.as_bytes()).0.wishes.forward, None);
    let alone = read(mail(&attached).as_bytes()).0.wishes.forward.unwrap();
    assert_eq!(alone.above, "");
}

#[test]
fn what_is_not_handed_on_is_left_alone() {
    for (subject, text) in [
        (
            "Re: Lost",
            "Thanks!\n\nOn Tue, 3 Mar 2026 Jane <jane@customer.example> wrote:\n> I lost it.",
        ),
        ("Lost", "From: Jane\nTo: Bob\nI sent the coins from here to there."),
        // Without an address nobody could be answered.
        (
            "FW: Lost",
            "See below.\n\nFrom: Doe, Jane\nSent: Tuesday\nTo: Anna\nSubject: Lost\n\nI lost it.",
        ),
        // Our own mail.
        (
            "FW: Lost",
            "See below.\n\nFrom: Desk <support@desk.example>\nSent: Tuesday\nTo: Anna\nSubject: Lost\n\nWe look.",
        ),
        ("Fwd: Lost", "no more than this"),
    ] {
        assert_eq!(handed_on(subject, text), None, "{subject}: {text}");
    }
}
