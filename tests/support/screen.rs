//! A person at a real terminal: the program in a pseudo-terminal, what it drew kept by an emulator that is not ours, and every byte of it beside.

use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use rustix::{process::Signal, termios};

use super::PATIENCE;

/// The end of a frame.
pub(crate) const FRAME_END: &[u8] = b"\x1b[?2026l";
/// Every byte is kept up to here; a flood only keeps its end.
const KEPT: usize = 64 << 20;

/// What is to be run, and in what kind of terminal.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    program: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    size: (u16, u16),
    pace: Option<usize>,
}

impl Start {
    /// As a command would be run, in a terminal of 80 by 24: nothing of the test's own environment reaches it.
    pub(crate) fn of(command: &std::process::Command) -> Self {
        let environment = command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        let start = Self {
            program: command.get_program().into(),
            args: command.get_args().map(ToOwned::to_owned).collect(),
            environment: environment.collect(),
            folder: command.get_current_dir().unwrap().to_owned(),
            size: (80, 24),
            pace: None,
        };
        start.set("TERM", "xterm-256color").set("TZ", "UTC")
    }

    /// Columns and rows.
    pub(crate) fn size(mut self, columns: u16, rows: u16) -> Self {
        self.size = (columns, rows);
        self
    }

    /// Sets a variable.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A terminal that takes so many bytes a second.
    pub(crate) fn slow(mut self, bytes: usize) -> Self {
        self.pace = Some(bytes);
        self
    }

    /// Runs it.
    pub(crate) fn open(self) -> Screen {
        Screen::open(self)
    }
}

/// What came from the program.
struct Seen {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
    /// Bytes before those that are kept.
    dropped: u64,
    frames: u64,
    frame_ended: Option<Instant>,
    /// The emulator panicked at what it was given.
    broken: bool,
}

struct Shared {
    seen: Mutex<Seen>,
    more: Condvar,
    pace: AtomicU64,
}

/// The terminal. Dropping it ends the program.
pub(crate) struct Screen {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// Kept, so that the terminal's modes can be asked for after the end.
    _slave: Box<dyn SlavePty + Send>,
    keyboard: Box<dyn Write + Send>,
    shared: Arc<Shared>,
    tty: File,
    modes: termios::Termios,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a terminal that shows\n{}", self.shows())
    }
}

fn side(length: u16) -> NonZeroU16 {
    NonZeroU16::new(length.max(1)).unwrap()
}

