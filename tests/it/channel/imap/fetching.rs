//! Mails are fetched once, in order and whole, whatever the server does with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tributary::channel::email::settings::{After, Imap, Start};

use super::{pull, settings};
use crate::support::desk::Desk;
use crate::support::imap_script::{Fake, Mail, Reaction, Turn, mail_text, say};

/// Reacts to what fetches bodies only.
fn at_bodies(
    mut react: impl FnMut(&Turn) -> Reaction + Send + 'static,
) -> impl FnMut(&Turn) -> Reaction + Send + 'static {
    move |turn| {
        if turn.line.starts_with("UID FETCH") && turn.line.contains("BODY.PEEK") {
            react(turn)
        } else {
            Reaction::Normal
        }
    }
}

#[tokio::test]
async fn mails_come_once_in_order_and_nothing_on_the_server_changes() {
    let fake = Fake::start().await;
    fake.fill(130);
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    assert_eq!((desk.kept.len(), desk.repeated, desk.largest), (130, 0, 50));
    assert_eq!(desk.body("INBOX:7:17"), mail_text(17));
    let numbers: Vec<u32> =
        desk.order.iter().map(|key| key.rsplit(':').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted());
    let first = &desk.kept["INBOX:7:1"];
    assert_eq!(first.received_at.unwrap().to_rfc3339(), "2026-07-01T10:00:00+00:00");
    assert_eq!(first.transport["folder"], "INBOX");
    // COMPLAINTS L8, D2; FAULTS 76: EXAMINE and PEEK cannot set \Seen, and flags decide nothing.
    assert_eq!((fake.count("SELECT"), fake.count("STORE"), fake.count("UNSEEN")), (0, 0, 0));
    for _ in 0..5 {
        desk.drain().await;
    }
    assert_eq!((desk.kept.len(), desk.repeated), (130, 0));
}

#[tokio::test]
async fn a_mail_that_another_program_read_or_dragged_in_is_taken_all_the_same() {
    // COMPLAINTS L2, L9; FAULTS 60: a UID decides, not \Seen and not a date.
    let fake = Fake::start().await;
    fake.fill(2);
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    fake.fill(2);
    {
        let mut store = fake.store();
        let inbox = store.folders.get_mut("INBOX").unwrap();
        inbox.mails[2].flags.push("\\Seen".to_owned());
        inbox.mails[3].date = "01-Jan-2001 10:00:00 +0000".to_owned();
    }
    desk.drain().await;
    assert_eq!(desk.kept.len(), 4);
    assert_eq!(desk.kept["INBOX:7:3"].transport["flags"], "\\Seen");
    assert_eq!((fake.count("SINCE"), fake.count("UNSEEN")), (0, 0));
}

#[tokio::test]
async fn a_new_uidvalidity_brings_everything_again_under_new_keys() {
    // FAULTS 58
    let fake = Fake::start().await;
    fake.fill(60);
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    fake.store().folders.get_mut("INBOX").unwrap().validity = 8;
    fake.fill(1);
    desk.drain().await;
    assert_eq!(desk.kept.len(), 60 + 61);
    assert!(desk.kept.contains_key("INBOX:8:1"));
}

#[tokio::test]
async fn a_channel_that_starts_with_new_mail_leaves_the_old_also_after_a_new_uidvalidity() {
    let fake = Fake::start().await;
    fake.fill(10);
    let pull = pull(Imap { start: Start::New, ..settings(fake.port) });
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    assert!(desk.kept.is_empty() && desk.cursor.is_some());
    fake.fill(1);
    fake.store().folders.get_mut("INBOX").unwrap().mails[10].date =
        "02-Jul-2026 10:00:00 +0000".to_owned();
    desk.drain().await;
    assert_eq!(desk.order, ["INBOX:7:11"]);
    fake.store().folders.get_mut("INBOX").unwrap().validity = 8;
    desk.drain().await;
    assert_eq!(desk.order, ["INBOX:7:11", "INBOX:8:11"], "only what was new stays new");
}

