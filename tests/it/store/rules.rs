//! Rules are applied with the message, in its transaction, and leave their trace.

use std::sync::Arc;

use tributary::desk::{ProtectSetting, RuleSetting, Triage, TriageSettings, UrgencySetting};
use tributary::model::{Flag, Form, Role};
use tributary::store::{By, ContactPatch, IngestChannel};

use super::{
    ANNA, BOB, Kit, acknowledging, agent, answer, channel_with, chat_channel, days, later, mail,
    mail_channel, on_both, start, ticket_of,
};

on_both! {
    a_rule_changes_the_ticket_and_says_so
    rules_see_what_stands_in_the_store
    rules_see_the_tags_of_whoever_wrote
    a_rule_offers_a_call_once_and_a_number_is_called
    tickets_go_around_in_turn_and_to_whoever_has_fewest
    an_acknowledgement_of_a_rule_is_guarded_like_every_other
    a_rule_can_close_a_conversation
    what_machines_and_our_own_people_write_is_left_alone
    rules_are_tried_on_past_messages
    pieces_of_a_call_fire_rules_and_only_what_is_missed_is_urgent
}

/// A channel with these rules, in JSON.
fn with_rules(channel: &Arc<IngestChannel>, rules: &str, agents: &str) -> Arc<IngestChannel> {
    let rules: Vec<RuleSetting> = serde_json::from_str(rules).unwrap();
    let agents = serde_json::from_str(agents).unwrap();
    let settings = TriageSettings {
        rules,
        calendars: [].into(),
        agents,
        urgency: UrgencySetting {
            enabled: false,
            per_contact_max: 1,
            answer: false,
            answers: [].into(),
        },
        protect: ProtectSetting::default(),
        sla: tributary::desk::SlaSetting { warn_percent: 75, ..Default::default() },
        survey: tributary::desk::survey::SurveySetting::default(),
        close: tributary::desk::close::CloseSetting::default(),
        retention: tributary::desk::retention::RetentionSetting::default(),
        signatures: Vec::new(),
        macros: Vec::new(),
    };
    let triage = Triage::read(&settings, &["mail".to_owned()].into()).unwrap();
    Arc::new(IngestChannel {
        name: channel.name.clone(),
        realm: channel.realm.clone(),
        policy: channel.policy.clone(),
        delivers: channel.delivers,
        own: channel.own.clone(),
        callbacks: channel.callbacks.clone(),
        triage: Arc::new(triage),
        known: channel.known.clone(),
        can: channel.can.clone(),
    })
}

async fn a_rule_changes_the_ticket_and_says_so(kit: Kit) {
    let channel = with_rules(
        &mail_channel("mail"),
        r#"[{"name": "deposits", "when": {"words": ["the words"], "languages": ["en"]},
             "then": {"priority": "high", "tags": ["deposit"], "queue": "chain", "webhook": true}}]"#,
        "[]",
    );
    let mut inbound = mail(ANNA, "m1");
    "Hello, the words of this are about my deposit".clone_into(&mut inbound.text);
    let ingested = kit.arrive(&channel, inbound).await;
    let ticket = kit.ticket(ticket_of(&ingested)).await;
    assert_eq!((ticket.priority.as_str(), ticket.queue.as_deref()), ("high", Some("chain")));
    assert_eq!(ticket.tags, ["deposit", "new"]);
    let messages = kit.store.ticket_messages(ticket.id, 0, 10).await.unwrap();
    let why = messages[0].why.join("\n");
    assert!(why.contains("rule «deposits» fired (found: the words)"), "{why}");
    let events = kit.store.ticket_events(ticket.id, 0, 10).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["ticket.created", "ticket.updated", "rule.fired", "message.created"]);
    assert_eq!(events[1].data["changes"]["priority"]["to"], "high");
    assert_eq!(events[1].data["rules"][0], "deposits");
    assert_eq!(events[2].data["rule"], "deposits");
    assert_eq!(events[2].message, Some(messages[0].id));
}

