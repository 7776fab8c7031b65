//! One logged-in connection: which folder is looked at next, and the wait for more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_imap::imap_proto::{Response, ResponseCode};
use async_trait::async_trait;
use tokio::time::Instant;

use super::Mailbox;
use super::after::tidy;
use super::cursor::{Mark, Position, Stored};
use super::fault::{Fault, Step, verdict};
use super::fetch;
use super::login::{Abilities, Credentials};
use super::name::mailbox;
use super::take::Plan;
use super::wire::{Command, Idle, Wire};
use crate::channel::email::settings::{After, Start};
use crate::channel::{PullError, PullSession};
use crate::model::{Batch, Cursor};

/// The engine wants a sign of life more often than this.
const SIGN_OF_LIFE: Duration = Duration::from_secs(240);

/// One session.
pub(super) struct Session {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) wire: Wire,
    can: Abilities,
    pub(super) position: Position,
    /// The position says something that no batch has told yet.
    pub(super) moved: bool,
    /// By the index of the folder in the settings.
    pub(super) plans: Vec<Plan>,
    selected: Option<Selected>,
    /// Folders still to be looked at in this round, by index.
    due: VecDeque<usize>,
    next_poll: Instant,
    may_idle: bool,
    /// Folders that cannot be opened, by index. The others go on; each of these is tried again when all
    /// are looked at.
    closed: BTreeMap<usize, Fault>,
}

/// The folder that is open.
#[derive(Debug, Clone, Copy)]
struct Selected {
    index: usize,
    validity: u32,
    may_keyword: bool,
}

/// What the answer to SELECT said.
#[derive(Default)]
struct Opened {
    validity: Option<u32>,
    next: Option<u32>,
    keywords: Vec<String>,
}

impl Opened {
    fn note(&mut self, code: Option<&ResponseCode<'_>>) {
        if let Some(ResponseCode::UidValidity(value)) = code {
            self.validity = Some(*value);
        } else if let Some(ResponseCode::UidNext(value)) = code {
            self.next = Some(*value);
        } else if let Some(ResponseCode::PermanentFlags(flags)) = code {
            self.keywords = flags.iter().map(|flag| flag.clone().into_owned()).collect();
        }
    }
}

impl Session {
    pub(super) fn new(
        mailbox: Arc<Mailbox>,
        wire: Wire,
        can: Abilities,
        position: Position,
    ) -> Self {
        let folders = mailbox.settings.folders.len();
        Self {
            plans: (0..folders).map(|_| Plan::default()).collect(),
            due: (0..folders).collect(),
            next_poll: Instant::now() + mailbox.settings.poll,
            may_idle: can.has("IDLE"),
            mailbox,
            wire,
            can,
            position,
            moved: false,
            selected: None,
            closed: BTreeMap::new(),
        }
    }

    pub(super) fn take_alert(&mut self) -> Option<String> {
        self.wire.take_alert()
    }

    pub(super) fn folder(&self, index: usize) -> String {
        self.mailbox.settings.folders.get(index).cloned().unwrap_or_default()
    }

