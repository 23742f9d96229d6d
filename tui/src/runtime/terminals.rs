//! Terminals that are looked at: one task each, which brings what is printed in turns and sends what is typed at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loopsy_shared::{
    api::terminals::{AttachTerminal, TerminalSize},
    client::{Attached, Attachment, Client},
};
use tokio::sync::{Notify, Semaphore, watch};

use super::{
    network::{Abort, Numbered},
    words,
};
use crate::{event::Event, world::TerminalKey};

/// Bytes of all terminals together that are on their way to the screen. When they are used up terminals wait, each for its turn, and their nodes with them.
///
/// What a program answers to a key comes behind all of them, and behind the message of the node that they were cut from: 256 KiB at most. At the 10 MB a second that
/// are drawn that is 7 ms and 26 ms at most; with a frame that has just begun (17 ms) it makes 50. Half a megabyte alone would be that. More would make nothing
/// faster: whatever was drawn is brought again within a fraction of a millisecond.
pub(crate) const BUDGET: usize = 64 << 10;
/// The most of them that is brought at once, so that keys get their turn in between: after less than a millisecond. Passing one on costs about a hundredth of that.
const PIECE: usize = 8 << 10;
/// What is typed and not sent yet, by a long paste. More than this is not taken.
const TYPED: usize = 4 << 20;
/// How long sending may hold up what is printed.
const FLUSH: Duration = Duration::from_millis(50);
/// Between two tries when the local daemon has just come back.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
struct Said {
    typed: Vec<u8>,
    size: Option<TerminalSize>,
    /// The connection is lost: nothing is typed. It would be sent when nobody remembers it.
    lost: bool,
}

impl Said {
    fn lose(&mut self) {
        self.lost = true;
        self.typed.clear();
    }
}

/// What became of something that was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It goes to the program.
    Taken,
    /// It is too much.
    Full,
    /// The connection is lost.
    Lost,
    /// Nobody looks at this terminal.
    Nobody,
}

/// Somebody who looks at a terminal.
#[derive(Debug)]
pub(crate) struct Viewer {
    /// What its events are known by.
    pub(super) number: u64,
    said: Arc<(Mutex<Said>, Notify)>,
    task: Abort,
}

impl Viewer {
    /// Begins to look.
    pub(crate) fn start(key: TerminalKey, request: AttachTerminal, mouth: Mouth, clients: watch::Receiver<Option<Client>>) -> Self {
        let (said, number) = (Arc::new((Mutex::new(Said::default()), Notify::new())), mouth.number);
        let task = tokio::spawn(look(key, request, mouth, clients, Arc::clone(&said)));
        Self { number, said, task: Abort::of(&task) }
    }

    /// Types.
    pub(crate) fn input(&self, bytes: &[u8]) -> Hearing {
        if self.task.is_over() {
            return Hearing::Nobody;
        }
        let mut said = self.said.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.lost {
            return Hearing::Lost;
        }
        if said.typed.len() + bytes.len() > TYPED {
            return Hearing::Full;
        }
        said.typed.extend_from_slice(bytes);
        drop(said);
        self.said.1.notify_one();
        Hearing::Taken
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
    /// Whose it is.
    pub(crate) number: u64,
    /// To the loop.
    pub(crate) events: Numbered,
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
            slot.send((self.number, Event::Terminal(key.clone(), attached)));
        }
        true
    }

    /// Says something without weight at once; whether anybody listens.
    async fn tell(&self, event: Event) -> bool {
        self.events.send((self.number, event)).await.is_ok()
    }
}

/// The size of the window as it was last, and whether it is the terminal's.
#[derive(Debug, Clone, Copy)]
struct Window {
    size: Option<TerminalSize>,
    owner: bool,
}

impl Window {
    /// The same terminal once more, from where we are: with the size if it was ours, and without taking it from anybody.
    fn again(self, after: Option<u64>, request: AttachTerminal) -> AttachTerminal {
        let size = self.size.filter(|_| self.owner);
        AttachTerminal { after, claim: false, cols: size.map(|size| size.cols), rows: size.map(|size| size.rows), ..request }
    }
}

