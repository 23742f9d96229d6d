//! Messages as they travel: envelopes in context entries. Everything that knows of keys, envelopes and the order of writes is here, so that another way of
//! delivery can take its place.
//!
//! A message is written to the receiver as `inbox:<receiver>:<id>` and, once that answered, here as `outbox:<id>`. An acknowledgement is written to the sender as
//! `ack:<receiver>`, with the id of the last message acknowledged; then the entry of the inbox goes.

use std::collections::{BTreeMap, BTreeSet};

use loopsy_shared::{
    api::context::{ContextEntry, ContextKey, DeleteContext, SetContext, Ttl},
    id::NodeId,
    secret::digest,
    time::Millis,
};
use serde_json::Value;

use crate::{app::Cx, event::Answered, request::Request, world::World};

mod envelope;

pub(super) use envelope::Envelope;

/// Seconds that a message lives.
const MESSAGE_TTL: u64 = 3600;
/// Seconds that an acknowledgement lives.
const ACK_TTL: u64 = 7200;
/// Messages that are remembered; the oldest that are not stored any more go.
const MOST: usize = 5000;
/// Longest body, in bytes: with its envelope it must fit into a value.
const MOST_BODY: usize = 500_000;

/// Who a message is from or to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// A peer.
    Node(NodeId),
    /// A name that no peer, or more than one, has.
    Name(String),
    /// What cannot be read.
    Nobody,
}

/// How far a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Ours, and the peer has not answered.
    Sending,
    /// Ours, and the peer stored it.
    Delivered,
    /// Ours, and the peer did not store it: why.
    Failed(String),
    /// Ours, and the peer says that it was acknowledged.
    Acked(Millis),
    /// Theirs, and it waits.
    Here,
    /// Theirs, and the acknowledgement is on its way.
    Acking,
    /// Theirs, and the sender knows that it is acknowledged, but it is still stored here: why.
    AckedButHere(String),
    /// Theirs, acknowledged and gone from here.
    Done,
    /// Theirs, and it was acknowledged elsewhere or has expired.
    Gone,
    /// No message at all: why.
    Broken(String),
}

/// A message, or what stands where one should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) party: Party,
    pub(super) incoming: bool,
    pub(super) envelope: Envelope,
    /// The key that it has, or had, here.
    pub(super) key: String,
    /// As it travelled.
    pub(super) raw: String,
    pub(super) state: State,
}

/// All messages.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// This node's name, as messages have it.
    own: Option<String>,
    /// By time, then id.
    messages: BTreeMap<(Millis, String), Message>,
    /// When each is from.
    times: BTreeMap<String, Millis>,
    read: BTreeSet<String>,
    /// Entries of this node that were looked at, by key: what has not changed is not parsed again.
    seen: BTreeMap<String, Seen>,
}

/// An entry that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    version: u64,
    at: Millis,
    broken: bool,
}

impl Mail {
    /// All of them, oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.values()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Message> {
        self.messages.get(&(*self.times.get(id)?, id.to_owned()))
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut Message> {
        self.messages.get_mut(&(*self.times.get(id)?, id.to_owned()))
    }

    fn put(&mut self, message: Message) {
        let id = message.envelope.id.clone();
        self.times.insert(id.clone(), message.envelope.ts);
        self.messages.insert((message.envelope.ts, id), message);
    }

    /// Whether nobody has seen it.
    pub(super) fn is_unread(&self, message: &Message) -> bool {
        message.incoming && matches!(message.state, State::Here) && !self.read.contains(&message.envelope.id)
    }

    /// Somebody has seen it.
    pub(super) fn read(&mut self, id: &str) {
        self.read.insert(id.to_owned());
    }

    /// Ids that were read, to be remembered: of messages that are still stored, as far as that is known. They say when and from whom, and not what.
    pub(super) fn read_ids(&self) -> impl Iterator<Item = &String> {
        self.read.iter().filter(|id| self.get(id).is_none_or(|message| !matches!(message.state, State::Done | State::Gone)))
    }

    /// Whether an entry is as it was when it was looked at last. Whatever it is, it is known then.
    fn knows(&mut self, before: &BTreeMap<String, Seen>, key: &str, entry: &ContextEntry) -> bool {
        match before.get(key).filter(|seen| (seen.version, seen.at) == (entry.version, entry.updated_at)) {
            Some(seen) => {
                self.seen.insert(key.to_owned(), *seen);
                true
            }
            None => false,
        }
    }

