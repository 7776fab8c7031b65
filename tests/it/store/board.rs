//! The figures of the dashboard, by day, channel and tag.

use chrono::{DateTime, TimeZone as _, Utc};
use tributary::model::{Address, Event, Meaning, Priority, Rating, ThreadKey, TicketStatus};
use tributary::store::{By, StatsFilter, TicketFilter, TicketKey, TicketPatch};

use super::ingest::chat;
use super::{
    ANNA, BOB, Kit, agent, chat_channel, days, mail, mail_channel, on_both, start, ticket_of,
};

on_both! {
    figures_count_what_happened_within_the_span_and_what_is_left_after_it
    what_was_opened_again_was_no_backlog_while_it_was_solved
    a_judgement_counts_on_its_day_and_for_its_ticket
    the_words_of_tickets_are_listed_once
}

const DAY: i64 = 86_400_000;

fn day(number: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, number, 0, 0, 0).unwrap()
}

pub(super) fn any() -> TicketFilter {
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
        q: None,
        key: TicketKey::Created,
        descending: false,
        after: None,
        limit: 0,
    }
}

async fn figures_count_what_happened_within_the_span_and_what_is_left_after_it(kit: Kit) {
    let (first, second) = (mail_channel("mail"), mail_channel("other"));
    let begins = day(2).timestamp_millis();
    // Channel, opened after the beginning, answered and solved after that, spam.
    let set = [
        (&first, 0, Some(60_000), Some(600_000), false),
        (&first, 1_000, Some(120_000), Some(DAY), false),
        (&second, DAY, None, None, false),
        (&first, -5 * DAY, Some(1), None, false),
        (&first, -5 * DAY, Some(1), Some(DAY), false),
        (&first, 0, None, None, true),
        (&first, 40 * DAY, None, None, false),
    ];
    for (place, (channel, opened, answered, solved, spam)) in set.into_iter().enumerate() {
        let ingested = kit.arrive(channel, mail(ANNA, &format!("m{place}"))).await;
        let number = kit.ticket(ticket_of(&ingested)).await.number;
        let at = begins + opened;
        let moment =
            |after: Option<i64>| after.map_or("NULL".to_owned(), |after| (at + after).to_string());
        let status = if spam {
            "spam"
        } else if solved.is_some() {
            "solved"
        } else {
            "open"
        };
        kit.execute(&format!(
            "UPDATE ticket SET created_at = {at}, first_response_at = {}, solved_at = {}, status = '{status}' \
             WHERE number = {number}",
            moment(answered),
            moment(solved)
        ))
        .await;
        kit.execute(&format!(
            "UPDATE message SET sent_at = {at} WHERE ticket IN (SELECT id FROM ticket WHERE number = {number})"
        ))
        .await;
    }
    let span = (day(2), day(5));
    let board = kit.store.board(span, &any()).await.unwrap();
    let of =
        |row: &tributary::store::BoardRow| (row.opened, row.solved, row.backlog, row.messages_in);
    assert_eq!(of(&board.total), (3, 2, 2, 3));
    let days: Vec<_> = board.days.iter().map(|row| (row.name.as_str(), of(row))).collect();
    let wanted =
        [("2026-03-02", (2, 1, 2, 2)), ("2026-03-03", (1, 1, 2, 1)), ("2026-03-04", (0, 0, 2, 0))];
    assert_eq!(days, wanted);
    assert_eq!(board.total.first_response, Some(120.0));
    assert_eq!(board.total.resolution, Some(86_400.0));
    assert_eq!(board.days[2].first_response, None);
    let channels: Vec<_> = board.channels.iter().map(|row| (row.name.as_str(), of(row))).collect();
    assert_eq!(channels, [("mail", (2, 2, 1, 2)), ("other", (1, 0, 1, 1))]);
    assert_eq!(board.tags[0].name, "new");
    assert_eq!((board.tags[0].opened, board.tags[0].messages_in), (3, 0));

    let stats = StatsFilter { from: span.0, to: span.1, channel: None };
    let stats = kit.store.stats(&stats).await.unwrap();
    assert_eq!((stats.total.tickets_created, stats.by_day["2026-03-02"].messages_in), (3, 3));

    let filter = TicketFilter { channel: vec!["other".to_owned()], ..any() };
    let other = kit.store.board(span, &filter).await.unwrap();
    assert_eq!(of(&other.total), (1, 0, 1, 1));
    let filter = TicketFilter { tag: vec!["nobody has it".to_owned()], ..any() };
    assert_eq!(of(&kit.store.board(span, &filter).await.unwrap().total), (0, 0, 0, 0));
}

