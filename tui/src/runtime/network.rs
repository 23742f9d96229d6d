//! What is done with the network: requests, the log of a task, terminals, commands. Each in a task of its own; what comes of it is an event.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::StreamExt;
use loopsy_shared::{
    api::{
        ai_tasks::{TaskEvent, TaskEventKind, TaskStatus, WatchTask},
        terminals::{AttachTerminal, TerminalSize},
    },
    client::{Client, ClientError, Watched},
    id::NodeId,
    text::inert,
};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    task::{AbortHandle, JoinHandle},
};

use super::{
    exec::{self, Run},
    terminals::{Hearing, Mouth, Viewer},
    turns::{self, Turns},
    words,
};
use crate::{
    event::{Answered, Event, Failure},
    request::{self, Place, Request},
    world::{TaskKey, TerminalKey},
};

/// Requests that are asked at a time; further ones wait, but for those that [`turns`] lets pass.
const AT_ONCE: usize = 16;
/// Requests that wait. One more is refused: nobody presses so many keys.
const WAITING: usize = 512;
/// Commands that run at a time.
const RUNS: usize = 32;

/// Events of what was begun and may be begun anew, a log or a terminal: each with the number of the beginning that it comes from.
pub(crate) type Numbered = mpsc::Sender<(u64, Event)>;

/// Ends a task when it goes.
#[derive(Debug)]
pub(crate) struct Abort(AbortHandle);

impl Abort {
    pub(crate) fn of(task: &JoinHandle<()>) -> Self {
        Self(task.abort_handle())
    }

