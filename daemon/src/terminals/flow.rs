//! What a program prints, from its terminal into the log and onto the screen: two threads, and what they share.
//!
//! The first reads, filters and logs; viewers follow the log. The second draws; the first waits for it when it is far behind, and for nobody else.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use loopsy_shared::{
    api::terminals::{TerminalExit, TerminalSize},
    time::Millis,
};

use super::{
    filter::{Filter, Filtered},
    log::{Found, Log},
    pty,
    terminal::{Inner, Shown},
};

/// Bytes that the screen may be behind; past this the program waits. What is drawn at once when somebody wants to see it.
const BEHIND: u64 = 512 << 10;
/// Questions and resizes that wait for the screen. Questions past this are not answered.
const MARKS: usize = 4096;
/// About as much is drawn at once, so that nobody waits long for the screen.
const AT_ONCE: u64 = 64 << 10;
/// Resizes that viewers are told of at their exact places; who is further behind learns the later ones.
const SIZES: usize = 256;

/// Something that happens to the screen between two bytes.
#[derive(Debug)]
pub(super) enum Mark {
    /// The program asks.
    Ask(Vec<u8>),
    /// The screen gets another size.
    Resize { number: u64, size: TerminalSize },
}

/// What was printed, and how far the screen is.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) log: Log,
    /// In the order of their offsets.
    pub(super) marks: VecDeque<(u64, Mark)>,
    /// Offsets between two sequences at which drawing may stop.
    cuts: VecDeque<u64>,
    /// Number, offset and size.
    pub(super) sizes: VecDeque<(u64, u64, TerminalSize)>,
    pub(super) size: TerminalSize,
    /// Resizes so far.
    pub(super) resized: u64,
    /// Up to here the screen shows what was printed.
    pub(super) drawn: u64,
    /// Nothing will be printed any more.
    pub(super) done: bool,
    pub(super) exit: Option<(TerminalExit, Millis)>,
    pub(super) title: Option<String>,
}

impl Flow {
    pub(super) fn new(log: Log, size: TerminalSize) -> Self {
        let (marks, cuts, sizes) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { log, marks, cuts, sizes, size, resized: 0, drawn: 0, done: false, exit: None, title: None }
    }

    /// Notes a new size, which counts from the next byte on.
    pub(super) fn resize(&mut self, size: TerminalSize) {
        let end = self.log.end();
        self.size = size;
        self.resized += 1;
        let number = self.resized;
        // Many resizes between two bytes are as good as the last of them.
        if self.sizes.back().is_some_and(|(_, at, _)| *at == end) {
            self.sizes.pop_back();
        }
        self.sizes.push_back((number, end, size));
        if self.sizes.len() > SIZES {
            self.sizes.pop_front();
        }
        if self.marks.back().is_some_and(|(at, mark)| *at == end && matches!(mark, Mark::Resize { .. })) {
            self.marks.pop_back();
        }
        self.marks.push_back((end, Mark::Resize { number, size }));
    }

    fn far_behind(&self) -> bool {
        self.log.end() - self.drawn > BEHIND.min(self.log.capacity() / 2)
    }

    fn printed(&mut self, out: &mut Filtered) {
        let base = self.log.end();
        if !out.bytes.is_empty() {
            self.log.append(&out.bytes);
        }
        let end = self.log.end();
        if self.cuts.back().is_none_or(|cut| end - cut >= AT_ONCE / 2) {
            self.cuts.push_back(end);
        }
        for (at, asked) in out.asked.drain(..) {
            if self.marks.len() < MARKS {
                self.marks.push_back((base + at as u64, Mark::Ask(asked)));
            }
        }
    }

    /// What the screen has to do next.
    fn work(&mut self) -> Option<Work> {
        if self.marks.front().is_some_and(|(at, _)| *at <= self.drawn) {
            return self.marks.pop_front().map(|(_, mark)| Work::Mark(mark));
        }
        while self.cuts.front().is_some_and(|cut| *cut <= self.drawn) {
            self.cuts.pop_front();
        }
        let stops = [self.marks.front().map(|(at, _)| *at), self.cuts.front().copied()];
        let to = stops.into_iter().flatten().fold(self.log.end(), u64::min);
        (to > self.drawn).then(|| Work::Draw { to, found: Vec::from_iter(self.pieces(to)) })
    }

