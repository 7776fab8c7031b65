//! What operators look at and do: channels, outbox, quarantine, events, figures, people, the description.

mod channels;
mod documents;
mod events;
mod outbox;
mod people;
mod quarantine;
mod stats;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};
use serde_json::Value;
use tributary::channel::{Accepted, Channel, Deliver, DeliverError};
use tributary::engine::ReplyRequest;
use tributary::model::{Actor, ActorKind, MessageId, Outbound, RemoteId};
use uuid::Uuid;

use crate::support::app::App;
use crate::support::wait_until;

const LIMIT: Duration = Duration::from_secs(20);

/// A mail channel whose sending part the tests put in.
const MAIL: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "pipe"
[channels.mail.send]
host = "127.0.0.1"
port = 1
tls = "none"
"#;

fn letter(number: usize) -> String {
    format!(
        "From: ann{number}@customer.example\r\nTo: support@example.com\r\nSubject: question {number}\r\n\
         Message-ID: <q{number}@customer.example>\r\n\r\nHow?\r\n"
    )
}

fn tester() -> Actor {
    Actor { kind: ActorKind::Agent, id: None, name: "tester".to_owned() }
}

/// A mail comes in while the loops run. Returns its ticket.
async fn arrive(app: &App, mail: String) -> Uuid {
    let id = app.take("mail", mail).await;
    wait_until("the mail is understood", LIMIT, async || {
        app.store.raw(id).await.unwrap().0.state == "applied"
    })
    .await;
    app.store.placed(id).await.unwrap()[0].ticket
}

/// Queues a reply to a ticket. Returns the message.
async fn queue(app: &App, ticket: Uuid, text: &str) -> Uuid {
    let message = MessageId::new();
    let request = ReplyRequest::words(message, ticket.into(), text.to_owned(), tester());
    app.engine.reply(request).await.unwrap();
    message.uuid()
}

/// What a fake service answers.
type Answer = Box<dyn FnMut() -> Result<(), DeliverError> + Send>;

/// A service that notes what it is handed.
struct Service {
    answer: Mutex<Answer>,
    pause: Duration,
    texts: Mutex<Vec<String>>,
    calls: AtomicUsize,
}

impl Service {
    fn new(
        pause: Duration,
        answer: impl FnMut() -> Result<(), DeliverError> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            answer: Mutex::new(Box::new(answer)),
            pause,
            texts: Mutex::default(),
            calls: AtomicUsize::new(0),
        })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// What was taken, in order.
    fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }

    fn answers(&self, answer: impl FnMut() -> Result<(), DeliverError> + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    /// Puts it behind a channel, one call at a time.
    fn behind(self: &Arc<Self>) -> impl Fn(Channel) -> Channel + use<> {
        let service = self.clone();
        move |mut channel| {
            channel.capabilities.rate.in_flight_max = 1;
            channel.deliver = Some(service.clone());
            channel
        }
    }
}

#[async_trait]
impl Deliver for Service {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.pause).await;
        (self.answer.lock().unwrap())()?;
        self.texts.lock().unwrap().push(outbound.text.clone());
        let remote_id = RemoteId::new(format!("sent-{}", outbound.delivery));
        Ok(Accepted { remote_id, warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        Ok(())
    }
}

/// Changes rows behind the program's back.
async fn sql(app: &App, statement: &str) {
    let url = format!("sqlite://{}", app.database().display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(1);
    let connection = Database::connect(options).await.unwrap();
    connection.execute_unprepared("PRAGMA busy_timeout = 5000").await.unwrap();
    connection.execute_unprepared(statement).await.unwrap();
    connection.close().await.unwrap();
}

fn texts<'v>(items: &'v [Value], field: &str) -> Vec<&'v str> {
    items.iter().map(|item| item[field].as_str().unwrap_or_default()).collect()
}
