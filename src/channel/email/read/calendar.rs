//! What an invitation says (RFC 5545, RFC 5546), for mails that hold nothing else.

/// Longest description that is kept.
const DESCRIPTION_BYTES_MAX: usize = 4000;

/// Lines that are looked at.
const LINES_MAX: usize = 2000;

/// What, when, where and by whom, one line each. `None` if it names no event.
pub(super) fn summary(calendar: &str) -> Option<String> {
    let lines = unfolded(calendar);
    let event: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .skip_while(|line| !is_begin(line))
        .skip(1)
        .take_while(|line| !line.to_ascii_uppercase().starts_with("END:VEVENT"))
        .collect();
    let of = |name: &str| event.iter().find_map(|line| property(line, name));
    let title = of("SUMMARY").map(|text| unescaped(&text)).unwrap_or_default();
    let method = lines.iter().find_map(|line| property(line, "METHOD")).unwrap_or_default();
    let answer = event.iter().find_map(|line| answer(line)).unwrap_or_default();
    let what = match method.to_ascii_uppercase().as_str() {
        "REPLY" => format!("Answer to an invitation{answer}"),
        "CANCEL" => "Cancelled".to_owned(),
        _ => "Invitation".to_owned(),
    };
    let mut said = vec![format!("[{what}: {title}]")];
    if let Some(begin) = of("DTSTART") {
        let end = of("DTEND").map(|end| format!(" – {}", moment(&end))).unwrap_or_default();
        said.push(format!("When: {}{end}", moment(&begin)));
    }
    said.extend(of("LOCATION").map(|place| format!("Where: {}", unescaped(&place))));
    if let Some(words) = of("DESCRIPTION") {
        let words = unescaped(&words);
        said.push(super::text::cut(&words, DESCRIPTION_BYTES_MAX).to_owned());
    }
    (!event.is_empty()).then(|| said.join("\n"))
}

fn is_begin(line: &str) -> bool {
    line.trim_end().eq_ignore_ascii_case("BEGIN:VEVENT")
}

/// Lines that begin with a blank continue the one before.
fn unfolded(calendar: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in calendar.lines().take(LINES_MAX) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            (Some(_) | None, _) => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The value of `NAME:value` or `NAME;PARAMETER=x:value`, if it is not empty.
fn property(line: &str, name: &str) -> Option<String> {
    let (head, rest) = line.split_at_checked(name.len())?;
    if !head.eq_ignore_ascii_case(name) || !rest.starts_with([':', ';']) {
        return None;
    }
    let mut quoted = false;
    let colon = rest.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let value = rest.get(colon + 1..)?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// ` (accepted)`: how the one who answers will do.
fn answer(line: &str) -> Option<String> {
    let upper = line.to_ascii_uppercase();
    let (_, rest) = upper.strip_prefix("ATTENDEE")?.split_once("PARTSTAT=")?;
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    (!word.is_empty()).then(|| format!(" ({})", word.to_ascii_lowercase()))
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n")
        .replace("\\N", "\n")
        .replace("\\,", ",")
        .replace("\\;", ";")
        .replace("\\\\", "\\")
}

/// `20260310T100000Z` → `2026-03-10 10:00 UTC`
fn moment(value: &str) -> String {
    let digits = |from: usize, to: usize| {
        value.get(from..to).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
    };
    let (Some(year), Some(month), Some(day)) = (digits(0, 4), digits(4, 6), digits(6, 8)) else {
        return value.to_owned();
    };
    let date = format!("{year}-{month}-{day}");
    let zone = if value.ends_with('Z') { " UTC" } else { "" };
    match (digits(9, 11), digits(11, 13)) {
        (Some(hour), Some(minute)) => format!("{date} {hour}:{minute}{zone}"),
        _ => date,
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn an_event_is_told_in_a_few_lines() {
        let calendar = "BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nSUMMARY;LANGUAGE=\"a:b\":Call\\, soon\r\nDTSTART:20260310T100000Z\r\nDTEND;TZID=Europe/Berlin:20260310T110000\r\nLOCATION:Room\r\n  5\r\nATTENDEE;PARTSTAT=DECLINED:mailto:a@b.c\r\nDESCRIPTION:one\\ntwo\r\nEND:VEVENT\r\nEND:VCALENDAR";
        assert_eq!(
            summary(calendar).unwrap(),
            "[Answer to an invitation (declined): Call, soon]\nWhen: 2026-03-10 10:00 UTC – 2026-03-10 11:00\nWhere: Room 5\none\ntwo"
        );
        assert_eq!(summary("BEGIN:VCALENDAR\nEND:VCALENDAR"), None);
        assert_eq!(
            summary("BEGIN:VEVENT\nSUMMARY:x\nDTSTART:20260310\n").unwrap(),
            "[Invitation: x]\nWhen: 2026-03-10"
        );
        assert_eq!(summary(""), None);
    }
}