impl Screen {
    fn open(start: Start) -> Self {
        let (cols, rows) = start.size;
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(&start.program);
        command.args(&start.args);
        command.env_clear();
        start.environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(&start.folder);
        let tty = File::open(pair.master.tty_name().unwrap()).unwrap();
        let modes = termios::tcgetattr(&tty).unwrap();
        let emulator = vt100::Parser::new(side(rows), side(cols), 0);
        let seen = Seen { emulator, bytes: Vec::new(), dropped: 0, frames: 0, frame_ended: None, broken: false };
        let pace = AtomicU64::new(start.pace.map_or(0, |pace| pace as u64));
        let shared = Arc::new(Shared { seen: Mutex::new(seen), more: Condvar::new(), pace });
        let (mut reader, kept) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&shared));
        let child = pair.slave.spawn_command(command).unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let pace = usize::try_from(kept.pace.load(Ordering::Relaxed)).unwrap();
                let most = if pace == 0 { buffer.len() } else { (pace / 50).clamp(1, buffer.len()) };
                let Ok(count @ 1..) = reader.read(&mut buffer[..most]) else { break };
                kept.take(&buffer[..count]);
                if pace != 0 {
                    std::thread::sleep(Duration::from_secs(1) * u32::try_from(count).unwrap() / u32::try_from(pace).unwrap());
                }
            }
        });
        Self { child, keyboard: pair.master.take_writer().unwrap(), master: pair.master, _slave: pair.slave, shared, tty, modes }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something can be seen.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) {
        self.until_some(what, |screen| holds(screen).then_some(()));
    }

    /// Waits until something can be seen, and gives what was looked for.
    #[track_caller]
    pub(crate) fn until_some<T>(&self, what: &str, look: impl Fn(&vt100::Screen) -> Option<T>) -> T {
        let begun = Instant::now();
        let mut seen = self.seen();
        loop {
            assert!(!seen.broken, "the emulator panicked while it was waited for {what}");
            if let Some(found) = look(seen.emulator.screen()) {
                return found;
            }
            let left = PATIENCE.saturating_sub(begun.elapsed());
            assert!(!left.is_zero(), "waited {PATIENCE:?} for {what}; the screen:\n{}", seen.emulator.screen().contents());
            seen = self.shared.more.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until a text can be read.
    #[track_caller]
    pub(crate) fn sees(&self, text: &str) {
        self.until(&format!("`{text}`"), |screen| screen.contents().contains(text));
    }

    /// Waits until a text can no longer be read.
    #[track_caller]
    pub(crate) fn loses(&self, text: &str) {
        self.until(&format!("`{text}` to go"), |screen| !screen.contents().contains(text));
    }

    /// What can be read now.
    pub(crate) fn shows(&self) -> String {
        self.seen().emulator.screen().contents()
    }

    /// A look at the emulator's screen.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen().emulator.screen())
    }

    /// Presses keys: the bytes that a terminal would send, in one write.
    pub(crate) fn keys(&mut self, bytes: impl AsRef<[u8]>) {
        self.keyboard.write_all(bytes.as_ref()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Waits until the program has read everything that was typed.
    #[track_caller]
    pub(crate) fn is_read(&self) {
        let begun = Instant::now();
        while rustix::io::ioctl_fionread(&self.tty).unwrap() > 0 {
            assert!(begun.elapsed() < PATIENCE, "keys are not read; the screen:\n{}", self.shows());
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Presses a key until it has done something: one that comes too early may count for nothing.
    #[track_caller]
    pub(crate) fn presses(&mut self, key: impl AsRef<[u8]>, what: &str, done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        loop {
            if done(self) {
                return;
            }
            self.keys(key.as_ref());
            let pressed = Instant::now();
            while pressed.elapsed() < Duration::from_millis(700) {
                if done(self) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}; the screen:\n{}", self.shows());
        }
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self.seen();
        let emulator = &mut seen.emulator;
        let fits = std::panic::catch_unwind(AssertUnwindSafe(|| emulator.set_size(side(rows), side(columns)))).is_ok();
        if !fits {
            // What it showed is drawn anew anyhow.
            seen.emulator = vt100::Parser::new(side(rows), side(columns), 0);
        }
        drop(seen);
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// From now on the terminal takes so many bytes a second; any number with 0.
    pub(crate) fn pace(&self, bytes: u64) {
        self.shared.pace.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes have come.
    pub(crate) fn count(&self) -> u64 {
        let seen = self.seen();
        seen.dropped + seen.bytes.len() as u64
    }

    /// How many frames have come to their end.
    pub(crate) fn frames(&self) -> u64 {
        self.seen().frames
    }

    /// Every byte that has come.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// Waits for the end of a frame after so many, and says when that came.
    pub(crate) fn frame_after(&self, frames: u64) -> Option<Instant> {
        let begun = Instant::now();
        let mut seen = self.seen();
        while seen.frames <= frames {
            let left = PATIENCE.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return None;
            }
            seen = self.shared.more.wait_timeout(seen, left).unwrap().0;
        }
        seen.frame_ended
    }

    /// Waits until nothing more has come for a while, and gives the bytes so far.
    pub(crate) fn settled(&self, quiet: Duration) -> u64 {
        let begun = Instant::now();
        let (mut count, mut since) = (self.count(), Instant::now());
        while since.elapsed() < quiet {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.count();
            if now != count {
                (count, since) = (now, Instant::now());
            }
            assert!(begun.elapsed() < PATIENCE, "it never becomes quiet; the screen:\n{}", self.shows());
        }
        count
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
        let _gone_already = rustix::process::kill_process(pid, signal);
    }

    /// Whether the program still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end of the program: its code, or 1 when a signal ended it.
    #[track_caller]
    pub(crate) fn end(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end; the screen:\n{}", self.shows());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the terminal's line discipline is as it was before.
    pub(crate) fn has_its_modes(&self) -> bool {
        let now = termios::tcgetattr(&self.tty).unwrap();
        let of = |modes: &termios::Termios| (modes.input_modes, modes.output_modes, modes.control_modes, modes.local_modes);
        of(&now) == of(&self.modes)
    }

    /// Whether lines can be typed: they are edited, echoed, and Ctrl-C interrupts.
    pub(crate) fn is_sane(&self) -> bool {
        let modes = termios::tcgetattr(&self.tty).unwrap();
        let local = termios::LocalModes::ICANON | termios::LocalModes::ECHO | termios::LocalModes::ISIG;
        modes.local_modes.contains(local) && modes.input_modes.contains(termios::InputModes::ICRNL) && modes.output_modes.contains(termios::OutputModes::OPOST)
    }

    /// Every mode that the program has switched on and not off again, by what it wrote: `?2004` and the like.
    pub(crate) fn modes_left(&self) -> Vec<String> {
        modes_left(&self.bytes())
    }

    /// Waits for the end, and asserts that the terminal is as it was: line discipline, screen, cursor, mouse, pastes, focus, styles.
    #[track_caller]
    pub(crate) fn gives_back(&mut self) -> u32 {
        let code = self.end();
        // What it wrote last may still be on its way.
        let begun = Instant::now();
        while !self.modes_left().is_empty() && begun.elapsed() < PATIENCE / 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.has_its_modes(), "the line discipline is another one");
        assert_eq!(self.modes_left(), Vec::<String>::new(), "modes are left on");
        let (hidden, alternate, styled) = self.look(|screen| {
            let styled = screen.bold() || screen.inverse() || screen.underline() || screen.fgcolor() != vt100::Color::Default;
            (screen.hide_cursor(), screen.alternate_screen(), styled)
        });
        assert!(!hidden && !alternate && !styled, "cursor hidden: {hidden}, other screen: {alternate}, styled: {styled}");
        code
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}

impl Shared {
    fn take(&self, bytes: &[u8]) {
        let mut guard = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = &mut *guard;
        let emulator = &mut seen.emulator;
        if !seen.broken && std::panic::catch_unwind(AssertUnwindSafe(|| emulator.process(bytes))).is_err() {
            seen.broken = true;
        }
        // A mark may be cut by the read.
        let from = seen.bytes.len().saturating_sub(FRAME_END.len() - 1);
        seen.bytes.extend_from_slice(bytes);
        let ended = seen.bytes[from..].windows(FRAME_END.len()).filter(|window| *window == FRAME_END).count() as u64;
        if ended > 0 {
            seen.frames += ended;
            seen.frame_ended = Some(Instant::now());
        }
        if seen.bytes.len() > KEPT {
            let goes = seen.bytes.len() - KEPT / 2;
            seen.bytes.drain(..goes);
            seen.dropped += goes as u64;
        }
        drop(guard);
        self.more.notify_all();
    }
}

/// Reads private modes, the kitty keyboard's stack and the cursor's shape from what was written.
fn modes_left(bytes: &[u8]) -> Vec<String> {
    // On by default, so these must not be left off.
    let normally_on = ["?7", "?25"];
    let mut wrong: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
    let mut kitty = 0_i32;
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\x1b[") {
        rest = &rest[at + 2..];
        let Some(end) = rest.iter().position(|byte| (0x40..0x7f).contains(byte)) else { break };
        let (inside, last) = (String::from_utf8_lossy(&rest[..end]).into_owned(), rest[end]);
        rest = &rest[end + 1..];
        match (last, inside.strip_prefix('?')) {
            (b'h' | b'l', Some(numbers)) => {
                for number in numbers.split(';') {
                    let mode = format!("?{number}");
                    if normally_on.contains(&mode.as_str()) == (last == b'l') {
                        wrong.insert(mode);
                    } else {
                        wrong.remove(&mode);
                    }
                }
            }
            (b'u', None) if inside.starts_with('>') => kitty += 1,
            (b'u', None) if inside.starts_with('<') => kitty = (kitty - 1).max(0),
            (b'q', None) if inside.ends_with(' ') => {
                let shape = inside.trim_end();
                if shape.is_empty() || shape == "0" {
                    wrong.remove("cursor shape")
                } else {
                    wrong.insert("cursor shape".to_owned())
                };
            }
            _ => {}
        }
    }
    if kitty > 0 {
        wrong.insert("kitty keyboard".to_owned());
    }
    wrong.into_iter().collect()
}
