//! Theme, keys and the other wishes of a person, from the command line, the config and the last time; read again when their files change.

use std::{fs, sync::Arc, time::Duration};

use loopsy_shared::{client::Local, config::Clipboard, paths::DataDir};
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::{Options, files};
use crate::{
    app::{App, Settings},
    effect::Done,
    event::Event,
    keymap::Keymap,
    look::{self, Wishes},
    world::World,
};

/// How often files of themes and the config are looked at.
const OFTEN: Duration = Duration::from_secs(2);

/// All that a start needs.
pub(super) struct Begin {
    /// The app, with what was remembered still to be taken up.
    pub(super) app: App,
    /// What was remembered; null when nothing was.
    pub(super) state: Value,
    /// What the person should know.
    pub(super) notes: Vec<String>,
    /// What themes are asked for.
    pub(super) wishes: Wishes,
    /// How text is copied.
    pub(super) clipboard: Clipboard,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads all of it. What is wrong leads to what is usual, and to a note.
pub(super) fn begin(options: &Options, size: (u16, u16)) -> Begin {
    let mut notes = Vec::new();
    let state = files::state(&options.dir).unwrap_or_else(|why| {
        notes.push(why);
        None
    });
    let state = state.unwrap_or_default();
    // What is wrong with the config is told with the daemon.
    let local = Local::load(options.dir.clone()).ok();
    let config = local.as_ref().map(|local| local.config.clone()).unwrap_or_default();
    let theme = options.theme.clone().or_else(|| look::chosen(&state, config.tui.theme.as_deref()));
    let wishes = Wishes { theme, color: options.color.clone(), ascii: options.ascii || config.tui.ascii };
    let (look, wrong) = look::start(options.dir.path(), &wishes, &variable);
    notes.extend(wrong);
    let (keymap, wrong) = Keymap::start(&text(&options.dir));
    notes.extend(wrong);
    let settings = Settings {
        size,
        type_code: config.pairing.type_code,
        theme: config.tui.theme.clone(),
        mouse: config.tui.mouse,
        stays: Some(config.tui.toast_seconds.saturating_mul(1000)),
    };
    let address = local.as_ref().map_or_else(|| "127.0.0.1".to_owned(), Local::address);
    Begin { app: App::new(World::new(address), look, keymap, settings), state, notes, wishes, clipboard: config.tui.clipboard }
}

/// The config as it was written; nothing when there is none.
fn text(dir: &DataDir) -> String {
    fs::read_to_string(dir.config()).unwrap_or_default()
}

/// Reads themes and keys again.
pub(super) fn again(options: &Options, wishes: &Wishes) -> [Done; 2] {
    let mut wishes = wishes.clone();
    if let Ok(local) = Local::load(options.dir.clone()) {
        wishes.ascii = options.ascii || local.config.tui.ascii;
    }
    let look = look::load(options.dir.path(), &wishes, &variable);
    [Done::Looks(Box::new(look)), Done::Keys(Box::new(Keymap::with_config(&text(&options.dir))))]
}

/// Says when a theme or the config was changed, for as long as somebody listens.
pub(super) async fn watch(dir: DataDir, changed: Arc<Notify>) {
    let stamp = || {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || look::stamp(dir.path()))
    };
    let mut last = stamp().await.ok();
    loop {
        tokio::time::sleep(OFTEN).await;
        let now = stamp().await.ok();
        if now != last {
            last = now;
            changed.notify_one();
        }
    }
}

/// Reads again elsewhere; what comes of it are events.
pub(super) fn reload(options: Options, wishes: Wishes, events: mpsc::Sender<Event>) {
    tokio::task::spawn_blocking(move || {
        for done in again(&options, &wishes) {
            let _gone = events.blocking_send(Event::Did(done));
        }
    });
}