async fn look(key: TerminalKey, mut request: AttachTerminal, mouth: Mouth, mut clients: watch::Receiver<Option<Client>>, said: Arc<(Mutex<Said>, Notify)>) {
    let size = request.cols.zip(request.rows).map(|(cols, rows)| TerminalSize { cols, rows });
    let (mut window, mut known) = (Window { size, owner: request.claim }, false);
    loop {
        let client = clients.borrow_and_update().clone();
        let attached = match &client {
            Some(client) => super::network::at(client, key.node.as_ref()).attach(request.clone()).await,
            None => {
                let _gone = mouth.tell(Event::TerminalEnd(key, Some(words::nobody().message))).await;
                return;
            }
        };
        let end = match attached {
            Ok(mut attachment) => {
                known = true;
                match run(&key, &mut attachment, &mut window, &mouth, &mut clients, &said).await {
                    Some(end) => end,
                    // The daemon is another one now.
                    None => {
                        request = window.again(attachment.offset(), request);
                        continue;
                    }
                }
            }
            // It was there before: it may come back.
            Err(error) if known && error.is_connection() => {
                said.0.lock().unwrap_or_else(PoisonError::into_inner).lose();
                if !mouth.tell(Event::Terminal(key.clone(), Attached::Lost(words::sentence(&error)))).await {
                    return;
                }
                let _changed = tokio::time::timeout(AGAIN, clients.changed()).await;
                continue;
            }
            Err(error) => Some(words::sentence(&error)),
        };
        let _gone = mouth.tell(Event::TerminalEnd(key, end)).await;
        return;
    }
}

/// Until the end, or why it ended early; none when the daemon is another one now.
async fn run(
    key: &TerminalKey,
    attachment: &mut Attachment,
    window: &mut Window,
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
                let (typed, size) = {
                    let mut said = said.0.lock().unwrap_or_else(PoisonError::into_inner);
                    (std::mem::take(&mut said.typed), said.size.take())
                };
                if let Some(size) = size {
                    *window = Window { size: Some(size.clamped()), owner: true };
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
                Some(Ok(attached)) => {
                    match &attached {
                        Attached::Hello { owner, .. } => {
                            window.owner = *owner;
                            said.0.lock().unwrap_or_else(PoisonError::into_inner).lost = false;
                        }
                        Attached::Owner(owner) => window.owner = *owner,
                        Attached::Lost(_) => said.0.lock().unwrap_or_else(PoisonError::into_inner).lose(),
                        _ => {}
                    }
                    cut(attached, &mut queue);
                }
                Some(Err(error)) => end = Some(Some(words::sentence(&error))),
                None => end = Some(None),
            },
        }
    }
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
        assert!(queue.iter().all(|piece| weight(piece) <= PIECE) && queue.len() == bytes.len().div_ceil(PIECE));
        let all: Vec<u8> = queue.iter().flat_map(|piece| if let Attached::Printed(bytes) = piece { bytes.to_vec() } else { Vec::new() }).collect();
        assert_eq!(all, bytes);
    }

    #[tokio::test]
    async fn what_is_typed_without_a_connection_is_refused() {
        let task = tokio::spawn(std::future::pending());
        let viewer = Viewer { number: 1, said: Arc::default(), task: Abort::of(&task) };
        assert_eq!(viewer.input(b"ls"), Hearing::Taken);
        assert_eq!(viewer.input(&vec![b'x'; TYPED]), Hearing::Full);
        viewer.said.0.lock().unwrap().lose();
        assert_eq!(viewer.input(b"rm"), Hearing::Lost);
        assert!(viewer.said.0.lock().unwrap().typed.is_empty(), "it is not sent later");
        task.abort();
        let _ended = task.await;
        assert_eq!(viewer.input(b"ls"), Hearing::Nobody);
    }

    #[test]
    fn a_terminal_is_looked_at_again_as_it_was_last_and_takes_nothing_away() {
        let request: AttachTerminal = serde_json::from_value(serde_json::json!({"terminalId": "t", "claim": true, "cols": 80, "rows": 24})).unwrap();
        let size = Some(TerminalSize { cols: 100, rows: 30 });
        let again = Window { size, owner: true }.again(Some(7), request.clone());
        assert_eq!((again.after, again.claim, again.cols, again.rows), (Some(7), false, Some(100), Some(30)));
        let again = Window { size, owner: false }.again(Some(7), request);
        assert_eq!((again.claim, again.cols, again.rows), (false, None, None), "the size is somebody else's by now");
    }
}
