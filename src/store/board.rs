//! What the dashboard shows: rows of figures by day, by channel and by tag, of the tickets that a filter finds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{ExprTrait as _, Query};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{event, message, ticket, ticket_tag};
use super::stats::{DAY_MILLIS, MessageCount, TicketTimes, day, ids};
use super::{Store, StoreError, TicketFilter, millis};

/// Figures of one span, in rows of the same shape.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Board {
    /// The span begins with it.
    pub from: DateTime<Utc>,
    /// The span ends before it.
    pub to: DateTime<Utc>,
    /// All together.
    pub total: BoardRow,
    /// Each day in UTC, the quiet ones too, oldest first.
    pub days: Vec<BoardRow>,
    /// By the channel's name.
    pub channels: Vec<BoardRow>,
    /// By tag, the commonest first. Messages are not counted here.
    pub tags: Vec<BoardRow>,
    /// How often customers gave 1, 2, 3, 4 and 5 of 5.
    pub scores: [u64; 5],
}

/// Figures of one day, channel or tag. Times are medians in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct BoardRow {
    /// The day (`2026-11-24`), the channel or the tag; empty for all together.
    pub name: String,
    /// Tickets opened.
    pub opened: u64,
    /// Tickets solved or closed within it, whenever they were opened. A ticket that was opened again does not count.
    pub solved: u64,
    /// Tickets open or pending at its end. What was solved then and opened again later was not.
    pub backlog: u64,
    /// Messages from customers.
    pub messages_in: u64,
    /// Messages to customers.
    pub messages_out: u64,
    /// From opening to the first answer by a person, of the tickets opened within it.
    pub first_response: Option<f64>,
    /// From opening to the end, of the tickets solved within it.
    pub resolution: Option<f64>,
    /// How often customers judged.
    pub ratings: u64,
    /// The mean of their judgements, from 1 to 5.
    pub rating: Option<f64>,
}

#[derive(Default)]
struct Gathered {
    row: BoardRow,
    responses: Vec<i64>,
    resolutions: Vec<i64>,
    score: u64,
}

impl Gathered {
    fn named(name: &str) -> Self {
        let row = BoardRow { name: name.to_owned(), ..BoardRow::default() };
        Self { row, ..Self::default() }
    }

    fn rated(&mut self, score: u8) {
        self.row.ratings += 1;
        self.score += u64::from(score);
    }

