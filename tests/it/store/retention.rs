//! What is erased by itself: what has ended long enough ago, and nothing else.

use std::sync::Arc;

use tributary::desk::retention::{RetentionRule, RetentionSetting};
use tributary::engine::{Clock, Engine, EngineSettings};
use tributary::model::{Meaning, RawId, TicketId, TicketStatus, Timestamp};
use tributary::store::{By, ContactPatch, Ending, TicketName, TicketPatch};

use super::erase::{talk_about, telling, traces};
use super::{
    ANNA, BOB, Kit, agent, chat_channel, days, later, mail, mail_channel, message, on_both, start,
    ticket_of,
};
use crate::support::answers::triage;

on_both! {
    nothing_of_what_is_over_is_left
    what_is_held_young_open_or_meant_by_no_rule_stays
    what_goes_with_a_ticket_and_what_stays_of_its_customer
    raws_that_became_no_message_are_destroyed
    the_engine_erases_what_the_settings_say_and_nothing_more
    a_reply_on_its_way_holds_up_no_raws
}

fn by(now: Timestamp) -> By {
    By { actor: agent(), version: None, once: None, now }
}

fn rule(name: &str, after_days: u32) -> RetentionRule {
    RetentionRule { name: name.to_owned(), after_days, ..RetentionRule::default() }
}

fn after(after_days: u32) -> RetentionSetting {
    RetentionSetting {
        enabled: true,
        hold: vec!["hold".to_owned()],
        contacts: true,
        raws_days: 0,
        rules: vec![rule("old", after_days)],
    }
}

async fn end(kit: &Kit, ticket: TicketId, tags: &[&str], now: Timestamp) {
    let patch = TicketPatch {
        status: Some(TicketStatus::Solved),
        tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        ..TicketPatch::default()
    };
    kit.store.change_ticket(ticket, patch, by(now)).await.unwrap();
}

/// The numbers of tickets whose time is over, with their rules.
async fn over(kit: &Kit, setting: &RetentionSetting, now: Timestamp) -> Vec<(i64, String)> {
    let expired = kit.store.expired_tickets(setting, 100, now).await.unwrap();
    expired.into_iter().map(|one| (one.ticket, one.rule)).collect()
}

async fn readable(kit: &Kit, raw: RawId) -> bool {
    kit.store.raw(raw).await.unwrap().1.is_some()
}

async fn nothing_of_what_is_over_is_left(kit: Kit) {
    let channel = mail_channel("mail");
    let raw = kit.append(&channel.name, "kanarienvogel raw").await;
    let ticket = ticket_of(&kit.apply_to(raw, &channel, Ok(message(telling("1"))), start()).await);
    talk_about(&kit, &channel, ticket).await;
    // One that was merged into it has a trail of its own.
    let merged = ticket_of(&kit.arrive(&channel, telling("2")).await);
    kit.store.merge_ticket(merged, ticket, by(later(20))).await.unwrap();
    end(&kit, ticket, &["new"], later(30)).await;
    assert!(!traces(&kit).await.is_empty(), "the test looks in the wrong place");
    let setting = after(30);
    assert_eq!(kit.store.erase_expired(&setting, days(30)).await.unwrap(), 0, "not yet");
    assert_eq!(over(&kit, &setting, days(31)).await, [(1, "old".to_owned())]);

    assert_eq!(kit.store.erase_expired(&setting, days(31)).await.unwrap(), 1);

    let left = traces(&kit).await;
    assert!(left.is_empty(), "{} traces: {left:#?}", left.len());
    assert!(!readable(&kit, raw).await);
    assert_eq!(kit.store.erase_expired(&setting, days(31)).await.unwrap(), 0, "once");
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    let last = trail.last().unwrap();
    assert_eq!((last.kind.as_str(), &last.data["retention"]), ("ticket.deleted", &"old".into()));
    let audit = kit.store.audit_trail(None, i64::MAX, 100).await.unwrap();
    let erased = |kind: &str| audit.iter().filter(|event| event.kind == kind).count();
    assert_eq!((erased("ticket.deleted"), erased("contact.erased")), (2, 1), "who did it is known");
    // The mail does not come back at the next poll.
    assert_eq!(kit.arrive_at(&channel, telling("1"), days(32)).await.new, 0);
}

