//! One ring of everything that changes. Services publish without waiting; each stream reads at its own pace.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use loopsy_shared::api::events::Event;
use tokio::sync::watch;

/// Events that can be replayed. A stream that falls further behind gets a snapshot instead.
const RING_EVENTS: usize = 4096;
/// Bytes of what is large in events (values, arguments, lists of paths) that can be replayed, roughly.
const RING_BYTES: usize = 8 << 20;

/// The node's events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Tells this run of the daemon from the one before: ids of another run cannot be resumed.
    epoch: String,
    ring: Mutex<Ring>,
    last: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Sequence number of the front event. The first ever is 1.
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    last: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Shared { epoch: format!("{:x}", loopsy_shared::time::now()), ring: Mutex::default(), last: watch::Sender::new(0) }))
    }
}

/// What lies after a position.
#[derive(Debug)]
pub enum Read {
    /// These, the first of them directly after the position. May be empty.
    Events(Vec<(u64, Arc<Event>)>),
    /// The position is no longer in the ring: a snapshot is due.
    Gone,
}

impl Events {
    /// Appends a change. Never waits for a reader.
    pub fn publish(&self, event: Event) {
        let size = weight(&event);
        let mut ring = self.ring();
        ring.last += 1;
        ring.bytes += size;
        ring.events.push_back(Arc::new(event));
        while ring.events.len() > RING_EVENTS || (ring.bytes > RING_BYTES && ring.events.len() > 1) {
            if let Some(old) = ring.events.pop_front() {
                ring.bytes -= weight(&old);
            }
        }
        let last = ring.last;
        // Sent under the lock, so that the number never goes back.
        self.0.last.send_replace(last);
    }

    /// The number of the newest event; 0 before the first.
    pub fn position(&self) -> u64 {
        self.ring().last
    }

    /// Up to `most` events after a position.
    pub fn after(&self, position: u64, most: usize) -> Read {
        let ring = self.ring();
        let first = ring.last - ring.events.len() as u64 + 1;
        if position.checked_add(1).is_none_or(|next| next < first) || position > ring.last {
            return Read::Gone;
        }
        let skip = usize::try_from(position + 1 - first).unwrap_or(usize::MAX);
        Read::Events(ring.events.iter().enumerate().skip(skip).take(most).map(|(index, event)| (first + index as u64, Arc::clone(event))).collect())
    }

    /// Waits until there is something after a position.
    pub async fn changed_since(&self, position: u64) {
        let mut last = self.0.last.subscribe();
        // The sender lives as long as `self`, so this cannot fail while we wait.
        let _always_ok = last.wait_for(|last| *last > position).await;
    }

    /// The id of an event on the wire.
    pub fn id(&self, position: u64) -> String {
        format!("{}-{position}", self.0.epoch)
    }

    /// The position that an id names, when it is of this run and can be resumed.
    pub fn resume(&self, id: &str) -> Option<u64> {
        let (epoch, position) = id.rsplit_once('-')?;
        let position = position.parse().ok().filter(|_| epoch == self.0.epoch)?;
        matches!(self.after(position, 0), Read::Events(_)).then_some(position)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic cannot leave the ring half changed in a way that matters: at worst one event is missing its weight.
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::ContextChanged { entry } => 128 + entry.value.len(),
        Event::JobChanged { job } => 256 + job.args.iter().map(String::len).sum::<usize>(),
        Event::TransferChanged { transfer } => {
            256 + transfer.planned.iter().map(String::len).sum::<usize>()
                + transfer.left_out.iter().map(|left| 64 + left.path.len() + left.reason.len()).sum::<usize>()
        }
        Event::TaskChanged { task } => 512 + task.prompt.len() + task.pending_approval.as_ref().map_or(0, |asked| json_weight(&asked.tool_input)),
        Event::ApprovalChanged { approval } => 1024 + json_weight(&approval.input) + approval.diff.as_ref().map_or(0, String::len),
        Event::TerminalChanged { terminal } => 512 + terminal.args.iter().map(String::len).sum::<usize>(),
        Event::Peer { event, .. } => 128 + weight(event),
        _ => 128,
    }
}

/// What a JSON value holds in memory, roughly.
fn json_weight(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => 32 + text.len(),
        serde_json::Value::Array(items) => 32 + items.iter().map(json_weight).sum::<usize>(),
        serde_json::Value::Object(fields) => 32 + fields.iter().map(|(name, value)| 32 + name.len() + json_weight(value)).sum::<usize>(),
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(n: u64) -> Event {
        Event::ContextRemoved { key: n.to_string() }
    }

    #[test]
    fn every_event_after_a_position_comes_once_and_in_order() {
        let events = Events::default();
        (1..=10).for_each(|n| events.publish(removed(n)));
        let Read::Events(seen) = events.after(4, 3) else { panic!("still there") };
        assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [5, 6, 7]);
        assert!(matches!(events.after(11, 1), Read::Gone), "from the future, so from another run");
    }

    #[test]
    fn what_fell_out_of_the_ring_is_said_to_be_gone() {
        let events = Events::default();
        (1..=RING_EVENTS as u64 + 10).for_each(|n| events.publish(removed(n)));
        assert!(matches!(events.after(9, 1), Read::Gone));
        assert!(matches!(events.after(10, 1), Read::Events(_)));
        assert_eq!(events.resume(&events.id(9)), None);
        assert_eq!(events.resume(&events.id(10)), Some(10));
        assert_eq!(events.resume("other-10"), None);
    }

    #[test]
    fn large_values_are_bounded_together() {
        let events = Events::default();
        for n in 0..64 {
            let entry = loopsy_shared::api::context::ContextEntry {
                key: n.to_string(),
                value: "x".repeat(1 << 20),
                from_node_id: String::new(),
                created_at: 0,
                updated_at: 0,
                ttl: None,
                expires_at: None,
                version: n,
            };
            events.publish(Event::ContextChanged { entry });
        }
        assert!(events.ring().bytes <= RING_BYTES);
    }
}
