//! The loop of the thread that draws. Keys go before everything else, a frame before further events, and nothing here waits for anything but the next thing to do.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use loopsy_shared::{client::Watched, config::Clipboard, time};
use tokio::{
    sync::{Notify, Semaphore, mpsc, watch},
    task::JoinHandle,
};

use super::{
    Control, End, Options, crash, files,
    link::Link,
    looks::{self, Begin},
    network::Network,
    pace::Pace,
    painter::Painter,
    signals,
    terminals::{self, BUDGET},
    writer::Writer,
};
use crate::{
    app::App,
    clipboard::Surroundings,
    effect::{Done, Effect, Purpose, Timer},
    event::{Event, Now},
    input::{
        reader::{BATCHES, Reader},
        splitter::Heard,
    },
    look::Wishes,
    recorder::Recorder,
    terminal,
};

mod away;
mod effects;

/// Events that wait for the loop, and as many of logs and terminals. When it is full whoever brings one waits, in the end the node that it comes from.
const EVENTS: usize = 256;
/// Signals and the like. Full only when the loop is stuck.
const CONTROLS: usize = 64;
/// Timers that run. One more takes the place of the last.
const TIMERS: usize = 1024;
/// The first frame waits this long for the daemon's first word, so that it shows something, in microseconds.
const FIRST_FRAME: u64 = 40_000;
/// How long a frame that is on its way is waited for when the terminal is given away.
const PATIENCE: Duration = Duration::from_secs(1);
/// A frame's begin and end, for terminals that then show it at once.
const BEGIN: &[u8] = b"\x1b[?2026h";
const FINISH: &[u8] = b"\x1b[?2026l";

/// What the screen is not ours for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// An editor.
    Editor,
    /// We are stopped, or about to be.
    Stopped,
}

/// What is to be done between two turns, because it needs the terminal.
#[derive(Debug)]
enum Leave {
    Stop,
    Edit(String, Purpose),
}

/// All that the loop has.
struct Ui {
    app: App,
    options: Options,
    around: Surroundings,
    wishes: Wishes,
    clipboard: Clipboard,
    begin: Instant,
    painter: Painter,
    pace: Pace,
    reader: Reader,
    network: Network,
    events: mpsc::Sender<Event>,
    control: mpsc::Sender<Control>,
    poke: Arc<Notify>,
    budget: Arc<Semaphore>,
    recorder: Arc<Mutex<Recorder>>,
    timers: Vec<(u64, Timer)>,
    /// Bytes that are no frame: they go out with the next, or alone.
    aside: Vec<u8>,
    /// The buffer of the next frame.
    frame: Vec<u8>,
    /// What is on its way is a frame.
    shows: bool,
    size: (u16, u16),
    resized: bool,
    away: Option<Away>,
    leaves: Vec<Leave>,
    signals: signals::Listener,
    mouse: bool,
    title: Option<String>,
    focused: bool,
    notified: Option<u64>,
    starting: Option<JoinHandle<()>>,
    saving: Option<JoinHandle<()>>,
    end: Option<End>,
}

