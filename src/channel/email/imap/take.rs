//! Mails out of one folder, in groups, and around the ones that cannot be had.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::cursor::{Mark, Stored, dedupe};
use super::fault::Fault;
use super::fetch::{self, HEAD_BYTES, Head, PIECE_BYTES};
use super::session::Session;
use super::suspects::{InFlight, Key, Standing};
use crate::channel::email::settings::After;
use crate::model::{Batch, Raw, Transport};

/// Mails whose sizes are asked for at once.
const LIST_MAX: usize = 200;
/// Mail in one group, as far as the server told the sizes.
const GROUP_BYTES: u64 = 4 << 20;

/// What is known to be in a folder and not yet taken, in order.
#[derive(Debug, Default)]
pub(super) struct Plan {
    uids: VecDeque<u32>,
    heads: VecDeque<Head>,
}

impl Plan {
    /// Mails that are left.
    pub(super) fn len(&self) -> u64 {
        (self.uids.len() + self.heads.len()) as u64
    }
}

/// How one mail came.
enum Mail {
    Whole(Bytes),
    /// Only its beginning: it is too large.
    Beginning(Bytes),
    /// Not at all, and it never will.
    Unfetchable(String),
}

/// How a group ended.
struct Taken {
    mails: Vec<(Head, Mail)>,
    /// Everything up to here is done with.
    until: u32,
}

impl Session {
    /// The next batch of a folder; `None`: there is nothing more.
    pub(super) async fn take(&mut self, index: usize, mark: Mark) -> Result<Option<Batch>, Fault> {
        let folder = self.folder(index);
        let mut mark = mark;
        let mut plan = self.plans.get_mut(index).map(std::mem::take).unwrap_or_default();
        let batch = loop {
            if plan.len() == 0 {
                plan.uids = self.search(mark).await?;
            }
            if plan.len() == 0 {
                break None;
            }
            if plan.heads.is_empty() {
                self.list(&folder, &mut mark, &mut plan).await?;
            }
            let Some(first) = plan.heads.front().cloned() else { continue };
            let key = (folder.clone(), mark.validity, first.uid);
            let taken = match self.mailbox.suspects.standing(&key) {
                Standing::Unfetchable(why) => self.give_up(&key, &mut plan, why),
                Standing::Doubtful(why) => self.doubt(&key, &mut plan, why).await?,
                Standing::Suspect => self.alone(&key, &mut plan).await?,
                Standing::Good if is_large(&first) => self.alone(&key, &mut plan).await?,
                Standing::Good => self.group(&key, &mut plan).await?,
            };
            mark.uid = mark.uid.max(taken.until);
            if !taken.mails.is_empty() {
                break Some(self.batch(&folder, mark, taken.mails));
            }
        };
        if self.position.folders.get(&folder) != Some(&mark) {
            self.position.folders.insert(folder, mark);
            self.moved = true;
        }
        if let Some(slot) = self.plans.get_mut(index) {
            *slot = plan;
        }
        Ok(batch)
    }

    /// What is there beyond the mark.
    async fn search(&mut self, mark: Mark) -> Result<VecDeque<u32>, Fault> {
        let Some(first) = mark.uid.checked_add(1) else { return Ok(VecDeque::new()) };
        self.wire.take_grown();
        Ok(fetch::search(&mut self.wire, first).await?.into())
    }

    /// Asks for sizes and dates of the next mails: of a suspect alone, of others together.
    async fn list(&mut self, folder: &str, mark: &mut Mark, plan: &mut Plan) -> Result<(), Fault> {
        let key = |uid: u32| (folder.to_owned(), mark.validity, uid);
        let standing = |uid: u32| self.mailbox.suspects.standing(&key(uid));
        let max = self.mailbox.suspects.group_max(u32::try_from(LIST_MAX).unwrap_or(1));
        let mut uids: Vec<u32> = Vec::new();
        for &uid in &plan.uids {
            let good = standing(uid) == Standing::Good;
            if uids.len() >= max as usize || (!good && !uids.is_empty()) {
                break;
            }
            uids.push(uid);
            if !good {
                break;
            }
        }
        let Some(&first) = uids.first() else { return Ok(()) };
        if matches!(standing(first), Standing::Unfetchable(_) | Standing::Doubtful(_)) {
            plan.uids.pop_front();
            plan.heads.push_back(unknown(first));
            return Ok(());
        }
        let keys: Vec<Key> = uids.iter().map(|&uid| key(uid)).collect();
        let mut heads = BTreeMap::new();
        let listed = {
            let _flight = InFlight { suspects: &self.mailbox.suspects, keys: &keys };
            fetch::list(&mut self.wire, &uids, &mut heads).await
        };
        match listed {
            Ok(()) => {}
            Err(fault @ Fault::Refused { .. }) if !fault.is_passing() => {}
            Err(fault) => {
                self.mailbox.suspects.blame(&keys, &fault);
                return Err(fault);
            }
        }
        // What the server did not tell about is gone, or it cannot tell.
        let untold: Vec<u32> =
            uids.iter().copied().filter(|uid| !heads.contains_key(uid)).collect();
        for uid in fetch::present(&mut self.wire, &untold).await? {
            heads.insert(uid, unknown(uid));
        }
        plan.uids.drain(..uids.len());
        for uid in uids {
            match heads.remove(&uid) {
                Some(head) if mark.is_unwanted(uid, seconds(&head)) => {}
                Some(head) => plan.heads.push_back(head),
                None => tracing::debug!(folder, uid, "a mail was gone before it was fetched"),
            }
        }
        if plan.heads.is_empty() {
            mark.uid = mark.uid.max(plan_end(plan, &keys));
        }
        Ok(())
    }

