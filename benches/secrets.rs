//! How much text a second the scanner for secrets looks at, on one thread.
//!
//! `cargo bench --bench secrets`. Prose in English and Chinese, a mail in HTML, and texts made to be dear; the best
//! of several rounds counts.

#![expect(clippy::print_stdout, reason = "a bench is a small program for a human")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tributary::desk::Scanner;

const ROUNDS: usize = 5;
const BYTES: usize = 1024 * 1024;

fn main() {
    let scanner = Scanner::default();
    for (name, piece) in [
        (
            "a short message",
            "Hello, my transfer of 250 USDT from yesterday has not arrived, can you help me? ",
        ),
        (
            "a short message in Chinese",
            "我的钱包转账没有到账，请帮我查一下，谢谢。订单号是 20261126001。",
        ),
        ("words of a list", "abandon ability able about above absent "),
        ("digits", "4111 1111 1111 1112 "),
        ("hashes", "e9873d79c6d87dc0fb6a5778633389f4453213303da61f20bd67fc233aa33262 "),
    ] {
        let text = piece.repeat(BYTES / piece.len());
        let one = best(|| drop(black_box(scanner.scan(black_box(piece)))));
        let all = best(|| drop(black_box(scanner.scan(black_box(&text)))));
        let html = best(|| drop(black_box(scanner.mask_html(black_box(&text)))));
        let rate = |took: Duration| 1.0 / took.as_secs_f64();
        println!(
            "{name:30} {:7.1} \u{b5}s, {:6.1} MB/s as text, {:6.1} MB/s as HTML",
            one.as_secs_f64() * 1e6,
            rate(all),
            rate(html)
        );
    }
}

fn best(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    });
    rounds.min().unwrap_or_default()
}
