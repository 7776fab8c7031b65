//! Raws for people: as they came, without the secrets in them.

use super::Engine;
use super::ingest::interpret_one;
use crate::channel::{Interpret, masked_body};
use crate::desk::Safety;
use crate::model::{Event, Inbound, Meaning, MediaSource, Raw, RawId};
use crate::store::{JournalRow, StoreError};

/// What can be shown of a raw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawView {
    /// It was erased.
    Erased,
    /// It holds a secret that cannot be cut out for sure.
    Withheld,
    /// Its bytes; secrets are masked.
    Bytes(Vec<u8>),
}

impl Engine {
    /// A raw without the secrets in it. `redacted`: something was masked in the message that it became.
    pub async fn raw_masked(
        &self,
        id: RawId,
        redacted: bool,
    ) -> Result<(JournalRow, RawView), StoreError> {
        let (row, raw) = self.store.raw(id).await?;
        let Some(raw) = raw else { return Ok((row, RawView::Erased)) };
        let running = self.running(&row.channel);
        let interpret = running.map(|running| running.channel.interpret.clone());
        let safety = self.store.safety();
        let view = tokio::task::spawn_blocking(move || {
            shown(&safety, interpret.as_deref(), &raw, redacted)
        });
        let view = view.await.map_err(|error| StoreError::Database(error.into()))?;
        Ok((row, view))
    }
}

fn shown(
    safety: &Safety,
    interpret: Option<&(dyn Interpret + 'static)>,
    raw: &Raw,
    redacted: bool,
) -> RawView {
    let mask = |text: &str| safety.scanner.mask(text).map(|masked| masked.text);
    let body = match interpret {
        Some(interpret) => interpret.masked(raw, &mask),
        None => masked_body(&raw.body, &mask),
    };
    let untouched = body == raw.body;
    let left = Raw { body: body.clone().into(), ..raw.clone() };
    let clean = interpret.is_none_or(|interpret| match interpret_one(interpret, &left) {
        Ok(Meaning::Events(events)) => !events.iter().any(|event| holds(safety, event)),
        Ok(Meaning::Ignore(_)) | Err(_) => true,
    });
    if (redacted && untouched) || !clean { RawView::Withheld } else { RawView::Bytes(body) }
}

/// Is a secret left in what can be read in it?
fn holds(safety: &Safety, event: &Event) -> bool {
    let found = |text: &str| !safety.scanner.scan(text).is_empty();
    let edited = if let Event::Edit { text, .. } = event { found(text) } else { false };
    edited || event.message().is_some_and(|inbound| holds_message(safety, inbound))
}

fn holds_message(safety: &Safety, inbound: &Inbound) -> bool {
    let found = |text: &str| !safety.scanner.scan(text).is_empty();
    let html = inbound.html.as_deref().is_some_and(|html| safety.scanner.mask_html(html).is_some());
    let names = inbound.media.iter().map(|media| media.name.as_str());
    let words = [
        inbound.subject.as_deref(),
        Some(inbound.text_full.as_str()),
        inbound.sender.name.as_deref(),
    ];
    let file = inbound.media.iter().any(|media| match &media.source {
        MediaSource::Inline(bytes) => safety.mask_file(&media.mime, bytes).is_some(),
        MediaSource::Remote(_) | MediaSource::Upload { .. } => false,
    });
    html || file || words.into_iter().flatten().chain(names).any(found)
}