    fn saw(&mut self, key: &str, entry: &ContextEntry, broken: bool) {
        self.seen.insert(key.to_owned(), Seen { version: entry.version, at: entry.updated_at, broken });
    }

    /// Looks at the entries of this node that are new or changed; whether that led to anything.
    pub(super) fn update(&mut self, world: &World) -> bool {
        if let Some(status) = &world.status
            && self.own.as_ref() != Some(&status.hostname)
        {
            self.own = Some(status.hostname.clone());
            self.seen.clear();
        }
        let Some(own) = self.own.clone() else { return false };
        let before = std::mem::take(&mut self.seen);
        let mut changed = false;
        for (key, entry) in with_prefix(world, "inbox:") {
            if self.knows(&before, key, entry) {
                continue;
            }
            changed = true;
            let rest = key.strip_prefix("inbox:").unwrap_or_default();
            let read = match rest.strip_prefix(own.as_str()).and_then(|rest| rest.strip_prefix(':')) {
                None => Err("it is for another machine".to_owned()),
                Some(id) => Envelope::parse(&entry.value)
                    .and_then(|envelope| if envelope.id == id { Ok(envelope) } else { Err("its key has another id than itself".to_owned()) }),
            };
            match read {
                Ok(envelope) => {
                    self.saw(key, entry, false);
                    if self.get(&envelope.id).is_none_or(|known| known.state == State::Gone) {
                        let party = party(world, &envelope.from, Some(&entry.from_node_id));
                        self.put(Message { party, incoming: true, envelope, key: key.clone(), raw: entry.value.clone(), state: State::Here });
                    }
                }
                Err(why) => self.broken(key, entry, why),
            }
        }
        for (key, entry) in with_prefix(world, "outbox:") {
            if self.knows(&before, key, entry) {
                continue;
            }
            changed = true;
            match Envelope::parse(&entry.value) {
                Ok(envelope) if self.get(&envelope.id).is_none() => {
                    self.saw(key, entry, false);
                    let party = party(world, &envelope.to, None);
                    self.put(Message { party, incoming: false, envelope, key: key.clone(), raw: entry.value.clone(), state: State::Delivered });
                }
                Ok(_) => self.saw(key, entry, false),
                Err(why) => self.broken(key, entry, why),
            }
        }
        for (key, entry) in with_prefix(world, "ack:") {
            let host = key.strip_prefix("ack:").unwrap_or_default();
            if let Some(message) = self.get_mut(&entry.value)
                && !message.incoming
                && message.envelope.to == host
                && message.state != State::Acked(entry.updated_at)
            {
                message.state = State::Acked(entry.updated_at);
                changed = true;
            }
        }
        // What is gone is remembered while this runs, and said to be gone.
        let seen = &self.seen;
        let is_there = |message: &Message| seen.get(&message.key).is_some_and(|seen| seen.broken == (message.party == Party::Nobody));
        for message in self.messages.values_mut().filter(|message| message.incoming && !is_there(message)) {
            if matches!(message.state, State::Here | State::Broken(_)) {
                message.state = State::Gone;
                changed = true;
            }
        }
        self.messages.retain(|_, message| !(message.state == State::Gone && message.party == Party::Nobody));
        // Before the first snapshot nothing is known of what still exists.
        if world.node_id.is_some() {
            let times = &self.times;
            self.read.retain(|id| times.contains_key(id));
        }
        self.forget();
        changed
    }

    fn broken(&mut self, key: &str, entry: &ContextEntry, why: String) {
        self.saw(key, entry, true);
        let envelope = Envelope {
            from: String::new(),
            to: String::new(),
            ts: entry.updated_at,
            id: key.to_owned(),
            kind: String::new(),
            body: entry.value.clone(),
            reply_to: None,
        };
        if let Some(at) = self.times.remove(key) {
            self.messages.remove(&(at, key.to_owned()));
        }
        self.put(Message { party: Party::Nobody, incoming: true, envelope, key: key.to_owned(), raw: entry.value.clone(), state: State::Broken(why) });
    }