async fn rules_see_what_stands_in_the_store(kit: Kit) {
    let channel = with_rules(
        &mail_channel("mail"),
        r#"[{"name": "flood", "when": {"messages_min": 3}, "then": {"tags": ["flood"]}},
            {"name": "again", "when": {"new_ticket": false, "no_tags": ["flood"]}, "then": {"tags": ["again"]}},
            {"name": "old", "when": {"ticket_hours_min": 1}, "then": {"tags": ["old"]}}]"#,
        "[]",
    );
    let first = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    assert_eq!(kit.ticket(first).await.tags, ["new"]);
    kit.arrive(&channel, answer(ANNA, "m2", &["m1"])).await;
    assert_eq!(kit.ticket(first).await.tags, ["again", "new"]);
    // The third of Anna within the hour, in a ticket of its own; Bob is not taken for her.
    let other = ticket_of(&kit.arrive(&channel, mail(ANNA, "m3")).await);
    assert_eq!(kit.ticket(other).await.tags, ["flood", "new"]);
    let bob = ticket_of(&kit.arrive(&channel, mail(BOB, "b1")).await);
    assert_eq!(kit.ticket(bob).await.tags, ["new"]);
    // Tags that stand in the store, and the age of the ticket.
    kit.arrive_at(&channel, answer(ANNA, "m4", &["m3"]), later(90)).await;
    assert_eq!(kit.ticket(other).await.tags, ["flood", "new", "old"]);
}

async fn a_rule_offers_a_call_once_and_a_number_is_called(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    let channel = with_rules(
        &channel,
        r#"[{"name": "offer", "when": {"words": ["about"]},
             "then": {"offer_call": {"en": "Shall we call you? Write your number.", "zh": "需要回电吗？"}}}]"#,
        "[]",
    );
    let words = |from: &str, id: &str, text: &str| {
        let mut inbound = answer(from, id, &["m1"]);
        text.clone_into(&mut inbound.text);
        inbound
    };
    let ticket = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    let sent = async || {
        let messages = kit.store.ticket_messages(ticket.uuid(), 0, 10).await.unwrap();
        let sent = messages.into_iter().filter(|one| one.direction == "out");
        sent.map(|one| one.text).collect::<Vec<_>>()
    };
    let first = sent().await;
    assert_eq!(first.len(), 1);
    assert!(first[0].starts_with("[#1]"), "{first:?}");
    assert!(first[0].ends_with("\n\nShall we call you? Write your number."), "{first:?}");
    assert_eq!(kit.ticket(ticket).await.tags, ["call_offered", "new"]);
    kit.arrive_at(&channel, words(ANNA, "m2", "what is this about?"), days(3)).await;
    assert_eq!(sent().await.len(), 1, "once a ticket");
    kit.arrive_at(&channel, words(ANNA, "m3", "Yes please: +44 20 7946 0958."), days(3)).await;
    assert_eq!(kit.texts("SELECT phone FROM callback").await, ["+442079460958"]);
    assert_eq!(kit.ticket(ticket).await.tags, ["call_accepted", "call_offered", "new"]);
    // A number in what they write after the call is no wish for another one.
    kit.execute("UPDATE callback SET status = 'done'").await;
    kit.arrive_at(&channel, words(ANNA, "m4", "I paid from +44 20 7946 0999."), days(4)).await;
    assert_eq!(kit.number("SELECT count(*) FROM callback").await, 1);
    let trail = kit.store.ticket_events(ticket.uuid(), 0, 100).await.unwrap();
    assert!(trail.iter().all(|event| event.kind != "callback.refused"), "{trail:?}");
    // Whom nothing was offered is not called because of a number.
    let mut other = mail(BOB, "b1");
    "My number is +44 20 7946 0123".clone_into(&mut other.text);
    other.subject = None;
    kit.arrive(&channel, other).await;
    assert_eq!(kit.number("SELECT count(*) FROM callback").await, 1);
}

