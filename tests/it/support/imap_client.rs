//! A raw IMAP client: sends a line, gives back every line of the answer. For looking into and
//! disturbing the test server's mailboxes; shares no code with the daemon.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// One logged-in connection.
pub struct ImapClient {
    reader: BufReader<TcpStream>,
    tag: u32,
}

impl ImapClient {
    /// Connects and logs in.
    pub fn login(port: u16, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { reader: BufReader::new(stream), tag: 0 };
        client.read_line();
        client.command(&format!("LOGIN \"{user}\" \"{password}\""));
        client
    }

    /// Runs a command and returns its untagged answers (literals inside); fails unless it is OK.
    pub fn command(&mut self, line: &str) -> Vec<Vec<u8>> {
        let (answers, end) = self.try_command(line);
        assert!(end.starts_with("OK"), "the server answered «{end}» to «{line}»");
        answers
    }

    /// Runs a command and returns its untagged answers and the words after the tag.
    pub fn try_command(&mut self, line: &str) -> (Vec<Vec<u8>>, String) {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        self.send(format!("{tag}{line}\r\n").as_bytes());
        self.collect(&tag)
    }

    /// Adds a message to a folder.
    pub fn append(&mut self, folder: &str, flags: &str, message: &[u8]) {
        self.append_with(folder, &format!("({flags})"), message);
    }

    /// Adds a message that came into the mailbox on another day (`01-Jan-2001 10:00:00 +0000`).
    pub fn append_dated(&mut self, folder: &str, date: &str, message: &[u8]) {
        self.append_with(folder, &format!("() \"{date}\""), message);
    }

    fn append_with(&mut self, folder: &str, facts: &str, message: &[u8]) {
        self.tag += 1;
        let tag = format!("t{} ", self.tag);
        let length = message.len();
        self.send(format!("{tag}APPEND \"{folder}\" {facts} {{{length}+}}\r\n").as_bytes());
        self.send(message);
        self.send(b"\r\n");
        let (_, end) = self.collect(&tag);
        assert!(end.starts_with("OK"), "the server answered «{end}» to APPEND");
    }

    /// Begins to wait for news; the server has said that it does.
    pub fn begin_idle(&mut self) {
        self.tag += 1;
        self.send(format!("t{} IDLE\r\n", self.tag).as_bytes());
        while !self.read_answer().starts_with(b"+") {}
    }

    /// Waits for the notice of a new mail.
    pub fn wait_exists(&mut self) {
        while !self.read_answer().trim_ascii_end().ends_with(b"EXISTS") {}
    }

    /// Ends the waiting.
    pub fn end_idle(&mut self) {
        self.send(b"DONE\r\n");
        let tag = format!("t{} ", self.tag);
        self.collect(&tag);
    }

    fn collect(&mut self, tag: &str) -> (Vec<Vec<u8>>, String) {
        let mut answers = Vec::new();
        loop {
            let line = self.read_answer();
            if line.starts_with(tag.as_bytes()) {
                return (answers, String::from_utf8_lossy(&line[tag.len()..]).into_owned());
            }
            answers.push(line);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// One answer: a line, and every literal that it announces with the line that goes on after it.
    fn read_answer(&mut self) -> Vec<u8> {
        let mut answer = self.read_line();
        while let Some(length) = announced_literal(&answer) {
            let start = answer.len();
            answer.resize(start + length, 0);
            self.reader.read_exact(&mut answer[start..]).unwrap();
            let rest = self.read_line();
            answer.extend_from_slice(&rest);
        }
        answer
    }

    fn read_line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).unwrap();
        assert!(line.ends_with(b"\n"), "the IMAP server closed the connection");
        line.truncate(line.len() - if line.ends_with(b"\r\n") { 2 } else { 1 });
        // The mark of a literal stays as it is: its length is read from the line's end.
        line.push(b'\n');
        line
    }
}

/// The length of the literal that follows a line which ends with `{length}`.
fn announced_literal(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}\n")?;
    let start = line.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&line[start + 1..]).ok()?.parse().ok()
}

/// The content of the first literal of an answer (a message, in an answer to `FETCH`).
pub fn literal(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let length = announced_literal(&answer[..=end])?;
    answer.get(end + 1..end + 1 + length)
}
