//! `winmail.dat` (MS-OXTNEF): the files in it, and the text where there is no other.
//!
//! Reads what people miss (attachments, plain or HTML body, compressed RTF as text), skips the rest.
//! Every length is checked against what is there; a wrong one ends the reading, with what was found.

mod rtf;

/// What was in the container.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    pub(super) files: Vec<File>,
}

/// A file in the container.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) content_id: Option<String>,
}

const SIGNATURE: u32 = 0x223E_9F78;
/// Files of one container; the rest is left out.
const FILES_MAX: usize = 200;
/// Properties of one list; the rest is left out.
const PROPERTIES_MAX: u32 = 2000;

// Attributes (MS-OXTNEF 2.1.3.4), without their type word.
const ATT_BODY: u16 = 0x800C;
const ATT_ATTACH_DATA: u16 = 0x800F;
const ATT_ATTACH_TITLE: u16 = 0x8010;
const ATT_ATTACH_REND_DATA: u16 = 0x9002;
const ATT_MSG_PROPS: u16 = 0x9003;
const ATT_ATTACHMENT: u16 = 0x9005;
const ATT_OEM_CODEPAGE: u16 = 0x9007;

// Properties (MS-OXPROPS).
const PR_BODY: u16 = 0x1000;
const PR_RTF_COMPRESSED: u16 = 0x1009;
const PR_BODY_HTML: u16 = 0x1013;
const PR_ATTACH_DATA: u16 = 0x3701;
const PR_ATTACH_FILENAME: u16 = 0x3704;
const PR_ATTACH_LONG_FILENAME: u16 = 0x3707;
const PR_ATTACH_CONTENT_ID: u16 = 0x3712;
const PR_DISPLAY_NAME: u16 = 0x3001;

/// Opens a container. `None` if it is none, or has nothing that we can use.
pub(super) fn read(bytes: &[u8]) -> Option<Contents> {
    let mut input = Input { rest: bytes };
    if input.u32()? != SIGNATURE {
        return None;
    }
    input.u16()?;
    let mut found = Contents::default();
    let mut page: u32 = 1252;
    while let Some((attribute, data)) = attribute(&mut input) {
        if attribute == ATT_OEM_CODEPAGE {
            page = Input { rest: data }.u32().unwrap_or(page);
        } else {
            take(&mut found, attribute, data, page);
        }
    }
    found.files.retain(|file| !file.bytes.is_empty());
    let something = found.text.is_some() || found.html.is_some() || !found.files.is_empty();
    something.then_some(found)
}

fn attribute<'a>(input: &mut Input<'a>) -> Option<(u16, &'a [u8])> {
    input.u8()?;
    let id = input.u16()?;
    input.u16()?;
    let length = input.u32()?;
    let data = input.take(length)?;
    // The checksum: a container with a wrong one is still worth reading.
    input.u16();
    Some((id, data))
}

fn take(found: &mut Contents, attribute: u16, data: &[u8], page: u32) {
    match attribute {
        ATT_BODY => found.text = nonempty(page_text(data, page)),
        ATT_ATTACH_REND_DATA if found.files.len() < FILES_MAX => found.files.push(File::default()),
        ATT_ATTACH_DATA => {
            if let Some(file) = found.files.last_mut() {
                file.bytes = data.to_vec();
            }
        }
        ATT_ATTACH_TITLE => {
            if let Some(file) = found.files.last_mut().filter(|file| file.name.is_empty()) {
                file.name = page_text(data, page);
            }
        }
        ATT_MSG_PROPS => {
            each_property(data, page, |id, value| message_property(found, id, &value));
        }
        ATT_ATTACHMENT => {
            if let Some(file) = found.files.last_mut() {
                each_property(data, page, |id, value| file_property(file, id, value));
            }
        }
        _ => {}
    }
}

/// A property's value, as far as we care.
enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

fn message_property(found: &mut Contents, id: u16, value: &Value) {
    match (id, value) {
        (PR_BODY, Value::Text(text)) => found.text = nonempty(text.clone()),
        (PR_BODY_HTML, Value::Text(html)) => found.html = nonempty(html.clone()),
        (PR_BODY_HTML, Value::Bytes(bytes)) => {
            found.html = nonempty(super::charset::decode_html(None, bytes));
        }
        (PR_RTF_COMPRESSED, Value::Bytes(bytes)) if found.text.is_none() => {
            found.text = rtf::text(bytes).and_then(nonempty);
        }
        (_, Value::Text(_) | Value::Bytes(_)) => {}
    }
}

fn file_property(file: &mut File, id: u16, value: Value) {
    match (id, value) {
        (PR_ATTACH_LONG_FILENAME, Value::Text(name)) if !name.is_empty() => file.name = name,
        (PR_ATTACH_FILENAME | PR_DISPLAY_NAME, Value::Text(name)) if file.name.is_empty() => {
            file.name = name;
        }
        (PR_ATTACH_CONTENT_ID, Value::Text(id)) => {
            file.content_id = nonempty(id.trim_matches(['<', '>']).to_owned());
        }
        (PR_ATTACH_DATA, Value::Bytes(bytes)) if file.bytes.is_empty() => {
            // An embedded object begins with 16 bytes that say which interface it has.
            file.bytes = bytes.get(16..).unwrap_or_default().to_vec();
        }
        (_, Value::Text(_) | Value::Bytes(_)) => {}
    }
}

fn each_property(data: &[u8], page: u32, mut each: impl FnMut(u16, Value)) {
    let mut input = Input { rest: data };
    let count = input.u32().unwrap_or(0).min(PROPERTIES_MAX);
    for _ in 0..count {
        if property(&mut input, page, &mut each).is_none() {
            return;
        }
    }
}

