//! The outbox: in order within a conversation, each attempt noted before it is made, people decide the rest.

use bytes::Bytes;
use tributary::model::{
    DeliveryId, DeliveryState, DeliveryStatus, MessageId, RemoteId, Resend, TicketId,
};
use tributary::store::{
    Answer, By, Due, Fence, NewUpload, Once, OutboxFilter, OutboxRow, ReplyPlan, StoreError,
};

use super::{
    ANNA, BOB, Kit, agent, answer, later, mail, mail_channel, name, on_both, part, start, ticket_of,
};

on_both! {
    a_conversation_goes_out_in_order
    parts_of_a_reply_go_out_in_order_and_fail_together
    an_attempt_is_noted_before_it_is_made
    what_was_half_done_is_recovered_as_the_service_allows
    people_hold_release_repeat_and_cancel
    a_planned_reply_waits_for_its_time_and_may_be_overtaken
    what_was_to_be_sent_unless_answered_is_not
    the_same_wish_at_once_is_one_reply
    attachments_go_with_the_first_part_and_once
    a_file_can_be_fetched_while_its_delivery_is_on_its_way
    files_that_are_left_are_sent_and_fetched_by_the_same_places
    humans_go_before_machines
    giving_up_counts_from_the_first_attempt
    a_stale_reply_is_refused
}

async fn ticket(kit: &Kit, from: &str, id: &str) -> TicketId {
    ticket_of(&kit.arrive(&mail_channel("mail"), mail(from, id)).await)
}

async fn fence(kit: &Kit) -> Fence {
    kit.store.take_lease(&name("mail")).await.unwrap().unwrap()
}

async fn due(kit: &Kit, minutes: i64) -> Vec<Due> {
    kit.store.due_deliveries(&name("mail"), 100, later(minutes)).await.unwrap()
}

fn texts(due: &[Due]) -> Vec<&str> {
    due.iter().map(|due| due.delivery.outbound.text.as_str()).collect()
}

fn id_of(due: &Due) -> DeliveryId {
    due.delivery.outbound.delivery
}

async fn begin(kit: &Kit, fence: &Fence, id: DeliveryId) {
    assert!(kit.store.begin_delivery(fence, id, None, start()).await.unwrap());
}

async fn settle(kit: &Kit, fence: &Fence, id: DeliveryId, state: DeliveryState) {
    kit.store.settle_delivery(fence, id, state.into(), later(1)).await.unwrap();
}

fn sent(id: &str) -> DeliveryState {
    DeliveryState::Sent { remote_id: RemoteId::new(id) }
}

async fn rows(kit: &Kit) -> Vec<OutboxRow> {
    let status = DeliveryStatus::ALL.to_vec();
    kit.store.outbox(&OutboxFilter { status, limit: 100, ..OutboxFilter::default() }).await.unwrap()
}

async fn statuses(kit: &Kit) -> Vec<&'static str> {
    rows(kit).await.iter().map(|row| row.status.as_str()).collect()
}

async fn a_conversation_goes_out_in_order(kit: Kit) {
    let (anna, bob) = (ticket(&kit, ANNA, "1").await, ticket(&kit, BOB, "2").await);
    for text in ["anna one", "anna two", "anna three"] {
        kit.reply(anna, text).await;
    }
    kit.reply(bob, "bob one").await;
    let fence = fence(&kit).await;
    let first = due(&kit, 0).await;
    assert_eq!(texts(&first), ["anna one", "bob one"]);
    begin(&kit, &fence, id_of(&first[0])).await;
    assert_eq!(texts(&due(&kit, 0).await), ["bob one"], "one of a conversation at a time");
    // It is to be tried again in ten minutes: those behind it wait, others do not.
    let again = DeliveryState::Queued { not_before: later(10) };
    settle(&kit, &fence, id_of(&first[0]), again).await;
    assert_eq!(texts(&due(&kit, 5).await), ["bob one"]);
    assert_eq!(kit.store.next_due(&name("mail")).await.unwrap(), Some(start()));
    assert_eq!(texts(&due(&kit, 10).await), ["anna one", "bob one"]);
    begin(&kit, &fence, id_of(&first[0])).await;
    settle(&kit, &fence, id_of(&first[0]), sent("r1")).await;
    assert_eq!(texts(&due(&kit, 10).await), ["anna two", "bob one"]);
    // What failed for good holds nobody up.
    let second = due(&kit, 10).await.remove(0);
    begin(&kit, &fence, id_of(&second)).await;
    settle(&kit, &fence, id_of(&second), DeliveryState::Failed { cause: "no".into() }).await;
    assert_eq!(texts(&due(&kit, 10).await), ["anna three", "bob one"]);
}

