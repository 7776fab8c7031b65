//! Containers within containers, as programs pile them up that wrap every answer anew: the outer ones are enough.
//!
//! One linear look at the tags. Decides nothing about safety: what stays is cleaned as everything else is.

use super::scan::tags;

/// Containers of one sort within each other that are kept.
const DEPTH_MAX: usize = 100;

/// What only holds other things.
const CONTAINERS: [&str; 3] = ["div", "span", "blockquote"];

/// Without the containers that stand deeper than [`DEPTH_MAX`].
pub(super) fn flattened(html: &str) -> String {
    let mut kept = String::with_capacity(html.len());
    let mut open = [0_usize; CONTAINERS.len()];
    let mut from = 0;
    for tag in tags(html) {
        let slot = CONTAINERS.iter().position(|name| tag.is(name));
        let Some(depth) = slot.and_then(|slot| open.get_mut(slot)) else { continue };
        let inner = if tag.closes { *depth } else { *depth + 1 };
        *depth = if tag.closes { depth.saturating_sub(1) } else { inner };
        if inner > DEPTH_MAX {
            kept.push_str(html.get(from..tag.start).unwrap_or_default());
            // What stood apart stays apart.
            kept.push(' ');
            from = tag.end;
        }
    }
    kept.push_str(html.get(from..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::super::{sanitised, to_text};
    use super::*;

    #[test]
    fn a_pile_of_containers_keeps_its_words_and_its_looks() {
        let pile = |inside: &str| {
            format!("<p>a</p>{}{inside}{}<p>z</p>", "<div>\n".repeat(1500), "</div>".repeat(1500))
        };
        let clean = sanitised(&pile("<p>Gr&uuml;&szlig;e <b>m</b></p>")).unwrap();
        assert!(clean.contains("<p>Grüße <b>m</b></p>"), "{clean}");
        assert_eq!(clean.matches("<div>").count(), DEPTH_MAX);
        assert!(clean.ends_with("<p>z</p>"), "{clean}");
        let text = to_text(&pile("Gr&uuml;&szlig;e"));
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["a", "Grüße", "z"]);
    }

    #[test]
    fn what_is_not_deep_stays_as_it_is() {
        let html = "</div><div>x<span>y</span></div>".repeat(1000);
        assert_eq!(flattened(&html), html);
    }
}
