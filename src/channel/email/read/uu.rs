//! Files that were written into the text itself (uuencode), as old programs do.

use super::mime::from_uuencode;

/// Files of one text; the rest stays text.
const FILES_MAX: usize = 100;

/// A text without its files.
pub(super) struct Extracted {
    pub(super) text: String,
    /// Name and bytes.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// Takes out every block from `begin 644 name` to `end` of which each line is sound. `None`: there is
/// none.
pub(super) fn extracted(text: &str) -> Option<Extracted> {
    if !text.contains("begin ") {
        return None;
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut found = Extracted { text: String::new(), files: Vec::new() };
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        match block(lines.get(at..).unwrap_or_default()) {
            Some((name, length)) if found.files.len() < FILES_MAX => {
                let block = lines.get(at..at + length).unwrap_or_default().concat();
                found.files.push((name, from_uuencode(block.as_bytes())));
                at += length;
            }
            Some(_) | None => {
                found.text.push_str(line);
                at += 1;
            }
        }
    }
    (!found.files.is_empty()).then_some(found)
}

/// The name of the file that begins here, and the number of its lines.
fn block(lines: &[&str]) -> Option<(String, usize)> {
    let (mode, name) = lines.first()?.trim_end().strip_prefix("begin ")?.split_once(' ')?;
    let octal = (3..=4).contains(&mode.len()) && mode.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if !octal || name.trim().is_empty() {
        return None;
    }
    let body = lines.get(1..)?;
    let sound =
        body.iter().take_while(|line| is_sound(line.trim_end_matches(['\r', '\n']))).count();
    let ended = body.get(sound).is_some_and(|line| line.trim_end() == "end");
    (ended && sound > 0).then(|| (name.trim().to_owned(), sound + 2))
}

/// As long as its first character says; blanks at the end may have got lost.
fn is_sound(line: &str) -> bool {
    let Some((first, data)) = line.as_bytes().split_first() else { return true };
    let legal = |byte: &u8| (b' '..=b'`').contains(byte);
    let bytes = usize::from(first.wrapping_sub(b' ') & 63);
    let letters = bytes.div_ceil(3) * 4;
    line != "end"
        && legal(first)
        && data.iter().all(legal)
        && data.len() <= letters + 2
        && (data.len() + 3 >= letters || bytes == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_the_text_are_taken_out() {
        let text = "Hi\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\nbye\r\nbegin 600 b c.bin\n#0V%T\n \nend\n";
        let found = extracted(text).unwrap();
        assert_eq!(found.text, "Hi\r\nbye\r\n");
        assert_eq!(found.files.len(), 2);
        assert_eq!(found.files[0], ("a.txt".to_owned(), b"Cat".to_vec()));
        assert_eq!(found.files[1].0, "b c.bin");
    }

    #[test]
    fn words_are_no_files() {
        for text in [
            "begin 100 transfers now\nand end\n",
            "begin 644 a.txt\nthis is a sentence\nend\n",
            "begin 644 a.txt\n#0V%T\nnever ended",
            "begin 644 a.txt\nend\n",
            "begin\nend",
        ] {
            assert!(extracted(text).is_none(), "{text}");
        }
    }
}
