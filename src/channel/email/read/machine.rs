//! Was this written by a machine, and may a machine answer it (RFC 3834, RFC 5230)?

use std::collections::BTreeSet;

use super::headers::Headers;
use crate::model::{Address, Flag, OwnAddresses};

/// What speaks for a machine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// Why nothing may be answered by itself.
    pub(super) reason: Option<&'static str>,
    pub(super) flags: BTreeSet<Flag>,
}

/// What is known beside the headers.
pub(super) struct Facts<'a> {
    pub(super) from: Option<&'a Address>,
    pub(super) own: &'a OwnAddresses,
    /// Empty for `<>`.
    pub(super) mail_from: Option<&'a str>,
    pub(super) subject: &'a str,
}

/// Headers of programs that answer for somebody.
const AUTOREPLY: &[&str] = &[
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-autoreply-from",
    "x-autoreply-domain",
    "x-mail-autoreply",
    "x-auto-response",
];

/// Local parts that no human reads.
const NOBODY: &[&str] = &[
    "mailer-daemon",
    "mail-daemon",
    "mailerdaemon",
    "postmaster",
    "noreply",
    "no-reply",
    "no_reply",
    "no.reply",
    "donotreply",
    "do-not-reply",
    "do_not_reply",
    "do.not.reply",
    "dontreply",
    "nobody",
    "listserv",
    "majordomo",
    "mailman",
    "bounce",
    "bounces",
    "autoreply",
    "auto-reply",
    "notifications",
    "notification",
    "noreply-dmarc-support",
    "abuse-report",
];

/// Subjects of out-of-office notes. Weak: people write such words, too.
const AWAY: &[&str] = &[
    "automatic reply",
    "auto reply",
    "autoreply",
    "auto-reply",
    "out of office",
    "out of the office",
    "automatische antwort",
    "abwesenheit",
    "réponse automatique",
    "absence du bureau",
    "respuesta automática",
    "resposta automática",
    "risposta automatica",
    "automatisch antwoord",
    "autosvar",
    "automatyczna odpowiedź",
    "автоответ",
    "автоматический ответ",
    "otomatik yanıt",
    "trả lời tự động",
    "自动回复",
    "自動回覆",
    "自动答复",
    "自動回信",
    "自動返信",
    "自動応答",
    "不在通知",
    "자동 회신",
    "자동응답",
    "부재중",
    "out-of-office",
    "auto:",
    "away from",
    "i am away",
    "on vacation",
    "abwesend",
    "absence",
    "réponse d'absence",
    "fuera de la oficina",
    "fuera de oficina",
    "ausente",
    "ausência",
    "fora do escritório",
    "fuori ufficio",
    "fuori sede",
    "assenza",
    "afwezig",
    "frånvaro",
    "fravær",
    "poissa",
    "automaattinen",
    "nieobecno",
    "automatická odpověď",
    "automatikus válasz",
    "нет на месте",
    "отсутств",
    "автоматична відповідь",
    "ofis dışında",
    "vắng mặt",
    "ตอบกลับอัตโนมัติ",
    "رد تلقائي",
    "תשובה אוטומטית",
    "自动应答",
    "休假",
    "外出",
    "不在",
];

/// Reads all signs.
pub(super) fn machine(headers: &Headers<'_>, facts: &Facts<'_>) -> Machine {
    let mut machine = Machine::default();
    let submitted = headers.keyword("auto-submitted").unwrap_or_default();
    let submitted = submitted.split([';', ' ', '(']).next().unwrap_or_default().trim().to_owned();
    let precedence = headers.keyword("precedence").unwrap_or_default();
    let list = is_list(headers, &precedence);
    if is_autoreply(headers, facts, &submitted, &precedence) {
        machine.flags.insert(Flag::AutoReply);
    }
    if list {
        machine.flags.insert(Flag::List);
    }
    let nobody = facts.from.is_some_and(|from| is_nobody(&from.value));
    let own = facts.from.is_some_and(|from| facts.own.contains(from));
    let suppress = headers.keyword("x-auto-response-suppress").unwrap_or_default();
    let suppressed =
        suppress.split(',').any(|word| matches!(word.trim(), "all" | "oof" | "autoreply"));
    let through_us = list && is_our_list(headers, facts.own);
    let reasons = [
        (headers.has("x-tributary-loop"), "written by a tributary"),
        (own, "from one of our own addresses"),
        (!submitted.is_empty() && submitted != "no", "marked as automatic (Auto-Submitted)"),
        (returns_nowhere(headers, facts.mail_from), "has no return address (Return-Path: <>)"),
        (AUTOREPLY.iter().any(|name| headers.has(name)), "marked as automatic (X-Autoreply)"),
        (
            matches!(headers.keyword("x-loop").as_deref(), Some("yes" | "true")),
            "marked as automatic (X-Loop)",
        ),
        (headers.has("x-failed-recipients"), "a delivery failure (X-Failed-Recipients)"),
        (machine.flags.contains(&Flag::AutoReply), "an automatic reply"),
        (list && !through_us, "from a mailing list"),
        (
            !through_us && matches!(precedence.as_str(), "bulk" | "junk" | "list" | "auto_reply"),
            "bulk mail (Precedence)",
        ),
        (nobody, "from an address that nobody reads"),
        (headers.has("list-unsubscribe") && !through_us, "bulk mail (List-Unsubscribe)"),
        (suppressed, "asks for no automatic answer (X-Auto-Response-Suppress)"),
    ];
    machine.reason = reasons.into_iter().find(|(holds, _)| *holds).map(|(_, reason)| reason);
    if is_spam(headers) {
        machine.flags.insert(Flag::Spam);
    }
    machine
}

