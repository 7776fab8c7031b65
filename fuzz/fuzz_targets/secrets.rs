//! Any text to the scanner for secrets: it ends soon, its finds are stretches of the text, and what was masked
//! holds nothing more to mask.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary::desk::Scanner;

fuzz_target!(|text: &str| {
    let scanner = Scanner::default();
    let mut end = 0;
    for find in scanner.scan(text) {
        assert!(text.get(find.span.clone()).is_some_and(|found| !found.is_empty()), "{find:?}");
        assert!(find.span.start >= end, "one lies over another");
        end = find.span.end;
    }
    if let Some(masked) = scanner.mask(text) {
        assert_eq!(scanner.mask(&masked.text), None, "{}", masked.text);
    }
    if let Some(masked) = scanner.mask_html(text) {
        assert_eq!(scanner.mask_html(&masked.text), None, "{}", masked.text);
    }
});
