//! The mail channel's fixture.

use tributary::model::{Address, Raw, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "email",
    settings: "
address = 'support@desk.example'
[receive]
protocol = 'imap'
host = '127.0.0.1'
port = 9
tls = 'none'
username = 'support'
password = 'conformance-secret-of-many-letters'
[send]
host = '127.0.0.1'
port = 9
tls = 'none'
username = 'support'
password = 'conformance-secret-of-many-letters'
",
    raws,
    messages: 5,
    recipient: || Address::email("anna@customer.example"),
    forged: Vec::new,
};

/// A plain mail, one with everything, one with next to nothing, an auto-reply, and a bounce.
fn raws() -> Vec<Raw> {
    let plain = "From: Anna <Anna@Customer.Example>\r\nTo: support@desk.example\r\n\
        Message-ID: <1@customer.example>\r\nDate: Thu, 26 Nov 2026 08:00:00 +0000\r\n\
        Subject: =?utf-8?B?5a+G56CB?=\r\n\r\nI lost my password.\r\n";
    let rich = "From: anna@customer.example\r\nTo: support@desk.example\r\nMessage-ID: <2@customer.example>\r\n\
        In-Reply-To: <1@customer.example>\r\nReferences: <> <1@customer.example> <2@customer.example>\r\n\
        Subject: Re: more\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
        <p onclick='x()'>see <a href='javascript:alert(1)'>this</a><script>alert(1)</script></p>\r\n\
        --b\r\nContent-Type: IMAGE/PNG; name=\"../../etc/passwd\"\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        aGVsbG8=\r\n--b--\r\n";
    let bare = "Subject: nobody\r\n\r\n";
    let away = "From: bob@elsewhere.example\r\nAuto-Submitted: auto-replied\r\nMessage-ID: <3@elsewhere.example>\r\n\r\n\
        I am away.\r\n";
    let bounce = "From: MAILER-DAEMON@elsewhere.example\r\nReturn-Path: <>\r\nMessage-ID: <4@elsewhere.example>\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n\
        --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; elsewhere.example\r\n\r\n\
        Final-Recipient: rfc822; carol@elsewhere.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n";
    [plain, rich, bare, away, bounce]
        .map(|body| {
            raw(body.as_bytes(), Transport::from([("folder".to_owned(), "INBOX".to_owned())]))
        })
        .to_vec()
}
