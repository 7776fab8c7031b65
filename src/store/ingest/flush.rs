//! Writes what a batch came to: one INSERT a table where it can.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel, Iterable as _, QueryFilter as _, sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::super::contact::link;
use super::super::entity::{
    agent_answer, attachment, autoreply, contact, delivery, handed_on, identity, journal, message,
    participant, person, seal, seen, ticket, ticket_tag,
};
use super::super::event::{self, NewEvent, take_numbers};
use super::super::message::reindex;
use super::super::outbox::{self, NewDelivery};
use super::super::ticket::untag;
use super::super::{StoreError, blob, callback, millis, original, search, standing};
use super::acknowledge::{About, Ack, advised};
use super::apply::{Call, NO_NUMBER, Work};
use super::{Ending, Ingested, Prepared, PreparedMessage, Step, TOO_EARLY_PAUSE, part};
use crate::desk::{self, Offer};
use crate::model::{Actor, DeliveryId};

/// Rows in one INSERT: far from both databases' limits of variables.
const ROWS_MAX: usize = 200;

/// Inserts rows in as few statements as possible.
pub(in crate::store) async fn insert<A>(
    tx: &DatabaseTransaction,
    rows: Vec<A>,
) -> Result<(), StoreError>
where
    A: ActiveModelTrait + Send,
    <A::Entity as sea_orm::EntityTrait>::Model: IntoActiveModel<A>,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let part: Vec<A> = rows.by_ref().take(ROWS_MAX).collect();
        A::Entity::insert_many(part).exec_without_returning(tx).await?;
    }
    Ok(())
}

pub(super) fn active<M, A>(rows: Vec<M>) -> Vec<A>
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    rows.into_iter().map(IntoActiveModel::into_active_model).collect()
}

impl Work {
    pub(super) async fn flush(
        mut self,
        tx: &DatabaseTransaction,
        batch: &[Prepared],
    ) -> Result<Vec<Ingested>, StoreError> {
        self.number_tickets(tx).await?;
        self.write_acks(tx).await?;
        self.write_messages(tx, batch).await?;
        self.write_additions(tx).await?;
        self.write_receipts(tx).await?;
        self.write_edits(tx).await?;
        self.write_moves(tx).await?;
        self.write_standings(tx).await?;
        self.cancel_answered(tx).await?;
        self.number_events();
        self.write_people(tx).await?;
        self.write_tickets(tx).await?;
        self.write_answers(tx).await?;
        self.write_surveys(tx).await?;
        event::record(tx, std::mem::take(&mut self.events), self.now).await?;
        // They count in their tickets' trails by themselves: the tickets are written by now.
        for Call { wish, ticket, message, policy, by } in self.calls.drain(..) {
            let place = (ticket, message);
            callback::note_wish(tx, &wish, place, &policy, (by, self.now)).await?;
        }
        for (code, address) in self.links.drain(..) {
            link::redeem(tx, &code, &address, self.now).await?;
        }
        self.write_proofs(tx).await?;
        for (called, policy) in self.called.drain(..) {
            callback::called(tx, called, &policy, self.now).await?;
        }
        insert(tx, active::<agent_answer::Model, _>(std::mem::take(&mut self.agent_answers)))
            .await?;
        insert(tx, active::<handed_on::Model, _>(std::mem::take(&mut self.handed_on))).await?;
        self.end_rows(tx).await?;
        Ok(self.results)
    }

    async fn number_tickets(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let kept = self.facts.tickets.values_mut().filter(|kept| kept.row.number == NO_NUMBER);
        let mut fresh: Vec<&mut ticket::Model> = kept.map(|kept| &mut kept.row).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        // Ids sort by the time they were made.
        fresh.sort_by_key(|row| row.id);
        let numbers = take_numbers(tx, "ticket", fresh.len()).await?;
        for (row, number) in fresh.into_iter().zip(numbers) {
            row.number = number;
        }
        Ok(())
    }

