//! An account of its own of what went in and what came out: numbered texts that prove themselves.
//!
//! Shares no code with the daemon. It knows what mail looks like from outside and what the HTTP API
//! promises, and nothing of the daemon's inside. A number becomes an obligation when somebody took it
//! with a promise (Dovecot's or the daemon's 250, the API's 202); `audit` compares in the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use data_encoding::{BASE64_MIME, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sha2::Sha256;

/// What a numbered text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A customer's mail.
    Mail,
    /// An agent's reply.
    Reply,
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Mail => 'm',
            Self::Reply => 'r',
        }
    }
}

/// Makes numbered texts and knows its own again.
#[derive(Clone, Debug)]
pub struct Ledger {
    seed: u64,
    key: [u8; 32],
}

/// Where a mail comes from and what it answers.
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub cc: &'a str,
    /// `Message-ID` of a mail of ours, with its angle brackets.
    pub in_reply_to: &'a str,
}

impl Ledger {
    /// The seed makes the texts and every choice; it is printed, so that a run can be had again.
    /// `TRIBUTARY_TEST_SEED` sets it.
    pub fn new(name: &str) -> Self {
        let given = std::env::var("TRIBUTARY_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(rand::random::<u32>).into();
        eprintln!("{name}: TRIBUTARY_TEST_SEED={seed}");
        let mut key = [0; 32];
        StdRng::seed_from_u64(seed).fill(&mut key);
        Self { seed, key }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A source of choices; `purpose` keeps those of several actors apart.
    pub fn luck(&self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(31).wrapping_add(purpose))
    }

    /// The text that bears this number: six shapes in turn, all of which have broken something once.
    pub fn text(&self, kind: Kind, number: u32) -> String {
        let words = body(number);
        let mark = self.mark(kind, number, &words);
        format!("{words}\n{mark}")
    }

    /// The last line, which proves all lines before it.
    fn mark(&self, kind: Kind, number: u32, words: &str) -> String {
        let head = format!("L{}.{}.{number}", self.seed, kind.letter());
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).unwrap();
        mac.update(format!("{head}\n{words}").as_bytes());
        let proof = HEXLOWER.encode(&mac.finalize().into_bytes()[..8]);
        format!("[[{head}.{proof}]]")
    }

    /// The number of a text, if it is one of ours and came through whole. What follows its mark (a
    /// signature, a quote) does not count. `None`: there is no mark of this kind at all.
    pub fn number(&self, kind: Kind, text: &str) -> Option<Result<u32, String>> {
        let text = text.replace("\r\n", "\n");
        let head = format!("[[L{}.{}.", self.seed, kind.letter());
        let (before, after) = text.split_once(&head)?;
        let wrong = |why: &str| Some(Err(format!("{why}: «{text}»")));
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let Ok(number) = digits.parse::<u32>() else { return wrong("a mark without a number") };
        let Some(words) = before.strip_suffix('\n') else {
            return wrong("a mark in the middle of a line");
        };
        let whole = format!("{words}\n{}", self.mark(kind, number, words));
        if text.starts_with(&whole) {
            Some(Ok(number))
        } else {
            wrong("the mark does not prove the text")
        }
    }

    /// The `Message-ID` of a customer's mail, with its angle brackets.
    pub fn message_id(&self, number: u32) -> String {
        format!("<{}.{number}@customer.example>", self.seed)
    }

    /// A customer's mail: its text in one of several encodings.
    pub fn mail(&self, number: u32, envelope: &Envelope<'_>) -> Vec<u8> {
        let Envelope { from, to, cc, in_reply_to } = envelope;
        let text = self.text(Kind::Mail, number);
        let mut head = format!(
            "Message-ID: {}\r\nDate: {}\r\nFrom: <{from}>\r\nTo: <{to}>\r\n",
            self.message_id(number),
            chrono::Utc::now().to_rfc2822()
        );
        if !cc.is_empty() {
            write!(head, "Cc: <{cc}>\r\n").unwrap();
        }
        if in_reply_to.is_empty() {
            write!(head, "Subject: question {number}\r\n").unwrap();
        } else {
            write!(head, "Subject: Re: question\r\nIn-Reply-To: {in_reply_to}\r\n").unwrap();
            write!(head, "References: {in_reply_to}\r\n").unwrap();
        }
        let (charset, encoding, body) = encoded(number, &text);
        write!(
            head,
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset={charset}\r\n\
             Content-Transfer-Encoding: {encoding}\r\n\r\n"
        )
        .unwrap();
        [head.into_bytes(), body].concat()
    }
}

