//! What a customer wrote last.

use super::{ANNA, Kit, answer, mail_channel, on_both, ticket_of};

on_both! {
    the_last_words_of_a_customer_are_neither_ours_nor_empty
}

async fn the_last_words_of_a_customer_are_neither_ours_nor_empty(kit: Kit) {
    let channel = mail_channel("mail");
    let says = |id: &str, text: &str, parents: &[&str]| {
        let mut inbound = answer(ANNA, id, parents);
        text.clone_into(&mut inbound.text);
        inbound
    };
    let id = ticket_of(&kit.arrive(&channel, says("m1", "the first words", &[])).await);
    kit.arrive(&channel, says("m2", "the second words", &["m1"])).await;
    kit.arrive(&channel, says("m3", "", &["m1"])).await;
    kit.reply(id, "our words").await;
    let last = kit.store.last_from_customer(id.uuid()).await.unwrap().unwrap();
    assert_eq!(last.text, "the second words");
    assert!(kit.store.last_from_customer(uuid::Uuid::now_v7()).await.unwrap().is_none());
}