    async fn write_acks(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let acks = std::mem::take(&mut self.acks);
        if acks.is_empty() {
            return Ok(());
        }
        let mut deliveries = Vec::with_capacity(acks.len());
        let mut sent = Vec::with_capacity(acks.len());
        for ack in acks {
            // Who asked is remembered under no channel: it is one acknowledgement, not two.
            let asked_by = ack.asked_by.as_ref().map(|address| (address, ""));
            let both = std::iter::once((&ack.to.address, ack.channel.as_str())).chain(asked_by);
            let both = both.filter(|_| ack.about == About::Opened);
            sent.extend(advised(&ack, self.now));
            sent.extend(both.map(|(address, channel)| autoreply::ActiveModel {
                id: Set(Uuid::now_v7()),
                channel: Set(channel.to_owned()),
                scheme: Set(address.scheme.as_str().to_owned()),
                value: Set(address.value.clone()),
                sent_at: Set(millis(self.now)),
                safety: Set(ack.safety),
            }));
            deliveries.extend(self.ack_deliveries(&ack));
        }
        let numbers = take_numbers(tx, "delivery", deliveries.len()).await?;
        for (row, seq) in deliveries.iter_mut().zip(numbers) {
            row.seq = seq;
        }
        insert(tx, active::<delivery::Model, _>(deliveries)).await?;
        insert(tx, sent).await
    }

    /// Its message, and what goes out; these get their places when all are known.
    fn ack_deliveries(&mut self, ack: &Ack) -> Vec<delivery::Model> {
        let kept = self.facts.tickets.get_mut(&ack.ticket);
        let (number, subject) = kept.map_or((0, String::new()), |kept| {
            kept.row.message_count += 1;
            (kept.row.number, kept.row.subject.clone())
        });
        let number = u64::try_from(number).unwrap_or_default();
        let name = ack.to.name.clone().unwrap_or_default();
        let text = desk::fill(&ack.template, number, &subject, &name);
        let made = match &ack.asks {
            Some(asks) => {
                desk::offer(&text, &asks.question, (&asks.choices, asks.link.as_deref()), &asks.can)
            }
            None => Offer { texts: vec![text], told: None, choices: Vec::new() },
        };
        let (text, message) = (made.told(), ack.message);
        self.messages.push(outbox::message_row(&outbox::NewMessage {
            id: message,
            ticket: ack.ticket,
            channel: &ack.channel,
            realm: &ack.realm,
            actor: &Actor::system(),
            text: &text,
            html: None,
            reply_to: None,
            now: self.now,
        }));
        self.texts.push((message, text));
        let mut event = NewEvent::of(ack.ticket, "message.created", Actor::system());
        event.message = Some(message);
        event.channel = Some(ack.channel.clone());
        event.data = json!({ "direction": "out", "kind": "message", "automated": true });
        self.events.push(event);
        let last = made.texts.len().saturating_sub(1);
        let parts = made.texts.iter().enumerate().map(|(part, text)| {
            let answer = ack.routing.answer(number, Some(subject.clone()), text);
            let choices = if part == last { made.choices.clone() } else { Vec::new() };
            outbox::delivery_row(NewDelivery {
                id: DeliveryId::new().uuid(),
                seq: 0,
                channel: ack.channel.clone(),
                realm: ack.realm.clone(),
                ticket: ack.ticket,
                message,
                part: i32::try_from(part).unwrap_or(i32::MAX),
                outbound: outbox::StoredOutbound {
                    to: ack.to.clone(),
                    automated: true,
                    customer_wrote_at: Some(self.now),
                    choices,
                    ..answer
                },
                not_before: self.now,
                held: false,
                unless_answered: false,
                now: self.now,
            })
        });
        parts.collect()
    }

    async fn write_messages(
        &mut self,
        tx: &DatabaseTransaction,
        batch: &[Prepared],
    ) -> Result<(), StoreError> {
        let mut rows = std::mem::take(&mut self.messages);
        if !rows.is_empty() {
            let numbers = take_numbers(tx, "feed", rows.len()).await?;
            let mut seq_of = HashMap::new();
            for (row, seq) in rows.iter_mut().zip(numbers) {
                row.seq = seq;
                seq_of.insert(row.id, seq);
            }
            let texts = std::mem::take(&mut self.texts).into_iter();
            let texts: Vec<(i64, String)> =
                texts.filter_map(|(id, text)| Some((*seq_of.get(&id)?, text))).collect();
            search::index(tx, &texts).await?;
            insert(tx, active::<message::Model, _>(rows)).await?;
        }
        insert(tx, active::<seen::Model, _>(std::mem::take(&mut self.seen))).await?;
        self.write_participants(tx).await?;
        self.write_attachments(tx, batch).await
    }

