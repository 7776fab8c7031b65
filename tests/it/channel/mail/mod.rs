//! What mails mean: a corpus with snapshots, properties over any bytes, bombs, complaints by number.

mod bombs;
mod complaints;
mod corpus;
mod forwards;
mod properties;

use tributary::channel::Interpret;
use tributary::channel::email::read::Reader;
use tributary::channel::shared::sign::Signer;
use tributary::model::{Address, DedupeKey, Event, Inbound, Meaning, Raw, Receipt, Transport};

/// The server whose `Authentication-Results` count.
const MX: &str = "mx.desk.example";

/// Our address.
const DESK: &str = "support@desk.example";

fn signer() -> Signer {
    Signer::new(vec![[7; 32]])
}

fn reader() -> Reader {
    Reader::new(vec![Address::email(DESK)], signer(), vec![MX.to_owned()])
}

/// A mail as the journal hands it over, taken at noon of 3 March 2026.
fn raw(mail: &[u8]) -> Raw {
    Raw {
        dedupe: DedupeKey::new("imap:1:1".to_owned()),
        body: mail.to_vec().into(),
        transport: Transport::new(),
        received_at: Some("2026-03-03T12:00:00Z".parse().unwrap()),
    }
}

/// The message and the receipts of a mail that must mean something.
fn read(mail: &[u8]) -> (Inbound, Vec<Receipt>) {
    read_raw(&raw(mail))
}

fn read_raw(raw: &Raw) -> (Inbound, Vec<Receipt>) {
    let Meaning::Events(events) = reader().interpret(raw).unwrap() else {
        panic!("the mail was ignored: {}", String::from_utf8_lossy(&raw.body));
    };
    let (mut message, mut receipts) = (None, Vec::new());
    for event in events {
        match event {
            Event::Message(inbound) => message = Some(*inbound),
            Event::Receipt(receipt) => receipts.push(receipt),
            Event::Edit { .. }
            | Event::Delete { .. }
            | Event::Watermark(_)
            | Event::Rating(_)
            | Event::Echo(_)
            | Event::Reaction(_)
            | Event::Standing(_)
            | Event::Moved(_)
            | Event::Called(_)
            | Event::Linked(_) => panic!("no mail does that"),
        }
    }
    (message.expect("a mail always gives a message"), receipts)
}