    /// Several small mails at once.
    async fn group(&mut self, first: &Key, plan: &mut Plan) -> Result<Taken, Fault> {
        let (folder, validity, _) = first;
        let max = self.mailbox.suspects.group_max(self.mailbox.settings.batch_max) as usize;
        let key = |uid: u32| (folder.clone(), *validity, uid);
        let mut group: Vec<Head> = Vec::new();
        let mut announced = 0;
        while let Some(head) = plan.heads.front() {
            announced += u64::from(head.size.unwrap_or(0));
            let fits = group.is_empty() || (group.len() < max && announced <= GROUP_BYTES);
            let good = self.mailbox.suspects.standing(&key(head.uid)) == Standing::Good;
            if !fits || !good || is_large(head) {
                break;
            }
            group.extend(plan.heads.pop_front());
        }
        let uids: Vec<u32> = group.iter().map(|head| head.uid).collect();
        let keys: Vec<Key> = uids.iter().map(|&uid| key(uid)).collect();
        let mut bodies = BTreeMap::new();
        let bytes_max = self.mailbox.settings.mail_bytes_max + 2 * GROUP_BYTES;
        let fetched = {
            let _flight = InFlight { suspects: &self.mailbox.suspects, keys: &keys };
            fetch::bodies(&mut self.wire, &uids, bytes_max, &mut bodies).await
        };
        let fault = match fetched {
            Ok(()) => Fault::Garbled("the fetch (mails are missing in it)".to_owned()),
            Err(fault @ Fault::Refused { .. }) if !fault.is_passing() => fault,
            Err(fault) => {
                self.mailbox.suspects.blame(&keys, &fault);
                return Err(fault);
            }
        };
        let missing: Vec<u32> =
            uids.iter().copied().filter(|uid| !bodies.contains_key(uid)).collect();
        let withheld = fetch::present(&mut self.wire, &missing).await?;
        let suspects: Vec<Key> = withheld.iter().map(|&uid| key(uid)).collect();
        self.blame_withheld(&suspects, &fault);
        let came: Vec<Key> = bodies.keys().map(|&uid| key(uid)).collect();
        self.mailbox.suspects.clear(&came);
        // From the first one that was withheld on, it is tried again, now one by one.
        let stop = withheld.first().copied();
        let mut taken = Taken { mails: Vec::new(), until: 0 };
        let mut again = Vec::new();
        for head in group {
            match stop {
                Some(stop) if head.uid >= stop => again.push(head),
                Some(_) | None => {
                    taken.until = head.uid;
                    let body = bodies.remove(&head.uid);
                    taken.mails.extend(body.map(|body| (head, Mail::Whole(body))));
                }
            }
        }
        again.into_iter().rev().for_each(|head| plan.heads.push_front(head));
        Ok(taken)
    }

    fn blame_withheld(&self, keys: &[Key], fault: &Fault) {
        if keys.is_empty() {
            return;
        }
        self.mailbox.suspects.blame(keys, fault);
    }

    /// One mail by itself: it is large, or something went wrong with it.
    async fn alone(&mut self, key: &Key, plan: &mut Plan) -> Result<Taken, Fault> {
        let Some(head) = plan.heads.front().cloned() else {
            return Ok(Taken { mails: Vec::new(), until: 0 });
        };
        let keys = std::slice::from_ref(key);
        let fetched = {
            let _flight = InFlight { suspects: &self.mailbox.suspects, keys };
            fetch_alone(&mut self.wire, &head, self.mailbox.settings.mail_bytes_max).await
        };
        let uid = head.uid;
        let fault = match fetched {
            Ok(Some(mail)) => {
                self.mailbox.suspects.clear(keys);
                plan.heads.pop_front();
                return Ok(Taken { mails: vec![(head, mail)], until: uid });
            }
            Ok(None) => Fault::Garbled(format!("the fetch of mail {uid} (it came without it)")),
            Err(fault @ Fault::Refused { .. }) if !fault.is_passing() => fault,
            Err(fault) => {
                self.mailbox.suspects.blame(keys, &fault);
                return Err(fault);
            }
        };
        if fetch::present(&mut self.wire, &[uid]).await?.is_empty() {
            self.mailbox.suspects.clear(keys);
            plan.heads.pop_front();
            return Ok(Taken { mails: Vec::new(), until: uid });
        }
        self.mailbox.suspects.blame(keys, &fault);
        match self.mailbox.suspects.standing(key) {
            Standing::Unfetchable(why) => Ok(self.give_up(key, plan, why)),
            // Not at once again: what is wrong may pass.
            Standing::Good | Standing::Suspect | Standing::Doubtful(_) => Err(fault),
        }
    }

