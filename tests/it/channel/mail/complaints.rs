//! What users of other desks complained of, line by line: the mails of the corpus that show it, and what
//! has to hold for them. The numbers are those of our list of complaints.
//!
//! Not here: E14 (a virus scanner's hook), which `scan.rs` tries on every channel; W11 (which group may be answered into), since
//! that is the desk's rule and no mail's.

use std::collections::BTreeMap;

use tributary::channel::Interpret;
use tributary::channel::email::thread;
use tributary::model::{Flag, Form, Inbound, MediaSource, ReceiptState, Token};

use super::corpus::mails;
use super::{DESK, raw, read, reader, signer};

/// The delivery that the fixtures answer.
const OURS: &str = "0192f0c4-7a10-7c3e-8f00-0000000000aa";

fn meant() -> BTreeMap<String, Inbound> {
    let spoken = |(name, bytes): (String, Vec<u8>)| {
        let ignored = name == "own-mail-comes-back";
        (!ignored).then(|| (name, read(&bytes).0))
    };
    mails().into_iter().filter_map(spoken).collect()
}

fn starting_with<'a>(
    meant: &'a BTreeMap<String, Inbound>,
    start: &'a str,
    at_least: usize,
) -> Vec<(&'a str, &'a Inbound)> {
    let found: Vec<_> = meant
        .iter()
        .filter(|(name, _)| name.starts_with(start))
        .map(|(name, inbound)| (name.as_str(), inbound))
        .collect();
    assert!(found.len() >= at_least, "only {} mails begin with {start}", found.len());
    found
}

/// The answer goes to one of them and copies to the others, the customer among them.
#[test]
fn several_addresses_for_answers_are_all_answered() {
    let mail = "From: ann@a.example\r\nReply-To: ann@a.example, Bob <bob@b.example>\r\n\
        To: support@desk.example\r\nSubject: ours\r\n\r\nplease answer both of us\r\n";
    let inbound = read(mail.as_bytes()).0;
    assert_eq!(inbound.reply_to.unwrap().address.value, "bob@b.example");
    let copied: Vec<&str> = inbound.recipients.iter().map(|party| &*party.address.value).collect();
    assert_eq!(copied, [DESK, "ann@a.example", "bob@b.example"]);
}

// E1, E2, E3, E7, E8, E12, E13
#[test]
fn no_charset_leaves_anything_unreadable() {
    let meant = meant();
    for start in ["charset-", "label-", "subject-", "gmail-", "outlook-desktop-", "apple-ios-"] {
        for (name, inbound) in starting_with(&meant, start, 7) {
            let text =
                format!("{} {}", inbound.subject.as_deref().unwrap_or_default(), inbound.text_full);
            assert!(!text.contains(char::REPLACEMENT_CHARACTER), "{name}: {text}");
        }
    }
}

// E4, E5, E8, E9
#[test]
fn no_file_is_lost_for_its_name() {
    for (name, inbound) in starting_with(&meant(), "name-", 25) {
        assert_eq!(inbound.media.len(), 1, "{name}");
        assert!(!inbound.media[0].name.is_empty(), "{name}");
        let MediaSource::Inline(bytes) = &inbound.media[0].source else { panic!("{name}") };
        assert!(!bytes.is_empty(), "{name}");
    }
}

// E6, L15, L26, L27
#[test]
fn broken_mails_keep_their_words() {
    let meant = meant();
    for start in ["bytes-", "boundary-", "content-type-", "qp-", "base64-"] {
        for (name, inbound) in starting_with(&meant, start, 2) {
            let empty = inbound.text.starts_with('[') && name != "bytes-only-headers";
            assert!(!empty, "{name}: {}", inbound.text);
        }
    }
}

// E9: files within files, without names, of other programs.
#[test]
fn containers_give_what_is_in_them() {
    let meant = meant();
    for (name, file) in [
        ("tnef-winmail-with-text", "report.pdf"),
        ("tnef-winmail-only", "report.pdf"),
        ("uuencode-in-text", "a.txt"),
        ("thunderbird-attached-message", "Hello.eml"),
        ("name-rfc822-from-subject", "原始邮件 一.eml"),
        ("name-missing", "file-1.pdf"),
    ] {
        let names: Vec<&str> = meant[name].media.iter().map(|media| media.name.as_str()).collect();
        assert_eq!(names, [file], "{name}");
    }
}

