//! Full text: the same words find the same messages on both databases, Chinese ones too.

use tributary::model::Inbound;
use tributary::store::{By, TicketFilter, TicketKey};

use super::{Kit, agent, mail, mail_channel, on_both, start, ticket_of};

on_both! {
    words_of_every_script_are_found
    what_was_deleted_is_not_found
    a_mail_of_any_size_can_be_searched
    a_hostile_query_finds_nothing_and_breaks_nothing
}

fn filter(q: &str) -> TicketFilter {
    TicketFilter {
        status: Vec::new(),
        priority: Vec::new(),
        channel: Vec::new(),
        assignee: None,
        tag: Vec::new(),
        queue: None,
        contact: None,
        updated_after: None,
        waiting: None,
        mentioned: None,
        team: None,
        q: Some(q.to_owned()),
        key: TicketKey::Number,
        descending: false,
        after: None,
        limit: 100,
    }
}

pub(super) async fn found(kit: &Kit, q: &str) -> Vec<i64> {
    let found = kit.store.tickets(&filter(q)).await.unwrap();
    found.iter().map(|ticket| ticket.number).collect()
}

async fn put(kit: &Kit, id: &str, subject: &str, text: &str) {
    let mut inbound: Inbound = mail("anna@customer.example", id);
    inbound.subject = Some(subject.to_owned());
    inbound.text = text.to_owned();
    inbound.text_full = text.to_owned();
    kit.arrive(&mail_channel("mail"), inbound).await;
}

/// S4: desks in which Chinese, Japanese and Korean words find nothing.
async fn words_of_every_script_are_found(kit: Kit) {
    let texts = [
        ("钱包", "我忘记密码了，钱包里的USDT不见了"),
        ("Straße", "Die Überweisung an café-42 ist weg"),
        ("地址", "这个地址的转账没有到账"),
        ("パスワード", "パスワードを忘れました"),
        ("비밀번호", "비밀번호를 잊어버렸어요"),
        ("wallet", "I forgot the password of my wallet, tx 0x1F5e5a"),
        ("кошелёк", "не приходит перевод"),
    ];
    for (number, (subject, text)) in texts.iter().enumerate() {
        put(&kit, &number.to_string(), subject, text).await;
    }
    let table: &[(&str, &[i64])] = &[
        ("密码", &[1]),
        ("钱包", &[1]),
        ("转账", &[3]),
        ("忘记", &[1]),
        ("忘", &[1, 4]),
        ("记密", &[1]),
        ("密记", &[]),
        ("usdt", &[1]),
        ("USDT 密码", &[1]),
        ("strasse", &[2]),
        ("uberweisung cafe", &[2]),
        ("CAFÉ", &[2]),
        ("42", &[2]),
        ("パスワード", &[4]),
        ("비밀번호", &[5]),
        ("password", &[6]),
        ("pass*", &[6]),
        ("pass", &[]),
        ("0x1f5e5a", &[6]),
        ("0x1f*", &[6]),
        ("кошелек", &[]),
        ("кошелёк", &[7]),
        ("anna", &[1, 2, 3, 4, 5, 6, 7]),
        ("anna@customer.example", &[1, 2, 3, 4, 5, 6, 7]),
        ("password anna nobody", &[]),
        ("", &[]),
        (" , ", &[]),
    ];
    for (q, expected) in table {
        assert_eq!(found(&kit, q).await, *expected, "{q:?}");
    }
}

async fn what_was_deleted_is_not_found(kit: Kit) {
    put(&kit, "1", "invoice", "zebra").await;
    put(&kit, "2", "invoice", "zebra").await;
    assert_eq!(found(&kit, "zebra").await, [1, 2]);
    let first = kit.store.tickets(&filter("zebra")).await.unwrap().remove(0);
    let by = By { actor: agent(), version: None, once: None, now: start() };
    kit.store.delete_ticket(first.id.into(), by).await.unwrap();
    assert_eq!(found(&kit, "zebra").await, [2]);
    // Notes and answers are found as well.
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail("b@x.example", "3")).await);
    kit.reply(ticket, "giraffe").await;
    assert_eq!(found(&kit, "giraffe").await, [3]);
}

async fn a_mail_of_any_size_can_be_searched(kit: Kit) {
    // A million different words; a million Chinese characters in one run; one word of a megabyte.
    let words: String = (0..200_000).map(|n| format!("w{n:x} ")).collect();
    let long: String =
        (0..60_000_u32).map(|n| format!("{:032x} ", n.wrapping_mul(2_654_435_761))).collect();
    let run: String = (0..400_000_u32)
        .map(|n| char::from_u32(0x4e00 + n.wrapping_mul(7919) % 20_000).unwrap())
        .collect();
    let one = "x".repeat(1_000_000);
    let mixed = format!("{long}{run}");
    for (number, text) in [words, long, run, one, mixed].iter().enumerate() {
        put(&kit, &number.to_string(), &format!("large{number}"), text).await;
        let expected = i64::try_from(number + 1).unwrap();
        assert_eq!(found(&kit, &format!("large{number}")).await, [expected]);
    }
}

async fn a_hostile_query_finds_nothing_and_breaks_nothing(kit: Kit) {
    put(&kit, "1", "subject", "text").await;
    let long = "word ".repeat(10_000);
    for q in [
        "\"",
        "'",
        "\\",
        "a' | 'b",
        "NEAR(a b)",
        "text AND",
        "text:*",
        "^text",
        "(text",
        "-text",
        "\0text",
        "{text}: x",
        "text'); DROP TABLE ticket; --",
        "*",
        "!text",
        "text & !subject",
        &long,
    ] {
        let outcome = kit.store.tickets(&filter(q)).await;
        assert!(outcome.is_ok(), "{q:?}: {outcome:?}");
    }
    assert_eq!(found(&kit, "text").await, [1]);
}
