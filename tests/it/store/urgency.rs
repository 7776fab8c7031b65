//! What cannot wait comes first and is answered; impostors are flagged; nobody pushes the rest back.

use std::sync::Arc;

use tributary::desk::{ProtectSetting, Triage, TriageSettings, UrgencySetting};
use tributary::store::IngestChannel;

use super::{
    ANNA, BOB, Kit, acknowledging, answer, channel_with, later, mail, mail_channel, on_both,
    ticket_of,
};

on_both! {
    somebody_who_is_being_robbed_comes_first_and_is_told_what_to_do
    nobody_lifts_more_than_a_few_tickets
    impostors_and_their_links_are_flagged
}

fn guarded(channel: &IngestChannel) -> Arc<IngestChannel> {
    let answers = r#"{"funds_moving": {"en": "{number}: lock it", "zh": "{number}:请冻结"}}"#;
    let settings = TriageSettings {
        rules: Vec::new(),
        calendars: [].into(),
        agents: Vec::new(),
        urgency: UrgencySetting {
            enabled: true,
            per_contact_max: 2,
            answer: true,
            answers: serde_json::from_str(answers).unwrap(),
        },
        protect: ProtectSetting {
            denied: vec!["evil.example".to_owned()],
            ..ProtectSetting::default()
        },
        sla: tributary::desk::SlaSetting { warn_percent: 75, ..Default::default() },
        survey: tributary::desk::survey::SurveySetting::default(),
        close: tributary::desk::close::CloseSetting::default(),
        retention: tributary::desk::retention::RetentionSetting::default(),
        signatures: Vec::new(),
        macros: Vec::new(),
    };
    let triage = Triage::read(&settings, &[].into()).unwrap();
    Arc::new(IngestChannel {
        name: channel.name.clone(),
        realm: channel.realm.clone(),
        policy: channel.policy.clone(),
        delivers: true,
        own: channel.own.clone(),
        callbacks: channel.callbacks.clone(),
        triage: Arc::new(triage),
        known: channel.known.clone(),
        can: channel.can.clone(),
    })
}

async fn sent(kit: &Kit, ticket: uuid::Uuid) -> Vec<String> {
    let messages = kit.store.ticket_messages(ticket, 0, 50).await.unwrap();
    let out = messages.into_iter().filter(|one| one.direction == "out");
    out.map(|one| one.text).collect()
}

async fn somebody_who_is_being_robbed_comes_first_and_is_told_what_to_do(kit: Kit) {
    let channel = guarded(&channel_with("mail", "email", acknowledging()));
    let says = |from: &str, id: &str, text: &str, parents: &[&str]| {
        let mut inbound = answer(from, id, parents);
        text.clone_into(&mut inbound.text);
        inbound
    };
    // An ordinary question is acknowledged; what comes of it an hour later is a warning all the same.
    let first = kit.arrive(&channel, says(ANNA, "m1", "你好,怎么设置两步验证?", &[])).await;
    let id = ticket_of(&first);
    let robbed = says(ANNA, "m2", "我的币被转走了!", &["m1"]);
    kit.arrive_at(&channel, robbed, later(60)).await;
    let ticket = kit.ticket(id).await;
    assert_eq!(ticket.priority, "urgent");
    assert!(ticket.tags.contains(&"funds_moving".to_owned()));
    let told = sent(&kit, id.uuid()).await;
    assert_eq!((told.len(), told[1].as_str()), (2, "1:请冻结"), "{told:?}");
    // The same again within the day is not answered again, and a machine never is.
    let again = says(ANNA, "m3", "my coins are being stolen", &["m1"]);
    kit.arrive_at(&channel, again, later(61)).await;
    assert_eq!(sent(&kit, id.uuid()).await.len(), 2);
    let mut machine = says(BOB, "b1", "my coins are being stolen", &[]);
    machine.automated = Some("Auto-Submitted: auto-replied");
    let machine = kit.ticket(ticket_of(&kit.arrive(&channel, machine).await)).await;
    assert_eq!((machine.priority.as_str(), sent(&kit, machine.id).await.len()), ("normal", 0));
    let messages = kit.store.ticket_messages(id.uuid(), 0, 50).await.unwrap();
    let why: Vec<String> = messages.iter().flat_map(|one| one.why.clone()).collect();
    assert!(why.contains(&"urgency (funds_moving): priority urgent".to_owned()), "{why:?}");
}

async fn nobody_lifts_more_than_a_few_tickets(kit: Kit) {
    let channel = guarded(&mail_channel("mail"));
    let cry = async |from: &str, id: &str| {
        let mut inbound = mail(from, id);
        "URGENT! my coins were stolen".clone_into(&mut inbound.text);
        kit.ticket(ticket_of(&kit.arrive(&channel, inbound).await)).await.priority
    };
    let mut anna = Vec::new();
    for number in 0..4 {
        anna.push(cry(ANNA, &format!("a{number}")).await);
    }
    assert_eq!(anna, ["urgent", "urgent", "normal", "normal"]);
    assert_eq!(cry(BOB, "b1").await, "urgent", "another one's turn is his own");
}

async fn impostors_and_their_links_are_flagged(kit: Kit) {
    let channel = guarded(&mail_channel("mail"));
    let flags = async |inbound| {
        let id = ticket_of(&kit.arrive(&channel, inbound).await).uuid();
        let one = kit.store.ticket_messages(id, 0, 1).await.unwrap().remove(0);
        (one.flags, one.why.join("\n"))
    };
    // The desk's own domain is desk.example.
    let (found, why) = flags(mail("help@desk-support.example", "m1")).await;
    assert_eq!(found, ["impostor"]);
    assert!(why.contains("looks like our desk.example"), "{why}");
    let mut linked = mail(ANNA, "m2");
    linked.text_full = "is https://sub.evil.example/claim yours?".to_owned();
    assert_eq!(flags(linked).await.0, ["phishing_link"]);
    assert!(flags(mail(BOB, "m3")).await.0.is_empty());
}