// E10, E11
#[test]
fn pictures_of_apple_mail_are_kept() {
    let meant = meant();
    assert_eq!(meant["apple-macos-inline-images-in-mixed"].media.len(), 2);
    assert_eq!(meant["apple-alternative-mixed-inside"].media.len(), 2);
    assert_eq!(meant["apple-only-image"].media.len(), 1);
    assert!(meant["outlook-inline-cid"].media[0].inline);
}

// L6
#[test]
fn a_mail_of_files_alone_says_so() {
    let meant = meant();
    for (name, inbound) in starting_with(&meant, "only-attachment", 3) {
        assert!(inbound.text.contains("attachment"), "{name}: {}", inbound.text);
        assert!(!inbound.media.is_empty(), "{name}");
    }
}

// L7
#[test]
fn every_shape_of_mail_has_words_to_show() {
    let meant = meant();
    assert!(meant.len() > 400);
    for (name, inbound) in &meant {
        assert!(!inbound.text.trim().is_empty() && !inbound.text_full.trim().is_empty(), "{name}");
        let shorter = inbound.text.len() <= inbound.text_full.len();
        assert!(shorter || inbound.text.starts_with("[1 attachment"), "{name}");
    }
}

// L13, L16, L23: what cannot be read is said for this mail alone, and said again in the same way.
#[test]
fn a_mail_without_content_is_unreadable_and_no_other_is() {
    for empty in ["", "\r\n\r\n", " \t\r\n"] {
        assert!(reader().interpret(&raw(empty.as_bytes())).is_err(), "{empty:?}");
    }
    for (name, bytes) in mails() {
        assert!(reader().interpret(&raw(&bytes)).is_ok(), "{name}");
    }
    let mut unfetchable = raw(b"");
    unfetchable.transport.insert("unfetchable".to_owned(), "NO [SERVERBUG]".to_owned());
    let (inbound, _) = super::read_raw(&unfetchable);
    assert_eq!(inbound.text, "[this mail could not be fetched: NO [SERVERBUG]]");
}

// L15: reading it again gives the same, so that nothing is there twice.
#[test]
fn a_mail_that_is_read_twice_is_the_same() {
    for (name, bytes) in mails() {
        if name == "own-mail-comes-back" {
            continue;
        }
        let (one, two) = (read(&bytes).0, read(&bytes).0);
        assert_eq!((one.remote_id, one.digest), (two.remote_id, two.digest), "{name}");
    }
}

// L22
#[test]
fn mails_without_from_date_id_or_recipient_are_taken() {
    for (name, inbound) in starting_with(&meant(), "missing-", 6) {
        assert!(!inbound.remote_id.as_str().is_empty(), "{name}");
        assert!(inbound.occurred_at.timestamp() > 0, "{name}");
    }
}

// W1
#[test]
fn empty_ids_are_no_parents() {
    let meant = meant();
    assert!(meant["in-reply-to-empty"].thread.parents.is_empty());
    assert_ne!(meant["message-id-empty"].remote_id.as_str(), "");
}

// W2, W3
#[test]
fn a_number_or_a_foreign_mark_proves_nothing() {
    let meant = meant();
    for name in [
        "subject-tag-of-stranger",
        "two-installations",
        "plus-address-tampered",
        "references-tampered-token",
    ] {
        assert_eq!(meant[name].thread.tokens, [], "{name}");
    }
    assert_eq!(meant["subject-tag-of-stranger"].thread.tag, Some(1234));
}

// W4, W5: whatever program wrote it, an answer to us is known by our own id.
#[test]
fn the_answers_of_all_programs_name_what_they_answer() {
    let answered: Vec<String> = mails()
        .into_iter()
        .filter(|(name, bytes)| {
            name.contains("-reply")
                && !name.starts_with("auto-")
                && String::from_utf8_lossy(bytes).to_lowercase().contains("in-reply-to: <d")
        })
        .map(|(name, _)| name)
        .collect();
    assert!(answered.len() > 80, "{}", answered.len());
    let meant = meant();
    for name in answered {
        let token = Token::Delivery(OURS.parse().unwrap());
        assert_eq!(meant[&name].thread.tokens.first(), Some(&token), "{name}");
    }
}

