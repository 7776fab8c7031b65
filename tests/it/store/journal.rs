//! The journal: stored before anybody understands, each transport unit once, cursor and rows together.

use tributary::model::{Actor, Batch, Cursor, RawId};
use tributary::store::StoreError;

use super::{Kit, later, mail, mail_channel, message, name, on_both, raw, start};

on_both! {
    the_same_transport_unit_is_stored_once
    rows_and_cursor_move_together_or_not_at_all
    the_same_push_at_two_nodes_is_one_row
    pending_rows_come_oldest_first_and_within_their_limits
    a_large_body_comes_back_as_it_was
    a_failed_row_is_retried_or_dropped_for_good
    bytes_of_every_sort_survive
}

async fn the_same_transport_unit_is_stored_once(kit: Kit) {
    let (store, channel) = (&kit.store, name("mail"));
    let push = |keys: &[&str]| {
        let raws = keys.iter().map(|key| raw(key, &format!("body of {key}"))).collect();
        store.append_pushed(&channel, raws, start())
    };
    let first = push(&["a", "b", "a"]).await.unwrap();
    assert_eq!((first.ids.len(), first.new), (3, 2));
    assert_eq!(first.ids[0], first.ids[2]);
    let again = push(&["b", "c", "a"]).await.unwrap();
    assert_eq!(again.new, 1);
    assert_eq!((again.ids[0], again.ids[2]), (first.ids[1], first.ids[0]));
    // What came first stays, whatever comes under its key later.
    let other = store.append_pushed(&channel, vec![raw("a", "forged")], start()).await.unwrap();
    let (_, kept) = store.raw(other.ids[0]).await.unwrap();
    assert_eq!(kept.unwrap().body, "body of a");
    // Keys count within their channel.
    let elsewhere =
        store.append_pushed(&name("other"), vec![raw("a", "x")], start()).await.unwrap();
    assert_eq!(elsewhere.new, 1);
    assert_eq!(store.append_pushed(&channel, Vec::new(), start()).await.unwrap().new, 0);
}

async fn rows_and_cursor_move_together_or_not_at_all(kit: Kit) {
    let (store, channel) = (&kit.store, name("mail"));
    let fence = store.take_lease(&channel).await.unwrap().unwrap();
    let batch = |from: usize, cursor: Option<&str>| Batch {
        raws: (from..from + 10).map(|number| raw(&number.to_string(), "body")).collect(),
        cursor: cursor.map(Cursor::new),
    };
    let appended = store.append_pulled(&fence, batch(0, Some("10")), start()).await.unwrap();
    assert_eq!(appended.new, 10);
    // Fetched again after a crash between the commit and its news: known, and the cursor moves on.
    let appended = store.append_pulled(&fence, batch(5, Some("15")), start()).await.unwrap();
    assert_eq!(appended.new, 5);
    store.append_pulled(&fence, batch(15, None), start()).await.unwrap();
    assert_eq!(store.cursor(&channel).await.unwrap().unwrap().as_str(), "15");
    // The database refuses the last step: the rows are not there either.
    kit.execute("ALTER TABLE cursor RENAME TO cursor_gone").await;
    assert!(store.append_pulled(&fence, batch(30, Some("40")), start()).await.is_err());
    kit.execute("ALTER TABLE cursor_gone RENAME TO cursor").await;
    assert_eq!(kit.number("SELECT count(*) FROM journal").await, 25);
    assert_eq!(store.cursor(&channel).await.unwrap().unwrap().as_str(), "15");
    assert_eq!(store.append_pulled(&fence, batch(30, Some("40")), start()).await.unwrap().new, 10);
}

async fn the_same_push_at_two_nodes_is_one_row(kit: Kit) {
    let (other, channel) = (kit.another().await, name("mail"));
    for round in 0..30 {
        let push = |store: &tributary::store::Store| {
            let (store, channel) = (store.clone(), channel.clone());
            let raws = (0..5).map(|number| raw(&format!("{round} {number}"), "body")).collect();
            async move { store.append_pushed(&channel, raws, start()).await.unwrap() }
        };
        let (one, two) = tokio::join!(push(&kit.store), push(&other));
        assert_eq!(one.new + two.new, 5, "round {round}");
        assert_eq!(one.ids, two.ids, "both can tell what became of it");
    }
    assert_eq!(kit.number("SELECT count(*) FROM journal").await, 150);
    assert_eq!(kit.number("SELECT count(*) FROM seal").await, 150, "a seal of nothing is left");
}