async fn what_is_held_young_open_or_meant_by_no_rule_stays(kit: Kit) {
    let (channel, chat) = (mail_channel("mail"), chat_channel("chat"));
    let arrive =
        async |from: &str, id: &str| ticket_of(&kit.arrive(&channel, mail(from, id)).await);
    let old = arrive("old@x.example", "1").await;
    let held = arrive("held@x.example", "2").await;
    let of_held = arrive("vip@x.example", "3").await;
    let young = arrive("young@x.example", "4").await;
    let open = arrive("open@x.example", "5").await;
    let other = ticket_of(&kit.arrive(&chat, mail("chat@x.example", "6")).await);
    let spam = arrive("spam@x.example", "7").await;
    for (ticket, tags) in
        [(old, &["new"][..]), (held, &["hold"]), (of_held, &[]), (other, &[]), (spam, &["spam"])]
    {
        end(&kit, ticket, tags, later(10)).await;
    }
    end(&kit, young, &[], days(20)).await;
    let vip = kit.ticket(of_held).await.contact.id.into();
    let tags = Some(vec!["hold".to_owned()]);
    let patch = ContactPatch { tags, ..ContactPatch::default() };
    kit.store.change_contact(vip, patch, by(later(1))).await.unwrap();
    let mail_only = RetentionRule {
        channels: vec!["mail".to_owned()],
        no_tags: vec!["spam".to_owned()],
        ..rule("mails", 30)
    };
    let quick = RetentionRule { tags: vec!["spam".to_owned()], ..rule("spam", 7) };
    let setting = RetentionSetting { rules: vec![mail_only, quick], ..after(30) };
    assert_eq!(over(&kit, &setting, days(8)).await, [(7, "spam".to_owned())]);
    let both = [(1, "mails".to_owned()), (7, "spam".to_owned())];
    assert_eq!(over(&kit, &setting, days(31)).await, both);
    assert_eq!(kit.store.erase_expired(&setting, days(31)).await.unwrap(), 2);
    for (ticket, subject) in [
        (old, ""),
        (held, "about 2"),
        (of_held, "about 3"),
        (young, "about 4"),
        (open, "about 5"),
        (other, "about 6"),
        (spam, ""),
    ] {
        let outcome = kit.store.ticket(TicketName::Id(ticket.uuid())).await;
        assert_eq!(outcome.map_or_else(|_| String::new(), |ticket| ticket.subject), subject);
    }
}

async fn what_goes_with_a_ticket_and_what_stays_of_its_customer(kit: Kit) {
    let channel = mail_channel("mail");
    let first = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    let second = ticket_of(&kit.arrive(&channel, mail(ANNA, "2")).await);
    let bobs = ticket_of(&kit.arrive(&channel, mail(BOB, "b")).await);
    let (anna, bob) = (kit.ticket(first).await.contact.id, kit.ticket(bobs).await.contact.id);
    end(&kit, first, &[], later(10)).await;
    end(&kit, bobs, &[], later(10)).await;
    let setting = RetentionSetting { contacts: false, ..after(30) };
    assert_eq!(kit.store.erase_expired(&setting, days(31)).await.unwrap(), 2);
    let name = async |id: uuid::Uuid| kit.store.contact(id.into()).await.unwrap().name;
    assert_eq!((name(anna).await.as_str(), name(bob).await.as_str()), ("anna", "bob"));
    // Anna's last one takes her along, now that the settings say so.
    end(&kit, second, &[], days(31)).await;
    assert_eq!(kit.store.erase_expired(&after(30), days(62)).await.unwrap(), 1);
    assert_eq!((name(anna).await.as_str(), name(bob).await.as_str()), ("erased", "bob"));
}