async fn rules_see_the_tags_of_whoever_wrote(kit: Kit) {
    let channel = with_rules(
        &mail_channel("mail"),
        r#"[{"name": "vip", "when": {"contact_tags": ["vip"]}, "then": {"priority": "high"}},
            {"name": "others", "when": {"no_contact_tags": ["vip"]}, "then": {"priority": "low"}}]"#,
        "[]",
    );
    let first = kit.ticket(ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await)).await;
    assert_eq!(first.priority, "low", "somebody new has no tags");
    let vip = ContactPatch { tags: Some(vec!["vip".to_owned()]), ..ContactPatch::default() };
    let by = By { actor: agent(), version: None, once: None, now: later(1) };
    kit.store.change_contact(first.contact.id.into(), vip, by).await.unwrap();
    let hers = ticket_of(&kit.arrive(&channel, mail(ANNA, "m2")).await);
    assert_eq!(kit.ticket(hers).await.priority, "high");
    let his = ticket_of(&kit.arrive(&channel, mail(BOB, "b1")).await);
    assert_eq!(kit.ticket(his).await.priority, "low");
    let past = kit.store.past_messages(10).await.unwrap();
    let tags: Vec<bool> = past.iter().map(|one| one.contact_tags.contains("vip")).collect();
    assert_eq!(tags, [true, true, false], "as they stand today");
}

/// A piece of a call: its name, and what was noticed in it.
fn piece(name: &str, flag: Option<Flag>) -> tributary::model::Inbound {
    let mut inbound = mail(ANNA, &format!("CA1/{name}"));
    inbound.part_of = Some(tributary::model::RemoteId::new("CA1"));
    inbound.form = Form::Call;
    name.clone_into(&mut inbound.text);
    inbound.text_full.clone_from(&inbound.text);
    inbound.flags = flag.into_iter().collect();
    inbound
}

async fn pieces_of_a_call_fire_rules_and_only_what_is_missed_is_urgent(kit: Kit) {
    let channel = with_rules(
        &mail_channel("mail"),
        r#"[{"name": "missed", "when": {"flags": ["missed_call"]}, "then": {"priority": "urgent", "tags": ["missed"]}},
            {"name": "flood", "when": {"messages_min": 2}, "then": {"tags": ["flood"]}}]"#,
        "[]",
    );
    let ended = Some(Flag::MissedCall);
    // Taken, and only then over: nothing was missed.
    let ticket = ticket_of(&kit.arrive(&channel, piece("in", None)).await);
    kit.arrive(&channel, piece("taken", Some(Flag::AnsweredCall))).await;
    kit.arrive(&channel, piece("over", ended)).await;
    let messages = kit.store.ticket_messages(kit.ticket(ticket).await.id, 0, 10).await.unwrap();
    assert_eq!((messages.len(), messages[0].text.as_str()), (1, "in\ntaken\nover"));
    assert_eq!(messages[0].flags, ["answered_call"]);
    let view = kit.ticket(ticket).await;
    assert_eq!((view.priority.as_str(), &*view.tags), ("normal", &["new".to_owned()][..]));
    // Nobody took this one. What was chosen in it counts, and its pieces are no flood.
    let of_two = |name: &str, flag| {
        let mut inbound = piece(name, flag);
        inbound.part_of = Some(tributary::model::RemoteId::new("CA2"));
        inbound.remote_id = tributary::model::RemoteId::new(format!("CA2/{name}"));
        inbound.sender = mail(BOB, "b").sender;
        inbound
    };
    let ticket = ticket_of(&kit.arrive(&channel, of_two("in", None)).await);
    let mut topic = of_two("topic", None);
    topic.wishes.queue = Some("passwords".to_owned());
    topic.wishes.tags = vec!["password".to_owned()];
    kit.arrive(&channel, topic).await;
    kit.arrive(&channel, of_two("over", ended)).await;
    let view = kit.ticket(ticket).await;
    assert_eq!((view.priority.as_str(), view.queue.as_deref()), ("urgent", Some("passwords")));
    assert_eq!(view.tags, ["missed", "new", "password"]);
    let messages = kit.store.ticket_messages(view.id, 0, 10).await.unwrap();
    assert_eq!(messages[0].flags, ["missed_call"]);
}