/// The envelope had no sender: a bounce, or another machine.
pub(super) fn returns_nowhere(headers: &Headers<'_>, mail_from: Option<&str>) -> bool {
    match mail_from {
        Some(sender) => sender.trim_matches(['<', '>', ' ']).is_empty(),
        None => headers.first("return-path").is_some_and(|path| {
            String::from_utf8_lossy(path).split_whitespace().collect::<String>() == "<>"
        }),
    }
}

fn is_autoreply(
    headers: &Headers<'_>,
    facts: &Facts<'_>,
    submitted: &str,
    precedence: &str,
) -> bool {
    let marked = submitted == "auto-replied"
        || submitted == "auto-notified"
        || precedence == "auto_reply"
        || AUTOREPLY.iter().any(|name| {
            headers.keyword(name).is_some_and(|value| value != "no" && value != "false")
        });
    let subject = facts.subject.trim_start_matches([' ', '[', '【']).to_lowercase();
    let begins = AWAY.iter().filter_map(|words| subject.strip_prefix(words));
    // `Automatic reply: Wallet` is not how people call what they write.
    let titled = begins.clone().any(|rest| rest.trim_start().starts_with([':', '：']));
    let away = begins.count() > 0
        || ["out of office", "out of the office"].iter().any(|words| subject.contains(words));
    let another_sign = !submitted.is_empty() && submitted != "no"
        || returns_nowhere(headers, facts.mail_from)
        || headers.has("x-auto-response-suppress")
        || headers.has("x-ms-exchange-inbox-rules-loop")
        || headers.keyword("x-qq-style").is_some()
        || headers.keyword("x-qq-mime").is_some_and(|value| value.contains("autoreply"))
        || (titled && headers.has("in-reply-to"))
        || matches!(precedence, "bulk" | "junk");
    // Rules of iCloud that hand a mail on bear the same header.
    let on_holiday = headers.keyword("x-apple-action").is_some_and(|action| action == "vacation");
    marked || on_holiday || (away && another_sign)
}

fn is_list(headers: &Headers<'_>, precedence: &str) -> bool {
    precedence == "list"
        || ["list-id", "list-post", "mailing-list", "x-mailing-list", "x-mailman-version"]
            .iter()
            .any(|name| headers.first(name).is_some())
}

/// Our own address may itself be a list (a group at Google): customers write through it.
fn is_our_list(headers: &Headers<'_>, own: &OwnAddresses) -> bool {
    let text = |name| headers.keyword(name).unwrap_or_default();
    let (post, id) = (text("list-post"), text("list-id"));
    own.0.iter().any(|address| {
        let dotted = address.value.replace('@', ".");
        post.contains(&format!("mailto:{}>", address.value)) || id.contains(&format!("<{dotted}>"))
    })
}

/// An address that no human reads, by its name.
pub(super) fn is_nobody(address: &str) -> bool {
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local).to_lowercase();
    let base = local.split('+').next().unwrap_or(&local);
    NOBODY.contains(&base)
        || base.starts_with("owner-")
        || base.ends_with("-request")
        || base.ends_with("-owner")
        || base.ends_with("-bounces")
        || base.ends_with("noreply")
        || base.ends_with("no-reply")
        || base.starts_with("noreply")
        || base.starts_with("no-reply")
        || base.starts_with("bounce-")
        || base.starts_with("bounces-")
}

