//! The nodes heard on the network: a bounded table that a flood cannot turn over at once.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use loopsy_shared::{id::NodeId, time};
use tokio::sync::watch;

use super::{
    Sighting,
    read::{bare, label},
};

/// Nodes that are kept; when full, see [`Sightings::heard`].
pub const MOST_NODES: usize = 256;
/// Nodes at one address: sessions of one machine are fewer.
const MOST_AT_ONE_ADDRESS: usize = 16;
/// Bytes of an instance name, type and domain included: DNS has no longer ones.
const MOST_INSTANCE: usize = 255;
/// Shortest beginning of an id that stands for the id.
const SHORTEST_PREFIX: usize = 4;
/// Not heard of for this long: may make room for another. Nodes that are still there are heard again more often (`service::REBROWSE`).
const STALE: Duration = Duration::from_secs(15 * 60);
/// Between two nodes that had to make room: a flood takes minutes to turn the table over, also when all of it is stale.
const EVICTION_PAUSE: Duration = Duration::from_secs(1);

/// What was heard on the network. Cheap to clone; all clones are one table.
#[derive(Debug, Clone)]
pub struct Sightings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    /// One for each node, in the order in which they were first heard.
    entries: Vec<Entry>,
    /// Counts the times of asking the network, so that what no answer brought again can go.
    round: u64,
    evicted: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    sighting: Sighting,
    /// The announcement that it came from, in lower case: only that one may change it or take it back.
    instance: String,
    heard: Instant,
    round: u64,
}

impl Default for Sightings {
    fn default() -> Self {
        Self(Arc::new(Shared { table: Mutex::default(), changes: watch::Sender::new(0) }))
    }
}

impl Sightings {
    /// All nodes, in the order in which they were first heard.
    pub fn list(&self) -> Vec<Sighting> {
        self.table().entries.iter().map(|entry| entry.sighting.clone()).collect()
    }

    /// The node with exactly this id.
    pub fn get(&self, node_id: &NodeId) -> Option<Sighting> {
        self.table().entries.iter().find(|entry| entry.sighting.node_id == *node_id).map(|entry| entry.sighting.clone())
    }