async fn tickets_go_around_in_turn_and_to_whoever_has_fewest(kit: Kit) {
    let mut ids = Vec::new();
    for name in ["ann", "ben"] {
        let email = format!("{name}@desk.example");
        let made = kit
            .store
            .add_person(
                (name, &email),
                Role::Agent,
                None,
                &tributary::model::Actor::system(),
                start(),
            )
            .await
            .unwrap();
        ids.push(made.id);
    }
    let agents = r#"[{"email": "ann@desk.example", "skills": ["chain"], "open_max": 2}, {"email": "ben@desk.example"}]"#;
    let turn = with_rules(
        &mail_channel("mail"),
        r#"[{"name": "turn", "then": {"assign": {"by": "round_robin"}}}]"#,
        agents,
    );
    let mut given = Vec::new();
    for number in 0..4 {
        let at = later(number);
        let ingested = kit.arrive_at(&turn, mail(ANNA, &format!("t{number}")), at).await;
        given.push(kit.ticket(ticket_of(&ingested)).await.assignee.unwrap());
    }
    let of = |who: usize| given.iter().filter(|id| **id == ids[who]).count();
    assert_eq!((of(0), of(1)), (2, 2), "not in turn");
    assert_ne!(given[0], given[1]);
    // Ann has as many as she may; a skill that only she has gives nobody, and the trace says why.
    let skilled = with_rules(
        &mail_channel("mail"),
        r#"[{"name": "skill", "then": {"assign": {"by": "least_busy", "skill": "chain"}}}]"#,
        agents,
    );
    let ingested = kit.arrive(&skilled, mail(ANNA, "s1")).await;
    let ticket = kit.ticket(ticket_of(&ingested)).await;
    assert_eq!(ticket.assignee, None);
    let messages = kit.store.ticket_messages(ticket.id, 0, 10).await.unwrap();
    assert!(messages[0].why.join("\n").contains("given to nobody: all who could take it"));
    // Whoever has it keeps it.
    let ingested = kit.arrive(&turn, answer(ANNA, "t9", &["t0"])).await;
    assert_eq!(kit.ticket(ticket_of(&ingested)).await.assignee, Some(given[0]));
}

async fn an_acknowledgement_of_a_rule_is_guarded_like_every_other(kit: Kit) {
    let channel = channel_with("mail", "email", acknowledging());
    let channel = with_rules(
        &channel,
        r#"[{"name": "late", "when": {"words": ["deposit"]},
             "then": {"acknowledge": {"en": "[#{number}] we are closed", "zh": "[#{number}] 我们已下班"}}},
            {"name": "quiet", "when": {"words": ["hush"]}, "then": {"acknowledge": ""}}]"#,
        "[]",
    );
    let says = |from: &str, id: &str, text: &str| {
        let mut inbound = mail(from, id);
        text.clone_into(&mut inbound.text);
        inbound
    };
    let sent = async |ingested| {
        let id = ticket_of(ingested).uuid();
        let messages = kit.store.ticket_messages(id, 0, 10).await.unwrap();
        let out = messages.into_iter().filter(|one| one.direction == "out");
        out.map(|one| one.text).collect::<Vec<_>>()
    };
    let one = kit.arrive(&channel, says(ANNA, "m1", "你好,我的 deposit 没有到账")).await;
    assert_eq!(sent(&one).await, ["[#1] 我们已下班"]);
    // The same address has had one; a machine gets none; a rule may say that nothing is sent.
    let two = kit.arrive(&channel, says(ANNA, "m2", "my deposit is missing")).await;
    assert!(sent(&two).await.is_empty());
    let mut machine = says(BOB, "b1", "my deposit is missing");
    machine.automated = Some("Auto-Submitted: auto-replied");
    let machine = kit.arrive(&channel, machine).await;
    assert!(sent(&machine).await.is_empty());
    let three = kit.arrive(&channel, says("carol@customer.example", "c1", "hush")).await;
    assert!(sent(&three).await.is_empty());
    let four = kit.arrive(&channel, says("dan@customer.example", "d1", "hello")).await;
    assert_eq!(sent(&four).await.len(), 1, "the channel's own");
}

