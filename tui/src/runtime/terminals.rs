//! Terminals that are looked at: one task each, which brings what is printed in turns and sends what is typed at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loopsy_shared::{
    api::terminals::{AttachTerminal, TerminalSize},
    client::{Attached, Attachment, Client, ClientError},
};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::{network::Abort, words};
use crate::{event::Event, world::TerminalKey};

/// Bytes of all terminals together that are on their way to the screen. When they are used up terminals wait, each for its turn, and their nodes with them.
pub(crate) const BUDGET: usize = 512 << 10;
/// The most of them that is brought at once, so that keys get their turn in between.
const PIECE: usize = 16 << 10;
/// What is typed and not sent yet. More than this is dropped: nothing has been sent for long.
const TYPED: usize = 4 << 20;
/// How long sending may hold up what is printed.
const FLUSH: Duration = Duration::from_millis(50);
/// Between two tries when the local daemon has just come back.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Said {
    typed: Vec<u8>,
    size: Option<TerminalSize>,
}

/// Somebody who looks at a terminal.
#[derive(Debug)]
pub(crate) struct Viewer {
    said: Arc<(Mutex<Said>, Notify)>,
    _task: Abort,
}

impl Viewer {
    /// Begins to look.
    pub(crate) fn start(key: TerminalKey, request: AttachTerminal, mouth: Mouth, clients: watch::Receiver<Option<Client>>) -> Self {
        let said = Arc::new((Mutex::new(Said::default()), Notify::new()));
        let task = tokio::spawn(look(key, request, mouth, clients, Arc::clone(&said)));
        Self { said, _task: Abort::of(&task) }
    }

    /// Types; whether there was room.
    pub(crate) fn input(&self, bytes: &[u8]) -> bool {
        let mut said = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.typed.len() + bytes.len() > TYPED {
            return false;
        }
        said.typed.extend_from_slice(bytes);
        drop(said);
        self.said.1.notify_one();
        true
    }

    /// Takes the size over.
    pub(crate) fn size(&self, size: TerminalSize) {
        self.said.0.lock().unwrap_or_else(PoisonError::into_inner).size = Some(size);
        self.said.1.notify_one();
    }
}

/// Where what is printed goes.
#[derive(Debug, Clone)]
pub(crate) struct Mouth {
    /// To the loop.
    pub(crate) events: mpsc::Sender<Event>,
    /// By turns; the loop gives back what it has taken.
    pub(crate) budget: Arc<Semaphore>,
}

/// The bytes of an event that count.
pub(crate) fn weight(attached: &Attached) -> usize {
    match attached {
        Attached::Drawn(bytes) | Attached::Printed(bytes) => bytes.len(),
        _ => 0,
    }
}

impl Mouth {
    /// Says it when it is this terminal's turn. Can be dropped while it waits.
    async fn say(&self, key: &TerminalKey, queue: &mut VecDeque<Attached>) -> bool {
        let Some(front) = queue.front() else { return true };
        let bytes = u32::try_from(weight(front)).unwrap_or(u32::MAX);
        let Ok(permit) = self.budget.acquire_many(bytes).await else { return false };
        let Ok(slot) = self.events.reserve().await else { return false };
        permit.forget();
        if let Some(attached) = queue.pop_front() {
            slot.send(Event::Terminal(key.clone(), attached));
        }
        true
    }
}

async fn look(key: TerminalKey, mut request: AttachTerminal, mouth: Mouth, mut clients: watch::Receiver<Option<Client>>, said: Arc<(Mutex<Said>, Notify)>) {
    loop {
        let client = clients.borrow_and_update().clone();
        let attached = match &client {
            Some(client) => super::network::at(client, key.node.as_ref()).attach(request.clone()).await.map_err(|error| (error.is_connection(), error)),
            None => {
                let _gone = mouth.events.send(Event::TerminalEnd(key, Some(words::nobody().message))).await;
                return;
            }
        };
        let end = match attached {
            Ok(mut attachment) => match run(&key, &mut attachment, &mouth, &mut clients, &said).await {
                Some(end) => end,
                // The daemon is another one now: the same terminal, from where we are.
                None => {
                    request = AttachTerminal { after: attachment.offset(), claim: false, ..request };
                    continue;
                }
            },
            Err((true, error)) if request.after.is_some() => {
                // It was there before: it may come back.
                if mouth.events.send(Event::Terminal(key.clone(), Attached::Lost(words::sentence(&error)))).await.is_err() {
                    return;
                }
                let _changed = tokio::time::timeout(AGAIN, clients.changed()).await;
                continue;
            }
            Err((_, error)) => Some(words::sentence(&error)),
        };
        let _gone = mouth.events.send(Event::TerminalEnd(key, end)).await;
        return;
    }
}

/// Until the end, or why it ended early; none when the daemon is another one now.
async fn run(
    key: &TerminalKey,
    attachment: &mut Attachment,
    mouth: &Mouth,
    clients: &mut watch::Receiver<Option<Client>>,
    said: &(Mutex<Said>, Notify),
) -> Option<Option<String>> {
    let mut queue: VecDeque<Attached> = VecDeque::new();
    let mut end: Option<Option<String>> = None;
    loop {
        if queue.is_empty() && end.is_some() {
            return end;
        }
        let (has_room, waits, over) = (attachment.has_room(), !queue.is_empty(), end.is_some());
        tokio::select! {
            biased;
            () = said.1.notified(), if has_room && !over => {
                let Said { typed, size } = std::mem::take(&mut *said.0.lock().unwrap_or_else(PoisonError::into_inner));
                if let Some(size) = size {
                    attachment.resize(size.clamped());
                    attachment.claim();
                }
                if !typed.is_empty() {
                    attachment.input(typed);
                }
                let _slow = tokio::time::timeout(FLUSH, attachment.flush()).await;
            }
            heard = mouth.say(key, &mut queue), if waits => {
                if !heard {
                    return Some(None);
                }
            }
            changed = clients.changed(), if !over => {
                changed.ok()?;
                if clients.borrow().is_some() {
                    // What is already here is brought first: the offset counts it.
                    while !queue.is_empty() {
                        if !mouth.say(key, &mut queue).await {
                            return Some(None);
                        }
                    }
                    return None;
                }
            }
            next = attachment.next(), if !waits && !over => match next {
                Some(Ok(attached)) => cut(attached, &mut queue),
                Some(Err(error)) => end = Some(Some(why(&error))),
                None => end = Some(None),
            },
        }
    }
}

fn why(error: &ClientError) -> String {
    words::sentence(error)
}

/// Into pieces that keys can pass.
fn cut(attached: Attached, queue: &mut VecDeque<Attached>) {
    let (mut bytes, make): (_, fn(bytes::Bytes) -> Attached) = match attached {
        Attached::Drawn(bytes) => (bytes, Attached::Drawn),
        Attached::Printed(bytes) => (bytes, Attached::Printed),
        other => return queue.push_back(other),
    };
    while bytes.len() > PIECE {
        queue.push_back(make(bytes.split_to(PIECE)));
    }
    queue.push_back(make(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_cut_into_pieces_in_order() {
        let mut queue = VecDeque::new();
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
        cut(Attached::Printed(bytes.clone().into()), &mut queue);
        assert!(queue.iter().all(|piece| weight(piece) <= PIECE) && queue.len() == 7);
        let all: Vec<u8> = queue.iter().flat_map(|piece| if let Attached::Printed(bytes) = piece { bytes.to_vec() } else { Vec::new() }).collect();
        assert_eq!(all, bytes);
    }
}
