//! What a message says: words for people, and files.

use super::told;
use crate::channel::shared::twilio::form::Form;
use crate::channel::shared::words::{ending, file_name, with_about};
use crate::model::{Media, MediaRef, MediaSource};

/// What a message says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// What the customer said.
    pub(super) text: String,
    /// What belongs to it and is not theirs: the advertisement.
    about: Vec<String>,
    /// It says nothing that we know how to show.
    pub(super) unknown: bool,
}

pub(super) fn of(form: &Form) -> Words {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(form.text("Body").map(|body| body.trim_end().to_owned()));
    if let Some(place) = place(form) {
        lines.push(place);
    }
    if lines.is_empty() {
        lines.extend(form.text("ButtonText").map(str::to_owned));
    }
    let mut words = Words { text: lines.join("\n"), ..Words::default() };
    let count = usize::try_from(form.number("NumMedia").unwrap_or_default()).unwrap_or_default();
    let there = told::files(form).count();
    if count > there {
        words.about.push(format!("[{} files that Twilio did not name]", count - there));
    }
    words.about.extend(advertisement(form));
    if words.text.is_empty() && there == 0 {
        words.unknown = true;
        let kind: String = form.text("MessageType").unwrap_or_default().chars().take(40).collect();
        words.text = match kind.as_str() {
            "" | "text" => "[a message without words]".to_owned(),
            kind => format!("[a message of the type «{kind}», which cannot be shown here]"),
        };
    }
    words
}

impl Words {
    /// All of it.
    pub(super) fn full(&self) -> String {
        with_about(&self.text, &self.about)
    }
}

/// Files, still at the service.
pub(super) fn media(form: &Form) -> Vec<Media> {
    told::files(form)
        .enumerate()
        .map(|(at, (url, kind))| {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
            let mime =
                if kind.contains('/') { kind } else { "application/octet-stream".to_owned() };
            let sort = mime.split('/').next().unwrap_or_default();
            let sort = if matches!(sort, "image" | "audio" | "video") { sort } else { "file" };
            let name = file_name(&format!("{sort}-{}{}", at + 1, ending(&mime)), 60);
            let source = MediaSource::Remote(MediaRef(url.to_owned()));
            Media { name, mime, inline: false, content_id: None, source }
        })
        .collect()
}

fn place(form: &Form) -> Option<String> {
    let place = format!("{},{}", form.text("Latitude")?, form.text("Longitude")?);
    let map = format!("https://maps.google.com/?q={place}");
    let named = [form.text("Label"), form.text("Address"), Some(&place), Some(&map)];
    Some(named.into_iter().flatten().collect::<Vec<_>>().join("\n"))
}

/// The advertisement or post through which the customer came.
fn advertisement(form: &Form) -> Option<String> {
    let parts = ["ReferralHeadline", "ReferralBody", "ReferralSourceUrl"];
    let parts: Vec<&str> = parts.iter().filter_map(|name| form.text(name)).collect();
    (!parts.is_empty()).then(|| format!("— Came by: {}", parts.join(" · ")))
}
