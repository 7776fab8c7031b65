//! Telephone calls, through the whole program and an exchange that speaks Twilio's dialect.

mod bridge;
mod console;
mod inbound;
mod killed;
mod outbound;
mod poll;

use tributary::model::ChannelName;
use tributary::store::MessageView;

use crate::support::phone::{Caller, Doing, Exchange, Told, request};
use crate::support::rig::Rig;

/// How the desk is reached.
const BASE: &str = "http://desk.test";
const HOOK: &str = "/hooks/hotline";

/// Two languages, a topic of each sort, nobody's hours.
const MENU: &str = "
delete_recordings = true
transcribe = true
[[languages]]
language = 'en'
[[languages]]
language = 'zh'
[[topics]]
key = '1'
name = 'lost password'
says = { en = 'For lost passwords, press {key}.', zh = '忘记密码请按 {key}。' }
queue = 'passwords'
priority = 'high'
tags = ['password']
[[topics]]
key = '2'
name = 'complaint'
says = { en = 'To complain, press {key}.', zh = '投诉请按 {key}。' }
goal = 'voicemail'
[[topics]]
key = '3'
name = 'transfer'
says = { en = 'For transfers, press {key}.', zh = '转账请按 {key}。' }
goal = 'callback'
";

async fn start(more: &str) -> (Rig, Exchange) {
    let exchange = Exchange::start();
    let rig = Rig::start(&[("hotline", &exchange.settings(&format!("{more}\n{MENU}")))]).await;
    (rig, exchange)
}

fn channel() -> ChannelName {
    "hotline".parse().unwrap()
}

/// The exchange asks or tells; what the desk answers, if it does.
async fn tell(rig: &Rig, (path, form): &Told) -> Option<String> {
    let answer = rig.engine.take_hook(&channel(), request(BASE, path, form)).await;
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    (answer.status() == 200).then_some(text)
}

/// A whole call, all of whose news arrive once and in order.
async fn call(rig: &Rig, (name, from): (&str, &str), acts: &[Doing]) -> Caller {
    let mut caller = Caller::new(BASE, HOOK, (name, from), acts);
    caller.walk(async |told| tell(rig, told).await).await;
    for told in &caller.news {
        assert!(tell(rig, told).await.is_some(), "{told:?}");
    }
    caller
}

/// Waits until the one message says this.
async fn says(rig: &Rig, text: &str) -> MessageView {
    let limit = crate::support::rig::PATIENCE;
    let there = async || rig.messages().await.iter().any(|message| message.text.contains(text));
    crate::support::wait_until(text, limit, there).await;
    let found = rig.messages().await.into_iter().find(|message| message.text.contains(text));
    found.unwrap()
}
