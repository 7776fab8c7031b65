//! Secrets are masked before anything is decided or written: what comes behind this has never seen them.

use uuid::Uuid;

use super::super::original::{OriginalWords, Sealed};
use super::super::{Store, StoreError};
use crate::desk::{Found, Safety, safety};
use crate::model::{Flag, Inbound, Timestamp};

/// What was masked, and what stood there before.
#[derive(Default)]
pub(super) struct Masking {
    pub(super) found: Found,
    pub(super) originals: Vec<Sealed>,
}

impl Store {
    /// Masks all words of a message, and the names of its people and files.
    pub(super) fn mask_words(
        &self,
        safety: &Safety,
        id: Uuid,
        inbound: &mut Inbound,
        now: Timestamp,
    ) -> Result<Masking, StoreError> {
        let mut words = OriginalWords::default();
        let mut found = masked(&mut inbound.text, &mut words.text, |text| safety.mask(text));
        if words.text.is_some() || inbound.text_full != inbound.text {
            let full =
                masked(&mut inbound.text_full, &mut words.text_full, |text| safety.mask(text));
            safety::at_least(&mut found, &full);
        }
        if let Some(html) = &mut inbound.html {
            let shown = masked(html, &mut words.html, |html| safety.mask_html(html));
            safety::at_least(&mut found, &shown);
        }
        if let Some(subject) = &mut inbound.subject {
            let titled = masked(subject, &mut words.subject, |subject| safety.mask(subject));
            safety::add(&mut found, &titled);
            let said = words.text.as_deref().and_then(|said| retitle(subject, said, &inbound.text));
            if let Some(said) = said {
                words.subject.get_or_insert_with(|| subject.clone());
                *subject = said;
            }
        }
        if let Some(forward) = &mut inbound.wishes.forward {
            // The same words again, by who wrote them; the original of the whole is kept.
            let parts = [&mut forward.text, &mut forward.above].into_iter();
            let parts = parts.chain(&mut forward.subject).chain(&mut forward.from.name);
            for part in parts {
                safety::at_least(&mut found, &safety.mask(part));
            }
        }
        let people = inbound.reply_to.iter_mut().chain(&mut inbound.recipients);
        let people = people.filter_map(|party| party.name.as_mut()).chain(&mut inbound.sender.name);
        let call = inbound.wishes.call.iter_mut();
        let call = call.flat_map(|call| [&mut call.note, &mut call.when]);
        let files = inbound.media.iter_mut().map(|media| &mut media.name);
        let wishes = inbound.wishes.tags.iter_mut().chain(&mut inbound.wishes.queue).chain(call);
        for name in people.chain(files).chain(wishes) {
            let mut before = None;
            safety::add(&mut found, &masked(name, &mut before, |name| safety.mask(name)));
            words.names.extend(before);
        }
        if found.is_empty() {
            return Ok(Masking::default());
        }
        inbound.flags.insert(Flag::Redacted);
        let original = self.seal_words(Some(id), &words, &found, now)?;
        Ok(Masking { found, originals: vec![original] })
    }

    /// Masks the new text of a message.
    pub(super) fn mask_edit(
        &self,
        safety: &Safety,
        mut text: String,
        now: Timestamp,
    ) -> Result<(String, Option<Box<Sealed>>), StoreError> {
        let mut words = OriginalWords::default();
        let found = masked(&mut text, &mut words.text, |text| safety.mask(text));
        if found.is_empty() {
            return Ok((text, None));
        }
        let mut original = self.seal_words(None, &words, &found, now)?;
        // Nothing is answered to an edit itself.
        original.row.untold = true;
        Ok((text, Some(Box::new(original))))
    }
}

/// Masks a text; what it was before is kept if anything was found.
fn masked(
    text: &mut String,
    before: &mut Option<String>,
    mask: impl FnOnce(&mut String) -> Found,
) -> Found {
    let copy = text.clone();
    let found = mask(text);
    *before = (!found.is_empty()).then_some(copy);
    found
}

/// Masks a text of which no original is kept apart: the raw has it.
pub(super) fn plain(safety: &Safety, mut text: String) -> String {
    safety.mask(&mut text);
    text
}

/// The subject anew, where it is made of the beginning of what was said: cut off within a secret, it holds what the
/// scanner does not know any more.
pub(super) fn retitle(subject: &str, before: &str, after: &str) -> Option<String> {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let head = squeezed(subject.trim_end_matches(['…', '.', ' ']));
    if head.is_empty() || !squeezed(before).contains(&head) {
        return None;
    }
    let chars = subject.chars().count().max(40);
    let line = after.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let anew: String = line.chars().take(chars).collect();
    (anew != subject).then_some(anew)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_quotes_a_masked_text_is_made_anew() {
        let after = "my words are [seed phrase removed], please";
        for subject in
            ["my words are letter ad…", "my  words are letter advice", "letter advice cage"]
        {
            let anew = retitle(subject, "my words are letter advice cage, please", after);
            assert!(anew.is_some_and(|anew| after.starts_with(&anew)), "{subject}");
        }
        assert_eq!(retitle("Invoice 7", "my words are letter advice cage", after), None);
        assert_eq!(retitle("…", "my words", after), None);
    }
}
