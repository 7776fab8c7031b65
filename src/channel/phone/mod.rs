//! Telephone calls by Twilio: one number of ours.
//!
//! `plan` is what an admin decided, `texts` what is said, `twiml` how that is written. `door` answers the service,
//! which asks at each `step` of a call what comes next; `menu` decides that. `told` looks into a request, `read`
//! makes of all requests about a call one message. `send` speaks replies and connects agents, `bridge` follows
//! such calls, `files` fetches recordings; `poll` finds what the service could not tell us.

mod bridge;
mod door;
mod files;
mod menu;
mod plan;
mod poll;
mod read;
mod send;
mod settings;
mod step;
mod texts;
mod told;
mod twiml;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::shared::heard::Nothing;
use super::shared::twilio::form::Form;
use super::{BadChannel, Channel, Interpret, Kind, Pull, Site, Table, Unreadable};
use crate::model::{
    Address, Capabilities, ChannelName, Meaning, MediaLimit, Policy, Rate, Raw, Realm, Receipts,
    Resend, Scheme, Support, TextLimit, TextUnit,
};
use settings::Reply;
use told::Told;

/// `kind = "phone"`.
pub const KIND: Kind = Kind { name: "phone", build, schema: settings::schema, sign_ins: None };

fn build(
    name: ChannelName,
    table: Table,
    policy: Policy,
    site: &Site,
) -> Result<Channel, BadChannel> {
    let settings = settings::read(&name, table, site)?;
    if policy.acknowledge.is_some() && settings.reply == Reply::Call {
        let problem = "nobody's telephone is made to ring by a machine alone: with `reply = \"sms\"` it can be sent";
        return Err(BadChannel::at(&name, "acknowledge", problem));
    }
    let (plan, account) = (Arc::new(settings.plan), Arc::new(settings.account));
    let number = plan.number.clone();
    Ok(Channel {
        kind: KIND.name,
        realm: Realm(format!("phone:{number}")),
        addresses: vec![Address { scheme: Scheme::Tel, scope: None, value: number }],
        policy,
        capabilities: capabilities(settings.reply),
        interpret: Arc::new(Reader { plan: plan.clone() }),
        pull: settings.poll_every.map(|every| {
            let (account, plan) = (account.clone(), plan.clone());
            Arc::new(poll::Poll { account, plan, every }) as Arc<dyn Pull>
        }),
        hook: Some(Arc::new(door::Door {
            channel: name.clone(),
            door: settings.door,
            account: account.sid().to_owned(),
            plan: plan.clone(),
        })),
        listen: None,
        deliver: Some(Arc::new(send::Sender {
            account: account.clone(),
            plan,
            reply: settings.reply,
            agents: settings.agents,
        })),
        download: Some(Arc::new(files::Fetch { account, forgets: settings.delete_recordings })),
        chat: None,
        name,
    })
}

const fn capabilities(reply: Reply) -> Capabilities {
    Capabilities {
        text: match reply {
            // What goes along with a call has 4000 characters, of which some are ours.
            Reply::Call => TextLimit { max: 3_000, unit: TextUnit::Chars },
            Reply::Sms => TextLimit { max: 1_600, unit: TextUnit::Segments },
        },
        media: MediaLimit { bytes_max: 0, count_max: 0, apart: false },
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Delivered,
        resend: Resend::MayDuplicate,
        opens: true,
        reply_window: None,
        templates: false,
        private: None,
        choices: None,
        // The service begins one call a second, and keeps the others waiting.
        rate: Rate { per_minute: 60, per_recipient: Duration::from_secs(1), in_flight_max: 2 },
    }
}

/// Understands what the service told.
struct Reader {
    plan: Arc<plan::Plan>,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        let fact = |name| raw.transport.get(name).map_or("", String::as_str);
        let form = Form::read(&raw.body).zip(Form::read(fact(door::QUERY).as_bytes()));
        let Some((form, query)) = form else {
            return Err(Unreadable("more fields than the service has".into()));
        };
        let told = Told { path: fact(door::PATH), query: &query, form: &form };
        // The journal gives each of its raws a time.
        let at = told.at().or(raw.received_at).unwrap_or_default();
        let read = bridge::read(&told, at).unwrap_or_else(|| read::read(&self.plan, &told, at));
        match read {
            Ok(events) if events.is_empty() => Ok(Meaning::Ignore("nothing that is to be noted")),
            Ok(events) => Ok(Meaning::Events(events)),
            Err(Nothing::Ignored(why)) => Ok(Meaning::Ignore(why)),
            Err(Nothing::Unreadable(why)) => Err(Unreadable(why.into())),
        }
    }
}
