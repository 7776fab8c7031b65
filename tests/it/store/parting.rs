//! Merging and joining, and undoing it: what is lent comes back, over others that were merged since, and nobody is
//! taken for somebody else.

use tributary::model::{Actor, ActorKind, Flag, Priority, Role, TicketId, TicketStatus, Trust};
use tributary::store::{By, NewNote, TicketFilter, TicketPatch};

use super::board::any;
use super::ingest::chat;
use super::{
    ANNA, BOB, DESK, Kit, agent, answer, chat_channel, days, later, mail, mail_channel, on_both,
    party, start, ticket_of,
};

on_both! {
    chains_of_merges_leave_nothing_behind
    what_two_lent_goes_with_the_second
    a_merge_hides_nobody_who_waits
    a_ticket_that_somebody_wrote_into_since_stays_awake
    a_conversation_comes_back_with_its_ticket
    mentions_go_along_and_come_back
    a_forger_who_was_joined_takes_nothing_along
    who_wrote_without_an_address_is_parted_too
}

fn by(minutes: i64) -> By {
    By { actor: agent(), version: None, once: None, now: later(minutes) }
}

async fn merge(kit: &Kit, from: TicketId, into: TicketId) {
    kit.store.merge_ticket(from, into, by(1)).await.unwrap();
}

async fn part(kit: &Kit, id: TicketId) {
    kit.store.unmerge_ticket(id, by(5)).await.unwrap();
}

async fn change(kit: &Kit, id: TicketId, patch: TicketPatch) {
    kit.store.change_ticket(id, patch, by(0)).await.unwrap();
}

async fn open(kit: &Kit, from: &str, id: &str, tags: &[&str]) -> TicketId {
    let ticket = ticket_of(&kit.arrive(&mail_channel("mail"), mail(from, id)).await);
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    change(kit, ticket, TicketPatch { tags: Some(tags), ..TicketPatch::default() }).await;
    ticket
}

/// Tags and people of a ticket.
async fn has(kit: &Kit, id: TicketId) -> String {
    let ticket = kit.ticket(id).await;
    let people = format!(
        "SELECT p.value FROM participant p JOIN ticket t ON t.id = p.ticket \
         WHERE t.number = {} AND p.value <> '{DESK}' ORDER BY p.value",
        ticket.number
    );
    let people = kit.texts(&people).await;
    let people: Vec<&str> = people.iter().filter_map(|one| one.split('@').next()).collect();
    format!("{} | {}", ticket.tags.join(" "), people.join(" "))
}

async fn chains_of_merges_leave_nothing_behind(kit: Kit) {
    let a = open(&kit, ANNA, "a", &["lost"]).await;
    let b = open(&kit, BOB, "b", &["own"]).await;
    let c = open(&kit, "carol@customer.example", "c", &[]).await;
    let before = has(&kit, b).await;
    merge(&kit, a, b).await;
    merge(&kit, b, c).await;
    assert_eq!(has(&kit, c).await, "lost own | anna bob carol");
    part(&kit, a).await;
    assert_eq!(has(&kit, c).await, "own | bob carol");
    part(&kit, b).await;
    assert_eq!((has(&kit, b).await, has(&kit, c).await), (before, " | carol".to_owned()));
    // Merged elsewhere since: it belongs to the others no longer.
    merge(&kit, a, b).await;
    merge(&kit, b, c).await;
    part(&kit, a).await;
    merge(&kit, a, c).await;
    part(&kit, b).await;
    assert_eq!((kit.ticket(b).await.message_count, kit.ticket(c).await.message_count), (1, 2));
    assert_eq!(has(&kit, c).await, "lost | anna carol");
}

async fn what_two_lent_goes_with_the_second(kit: Kit) {
    let a = open(&kit, ANNA, "a", &["lost"]).await;
    let d = open(&kit, ANNA, "d", &["lost", "new"]).await;
    let c = open(&kit, BOB, "c", &[]).await;
    for id in [a, d] {
        merge(&kit, id, c).await;
    }
    part(&kit, a).await;
    assert_eq!(has(&kit, c).await, "lost new | anna bob");
    part(&kit, d).await;
    assert_eq!(has(&kit, c).await, " | bob");
}

async fn a_merge_hides_nobody_who_waits(kit: Kit) {
    let into = open(&kit, BOB, "b", &[]).await;
    let until = Some(Some(days(3)));
    let stand = async |id: TicketId| {
        let ticket = kit.ticket(id).await;
        (ticket.status, ticket.priority, ticket.snoozed_until)
    };
    for (number, patch) in [
        TicketPatch { status: Some(TicketStatus::Solved), ..TicketPatch::default() },
        TicketPatch { snoozed_until: until, ..TicketPatch::default() },
        TicketPatch {
            status: Some(TicketStatus::Pending),
            priority: Some(Priority::High),
            ..TicketPatch::default()
        },
    ]
    .into_iter()
    .enumerate()
    {
        change(&kit, into, patch).await;
        let before = stand(into).await;
        let waits = open(&kit, ANNA, &format!("a{number}"), &[]).await;
        let urgent = TicketPatch { priority: Some(Priority::Urgent), ..TicketPatch::default() };
        change(&kit, waits, urgent).await;
        merge(&kit, waits, into).await;
        assert_eq!(stand(into).await, ("open".to_owned(), "urgent".to_owned(), None), "{number}");
        part(&kit, waits).await;
        assert_eq!(stand(into).await, before, "{number}");
        assert_eq!(stand(waits).await.0, "open");
    }
    // What nobody waits for wakes nothing.
    let solved = open(&kit, ANNA, "last", &[]).await;
    let over = TicketPatch { status: Some(TicketStatus::Solved), ..TicketPatch::default() };
    change(&kit, solved, over).await;
    merge(&kit, solved, into).await;
    assert_eq!(stand(into).await.0, "pending");
}

