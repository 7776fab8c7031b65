//! A phrase that comes in pieces: the last messages of the same person are looked at together with the new one,
//! and what they only hold together is masked in all of them.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::super::entity::{message, ticket};
use super::super::message::reindex;
use super::super::original::{self, OriginalWords, Sealed};
use super::super::{Store, StoreError, customer, millis};
use super::mask::retitle;
use super::{Prepared, PreparedMessage, Step};
use crate::desk::{Find, Found, Safety, SecretSort};
use crate::model::{Flag, Form, Inbound, Timestamp};

/// How far back.
const WITHIN: chrono::Duration = chrono::Duration::minutes(15);
const MESSAGES_MAX: u64 = 26;
/// Nobody splits a phrase into longer pieces.
const BYTES_MAX: usize = 2000;

/// A phrase and what is said around it: more is not looked at together.
const JOINED_BYTES_MAX: usize = 6000;

/// Who wrote, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Author {
    scheme: String,
    value: String,
    channel: String,
}

/// A message that was there before, masked now.
pub(super) struct Remasked {
    row: message::Model,
    /// What it said until now.
    before: String,
    original: Sealed,
}

/// Where a piece is: in the database, or in the batch (which row, which step).
#[derive(Clone, Copy)]
enum Place {
    Before(usize),
    Batch(usize, usize),
}

impl Store {
    /// Looks at each message of the batch that might go on with a secret together with those before it.
    pub(super) async fn look_back(
        &self,
        safety: &Safety,
        batch: &mut [Prepared],
        now: Timestamp,
    ) -> Result<Vec<Remasked>, StoreError> {
        let mut remasked: Vec<Remasked> = Vec::new();
        let candidates: Vec<_> = candidates(safety, batch)
            .into_iter()
            .filter_map(|(row, step)| Some((row, step, author(batch, row, step)?)))
            .collect();
        let mut recent = self.recent_of(candidates.iter().map(|(.., author)| author), now).await?;
        for (row, step, author) in candidates {
            let known = recent.entry(author.clone()).or_default();
            let pieces = pieces(safety, batch, (row, step), &author, known);
            let Some(cuts) = cuts(safety, &pieces) else { continue };
            for (place, cuts) in cuts {
                match place {
                    Place::Batch(row, step) => self.cut_prepared(batch, (row, step), &cuts, now)?,
                    Place::Before(number) => {
                        let Some(row) = known.get(number).cloned() else { continue };
                        let changed = self.cut_stored(row, &cuts, now)?;
                        if let Some(known) = known.get_mut(number) {
                            known.clone_from(&changed.row);
                        }
                        remasked.push(changed);
                    }
                }
            }
        }
        Ok(remasked)
    }

    /// What these people wrote in the last minutes, oldest first: mostly found with one question for all of them.
    async fn recent_of(
        &self,
        authors: impl Iterator<Item = &Author>,
        now: Timestamp,
    ) -> Result<HashMap<Author, Vec<message::Model>>, StoreError> {
        let authors: BTreeSet<&Author> = authors.collect();
        let values: BTreeSet<&str> = authors.iter().map(|author| author.value.as_str()).collect();
        let most = MESSAGES_MAX.saturating_mul(values.len() as u64);
        let mut rows = self.recent(values.iter().copied(), most, now).await?;
        if rows.len() as u64 == most && values.len() > 1 {
            // Somebody wrote so much that there was no room for the others.
            rows.clear();
            for value in values {
                rows.extend(self.recent([value].into_iter(), MESSAGES_MAX, now).await?);
            }
        }
        let mut recent: HashMap<Author, Vec<message::Model>> = HashMap::new();
        for row in rows.into_iter().rev().filter(|row| row.text.len() <= BYTES_MAX) {
            let (scheme, value) = (row.author_scheme.clone(), row.author_value.clone());
            if let (Some(scheme), Some(value)) = (scheme, value) {
                let author = Author { scheme, value, channel: row.channel.clone() };
                if authors.contains(&author) {
                    recent.entry(author).or_default().push(row);
                }
            }
        }
        Ok(recent)
    }

    async fn recent(
        &self,
        values: impl Iterator<Item = &str>,
        most: u64,
        now: Timestamp,
    ) -> Result<Vec<message::Model>, StoreError> {
        let values: Vec<&str> = values.collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let rows = message::Entity::find()
            .filter(message::Column::AuthorValue.is_in(values))
            .filter(message::Column::Direction.eq("in"))
            .filter(message::Column::DeletedAt.is_null())
            .filter(message::Column::ReceivedAt.gt(millis(now - WITHIN)))
            .order_by_desc(message::Column::Seq)
            .limit(most);
        Ok(rows.all(self.reader()).await?)
    }