    /// Whether it has ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The way to a peer, or to the local daemon itself.
pub(crate) fn at(client: &Client, node: Option<&NodeId>) -> Client {
    node.map_or_else(|| client.clone(), |node| client.at(node.as_str()))
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Network {
    events: mpsc::Sender<Event>,
    numbered: Numbered,
    clients: watch::Receiver<Option<Client>>,
    budget: Arc<Semaphore>,
    asking: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    turns: Turns,
    /// The last number that was given.
    number: u64,
    follow: Option<(u64, Abort)>,
    viewers: HashMap<TerminalKey, Viewer>,
    runs: HashMap<u64, Run>,
}

impl Network {
    pub(crate) fn new(events: mpsc::Sender<Event>, numbered: Numbered, clients: watch::Receiver<Option<Client>>, budget: Arc<Semaphore>) -> Self {
        Self {
            events,
            numbered,
            clients,
            budget,
            asking: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::default(),
            turns: Turns::default(),
            number: 0,
            follow: None,
            viewers: HashMap::new(),
            runs: HashMap::new(),
        }
    }

    /// Whether what comes with this number is still wanted. What was begun anew, or ended from here, may have left something on its way.
    pub(crate) fn is_current(&self, number: u64) -> bool {
        self.follow.as_ref().is_some_and(|(follow, _)| *follow == number) || self.viewers.values().any(|viewer| viewer.number == number)
    }

    /// Asks a node; the answer comes as an event whatever happens.
    pub(crate) fn call(&mut self, place: Place, node: Option<NodeId>, request: Request) {
        let (events, client, asking, waiting) = (self.events.clone(), self.clients.borrow().clone(), Arc::clone(&self.asking), Arc::clone(&self.waiting));
        let many = waiting.fetch_add(1, Ordering::Relaxed) >= WAITING;
        let mut turn = if many { None } else { self.turns.stand(node.as_ref(), &request) };
        tokio::spawn(async move {
            let result = match client {
                _ if many => Err(Failure { message: "Too much is asked at once: wait for answers.".to_owned(), code: None, status: None }),
                None => Err(words::nobody()),
                Some(client) => {
                    if let Some(turn) = &mut turn {
                        turn.come().await;
                    }
                    let _place = if turns::is_counted(&request) { asking.acquire().await.ok() } else { None };
                    request::ask(&at(&client, node.as_ref()), request.clone()).await.map_err(|error| words::failure(&error))
                }
            };
            drop(turn);
            waiting.fetch_sub(1, Ordering::Relaxed);
            let _gone = events.send(Event::Answer(Box::new(Answered { place, at: node, request, result }))).await;
        });
    }

    /// Follows the log of a task, and no other's.
    pub(crate) fn follow(&mut self, which: Option<(TaskKey, u64)>) {
        self.number += 1;
        let number = self.number;
        self.follow = which.map(|(key, after)| (number, Abort::of(&tokio::spawn(follow(key, after, (number, self.numbered.clone()), self.clients.clone())))));
    }

    pub(crate) fn attach(&mut self, key: TerminalKey, size: Option<TerminalSize>, scrollback: u32) {
        let size = size.map(TerminalSize::clamped);
        let request = AttachTerminal {
            terminal_id: key.id.clone(),
            after: None,
            read_only: false,
            claim: size.is_some(),
            cols: size.map(|size| size.cols),
            rows: size.map(|size| size.rows),
            scrollback: Some(scrollback),
        };
        // The one before ends first, so that its words do not mix with those of this one.
        self.viewers.remove(&key);
        self.number += 1;
        let mouth = Mouth { number: self.number, events: self.numbered.clone(), budget: Arc::clone(&self.budget) };
        let viewer = Viewer::start(key.clone(), request, mouth, self.clients.clone());
        self.viewers.insert(key, viewer);
    }

    pub(crate) fn detach(&mut self, key: &TerminalKey) {
        self.viewers.remove(key);
    }

    /// Types; what became of it.
    pub(crate) fn input(&self, key: &TerminalKey, bytes: &[u8]) -> Hearing {
        self.viewers.get(key).map_or(Hearing::Nobody, |viewer| viewer.input(bytes))
    }

    pub(crate) fn size(&self, key: &TerminalKey, size: TerminalSize) {
        if let Some(viewer) = self.viewers.get(key) {
            viewer.size(size);
        }
    }

    /// Runs a command line in the shell of a node.
    pub(crate) fn exec(&mut self, number: u64, node: Option<NodeId>, windows: bool, line: String) {
        self.runs.retain(|_, run| !run.is_over());
        let events = self.events.clone();
        match self.clients.borrow().clone() {
            Some(client) if self.runs.len() < RUNS => {
                let stop = Arc::new(Notify::new());
                let task = tokio::spawn(exec::run(number, at(&client, node.as_ref()), windows, line, events, Arc::clone(&stop)));
                self.runs.insert(number, Run { stop, task });
            }
            client => {
                let why = if client.is_none() { words::nobody().message } else { format!("{RUNS} commands run already: end one of them.") };
                tokio::spawn(async move {
                    let _gone = events.send(Event::Exec(number, Err(why))).await;
                });
            }
        }
    }

    /// Ends a command.
    pub(crate) fn end_exec(&mut self, number: u64) {
        if let Some(run) = self.runs.get(&number) {
            run.stop.notify_one();
        }
    }
}

async fn follow(key: TaskKey, mut after: u64, (number, events): (u64, Numbered), mut clients: watch::Receiver<Option<Client>>) {
    loop {
        let Some(client) = clients.borrow_and_update().clone() else {
            let _gone = events.send((number, Event::LogEnd(key, Some(words::nobody().message)))).await;
            return;
        };
        let begin = (after > 0).then(|| after.to_string());
        let request = WatchTask { task_id: key.id.clone(), since: None, after: None };
        let end = match at(&client, key.node.as_ref()).watch(&request, begin.as_deref()) {
            Ok(stream) => {
                let mut stream = Box::pin(stream);
                loop {
                    tokio::select! {
                        // The daemon is another one now, perhaps elsewhere.
                        changed = clients.changed() => match changed {
                            Ok(()) => break None,
                            Err(_) => return,
                        },
                        item = stream.next() => match item {
                            Some(Ok(watched)) => {
                                let last = match &watched {
                                    Watched::Event { event, .. } => {
                                        after = after.max(event.seq);
                                        last_word(event)
                                    }
                                    Watched::Connected | Watched::Lost(_) => None,
                                };
                                if events.send((number, Event::Log(key.clone(), Box::new(watched)))).await.is_err() {
                                    return;
                                }
                                if last.is_some() {
                                    break last;
                                }
                            }
                            // One event that this version does not know is no reason to miss the others.
                            Some(Err(ClientError::Protocol { .. })) => {}
                            Some(Err(error)) => break Some(Some(words::sentence(&error))),
                            None => break Some(None),
                        },
                    }
                }
            }
            Err(error) => Some(Some(words::sentence(&error))),
        };
        if let Some(end) = end {
            let _gone = events.send((number, Event::LogEnd(key, end))).await;
            return;
        }
    }
}

/// Whether nothing comes after it: the task has ended, or there is none; then why.
fn last_word(event: &TaskEvent) -> Option<Option<String>> {
    match event.kind {
        _ if event.seq != 0 => None,
        TaskEventKind::Status => serde_json::from_value::<TaskStatus>(event.data["status"].clone()).is_ok_and(TaskStatus::is_ended).then_some(None),
        TaskEventKind::Error => Some(Some(inert(event.data.as_str().unwrap_or("The node says no more of this task.")).into_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(kind: &str, seq: u64, data: serde_json::Value) -> Option<Option<String>> {
        last_word(&serde_json::from_value(serde_json::json!({"seq": seq, "type": kind, "taskId": "t", "timestamp": 1, "data": data})).unwrap())
    }

    #[test]
    fn a_log_ends_with_its_last_word_only() {
        let status = |status: &str| serde_json::json!({ "status": status });
        assert_eq!(word("status", 0, status("completed")), Some(None));
        assert_eq!(word("status", 0, status("running")), None);
        assert_eq!(word("status", 9, status("completed")), None, "what is stored may be followed by more");
        assert_eq!(word("text", 0, "hi".into()), None);
        assert_eq!(word("error", 0, "There is \u{1b} no such task.".into()), Some(Some("There is \\u{1b} no such task.".to_owned())));
    }

    #[tokio::test]
    async fn the_end_of_the_one_before_is_not_the_end_of_this_one() {
        let (events, _incoming) = mpsc::channel(8);
        let (numbered, mut streams) = mpsc::channel(8);
        // Nobody can be reached: all of them end at once.
        let (_client, clients) = watch::channel(None);
        let mut network = Network::new(events, numbered, clients, Arc::new(Semaphore::new(1)));
        let terminal = TerminalKey { node: None, id: "t".into() };
        let task = |id: &str| Some((TaskKey { node: None, id: id.into() }, 0));
        network.attach(terminal.clone(), None, 10);
        let (first, event) = streams.recv().await.unwrap();
        assert!(matches!(event, Event::TerminalEnd(..)) && network.is_current(first));
        network.attach(terminal.clone(), None, 10);
        let (second, _) = streams.recv().await.unwrap();
        assert!(!network.is_current(first) && network.is_current(second));
        network.detach(&terminal);
        assert!(!network.is_current(second));
        network.follow(task("a"));
        let (a, _) = streams.recv().await.unwrap();
        network.follow(task("b"));
        network.follow(task("a"));
        assert!(!network.is_current(a));
        let (again, event) = streams.recv().await.unwrap();
        assert!(matches!(event, Event::LogEnd(..)) && network.is_current(again));
        assert_eq!(network.input(&terminal, b"x"), Hearing::Nobody);
    }
}