    /// Most of them were there before: only senders were looked for.
    async fn write_participants(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let rows = active::<participant::Model, participant::ActiveModel>(std::mem::take(
            &mut self.participants,
        ));
        for part in rows.chunks(ROWS_MAX) {
            participant::Entity::insert_many(part.iter().cloned())
                .on_conflict(
                    OnConflict::columns(participant::PrimaryKey::iter()).do_nothing().to_owned(),
                )
                .exec_without_returning(tx)
                .await?;
        }
        Ok(())
    }

    async fn write_attachments(
        &mut self,
        tx: &DatabaseTransaction,
        batch: &[Prepared],
    ) -> Result<(), StoreError> {
        let goes_to: HashMap<Uuid, Uuid> =
            self.files.drain(..).map(|files| (files.of, files.to)).collect();
        if goes_to.is_empty() {
            return Ok(());
        }
        let steps = batch.iter().flat_map(|one| &one.steps);
        let messages = steps.filter_map(Step::message);
        let (mut rows, mut seals, mut packed) = (Vec::new(), Vec::new(), Vec::new());
        // Files of parts come behind those that their message has.
        let mut places: HashMap<Uuid, i32> = HashMap::new();
        for message in messages {
            let Some(to) = goes_to.get(&message.id).copied() else { continue };
            let known = places.get(&to).copied();
            let first = match known {
                Some(next) => next,
                None if to == message.id => 0,
                None => part::next_place(tx, to).await?,
            };
            let count = message.attachments.len() + message.uploads.len();
            places.insert(to, first.saturating_add(i32::try_from(count).unwrap_or(i32::MAX)));
            use_uploads(tx, message, (to, first)).await?;
            for sealed in &message.masking.originals {
                original::insert(tx, sealed, Some(to)).await?;
            }
            for one in &message.attachments {
                let mut row = one.row.clone();
                row.message = Some(to);
                row.position = row.position.saturating_add(first);
                rows.push(row);
                seals.push(one.seal.clone());
                packed.push(&one.packed);
            }
        }
        insert(tx, active::<seal::Model, _>(seals)).await?;
        insert(tx, active::<attachment::Model, _>(rows)).await?;
        for packed in packed {
            blob::insert(tx, packed).await?;
        }
        Ok(())
    }

    async fn write_receipts(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        for moved in self.deliveries.drain(..) {
            let row = outbox::set_state(tx, moved.id, &moved.state, self.now).await?;
            if let Some(name) = moved.name.filter(|_| row.remote_id.is_none()) {
                let named = delivery::ActiveModel {
                    id: Set(row.id),
                    remote_id: Set(Some(name)),
                    ..Default::default()
                };
                delivery::Entity::update(named).exec(tx).await?;
            }
        }
        for suppressed in self.suppressions.drain(..) {
            standing::suppress(tx, suppressed, millis(self.now)).await?;
        }
        Ok(())
    }

    async fn write_edits(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        for edit in std::mem::take(&mut self.edits) {
            let row = message::Entity::find_by_id(edit.message).one(tx).await?;
            let Some(row) = row else { continue };
            let (seq, before, known) = (row.seq, row.text.clone(), row.language.clone());
            let flags = row.flags.clone();
            let mut row = row.into_active_model();
            let kind = if let Some(text) = &edit.text {
                row.text = Set(text.clone());
                let guess = desk::language::detect(text);
                row.language = Set(desk::language::settle(guess, known.as_deref()));
                row.edited_at = Set(Some(millis(self.now)));
                "message.edited"
            } else {
                row.text = Set(String::new());
                row.deleted_at = Set(Some(millis(self.now)));
                "message.deleted"
            };
            row.text_full = Set(None);
            row.html = Set(None);
            if let Some(sealed) = &edit.original {
                row.flags = Set(original::flagged(&flags)?);
                original::insert(tx, sealed, Some(edit.message)).await?;
            }
            let row = message::Entity::update(row).exec(tx).await?;
            if edit.text.is_some() {
                reindex(tx, &row).await?;
            } else {
                search::remove(tx, seq).await?;
            }
            let mut event = NewEvent::of(edit.ticket, kind, Actor::system());
            event.message = Some(edit.message);
            event.data = match edit.text {
                Some(_) => json!({ "before": before }),
                None => serde_json::Value::Null,
            };
            self.events.push(event);
        }
        Ok(())
    }