async fn a_judgement_counts_on_its_day_and_for_its_ticket(kit: Kit) {
    let web = chat_channel("web");
    for (visitor, score) in [("a", 5), ("b", 5), ("c", 2)] {
        let ingested = kit.arrive(&web, chat(&format!("m-{visitor}"), visitor)).await;
        ticket_of(&ingested);
        let rating = Rating {
            thread: ThreadKey::new(visitor),
            score,
            comment: String::new(),
            by: Address::email(BOB),
        };
        kit.apply(&web, Ok(Meaning::Events(vec![Event::Rating(rating)])), start()).await;
    }
    let span = (start() - chrono::Duration::days(1), start() + chrono::Duration::days(1));
    let board = kit.store.board(span, &any()).await.unwrap();
    assert_eq!(board.scores, [0, 1, 0, 0, 2]);
    assert_eq!((board.total.ratings, board.total.rating), (3, Some(4.0)));
    let rated: Vec<u64> = board.days.iter().map(|day| day.ratings).collect();
    assert_eq!(rated, [0, 3, 0]);
    assert_eq!(board.channels[0].ratings, 3);
    let other = TicketFilter { channel: vec!["mail".to_owned()], ..any() };
    assert_eq!(kit.store.board(span, &other).await.unwrap().total.ratings, 0);
}

/// A past period shows what stood open then, whatever became of its tickets since.
async fn what_was_opened_again_was_no_backlog_while_it_was_solved(kit: Kit) {
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    ticket_of(&kit.arrive(&channel, mail(BOB, "m2")).await);
    let set = async |status, at: i64| {
        let patch = TicketPatch { status: Some(status), ..TicketPatch::default() };
        let by = By { actor: agent(), version: None, once: None, now: days(at) };
        kit.store.change_ticket(ticket, patch, by).await.unwrap();
    };
    let backlog = async || {
        let board = kit.store.board((start(), days(6)), &any()).await.unwrap();
        board.days.iter().map(|day| day.backlog).collect::<Vec<_>>()
    };
    assert_eq!(backlog().await, [2, 2, 2, 2, 2, 2, 2]);
    set(TicketStatus::Solved, 1).await;
    let before = backlog().await;
    assert_eq!(before, [2, 1, 1, 1, 1, 1, 1]);
    set(TicketStatus::Open, 4).await;
    assert_eq!(backlog().await, [2, 1, 1, 1, 2, 2, 2]);
    set(TicketStatus::Solved, 5).await;
    assert_eq!(backlog().await, [2, 1, 1, 1, 2, 1, 1]);
    let past = kit.store.board((start(), days(3)), &any()).await.unwrap();
    assert_eq!(past.total.backlog, 1);
}

async fn the_words_of_tickets_are_listed_once(kit: Kit) {
    let channel = mail_channel("mail");
    for number in 0..2 {
        let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, &format!("m{number}"))).await);
        let patch = TicketPatch {
            status: Some(TicketStatus::Pending),
            priority: Some(Priority::High),
            queue: Some(Some("chain".to_owned())),
            tags: Some(vec!["fees".to_owned(), "费用".to_owned()]),
            ..TicketPatch::default()
        };
        let by = By { actor: agent(), version: None, once: None, now: start() };
        kit.store.change_ticket(ticket, patch, by).await.unwrap();
    }
    let (tags, queues) = kit.store.ticket_words().await.unwrap();
    assert_eq!(Vec::from_iter(tags), ["fees", "费用"]);
    assert_eq!(Vec::from_iter(queues), ["chain"]);
}
