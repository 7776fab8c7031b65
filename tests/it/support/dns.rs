//! A name server of our own: answers what it was told, and nothing else.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mail_auth::MessageAuthenticator;
use mail_auth::hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Type `TXT`.
const TXT: u16 = 16;

/// Answers `TXT` questions by a table; knows no other name.
pub(crate) struct Dns {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Dns {
    /// `records`: name → text.
    pub(crate) async fn start(records: &[(&str, &str)]) -> Self {
        let records: HashMap<String, String> =
            records.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut query = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let answer = answer(&query[..length], &records);
                drop(socket.send_to(&answer, from).await);
            }
        });
        Self { address, task }
    }

    /// Takes questions, and never says a word.
    pub(crate) async fn silent() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut query = [0; 2048];
            while socket.recv_from(&mut query).await.is_ok() {}
        });
        Self { address, task }
    }

    /// Asks only this server.
    pub(crate) fn authenticator(&self) -> MessageAuthenticator {
        let mut server = NameServerConfig::udp(self.address.ip());
        for connection in &mut server.connections {
            connection.port = self.address.port();
        }
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(5);
        options.attempts = 1;
        MessageAuthenticator::new(config, options).unwrap()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The question comes back with its answer, or with «no such name».
fn answer(query: &[u8], records: &HashMap<String, String>) -> Vec<u8> {
    let (name, end) = name_at(query, 12);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let text = records.get(&name).filter(|_| kind == TXT);
    let code = if records.contains_key(&name) { 0 } else { 3 };
    let mut answer = query[..2].to_vec();
    // A response, authoritative, recursion offered.
    answer.extend([0x85, 0x80 | code, 0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
    answer.extend(&query[12..end + 4]);
    if let Some(text) = text {
        let strings: Vec<u8> = text
            .as_bytes()
            .chunks(255)
            .flat_map(|chunk| [&[u8::try_from(chunk.len()).unwrap()], chunk].concat())
            .collect();
        answer.extend([0xc0, 12]);
        answer.extend(TXT.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend(u16::try_from(strings.len()).unwrap().to_be_bytes());
        answer.extend(strings);
    }
    answer
}

/// The name that begins at `at`, in lower case, and where it ends.
fn name_at(query: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        at += 1 + length;
    }
    (labels.join("."), at + 1)
}