    /// The customer wrote first: what was to be sent only if they did not, is not sent.
    async fn cancel_answered(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        if self.answered.is_empty() {
            return Ok(());
        }
        let cancelled = delivery::Entity::update_many()
            .set(delivery::ActiveModel {
                state: Set("cancelled".to_owned()),
                error: Set(Some("the customer wrote first".to_owned())),
                updated_at: Set(millis(self.now)),
                ..Default::default()
            })
            .filter(delivery::Column::Ticket.is_in(self.answered.drain(..)))
            .filter(delivery::Column::UnlessAnswered.eq(true))
            .filter(delivery::Column::State.is_in(["queued", "held"]))
            .filter(delivery::Column::Attempt.eq(0))
            .exec_with_returning(tx)
            .await?;
        for row in cancelled {
            let mut event = NewEvent::of(row.ticket, "delivery.updated", Actor::system());
            event.message = Some(row.message);
            event.channel = Some(row.channel);
            event.data = json!({ "id": row.id, "status": "cancelled", "error": row.error });
            self.events.push(event);
        }
        Ok(())
    }

    /// Events of tickets that are in memory anyway are counted here, not one by one in the database.
    fn number_events(&mut self) {
        for event in &mut self.events {
            let Some(kept) = event.ticket.and_then(|ticket| self.facts.tickets.get_mut(&ticket))
            else {
                continue;
            };
            kept.row.event_count += 1;
            kept.changed = true;
            event.ticket_seq = Some(kept.row.event_count);
        }
    }

