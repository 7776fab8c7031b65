//! How many mails a second one thread understands, beside bare parsing by `mail-parser` in the same run.
//!
//! `cargo bench --bench mail_read`. Over the corpus of `tests/fixtures/mail`; the best of several rounds counts,
//! and the two take turns, so that what else the machine does hits both.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench is a small program for a human"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use mail_parser::MessageParser;
use tributary::channel::Interpret;
use tributary::channel::email::read::Reader;
use tributary::channel::shared::sign::Signer;
use tributary::model::{Address, DedupeKey, Raw, Transport};

const ROUNDS: usize = 20;

fn main() {
    let raws = raws();
    let bytes: usize = raws.iter().map(|raw| raw.body.len()).sum();
    let reader = Reader::new(
        vec![Address::email("support@desk.example")],
        Signer::new(vec![[7; 32]]),
        vec!["mx.desk.example".to_owned()],
    );
    let (mut ours, mut bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        ours = ours.min(timed(&raws, |raw| drop(black_box(reader.interpret(black_box(raw))))));
        let parser = MessageParser::default();
        bare = bare.min(timed(&raws, |raw| drop(black_box(parser.parse(black_box(&raw.body))))));
    }
    println!("{} mails, {bytes} bytes, best of {ROUNDS} rounds, one thread", raws.len());
    report("tributary: read and understood", raws.len(), bytes, ours);
    report("mail-parser: parsed", raws.len(), bytes, bare);
    println!("ratio {:.1}", ours.as_secs_f64() / bare.as_secs_f64());
}

fn raws() -> Vec<Raw> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mail");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
    paths.sort();
    let raw = |path| Raw {
        dedupe: DedupeKey::new("bench".to_owned()),
        body: std::fs::read(path).unwrap().into(),
        transport: Transport::new(),
        received_at: None,
    };
    paths.into_iter().map(raw).collect()
}

fn timed(raws: &[Raw], mut work: impl FnMut(&Raw)) -> Duration {
    let begun = Instant::now();
    for raw in raws {
        work(raw);
    }
    begun.elapsed()
}

fn report(what: &str, mails: usize, bytes: usize, took: Duration) {
    let seconds = took.as_secs_f64();
    println!(
        "{what}: {:.0} mails/s, {:.1} MB/s, {:.0} µs a mail",
        mails as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        seconds * 1e6 / mails as f64
    );
}