    /// The nodes that a person may mean: by id, by host name in any case with or without `.local`, or by the first characters (at least 4) of the id.
    ///
    /// More than one is not an error of the network, for names are free to take: the caller asks which, and never guesses.
    pub fn find(&self, name: &str) -> Vec<Sighting> {
        let table = self.table();
        let matching = |matches: &dyn Fn(&Sighting) -> bool| -> Vec<Sighting> {
            table.entries.iter().map(|entry| &entry.sighting).filter(|sighting| matches(sighting)).cloned().collect()
        };
        let by_id = matching(&|sighting| sighting.node_id.as_str().eq_ignore_ascii_case(name));
        if !by_id.is_empty() {
            return by_id;
        }
        // Announced names are labels (`a.b` is `a-b` there), asked ones may be what the config says.
        let wanted = bare(name);
        let as_label = if wanted.is_empty() { String::new() } else { label(wanted) };
        let by_name = matching(&|sighting| sighting.hostname.eq_ignore_ascii_case(wanted) || sighting.hostname.eq_ignore_ascii_case(&as_label));
        if !by_name.is_empty() || name.len() < SHORTEST_PREFIX {
            return by_name;
        }
        matching(&|sighting| sighting.node_id.as_str().get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name)))
    }

    /// Tells of changes: a number that grows with each of them.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Notes that a node answered where it was sighted, and with its own id: it does not make room for others for another quarter of an hour.
    pub fn confirm(&self, node_id: &NodeId) {
        if let Some(entry) = self.table().entries.iter_mut().find(|entry| entry.sighting.node_id == *node_id) {
            entry.heard = Instant::now();
            entry.sighting.seen_at = time::now();
        }
    }

    /// Takes over what an announcement says. Returns whether it was kept.
    ///
    /// Who was first stays: another announcement for a known node is not heard, and neither is a 17th node at one address. In a full table a new node takes
    /// the place of the one that was not heard of for longest, but only if that is 15 minutes, and one a second.
    pub fn heard(&self, instance: &str, sighting: Sighting) -> bool {
        self.heard_at(instance, sighting, Instant::now())
    }

    fn heard_at(&self, instance: &str, sighting: Sighting, now: Instant) -> bool {
        if instance.len() > MOST_INSTANCE || sighting.addresses.is_empty() {
            return false;
        }
        let mut table = self.table();
        let (instance, round) = (instance.to_ascii_lowercase(), table.round);
        let stale = |entry: &Entry| now.saturating_duration_since(entry.heard) >= STALE;
        let known = table.entries.iter().position(|entry| entry.sighting.node_id == sighting.node_id);
        if let Some(entry) = known.and_then(|at| table.entries.get_mut(at)) {
            if entry.instance != instance && !stale(entry) {
                return false;
            }
            let changed = Sighting { seen_at: entry.sighting.seen_at, ..sighting.clone() } != entry.sighting;
            let kept = sighting.node_id.clone();
            *entry = Entry { sighting, instance: instance.clone(), heard: now, round };
            let before = table.entries.len();
            table.entries.retain(|entry| entry.instance != instance || entry.sighting.node_id == kept);
            let fewer = table.entries.len() != before;
            drop(table);
            if changed || fewer {
                self.changed();
            }
            return true;
        }
        // What an announcement said before is over when it names another node now.
        let before = table.entries.len();
        table.entries.retain(|entry| entry.instance != instance);
        let fewer = table.entries.len() != before;
        let room = table.make_room(&sighting, now, stale);
        if room {
            table.entries.push(Entry { sighting, instance, heard: now, round });
        }
        drop(table);
        if room || fewer {
            self.changed();
        }
        room
    }

    /// Takes out what an announcement said, which was taken back or ran out.
    pub fn gone(&self, instance: &str) {
        self.retain(|entry, _| !entry.instance.eq_ignore_ascii_case(instance));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.retain(|_, _| false);
    }

    /// The network is being asked anew: what is still there will be heard again.
    pub(super) fn begin_round(&self) {
        self.table().round += 1;
    }

    /// Forgets what this round did not bring again.
    pub(super) fn end_round(&self) {
        self.retain(|entry, round| entry.round >= round);
    }

    fn retain(&self, mut keep: impl FnMut(&Entry, u64) -> bool) {
        let mut table = self.table();
        let (before, round) = (table.entries.len(), table.round);
        table.entries.retain(|entry| keep(entry, round));
        let fewer = table.entries.len() != before;
        drop(table);
        if fewer {
            self.changed();
        }
    }

    fn changed(&self) {
        self.0.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether a new node may come in; takes out another one for it where the rules allow.
    fn make_room(&mut self, new: &Sighting, now: Instant, stale: impl Fn(&Entry) -> bool) -> bool {
        if self.entries.iter().filter(|entry| entry.sighting.addresses.first() == new.addresses.first()).count() >= MOST_AT_ONE_ADDRESS {
            return false;
        }
        if self.entries.len() < MOST_NODES {
            return true;
        }
        let paused = self.evicted.is_some_and(|last| now.saturating_duration_since(last) < EVICTION_PAUSE);
        let Some((at, oldest)) = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.heard) else { return true };
        if paused || !stale(oldest) {
            return false;
        }
        self.entries.remove(at);
        self.evicted = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn node(id: u32, name: &str) -> Sighting {
        Sighting {
            node_id: NodeId::from(format!("{id:08x}-0000-4000-8000-000000000000")),
            hostname: name.to_owned(),
            addresses: vec![IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + id))],
            port: 19532,
            platform: "linux".to_owned(),
            version: "2.0.0".to_owned(),
            capabilities: Vec::new(),
            seen_at: 1,
        }
    }

    #[test]
    fn found_by_name_and_id() {
        let table = Sightings::default();
        assert!(table.heard("loopsy-a", node(0xabcd_0001, "Kai-Mac")) && table.heard("loopsy-b", node(0xabcd_0002, "vm.example.com")));
        assert!(table.heard("loopsy-c", node(0xabcd_0003, "my-box")));
        let names = |text: &str| table.find(text).into_iter().map(|one| one.hostname).collect::<Vec<_>>();
        for text in ["kai-mac", "KAI-MAC.local", "Kai-Mac.local.", "abcd0001", "ABCD0001-0000-4000-8000-000000000000"] {
            assert_eq!(names(text), ["Kai-Mac"], "{text}");
        }
        assert_eq!(names("VM.example.com"), ["vm.example.com"]);
        assert_eq!(names("my_box"), ["my-box"], "announced as a label");
        assert_eq!(names("abcd").len(), 3);
        for text in ["", "abc", ".local", "nobody", "käi!"] {
            assert!(names(text).is_empty(), "{text}");
        }
        assert_eq!(table.get(&NodeId::from("abcd0001-0000-4000-8000-000000000000")).unwrap().hostname, "Kai-Mac");
    }

    #[test]
    fn an_announcement_changes_only_its_own_node() {
        let table = Sightings::default();
        let mut changes = table.watch();
        assert!(table.heard("loopsy-a", node(1, "kai")));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(table.heard("LOOPSY-A", Sighting { seen_at: 2, ..node(1, "kai") }));
        assert!(!changes.has_changed().unwrap(), "only heard again");
        assert!(!table.heard("evil", node(1, "mallory")), "another one for the same node");
        assert!(table.heard("loopsy-a", node(1, "kai2")));
        assert_eq!(table.list()[0].hostname, "kai2");
        assert!(table.heard("loopsy-a", node(2, "leo")));
        assert_eq!(table.list().len(), 1, "the announcement names another node now");
        table.gone("evil");
        assert_eq!(table.list().len(), 1);
        table.gone("Loopsy-A");
        assert!(table.list().is_empty() && changes.has_changed().unwrap());
        assert!(!table.heard(&"x".repeat(300), node(1, "kai")));
    }

    #[test]
    fn a_flood_does_not_push_out_who_was_first() {
        let table = Sightings::default();
        let start = Instant::now();
        assert!(table.heard_at("loopsy-a", node(1, "kai"), start));
        for id in 2..10_000 {
            table.heard_at(&format!("flood-{id}"), node(id, "flood"), start + Duration::from_secs(1));
        }
        assert_eq!((table.list().len(), table.list()[0].hostname.as_str()), (MOST_NODES, "kai"));
        // A quarter of an hour later the oldest makes room, one a second.
        let later = start + STALE;
        assert!(table.heard_at("late", node(20_000, "late"), later));
        assert!(table.get(&node(1, "").node_id).is_none());
        assert!(!table.heard_at("later", node(20_001, "later"), later + Duration::from_millis(999)));
        assert!(table.heard_at("later", node(20_001, "later"), later + EVICTION_PAUSE));
        assert_eq!(table.list().len(), MOST_NODES);
    }

    #[test]
    fn one_address_has_few_nodes() {
        let table = Sightings::default();
        let kept = (0..100).filter(|id| table.heard(&format!("i{id}"), Sighting { addresses: node(7, "").addresses, ..node(*id, "s") })).count();
        assert_eq!(kept, MOST_AT_ONE_ADDRESS);
    }

    #[test]
    fn what_a_round_does_not_bring_again_goes() {
        let table = Sightings::default();
        assert!(table.heard("a", node(1, "kai")) && table.heard("b", node(2, "leo")));
        table.begin_round();
        assert!(table.heard("b", node(2, "leo")));
        table.end_round();
        assert_eq!(table.list().iter().map(|one| one.hostname.as_str()).collect::<Vec<_>>(), ["leo"]);
        table.clear();
        assert!(table.list().is_empty());
    }
}