    async fn write_people(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let fresh = self.facts.contacts.values().filter(|kept| kept.fresh);
        let fresh = fresh.map(|kept| kept.row.clone()).collect();
        insert(tx, active::<contact::Model, _>(fresh)).await?;
        self.write_languages(tx).await?;
        self.write_names(tx).await?;
        self.write_given(tx).await?;
        insert(tx, active::<identity::Model, _>(std::mem::take(&mut self.identities))).await?;
        let changed: Vec<Uuid> = self
            .facts
            .identities
            .values()
            .filter(|kept| kept.changed)
            .map(|kept| kept.row.id)
            .collect();
        if !changed.is_empty() {
            identity::Entity::update_many()
                .set(identity::ActiveModel {
                    trust: Set("proven".to_owned()),
                    ..Default::default()
                })
                .filter(identity::Column::Id.is_in(changed))
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    /// Whose turn it is next is seen from when everybody was last given a ticket.
    async fn write_given(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        if self.given.is_empty() {
            return Ok(());
        }
        let now =
            person::ActiveModel { given_at: Set(Some(millis(self.now))), ..Default::default() };
        person::Entity::update_many()
            .set(now)
            .filter(person::Column::Id.is_in(self.given.drain()))
            .exec(tx)
            .await?;
        Ok(())
    }

    /// Of contacts that were there before, unless a person has named them meanwhile.
    async fn write_names(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        for (id, before, name) in self.named.drain(..) {
            contact::Entity::update_many()
                .set(contact::ActiveModel { name: Set(name), ..Default::default() })
                .filter(contact::Column::Id.eq(id))
                .filter(contact::Column::Name.eq(before))
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    /// Of contacts that were there before, unless a person has set one meanwhile.
    async fn write_languages(&self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let known = self.facts.contacts.values().filter(|kept| kept.changed && !kept.fresh);
        for kept in known {
            contact::Entity::update_many()
                .set(contact::ActiveModel {
                    language: Set(kept.row.language.clone()),
                    ..Default::default()
                })
                .filter(contact::Column::Id.eq(kept.row.id))
                .filter(contact::Column::Language.is_null())
                .exec(tx)
                .await?;
        }
        Ok(())
    }

    async fn write_tickets(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let tickets = std::mem::take(&mut self.facts.tickets);
        let (fresh, old): (Vec<_>, Vec<_>) = tickets.into_values().partition(|kept| kept.fresh);
        let fresh = fresh.into_iter().map(|kept| kept.row).collect();
        insert(tx, active::<ticket::Model, _>(fresh)).await?;
        for kept in old.into_iter().filter(|kept| kept.changed) {
            ticket::Entity::update(kept.row.into_active_model().reset_all()).exec(tx).await?;
        }
        for (ticket, gone) in self.tags_gone.drain(..) {
            untag(tx, ticket, &gone).await?;
        }
        let tags = self.tags.drain(..).collect::<HashSet<_>>().into_iter();
        let tags: Vec<_> = tags
            .map(|(ticket, tag)| ticket_tag::Model { ticket, tag }.into_active_model())
            .collect();
        if tags.is_empty() {
            return Ok(());
        }
        let known = OnConflict::columns(ticket_tag::PrimaryKey::iter()).do_nothing().to_owned();
        ticket_tag::Entity::insert_many(tags).on_conflict(known).exec_without_returning(tx).await?;
        Ok(())
    }

    async fn end_rows(&mut self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let mut by_ending: HashMap<(&str, Option<String>), Vec<Uuid>> = HashMap::new();
        for result in &self.results {
            let key = match &result.ending {
                None => continue,
                Some(Ending::Applied) => ("applied", None),
                Some(Ending::Ignored(why)) => ("ignored", Some(why.clone())),
                Some(Ending::Failed(why)) => ("failed", Some(why.clone())),
            };
            by_ending.entry(key).or_default().push(result.id.uuid());
        }
        for ((state, reason), ids) in by_ending {
            let end = journal::ActiveModel {
                state: Set(state.to_owned()),
                reason: Set(reason),
                ended_at: Set(Some(millis(self.now))),
                retry_at: Set(None),
                ..Default::default()
            };
            update_journal(tx, end, ids).await?;
        }
        // What was known before is found again from its row; what is new, from its message.
        let known = self.results.iter().filter(|result| result.new == 0);
        let known: Vec<(Uuid, (Uuid, Uuid))> = known
            .filter_map(|result| {
                let (ticket, message) = result.messages.first()?;
                Some((result.id.uuid(), (ticket.uuid(), message.uuid())))
            })
            .collect();
        for (id, (ticket, message)) in known {
            let row = journal::ActiveModel {
                ticket: Set(Some(ticket)),
                message: Set(Some(message)),
                ..Default::default()
            };
            update_journal(tx, row, vec![id]).await?;
        }
        if !self.postponed.is_empty() {
            let later = journal::ActiveModel {
                retry_at: Set(Some(millis(self.now + TOO_EARLY_PAUSE))),
                ..Default::default()
            };
            update_journal(tx, later, self.postponed.drain(..).collect()).await?;
        }
        Ok(())
    }
}

/// Files that were here before their message become its attachments. One that is gone (erased, or older
/// than uploads may be) is no reason to lose the words.
async fn use_uploads(
    tx: &DatabaseTransaction,
    message: &PreparedMessage,
    (to, first): (Uuid, i32),
) -> Result<(), StoreError> {
    for upload in &message.uploads {
        attachment::Entity::update_many()
            .set(attachment::ActiveModel {
                message: Set(Some(to)),
                position: Set(upload.position.saturating_add(first)),
                ..Default::default()
            })
            .filter(attachment::Column::Id.eq(upload.id))
            .filter(attachment::Column::Message.is_null())
            .exec(tx)
            .await?;
        original::goes_with(tx, upload.id, to).await?;
    }
    Ok(())
}

async fn update_journal(
    tx: &DatabaseTransaction,
    change: journal::ActiveModel,
    ids: Vec<Uuid>,
) -> Result<(), StoreError> {
    journal::Entity::update_many()
        .set(change)
        .filter(journal::Column::Id.is_in(ids))
        .exec(tx)
        .await?;
    Ok(())
}