fn property(input: &mut Input<'_>, page: u32, each: &mut impl FnMut(u16, Value)) -> Option<()> {
    let kind = input.u16()?;
    let id = input.u16()?;
    if id >= 0x8000 {
        skip_name(input)?;
    }
    let many = kind & 0x1000 != 0;
    match kind & 0x0FFF {
        // Two bytes, kept in four; four; eight; sixteen.
        0x02 | 0x0B | 0x03 | 0x04 | 0x0A => fixed(input, many, 4)?,
        0x05 | 0x06 | 0x07 | 0x14 | 0x40 => fixed(input, many, 8)?,
        0x48 => fixed(input, many, 16)?,
        kind @ (0x1E | 0x1F | 0x0D | 0x0102) => {
            let count = input.u32()?;
            for _ in 0..count.min(PROPERTIES_MAX) {
                let length = input.u32()?;
                let data = input.take(length)?;
                input.take(padding(length))?;
                each(id, value(kind, data, page));
            }
        }
        _ => return None,
    }
    Some(())
}

fn value(kind: u16, data: &[u8], page: u32) -> Value {
    match kind {
        0x1E => Value::Text(page_text(data, page)),
        0x1F => Value::Text(utf16(data)),
        _ => Value::Bytes(data.to_vec()),
    }
}

fn fixed(input: &mut Input<'_>, many: bool, size: u32) -> Option<()> {
    let count = if many { input.u32()? } else { 1 };
    input.take(size.checked_mul(count)?).map(|_| ())
}

/// The name of a named property: a GUID, and a number or a text.
fn skip_name(input: &mut Input<'_>) -> Option<()> {
    input.take(16)?;
    if input.u32()? == 0 {
        input.u32()?;
    } else {
        let length = input.u32()?;
        input.take(length)?;
        input.take(padding(length))?;
    }
    Some(())
}

/// To the next multiple of four.
const fn padding(length: u32) -> u32 {
    (4 - length % 4) % 4
}

fn page_text(data: &[u8], page: u32) -> String {
    let label = match page {
        65001 => "utf-8".to_owned(),
        932 => "shift_jis".to_owned(),
        936 | 54936 => "gb18030".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        page => format!("windows-{page}"),
    };
    let text = super::charset::decode(Some(&label), data);
    text.trim_end_matches('\0').to_owned()
}

fn utf16(data: &[u8]) -> String {
    let text = encoding_rs::UTF_16LE.decode_without_bom_handling(data).0;
    text.trim_end_matches('\0').to_owned()
}

fn nonempty(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

/// Bytes that are taken from the front.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: u32) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A container with the given attributes.
    fn container(attributes: &[(u8, u16, &[u8])]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_le_bytes().to_vec();
        bytes.extend([1, 0]);
        for (level, id, data) in attributes {
            bytes.push(*level);
            bytes.extend(id.to_le_bytes());
            bytes.extend([0, 0]);
            bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            bytes.extend(*data);
            let sum = data.iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
            bytes.extend(sum.to_le_bytes());
        }
        bytes
    }

    fn unicode_property(id: u16, text: &str) -> Vec<u8> {
        let data: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let mut bytes = vec![0x1F, 0];
        bytes.extend(id.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        let pad = data.len().next_multiple_of(4) - data.len();
        bytes.extend(data);
        bytes.extend(std::iter::repeat_n(0, pad));
        bytes
    }

    // COMPLAINTS E9; FAULTS 85
    #[test]
    fn files_and_text_come_out() {
        let mut properties = 1_u32.to_le_bytes().to_vec();
        properties.extend(unicode_property(PR_ATTACH_LONG_FILENAME, "钱包 long name.pdf"));
        let bytes = container(&[
            (1, ATT_OEM_CODEPAGE, &936_u32.to_le_bytes()),
            (1, ATT_BODY, b"\xc7\xae\xb0\xfc\0"),
            (2, ATT_ATTACH_REND_DATA, &[0; 14]),
            (2, ATT_ATTACH_TITLE, b"LONGNA~1.PDF\0"),
            (2, ATT_ATTACH_DATA, b"%PDF"),
            (2, ATT_ATTACHMENT, &properties),
        ]);
        let contents = read(&bytes).unwrap();
        assert_eq!(contents.text.as_deref(), Some("钱包"));
        assert_eq!(contents.files.len(), 1);
        assert_eq!(contents.files[0].name, "钱包 long name.pdf");
        assert_eq!(contents.files[0].bytes, b"%PDF");
    }

    #[test]
    fn a_container_that_was_cut_gives_what_came_before() {
        let bytes = container(&[
            (2, ATT_ATTACH_REND_DATA, &[0; 14]),
            (2, ATT_ATTACH_TITLE, b"a.txt\0"),
            (2, ATT_ATTACH_DATA, b"hello"),
            (1, ATT_BODY, b"text"),
        ]);
        let cut = &bytes[..bytes.len() - 5];
        let contents = read(cut).unwrap();
        assert_eq!((contents.files.len(), contents.text), (1, None));
        assert!(read(b"no container").is_none());
        assert!(read(&SIGNATURE.to_le_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_can_hurt(tail in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..100) {
            let mut bytes = container(&[(1, ATT_MSG_PROPS, &[2, 0, 0, 0, 0x1F, 0, 0, 0x10])]);
            let at = at.min(bytes.len()).max(4);
            bytes.splice(at.., tail);
            read(&bytes);
        }
    }
}