async fn a_ticket_that_somebody_wrote_into_since_stays_awake(kit: Kit) {
    let into = open(&kit, BOB, "b", &[]).await;
    let over = TicketPatch { status: Some(TicketStatus::Pending), ..TicketPatch::default() };
    change(&kit, into, over).await;
    let waits = open(&kit, ANNA, "a", &[]).await;
    merge(&kit, waits, into).await;
    kit.arrive_at(&mail_channel("mail"), answer(BOB, "b2", &["b"]), later(2)).await;
    kit.execute("UPDATE message SET received_at = received_at + 120000 WHERE remote_id = 'b2'")
        .await;
    part(&kit, waits).await;
    assert_eq!(kit.ticket(into).await.status, "open");
}

async fn a_conversation_comes_back_with_its_ticket(kit: Kit) {
    let channel = chat_channel("chat");
    let says = async |id: &str, at: i64| {
        ticket_of(&kit.arrive_at(&channel, chat(id, "thread"), later(at)).await)
    };
    let first = says("1", 0).await;
    let over = TicketPatch { status: Some(TicketStatus::Closed), ..TicketPatch::default() };
    change(&kit, first, over).await;
    let second = says("2", 0).await;
    assert_ne!(first, second, "it was closed for good");
    // As one is that was solved so long ago that the next word opened another.
    kit.execute("UPDATE ticket SET status = 'solved' WHERE status = 'closed'").await;
    let other = open(&kit, BOB, "b", &[]).await;
    merge(&kit, second, other).await;
    part(&kit, second).await;
    assert_eq!(says("3", 6).await, second, "it has its conversation again");
}

async fn mentions_go_along_and_come_back(kit: Kit) {
    let system = Actor::system();
    let bo = ("Bo Chen", "bo@desk.test");
    let bo = kit.store.add_person(bo, Role::Agent, None, &system, start()).await.unwrap().id;
    let from = open(&kit, ANNA, "a", &[]).await;
    let into = open(&kit, BOB, "b", &[]).await;
    let note = NewNote {
        ticket: from,
        text: "please look, @Bo Chen".to_owned(),
        html: None,
        uploads: Vec::new(),
    };
    let author = Actor { kind: ActorKind::Agent, id: None, name: "Lena".to_owned() };
    kit.store.add_note(note, By { actor: author, ..by(0) }).await.unwrap();
    let named = async || {
        let filter = TicketFilter { mentioned: Some(bo), limit: 10, ..any() };
        let found = kit.store.tickets(&filter).await.unwrap();
        found.into_iter().map(|ticket| TicketId::from(ticket.id)).collect::<Vec<_>>()
    };
    assert_eq!(named().await, [from]);
    merge(&kit, from, into).await;
    assert_eq!(named().await, [into]);
    part(&kit, from).await;
    assert_eq!(named().await, [from]);
}

/// Messages that are not of the contact whose ticket they are in.
const ASTRAY: &str =
    "SELECT COUNT(*) FROM message m JOIN ticket t ON t.id = m.ticket WHERE m.contact <> t.contact";

async fn a_forger_who_was_joined_takes_nothing_along(kit: Kit) {
    let channel = mail_channel("mail");
    let forged = |id: &str| {
        let mut inbound = mail(ANNA, id);
        inbound.sender.trust = Trust::Forged;
        inbound.flags.insert(Flag::SpoofSuspect);
        inbound
    };
    let hers = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    let theirs = ticket_of(&kit.arrive(&channel, forged("2")).await);
    let owner = async |id: TicketId| kit.ticket(id).await.contact.id;
    let (anna, forger) = (owner(hers).await, owner(theirs).await);
    assert_ne!(anna, forger);
    for (from, into) in [(forger, anna), (anna, forger)] {
        kit.store.merge_contact(from.into(), into.into(), by(1)).await.unwrap();
        let number = format!("{from}");
        let real = kit.arrive_at(&channel, mail(ANNA, &format!("r{number}")), later(2)).await;
        let false_one = kit.arrive_at(&channel, forged(&format!("f{number}")), later(2)).await;
        kit.store.unmerge_contact(from.into(), by(3)).await.unwrap();
        for (ticket, whose) in [
            (hers, anna),
            (theirs, forger),
            (ticket_of(&real), anna),
            (ticket_of(&false_one), forger),
        ] {
            assert_eq!(owner(ticket).await, whose);
        }
        assert_eq!(kit.number(ASTRAY).await, 0);
    }
}

async fn who_wrote_without_an_address_is_parted_too(kit: Kit) {
    let channel = mail_channel("mail");
    let hers = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    let mut nobody = mail(BOB, "2");
    nobody.sender.address = None;
    nobody.reply_to = Some(party(BOB));
    let theirs = ticket_of(&kit.arrive(&channel, nobody).await);
    let (anna, unknown) = (kit.ticket(hers).await.contact.id, kit.ticket(theirs).await.contact.id);
    kit.store.merge_contact(unknown.into(), anna.into(), by(1)).await.unwrap();
    kit.store.unmerge_contact(unknown.into(), by(2)).await.unwrap();
    assert_eq!(kit.ticket(theirs).await.contact.id, unknown);
    assert_eq!(kit.number(ASTRAY).await, 0);
}
