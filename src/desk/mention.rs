//! Who is named in a note: `@` and a name of somebody who works here.

/// The numbers of those of `names` that a text names, each once, in their order.
///
/// A whole name counts, and a first name that only one of them bears. Letters of any script may follow a name that
/// ends in one without blanks between words, as in `@陈晓请看`.
#[must_use]
pub fn mentioned(text: &str, names: &[&str]) -> Vec<usize> {
    let lower: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
    let first = |name: &str| name.split_whitespace().next().unwrap_or_default().to_owned();
    let firsts: Vec<String> = lower.iter().map(|name| first(name)).collect();
    let mut found = vec![false; names.len()];
    let text = text.to_lowercase();
    for (at, _) in text.match_indices('@') {
        let (before, after) = text.split_at(at);
        // `somebody@example.com` names nobody.
        if before.chars().next_back().is_some_and(char::is_alphanumeric) {
            continue;
        }
        let after = after.strip_prefix('@').unwrap_or(after);
        let whole = lower
            .iter()
            .enumerate()
            .filter(|(_, name)| begins(after, name))
            .max_by_key(|(_, name)| name.len())
            .map(|(place, _)| place);
        let by_first = || {
            let mut fits = firsts.iter().enumerate().filter(|(_, name)| begins(after, name));
            let only = fits.next().map(|(place, _)| place);
            only.filter(|_| fits.next().is_none())
        };
        if let Some(place) = whole.or_else(by_first)
            && let Some(found) = found.get_mut(place)
        {
            *found = true;
        }
    }
    let numbers = found.into_iter().enumerate();
    numbers.filter_map(|(place, found)| found.then_some(place)).collect()
}

/// Does a text begin with this name, and not with a longer word?
fn begins(text: &str, name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    let Some(rest) = text.strip_prefix(name) else { return false };
    let blanks_between = name.chars().next_back().is_some_and(|last| last.is_ascii_alphanumeric());
    let goes_on = rest.chars().next().is_some_and(|next| next.is_ascii_alphanumeric());
    !(blanks_between && goes_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["Lena Fischer", "陈晓", "Marco Bianchi", "Lena Stone", "Al"];

    #[test]
    fn a_name_behind_an_at_is_found_in_any_script_and_nobody_else() {
        let cases: &[(&str, &[usize])] = &[
            ("@Lena Fischer please look", &[0]),
            ("please look, @lena fischer.", &[0]),
            ("@陈晓请看一下", &[1]),
            ("(@Marco) and @Marco Bianchi", &[2]),
            // Two are called Lena.
            ("@Lena please", &[]),
            ("@Lena Stone and @陈晓", &[1, 3]),
            ("write to marco@example.com", &[]),
            ("@Marcos knows", &[]),
            ("@Al", &[4]),
            ("@Alan", &[]),
            ("@", &[]),
            ("Marco", &[]),
        ];
        for (text, wanted) in cases {
            assert_eq!(mentioned(text, NAMES), *wanted, "{text}");
        }
        assert_eq!(mentioned("@ @@", &["", " "]), Vec::<usize>::new());
    }
}
