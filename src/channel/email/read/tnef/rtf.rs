//! Compressed RTF (MS-OXRTFCP) as plain text.

/// What every compressed text begins with, unseen.
const DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Longest text that is unpacked.
const BYTES_MAX: usize = 4 * 1024 * 1024;

const COMPRESSED: &[u8] = b"LZFu";
const UNCOMPRESSED: &[u8] = b"MELA";

/// The words of a compressed RTF body. RTF that only wraps HTML gives the HTML's words.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let kind = bytes.get(8..12)?;
    let body = bytes.get(16..)?;
    if kind == COMPRESSED {
        Some(words(&unpacked(body)))
    } else if kind == UNCOMPRESSED {
        Some(words(body))
    } else {
        None
    }
}

/// LZ77 over a ring of 4096 bytes.
fn unpacked(mut input: &[u8]) -> Vec<u8> {
    let mut output = DICTIONARY.to_vec();
    while let Some((control, rest)) = input.split_first() {
        input = rest;
        let more = (0..8).all(|bit| step(control >> bit & 1 == 1, &mut input, &mut output));
        if !more || output.len() > BYTES_MAX {
            break;
        }
    }
    output.split_off(DICTIONARY.len().min(output.len()))
}

/// One byte, or one copy of what came before. `false` at the end.
fn step(copies: bool, input: &mut &[u8], output: &mut Vec<u8>) -> bool {
    if !copies {
        let Some((byte, rest)) = input.split_first() else { return false };
        output.push(*byte);
        *input = rest;
        return true;
    }
    let [high, low, rest @ ..] = *input else { return false };
    *input = rest;
    let offset = usize::from(*high) << 4 | usize::from(*low >> 4);
    let length = usize::from(*low & 15) + 2;
    // The ring's write place is the output's length; the end is marked by pointing at it.
    let distance = (output.len() % 4096 + 4096 - offset) % 4096;
    distance != 0 && copy(output, distance, length)
}

fn copy(output: &mut Vec<u8>, distance: usize, length: usize) -> bool {
    for _ in 0..length {
        let Some(byte) = output.len().checked_sub(distance).and_then(|at| output.get(at)) else {
            return false;
        };
        output.push(*byte);
    }
    true
}

/// Groups whose content is not text.
const HIDDEN: &[&str] = &[
    "fonttbl",
    "colortbl",
    "stylesheet",
    "info",
    "pict",
    "object",
    "generator",
    "themedata",
    "listtable",
    "listoverridetable",
    "rsidtbl",
    "xmlnstbl",
    "datastore",
    "latentstyles",
    "htmltag",
    "mhtmltag",
    "pntext",
];

/// Reads RTF for its words alone.
#[derive(Default)]
struct Reader {
    out: String,
    /// 8-bit characters that wait for their neighbours: they may be halves of one character.
    bytes: Vec<u8>,
    page: Option<String>,
    /// Depth of groups, and the depth at which hidden text began.
    depth: usize,
    hidden_from: Option<usize>,
    /// Characters to skip behind `\u`.
    skip: usize,
}

fn words(rtf: &[u8]) -> String {
    let mut reader = Reader::default();
    let mut rest = rtf;
    while let Some((first, tail)) = rest.split_first() {
        rest = match first {
            b'{' => reader.open(tail),
            b'}' => reader.close(tail),
            b'\\' => reader.control(tail),
            b'\r' | b'\n' => tail,
            byte => reader.byte(*byte, tail),
        };
        if reader.out.len() > BYTES_MAX {
            break;
        }
    }
    reader.flush();
    reader.out
}

impl Reader {
    fn open<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        self.flush();
        self.depth += 1;
        rest
    }

    fn close<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        self.flush();
        if self.hidden_from == Some(self.depth) {
            self.hidden_from = None;
        }
        self.depth = self.depth.saturating_sub(1);
        rest
    }

    fn byte<'a>(&mut self, byte: u8, rest: &'a [u8]) -> &'a [u8] {
        if self.skip > 0 {
            self.skip -= 1;
        } else if self.hidden_from.is_none() {
            self.bytes.push(byte);
        }
        rest
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            let text = super::super::charset::decode(
                self.page.as_deref().or(Some("windows-1252")),
                &self.bytes,
            );
            self.out.push_str(&text);
            self.bytes.clear();
        }
    }

    fn say(&mut self, text: &str) {
        self.flush();
        if self.hidden_from.is_none() {
            self.out.push_str(text);
        }
    }

    /// Behind a backslash.
    fn control<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        match rest {
            [b'\'', high, low, tail @ ..] => {
                let byte = super::super::words::hex(*high) << 4 | super::super::words::hex(*low);
                self.byte(byte, tail)
            }
            [b'*', tail @ ..] => {
                self.hidden_from.get_or_insert(self.depth);
                tail
            }
            [b'~', tail @ ..] => {
                self.say(" ");
                tail
            }
            [byte @ (b'\\' | b'{' | b'}'), tail @ ..] => self.byte(*byte, tail),
            [byte, ..] if byte.is_ascii_alphabetic() => self.word(rest),
            [_, tail @ ..] => tail,
            [] => rest,
        }
    }

    fn word<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count().min(40);
        let (word, rest) = rest.split_at(letters);
        let digits =
            rest.iter().take(10).take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        let (digits, rest) = rest.split_at(digits);
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<i32>().ok());
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        match std::str::from_utf8(word).unwrap_or_default() {
            "par" | "line" | "row" | "sect" | "page" => self.say("\n"),
            "tab" | "cell" => self.say("\t"),
            "emdash" => self.say("—"),
            "endash" => self.say("–"),
            "bullet" => self.say("•"),
            "lquote" => self.say("‘"),
            "rquote" => self.say("’"),
            "ldblquote" => self.say("“"),
            "rdblquote" => self.say("”"),
            "ansicpg" => self.page = number.map(|page| format!("cp{page}")),
            "u" => {
                let code = number.unwrap_or(0).rem_euclid(65_536);
                let c = u32::try_from(code)
                    .ok()
                    .and_then(char::from_u32)
                    .unwrap_or(char::REPLACEMENT_CHARACTER);
                self.say(c.encode_utf8(&mut [0; 4]));
                self.skip = 1;
            }
            word if HIDDEN.contains(&word) => {
                self.hidden_from.get_or_insert(self.depth);
            }
            _ => {}
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_unpacked() {
        // MS-OXRTFCP, section 4.1.1.
        let bytes = [
            0x2d, 0x00, 0x00, 0x00, 0x2b, 0x00, 0x00, 0x00, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5,
            0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72, 0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42,
            0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77, 0x05, 0xb0,
            0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        assert_eq!(text(&bytes).unwrap().trim(), "hello world");
    }

    #[test]
    fn rtf_gives_its_words() {
        let rtf = br"{\rtf1\ansi\ansicpg936{\fonttbl{\f0 Arial;}}{\*\generator X;}Hi \'c7\'ae\'b0\'fc\par \u-10178 ?\b bold\b0 \{x\}\tab y}";
        assert_eq!(words(rtf), "Hi 钱包\n\u{fffd}bold{x}\ty");
    }

    #[test]
    fn broken_packing_ends_quietly() {
        let mut bytes = vec![0; 8];
        bytes.extend(b"LZFu\0\0\0\0\xff\x12");
        assert_eq!(text(&bytes), Some(String::new()));
        assert_eq!(text(b"short"), None);
    }
}
