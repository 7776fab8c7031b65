//! Mails that are made to cost more than they weigh. Four times the size may cost about four times the
//! time: the bounds are generous, but nothing quadratic passes them.

use std::time::Duration;

use super::read;

/// Below this, times say nothing.
const NOISE: Duration = Duration::from_millis(400);

/// Linear is 4; quadratic is 16 and, at these sizes, far above the noise.
const RATIO_MAX: u32 = 10;

fn cost(mail: &str) -> Duration {
    let once = || {
        let begun = busy();
        read(mail.as_bytes());
        busy().saturating_sub(begun)
    };
    once().min(once())
}

/// How long this thread has run so far: the clock on the wall would measure its neighbours, too. (First field of
/// `schedstat`, in nanoseconds: <https://docs.kernel.org/scheduler/sched-stats.html>.)
fn busy() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(told.split(' ').next().unwrap().parse().unwrap())
}

fn head(field: &str) -> String {
    format!(
        "From: jane@customer.example\r\nSubject: x\r\nIn-Reply-To: <a@b.example>\r\n{field}\r\n"
    )
}

fn html(body: &str) -> String {
    head(&format!("Content-Type: text/html; charset=utf-8\r\n\r\n{body}"))
}

fn plain(body: &str) -> String {
    head(&format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{body}"))
}

fn mixed(parts: &str) -> String {
    head(&format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}"))
}

fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

type Bomb = (&'static str, fn(usize) -> String);

/// Each makes a mail of about `n` × 100 bytes.
const BOMBS: &[Bomb] = &[
    ("one field", |n| head(&format!("X-A: {}\r\n", "x ".repeat(n * 50)))),
    ("many fields", |n| head(&"X-A: b\r\n".repeat(n * 12))),
    ("needed fields", |n| head(&"Date: b\r\n".repeat(n * 11))),
    ("references", |n| {
        head(&format!("References: {}\r\n", numbered(n * 10, |i| format!("<{i}@x>\r\n "))))
    }),
    ("recipients", |n| {
        head(&format!("To: {}\r\n", numbered(n * 8, |i| format!("u{i}@x.example, "))))
    }),
    ("comments in an address", |n| head(&format!("To: {}a@b.example\r\n", "(".repeat(n * 100)))),
    ("begins of words", |n| head(&format!("Subject: {}\r\n", "=?a?Q?x".repeat(n * 14)))),
    ("ends of words", |n| head(&format!("Subject: {}\r\n", "=?a?Q?b?=3F".repeat(n * 9)))),
    ("parameters", |n| head(&format!("Content-Type: text/plain{}\r\n", "; a*0=b".repeat(n * 14)))),
    ("quotes in parameters", |n| {
        head(&format!("Content-Type: text/plain; a={}\r\n", "\"\\".repeat(n * 50)))
    }),
    ("prefixes", |n| format!("Subject: {}x\r\n\r\nx", "Re: ".repeat(n * 25))),
    ("many parts", |n| mixed(&"--b\r\n\r\nx\r\n".repeat(n * 10))),
    ("ends of parts", |n| mixed(&format!("--b\r\n\r\nx\r\n{}", "--b--\r\n".repeat(n * 14)))),
    ("almost boundaries", |n| mixed(&"--bb\r\n".repeat(n * 16))),
    ("deep parts", |n| {
        let level =
            |i| format!("--b{i}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n", i + 1);
        head(&format!("Content-Type: multipart/mixed; boundary=b0\r\n\r\n{}", numbered(n, level)))
    }),
    ("alternatives", |n| {
        let part = |i| format!("--b\r\nContent-Type: text/plain\r\n\r\nwords number {i}\r\n");
        head(&format!(
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n{}",
            numbered(n * 2, part)
        ))
    }),
    ("elements", |n| html(&"<div>".repeat(n * 20))),
    ("elements closed by another name", |n| html(&"<div></x>".repeat(n * 11))),
    ("formatting that outlives its paragraph", |n| {
        html(&numbered(n * 4, |i| format!("<p><b id={i}>x</p>")))
    }),
    ("attributes", |n| html(&format!("<a {}>x</a>", numbered(n * 12, |i| format!("a{i} "))))),
    ("strays in a table", |n| html(&format!("<table>{}", "<br>".repeat(n * 25)))),
    ("words in a table", |n| html(&format!("<table>{}", "x<tr>".repeat(n * 20)))),
    ("bodies", |n| html(&numbered(n * 8, |i| format!("<body a{i}>")))),
    ("open angles", |n| html(&"<".repeat(n * 100))),
    ("open comments", |n| html(&"<!--".repeat(n * 25))),
    ("open quotes", |n| html(&"<a b='x>".repeat(n * 12))),
    ("open scripts", |n| html(&"<script>".repeat(n * 12))),
    ("titles", |n| html(&"<title>x</".repeat(n * 10))),
    ("entities", |n| html(&"&amp;&lt".repeat(n * 12))),
    ("siblings", |n| html(&"<p>x</p>".repeat(n * 12))),
    ("list items", |n| html(&format!("<ol>{}", "<li>x".repeat(n * 20)))),
    ("quotes of mail programs", |n| html(&"<div class=gmail_quote>x</div>y".repeat(n * 3))),
    ("attributions with answers", |n| {
        plain(&"On 1 May 10:00 a@b.c wrote:\r\n> x\r\nanswer\r\n".repeat(n * 2))
    }),
    ("attributions", |n| plain(&"On 1 May 10:00 a@b.c wrote:\r\n".repeat(n * 3))),
    ("labels", |n| plain(&"From: a\r\n".repeat(n * 11))),
    ("quoted lines", |n| plain(&"> x\r\n".repeat(n * 20))),
    ("signatures", |n| plain(&"-- \r\n".repeat(n * 20))),
    ("blank lines", |n| plain(&format!("x{}x", "\r\n".repeat(n * 50)))),
    ("uuencoded begins", |n| plain(&"begin 644 a\r\n#0V%T\r\n".repeat(n * 5))),
    ("one line", |n| plain(&"x".repeat(n * 100))),
    ("tags of tickets", |n| format!("Subject: {}\r\n\r\nx", "[#1".repeat(n * 33))),
];

// COMPLAINTS L17, L18; FAULTS 78, 79, 80, 81
#[test]
fn no_mail_costs_more_than_it_weighs() {
    let mut quadratic = Vec::new();
    for (name, bomb) in BOMBS {
        let (small, large) = (cost(&bomb(300)), cost(&bomb(1200)));
        if large > NOISE && large > RATIO_MAX * small {
            quadratic.push(format!("{name}: {small:?} became {large:?}"));
        }
    }
    assert!(quadratic.is_empty(), "{quadratic:#?}");
}

// COMPLAINTS L18
#[test]
fn the_bombs_of_other_peoples_complaints_are_taken() {
    let begun = busy();
    let deep = BOMBS.iter().find(|(name, _)| *name == "deep parts").unwrap().1(10_000);
    let (inbound, _) = read(deep.as_bytes());
    assert!(inbound.flags.contains(&tributary::model::Flag::Truncated));
    let parts = BOMBS.iter().find(|(name, _)| *name == "many parts").unwrap().1(10_000);
    let (inbound, _) = read(parts.as_bytes());
    assert!(inbound.flags.contains(&tributary::model::Flag::Truncated));
    assert!(inbound.text.starts_with('x'));
    let header = format!("X-A: {}\r\nSubject: found\r\n\r\nbody", "x".repeat(10_000_000));
    let (inbound, _) = read(header.as_bytes());
    assert_eq!(inbound.subject.as_deref(), Some("found"));
    assert_eq!(inbound.text, "body");
    let nested = html(&"<div>".repeat(2_000_000));
    read(nested.as_bytes());
    let picture =
        html(&format!("<p>hi</p><img src='data:image/png;base64,{}'>", "A".repeat(10_000_000)));
    let (inbound, _) = read(picture.as_bytes());
    assert!(inbound.text.contains("hi"));
    let took = busy().saturating_sub(begun);
    assert!(took < Duration::from_secs(120), "{took:?}");
}
