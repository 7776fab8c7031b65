//! Group commit: pieces share a commit, fail alone, and are answered when they are durable.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::ConnectionTrait as _;
use tokio::time::Instant;
use tributary::model::TicketId;
use tributary::store::{By, NewNote, StoreError};
use uuid::Uuid;

use super::{Kit, agent, mail, mail_channel, name, on_both, raw, start, ticket_of};

on_both! {
    two_hundred_writers_at_once_all_find_what_they_wrote
    one_bad_piece_fails_alone
    whoever_was_answered_is_seen_by_another_node
    nothing_is_written_after_closing
    the_store_says_whether_it_can_be_written
}

async fn two_hundred_writers_at_once_all_find_what_they_wrote(kit: Kit) {
    let (store, channel) = (&kit.store, name("mail"));
    let before = *store.changes().borrow();
    let writers = (0..200).map(|number| {
        let (store, channel) = (store.clone(), channel.clone());
        async move {
            let raw = raw(&format!("key {number}"), &format!("body {number}"));
            let appended = store.append_pushed(&channel, vec![raw], start()).await.unwrap();
            let (row, raw) = store.raw(appended.ids[0]).await.unwrap();
            assert_eq!(row.state, "pending");
            assert_eq!(raw.unwrap().body, format!("body {number}"));
            appended.new
        }
    });
    assert_eq!(join_all(writers).await.iter().sum::<usize>(), 200);
    assert_eq!(kit.number("SELECT count(*) FROM journal").await, 200);
    let commits = *store.changes().borrow() - before;
    assert!(commits < 100, "{commits} commits for 200 writers: they do not share any");
}

async fn one_bad_piece_fails_alone(kit: Kit) {
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail("anna@x.example", "one")).await);
    let note = |text: &str, uploads: Vec<Uuid>| {
        let new = NewNote { ticket, text: text.to_owned(), html: None, uploads };
        let by = By { actor: agent(), version: None, once: None, now: start() };
        kit.store.add_note(new, by)
    };
    let pieces = (0..40).map(|number| {
        // Every fourth names a file that is not there, and finds out when half is written.
        let uploads = if number % 4 == 0 { vec![Uuid::now_v7()] } else { Vec::new() };
        note("a note", uploads)
    });
    let outcomes = join_all(pieces).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(_) => assert_ne!(number % 4, 0),
            Err(StoreError::NotFound("upload")) => assert_eq!(number % 4, 0),
            Err(other) => panic!("{number}: {other:?}"),
        }
    }
    let kept = "SELECT count(*) FROM message WHERE kind = 'note'";
    assert_eq!(kit.number(kept).await, 30);
    let view = kit.ticket(ticket).await;
    assert_eq!(view.message_count, 31);
    // Its trail has no gap where a piece was rolled back.
    let events = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    let numbers: Vec<i64> = events.iter().filter_map(|event| event.ticket_seq).collect();
    assert_eq!(numbers, (1..=32).collect::<Vec<i64>>());
}

async fn whoever_was_answered_is_seen_by_another_node(kit: Kit) {
    let other = kit.another().await;
    for number in 0..20 {
        let raw = raw(&number.to_string(), "body");
        let id = kit.store.append_pushed(&name("mail"), vec![raw], start()).await.unwrap().ids[0];
        assert_eq!(other.raw(id).await.unwrap().0.state, "pending");
    }
    other.close().await.unwrap();
}

async fn nothing_is_written_after_closing(kit: Kit) {
    let waiting = (0..50).map(|number| {
        let store = kit.store.clone();
        async move {
            let raw = raw(&number.to_string(), "body");
            store.append_pushed(&name("mail"), vec![raw], start()).await
        }
    });
    let closing = async {
        tokio::task::yield_now().await;
        kit.store.close().await.unwrap();
    };
    let (answers, ()) = tokio::join!(join_all(waiting), closing);
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        answers.iter().all(|answer| { matches!(answer, Ok(_) | Err(StoreError::Database(_))) })
    );
    let rows = kit.number("SELECT count(*) FROM journal").await;
    assert_eq!(rows, i64::try_from(kept).unwrap(), "answered and not there, or the other way");
    let raw = raw("late", "body");
    assert!(kit.store.append_pushed(&name("mail"), vec![raw], start()).await.is_err());
}

async fn the_store_says_whether_it_can_be_written(kit: Kit) {
    kit.store.ping().await.unwrap();
    let missing = TicketId::new();
    let by = By { actor: agent(), version: None, once: None, now: start() };
    let new = NewNote { ticket: missing, text: "x".into(), html: None, uploads: Vec::new() };
    assert!(matches!(kit.store.add_note(new, by).await, Err(StoreError::NotFound("ticket"))));
    kit.execute("ALTER TABLE counter RENAME TO counter_gone").await;
    assert!(kit.store.ping().await.is_err());
    kit.execute("ALTER TABLE counter_gone RENAME TO counter").await;
    kit.store.ping().await.unwrap();
}

/// A backup or a command holds the file for as long as people are patient with one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_writer_on_the_file_is_waited_out() {
    let kit = Kit::sqlite().await;
    let db = kit.db().await;
    // One connection, so that the transaction stays on it.
    db.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let began = Instant::now();
    let append = async {
        let raw = raw("waits", "body");
        kit.store.append_pushed(&name("mail"), vec![raw], start()).await.unwrap();
        began.elapsed()
    };
    let holder = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Readers are not held up meanwhile.
        assert_eq!(kit.store.pending(10, 1000, start()).await.unwrap().len(), 0);
        db.execute_unprepared("COMMIT").await.unwrap();
    };
    let (waited, ()) = tokio::join!(append, holder);
    assert!(waited >= Duration::from_secs(10), "it waited {waited:?} only");
    assert_eq!(kit.store.pending(10, 1000, start()).await.unwrap().len(), 1);
}

/// Who may read the file: its owner. Texts and addresses lie in it in clear.
#[tokio::test]
async fn the_files_of_the_store_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let kit = Kit::sqlite().await;
    kit.append(&name("mail"), "body").await;
    for entry in std::fs::read_dir(kit.folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.file_name());
    }
}