    /// Connections die over this mail. If the one behind it comes through, it is the mail.
    async fn doubt(&mut self, key: &Key, plan: &mut Plan, why: String) -> Result<Taken, Fault> {
        let behind = match plan.heads.get(1) {
            Some(head) => Some(head.uid),
            None => plan.uids.front().copied(),
        };
        let Some(behind) = behind else {
            // Nobody waits behind it: it is tried for as long as it takes.
            return self.alone(key, plan).await;
        };
        match fetch::piece(&mut self.wire, behind, 0, HEAD_BYTES).await {
            Ok(Some(_)) => Ok(self.give_up(key, plan, why)),
            Ok(None) | Err(Fault::Refused { .. }) => self.alone(key, plan).await,
            Err(fault) => Err(fault),
        }
    }

    /// Hands over the news that there is a mail which cannot be had. It stays on the server.
    fn give_up(&self, key: &Key, plan: &mut Plan, why: String) -> Taken {
        self.mailbox.suspects.clear(std::slice::from_ref(key));
        let head = plan.heads.pop_front().unwrap_or_else(|| unknown(key.2));
        tracing::warn!(
            channel = %self.mailbox.channel, folder = key.0, uid = key.2, why,
            "a mail cannot be fetched and stays on the server"
        );
        let until = head.uid;
        Taken { mails: vec![(head, Mail::Unfetchable(why))], until }
    }

    fn batch(&mut self, folder: &str, mark: Mark, mails: Vec<(Head, Mail)>) -> Batch {
        let after = &self.mailbox.settings.after;
        let done_with = mails.iter().filter(|(_, mail)| match mail {
            Mail::Whole(_) => true,
            Mail::Beginning(_) => *after != After::Delete,
            Mail::Unfetchable(_) => false,
        });
        let uids: Vec<u32> = done_with.map(|(head, _)| head.uid).collect();
        let worth_telling = *after != After::Leave && !uids.is_empty();
        let stored = Stored { folder: folder.to_owned(), validity: mark.validity, uids };
        self.position.stored = worth_telling.then_some(stored);
        self.position.folders.insert(folder.to_owned(), mark);
        self.moved = false;
        let raws = mails.into_iter().map(|(head, mail)| raw(folder, mark.validity, &head, mail));
        Batch { raws: raws.collect(), cursor: Some(self.position.write()) }
    }
}

async fn fetch_alone(
    wire: &mut super::wire::Wire,
    head: &Head,
    bytes_max: u64,
) -> Result<Option<Mail>, Fault> {
    if u64::from(head.size.unwrap_or(0)) > bytes_max {
        let beginning = fetch::piece(wire, head.uid, 0, HEAD_BYTES).await?;
        return Ok(beginning.map(|bytes| Mail::Beginning(bytes.into())));
    }
    if is_large(head) {
        let whole = fetch::in_pieces(wire, head, bytes_max).await?;
        return Ok(whole.map(|bytes| {
            if bytes.len() as u64 >= bytes_max {
                Mail::Beginning(bytes)
            } else {
                Mail::Whole(bytes)
            }
        }));
    }
    let mut bodies = BTreeMap::new();
    fetch::bodies(wire, &[head.uid], bytes_max + GROUP_BYTES, &mut bodies).await?;
    Ok(bodies.remove(&head.uid).map(Mail::Whole))
}

/// Too large for a group, or of unknown size.
fn is_large(head: &Head) -> bool {
    head.size.is_none_or(|size| size > PIECE_BYTES)
}

const fn unknown(uid: u32) -> Head {
    Head { uid, size: None, received_at: None, flags: Vec::new() }
}

fn seconds(head: &Head) -> Option<i64> {
    head.received_at.map(|at| at.timestamp())
}

/// How far the list came when nothing of it is wanted.
fn plan_end(plan: &Plan, keys: &[Key]) -> u32 {
    debug_assert!(plan.heads.is_empty(), "what is wanted must not be passed over");
    keys.last().map_or(0, |key| key.2)
}

fn raw(folder: &str, validity: u32, head: &Head, mail: Mail) -> Raw {
    let mut transport = Transport::new();
    transport.insert("folder".to_owned(), folder.to_owned());
    if let Some(size) = head.size {
        transport.insert("size".to_owned(), size.to_string());
    }
    if !head.flags.is_empty() {
        transport.insert("flags".to_owned(), head.flags.join(" "));
    }
    let mut key = dedupe(folder, validity, head.uid);
    let body = match mail {
        Mail::Whole(body) => body,
        Mail::Beginning(body) => {
            transport.insert("truncated".to_owned(), "1".to_owned());
            body
        }
        Mail::Unfetchable(why) => {
            // Another key, so that the mail itself may still come one day.
            key = crate::model::DedupeKey::new(format!("{}:unfetchable", key.as_str()));
            transport.insert("unfetchable".to_owned(), why);
            Bytes::new()
        }
    };
    Raw { dedupe: key, body, transport, received_at: head.received_at }
}