    /// Everything from where the screen is to there. The log holds it: the program waits before it could be overwritten.
    fn pieces(&self, to: u64) -> impl Iterator<Item = Found> {
        let mut at = self.drawn;
        std::iter::from_fn(move || {
            if at >= to {
                return None;
            }
            let found = self.log.find(at, to, usize::MAX);
            at += match &found {
                Found::Bytes(bytes) => bytes.len() as u64,
                Found::OnDisk(range) => range.length() as u64,
                Found::Gone => to - at,
            };
            Some(found)
        })
    }
}

enum Work {
    Mark(Mark),
    Draw { to: u64, found: Vec<Found> },
}

/// Reads what the program prints until its side is closed.
pub(super) fn read(inner: &Arc<Inner>) {
    let (mut filter, mut out, mut buffer) = (Filter::new(), Filtered::default(), vec![0; pty::CHUNK]);
    loop {
        let count = pty::read(&inner.ours, &mut buffer);
        if count == 0 {
            break;
        }
        out.clear();
        filter.feed(&buffer[..count], &mut out);
        let mut flow = inner.flow.lock();
        while flow.far_behind() && !flow.done {
            flow = inner.bell.wait(flow).unwrap_or_else(PoisonError::into_inner);
        }
        if flow.done {
            return; // the end was told already
        }
        flow.printed(&mut out);
        drop(flow);
        inner.changed();
        inner.bell.notify_all();
    }
    inner.flow.lock().done = true;
    inner.changed();
    inner.bell.notify_all();
}

/// Draws what was printed until nothing will be printed any more.
pub(super) fn draw(inner: &Arc<Inner>) {
    loop {
        let work = {
            let mut flow = inner.flow.lock();
            loop {
                if let Some(work) = flow.work() {
                    break work;
                }
                if flow.done {
                    return;
                }
                flow = inner.bell.wait(flow).unwrap_or_else(PoisonError::into_inner);
            }
        };
        let title = {
            let mut shown = inner.shown.lock();
            match work {
                Work::Mark(Mark::Resize { number, size }) => {
                    attempt(inner, &mut shown, |shown| shown.screen.resize(size));
                    shown.resized = number;
                }
                Work::Mark(Mark::Ask(asked)) => answer(inner, &mut shown, &asked),
                Work::Draw { to, found } => {
                    for piece in found {
                        let bytes = match piece {
                            Found::Bytes(bytes) => bytes,
                            Found::OnDisk(range) => range.read().unwrap_or_default(),
                            Found::Gone => Bytes::new(),
                        };
                        answer(inner, &mut shown, &bytes);
                    }
                    shown.offset = to;
                }
            }
            inner.flow.lock().drawn = shown.offset;
            shown.screen.title()
        };
        inner.bell.notify_all();
        let mut flow = inner.flow.lock();
        if flow.title != title {
            flow.title = title;
            drop(flow);
            inner.stirred.notify_one();
        }
    }
}

/// Feeds the screen, and types its answers. Who does not read them does not get them: a program that only asks must not hold up anything.
fn answer(inner: &Arc<Inner>, shown: &mut Shown, bytes: &[u8]) {
    let answers = attempt(inner, shown, |shown| shown.screen.feed(bytes)).unwrap_or_default();
    if !answers.is_empty() {
        let _dropped = inner.input.try_send(answers.into());
    }
}

/// An emulator must not panic, whatever a program prints. Should it do so, it is made anew from the log, without what broke it.
fn attempt<T>(inner: &Arc<Inner>, shown: &mut Shown, work: impl FnOnce(&mut Shown) -> T) -> Option<T> {
    let broken = match std::panic::catch_unwind(AssertUnwindSafe(|| work(shown))) {
        Ok(done) => return Some(done),
        Err(_) => shown.offset,
    };
    tracing::error!(terminal = %inner.about.id, offset = broken, "the screen of a terminal broke and was made anew; this is a mistake in Loopsy");
    let size = inner.flow.lock().size;
    let rebuilt = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut screen = Inner::fresh(size, inner.scrollback);
        let mut at = inner.flow.lock().log.start();
        while at < broken {
            let found = inner.flow.lock().log.find(at, broken, 256 << 10);
            let bytes = match found {
                Found::Bytes(bytes) => bytes,
                Found::OnDisk(range) => range.read().unwrap_or_default(),
                Found::Gone => Bytes::new(),
            };
            if bytes.is_empty() {
                break;
            }
            at += bytes.len() as u64;
            let _asked_long_ago = screen.feed(&bytes);
        }
        screen
    }));
    shown.screen = rebuilt.unwrap_or_else(|_| Inner::fresh(size, inner.scrollback));
    None
}