async fn a_rule_can_close_a_conversation(kit: Kit) {
    let rules = r#"[{"name": "spam", "when": {"words": ["casino"]}, "then": {"status": "spam"}},
        {"name": "thanks", "when": {"words": ["thanks"], "new_ticket": false}, "then": {"status": "solved"}}]"#;
    let chat = with_rules(&chat_channel("chat"), rules, "[]");
    let says = |id: &str, text: &str| {
        let mut inbound = mail(ANNA, id);
        inbound.thread.key = Some(tributary::model::ThreadKey::new("room"));
        text.clone_into(&mut inbound.text);
        inbound
    };
    let first = ticket_of(&kit.arrive(&chat, says("c1", "hello")).await);
    let same = ticket_of(&kit.arrive(&chat, says("c2", "thanks a lot")).await);
    assert_eq!(first, same);
    let ticket = kit.ticket(first).await;
    assert_eq!((ticket.status.as_str(), ticket.solved_at.is_some()), ("solved", true));
    // It opens again as every solved one, and spam stays where it is without blocking the conversation.
    kit.arrive_at(&chat, says("c3", "one more thing"), later(5)).await;
    assert_eq!(kit.ticket(first).await.status, "open");
    kit.arrive_at(&chat, says("c4", "casino"), later(6)).await;
    assert_eq!(kit.ticket(first).await.status, "spam");
    kit.arrive_at(&chat, says("c5", "really?"), later(7)).await;
    assert_eq!(kit.ticket(first).await.message_count, 5);
}

async fn what_machines_and_our_own_people_write_is_left_alone(kit: Kit) {
    let rules = r#"[{"name": "all", "then": {"tags": ["ruled"], "assignee": "ann@desk.example"}}]"#;
    let channel = with_rules(&mail_channel("mail"), rules, "[]");
    let mut notice = mail(ANNA, "n1");
    notice.form = Form::Notice;
    let ticket = kit.ticket(ticket_of(&kit.arrive(&channel, notice).await)).await;
    assert_eq!(ticket.tags, ["new"]);
    let mut old = mail(ANNA, "i1");
    old.flags.insert(Flag::Imported);
    let ticket = kit.ticket(ticket_of(&kit.arrive(&channel, old).await)).await;
    assert_eq!((ticket.tags, ticket.assignee), (vec!["new".to_owned(), "ruled".to_owned()], None));
}

async fn rules_are_tried_on_past_messages(kit: Kit) {
    let channel = mail_channel("mail");
    let first = ticket_of(&kit.arrive(&channel, mail(ANNA, "m1")).await);
    kit.arrive(&channel, answer(ANNA, "m2", &["m1"])).await;
    kit.arrive(&channel, mail(BOB, "b1")).await;
    kit.reply(first, "an answer").await;
    let past = kit.store.past_messages(10).await.unwrap();
    let seen: Vec<_> = past.iter().map(|one| (one.ticket, one.opens, one.messages)).collect();
    assert_eq!(seen, [(1, true, 1), (1, false, 2), (2, true, 1)]);
    assert_eq!(past[0].sender.as_ref().unwrap().value, ANNA);
    assert!(past[0].tags.contains("new") && past[0].text.contains("the words of m1"));
    assert_eq!(kit.store.past_messages(1).await.unwrap()[0].ticket, 2, "the last ones");
}