#[tokio::test]
async fn the_last_mail_is_not_taken_for_a_new_one() {
    // CRATES trap 14: `n:*` always finds the last mail.
    let fake = Fake::start().await;
    fake.fill(3);
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    let fetches = fake.count("UID FETCH");
    desk.drain().await;
    assert!(fake.count("UID SEARCH UID 4:*") > 0);
    assert_eq!((desk.repeated, fake.count("UID FETCH")), (0, fetches));
}

#[tokio::test]
async fn a_mail_expunged_before_its_fetch_is_skipped() {
    // COMPLAINTS L25; FAULTS 59
    for whole_batch in [false, true] {
        let fake = Fake::start().await;
        fake.fill(6);
        let port = fake.port;
        let fake = Arc::new(fake);
        let inner = Arc::clone(&fake);
        let gone = AtomicUsize::new(0);
        fake.script(at_bodies(move |_| {
            if gone.fetch_add(1, Ordering::Relaxed) == 0 {
                let mut store = inner.store();
                let inbox = store.folders.get_mut("INBOX").unwrap();
                inbox.mails.retain(|mail| if whole_batch { mail.uid > 5 } else { mail.uid != 3 });
            }
            Reaction::Normal
        }));
        let pull = pull(Imap { batch_max: 5, ..settings(port) });
        let mut desk = Desk::new(&pull);
        desk.drain().await;
        assert_eq!(desk.kept.len(), if whole_batch { 1 } else { 5 });
        assert!(desk.kept.contains_key("INBOX:7:6"));
        fake.script(|_| Reaction::Normal);
    }
}

#[tokio::test]
async fn a_partial_answer_with_no_at_its_end_is_no_loss() {
    let fake = Fake::start().await;
    fake.fill(5);
    let calls = AtomicUsize::new(0);
    // «Some of the requested messages no longer exist», although they do.
    fake.script(at_bodies(move |turn| {
        if calls.fetch_add(1, Ordering::Relaxed) > 0 {
            return Reaction::Normal;
        }
        let body = mail_text(1);
        let text = format!(
            "* 1 FETCH (UID 1 BODY[] {{{}}}\r\n{body})\r\n{} NO Some of the requested messages no longer exist\r\n",
            body.len(),
            turn.tag
        );
        Reaction::Say(text.into_bytes())
    }));
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.gather(5).await;
    assert_eq!(desk.repeated, 0);
}

