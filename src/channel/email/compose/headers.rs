//! Header values: encoded, folded, and free of everything that could begin a new header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Letterhead, Outbound};

/// Bytes in one encoded word: with `=?utf-8?B?…?=` and the longest header name, still 76 a line.
const ENCODED_WORD_BYTES: usize = 36;
/// Longest word that is written as it is.
const PLAIN_WORD_BYTES_MAX: usize = 70;
/// Longest message id that is repeated; longer ones are no ids.
const MESSAGE_ID_BYTES_MAX: usize = 250;

/// Words before a subject that say «answer» or «forwarded», in the languages of common mail programs.
const PREFIXES: &[&str] = &[
    "re", "fwd", "fw", "aw", "wg", "sv", "vs", "rv", "tr", "enc", "odp", "ynt", "回复", "回覆",
    "答复", "转发", "轉寄",
];

/// `text` without control characters and line ends, at most `chars_max` long.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let breaks = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}' || c == ' ';
    let words: Vec<&str> = text.split(breaks).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(chars_max).collect::<String>().trim_end().to_owned()
}

/// Cuts every leading `Re:`, `Fwd:`, `AW:`, `回复：`, `Re[2]:` away.
pub(super) fn without_prefixes(subject: &str) -> &str {
    let mut rest = subject.trim();
    while let Some(next) = without_prefix(rest) {
        rest = next.trim_start();
    }
    rest
}

fn without_prefix(subject: &str) -> Option<&str> {
    let (word, rest) = subject.split_once([':', '：'])?;
    let word = word.trim_end();
    let word = match word.split_once('[') {
        Some((word, count)) => {
            let count = count.strip_suffix(']')?;
            count.bytes().all(|b| b.is_ascii_digit()).then_some(word)?
        }
        None => word,
    };
    let word = word.to_lowercase();
    PREFIXES.contains(&word.as_str()).then_some(rest)
}

/// A subject: plain where it can be, else encoded as a whole (RFC 2047), folded.
///
/// `text` is one line.
pub(super) fn encoded_text(text: &str) -> String {
    let plain = |word: &str| word.len() <= PLAIN_WORD_BYTES_MAX && word.bytes().all(printable);
    // Something that looks like an encoded word would be decoded by the reader's program.
    if text.contains("=?") || !text.split(' ').all(plain) {
        return encoded_words(text);
    }
    fold(text)
}

const fn printable(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// Breaks before a word that would make the line longer than 76.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 8);
    let mut line = "Thread-Topic: ".len();
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            if line + 1 + word.len() > 76 {
                folded.push_str("\r\n");
                line = 0;
            }
            folded.push(' ');
            line += 1;
        }
        folded.push_str(word);
        line += word.len();
    }
    folded
}

/// `=?utf-8?B?…?=` words, none of which cuts a character in two.
fn encoded_words(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encode = |word: &String| format!("=?utf-8?B?{}?=", STANDARD.encode(word));
    words.iter().map(encode).collect::<Vec<_>>().join("\r\n ")
}

/// `"Name" <address>`; both must be one line.
pub(super) fn encoded_mailbox(name: Option<&str>, address: &str) -> String {
    let Some(name) = name else { return address.to_owned() };
    let plain = name.bytes().all(|b| printable(b) || b == b' ') && !name.contains("=?");
    let phrase = if plain {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        encoded_words(name)
    };
    format!("{phrase}\r\n <{address}>")
}

/// The ids that a mail names.
pub(super) struct Parents {
    /// For `In-Reply-To`.
    pub(super) parent: Option<String>,
    /// For `References`, oldest first.
    pub(super) chain: Vec<String>,
}

/// The valid ids of the conversation: the first of the chain and the last ones, each once.
pub(super) fn message_ids(outbound: &Outbound, max: usize) -> Parents {
    let parent = outbound.in_reply_to.as_ref().and_then(|id| message_id(id.as_str()));
    let mut chain: Vec<String> = Vec::new();
    let known = outbound.references.iter().filter_map(|id| message_id(id.as_str()));
    for id in known.filter(|id| Some(id) != parent.as_ref()) {
        if !chain.contains(&id) {
            chain.push(id);
        }
    }
    chain.extend(parent.clone());
    if chain.len() > max {
        let excess = chain.len() - max;
        chain.drain(1..=excess);
    }
    Parents { parent, chain }
}

/// The id in its angle brackets, if it is one: anything else in these headers breaks threading.
fn message_id(id: &str) -> Option<String> {
    let bare = id.trim();
    let bare = bare.strip_prefix('<').unwrap_or(bare);
    let bare = bare.strip_suffix('>').unwrap_or(bare);
    let valid = |b: u8| printable(b) && b != b'<' && b != b'>';
    let fits = !bare.is_empty() && bare.len() <= MESSAGE_ID_BYTES_MAX;
    (fits && bare.bytes().all(valid)).then(|| format!("<{bare}>"))
}

/// 2020-01-01 in units of 100 ns since 1601: any fixed moment does, as long as it never changes.
const THREAD_BEGAN: u64 = 132_223_104_000_000_000;

/// What Outlook threads by (MS-OXOMSG 2.2.1.3): a header of 22 bytes, the same for a whole ticket, and
/// for an answer one child block of 5 bytes.
pub(super) fn thread_index(letterhead: &Letterhead, outbound: &Outbound) -> String {
    let ticket = format!("{}#{}", letterhead.address.to_lowercase(), outbound.ticket_number);
    let digest = Sha256::digest(ticket.as_bytes());
    let mut index: Vec<u8> = THREAD_BEGAN.to_be_bytes().into_iter().take(6).collect();
    index.extend(digest.iter().take(16));
    if super::answers(outbound) {
        index.extend(child_block(outbound));
    }
    STANDARD.encode(index)
}

/// How long after the header it was written, in steps of 0.84 s, and a byte to tell twins apart.
fn child_block(outbound: &Outbound) -> [u8; 5] {
    let id = outbound.delivery.uuid();
    let (seconds, nanos) = id.get_timestamp().map_or((0, 0), |timestamp| timestamp.to_unix());
    let filetime = (seconds + 11_644_473_600) * 10_000_000 + u64::from(nanos / 100);
    let steps = filetime.saturating_sub(THREAD_BEGAN) >> 23;
    let [_, _, _, _, a, b, c, d] = ((steps & 0x7fff_ffff) | 0x8000_0000).to_be_bytes();
    let [.., last] = *id.as_bytes();
    [a, b, c, d, last]
}
