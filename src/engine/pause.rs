//! Stopping a channel: here at once, on other nodes within their next look, and over restarts.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Engine;
use crate::model::{Actor, ChannelName};
use crate::store::StoreError;

/// Keeps what a person has just ordered from being undone by what was read from the store before.
#[derive(Default)]
pub(super) struct Orders(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Orders given so far.
    given: u64,
    /// Orders that are being written.
    under_way: u32,
}

impl Orders {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order that is being written; ends when it is dropped.
struct UnderWay<'a>(&'a Orders);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut book = self.0.book();
        book.under_way = book.under_way.saturating_sub(1);
        book.given += 1;
    }
}

impl Engine {
    /// Stops a channel on all nodes, or lets it run again. Also what is queued stays where it is.
    pub async fn set_paused(
        &self,
        channel: &ChannelName,
        paused: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let running = self.running(channel).ok_or(StoreError::NotFound("channel"))?;
        {
            let mut book = self.orders.book();
            book.given += 1;
            book.under_way += 1;
            // Here at once, whatever the store says; other nodes see it within their next look.
            running.paused.send_replace(paused);
        }
        let _order = UnderWay(&self.orders);
        self.store.set_paused(channel, paused, actor, self.clock.now()).await
    }

    /// Does what the store says about pauses, unless somebody gives an order at this moment. Asked before a
    /// channel begins, so that what somebody stopped stays stopped over a restart.
    pub(super) async fn obey_pauses(&self) -> Result<(), StoreError> {
        let given = self.orders.book().given;
        let paused: HashSet<String> = self.store.paused_channels().await?.into_iter().collect();
        let book = self.orders.book();
        if book.under_way > 0 || book.given != given {
            return Ok(());
        }
        for running in self.all_running() {
            let wanted = paused.contains(running.channel.name.as_str());
            running.paused.send_if_modified(|is| std::mem::replace(is, wanted) != wanted);
        }
        drop(book);
        Ok(())
    }
}