    /// The oldest that are not stored here any more go, when there are too many.
    fn forget(&mut self) {
        while self.messages.len() > MOST {
            let over = |message: &Message| matches!(message.state, State::Done | State::Gone | State::Acked(_) | State::Delivered);
            let Some(key) = self.messages.iter().find(|(_, message)| over(message)).map(|(key, _)| key.clone()) else { return };
            self.messages.remove(&key);
            self.times.remove(&key.1);
        }
    }

    /// Sends a message to a peer; its id.
    ///
    /// # Errors
    /// Why it cannot be sent at all.
    pub(super) fn send(&mut self, to: &NodeId, body: &str, kind: &str, cx: &mut Cx<'_>) -> Result<String, String> {
        let own = self.own.clone().ok_or_else(|| "The name of this machine is not known yet: the daemon has not told it. r tries again.".to_owned())?;
        let peer = cx.world.peers.get(to).ok_or_else(|| "This machine is no peer any more.".to_owned())?;
        if body.len() > MOST_BODY {
            return Err(format!("The message is longer than {MOST_BODY} bytes. Press s in Peers to send it as a file."));
        }
        let number = cx.number();
        let [high, low, ..] = digest(format!("{}:{}:{number}:{body}", cx.now.wall, cx.now.since).as_bytes());
        let ts = cx.now.wall.max(1);
        let id = format!("{ts}-{own}-{:04x}", u16::from_be_bytes([high, low]) % 0xffff);
        let envelope = Envelope { from: own, to: peer.hostname.clone(), ts, id: id.clone(), kind: kind.to_owned(), body: body.to_owned(), reply_to: None };
        envelope.check().map_err(|why| format!("The message cannot be addressed: {why}."))?;
        let (raw, key) = (envelope.wire(), format!("outbox:{id}"));
        self.put(Message { party: Party::Node(to.clone()), incoming: false, envelope, key, raw, state: State::Sending });
        self.deliver(&id, cx)?;
        Ok(id)
    }

    /// Sends a message that failed once more: the same, so that nobody gets it twice.
    ///
    /// # Errors
    /// Why it cannot be sent at all.
    pub(super) fn again(&mut self, id: &str, cx: &mut Cx<'_>) -> Result<(), String> {
        match self.get(id).map(|message| &message.state) {
            Some(State::Failed(_)) => self.deliver(id, cx),
            _ => Err("Only a message that failed is sent again.".to_owned()),
        }
    }

    fn deliver(&mut self, id: &str, cx: &mut Cx<'_>) -> Result<(), String> {
        let Some(message) = self.get_mut(id) else { return Ok(()) };
        let Party::Node(node) = &message.party else { return Err("No peer has this name.".to_owned()) };
        let request = set(format!("inbox:{}:{id}", message.envelope.to), message.raw.clone(), MESSAGE_TTL)?;
        cx.call(Some(node), request);
        message.state = State::Sending;
        Ok(())
    }

    /// Acknowledges a message: tells the sender's node, and then forgets it here.
    ///
    /// # Errors
    /// Why that cannot be.
    pub(super) fn ack(&mut self, id: &str, cx: &mut Cx<'_>) -> Result<(), String> {
        let own = self.own.clone().ok_or_else(|| "The name of this machine is not known yet. r tries again.".to_owned())?;
        let message = self.get_mut(id).filter(|message| message.incoming).ok_or_else(|| "Only what came from others is acknowledged.".to_owned())?;
        match &message.state {
            State::Here => {}
            State::AckedButHere(_) => {
                let request = delete(&message.key)?;
                message.state = State::Acking;
                cx.call(None, request);
                return Ok(());
            }
            State::Acking => return Ok(()),
            State::Broken(_) => return Err("This is no message that can be acknowledged. 3 shows its entry, where x deletes it.".to_owned()),
            _ => return Err("It is acknowledged already, or no longer here.".to_owned()),
        }
        let Party::Node(node) = &message.party else {
            return Err(format!(
                "No peer, or more than one, is called `{}`: nobody can be told. 3 shows its entry, where x deletes it.",
                message.envelope.from
            ));
        };
        let request = set(format!("ack:{own}"), id.to_owned(), ACK_TTL)?;
        cx.call(Some(node), request);
        message.state = State::Acking;
        self.read(id);
        Ok(())
    }

