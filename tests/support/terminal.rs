//! Terminals: attached over the typed client, and a real one for the command line to run in.

use std::{
    io::{Read, Write},
    num::NonZeroU16,
    sync::{Arc, Mutex},
};

use loopsy_shared::{
    api::terminals::{AttachTerminal, TerminalExit, TerminalSize},
    client::{Attached, Attachment, Client},
    id::TerminalId,
};
use portable_pty::{CommandBuilder, MasterPty, PtySize};

use super::{Home, PATIENCE, until};

/// An attachment, and everything that it was told.
#[derive(Debug)]
pub(crate) struct Looker {
    pub(crate) attachment: Attachment,
    /// What the program printed, since the first snapshot.
    pub(crate) printed: Vec<u8>,
    /// The offset of the first of these bytes.
    pub(crate) from: u64,
    /// Bytes of the last snapshot.
    pub(crate) drawn: Vec<u8>,
    pub(crate) snapshots: usize,
    pub(crate) lost: u64,
    pub(crate) sizes: Vec<TerminalSize>,
    pub(crate) owner: bool,
    pub(crate) exit: Option<TerminalExit>,
    /// A snapshot came, and nothing after it yet.
    fresh: bool,
}

/// A request to look.
pub(crate) fn looking(id: &TerminalId) -> AttachTerminal {
    AttachTerminal { terminal_id: id.clone(), after: None, read_only: false, claim: false, cols: None, rows: None, scrollback: None }
}

impl Looker {
    pub(crate) async fn new(client: &Client, request: AttachTerminal) -> Self {
        let from = request.after.unwrap_or(0);
        let attachment = client.attach(request).await.unwrap();
        let (printed, drawn, sizes) = (Vec::new(), Vec::new(), Vec::new());
        Self { attachment, printed, from, drawn, snapshots: 0, lost: 0, sizes, owner: false, exit: None, fresh: false }
    }

    /// The next thing that it is told.
    pub(crate) async fn step(&mut self) -> Result<(), String> {
        let next = tokio::time::timeout(PATIENCE, self.attachment.next()).await.map_err(|_| "nothing comes".to_owned())?;
        match next.ok_or("it is over")?.map_err(|error| error.to_string())? {
            Attached::Hello { owner, .. } | Attached::Owner(owner) => self.owner = owner,
            Attached::Snapshot { size, lost } => {
                self.snapshots += 1;
                self.lost += lost;
                self.drawn.clear();
                self.printed.clear();
                self.fresh = true;
                self.sizes.push(size);
            }
            Attached::Drawn(bytes) => self.drawn.extend_from_slice(&bytes),
            Attached::Printed(bytes) => self.printed.extend_from_slice(&bytes),
            Attached::Resize(size) => self.sizes.push(size),
            Attached::Exit(exit) => self.exit = Some(exit),
            Attached::Lost(_) => {}
        }
        // Where the printed bytes begin is known once the snapshot is whole.
        if self.fresh
            && let Some(offset) = self.attachment.offset()
        {
            self.fresh = false;
            self.from = offset - self.printed.len() as u64;
        }
        Ok(())
    }

    /// Goes on until something holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> impl Future<Output = ()> {
        let what = what.to_owned();
        async move {
            while !holds(self) {
                if let Err(error) = self.step().await {
                    panic!("{what}: {error}; seen: {:?}{:?}", String::from_utf8_lossy(&self.drawn), self.text());
                }
            }
        }
    }

    /// Everything, in order.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.printed).into_owned()
    }

    /// Whether a text was printed, or is in the snapshot.
    pub(crate) fn saw(&self, text: &str) -> bool {
        self.text().contains(text) || String::from_utf8_lossy(&self.drawn).contains(text)
    }

    /// Types, and sees to it that it is sent.
    pub(crate) async fn types(&mut self, text: &str) {
        self.attachment.input(text.as_bytes().to_vec());
        self.attachment.flush().await;
    }
}

/// The command line in a real terminal of 80 by 24.
pub(crate) struct Window {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    screen: Arc<Mutex<(vt100::Parser, Vec<u8>)>>,
}

impl Window {
    pub(crate) fn open(home: &Home, args: &[&str]) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = portable_pty::native_pty_system().openpty(size).unwrap();
        let plain = home.command(args);
        let mut command = CommandBuilder::new(plain.get_program());
        command.args(plain.get_args());
        command.env_clear();
        plain.get_envs().for_each(|(name, value)| command.env(name, value.unwrap()));
        command.env("TERM", "xterm-256color");
        command.cwd(home.home());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let rows = |n| NonZeroU16::new(n).unwrap();
        let screen = Arc::new(Mutex::new((vt100::Parser::new(rows(24), rows(80), 100), Vec::new())));
        let (mut reader, seen) = (pair.master.try_clone_reader().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = seen.lock().unwrap();
                seen.0.process(&buffer[..count]);
                seen.1.extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, writer: pair.master.take_writer().unwrap(), master: pair.master, screen }
    }

    pub(crate) fn types(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
        self.writer.flush().unwrap();
    }

    pub(crate) fn resize(&self, cols: u16, rows: u16) {
        let size = |n| NonZeroU16::new(n).unwrap();
        self.screen.lock().unwrap().0.set_size(size(rows), size(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// What it shows.
    pub(crate) fn shows(&self) -> String {
        self.screen.lock().unwrap().0.screen().contents()
    }

    /// All bytes that were written to it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.screen.lock().unwrap().1.clone()
    }

    pub(crate) fn until_it_shows(&self, text: &str) {
        until(&format!("`{text}` on the screen:\n{}", self.shows()), || self.shows().contains(text).then_some(()));
    }

    /// Whether the terminal is in line mode, with echo.
    pub(crate) fn is_sane(&self) -> bool {
        let fd = self.master.tty_name().and_then(|name| std::fs::File::open(name).ok());
        fd.is_some_and(|fd| {
            let modes = rustix::termios::tcgetattr(&fd).unwrap().local_modes;
            modes.contains(rustix::termios::LocalModes::ICANON | rustix::termios::LocalModes::ECHO)
        })
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        super::kill(self.child.process_id().unwrap(), signal);
    }

    /// Waits for the end of the command.
    pub(crate) fn end(&mut self) -> u32 {
        until("the end of the command", || self.child.try_wait().unwrap()).exit_code()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}