async fn parts_of_a_reply_go_out_in_order_and_fail_together(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let mut plan = kit.plan(anna, "one two three").await;
    plan.parts = ["one", "two", "three"].map(part).to_vec();
    let message = plan.message;
    kit.store.queue_reply(plan, start()).await.unwrap();
    let fence = fence(&kit).await;
    let first = due(&kit, 0).await;
    assert_eq!(texts(&first), ["one"]);
    // Held by somebody: the later parts do not overtake it.
    kit.store.hold_delivery(id_of(&first[0]), agent(), start()).await.unwrap();
    assert!(due(&kit, 0).await.is_empty());
    kit.store.release_delivery(id_of(&first[0]), agent(), start()).await.unwrap();
    begin(&kit, &fence, id_of(&first[0])).await;
    settle(&kit, &fence, id_of(&first[0]), sent("r1")).await;
    let second = due(&kit, 0).await;
    assert_eq!(texts(&second), ["two"]);
    begin(&kit, &fence, id_of(&second[0])).await;
    settle(&kit, &fence, id_of(&second[0]), DeliveryState::Failed { cause: "too long".into() })
        .await;
    assert_eq!(statuses(&kit).await, ["sent", "failed", "failed"]);
    let view = kit.store.message(message.uuid()).await.unwrap();
    let delivery = view.delivery.unwrap();
    assert_eq!((delivery.status.as_str(), delivery.parts), ("failed", 3));
    // Said again, they go out in order.
    assert_eq!(kit.store.retry_failed(Some(name("mail")), agent(), later(2)).await.unwrap(), 2);
    assert_eq!(texts(&due(&kit, 2).await), ["two"]);
}

async fn an_attempt_is_noted_before_it_is_made(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    kit.reply(anna, "hello").await;
    let fence = fence(&kit).await;
    let id = id_of(&due(&kit, 0).await[0]);
    let named = Some(RemoteId::new("ours@desk.example"));
    assert!(kit.store.begin_delivery(&fence, id, named.clone(), start()).await.unwrap());
    let row = rows(&kit).await.remove(0);
    assert_eq!((row.status, row.attempts), (DeliveryStatus::Sending, 1));
    assert_eq!(row.external_id.as_deref(), Some("ours@desk.example"));
    // Nobody begins it twice, and people cannot touch it while it is in the air.
    assert!(!kit.store.begin_delivery(&fence, id, named, start()).await.unwrap());
    for outcome in [
        kit.store.cancel_delivery(id, agent(), start()).await,
        kit.store.retry_delivery(id, agent(), start()).await,
        kit.store.hold_delivery(id, agent(), start()).await,
    ] {
        assert!(matches!(outcome, Err(StoreError::Refused(why)) if why.contains("is sending")));
    }
    assert_eq!(rows(&kit).await[0].attempts, 1);
}