/// Runs it on this thread.
pub(super) async fn run(options: Options) -> io::Result<End> {
    let around = Surroundings::find();
    let (control, mut controls) = mpsc::channel(CONTROLS);
    let (events, mut incoming) = mpsc::channel(EVENTS);
    let (numbered, mut streams) = mpsc::channel(EVENTS);
    let (batches, mut inputs) = mpsc::channel(BATCHES);
    let (client, clients) = watch::channel(None);
    let recorder: Arc<Mutex<Recorder>> = Arc::default();
    // In this order they go, last first: the terminal is given back before anything is told.
    let _crashes = crash::Watch::start(options.dir.clone(), Arc::clone(&recorder), control.clone());
    let guard = terminal::Guard::new()?;
    let signals = signals::Listener::start(control.clone())?;
    let mut writer = Writer::start()?;
    let poke = Arc::new(Notify::new());
    let link = Link { dir: options.dir.clone(), events: events.clone(), control: control.clone(), client, poke: Arc::clone(&poke) };
    let link = super::network::Abort::of(&tokio::spawn(link.run()));
    let budget = Arc::new(Semaphore::new(BUDGET));
    let size = terminal::size();
    let Begin { app, state, notes, wishes, clipboard } = looks::begin(&options, size);
    let relook = Arc::new(Notify::new());
    let watcher = super::network::Abort::of(&tokio::spawn(looks::watch(options.dir.clone(), Arc::clone(&relook))));
    let mut ui = Ui {
        app,
        around,
        wishes,
        clipboard,
        begin: Instant::now(),
        painter: Painter::new(size),
        pace: Pace::new(around.remote),
        reader: Reader::start(around.remote, batches)?,
        network: Network::new(events.clone(), numbered, clients, Arc::clone(&budget)),
        events,
        control,
        poke,
        budget,
        recorder,
        timers: Vec::new(),
        aside: Vec::new(),
        frame: Vec::new(),
        shows: false,
        size,
        resized: false,
        away: None,
        leaves: Vec::new(),
        mouse: false,
        title: None,
        focused: true,
        notified: None,
        starting: None,
        saving: None,
        end: None,
        signals,
        options,
    };
    ui.pace.hold(FIRST_FRAME);
    ui.pace.touch();
    ui.restore(&state, notes);
    let end = loop {
        if let Some(end) = ui.end.take() {
            break end;
        }
        ui.leave(&mut writer).await;
        // What has come goes before what was waited for: a key that was to stand alone may not have.
        while let Ok(batch) = inputs.try_recv() {
            batch.into_iter().for_each(|heard| ui.heard(heard));
        }
        ui.timers();
        ui.draw(&writer);
        let wake = ui.wake();
        tokio::select! {
            biased;
            Some(control) = controls.recv() => ui.control(control),
            batch = inputs.recv() => match batch {
                Some(batch) => batch.into_iter().for_each(|heard| ui.heard(heard)),
                None => ui.end = Some(End::Gone),
            },
            Some((buffer, result)) = writer.done.recv() => ui.written(buffer, &result),
            () = sleep_until(wake), if wake.is_some() => {}
            () = relook.notified() => looks::reload(ui.options.clone(), ui.wishes.clone(), ui.events.clone()),
            Some((number, event)) = next(&mut incoming, &mut streams) => ui.came(number, event),
        }
    };
    drop((link, watcher));
    ui.settle(&mut writer).await;
    if !matches!(end, End::Gone) {
        let out = std::mem::take(&mut ui.aside);
        let _gone = terminal::write_all(rustix::stdio::stdout(), &out);
    }
    ui.reader.rest();
    drop(guard);
    if let Some(saving) = ui.saving.take() {
        let _late = tokio::time::timeout(PATIENCE, saving).await;
    }
    Ok(end)
}

/// The next event; whoever has much to say leaves others their turns.
async fn next(events: &mut mpsc::Receiver<Event>, streams: &mut mpsc::Receiver<(u64, Event)>) -> Option<(Option<u64>, Event)> {
    tokio::select! {
        Some(event) = events.recv() => Some((None, event)),
        Some((number, event)) = streams.recv() => Some((Some(number), event)),
        else => None,
    }
}

