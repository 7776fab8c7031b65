//! Places where a test may kill the process: `TRIBUTARY_FAILPOINT=lane.delivered` dies at the first hit,
//! `lane.delivered:7` at the seventh. Compiled into builds with debug assertions only.

/// All steps, in the way of a message. The kill test goes through them one by one.
pub const STEPS: &[&str] = &[
    "pull.fetched",
    "pull.appended",
    "pull.committed",
    "hook.appended",
    "listen.appended",
    "chat.appended",
    "ingest.interpreted",
    "ingest.applied",
    "media.fetched",
    "media.forgotten",
    "scan.done",
    "reply.queued",
    "proof.queued",
    "callback.told",
    "callback.connected",
    "advice.told",
    "survey.asked",
    "notify.queued",
    "agent.replied",
    "close.warned",
    "retention.erased",
    "retention.forgotten",
    "webhook.queued",
    "lane.begun",
    "lane.delivered",
    "lane.settled",
];

/// Dies here, if the test said so: at once, with nothing flushed and nothing unwound.
#[cfg(debug_assertions)]
pub fn hit(step: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[expect(clippy::disallowed_methods, reason = "a switch for tests, not a setting")]
    static WANTED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let text = std::env::var("TRIBUTARY_FAILPOINT").ok()?;
        match text.split_once(':') {
            Some((step, count)) => Some((step.to_owned(), count.parse().ok()?)),
            None => Some((text, 1)),
        }
    });
    static HITS: AtomicU32 = AtomicU32::new(0);
    debug_assert!(STEPS.contains(&step), "{step} is not in the list");
    if let Some((wanted, count)) = &*WANTED
        && wanted == step
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        std::process::abort();
    }
}

/// Nothing, in a release.
#[cfg(not(debug_assertions))]
pub fn hit(_step: &str) {}