/// What a broken mail may look like: a whole answer that a server gives for UID 5.
fn poison(kind: &str, tag: &str) -> Reaction {
    match kind {
        "NO" => Reaction::Say(format!("{tag} NO [CORRUPTION] cannot read it\r\n").into_bytes()),
        "BAD" => Reaction::Say(format!("{tag} BAD internal\r\n").into_bytes()),
        "garbage" => say("* 5 FETCH (UID 5 BODY[ {3}\r\nabc\r\n* what is this\r\n"),
        "huge" => say("* 5 FETCH (UID 5 BODY[] {419430400}\r\n"),
        "nested" => say(&format!("* 5 FETCH (BODYSTRUCTURE {}\r\n", "(".repeat(5000))),
        "missing" => Reaction::Say(format!("{tag} OK done\r\n").into_bytes()),
        "nil" => {
            Reaction::Say(format!("* 5 FETCH (UID 5 BODY[] NIL)\r\n{tag} OK done\r\n").into_bytes())
        }
        "cut" => Reaction::SayAndClose(b"* 5 FETCH (UID 5 BODY[] {300}\r\nhalf".to_vec()),
        "bye" => Reaction::SayAndClose(b"* BYE crashed\r\n".to_vec()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn one_mail_that_cannot_be_fetched_does_not_stop_those_behind_it() {
    // COMPLAINTS L13, L16, L21, L23; CRATES traps 2, 8, 9, 10, 11
    for kind in ["NO", "BAD", "garbage", "huge", "nested", "missing", "nil", "cut", "bye"] {
        let fake = Fake::start().await;
        fake.fill(100);
        fake.script(at_bodies(move |turn| {
            let set = turn.line.split(' ').nth(2).unwrap();
            let holds = set.split(',').any(|part| {
                let (first, last) = part.split_once(':').unwrap_or((part, part));
                (first.parse::<u32>().unwrap()..=last.parse().unwrap()).contains(&5)
            });
            if holds { poison(kind, &turn.tag) } else { Reaction::Normal }
        }));
        let pull = pull(settings(fake.port));
        let mut desk = Desk::new(&pull);
        desk.gather(100).await;
        let quarantined = &desk.kept["INBOX:7:5:unfetchable"];
        assert!(quarantined.body.is_empty(), "{kind}");
        let why = &quarantined.transport["unfetchable"];
        assert!(!why.is_empty() && !why.contains("abc"), "{kind}: {why}");
        assert_eq!((desk.repeated, desk.kept.len()), (0, 100), "{kind}");
        assert!(desk.ends.len() < 30, "{kind}: {} sessions", desk.ends.len());
        for end in &desk.ends {
            assert!(!end.contains("abc") && !end.contains("half"), "mail in an error: {end}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_passes_condemns_no_mail() {
    let fake = Fake::start().await;
    fake.fill(3);
    let calls = AtomicUsize::new(0);
    fake.script(at_bodies(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0..10 => say("{tag} NO [UNAVAILABLE] try again later\r\n"),
        _ => Reaction::Normal,
    }));
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.gather(3).await;
    assert!(desk.kept.keys().all(|key| !key.contains("unfetchable")));
}

#[tokio::test]
async fn a_line_that_breaks_again_and_again_loses_and_condemns_nothing() {
    // COMPLAINTS L3, L11; FAULTS 67; CRATES trap 1: EOF between two answers looks complete.
    let fake = Fake::start().await;
    fake.fill(500);
    let mut chance = 1_u32;
    fake.script(move |turn| {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if !turn.line.starts_with("UID") || !(chance >> 16).is_multiple_of(3) {
            return Reaction::Normal;
        }
        match (chance >> 24) % 4 {
            0 => Reaction::SayAndClose(Vec::new()),
            1 => Reaction::SayAndClose(b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n".to_vec()),
            2 => Reaction::SayAndClose(b"* 1 FETCH (UID 1 BODY[] {50}\r\ncut".to_vec()),
            _ => Reaction::SayAndClose(b"* BYE shutting down\r\n".to_vec()),
        }
    });
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.gather(500).await;
    assert!(desk.ends.len() > 10, "the script did not bite");
    assert!(desk.kept.keys().all(|key| !key.contains("unfetchable")));
    assert_eq!(desk.repeated, 0);
}

#[tokio::test]
async fn mail_is_moved_deleted_or_marked_only_after_it_is_stored() {
    let all = "IMAP4rev1 UIDPLUS MOVE";
    let cases = [
        (After::Move("Done".to_owned()), all, 0, 3),
        (After::Move("Done".to_owned()), "IMAP4rev1 UIDPLUS", 0, 3),
        (After::Delete, all, 0, 0),
        // Without UIDPLUS a plain EXPUNGE would take others' mail along: it stays, flagged.
        (After::Delete, "IMAP4rev1", 3, 0),
        (After::Mark("$Ticketed".to_owned()), all, 3, 0),
    ];
    for (after, abilities, left, moved) in cases {
        let fake = Fake::start().await;
        fake.fill(3);
        abilities.clone_into(&mut fake.store().after);
        let pull = pull(Imap { after: after.clone(), ..settings(fake.port) });
        let mut desk = Desk::new(&pull);
        let mut session = desk.connect().await.unwrap();
        let batch = session.next().await.unwrap();
        let changes = || fake.count("MOVE") + fake.count("STORE") + fake.count("EXPUNGE");
        assert_eq!(changes(), 0, "nothing is acknowledged by `next`");
        desk.store(batch);
        drop(session);
        // A crash between the store's commit and `committed`: the next session makes up for it.
        let session = desk.connect().await.unwrap();
        assert!(changes() > 0, "{after:?}");
        drop(session);
        desk.drain().await;
        let count =
            |name: &str| fake.store().folders.get(name).map_or(0, |folder| folder.mails.len());
        assert_eq!((count("INBOX"), count("Done")), (left, moved), "{after:?} {abilities}");
        assert_eq!((desk.kept.len(), desk.repeated), (3, 0));
        assert_eq!(fake.lines().iter().filter(|line| line.ends_with(" EXPUNGE")).count(), 0);
    }
}

#[tokio::test]
async fn a_refused_move_is_no_reason_to_stop() {
    let fake = Fake::start().await;
    fake.fill(60);
    fake.script(|turn| match turn.line.starts_with("UID MOVE") {
        true => say("{tag} NO [OVERQUOTA] full\r\n"),
        false => Reaction::Normal,
    });
    let pull = pull(Imap { after: After::Move("Done".to_owned()), ..settings(fake.port) });
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    assert_eq!((desk.kept.len(), desk.ends.len()), (60, 0));
}

fn large(uid: u32, bytes: usize) -> Mail {
    let mut body = b"Subject: large\r\n\r\n".to_vec();
    body.extend((0..bytes).map(|index| b'a' + u8::try_from(index % 23).unwrap()));
    let date = "01-Jul-2026 10:00:00 +0000".to_owned();
    Mail { uid, body, flags: Vec::new(), date, size: None }
}

#[tokio::test]
async fn a_large_mail_comes_in_pieces_and_whole() {
    let fake = Fake::start().await;
    let mail = large(1, (5 << 20) + 17);
    fake.store().folders.get_mut("INBOX").unwrap().mails.push(mail.clone());
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    assert!(desk.kept["INBOX:7:1"].body == mail.body, "the pieces fit together");
    assert_eq!(fake.count("UID FETCH 1 (UID BODY.PEEK[]<"), 6);
}

#[tokio::test]
async fn of_a_mail_that_is_too_large_only_the_head_is_fetched() {
    // FAULTS 66, 77
    let fake = Fake::start().await;
    let mut mail = large(1, 200_000);
    mail.size = Some(2_000_000_000);
    fake.store().folders.get_mut("INBOX").unwrap().mails.push(mail.clone());
    let settings = Imap { after: After::Delete, ..settings(fake.port) };
    let pull = pull(settings);
    let mut desk = Desk::new(&pull);
    desk.drain().await;
    let raw = &desk.kept["INBOX:7:1"];
    assert_eq!(raw.body, mail.body[..65_536]);
    assert_eq!(
        (raw.transport["truncated"].as_str(), raw.transport["size"].as_str()),
        ("1", "2000000000")
    );
    assert_eq!(fake.count("STORE"), 0, "what is not whole here is not deleted there");
}

#[tokio::test]
async fn a_server_that_lies_about_sizes_or_ignores_pieces_is_borne() {
    // FAULTS 69
    let fake = Fake::start().await;
    {
        let mut store = fake.store();
        let inbox = store.folders.get_mut("INBOX").unwrap();
        for (uid, size) in [(1, 10), (2, 3 << 20), (3, 0)] {
            let mut mail = large(uid, 2 << 20);
            mail.size = Some(size);
            inbox.mails.push(mail);
        }
        inbox.mails.push(large(4, 2 << 20));
    }
    let whole = large(4, 2 << 20);
    fake.script(at_bodies(move |turn| {
        if !turn.line.starts_with("UID FETCH 4 ") {
            return Reaction::Normal;
        }
        let mut answer = crate::support::imap_script::fetched(4, &whole, "BODY.PEEK[]");
        answer.extend(format!("{} OK done\r\n", turn.tag).into_bytes());
        Reaction::Say(answer)
    }));
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    desk.gather(4).await;
    for uid in 1..=4 {
        let body = &desk.kept[&format!("INBOX:7:{uid}")].body;
        assert!(*body == large(uid, 2 << 20).body, "mail {uid}: {} bytes", body.len());
    }
}

#[tokio::test]
async fn more_mail_arriving_while_paging_is_not_lost() {
    // COMPLAINTS L12
    let fake = Fake::start().await;
    fake.fill(300);
    let pull = pull(settings(fake.port));
    let mut desk = Desk::new(&pull);
    let mut session = desk.connect().await.unwrap();
    for _ in 0..6 {
        desk.step(&mut *session).await.unwrap();
        fake.fill(10);
    }
    while desk.kept.len() < 360 {
        assert!(session.backlog().is_some());
        desk.step(&mut *session).await.unwrap();
    }
    assert_eq!(desk.repeated, 0);
}
