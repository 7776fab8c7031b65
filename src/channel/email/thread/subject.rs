//! Subjects: prefixes of replies and forwards in many languages, and our own tag.

/// Prefixes that programs put before the subject of a reply. In lower case, without the colon.
const REPLY: &[&str] = &[
    "re",
    "aw",
    "sv",
    "vs",
    "odp",
    "ynt",
    "antw",
    "antwort",
    "r",
    "res",
    "rif",
    "bls",
    "atb",
    "hv",
    "vá",
    "σχετ",
    "απ",
    "תשובה",
    "رد",
    "ตอบ",
    "回复",
    "回覆",
    "答复",
    "答覆",
    "回信",
    "返信",
    "회신",
    "답장",
    "отв",
    "ответ",
];

/// Prefixes that programs put before the subject of a forward. In lower case, without the colon.
const FORWARD: &[&str] = &[
    "fwd",
    "fw",
    "wg",
    "vl",
    "vb",
    "rv",
    "tr",
    "enc",
    "i",
    "pd",
    "ilt",
    "i\u{307}lt",
    "doorst",
    "reenv",
    "továbbítás",
    "πρθ",
    "הועבר",
    "إعادة توجيه",
    "转发",
    "轉寄",
    "轉發",
    "转寄",
    "転送",
    "전달",
    "пересл",
    "переслано",
    "chuyển tiếp",
    "fs",
];

/// One prefix at the front of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Reply,
    Forward,
}

/// Splits off one prefix with its colon: `Re:`, `RE：`, `Re[2]:`, `Re (3):`, `AW: `.
fn split_prefix(subject: &str) -> Option<(Prefix, &str)> {
    let subject = subject.trim_start();
    let (head, rest) = subject.split_once([':', '：'])?;
    if head.len() > 40 {
        return None;
    }
    let word = head.trim().to_lowercase();
    let word = without_count(&word);
    // «I:» and «R:» are what Italian programs write, but also how people begin a list. The programs
    // write them in capitals.
    let short = word.len() == 1;
    if short && !head.trim_start().starts_with(|c: char| c.is_uppercase()) {
        return None;
    }
    let prefix = if REPLY.contains(&word) {
        Prefix::Reply
    } else if FORWARD.contains(&word) {
        Prefix::Forward
    } else {
        return None;
    };
    Some((prefix, rest))
}

/// `re[2]`, `re (3)`, `re^2`, `re*4` → `re`.
fn without_count(word: &str) -> &str {
    let word = word.trim_end();
    let count =
        |c: char| c.is_ascii_digit() || matches!(c, '[' | ']' | '(' | ')' | '^' | '*' | ' ');
    let bare = word.trim_end_matches(count);
    if bare.is_empty() { word } else { bare }
}

/// The ticket number of our tag `[#1234]`, wherever it stands.
#[must_use]
pub fn subject_tag(subject: &str) -> Option<u64> {
    subject.split("[#").skip(1).find_map(|piece| {
        let (number, _) = piece.split_once(']')?;
        let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| number.parse().ok()).flatten()
    })
}

/// The subject without prefixes and without our tags: what a ticket is called.
#[must_use]
pub fn base_subject(subject: &str) -> String {
    let mut rest = without_tags(subject);
    loop {
        let stripped = split_prefix(&rest).map(|(_, rest)| rest.trim_start().to_owned());
        match stripped {
            Some(shorter) => rest = shorter,
            None => return rest.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }
}

fn without_tags(subject: &str) -> String {
    let mut pieces = subject.split("[#");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(']') {
            Some((number, rest)) if is_number(number) => kept.push_str(rest),
            _ => {
                kept.push_str("[#");
                kept.push_str(piece);
            }
        }
    }
    kept
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The subject in the form in which two subjects of one conversation are equal.
#[must_use]
pub fn comparable_subject(subject: &str) -> String {
    base_subject(subject).to_lowercase()
}

/// Does the outermost prefix say that this was forwarded? (`Fwd: Re: x` yes, `Re: Fwd: x` no.)
#[must_use]
pub fn is_forward(subject: &str) -> bool {
    let untagged = without_tags(subject);
    matches!(split_prefix(&untagged), Some((Prefix::Forward, _)))
}

/// Does the outermost prefix say that this answers something?
#[must_use]
pub fn is_reply(subject: &str) -> bool {
    let untagged = without_tags(subject);
    matches!(split_prefix(&untagged), Some((Prefix::Reply, _)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // COMPLAINTS W6: prefixes of many languages.
    #[test]
    fn forwards_are_known_in_twenty_languages() {
        for prefix in [
            "Fwd",
            "FW",
            "Fw",
            "WG",
            "TR",
            "RV",
            "VL",
            "ENC",
            "I",
            "PD",
            "İLT",
            "Doorst",
            "转发",
            "轉寄",
            "転送",
            "전달",
            "Пересл",
            "Fwd[2]",
            "VB",
            "Reenv",
            "Chuyển tiếp",
            "הועבר",
            "Továbbítás",
        ] {
            let subject = format!("{prefix}: Rechnung 12");
            assert_eq!(base_subject(&subject), "Rechnung 12");
            assert!(is_forward(&subject), "{subject}");
        }
        assert!(is_forward("[#12] WG: Rechnung"));
        assert!(!is_forward("Re: Fwd: Rechnung"));
        assert!(!is_forward("Transfer: done"));
    }

    #[test]
    fn replies_lose_their_prefixes_and_tags() {
        for subject in [
            "Re: Wallet lost",
            "RE：Wallet lost",
            "Re[2]: Re: AW: Wallet lost",
            "Re (3): Wallet lost",
            "回复：Wallet lost",
            "回覆: 答复: Wallet lost",
            "SV: VS: Odp: YNT: Wallet lost",
            "R: Wallet lost",
            "Re: [#1234] Wallet  lost",
            "[#1234] Re: Wallet lost",
            "Antw: Re: [#1] Fwd: Wallet\tlost",
        ] {
            assert_eq!(base_subject(subject), "Wallet lost", "{subject}");
        }
        assert_eq!(comparable_subject("RE: WALLET Lost"), "wallet lost");
    }

    #[test]
    fn words_of_the_customer_are_no_prefix() {
        for subject in [
            "Refund: where is it?",
            "Wallet: lost",
            "i: first point",
            "[#12a] x",
            "[#] x",
            "Note [#12",
            ": x",
            "",
        ] {
            assert_eq!(base_subject(subject), subject);
        }
    }

    #[test]
    fn a_tag_is_a_number_and_nothing_else() {
        assert_eq!(subject_tag("Re: [#1234] x"), Some(1234));
        assert_eq!(subject_tag("Re: [#x] [#7] x"), Some(7));
        for none in ["", "[#]", "[#-1]", "[#1", "#1234", "[#99999999999999999999999]", "[#１]"] {
            assert_eq!(subject_tag(none), None, "{none}");
        }
    }
}
