//! The language of every message: of the message, of its ticket, of its contact.

use super::{ANNA, Kit, answer, mail, mail_channel, on_both, ticket_of};

on_both! {
    a_message_a_ticket_and_a_contact_have_a_language
}

async fn a_message_a_ticket_and_a_contact_have_a_language(kit: Kit) {
    let channel = mail_channel("mail");
    let says = |id: &str, text: &str, parents: &[&str]| {
        let mut inbound = answer(ANNA, id, parents);
        text.clone_into(&mut inbound.text);
        inbound.subject = Some(String::new());
        inbound
    };
    let first = kit.arrive(&channel, says("m1", "我的提现一直没有到账,请帮忙", &[])).await;
    let id = ticket_of(&first);
    let ticket = kit.ticket(id).await;
    assert_eq!(ticket.language.as_deref(), Some("zh-Hans"));
    let contact = kit.store.contact(ticket.contact.id.into()).await.unwrap();
    assert_eq!(contact.language.as_deref(), Some("zh-Hans"));
    // Too short to tell: as before. What is written for sure in another language holds from then on.
    kit.arrive(&channel, says("m2", "ok", &["m1"])).await;
    kit.arrive(&channel, says("m3", "Can somebody here please help me in English?", &["m1"])).await;
    kit.reply(id, "请稍等,我们正在查看您的问题").await;
    let messages = kit.store.ticket_messages(id.uuid(), 0, 10).await.unwrap();
    let languages: Vec<_> = messages.iter().map(|one| one.language.as_deref()).collect();
    assert_eq!(languages, [Some("zh-Hans"), Some("zh-Hans"), Some("en"), Some("zh-Hans")]);
    assert_eq!(kit.ticket(id).await.language.as_deref(), Some("en"));
    let contact = kit.store.contact(ticket.contact.id.into()).await.unwrap();
    assert_eq!(
        contact.language.as_deref(),
        Some("zh-Hans"),
        "what is known is a person's to change"
    );
    // A later ticket with nothing to tell by has the contact's.
    let second = kit.arrive(&channel, says("m4", "👍", &[])).await;
    assert_ne!(ticket_of(&second), id);
    assert_eq!(kit.ticket(ticket_of(&second)).await.language.as_deref(), Some("zh-Hans"));
    // A contact of whom nothing was known before learns it from a later message.
    let mut short = mail("bob@elsewhere.example", "b1");
    "1".clone_into(&mut short.text);
    short.subject = None;
    let bob = kit.ticket(ticket_of(&kit.arrive(&channel, short).await)).await;
    assert_eq!(bob.language, None);
    let mut long = mail("bob@elsewhere.example", "b2");
    "Buenos días, no puedo retirar mis fondos, ¿me pueden ayudar?".clone_into(&mut long.text);
    kit.arrive(&channel, long).await;
    let contact = kit.store.contact(bob.contact.id.into()).await.unwrap();
    assert_eq!(contact.language.as_deref(), Some("es"));
}