// W6
#[test]
fn a_forward_answers_nothing_by_its_subject_and_is_shown_whole() {
    let meant = meant();
    for (name, inbound) in starting_with(&meant, "forward-inline-", 12) {
        assert!(inbound.flags.contains(&Flag::Forwarded), "{name}");
        assert_eq!(inbound.thread.tag, None, "{name}");
        assert_eq!(inbound.text, inbound.text_full, "{name}");
    }
    assert_eq!(meant["outlook-forward-wg"].thread.tag, None);
}

// W7, W15: the marks count, whatever the subject says and whichever of our addresses it went to.
#[test]
fn marks_come_before_the_subject() {
    let address = thread::reply_address(&signer(), 42, "billing@other-desk.example");
    let mail = format!("From: a@b.example\r\nTo: {address}\r\nSubject: [#77] other\r\n\r\nx");
    assert_eq!(read(mail.as_bytes()).0.thread.tokens, [Token::Ticket(42)]);
}

// W10
#[test]
fn mails_of_monitoring_do_not_answer_each_other() {
    let meant = meant();
    let (problem, recovery) =
        (&meant["auto-monitoring-problem"], &meant["auto-monitoring-recovery"]);
    for inbound in [problem, recovery] {
        assert!(inbound.automated.is_some());
        assert!(inbound.thread.tokens.is_empty() && inbound.thread.parents.is_empty());
    }
    assert_ne!(problem.remote_id, recovery.remote_id);
}

// W14
#[test]
fn the_answer_of_a_third_party_names_no_mark_of_ours() {
    let inbound = &meant()["cc-answers-the-original"];
    assert_eq!(inbound.thread.tokens, []);
    assert_eq!(inbound.thread.parents.len(), 1);
}

// W16: no mark at all, only the subject is alike; that is a hint for a human, never a merge.
#[test]
fn alike_subjects_are_comparable_and_no_more() {
    let plain = read(b"From: a@b.example\r\nSubject: AW: Re[2]: My wallet\r\n\r\nx").0;
    assert!(plain.thread.tokens.is_empty() && plain.thread.tag.is_none());
    let subject = plain.subject.unwrap();
    assert_eq!(thread::comparable_subject(&subject), thread::comparable_subject("my  WALLET"));
}

// W17: see also `compose`: every reply of a ticket bears the same first 22 bytes of Thread-Index.
#[test]
fn outlooks_own_headers_do_not_disturb() {
    for (name, inbound) in starting_with(&meant(), "outlook-desktop-reply-", 25) {
        assert!(!inbound.thread.tokens.is_empty(), "{name}");
    }
}

// B6
#[test]
fn machines_are_told_from_people() {
    let meant = meant();
    for start in
        ["auto-", "newsletter", "list-mailman", "helpdesk-of-others", "tributary-of-others"]
    {
        for (name, inbound) in starting_with(&meant, start, 1) {
            assert!(inbound.automated.is_some(), "{name}");
        }
    }
    for name in
        ["human-writes-automatic-reply", "list-our-own-group", "gmail-web-new-en", "qq-mobile-new"]
    {
        assert_eq!(meant[name].automated, None, "{name}");
    }
}

// B8
#[test]
fn bounces_of_all_programs_are_notices_and_say_what_became_of_ours() {
    for (name, bytes) in mails() {
        if !name.starts_with("dsn-") && !name.starts_with("bounce-") {
            continue;
        }
        let (inbound, receipts) = read(&bytes);
        assert_eq!(inbound.form, Form::Notice, "{name}");
        assert!(inbound.automated.is_some() && inbound.flags.contains(&Flag::Bounce), "{name}");
        for receipt in &receipts {
            assert_eq!(receipt.delivery, Some(OURS.parse().unwrap()), "{name}");
        }
        let failed =
            receipts.iter().any(|receipt| matches!(receipt.state, ReceiptState::Failed { .. }));
        let unknown = [
            "dsn-postfix-user-unknown",
            "dsn-gmail-address-not-found",
            "dsn-office365",
            "bounce-qmail",
            "bounce-exim",
        ];
        assert!(failed || !unknown.contains(&name.as_str()), "{name}");
    }
    let meant = meant();
    assert_eq!(meant["not-a-bounce-customer-complains"].form, Form::Message);
    assert_eq!(meant["dsn-backscatter"].thread.tokens, []);
    assert!(
        meant
            .values()
            .all(|inbound| inbound.recipients.iter().all(|to| !to.address.value.is_empty()))
    );
    assert!(meant.contains_key("dsn-two-recipients") && DESK.contains('@'));
}