async fn pending_rows_come_oldest_first_and_within_their_limits(kit: Kit) {
    let (store, channel) = (&kit.store, name("mail"));
    let mut ids: Vec<RawId> = Vec::new();
    for size in [10, 2000, 10, 10] {
        ids.push(kit.append(&channel, &"x".repeat(size)).await);
    }
    let pending = |rows, bytes| async move {
        let pending = store.pending(rows, bytes, start()).await.unwrap();
        pending.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(pending(10, 10_000).await, ids);
    assert_eq!(pending(3, 10_000).await, ids[..3]);
    assert_eq!(pending(10, 100).await, ids[..1]);
    assert_eq!(pending(10, 1).await, ids[..1], "one that is larger than the limit goes alone");
    let one = store.pending(1, 1, start()).await.unwrap().pop().unwrap();
    assert_eq!(one.raw.received_at, Some(start()));
    assert_eq!(one.raw.transport["folder"], "INBOX");
}

async fn a_large_body_comes_back_as_it_was(kit: Kit) {
    let body: Vec<u8> =
        (0..3_000_017_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut large = raw("large", "");
    large.body = body.clone().into();
    let id = kit.store.append_pushed(&name("mail"), vec![large], start()).await.unwrap().ids[0];
    let (row, kept) = kit.store.raw(id).await.unwrap();
    assert_eq!(row.size, 3_000_017);
    assert!(kept.unwrap().body == body, "the bytes differ");
    let pending = kit.store.pending(10, 1, start()).await.unwrap().pop().unwrap();
    assert!(pending.raw.body == body, "the bytes differ");
    assert_eq!(kit.number("SELECT count(*) FROM blob").await, 12);
}

async fn a_failed_row_is_retried_or_dropped_for_good(kit: Kit) {
    let channel = mail_channel("mail");
    let id = kit.append(&channel.name, "secret words").await;
    let store = &kit.store;
    let unreadable = || Err("the parser gave up".to_owned());
    kit.apply_to(id, &channel, unreadable(), start()).await;
    let listed = store.quarantine(None, 10).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].reason.as_deref()), (id, Some("the parser gave up")));
    // A fixed parser heals it, and what the notice said stays.
    store.retry_raw(id, Actor::system(), start()).await.unwrap();
    assert!(
        matches!(store.retry_raw(id, Actor::system(), start()).await, Err(StoreError::NotFound(_))),
        "it waits already"
    );
    let ingested =
        kit.apply_to(id, &channel, Ok(message(mail("anna@x.example", "1"))), later(1)).await;
    assert_eq!(ingested.new, 1);
    assert_eq!(store.raw(id).await.unwrap().0.state, "applied");
    assert!(store.quarantine(None, 10).await.unwrap().is_empty());
    assert_eq!(kit.number("SELECT count(*) FROM ticket").await, 2);

    let id = kit.append(&channel.name, "secret words").await;
    assert!(
        matches!(store.drop_raw(id, Actor::system(), start()).await, Err(StoreError::NotFound(_))),
        "it still waits"
    );
    kit.apply_to(id, &channel, unreadable(), start()).await;
    store.drop_raw(id, Actor::system(), start()).await.unwrap();
    let (row, body) = store.raw(id).await.unwrap();
    assert_eq!(
        (row.state.as_str(), row.reason.as_deref()),
        ("ignored", Some("given up by tributary"))
    );
    assert!(body.is_none(), "its bytes are destroyed");
    assert!(matches!(
        store.retry_raw(id, Actor::system(), start()).await,
        Err(StoreError::NotFound(_))
    ));
}

async fn bytes_of_every_sort_survive(kit: Kit) {
    let body: Vec<u8> = (0..=255).collect();
    let mut odd = raw("odd ' \" ; -- \u{1f4a9}", "");
    odd.body = body.clone().into();
    odd.transport = [("mail_from".to_owned(), "a\0b\u{2028}".to_owned())].into();
    let id =
        kit.store.append_pushed(&name("mail"), vec![odd.clone()], start()).await.unwrap().ids[0];
    let (_, kept) = kit.store.raw(id).await.unwrap();
    let kept = kept.unwrap();
    assert_eq!((kept.body, kept.transport, kept.dedupe), (odd.body, odd.transport, odd.dedupe));
    let empty = raw("empty", "");
    let id = kit.store.append_pushed(&name("mail"), vec![empty], start()).await.unwrap().ids[0];
    assert_eq!(kit.store.raw(id).await.unwrap().1.unwrap().body.len(), 0);
}
