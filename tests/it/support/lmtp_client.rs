//! Hands mails to a server that speaks LMTP or SMTP, one after another on one connection.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// What the server greets us for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    Lmtp,
    Smtp,
}

/// One open session.
pub struct Submitter {
    reader: BufReader<TcpStream>,
}

/// The code and the words of a server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub code: u16,
    pub text: String,
}

impl Submitter {
    /// Connects and greets.
    pub fn connect(port: u16, greeting: Greeting) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut session = Self { reader: BufReader::new(stream) };
        session.expect_code(220);
        let hello = match greeting {
            Greeting::Lmtp => "LHLO test.example",
            Greeting::Smtp => "EHLO test.example",
        };
        session.say(hello);
        session.expect_code(250);
        session
    }

    /// Hands over one mail; fails the test unless the server takes it.
    pub fn send(&mut self, sender: &str, recipient: &str, message: &[u8]) {
        let answer = self.try_send(sender, recipient, message);
        assert_eq!(answer.code, 250, "{recipient}: {}", answer.text);
    }

    /// Hands over one mail and returns the answer that decided.
    pub fn try_send(&mut self, sender: &str, recipient: &str, message: &[u8]) -> Answer {
        for line in [format!("MAIL FROM:<{sender}>"), format!("RCPT TO:<{recipient}>")] {
            self.say(&line);
            let answer = self.answer();
            if answer.code >= 400 {
                self.say("RSET");
                self.answer();
                return answer;
            }
        }
        self.say("DATA");
        self.expect_code(354);
        self.write(&dot_stuffed(message));
        self.answer()
    }

    fn say(&mut self, line: &str) {
        self.write(format!("{line}\r\n").as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    fn expect_code(&mut self, code: u16) {
        let answer = self.answer();
        assert_eq!(answer.code, code, "{}", answer.text);
    }

    fn answer(&mut self) -> Answer {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            assert!(line.len() > 3, "the server closed the connection: «{text}»");
            text.push_str(&line);
            if line.as_bytes()[3] == b' ' {
                return Answer { code: line.get(..3).unwrap().parse().unwrap(), text };
            }
        }
    }
}

/// Hands one mail over on a connection of its own, as a mail server does that tries again on any error:
/// the other side may die at every step of it.
pub fn hand_over(
    port: u16,
    greeting: Greeting,
    (sender, recipient): (&str, &str),
    message: &[u8],
) -> std::io::Result<Answer> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let hello = match greeting {
        Greeting::Lmtp => "LHLO test.example",
        Greeting::Smtp => "EHLO test.example",
    };
    read_answer(&mut reader)?;
    let lines = [
        hello.to_owned(),
        format!("MAIL FROM:<{sender}>"),
        format!("RCPT TO:<{recipient}>"),
        "DATA".to_owned(),
    ];
    for line in lines {
        reader.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        let answer = read_answer(&mut reader)?;
        if answer.code >= 400 {
            return Ok(answer);
        }
    }
    reader.get_mut().write_all(&dot_stuffed(message))?;
    read_answer(&mut reader)
}

fn read_answer(reader: &mut BufReader<TcpStream>) -> std::io::Result<Answer> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? < 4 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(&line);
        if line.as_bytes()[3] == b' ' {
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or(std::io::ErrorKind::InvalidData)?;
            return Ok(Answer { code, text });
        }
    }
}

/// The message as it goes over the line: CRLF ends, leading dots doubled, the final dot.
fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 50 + 8);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        wire.extend_from_slice(bare.strip_suffix(b"\r").unwrap_or(bare));
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}