    fn cut_prepared(
        &self,
        batch: &mut [Prepared],
        (row, step): (usize, usize),
        cuts: &[Find],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(Step::Message(message)) =
            batch.get_mut(row).and_then(|one| one.steps.get_mut(step))
        else {
            return Ok(());
        };
        let inbound = &mut message.inbound;
        let before = OriginalWords {
            subject: inbound.subject.clone(),
            text: Some(inbound.text.clone()),
            text_full: Some(inbound.text_full.clone()),
            html: inbound.html.take(),
            ..OriginalWords::default()
        };
        let found = counted(cuts);
        inbound.text_full = cut_within(&inbound.text_full, &inbound.text, cuts);
        let after = cut(&inbound.text, cuts);
        if let Some(subject) = &mut inbound.subject
            && let Some(anew) = retitle(subject, &inbound.text, &after)
        {
            *subject = anew;
        }
        inbound.text = after;
        // It says the same once more.
        inbound.wishes.forward = None;
        inbound.flags.insert(Flag::Redacted);
        let original = self.seal_words(Some(message.id), &before, &found, now)?;
        crate::desk::safety::add(&mut message.masking.found, &found);
        message.masking.originals.push(original);
        Ok(())
    }

    fn cut_stored(
        &self,
        mut row: message::Model,
        cuts: &[Find],
        now: Timestamp,
    ) -> Result<Remasked, StoreError> {
        let before = row.text.clone();
        let words = OriginalWords {
            subject: row.subject.clone(),
            text: Some(before.clone()),
            text_full: row.text_full.clone(),
            html: row.html.take(),
            ..OriginalWords::default()
        };
        row.text_full = row.text_full.map(|full| cut_within(&full, &before, cuts));
        row.text = cut(&before, cuts);
        let anew = row.subject.as_deref().and_then(|said| retitle(said, &before, &row.text));
        row.subject = anew.or(row.subject);
        row.flags = original::flagged(&row.flags)?;
        let original = self.seal_words(Some(row.id), &words, &counted(cuts), now)?;
        Ok(Remasked { row, before, original })
    }
}

/// Messages of people that might go on with a secret.
fn candidates(safety: &Safety, batch: &[Prepared]) -> Vec<(usize, usize)> {
    let steps = batch.iter().enumerate().flat_map(|(row, one)| {
        one.steps.iter().enumerate().map(move |(number, step)| (row, number, step))
    });
    let candidates = steps.filter_map(|(row, number, step)| {
        let Step::Message(message) = step else { return None };
        let inbound = &message.inbound;
        let short = inbound.text.len() <= BYTES_MAX && inbound.form == Form::Message;
        (short && safety.scanner.may_go_on(&inbound.text)).then_some((row, number))
    });
    candidates.collect()
}

fn inbound(batch: &[Prepared], row: usize, step: usize) -> Option<&Inbound> {
    match batch.get(row)?.steps.get(step)? {
        Step::Message(message) => {
            let message: &PreparedMessage = message;
            Some(&message.inbound)
        }
        Step::Edit { .. }
        | Step::Delete { .. }
        | Step::Receipt(_)
        | Step::Watermark(_)
        | Step::Rating(_)
        | Step::Echo(_)
        | Step::Reaction(_)
        | Step::Standing(_)
        | Step::Moved(_)
        | Step::Called(_)
        | Step::Linked(_) => None,
    }
}

fn author(batch: &[Prepared], row: usize, step: usize) -> Option<Author> {
    let address = inbound(batch, row, step)?.sender.address.as_ref()?;
    Some(Author {
        scheme: address.scheme.as_str().to_owned(),
        value: address.value.clone(),
        channel: batch.get(row)?.channel.name.as_str().to_owned(),
    })
}

