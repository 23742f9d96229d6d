//! One ring of everything that changes. Services publish, streams read at their own pace.

use loopsy_shared::api::events::Event;

/// The node's events. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Events {}

impl Events {
    /// Appends a change. Never waits and never fails.
    pub fn publish(&self, event: Event) {
        let _later = event;
    }
}