    /// An answer to any of these. What went wrong is told.
    pub(super) fn answered(&mut self, answered: &Answered, cx: &mut Cx<'_>) {
        let failure = answered.result.as_ref().err().map(|failure| failure.message.clone());
        match &answered.request {
            Request::SetContext(request) => {
                let key = request.key.as_str();
                if key.starts_with("inbox:") {
                    let id = key.rsplit(':').next().unwrap_or_default();
                    self.delivered(id, &request.value, failure, cx);
                } else if let Some(id) = key.strip_prefix("outbox:") {
                    if let (Some(why), Some(message)) = (failure, self.get(id)) {
                        cx.bad(format!("The message to {} was delivered, but this machine keeps no copy of it: {why}", message.envelope.to));
                    }
                } else if key.starts_with("ack:") {
                    self.acked(&request.value.clone(), failure, cx);
                }
            }
            Request::DeleteContext(request) => {
                let id = request.key.as_str().rsplit(':').next().unwrap_or_default().to_owned();
                let gone = matches!(answered.result.as_ref().err().and_then(|failure| failure.status), Some(404));
                let Some(message) = self.get_mut(&id) else { return };
                match failure.filter(|_| !gone) {
                    None => message.state = State::Done,
                    Some(why) => {
                        cx.bad(format!("The message of {} is acknowledged, but is still stored here: {why} Space tries again.", message.envelope.from));
                        message.state = State::AckedButHere(why);
                    }
                }
            }
            _ => {}
        }
    }

    fn delivered(&mut self, id: &str, raw: &str, failure: Option<String>, cx: &mut Cx<'_>) {
        let Some(message) = self.get_mut(id) else { return };
        if let Some(why) = failure {
            cx.bad(format!("The message to {} was not delivered: {why} r sends it again.", message.envelope.to));
            message.state = State::Failed(why);
            return;
        }
        // It may have been acknowledged by now.
        if message.state == State::Sending {
            message.state = State::Delivered;
        }
        match set(message.key.clone(), raw.to_owned(), MESSAGE_TTL) {
            Ok(request) => cx.call(None, request),
            Err(why) => cx.bad(why),
        }
    }

    fn acked(&mut self, id: &str, failure: Option<String>, cx: &mut Cx<'_>) {
        let Some(message) = self.get_mut(id) else { return };
        if let Some(why) = failure {
            cx.bad(format!("{} does not know yet that its message is acknowledged: {why} Space tries again.", message.envelope.from));
            message.state = State::Here;
            return;
        }
        match delete(&message.key) {
            Ok(request) => cx.call(None, request),
            Err(why) => cx.bad(why),
        }
    }
}

/// Entries whose keys begin so.
fn with_prefix<'a>(world: &'a World, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a ContextEntry)> {
    world.context.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
}

/// The peer of this name; the one that wrote the entry where several have it.
fn party(world: &World, name: &str, writer: Option<&str>) -> Party {
    let mut named = world.peers.values().filter(|peer| peer.hostname == name);
    let by_writer = named.clone().find(|peer| Some(peer.node_id.as_str()) == writer);
    match (by_writer, named.next(), named.next()) {
        (Some(peer), ..) | (None, Some(peer), None) => Party::Node(peer.node_id.clone()),
        _ => Party::Name(name.to_owned()),
    }
}

fn set(key: String, value: String, ttl: u64) -> Result<SetContext, String> {
    Ok(SetContext {
        key: ContextKey::try_from(key).map_err(|why| format!("The message cannot be addressed: {why}."))?,
        value,
        ttl: Ttl::from_seconds(ttl).ok(),
        if_version: None,
    })
}

fn delete(key: &str) -> Result<DeleteContext, String> {
    Ok(DeleteContext { key: ContextKey::try_from(key.to_owned())?, if_version: None })
}

/// For the answer's type: an entry that was stored.
#[cfg(test)]
pub(super) fn stored(entry: Value) -> crate::request::Answer {
    crate::request::Answer::SetContext(Box::new(serde_json::from_value(entry).unwrap_or_else(|why| panic!("{why}"))))
}

/// The envelope view: key, then the fields as they travelled.
pub(super) fn raw_of(message: &Message) -> Vec<String> {
    let pretty = serde_json::from_str::<Value>(&message.raw).and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| message.raw.clone());
    std::iter::once(message.key.clone()).chain(std::iter::once(String::new())).chain(pretty.lines().map(str::to_owned)).collect()
}