async fn what_was_half_done_is_recovered_as_the_service_allows(kit: Kit) {
    let store = &kit.store;
    for (number, (resend, expected)) in
        [(Resend::MayDuplicate, "unconfirmed"), (Resend::Safe, "queued")].into_iter().enumerate()
    {
        let ticket = ticket(&kit, ANNA, &number.to_string()).await;
        kit.reply(ticket, expected).await;
        let dead = fence(&kit).await;
        let found = due(&kit, 0).await;
        begin(&kit, &dead, id_of(found.last().unwrap())).await;
        let next = fence(&kit).await;
        assert_eq!(store.recover_deliveries(&next, resend, later(1)).await.unwrap(), 1);
        assert_eq!(statuses(&kit).await.last(), Some(&expected));
        assert_eq!(store.recover_deliveries(&next, resend, later(1)).await.unwrap(), 0);
    }
    // An unconfirmed one is never sent again by itself.
    assert_eq!(texts(&due(&kit, 60 * 24 * 30).await), ["queued"]);
    let row = rows(&kit).await.remove(0);
    assert!(row.error.unwrap().contains("stopped"));
    store.retry_delivery(row.id, agent(), later(2)).await.unwrap();
    assert_eq!(due(&kit, 2).await.len(), 2);
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn people_hold_release_repeat_and_cancel(kit: Kit) {
    let (anna, store) = (ticket(&kit, ANNA, "1").await, &kit.store);
    let mut plan = kit.plan(anna, "held").await;
    plan.held = true;
    store.queue_reply(plan, start()).await.unwrap();
    assert!(due(&kit, 0).await.is_empty());
    let id = rows(&kit).await[0].id;
    let refused = |outcome: Result<OutboxRow, StoreError>| {
        assert!(matches!(outcome, Err(StoreError::Refused(_))), "{outcome:?}");
    };
    refused(store.hold_delivery(id, agent(), start()).await);
    store.release_delivery(id, agent(), start()).await.unwrap();
    refused(store.release_delivery(id, agent(), start()).await);
    assert_eq!(due(&kit, 0).await.len(), 1);
    store.cancel_delivery(id, agent(), start()).await.unwrap();
    assert!(due(&kit, 0).await.is_empty());
    let row = rows(&kit).await.remove(0);
    assert_eq!(
        (row.status, row.error.as_deref()),
        (DeliveryStatus::Cancelled, Some("cancelled by Agent Anna"))
    );
    refused(store.cancel_delivery(id, agent(), start()).await);
    store.retry_delivery(id, agent(), later(1)).await.unwrap();
    assert_eq!(due(&kit, 1).await.len(), 1);
    let fence = fence(&kit).await;
    begin(&kit, &fence, id).await;
    settle(&kit, &fence, id, sent("r")).await;
    refused(store.retry_delivery(id, agent(), later(2)).await);
    refused(store.cancel_delivery(id, agent(), later(2)).await);
    let missing = store.retry_delivery(DeliveryId::new(), agent(), start()).await;
    assert!(matches!(missing, Err(StoreError::NotFound("delivery"))));
    let trail = store.ticket_events(anna.uuid(), 0, 100).await.unwrap();
    let by_people = trail
        .iter()
        .filter(|event| event.kind == "delivery.updated" && event.actor.name == "Agent Anna");
    assert_eq!(by_people.count(), 3, "who decided stands in the trail");
}

async fn a_planned_reply_waits_for_its_time_and_may_be_overtaken(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let mut plan = kit.plan(anna, "tomorrow").await;
    plan.send_at = Some(later(60));
    kit.store.queue_reply(plan, start()).await.unwrap();
    assert!(due(&kit, 59).await.is_empty());
    assert_eq!(kit.store.next_due(&name("mail")).await.unwrap(), Some(later(60)));
    kit.reply(anna, "today").await;
    assert_eq!(texts(&due(&kit, 0).await), ["today"]);
    assert_eq!(rows(&kit).await[0].next_attempt_at, Some(later(60)));
    let fence = fence(&kit).await;
    let today = due(&kit, 0).await.remove(0);
    begin(&kit, &fence, id_of(&today)).await;
    settle(&kit, &fence, id_of(&today), sent("r")).await;
    assert_eq!(texts(&due(&kit, 60).await), ["tomorrow"]);
}

async fn what_was_to_be_sent_unless_answered_is_not(kit: Kit) {
    let (channel, anna) = (mail_channel("mail"), ticket(&kit, ANNA, "1").await);
    let mut ids = Vec::new();
    for (text, held) in [("planned", false), ("held", true)] {
        let mut plan = kit.plan(anna, text).await;
        plan.unless_answered = true;
        plan.held = held;
        plan.send_at = Some(later(60));
        ids.push(plan.message);
        kit.store.queue_reply(plan, start()).await.unwrap();
    }
    kit.reply(anna, "in any case").await;
    // A machine is no answer.
    let mut away = answer(ANNA, "away", &["1"]);
    away.automated = Some("out of office");
    kit.arrive(&channel, away).await;
    assert_eq!(statuses(&kit).await, ["queued", "held", "queued"]);
    kit.arrive(&channel, answer(ANNA, "2", &["1"])).await;
    assert_eq!(statuses(&kit).await, ["cancelled", "cancelled", "queued"]);
    let view = kit.store.message(ids[0].uuid()).await.unwrap().delivery.unwrap();
    assert_eq!(
        (view.status.as_str(), view.error.as_deref()),
        ("cancelled", Some("the customer wrote first"))
    );
}

fn once(key: &str, fingerprint: &str) -> Option<Once> {
    Some(Once {
        principal: "token:1".to_owned(),
        action: "POST messages".to_owned(),
        key: key.to_owned(),
        fingerprint: fingerprint.to_owned(),
        status: 202,
    })
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn the_same_wish_at_once_is_one_reply(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let other = kit.another().await;
    let plan = |key: &str, text: &str| {
        let (key, text, kit) = (key.to_owned(), text.to_owned(), &kit);
        async move {
            let plan = kit.plan(anna, &text).await;
            ReplyPlan { once: once(&key, &text), message: MessageId::new(), ..plan }
        }
    };
    for round in 0..8 {
        let key = format!("key {round}");
        let (a, b, c) = (plan(&key, "hi").await, plan(&key, "hi").await, plan(&key, "hi").await);
        let (a, b, c) = tokio::join!(
            kit.store.queue_reply(a, start()),
            other.queue_reply(b, start()),
            kit.store.queue_reply(c, start())
        );
        let answers = [a.unwrap(), b.unwrap(), c.unwrap()];
        let fresh: Vec<_> = answers.iter().filter(|one| matches!(one, Answer::Fresh(_))).collect();
        assert_eq!(fresh.len(), 1, "round {round}: {answers:?}");
        let Answer::Fresh(view) = fresh[0] else { unreachable!() };
        for answer in &answers {
            if let Answer::Replayed { status, body } = answer {
                assert_eq!(*status, 202);
                assert!(body.contains(&view.id.to_string()), "another answer was given");
            }
        }
    }
    assert_eq!(rows(&kit).await.len(), 8);
    // The same key with something else in it is no repetition.
    let misused = kit.store.queue_reply(plan("key 0", "other").await, start()).await.unwrap();
    assert!(matches!(misused, Answer::KeyReused));
    // Without a key, the id that the caller chose does it.
    let same = kit.plan(anna, "by id").await;
    for _ in 0..3 {
        kit.store.queue_reply(same.clone(), start()).await.unwrap();
    }
    assert_eq!(rows(&kit).await.len(), 9);
    // A wish that failed has used up nothing.
    let mut bad = plan("key bad", "x").await;
    bad.uploads = vec![uuid::Uuid::now_v7()];
    assert!(kit.store.queue_reply(bad.clone(), start()).await.is_err());
    bad.uploads.clear();
    assert!(matches!(kit.store.queue_reply(bad, start()).await.unwrap(), Answer::Fresh(_)));
    // After a day the key is free.
    assert_eq!(kit.store.forget_old_keys(later(60 * 25)).await.unwrap(), 9);
}

async fn attachments_go_with_the_first_part_and_once(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let new = NewUpload {
        name: "invoice.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        bytes: Bytes::from(vec![1_u8; 300_000]),
    };
    let Answer::Fresh(upload) = kit.store.keep_upload(new, None, start()).await.unwrap() else {
        panic!("no upload")
    };
    assert_eq!(kit.store.unused_uploads(&[upload.id]).await.unwrap(), [300_000]);
    let mut plan = kit.plan(anna, "with a file").await;
    plan.uploads = vec![upload.id];
    let mut second = kit.plan(anna, "the same file again").await;
    second.uploads = vec![upload.id];
    let message = plan.message;
    kit.store.queue_reply(plan, start()).await.unwrap();
    let outcome = kit.store.queue_reply(second, start()).await;
    assert!(matches!(outcome, Err(StoreError::NotFound("upload"))), "{outcome:?}");
    let found = due(&kit, 0).await.remove(0);
    assert!(found.delivery.outbound.media.is_empty(), "a list of what is due reads no files");
    let complete = kit.store.complete(found).await.unwrap();
    let media = &complete.outbound.media;
    assert_eq!((media.len(), media[0].name.as_str()), (1, "invoice.pdf"));
    assert!(media[0].bytes == vec![1_u8; 300_000]);
    let view = kit.store.message(message.uuid()).await.unwrap();
    assert_eq!(view.attachments[0].id, upload.id);
    assert!(kit.store.unused_uploads(&[upload.id]).await.is_err());
}

async fn a_file_can_be_fetched_while_its_delivery_is_on_its_way(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let new = NewUpload {
        name: "invoice.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        bytes: Bytes::from(vec![1_u8; 300_000]),
    };
    let Answer::Fresh(upload) = kit.store.keep_upload(new, None, start()).await.unwrap() else {
        panic!("no upload")
    };
    let mut plan = kit.plan(anna, "with a file").await;
    plan.uploads = vec![upload.id];
    kit.store.queue_reply(plan, start()).await.unwrap();
    let id = id_of(&due(&kit, 0).await[0]);
    let fetched = async |id, at| kit.store.file_under_way(id, at).await.unwrap();
    let (fence, file) = (fence(&kit).await, fetched(id, 0).await.unwrap());
    assert_eq!((file.mime.as_str(), file.bytes.len()), ("application/pdf", 300_000));
    assert!(fetched(id, 1).await.is_none() && fetched(DeliveryId::new(), 0).await.is_none());
    begin(&kit, &fence, id).await;
    settle(&kit, &fence, id, sent("r1")).await;
    assert!(fetched(id, 0).await.is_some());
    let contact = kit.ticket(anna).await.contact.id;
    let by = By { actor: agent(), version: None, once: None, now: later(2) };
    kit.store.erase_contact(contact.into(), by).await.unwrap();
    assert!(fetched(id, 0).await.is_none(), "what was erased is nowhere");
}

async fn files_that_are_left_are_sent_and_fetched_by_the_same_places(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let mut plan = kit.plan(anna, "with files").await;
    for name in ["one.pdf", "two.pdf", "three.pdf"] {
        let new = NewUpload {
            name: name.to_owned(),
            media_type: "application/pdf".to_owned(),
            bytes: Bytes::from_static(name.as_bytes()),
        };
        let Answer::Fresh(upload) = kit.store.keep_upload(new, None, start()).await.unwrap() else {
            panic!("no upload")
        };
        plan.uploads.push(upload.id);
    }
    kit.store.queue_reply(plan, start()).await.unwrap();
    assert_eq!(kit.execute("DELETE FROM attachment WHERE name = 'one.pdf'").await, 1);
    let found = due(&kit, 0).await.remove(0);
    let id = id_of(&found);
    let sent = kit.store.complete(found).await.unwrap().outbound.media;
    assert_eq!(sent.iter().map(|file| &file.name).collect::<Vec<_>>(), ["two.pdf", "three.pdf"]);
    for (at, file) in sent.iter().enumerate() {
        let fetched = kit.store.file_under_way(id, at).await.unwrap().unwrap();
        assert_eq!((&fetched.name, &fetched.bytes), (&file.name, &file.bytes));
    }
    assert!(kit.store.file_under_way(id, 2).await.unwrap().is_none());
}

async fn humans_go_before_machines(kit: Kit) {
    for (number, automated) in [true, false, true, false].into_iter().enumerate() {
        let ticket = ticket(&kit, ANNA, &number.to_string()).await;
        let text = if automated { "machine" } else { "human" };
        let mut plan = kit.plan(ticket, text).await;
        plan.automated = automated;
        kit.store.queue_reply(plan, start()).await.unwrap();
    }
    assert_eq!(texts(&due(&kit, 0).await), ["human", "human", "machine", "machine"]);
    let view = kit.store.due_deliveries(&name("mail"), 1, start()).await.unwrap();
    assert_eq!(view.len(), 1);
}

async fn giving_up_counts_from_the_first_attempt(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let week = 60 * 24 * 7;
    let mut plan = kit.plan(anna, "next week").await;
    plan.send_at = Some(later(week));
    kit.store.queue_reply(plan, start()).await.unwrap();
    let fence = fence(&kit).await;
    let found = due(&kit, week).await.remove(0);
    assert_eq!(found.delivery.tried_since, later(week));
    let id = id_of(&found);
    assert!(kit.store.begin_delivery(&fence, id, None, later(week)).await.unwrap());
    settle(&kit, &fence, id, DeliveryState::Queued { not_before: later(week + 10) }).await;
    let again = due(&kit, week + 20).await.remove(0);
    assert_eq!(again.delivery.tried_since, later(week), "later attempts count from the first");
    assert_eq!(rows(&kit).await[0].queued_at, start());
    kit.store.begin_delivery(&fence, id, None, later(week + 20)).await.unwrap();
    settle(&kit, &fence, id, DeliveryState::Failed { cause: "given up".into() }).await;
    kit.store.retry_delivery(id, agent(), later(2 * week)).await.unwrap();
    let again = due(&kit, 2 * week).await.remove(0);
    assert_eq!(again.delivery.tried_since, later(2 * week), "somebody asked for another try");
}

async fn a_stale_reply_is_refused(kit: Kit) {
    let anna = ticket(&kit, ANNA, "1").await;
    let mut plan = kit.plan(anna, "too late").await;
    plan.version = Some(kit.ticket(anna).await.version);
    kit.arrive(&mail_channel("mail"), answer(ANNA, "2", &["1"])).await;
    let outcome = kit.store.queue_reply(plan, start()).await;
    assert!(matches!(outcome, Err(StoreError::Stale { given: 1, current: 2 })), "{outcome:?}");
    assert!(rows(&kit).await.is_empty());
}