/// What was said before, and at last the message itself: as far back as it may belong together.
fn pieces(
    safety: &Safety,
    batch: &[Prepared],
    last: (usize, usize),
    author: &Author,
    known: &[message::Model],
) -> Vec<(Place, String)> {
    let known = known.iter().enumerate();
    let mut pieces: Vec<(Place, &str)> =
        known.map(|(number, row)| (Place::Before(number), row.text.as_str())).collect();
    for (row, one) in batch.iter().enumerate().take(last.0 + 1) {
        for step in 0..one.steps.len() {
            if (row, step) > last {
                break;
            }
            if self::author(batch, row, step).as_ref() != Some(author) {
                continue;
            }
            let said = inbound(batch, row, step).map(|said| said.text.as_str());
            if let Some(text) = said.filter(|text| text.len() <= BYTES_MAX) {
                pieces.push((Place::Batch(row, step), text));
            }
        }
    }
    // Words of prose end a phrase: behind the first message that has nothing else nothing more belongs to it.
    let mut bytes = 0;
    let begins = pieces.iter().rposition(|(_, text)| {
        bytes += text.len();
        bytes > JOINED_BYTES_MAX || !safety.scanner.may_go_on(text)
    });
    let belong = pieces.drain(begins.unwrap_or(0)..);
    belong.map(|(place, text)| (place, text.to_owned())).collect()
}

/// What is to be cut from each piece. `None`: nothing reaches into the last one.
fn cuts(safety: &Safety, pieces: &[(Place, String)]) -> Option<Vec<(Place, Vec<Find>)>> {
    let mut joined = String::new();
    let mut spans: Vec<Range<usize>> = Vec::with_capacity(pieces.len());
    for (_, text) in pieces {
        let start = joined.len();
        joined.push_str(text);
        spans.push(start..joined.len());
        joined.push('\n');
    }
    let last = spans.last()?.clone();
    let mut finds = safety.scanner.scan(&joined);
    finds.retain(|find| {
        matches!(find.sort, SecretSort::SeedPhrase | SecretSort::PrivateKey)
            && find.span.end > last.start
    });
    if finds.is_empty() {
        return None;
    }
    let cuts = pieces.iter().zip(&spans).filter_map(|((place, _), span)| {
        let inside = finds.iter().filter_map(|find| {
            let start = find.span.start.max(span.start);
            let end = find.span.end.min(span.end);
            let cut = start.saturating_sub(span.start)..end.saturating_sub(span.start);
            (start < end).then_some(Find { sort: find.sort, span: cut })
        });
        let inside: Vec<Find> = inside.collect();
        (!inside.is_empty()).then_some((*place, inside))
    });
    Some(cuts.collect())
}

fn cut(text: &str, cuts: &[Find]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for find in cuts {
        left.push_str(text.get(at..find.span.start).unwrap_or_default());
        left.push_str(find.sort.mask());
        at = find.span.end;
    }
    left.push_str(text.get(at..).unwrap_or_default());
    left
}

/// The same in a longer text that holds the words: a mail with its quotes.
fn cut_within(full: &str, text: &str, cuts: &[Find]) -> String {
    if full.contains(text) {
        return full.replace(text, &cut(text, cuts));
    }
    // Both were made from one source in different ways: better too little than a secret.
    cut(text, cuts)
}

fn counted(cuts: &[Find]) -> Found {
    let mut found = Found::new();
    for find in cuts {
        *found.entry(find.sort).or_default() += 1;
    }
    found
}

/// Writes a message that was there before, unless it reads differently by now.
pub(super) async fn write(tx: &DatabaseTransaction, one: &Remasked) -> Result<(), StoreError> {
    let row = &one.row;
    let stands = message::Entity::find_by_id(row.id).one(tx).await?;
    let Some(stands) = stands.filter(|stands| stands.text == one.before) else { return Ok(()) };
    let changed = message::ActiveModel {
        id: Set(row.id),
        subject: Set(row.subject.clone()),
        text: Set(row.text.clone()),
        text_full: Set(row.text_full.clone()),
        html: Set(None),
        flags: Set(row.flags.clone()),
        ..Default::default()
    };
    message::Entity::update(changed).exec(tx).await?;
    // What was kept of it says what it said.
    customer::forget_of(tx, &[row.id]).await?;
    reindex(tx, row).await?;
    original::insert(tx, &one.original, Some(row.id)).await?;
    rename_ticket(tx, stands.ticket, one).await
}

/// A ticket without a subject of its own is called by the first line of its first message.
async fn rename_ticket(
    tx: &DatabaseTransaction,
    id: Uuid,
    one: &Remasked,
) -> Result<(), StoreError> {
    let Some(row) = ticket::Entity::find_by_id(id).lock_exclusive().one(tx).await? else {
        return Ok(());
    };
    let Some(subject) = retitle(&row.subject, &one.before, &one.row.text) else { return Ok(()) };
    let mut row = row.into_active_model();
    row.subject = Set(subject);
    ticket::Entity::update(row).exec(tx).await?;
    Ok(())
}