/// A moment that may never come.
async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Ui {
    fn now(&self) -> Now {
        Now { wall: time::now(), since: u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes up what was remembered, and tells what is to be told.
    fn restore(&mut self, state: &serde_json::Value, notes: Vec<String>) {
        let effects = self.app.restore(state);
        effects.into_iter().for_each(|effect| self.act(effect));
        notes.into_iter().for_each(|note| self.event(Event::Did(Done::Noted(note))));
    }

    /// An event comes in; with a number it is dropped when what it comes from was begun anew meanwhile.
    fn came(&mut self, number: Option<u64>, event: Event) {
        if let Event::Terminal(_, attached) = &event {
            self.budget.add_permits(terminals::weight(attached));
        }
        if number.is_none_or(|number| self.network.is_current(number)) {
            self.event(event);
        }
    }

    /// An event goes in, and what is to be done is done.
    fn event(&mut self, event: Event) {
        let now = self.now();
        let first = match &event {
            Event::Fleet(watched) => matches!(watched.as_ref(), Watched::Event { .. }),
            event => matches!(event, Event::NoDaemon(_)),
        };
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).event(now.since, &event, self.app.is_typing());
        let effects = self.app.update(event, now);
        for effect in effects {
            self.recorder.lock().unwrap_or_else(PoisonError::into_inner).effect(now.since, &effect);
            self.act(effect);
        }
        if self.app.take_dirty() {
            self.pace.touch();
            if first && self.micros() < FIRST_FRAME {
                self.pace.release();
            }
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Input(input) => {
                self.event(Event::Input(input));
                self.pace.hurry();
            }
            Heard::Focus(focused) => {
                self.focused = focused;
                self.event(Event::Focus(focused));
            }
            Heard::Dropped(bytes) => {
                self.event(Event::Did(Done::Noted(format!("The paste was too long: its last {} are missing.", loopsy_shared::text::bytes(bytes as u64)))))
            }
        }
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Size => {
                self.resized = true;
                self.pace.touch();
            }
            // An editor that was stopped takes us along; the terminal is the shell's then.
            Control::Stop if self.away == Some(Away::Editor) => away::stop(),
            Control::Stop if self.away.is_none() => self.leaves.push(Leave::Stop),
            Control::Stop => {}
            Control::Continue if self.away == Some(Away::Editor) => {}
            Control::Continue => self.come_back(),
            Control::End(signal) => {
                let state = self.app.state();
                self.act(Effect::Save(state));
                self.end = Some(End::Signal(signal));
            }
            Control::Crashed(message, file) => self.end = Some(End::Crashed(message, file)),
            Control::Address(address) => {
                if self.app.world.address != address {
                    self.app.world.address = address;
                    self.pace.touch();
                }
            }
            Control::Edited(purpose, result) => {
                self.come_back();
                self.event(Event::Did(Done::Text(purpose, result)));
            }
        }
    }

    fn timers(&mut self) {
        let now = self.now().since;
        while let Some(at) = self.timers.iter().position(|(due, _)| *due <= now) {
            let (_, timer) = self.timers.swap_remove(at);
            self.event(Event::Woke(timer));
        }
    }

    /// When there is something to do that nothing brings.
    fn wake(&self) -> Option<Instant> {
        let frame = self.pace.due().filter(|_| self.away.is_none()).map(Duration::from_micros);
        let timer = self.timers.iter().map(|(due, _)| Duration::from_millis(*due)).min();
        frame.into_iter().chain(timer).min().map(|due| self.begin + due)
    }

    /// Draws if it is time to, and sends what is to be sent.
    fn draw(&mut self, writer: &Writer) {
        if self.away.is_some() || self.pace.is_writing() {
            return;
        }
        let now = self.micros();
        let mut frame = std::mem::take(&mut self.frame);
        if self.pace.due().is_some_and(|due| due <= now) {
            if std::mem::take(&mut self.resized) {
                self.measure();
            }
            frame.extend_from_slice(BEGIN);
            let moment = self.now();
            self.painter.paint(&mut frame, |buffer| self.app.view(buffer, moment));
            if frame.len() == BEGIN.len() {
                frame.clear();
            } else {
                frame.extend_from_slice(FINISH);
            }
            self.pace.drawn(now, !frame.is_empty());
            self.shows = !frame.is_empty();
            if !self.shows {
                // The terminal shows it already.
                self.painted(true);
            }
        }
        frame.append(&mut self.aside);
        if frame.is_empty() {
            self.frame = frame;
            return;
        }
        self.pace.writes(now);
        writer.write(frame);
    }

    fn measure(&mut self) {
        let size = terminal::size();
        if size != self.size {
            self.size = size;
            self.painter = Painter::new(size);
            self.event(Event::Resize(size.0, size.1));
        }
    }

    fn written(&mut self, buffer: Vec<u8>, result: &io::Result<()>) {
        self.frame = buffer;
        self.pace.written(self.micros());
        let shows = std::mem::take(&mut self.shows);
        match result {
            Ok(()) if shows => self.painted(true),
            Ok(()) => {}
            Err(_) => self.end = Some(End::Gone),
        }
    }

    /// Tells the app that the terminal shows what was drawn last, or that it shows something else.
    fn painted(&mut self, seen: bool) {
        let effects = self.app.painted(seen, self.now());
        effects.into_iter().for_each(|effect| self.act(effect));
    }

    /// Waits for what is on its way, though not for ever.
    async fn settle(&mut self, writer: &mut Writer) {
        if self.pace.is_writing()
            && let Ok(Some((buffer, result))) = tokio::time::timeout(PATIENCE, writer.done.recv()).await
        {
            self.written(buffer, &result);
        }
    }
}