    /// Tells the server again about the mails that were stored with the cursor that we begin from.
    pub(super) async fn resume(&mut self) -> Result<(), Fault> {
        if let Some(stored) = self.position.stored.clone() {
            self.settle(&stored).await?;
        }
        if let Some(alert) = self.wire.take_alert() {
            tracing::warn!(channel = %self.mailbox.channel, alert, "the mail server alerts");
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<Batch, Fault> {
        if let Some(batch) = self.look().await? {
            return Ok(batch);
        }
        if self.moved {
            return Ok(self.tell_position());
        }
        if self.closed.len() == self.plans.len()
            && let Some((_, fault)) = self.closed.pop_first()
        {
            return Err(fault);
        }
        self.wait().await?;
        Ok(self.look().await?.unwrap_or_else(|| self.tell_position()))
    }

    /// An empty batch, with the cursor if it has moved.
    fn tell_position(&mut self) -> Batch {
        let moved = std::mem::take(&mut self.moved);
        Batch { raws: Vec::new(), cursor: moved.then(|| self.position.write()) }
    }

    /// The next batch of the folders that are due, each in its turn.
    async fn look(&mut self) -> Result<Option<Batch>, Fault> {
        while let Some(index) = self.due.pop_front() {
            match self.look_into(index).await {
                Ok(Some(batch)) => {
                    self.closed.remove(&index);
                    self.due.push_back(index);
                    return Ok(Some(batch));
                }
                Ok(None) => {
                    self.closed.remove(&index);
                }
                Err(fault @ Fault::Refused { step: Step::Open, .. }) if !fault.is_passing() => {
                    self.close(index, fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// Told once, not at every look.
    fn close(&mut self, index: usize, fault: Fault) {
        let (channel, folder) = (&self.mailbox.channel, self.folder(index));
        if !self.closed.contains_key(&index) && self.plans.len() > 1 {
            tracing::error!(
                %channel, folder, error = &fault as &dyn std::error::Error,
                "a folder of {channel} cannot be read: the others are"
            );
        }
        self.closed.insert(index, fault);
    }

    async fn look_into(&mut self, index: usize) -> Result<Option<Batch>, Fault> {
        let mark = self.select(index).await?;
        self.take(index, mark).await
    }

    /// Opens a folder, unless it is open, and says from where to read.
    async fn select(&mut self, index: usize) -> Result<Mark, Fault> {
        let folder = self.folder(index);
        let known = self.position.folders.get(&folder).copied();
        if let (Some(selected), Some(mark)) = (self.selected, known)
            && selected.index == index
            && selected.validity == mark.validity
        {
            return Ok(mark);
        }
        let opened = self.open(&folder).await?;
        let validity = opened.validity.ok_or_else(|| {
            Fault::Unusable(format!("the server names no UIDVALIDITY for folder \"{folder}\""))
        })?;
        let after = &self.mailbox.settings.after;
        let may_keyword = match after {
            After::Mark(keyword) => {
                opened.keywords.iter().any(|word| word == "\\*" || word == keyword)
            }
            After::Leave | After::Move(_) | After::Delete => true,
        };
        self.selected = Some(Selected { index, validity, may_keyword });
        let mark = match known {
            Some(mark) if mark.validity == validity => mark,
            known => {
                let mark = self.begin(known, validity, opened.next).await?;
                if let Some(plan) = self.plans.get_mut(index) {
                    *plan = Plan::default();
                }
                self.position.folders.insert(folder, mark);
                self.moved = true;
                mark
            }
        };
        Ok(mark)
    }

    async fn open(&mut self, folder: &str) -> Result<Opened, Fault> {
        self.selected = None;
        self.wire.forget_folder();
        // EXAMINE cannot change anything, not even \Seen.
        let verb = match self.mailbox.settings.after {
            After::Leave => "EXAMINE",
            After::Mark(_) | After::Move(_) | After::Delete => "SELECT",
        };
        let line = format!("{verb} {}", mailbox(folder));
        let name = format!("opening folder \"{folder}\"");
        let command = Command { line: &line, name: &name, step: Step::Open };
        let mut opened = Opened::default();
        self.wire
            .run(&command, &mut |response| {
                if let Response::Data { outcome, .. } = response {
                    opened.note(outcome.code.as_ref());
                }
                Ok(())
            })
            .await?;
        self.wire.take_grown();
        Ok(opened)
    }

    /// Where to begin in a folder that we do not know, or no longer.
    async fn begin(
        &mut self,
        known: Option<Mark>,
        validity: u32,
        next: Option<u32>,
    ) -> Result<Mark, Fault> {
        let from_all = Mark { validity, uid: 0, started_at: None, again_until: 0 };
        let wants_all = known
            .map_or(self.mailbox.settings.start == Start::All, |mark| mark.started_at.is_none());
        if wants_all {
            return Ok(from_all);
        }
        let last = match next {
            Some(next) => next.saturating_sub(1),
            None => fetch::search(&mut self.wire, 1).await?.last().copied().unwrap_or(0),
        };
        if let Some(mark) = known {
            return Ok(mark.reborn(validity, last));
        }
        let newest = fetch::search(&mut self.wire, 1).await?.last().copied();
        let mut heads = BTreeMap::new();
        if let Some(uid) = newest {
            fetch::list(&mut self.wire, &[uid], &mut heads).await?;
        }
        let started_at =
            heads.values().next().and_then(|head| head.received_at).map_or(0, |at| at.timestamp());
        let uid = last.max(newest.unwrap_or(0));
        Ok(Mark { validity, uid, started_at: Some(started_at), again_until: 0 })
    }

    /// Waits for more mail, or until it is time to look all the same.
    async fn wait(&mut self) -> Result<(), Fault> {
        let watched = (0..self.plans.len()).find(|index| !self.closed.contains_key(index));
        let watched = watched.unwrap_or(0);
        match self.select(watched).await {
            Ok(_) => {}
            Err(fault @ Fault::Refused { step: Step::Open, .. }) if !fault.is_passing() => {
                // It went while nobody looked: the next one is watched.
                self.close(watched, fault);
                return Ok(());
            }
            Err(fault) => return Err(fault),
        }
        let settings = &self.mailbox.settings;
        let until_poll = self.next_poll.saturating_duration_since(Instant::now());
        let limit = until_poll.min(settings.idle).min(SIGN_OF_LIFE);
        if self.may_idle {
            self.may_idle = self.wire.idle(limit).await? != Idle::Refused;
        } else {
            self.wire.wait(limit).await?;
            // Some servers show new mail only after this.
            self.wire.run(&Command::work("NOOP"), &mut |_| Ok(())).await?;
        }
        if Instant::now() >= self.next_poll {
            self.next_poll = Instant::now() + self.mailbox.settings.poll;
            self.due = (0..self.plans.len()).collect();
        } else {
            self.due = [watched].into();
        }
        if let Credentials::Token { source, .. } = &self.mailbox.credentials {
            source.observe();
        }
        Ok(())
    }

    /// Tells the server what is stored. A refusal is told to the admin: nothing is lost by it.
    async fn settle(&mut self, stored: &Stored) -> Result<(), Fault> {
        let after = self.mailbox.settings.after.clone();
        let folders = &self.mailbox.settings.folders;
        let Some(index) = folders.iter().position(|folder| *folder == stored.folder) else {
            return Ok(());
        };
        if after == After::Leave || stored.uids.is_empty() {
            return Ok(());
        }
        let outcome: Result<(), Fault> = match self.select(index).await {
            Ok(mark) if mark.validity != stored.validity => return Ok(()),
            Ok(_) if self.selected.is_some_and(|selected| !selected.may_keyword) => {
                let problem = "the folder takes no keywords of ours";
                Err(Fault::Unusable(problem.to_owned()))
            }
            Ok(_) => match tidy(&mut self.wire, &self.can, &after, stored).await {
                Err(fault @ Fault::Refused { .. }) => Err(fault),
                other => return other,
            },
            Err(fault @ Fault::Refused { .. }) => Err(fault),
            Err(fault) => return Err(fault),
        };
        if let Err(fault) = outcome {
            tracing::warn!(
                channel = %self.mailbox.channel,
                folder = stored.folder,
                error = &fault as &dyn std::error::Error,
                "stored mail stays in the mailbox as it is"
            );
        }
        Ok(())
    }
}

#[async_trait]
impl PullSession for Session {
    async fn next(&mut self) -> Result<Batch, PullError> {
        let step = self.step().await;
        step.map_err(|fault| verdict(fault, self.wire.take_alert()))
    }

    async fn committed(&mut self, cursor: &Cursor) -> Result<(), PullError> {
        let Some(stored) = Position::read(Some(cursor)).stored else { return Ok(()) };
        let settled = self.settle(&stored).await;
        settled.map_err(|fault| verdict(fault, self.wire.take_alert()))
    }

    fn backlog(&self) -> Option<u64> {
        Some(self.plans.iter().map(Plan::len).sum())
    }

    fn trouble(&self) -> Option<String> {
        let faults: Vec<String> = self.closed.values().map(ToString::to_string).collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }
}