    fn messages(&mut self, direction: &str, count: u64) {
        match direction {
            "in" => self.row.messages_in += count,
            "out" => self.row.messages_out += count,
            _ => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures of a desk stay far below 2^53")]
    fn done(mut self) -> BoardRow {
        self.row.first_response = median(self.responses);
        self.row.resolution = median(self.resolutions);
        self.row.rating =
            (self.row.ratings > 0).then(|| self.score as f64 / self.row.ratings as f64);
        self.row
    }
}

#[derive(Deserialize)]
struct Judged {
    score: u8,
}

/// What `ticket.updated` tells of a change of the status.
#[derive(Deserialize)]
struct Told {
    changes: Changes,
}

#[derive(Deserialize)]
struct Changes {
    status: Moved,
}

#[derive(Deserialize)]
struct Moved {
    from: String,
    to: String,
}

/// From when to when a ticket was solved or closed, for each time that it was opened again.
fn spells(steps: &[(i64, Moved)]) -> Vec<(i64, i64)> {
    let ended = |status: &str| matches!(status, "solved" | "closed");
    let mut spells = Vec::new();
    let mut since = None;
    for (at, Moved { from, to }) in steps {
        if ended(to) {
            since.get_or_insert(*at);
        } else if ended(from) {
            spells.extend(since.take().map(|since| (since, *at)));
        }
    }
    spells
}

type Groups = BTreeMap<String, Gathered>;

/// The groups that are filled.
struct Filling {
    from: i64,
    to: i64,
    total: Gathered,
    /// By the number of the day since 1970.
    days: BTreeMap<i64, Gathered>,
    channels: Groups,
    tags: Groups,
    scores: [u64; 5],
}

impl Filling {
    fn new(from: i64, to: i64) -> Self {
        let numbers = from.div_euclid(DAY_MILLIS)..=(to - 1).div_euclid(DAY_MILLIS);
        Self {
            from,
            to,
            total: Gathered::default(),
            days: numbers.map(|number| (number, Gathered::named(&day(number)))).collect(),
            channels: Groups::new(),
            tags: Groups::new(),
            scores: [0; 5],
        }
    }

    fn within(&self, at: i64) -> bool {
        (self.from..self.to).contains(&at)
    }

    /// Does something for every group that a ticket belongs to, but for days.
    fn each(&mut self, channel: &str, tags: &[String], mut work: impl FnMut(&mut Gathered)) {
        work(&mut self.total);
        work(self.channels.entry(channel.to_owned()).or_insert_with(|| Gathered::named(channel)));
        for tag in tags {
            work(self.tags.entry(tag.clone()).or_insert_with(|| Gathered::named(tag)));
        }
    }

    fn on_day(&mut self, at: i64, work: impl FnOnce(&mut Gathered)) {
        if let Some(day) = self.days.get_mut(&at.div_euclid(DAY_MILLIS)) {
            work(day);
        }
    }

    /// `spells`: from when to when the ticket was solved, before it was opened again.
    fn ticket(&mut self, row: &TicketTimes, tags: &[String], spells: &[(i64, i64)]) {
        if self.within(row.created_at) {
            let response = row.first_response_at.map(|at| at - row.created_at);
            let opened = |group: &mut Gathered| {
                group.row.opened += 1;
                group.responses.extend(response);
            };
            self.each(&row.channel, tags, opened);
            self.on_day(row.created_at, opened);
        }
        if let Some(at) = row.solved_at.filter(|at| self.within(*at)) {
            let solved = |group: &mut Gathered| {
                group.row.solved += 1;
                group.resolutions.push(at - row.created_at);
            };
            self.each(&row.channel, tags, solved);
            self.on_day(at, solved);
        }
        let rested = |end: i64| spells.iter().any(|(from, to)| *from < end && end <= *to);
        let left = |end: i64| {
            row.created_at < end && row.solved_at.is_none_or(|at| at >= end) && !rested(end)
        };
        if left(self.to) {
            self.each(&row.channel, tags, |group| group.row.backlog += 1);
        }
        let to = self.to;
        for (number, day) in &mut self.days {
            day.row.backlog += u64::from(left(Ord::min((number + 1) * DAY_MILLIS, to)));
        }
    }

    fn done(self, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Board {
        let rows = |groups: Groups| groups.into_values().map(Gathered::done).collect::<Vec<_>>();
        let mut tags = rows(self.tags);
        tags.sort_by(|one, other| other.opened.cmp(&one.opened).then(one.name.cmp(&other.name)));
        Board {
            from,
            to,
            total: self.total.done(),
            days: self.days.into_values().map(Gathered::done).collect(),
            channels: rows(self.channels),
            tags,
            scores: self.scores,
        }
    }
}

impl Store {
    /// Figures of a span, of the tickets that `filter` finds; its order and its limit do not matter. Spam is not
    /// counted.
    pub async fn board(
        &self,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        filter: &TicketFilter,
    ) -> Result<Board, StoreError> {
        let mut filling = Filling::new(millis(from), millis(to));
        let wanted = self.ticket_condition(filter);
        let Some(wanted) = wanted else { return Ok(filling.done((from, to))) };
        let wanted = wanted.add(ticket::Column::Status.ne("spam"));
        let tags = self.fill_tickets(&mut filling, &wanted).await?;
        self.fill_messages(&mut filling, &wanted).await?;
        self.fill_ratings(&mut filling, &wanted, &tags).await?;
        Ok(filling.done((from, to)))
    }

    /// Returns the tags of the tickets that it met.
    async fn fill_tickets(
        &self,
        filling: &mut Filling,
        wanted: &Condition,
    ) -> Result<HashMap<Uuid, Vec<String>>, StoreError> {
        use ticket::Column;
        // Whatever was open at any moment of the span.
        let met = wanted
            .clone()
            .add(Column::CreatedAt.lt(filling.to))
            .add(Column::SolvedAt.is_null().or(Column::SolvedAt.gte(filling.from)));
        let rows = self.ticket_times(met.clone()).await?;
        let spells = self.spells_in(met.clone()).await?;
        let tags = self.tags_in(met).await?;
        for row in rows {
            let spells = spells.get(&row.id).map_or(&[][..], Vec::as_slice);
            filling.ticket(&row, tags.get(&row.id).map_or(&[], Vec::as_slice), spells);
        }
        Ok(tags)
    }

    /// When tickets that a condition finds were solved and later opened again, out of their trails: the ticket itself
    /// only knows its last end.
    async fn spells_in(
        &self,
        wanted: Condition,
    ) -> Result<HashMap<Uuid, Vec<(i64, i64)>>, StoreError> {
        use event::Column;
        let reopened = Column::Data
            .contains("\"status\":{\"from\":\"solved\"")
            .or(Column::Data.contains("\"status\":{\"from\":\"closed\""));
        let reopened = Query::select()
            .column(Column::Ticket)
            .from(event::Entity)
            .and_where(Column::Kind.eq("ticket.updated"))
            .and_where(Column::Ticket.in_subquery(ids(wanted)))
            .and_where(reopened)
            .to_owned();
        let rows: Vec<(Option<Uuid>, i64, String)> = event::Entity::find()
            .select_only()
            .columns([Column::Ticket, Column::At, Column::Data])
            .filter(Column::Kind.eq("ticket.updated"))
            .filter(Column::Data.contains("\"status\":{"))
            .filter(Column::Ticket.in_subquery(reopened))
            .order_by_asc(Column::Seq)
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut steps: HashMap<Uuid, Vec<(i64, Moved)>> = HashMap::new();
        for (ticket, at, data) in rows {
            let Some(ticket) = ticket else { continue };
            let Ok(Told { changes: Changes { status } }) = serde_json::from_str(&data) else {
                continue;
            };
            steps.entry(ticket).or_default().push((at, status));
        }
        Ok(steps.into_iter().map(|(ticket, steps)| (ticket, spells(&steps))).collect())
    }

    async fn fill_messages(
        &self,
        filling: &mut Filling,
        wanted: &Condition,
    ) -> Result<(), StoreError> {
        let of = message::Column::Ticket.in_subquery(ids(wanted.clone()));
        let wanted = Condition::all().add(of);
        for MessageCount { channel, direction, day, count } in
            self.message_counts((filling.from, filling.to), wanted).await?
        {
            filling.each(&channel, &[], |group| group.messages(&direction, count));
            filling.on_day(day * DAY_MILLIS, |group| group.messages(&direction, count));
        }
        Ok(())
    }

    async fn fill_ratings(
        &self,
        filling: &mut Filling,
        wanted: &Condition,
        tags: &HashMap<Uuid, Vec<String>>,
    ) -> Result<(), StoreError> {
        use event::Column;
        let rated = event::Entity::find()
            .filter(Column::Kind.eq("ticket.rated"))
            .filter(Column::At.gte(filling.from))
            .filter(Column::At.lt(filling.to))
            .filter(Column::Ticket.in_subquery(ids(wanted.clone())))
            .all(self.reader())
            .await?;
        for row in rated {
            let Ok(Judged { score }) = serde_json::from_str(&row.data) else { continue };
            let place = usize::from(score.saturating_sub(1));
            let Some(times) = filling.scores.get_mut(place) else { continue };
            *times += 1;
            let tags =
                row.ticket.and_then(|ticket| tags.get(&ticket)).map_or(&[][..], Vec::as_slice);
            let channel = row.channel.unwrap_or_default();
            filling.each(&channel, tags, |group| group.rated(score));
            filling.on_day(row.at, |group| group.rated(score));
        }
        Ok(())
    }

    /// All tags that tickets bear, sorted, and all queues: for who chooses one.
    pub async fn ticket_words(&self) -> Result<(BTreeSet<String>, BTreeSet<String>), StoreError> {
        const MOST: u64 = 500;
        let tags: Vec<String> = ticket_tag::Entity::find()
            .select_only()
            .column(ticket_tag::Column::Tag)
            .distinct()
            .limit(MOST)
            .into_tuple()
            .all(self.reader())
            .await?;
        let queues: Vec<String> = ticket::Entity::find()
            .select_only()
            .column(ticket::Column::Queue)
            .filter(ticket::Column::Queue.is_not_null())
            .distinct()
            .limit(MOST)
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok((tags.into_iter().collect(), queues.into_iter().collect()))
    }
}

/// In seconds.
#[expect(clippy::cast_precision_loss, reason = "times of a desk stay far below 2^53")]
fn median(mut millis: Vec<i64>) -> Option<f64> {
    millis.sort_unstable();
    let middle = millis.len().saturating_sub(1).div_ceil(2);
    millis.get(middle).map(|millis| *millis as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn times(created_at: i64, solved_at: Option<i64>) -> TicketTimes {
        let channel = "mail".to_owned();
        let first_response_at = Some(created_at + HOUR);
        let (id, language) = (Uuid::nil(), None);
        TicketTimes { id, channel, language, created_at, first_response_at, solved_at }
    }

    #[test]
    fn a_ticket_is_in_the_backlog_of_each_day_until_it_is_solved() {
        let days = |number: i64| number * DAY_MILLIS;
        let mut filling = Filling::new(days(10), days(13));
        filling.ticket(&times(days(9), Some(days(11) + HOUR)), &[], &[]);
        filling.ticket(&times(days(11), None), &["fees".to_owned()], &[]);
        // Solved before it began.
        filling.ticket(&times(days(8), Some(days(9))), &[], &[]);
        let (from, to) = (crate::store::moment(days(10)), crate::store::moment(days(13)));
        let board = filling.done((from, to));
        let backlog: Vec<u64> = board.days.iter().map(|day| day.backlog).collect();
        assert_eq!(backlog, [1, 1, 1]);
        let opened: Vec<u64> = board.days.iter().map(|day| day.opened).collect();
        assert_eq!(opened, [0, 1, 0]);
        let solved: Vec<u64> = board.days.iter().map(|day| day.solved).collect();
        assert_eq!(solved, [0, 1, 0]);
        assert_eq!((board.total.opened, board.total.solved, board.total.backlog), (1, 1, 1));
        assert_eq!(board.total.resolution, Some(49.0 * 3600.0));
        assert_eq!(board.total.first_response, Some(3600.0));
        assert_eq!(
            board.tags.first().map(|tag| (tag.name.as_str(), tag.backlog)),
            Some(("fees", 1))
        );
    }

    #[test]
    fn a_ticket_that_was_opened_again_was_no_backlog_while_it_was_solved() {
        let days = |number: i64| number * DAY_MILLIS;
        let step = |at, from: &str, to: &str| (at, Moved { from: from.into(), to: to.into() });
        let steps = [
            step(days(10) + HOUR, "open", "pending"),
            step(days(11) + HOUR, "pending", "solved"),
            step(days(12) + HOUR, "solved", "closed"),
            step(days(13) + HOUR, "closed", "open"),
            step(days(14), "open", "solved"),
        ];
        let spells = spells(&steps);
        assert_eq!(spells, [(days(11) + HOUR, days(13) + HOUR)]);
        let mut filling = Filling::new(days(10), days(15));
        filling.ticket(&times(days(10), Some(days(14))), &[], &spells);
        let (from, to) = (crate::store::moment(days(10)), crate::store::moment(days(15)));
        let board = filling.done((from, to));
        let backlog: Vec<u64> = board.days.iter().map(|day| day.backlog).collect();
        assert_eq!(backlog, [1, 0, 0, 1, 0]);
    }

    #[test]
    fn the_middle_of_nothing_is_nothing() {
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![3000, 1000, 2000]), Some(2.0));
    }
}