async fn raws_that_became_no_message_are_destroyed(kit: Kit) {
    let channel = mail_channel("mail");
    let message_of = kit.append(&channel.name, "a message").await;
    kit.apply_to(message_of, &channel, Ok(message(mail(ANNA, "1"))), start()).await;
    let ignored = kit.append(&channel.name, "typing").await;
    kit.apply_to(ignored, &channel, Ok(Meaning::Ignore("typing")), start()).await;
    let broken = kit.append(&channel.name, "broken").await;
    let outcome = kit.apply_to(broken, &channel, Err("not to be read".to_owned()), start()).await;
    assert!(matches!(outcome.ending, Some(Ending::Failed(_))), "{outcome:?}");
    assert_eq!(kit.store.quarantine(None, 10).await.unwrap().len(), 1);
    let waiting = kit.append(&channel.name, "waits").await;
    let counted = async |now| kit.store.count_old_raws(30, now).await.unwrap();
    let forget = async |now| kit.store.forget_old_raws(30, now).await.unwrap();
    assert_eq!(forget(days(29)).await, 0);
    assert_eq!((counted(days(29)).await, counted(days(31)).await), (0, 2));

    assert_eq!((forget(days(31)).await, counted(days(31)).await), (2, 0));

    assert!(!readable(&kit, ignored).await && !readable(&kit, broken).await);
    let kept = readable(&kit, message_of).await && readable(&kit, waiting).await;
    assert!(kept, "one goes with its message, the other nobody has understood yet");
    assert!(kit.store.quarantine(None, 10).await.unwrap().is_empty(), "nobody could do anything");
    assert_eq!(forget(days(31)).await, 0, "once");
}

/// An engine a month later, whose settings can be changed.
fn engine(kit: &Kit) -> Arc<Engine> {
    let (clock, _) = Clock::by_hand(days(31));
    Engine::idle(kit.store.clone(), Vec::new(), EngineSettings::usual(), clock)
}

async fn erase(engine: &Engine, setting: RetentionSetting) -> bool {
    engine.change_triage(Arc::new(triage(|settings| settings.retention = setting)));
    engine.erase_some().await.unwrap()
}

/// A ticket that ended, and a raw that became no message.
async fn old_things(kit: &Kit) -> (TicketId, RawId) {
    let channel = mail_channel("mail");
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "1")).await);
    kit.reply(ticket, "an answer").await;
    end(kit, ticket, &[], later(10)).await;
    let ignored = kit.append(&channel.name, "typing").await;
    kit.apply_to(ignored, &channel, Ok(Meaning::Ignore("typing")), start()).await;
    (ticket, ignored)
}

async fn is_there(kit: &Kit, ticket: TicketId) -> bool {
    kit.store.ticket(TicketName::Id(ticket.uuid())).await.is_ok()
}

async fn the_engine_erases_what_the_settings_say_and_nothing_more(kit: Kit) {
    let (ticket, ignored) = old_things(&kit).await;
    let engine = engine(&kit);
    let off = RetentionSetting { enabled: false, raws_days: 30, ..after(30) };
    assert!(!erase(&engine, off).await);
    assert!(is_there(&kit, ticket).await && readable(&kit, ignored).await, "it is off");
    assert!(!erase(&engine, after(30)).await, "that was all");
    assert!(!is_there(&kit, ticket).await);
    assert!(readable(&kit, ignored).await, "raws have no days");
    assert!(!erase(&engine, RetentionSetting { raws_days: 30, ..after(30) }).await);
    assert!(!readable(&kit, ignored).await);
}

async fn a_reply_on_its_way_holds_up_no_raws(kit: Kit) {
    let (ticket, ignored) = old_things(&kit).await;
    let engine = engine(&kit);
    let setting = RetentionSetting { raws_days: 30, ..after(30) };
    // It begins between the look at the tickets and the erasing: it is found by its message and not by its ticket.
    kit.execute("UPDATE delivery SET state = 'sending', ticket = message").await;
    assert!(erase(&engine, setting.clone()).await, "there is more");
    assert!(is_there(&kit, ticket).await, "it waits for the reply");
    assert!(!readable(&kit, ignored).await);
    kit.execute("UPDATE delivery SET state = 'sent'").await;
    assert!(!erase(&engine, setting).await);
    assert!(!is_there(&kit, ticket).await);
}