/// Six shapes of text.
fn body(number: u32) -> String {
    match number % 6 {
        0 => format!("Short question, the {number}th."),
        1 => format!("钱包转账失败了,请帮我看看 🦊🙏 nº {number} – größer & ünïcødé"),
        2 => (0..30)
            .map(|line| {
                format!(
                    "{number}: line {line} of two kilobytes of plain words, as people write them\n"
                )
            })
            .collect::<String>()
            .trim_end()
            .to_owned(),
        3 => format!(
            "<b>{number}</b> & \"quotes\" 'single' \\back %s %d {{x}} {{{{y}}}} $1 =20 &amp; <script>alert({number})</script>"
        ),
        4 => format!("dots of {number}\n.\n..\n.hidden\n...three"),
        _ => {
            let line = "提现一直没有到账 ".repeat((number as usize % 7) + 1);
            let lines = vec![line.trim_end(); (number as usize % 13) + 1];
            format!("{}\n{number}", lines.join("\n"))
        }
    }
}

/// The text as it goes over the wire: charset, transfer encoding, bytes.
fn encoded(number: u32, text: &str) -> (&'static str, &'static str, Vec<u8>) {
    let lines = || format!("{}\r\n", text.replace('\n', "\r\n")).into_bytes();
    match number % 6 {
        1 => ("utf-8", "base64", BASE64_MIME.encode(&lines()).into_bytes()),
        3 => ("utf-8", "quoted-printable", quoted_printable(&lines())),
        5 => {
            let unix = String::from_utf8(lines()).unwrap();
            let (bytes, _, lossy) = encoding_rs::GBK.encode(&unix);
            assert!(!lossy);
            ("gbk", "8bit", bytes.into_owned())
        }
        _ => ("us-ascii", "7bit", lines()),
    }
}

fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut column = 0;
    for &byte in bytes {
        if byte == b'\r' || byte == b'\n' {
            out.push(byte);
            column = 0;
            continue;
        }
        if column > 70 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if byte == b'=' || !(b' '..=b'~').contains(&byte) {
            out.extend_from_slice(format!("={byte:02X}").as_bytes());
            column += 3;
        } else {
            out.push(byte);
            column += 1;
        }
    }
    out
}

/// What an audit found wrong, by the name of the promise that was broken.
#[derive(Debug, Default)]
pub struct Findings(BTreeMap<&'static str, Vec<String>>);

impl Findings {
    pub fn add(&mut self, promise: &'static str, what: impl Into<String>) {
        self.0.entry(promise).or_default().push(what.into());
    }

    pub fn is_clean(&self) -> bool {
        self.0.is_empty()
    }

    /// Fails the test with up to five examples of each broken promise.
    pub fn assert_clean(&self, ledger: &Ledger) {
        let mut text = String::new();
        for (promise, examples) in &self.0 {
            writeln!(text, "{promise}: {}", examples.len()).unwrap();
            for example in examples.iter().take(5) {
                writeln!(text, "    {example}").unwrap();
            }
        }
        assert!(self.is_clean(), "TRIBUTARY_TEST_SEED={}\n{text}", ledger.seed());
    }
}

#[test]
fn a_numbered_text_proves_itself_and_nothing_else() {
    let ledger = Ledger::new("ledger");
    for number in 0..24 {
        let text = ledger.text(Kind::Mail, number);
        assert_eq!(ledger.number(Kind::Mail, &text), Some(Ok(number)));
        let signed = format!("{}\r\n\r\n-- \r\nthe desk", text.replace('\n', "\r\n"));
        assert_eq!(ledger.number(Kind::Mail, &signed), Some(Ok(number)));
        assert_eq!(ledger.number(Kind::Reply, &text), None);
        let cut = text.replacen(&number.to_string(), "", 1);
        assert!(ledger.number(Kind::Mail, &cut).unwrap().is_err(), "{cut}");
        let quoted = format!("> {}", text.replace('\n', "\n> "));
        assert!(ledger.number(Kind::Mail, &quoted).unwrap().is_err());
    }
}
