//! The stream of everything that changes.

use std::{borrow::Cow, collections::VecDeque, io, sync::Arc};

use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue};
use loopsy_shared::api::{
    ApiError, Code, Needs, Scope,
    events::{Event, RESUMED_HEADER, Topic, WatchEvents},
};
use tokio::time::Instant;

use crate::{
    app::App,
    events::Read,
    http::{endpoint::Routes, sse},
    trust::Caller,
};

/// Events that are taken from the ring at a time.
const BATCH: usize = 64;

pub(super) fn mount(routes: Routes) -> Routes {
    routes.response(watch)
}

async fn watch(app: App, caller: Caller, request: WatchEvents, headers: HeaderMap) -> Result<Response, ApiError> {
    let topics = topics(&caller, request.topics.as_deref())?;
    fleet(&caller, &request)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(request.since.as_deref());
    let position = last.and_then(|id| app.events.resume(id));
    let resumed = position.is_some();
    let watcher = Watcher {
        app,
        caller,
        topics,
        fleet: request.fleet,
        prefix: request.prefix.unwrap_or_default(),
        position,
        ready: VecDeque::new(),
        over: false,
        beat: Instant::now() + sse::HEARTBEAT,
    };
    let mut response = sse::response(stream::unfold(watcher, |mut watcher| async { watcher.next().await.map(|frame| (frame, watcher)) }));
    if resumed {
        response.headers_mut().insert(RESUMED_HEADER, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What may be asked of a peer's stream for somebody who is not the owner: the peer knows this node's key alone, which may see more than the caller.
pub(in crate::http) fn at_peer(caller: &Caller, request: WatchEvents) -> Result<WatchEvents, ApiError> {
    fleet(caller, &request)?;
    let topics = match request.topics.as_deref() {
        wanted @ Some(_) => topics(caller, wanted)?,
        // Without those that a node shows to nobody else: a peer refuses them when they are named.
        None => Topic::ALL.into_iter().filter(|topic| matches!(needs(*topic), Needs::Scope(_)) && caller.may(needs(*topic))).collect(),
    };
    let topics: Vec<&str> = topics.into_iter().map(Topic::as_str).collect();
    Ok(WatchEvents { topics: Some(topics.join(",")), ..request })
}

fn fleet(caller: &Caller, request: &WatchEvents) -> Result<(), ApiError> {
    if request.fleet && (caller.for_agent || !caller.principal.is_owner()) {
        return Err(ApiError::new(Code::ScopeMissing, "Only the owner may watch this node's peers through it: peers of peers are nothing to each other."));
    }
    Ok(())
}

/// What a topic asks for. Transfers touch this node's own files and are the owner's.
fn needs(topic: Topic) -> Needs {
    match topic {
        Topic::Peers => Needs::Scope(Scope::Status),
        Topic::Jobs => Needs::Scope(Scope::Execute),
        Topic::Context => Needs::Scope(Scope::Context),
        Topic::Transfers => Needs::Local,
        Topic::Pairing => Needs::Admin,
        Topic::Tasks => Needs::Scope(Scope::AiTasks),
        Topic::Approvals => Needs::Scope(Scope::Approve),
        Topic::Terminals => Needs::Scope(Scope::Terminal),
    }
}

/// The topics asked for, as far as the caller may see them.
fn topics(caller: &Caller, wanted: Option<&str>) -> Result<Vec<Topic>, ApiError> {
    let may = |topic: Topic| caller.may(needs(topic));
    let Some(wanted) = wanted else { return Ok(Topic::ALL.into_iter().filter(|topic| may(*topic)).collect()) };
    let mut topics = Vec::new();
    for word in wanted.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let topic = Topic::ALL.into_iter().find(|topic| topic.as_str() == word).ok_or_else(|| {
            ApiError::new(Code::InvalidRequest, format!("There is no topic `{}`.", loopsy_shared::text::inert(word)))
                .hint("Topics are peers, jobs, transfers, context, pairing, tasks, approvals and terminals.")
        })?;
        if !may(topic) {
            return Err(ApiError::new(Code::ScopeMissing, format!("The key of `{}` may not watch {word}.", caller.principal.name)));
        }
        topics.push(topic);
    }
    Ok(topics)
}

struct Watcher {
    app: App,
    caller: Caller,
    topics: Vec<Topic>,
    /// Whether it is also about peers. Never for another node, so that no stream feeds on itself.
    fleet: bool,
    prefix: String,
    /// The last event that this stream has dealt with; none before the snapshot.
    position: Option<u64>,
    ready: VecDeque<(u64, Arc<Event>)>,
    over: bool,
    /// When the next heartbeat is due. Events that this stream does not want do not put it off.
    beat: Instant,
}

impl Watcher {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if self.over {
                return None;
            }
            if self.position.is_some() && Instant::now() >= self.beat {
                self.beat = Instant::now() + sse::HEARTBEAT;
                return Some(Ok(sse::BEAT));
            }
            if let Some((position, event)) = self.ready.pop_front() {
                self.position = Some(position);
                if self.wants(&event)
                    && let Some(event) = self.filled(&event)
                {
                    return Some(self.frame(position, &event));
                }
                continue;
            }
            let Some(position) = self.position else {
                // First the position, then the picture: what happens in between comes again, and applying it twice is harmless.
                let position = self.app.events.position();
                let snapshot = self.snapshot();
                self.position = Some(position);
                return Some(self.frame(position, &snapshot));
            };
            match self.app.events.after(position, BATCH) {
                Read::Gone => self.position = None,
                Read::Events(events) if events.is_empty() => {
                    tokio::select! {
                        () = self.app.events.changed_since(position) => {}
                        () = tokio::time::sleep_until(self.beat) => {}
                        () = self.app.stopping.cancelled() => {
                            self.over = true;
                            return Some(self.frame(position, &Event::Closing {}));
                        }
                        () = self.caller.principal.revoked.cancelled() => return None,
                    }
                }
                Read::Events(events) => self.ready.extend(events),
            }
        }
    }

    /// An event as it is sent: where there is a new picture of a peer, the picture as it is now. None when the peer has been removed since.
    fn filled<'e>(&self, event: &'e Event) -> Option<Cow<'e, Event>> {
        match event {
            Event::PeerPicture { picture } => self.app.fleet.get(&picture.node_id, &self.topics).map(|picture| Cow::Owned(Event::PeerPicture { picture })),
            event => Some(Cow::Borrowed(event)),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        if event.is_of_peer() && !(self.fleet && Topic::OF_PEERS.iter().any(|topic| self.topics.contains(topic))) {
            return false;
        }
        let key = match event {
            Event::ContextChanged { entry } => Some(&entry.key),
            Event::ContextRemoved { key } => Some(key),
            _ => None,
        };
        event.topic().is_none_or(|topic| self.topics.contains(&topic)) && key.is_none_or(|key| key.starts_with(&self.prefix))
    }

    fn snapshot(&self) -> Event {
        let wants = |topic| self.topics.contains(&topic);
        Event::Snapshot {
            node_id: self.app.node_id.clone(),
            peers: if wants(Topic::Peers) { self.app.peers.list() } else { Vec::new() },
            jobs: if wants(Topic::Jobs) { self.app.jobs.all() } else { Vec::new() },
            transfers: if wants(Topic::Transfers) { self.app.transfers.list() } else { Vec::new() },
            context: if wants(Topic::Context) { self.app.context.entries(&self.prefix) } else { Vec::new() },
            tasks: if wants(Topic::Tasks) { self.app.tasks.list() } else { Vec::new() },
            approvals: if wants(Topic::Approvals) { self.app.approvals.open() } else { Vec::new() },
            terminals: if wants(Topic::Terminals) { self.app.terminals.list() } else { Vec::new() },
            fleet: if self.fleet { self.app.fleet.list(&self.topics) } else { Vec::new() },
        }
    }

    fn frame(&self, position: u64, event: &Event) -> io::Result<Bytes> {
        sse::frame(Some(&self.app.events.id(position)), event).map_err(io::Error::from)
    }
}