fn is_spam(headers: &Headers<'_>) -> bool {
    let says =
        |name: &str, word: &str| headers.keyword(name).is_some_and(|value| value.starts_with(word));
    let level = |name: &str| headers.keyword(name).and_then(|value| value.parse::<i32>().ok());
    says("x-spam-flag", "yes")
        || says("x-spam-status", "yes")
        || says("x-rspamd-action", "reject")
        || says("x-spam", "yes")
        || says("x-qq-spam", "1")
        || level("x-ms-exchange-organization-scl").is_some_and(|level| level >= 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn read(fields: &str, from: &str, subject: &str) -> Machine {
        let mail = format!("{fields}\n\n");
        let (headers, _) = Headers::split(mail.as_bytes());
        let own = OwnAddresses(HashSet::from([Address::email("support@example.com")]));
        let from = Address::email(from);
        machine(&headers, &Facts { from: Some(&from), own: &own, mail_from: None, subject })
    }

    // COMPLAINTS B6; FAULTS 95, 96, 100
    #[test]
    fn machines_are_not_answered() {
        for fields in [
            "Auto-Submitted: auto-replied",
            "Auto-Submitted: auto-generated; type=x",
            "Auto-Submitted: Auto-Replied (vacation)",
            "Return-Path: <>",
            "Return-Path: < >",
            "Precedence: bulk",
            "Precedence: junk",
            "Precedence: list",
            "Precedence: auto_reply",
            "List-Id: News <news.example.net>",
            "List-Unsubscribe: <mailto:x@example.net>",
            "X-Autoreply: yes",
            "X-Autorespond: x",
            "X-Failed-Recipients: a@b.c",
            "X-Auto-Response-Suppress: OOF, AutoReply",
            "X-Tributary-Loop: 1",
            "X-Loop: yes",
        ] {
            assert!(read(fields, "jane@customer.com", "Hello").reason.is_some(), "{fields}");
        }
        for from in [
            "MAILER-DAEMON@x.com",
            "postmaster@x.com",
            "noreply@x.com",
            "no-reply+a1@x.com",
            "list-request@x.com",
            "owner-list@x.com",
            "support@example.com",
            "support+t1.x@example.com",
            "donotreply@x.com",
            "news-bounces@x.com",
        ] {
            assert!(read("X: y", from, "Hello").reason.is_some(), "{from}");
        }
    }

    #[test]
    fn people_are_answered() {
        for fields in [
            "X: y",
            "Auto-Submitted: no",
            "Return-Path: <jane@customer.com>",
            "Precedence: normal",
            "X-Auto-Response-Suppress: DR, RN, NRN",
            "X-Tributary-Role: admin",
            "X-Loop: jane@customer.com",
            "List-Id: <support.example.com>\nPrecedence: list\nList-Post: <mailto:support@example.com>\nList-Unsubscribe: <mailto:x@y>",
        ] {
            assert_eq!(read(fields, "jane@customer.com", "Hello").reason, None, "{fields}");
        }
        for (fields, subject) in [
            ("X: y", "自动回复 setting does not work"),
            ("X: y", "Out of office wallet?"),
            ("X: y", "Automatic reply: how do I set one?"),
            ("In-Reply-To: <1@example.com>", "Re: Automatic reply: Wallet"),
            ("X-Apple-Action: FORWARD", "Wallet"),
        ] {
            let machine = read(fields, "jane@customer.com", subject);
            assert_eq!(machine, Machine::default(), "{subject}");
        }
    }

    #[test]
    fn away_notes_are_flagged_by_two_signs() {
        for (fields, subject) in [
            ("Return-Path: <>", "自动回复: Wallet"),
            ("X-Auto-Response-Suppress: All", "Automatic reply: Wallet"),
            ("Precedence: bulk", "自動返信：Wallet"),
            ("Auto-Submitted: auto-generated", "Abwesenheitsnotiz"),
            ("Auto-Submitted: auto-generated", "Jane Doe is out of the office"),
            ("Auto-Submitted: auto-replied", "anything"),
            ("X-Apple-Action: VACATION", "Wallet"),
            ("In-Reply-To: <1@example.com>", "Automatic reply: Wallet"),
            ("Precedence: bulk", "[Automatyczna odpowiedź] Wallet"),
        ] {
            let machine = read(fields, "jane@customer.com", subject);
            assert!(machine.flags.contains(&Flag::AutoReply), "{fields} {subject}");
        }
        assert!(
            !read("Auto-Submitted: auto-generated", "a@b.c", "Report")
                .flags
                .contains(&Flag::AutoReply)
        );
    }

    #[test]
    fn spam_is_what_the_filter_says() {
        for fields in
            ["X-Spam-Flag: YES", "X-Spam-Status: Yes, score=9", "X-MS-Exchange-Organization-SCL: 9"]
        {
            assert!(read(fields, "a@b.c", "").flags.contains(&Flag::Spam), "{fields}");
        }
        for fields in ["X-Spam-Flag: NO", "X-Spam-Status: No", "X-MS-Exchange-Organization-SCL: -1"]
        {
            assert!(!read(fields, "a@b.c", "").flags.contains(&Flag::Spam), "{fields}");
        }
    }
}
